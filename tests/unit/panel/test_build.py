"""Building: resumes, rebuilds what changed, loses no row and no dollar."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest

from calaim_eval.engine import Recipe
from calaim_eval.errors import TableError
from calaim_eval.panel import MEASURES, MemberMonths, PanelRules, build_member_months, resume
from calaim_eval.panel.member_months import PANEL_TABLES
from calaim_eval.tables import Tables

WINDOW = {"first_month": "2024-01", "last_month": "2024-03"}
N_BUCKETS = 2


def _frames():
    members = [f"m{i}" for i in range(12)]
    spans = pd.DataFrame(
        {
            "member_id": members,
            "enrollment_start_date": "2023-06-01",
            "enrollment_end_date": ["2024-02-29", None, "9999-12-31"] * 4,
        }
    )
    claims = pd.DataFrame(
        {
            "member_id": members,
            "claim_id": [f"c{i}" for i in range(12)],
            "claim_line_number": 1,
            "claim_type": "professional",
            "claim_start_date": ["2024-01-15", "2024-03-20", "2024-05-01", "2023-01-01"] * 3,
            "claim_status": ["original"] * 11 + ["denied"],
            "hcpcs_code": "99213",
            "rendering_npi": "1",
            "paid_amount": 10.0,
        }
    )
    return {"eligibility": spans, "medical_claim": claims}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return Tables.from_frames(_frames(), work_dir=folder, n_buckets=N_BUCKETS)


@pytest.fixture(scope="module")
def spans(tmp_path_factory):
    """Eligibility alone: enough for what is not about claims, and faster."""
    return _spans_only(tmp_path_factory.mktemp("spans"), N_BUCKETS)


def _spans_only(folder, n_buckets, start="2023-06-01"):
    frame = _frames()["eligibility"].assign(enrollment_start_date=start)
    return Tables.from_frames({"eligibility": frame}, work_dir=folder, n_buckets=n_buckets)


@pytest.fixture(scope="module")
def panel(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("panel")
    return build_member_months(tables, **WINDOW, out_dir=folder)


@pytest.fixture
def built_buckets(monkeypatch):
    """Numbers of the buckets that were built, as they are built."""
    seen = []
    real = Recipe.run

    def spy(recipe, backend, **given):
        seen.append(_number(given))
        return real(recipe, backend, **given)

    monkeypatch.setattr(Recipe, "run", spy)
    return seen


def _number(given):
    """Number of the bucket a run writes."""
    return int(given["outputs"]["member_month"].stem.split("-")[1])


def test_a_second_run_builds_nothing(spans, tmp_path, built_buckets):
    first = build_member_months(spans, **WINDOW, out_dir=tmp_path)
    assert built_buckets == [0, 1]
    second = build_member_months(spans, **WINDOW, out_dir=tmp_path)
    assert built_buckets == [0, 1]
    pd.testing.assert_frame_equal(first.to_frame(), second.to_frame())
    pd.testing.assert_frame_equal(first.ledger.to_frame(), second.ledger.to_frame())


def test_a_run_that_was_killed_resumes(spans, tmp_path, monkeypatch):
    folder = tmp_path / "panel"
    real, seen = Recipe.run, []

    def killed(recipe, backend, **given):
        seen.append(_number(given))
        if seen == [0, 1]:
            raise KeyboardInterrupt
        return real(recipe, backend, **given)

    monkeypatch.setattr(Recipe, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        build_member_months(spans, **WINDOW, out_dir=folder)
    with pytest.raises(TableError, match="no finished panel"):
        MemberMonths.open(folder)
    panel = build_member_months(spans, **WINDOW, out_dir=folder)
    assert seen == [0, 1, 1]
    fresh = build_member_months(spans, **WINDOW, out_dir=tmp_path / "fresh")
    pd.testing.assert_frame_equal(panel.to_frame(), fresh.to_frame())
    assert panel.n_members == fresh.n_members == 12


def test_what_is_missing_or_damaged_is_built_again_alone(spans, tmp_path, built_buckets):
    build_member_months(spans, **WINDOW, out_dir=tmp_path)
    built_buckets.clear()
    (tmp_path / "member_month" / "part-0001.parquet").unlink()
    build_member_months(spans, **WINDOW, out_dir=tmp_path)
    (tmp_path / "buckets" / "bucket-0000.json").write_text('{"stamp": "', "utf-8")
    panel = build_member_months(spans, **WINDOW, out_dir=tmp_path)
    assert built_buckets == [1, 0]
    assert MemberMonths.open(tmp_path).n_member_months == panel.n_member_months == 32


def test_other_rules_window_or_input_build_again(spans, tmp_path, built_buckets):
    folder = tmp_path / "panel"
    build_member_months(spans, **WINDOW, out_dir=folder)
    build_member_months(spans, **WINDOW, out_dir=folder, rules=PanelRules(month_rule="all_days"))
    build_member_months(spans, first_month="2024-02", last_month="2024-03", out_dir=folder)
    other = _spans_only(tmp_path / "other", N_BUCKETS, start="2024-03-10")
    panel = build_member_months(other, first_month="2024-02", last_month="2024-03", out_dir=folder)
    assert built_buckets == [0, 1] * 4
    assert panel.to_frame()["covered_days"].unique().tolist() == [22]


def test_another_code_list_or_version_of_a_measure_builds_again(
    spans, tmp_path, built_buckets, monkeypatch
):
    folder = tmp_path / "panel"
    visits = MEASURES["ed_visits"]
    build_member_months(spans, **WINDOW, out_dir=folder, measures=[visits])
    newer = replace(visits, version="99")
    build_member_months(spans, **WINDOW, out_dir=folder, measures=[newer])
    assert built_buckets == [0, 1] * 2
    monkeypatch.setattr(resume, "codes_sha256", lambda names: "another list")
    build_member_months(spans, **WINDOW, out_dir=folder, measures=[newer])
    assert built_buckets == [0, 1] * 3


def test_a_run_that_goes_on_after_an_upgrade_mixes_no_buckets(
    spans, tmp_path, built_buckets, monkeypatch
):
    build_member_months(spans, **WINDOW, out_dir=tmp_path)
    built_buckets.clear()
    (tmp_path / "buckets" / "bucket-0001.json").unlink()
    monkeypatch.setattr(resume, "versions", lambda: {"calaim_eval": "another"})
    build_member_months(spans, **WINDOW, out_dir=tmp_path)
    assert built_buckets == [0, 1]


def test_fewer_buckets_leave_no_old_parts(spans, tmp_path):
    folder = tmp_path / "panel"
    many = build_member_months(spans, **WINDOW, out_dir=folder)
    few = build_member_months(_spans_only(tmp_path / "one", 1), **WINDOW, out_dir=folder)
    assert len(list(folder.rglob("part-*.parquet"))) == len(PANEL_TABLES)
    assert few.n_member_months == many.n_member_months == len(few.to_frame())


def test_rows_and_dollars_add_up(panel):
    for name, n_rows in (("eligibility", 12), ("medical_claim", 12)):
        assert panel.ledger.total(name, stage="panel") == n_rows
    assert panel.amounts["paid_usd"].sum() == 120
    used = panel.amounts.set_index("reason")["paid_usd"]["used"]
    assert panel.to_frame()["paid_usd"].sum() == used
    assert panel.ledger.used("medical_claim", stage="panel") * 10 == used


def test_parts_are_sorted_and_typed_as_declared(panel):
    for part in (panel.folder / "member_month").iterdir():
        frame = pq.read_table(part).to_pandas()
        key = list(zip(frame["member_id"], frame["month"], strict=True))
        assert key == sorted(key)
        assert len(set(key)) == len(key)
    types = {field.name: str(field.type) for field in pq.read_schema(part)}
    assert types["month"] == "date32[day]"
    assert types["covered_days"] == types["ed_visits"] == types["jail_days"] == "int64"
    assert types["paid_usd"] == "double"
    assert types["is_dual"] == "bool"


def test_nothing_written_names_a_member_outside_the_parts(panel):
    texts = [file.read_text("utf-8") for file in panel.folder.rglob("*.json")]
    assert texts
    assert not any(f'"m{i}"' in text for text in texts for i in range(12))
    assert "m1" not in repr(panel)
    held = json.loads((panel.folder / "manifest.json").read_text("utf-8"))
    assert held["rules"]["rules_version"] == "1"


def test_a_panel_without_a_folder_of_its_own_goes_when_it_goes(spans):
    panel = build_member_months(spans, **WINDOW)
    folder = panel.folder
    assert folder.is_dir()
    del panel
    assert not folder.exists()


def test_eligibility_is_needed():
    tables = Tables.from_frames({"person": pd.DataFrame({"member_id": ["a"], "birth_date": None})})
    with pytest.raises(
        TableError, match=r"need the table `eligibility`; these were read: `person`"
    ):
        build_member_months(tables, **WINDOW)


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("2024-03", "2024-01", r"ends \(2024-01\) before it begins \(2024-03\)"),
        ("spring", "2024-01", "'spring' .* is not a month"),
    ],
)
def test_a_window_that_is_none(spans, first, last, message):
    with pytest.raises(TableError, match=message):
        build_member_months(spans, first_month=first, last_month=last)


def test_the_window_must_leave_the_run_out(tables):
    rules = PanelRules(run_out_months=3)
    with pytest.raises(TableError, match=r'data end in 2024-05.*\n.*last_month="2024-02"'):
        build_member_months(tables, **WINDOW, rules=rules)
    panel = build_member_months(tables, first_month="2024-01", last_month="2024-02", rules=rules)
    assert str(panel.last_month) == "2024-02"


def test_the_extract_date_says_when_the_data_end(tables):
    cut = {**tables.manifest, "options": {"extract_date": "2024-04-30"}}
    early = replace(tables, manifest=cut)
    with pytest.raises(TableError, match=r"the data end in 2024-04: .*complete to 2024-02"):
        build_member_months(early, **WINDOW, rules=PanelRules(run_out_months=2))
    late = replace(tables, manifest={**cut, "options": {"extract_date": "2025-04-30"}})
    panel = build_member_months(late, **WINDOW, rules=PanelRules(run_out_months=3))
    assert str(panel.last_month) == WINDOW["last_month"]
