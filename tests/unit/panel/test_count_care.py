"""A panel built from care that was counted before is the panel built from the claims."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time

import pandas as pd
import pytest

from calaim_eval.errors import OutputError, TableError
from calaim_eval.panel import (
    MEASURES,
    PanelRules,
    build_member_months,
    count_care,
    resume,
)
from calaim_eval.panel.care_files import (
    COVERAGE_RULES,
    care_folder,
    care_stamps,
    counted_care,
    counts_file,
    every_measure,
)
from calaim_eval.panel.claim_lines import ToldLines
from calaim_eval.panel.emergency_lines import is_ed_facility
from calaim_eval.panel.member_months import PANEL_TABLES
from calaim_eval.simulate import simulate_medi_cal
from calaim_eval.tables import Tables, read_tables
from calaim_eval.tables.read import open_tables

WINDOW = {"first_month": "2021-01", "last_month": "2024-12"}
OTHER_COVERAGE = {
    "month_rule": "first_day",
    "max_gap_months": 2,
    "payer_types": ("medicaid", "medicare"),
    "benefit_scope": "any",
    "exclude_duals": False,
    "custody_months": "leave_out",
    "plan_rule": "latest_recorded",
    "run_out_months": 1,
    "paid_claims": "medical_and_pharmacy",
}
OTHER_CARE = {
    "ed_definition": "with_urgent_care",
    "ed_join_days": 0,
    "ed_admission": "any_facility",
    "ed_on_inpatient_claims": "count",
    "stay_evidence": "bill_type",
    "transfer_days": 0,
    "transfer_rule": "dates_and_status",
    "readmission_days": 7,
    "readmission_enrollment": "hedis",
    "readmission_stays": "inpatient_or_observation",
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Tables without anything counted."""
    folder = tmp_path_factory.mktemp("claims")
    simulate_medi_cal(folder / "study", members=300, seed=11)
    return read_tables(folder / "study" / "raw", work_dir=folder / "tables", n_buckets=2)


@pytest.fixture(scope="module")
def plain(tables, tmp_path_factory):
    """The panel from the claims."""
    return build_member_months(tables, **WINDOW, out_dir=tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def counted(tables, tmp_path_factory):
    """The same tables with care counted by the rules as they are."""
    made = _copy(tables, tmp_path_factory.mktemp("counted"))
    count_care(made)
    assert None not in counted_care(made, PanelRules(), every_measure())
    return made


def _copy(tables, folder):
    shutil.copytree(tables.folder, folder / "tables")
    return open_tables(folder / "tables")


def _parts(panel):
    return [
        (panel.folder / table / f"part-{number:04d}.parquet").read_bytes()
        for table in PANEL_TABLES
        for number in range(panel.n_buckets)
    ]


def _rows(frame):
    return frame.sort_values(list(frame), ignore_index=True)


def _require_same(counted, plain):
    assert _parts(counted) == _parts(plain)
    pd.testing.assert_frame_equal(_rows(counted.ledger.to_frame()), _rows(plain.ledger.to_frame()))
    pd.testing.assert_frame_equal(counted.amounts, plain.amounts)
    pd.testing.assert_frame_equal(counted.unclassified, plain.unclassified)
    assert counted.n_unclassified == plain.n_unclassified
    assert (counted.notes, counted.unobserved_months) == (plain.notes, plain.unobserved_months)


def test_the_panel_is_the_same_to_the_byte(counted, plain, tmp_path):
    frame = plain.to_frame()
    told = [name for name in MEASURES if frame[name].fillna(0).any()]
    # No feed of the police, no weights of avoidable visits, no list of sensitive conditions here.
    assert len(told) > len(MEASURES) / 2
    _require_same(build_member_months(counted, **WINDOW, out_dir=tmp_path), plain)


def test_other_rules_of_visits_and_stays(tables, tmp_path):
    options = {**WINDOW, "rules": PanelRules(**OTHER_CARE)}
    from_claims = build_member_months(tables, **options, out_dir=tmp_path / "claims")
    mine = _copy(tables, tmp_path)
    count_care(mine, rules=options["rules"])
    assert None not in counted_care(mine, options["rules"], every_measure())
    _require_same(build_member_months(mine, **options, out_dir=tmp_path / "counts"), from_claims)


def test_counts_hold_for_other_coverage_window_and_measures(tables, counted, tmp_path):
    assert set(OTHER_COVERAGE) == COVERAGE_RULES
    options = {
        "first_month": "2022-03",
        "last_month": "2023-11",
        "rules": PanelRules(**OTHER_COVERAGE),
        "measures": ["paid_usd", "ecm_services", "snf_days", "outpatient_visits", "ed_visits"],
    }
    assert None not in counted_care(counted, options["rules"], every_measure())
    from_claims = build_member_months(tables, **options, out_dir=tmp_path / "claims")
    from_counts = build_member_months(counted, **options, out_dir=tmp_path / "counts")
    _require_same(from_counts, from_claims)


@pytest.mark.parametrize("name", sorted(OTHER_CARE))
def test_another_rule_of_visits_and_stays_is_another_count(tables, name):
    other = PanelRules(**{name: OTHER_CARE[name]})
    assert not set(care_stamps(tables, other)) & set(care_stamps(tables, PanelRules()))


def test_a_measure_of_ones_own_is_counted_from_the_claims(counted, tmp_path):
    mine = dataclasses.replace(MEASURES["ed_visits"], name="my_visits")
    assert counted_care(counted, PanelRules(), [mine]) == [None, None]
    panel = build_member_months(counted, **WINDOW, measures=["ed_visits", mine], out_dir=tmp_path)
    frame = panel.to_frame(["ed_visits", "my_visits"])
    assert frame["ed_visits"].sum() > 0
    assert frame["ed_visits"].equals(frame["my_visits"])


def test_a_bucket_whose_counting_was_broken_off_is_counted_again(counted, plain, tmp_path):
    tables = _copy(counted, tmp_path)
    (half,) = (care_folder(tables) / "events").glob("part-0001*.parquet")
    counts_file(tables, 1).unlink()
    half.write_bytes(b"half")
    told = counted_care(tables, PanelRules(), every_measure())
    assert [each is None for each in told] == [False, True]
    _require_same(build_member_months(tables, **WINDOW, out_dir=tmp_path / "half"), plain)
    first = counts_file(tables, 0).stat().st_mtime_ns
    count_care(tables)
    assert counts_file(tables, 0).stat().st_mtime_ns == first
    assert None not in counted_care(tables, PanelRules(), every_measure())


def test_other_claims_are_counted_anew(tmp_path):
    spans = pd.DataFrame({"member_id": ["a"], "enrollment_start_date": ["2022-01-01"]})
    spans["enrollment_end_date"] = "2022-12-31"
    line = {"member_id": "a", "claim_id": "1", "claim_line_number": 1}
    line |= {"claim_start_date": "2022-02-03", "place_of_service_code": "23"}
    claims = pd.DataFrame([line | {"claim_type": "professional"}])
    window = {"first_month": "2022-01", "last_month": "2022-12", "measures": ["ed_visits"]}
    for n_visits, rows in (
        (1, claims),
        (2, pd.concat([claims, claims.assign(claim_id="2", claim_start_date="2022-05-06")])),
    ):
        tables = Tables.from_frames(
            {"eligibility": spans, "medical_claim": rows}, work_dir=tmp_path / "tables"
        )
        assert not care_folder(tables).exists()
        count_care(tables)
        assert None not in counted_care(tables, PanelRules(), every_measure())
        panel = build_member_months(tables, **window, out_dir=tmp_path / "panel")
        assert panel.to_frame(["ed_visits"])["ed_visits"].sum() == n_visits


@pytest.fixture
def two_days(tmp_path):
    """One member with visits on two days in a row: one visit by default, two without joining."""
    spans = {"member_id": ["a"], "enrollment_start_date": "2022-01-01"}
    claims = pd.DataFrame(
        {"claim_id": ["1", "2"], "claim_start_date": ["2022-02-03", "2022-02-04"]}
    )
    told = {"member_id": "a", "claim_line_number": 1, "claim_type": "professional"}
    return Tables.from_frames(
        {
            "eligibility": pd.DataFrame({**spans, "enrollment_end_date": "2022-12-31"}),
            "medical_claim": claims.assign(**told, place_of_service_code="23"),
        },
        work_dir=tmp_path / "tables",
    )


def _n_visits(tables, rules):
    panel = build_member_months(
        tables, first_month="2022-01", last_month="2022-12", measures=["ed_visits"], rules=rules
    )
    return panel.to_frame(["ed_visits"])["ed_visits"].sum()


def test_counting_by_other_rules_at_the_same_time_is_not_taken_for_ones_own(two_days):
    joined, apart = PanelRules(), PanelRules(ed_join_days=0)
    count_care(two_days, rules=joined)
    told = counts_file(two_days, 0).read_text()
    count_care(two_days, rules=apart)
    # The first run ends after the second has written its files.
    counts_file(two_days, 0).write_text(told)
    assert counted_care(two_days, joined, every_measure()) == [None]
    assert (_n_visits(two_days, joined), _n_visits(two_days, apart)) == (1, 2)


def test_files_by_other_rules_are_replaced(two_days):
    count_care(two_days)
    n_files = len(list(care_folder(two_days).glob("*/part-*.parquet")))
    count_care(two_days, rules=PanelRules(ed_join_days=0))
    assert len(list(care_folder(two_days).glob("*/part-*.parquet"))) == n_files > 0


def test_what_a_killed_run_left_is_removed_and_what_another_writes_is_not(two_days):
    spill = care_folder(two_days) / ".spill"
    events = care_folder(two_days) / "events"
    left, written = (events / f".part-0000-{name}.parquet.1.tmp" for name in ("left", "written"))
    rows_left, rows_written = spill / "left", spill / "written"
    for folder in (events, rows_left, rows_written):
        folder.mkdir(parents=True)
    for file in (left, written, rows_left / "rows", rows_written / "rows"):
        file.write_bytes(b"rows")
    two_days_ago = time.time() - 48 * 3600
    os.utime(left, (two_days_ago, two_days_ago))
    os.utime(rows_left, (two_days_ago, two_days_ago))
    count_care(two_days)
    assert sorted(spill.iterdir()) == [rows_written]
    assert list(events.glob(".*.tmp")) == [written]


def test_a_folder_that_cannot_be_written_is_said(two_days):
    care_folder(two_days).write_text("no folder")
    with pytest.raises(OutputError, match="_care"):
        count_care(two_days)
    assert _n_visits(two_days, PanelRules()) == 1


def test_another_version_of_the_package_counts_again(two_days, monkeypatch):
    count_care(two_days)
    monkeypatch.setattr(resume, "versions", lambda: {"calaim_eval": "another"})
    assert counted_care(two_days, PanelRules(), every_measure()) == [None]


def test_lines_that_were_not_kept_cannot_be_asked_for():
    import ibis

    lines = ToldLines(ibis.table({"kinds_0": "int64"}), {"is_nursing": 3}, is_part=True)
    with pytest.raises(TableError, match="`is_ed_facility` were not kept"):
        lines.of(is_ed_facility)


def test_readmissions_of_the_enrolled_find_procedures_on_the_claims(tmp_path):
    stays = [("1", "2022-02-03", "2022-02-06"), ("2", "2022-02-20", "2022-02-24")]
    stays += [("3", "2022-05-03", "2022-05-06"), ("4", "2022-05-20", "2022-05-24")]
    claims = pd.DataFrame(stays, columns=["claim_id", "admission_date", "discharge_date"])
    claims = claims.assign(
        member_id="a",
        claim_line_number=1,
        claim_type="institutional",
        claim_start_date=claims["admission_date"],
        claim_end_date=claims["discharge_date"],
        bill_type_code="111",
        revenue_center_code="0120",
        diagnosis_code_1="I509",
        facility_npi="1234567893",
    )
    done = {"member_id": ["a"], "claim_id": "4", "procedure_code": "0SR90JZ"}
    planned = {"planned_code": ["0SR90JZ"], "planned_code_kind": "always_planned_procedure"}
    spans = {"member_id": ["a"], "enrollment_start_date": "2020-01-01"}
    tables = Tables.from_frames(
        {
            "eligibility": pd.DataFrame({**spans, "enrollment_end_date": "2022-12-31"}),
            "medical_claim": claims,
            "claim_procedure": pd.DataFrame(done),
            "planned_readmission_code": pd.DataFrame(planned),
        },
        work_dir=tmp_path / "tables",
    )
    rules = PanelRules(readmission_enrollment="hedis")
    options = {"first_month": "2021-01", "last_month": "2022-12", "rules": rules}
    from_claims = build_member_months(tables, **options, out_dir=tmp_path / "claims")
    count_care(tables, rules=rules)
    from_counts = build_member_months(tables, **options, out_dir=tmp_path / "counts")
    _require_same(from_counts, from_claims)
    # The second of the two readmissions was planned.
    assert from_counts.to_frame(["readmissions_30d"])["readmissions_30d"].sum() == 1
