"""Raw files to release: what a newcomer's `calaim-eval run` does, short of rendering."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from calaim_eval import cli
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate import power_before_exposure
from calaim_eval.moments import load_moments
from calaim_eval.pipeline import (
    build_moments,
    estimate_effects,
    release_quarter,
)
from calaim_eval.pipeline.power import say_power
from calaim_eval.report import EXPECTED_ITEMS
from calaim_eval.results import load_results
from calaim_eval.study import init_study, read_study

QUARTER = "2024Q4"


def test_every_item_of_a_report_is_released_or_its_absence_explained(small_run):
    absent = set(EXPECTED_ITEMS) - set(small_run.released.tables)
    assert absent <= set(small_run.released.provenance["left_out"])
    assert set(small_run.names) == set(small_run.released.tables)


def test_every_injected_defect_is_counted(small_run):
    injected = small_run.simulated.injected
    ledger = small_run.tables.ledger.to_frame()
    claims = ledger[(ledger["table"] == "medical_claim") & (ledger["stage"] == "read")]
    by_reason = claims.set_index("reason")["n_rows"]
    assert by_reason["exact duplicate"] == injected["claim_lines_duplicated"]
    assert by_reason["member not in `eligibility`"] == injected["claim_lines_of_unknown_member"]
    assert by_reason.sum() == small_run.simulated.n_rows["medical_claim"]


def test_no_small_count_of_members_is_shown(small_run):
    for table in small_run.released.tables.values():
        frame = table.frame
        if table.kind != "rate" or table.meta["about"] == "organizations":
            continue
        shown = frame[~frame["is_suppressed"]]
        for column in ("numerator", "denominator"):
            values = shown[column].dropna().to_numpy()
            assert not ((values >= 1) & (values <= 10)).any(), table.name
        hidden = frame[frame["is_suppressed"]]
        assert hidden[["numerator", "rate", "conf_low", "conf_high"]].isna().all(axis=None)


def test_effects_on_few_members_are_not_shown(small_run):
    effects = load_results(small_run.study.restricted / "results" / "effects")
    for name, table in effects.items():
        if getattr(table, "about", "members") == "organizations":
            continue  # deals of the counties, not members
        few = table.support["n_members"].to_numpy() < 11
        frame = small_run.released.tables[name].frame
        assert len(frame) == len(table)
        assert frame.loc[few, "is_suppressed"].all(), name
        numbers = list(getattr(table, "arrays", ["estimate"]))  # bounds have no estimate
        assert frame.loc[frame["is_suppressed"], numbers].isna().all(axis=None), name


def test_an_unchanged_quarter_can_be_released_again(small_run):
    folder = small_run.study.release_folder(QUARTER) / "tables"
    before = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    release_quarter(small_run.study, QUARTER)
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == before


def test_a_release_says_what_it_was_made_from(small_run):
    made_from = small_run.released.provenance
    assert made_from["is_simulated"] is True
    assert made_from["study_file_sha256"] == small_run.study.sha256
    for name in ("input_manifest_sha256", "code_lists_sha256", "code_sha256"):
        assert len(made_from[name]) == 64


def test_nothing_in_the_release_names_a_member(small_run):
    members = set(small_run.tables.frame("person", columns=["member_id"])["member_id"])
    some = sorted(members)[:50]
    for path in (small_run.study.folder / "release").rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert not any(member in text for member in some), path.name


def test_pooling_with_other_moments_is_adding_them(small_run):
    paths, _ = build_moments(small_run.study, small_run.panel)
    main = next(p for p in paths["first_service"] if p.name == "first_service.moments")
    alone, _ = estimate_effects(small_run.study, paths)
    doubled, reasons = estimate_effects(small_run.study, paths, pooled_with=[main])
    once, twice = (
        effects["effect_event_study"].select(
            effects["effect_event_study"].keys["outcome"] == "ed_visits"
        )
        for effects in (alone, doubled)
    )
    # Everybody twice: the same estimates, variances halved.
    np.testing.assert_allclose(twice.estimate, once.estimate)
    np.testing.assert_allclose(twice.std_error, once.std_error / np.sqrt(2))
    assert "county_phase" not in doubled
    # Readmissions are in a file of their own, which was not shared.
    assert "readmissions_30d" not in set(doubled["effect_overall"].keys["outcome"])
    assert "readmissions_30d" in reasons["pooled"]


def test_moments_of_other_outcomes_cannot_be_pooled(small_run, tmp_path):
    paths, _ = build_moments(small_run.study, small_run.panel)
    one = load_moments(paths["first_service"][0])
    from calaim_eval.moments import reduce_panel
    from calaim_eval.pipeline.designs import exposure_design

    design = exposure_design(small_run.study, small_run.panel, anchor="first_service")
    other = reduce_panel(
        design, outcomes=["ed_visits"], stratum="race_ethnicity", unbalanced="cell_means"
    )
    assert other.outcomes != one.outcomes
    with pytest.raises(EstimationError, match="the same `outcomes`"):
        estimate_effects(
            small_run.study, paths, pooled_with=[other.save(tmp_path / "other.moments")]
        )


def test_results_of_another_study_file_are_not_released(small_run):
    path = small_run.study.path
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("lookback_months = 6 ", "lookback_months = 7 "), encoding="utf-8")
    try:
        with pytest.raises(TableError, match="before the study file changed"):
            release_quarter(read_study(path), QUARTER)
    finally:
        path.write_text(text, encoding="utf-8")


def test_a_quarter_whose_integration_was_not_measured_is_not_released(small_run):
    with pytest.raises(TableError, match=r"integration --quarter 2024Q3.*nothing was released"):
        release_quarter(small_run.study, "2024Q3")
    assert not small_run.study.release_folder("2024Q3").exists()


def test_a_release_without_results_says_what_to_run(tmp_path):
    study = read_study(init_study(tmp_path))
    with pytest.raises(TableError, match="calaim-eval run"):
        release_quarter(study, QUARTER)


def test_the_ledger_of_releases_grows_by_one_line_a_release(small_run):
    ledger = small_run.study.folder / "release" / "ledger.jsonl"
    lines = ledger.read_text(encoding="utf-8").splitlines()
    release_quarter(small_run.study, QUARTER)
    after = ledger.read_text(encoding="utf-8").splitlines()
    assert after[: len(lines)] == lines
    assert len(after) == len(lines) + 1
    assert json.loads(after[-1])["entry"]["quarter"] == QUARTER


def test_the_command_shares_no_cell_of_few_members(small_run, tmp_path, monkeypatch, capsys):
    """5,000 members leave next to no cell of a month of eligibility and a cohort with 11."""
    out = tmp_path / "plan.moments"
    arguments = ["moments", str(small_run.study.path), "--share", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["calaim-eval", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 0
    whole = load_moments(build_moments(small_run.study, small_run.panel)[0]["first_service"][0])
    shared = load_moments(out)
    assert (whole.n_members < 11).any()
    assert len(shared) < len(whole)
    assert shared.n_members.min() >= 11
    assert shared.at_risk[shared.at_risk > 0].min() >= 11
    assert "were not shared" in capsys.readouterr().out


def test_share_without_a_file_is_refused(small_run, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["calaim-eval", "moments", str(small_run.study.path), "--share"]
    )
    with pytest.raises(SystemExit):
        cli.main()
    assert "--share --out FILE" in capsys.readouterr().err


def test_what_could_be_detected_is_said_before_estimates(small_run, caplog):
    paths, _ = build_moments(small_run.study, small_run.panel)
    with caplog.at_level("INFO", logger="calaim_eval.pipeline.power"):
        lines = say_power(small_run.study, paths)
    (ed_visits,) = [line for line in lines if line.startswith("ed_visits")]
    whole = load_moments(paths["first_service"][0]).pooled()
    table = power_before_exposure(whole, outcome="ed_visits", follow_up_months=6, per=1000)
    assert f"{table.to_frame()['mde'].iloc[0]:,.1f} " in ed_visits
    assert ed_visits in caplog.text
    assert say_power(small_run.study, {}) == []
