"""Use of all members before and after a declared month: what is fitted, released and shown."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from calaim_eval.disclosure import release
from calaim_eval.estimate import interrupted_time_series
from calaim_eval.panel import MemberMonths
from calaim_eval.pipeline.statewide_series import measure_statewide_series, monthly_totals
from calaim_eval.report import Absent, figures, tables
from calaim_eval.study.model import StatewideSeries

MONTHS = pd.period_range("2021-01", "2023-06", freq="M")
BREAK = 12


@pytest.fixture(scope="module")
def panel() -> MemberMonths:
    """150 members, some covered later; jail days of one member only."""
    rng = np.random.default_rng(1)
    rate = 0.5 + 0.01 * np.arange(len(MONTHS)) - 0.3 * (np.arange(len(MONTHS)) >= BREAK)
    rows = [
        (f"m{i}", month, rng.poisson(rate[t]))
        for i in range(150)
        for t, month in enumerate(MONTHS)
        if t >= i % 3
    ]
    frame = pd.DataFrame(rows, columns=["member_id", "month", "ed_visits"])
    frame["jail_days"] = ((frame["member_id"] == "m3") & (frame["ed_visits"] > 0)).astype(int)
    frame["month"] = frame["month"].dt.to_timestamp()
    return MemberMonths.from_frames(
        frame.assign(covered_days=28), feeds=("program_service", "custody", "feed_coverage")
    )


def study(**options: object) -> SimpleNamespace:
    asked = StatewideSeries(break_month="2022-01", **options)
    file = SimpleNamespace(statewide_series=asked, outcomes=("ed_visits", "jail_days"))
    return SimpleNamespace(file=file, disclosure_policy="calhhs_ddg_2")


def test_totals_are_those_of_the_member_months(panel):
    frame = panel.to_frame(["member_id", "month", "ed_visits"])
    expected = frame.groupby("month")["ed_visits"].agg(["sum", "count"])
    found = monthly_totals(panel, ["ed_visits"])["ed_visits"]
    assert found["total"].tolist() == expected["sum"].tolist()
    assert found["member_months"].tolist() == expected["count"].tolist()
    assert found["month"].tolist() == list(MONTHS)
    assert (found["with_use"] <= found["total"]).all()


@pytest.mark.parametrize("phase_in", [0, 3])
def test_terms_are_those_of_the_segmented_regression(panel, phase_in):
    results, left_out = measure_statewide_series(study(phase_in_months=phase_in), panel)
    assert left_out == {}
    table = results["statewide_series"]
    own = table.select(table.keys["outcome"] == "ed_visits")
    frame = panel.to_frame(["member_id", "month", "ed_visits"])
    frame = frame.groupby("month", as_index=False)["ed_visits"].agg(["sum", "count"])
    direct = interrupted_time_series(
        frame.rename(columns={"sum": "visits", "count": "months"}),
        outcome="visits",
        break_month="2022-01",
        phase_in_months=phase_in,
        member_months="months",
        per=1000,
    )
    terms = direct.to_frame().set_index("term")
    assert own.keys["term"].tolist() == ["level_change", "slope_change", "average_effect"]
    expected = terms.loc[own.keys["term"]]
    np.testing.assert_allclose(own.estimate, expected["estimate"], rtol=1e-10)
    np.testing.assert_allclose(own.std_error, expected["std_error"], rtol=1e-10)
    assert not table.estimand.is_causal
    assert any("not causal alone" in note for note in table.notes)
    # What disclosure control reads: the smallest month with any use, for the outcome as a whole.
    months = panel.to_frame(["month", "ed_visits"]).groupby("month")["ed_visits"]
    with_use = months.agg(lambda visits: (visits > 0).sum())
    for each in (own, results["statewide_series_lines"]):
        assert each.support["n_events"].iloc[0] == with_use.min()
        assert each.support["n_members"].iloc[0] == months.count().min()


def test_lines_are_what_was_observed_and_where_the_earlier_line_leads(panel):
    results, _ = measure_statewide_series(study(), panel)
    lines = results["statewide_series_lines"]
    frame = lines.keys.assign(rate=lines.estimate).query("outcome == 'ed_visits'")
    wide = frame.pivot_table(index="month", columns="line", values="rate")
    months = panel.to_frame(["month", "ed_visits"]).groupby("month")["ed_visits"]
    # 11 visits among the 50 members of the first month are 220 per 1,000: steps of 500.
    assert months.count().min() == 50
    assert wide["observed"].tolist() == (500 * (2 * months.mean()).round()).tolist()
    table = results["statewide_series"]
    step = table.estimate[(table.keys["outcome"] == "ed_visits").to_numpy()][0]
    at_break = wide.loc["2022-01"]
    assert at_break["fitted"] - at_break["earlier_line"] == pytest.approx(step)
    assert np.isnan(lines.std_error).all()


def test_too_few_months_are_refused_with_the_reason(panel):
    asked = study(phase_in_months=14)
    results, left_out = measure_statewide_series(asked, panel)
    assert results == {}
    assert "months" in left_out["statewide_series"]


def test_an_outcome_known_in_no_month_is_left_out_and_the_others_stay(panel):
    frame = panel.to_frame(["member_id", "month", "ed_visits"]).assign(jail_days=np.nan)
    unknown = MemberMonths.from_frames(
        frame.assign(covered_days=28), feeds=("program_service", "custody", "feed_coverage")
    )
    results, left_out = measure_statewide_series(study(), unknown)
    assert set(results["statewide_series"].keys["outcome"]) == {"ed_visits"}
    assert "`jail_days` is not known in any month" in left_out["statewide_series"]


def test_without_the_section_there_is_nothing(panel):
    bare = SimpleNamespace(file=SimpleNamespace(statewide_series=None, outcomes=("ed_visits",)))
    assert measure_statewide_series(bare, panel) == ({}, {})


def test_what_is_released_is_shown_and_small_numbers_are_not(panel, tmp_path):
    results, _ = measure_statewide_series(study(), panel)
    released = release(results, quarter="2024Q4")
    frame = released.tables["statewide_series"].frame
    hidden = frame.groupby("outcome")["is_suppressed"].all()
    assert hidden.to_dict() == {"ed_visits": False, "jail_days": True}
    figure = figures.statewide_series(released, outcomes=["ed_visits"])
    assert "the line of the 12 months before" in figure.caption
    assert "not an effect" in figure.caption
    assert "the earlier line at" in figure.alt_text
    assert figure.save(tmp_path / "series.png").exists()
    html = tables.statewide_series_table(released).to_html()
    assert "Not causal alone" in html
    lines = released.tables["statewide_series_lines"].frame
    assert lines.loc[lines["outcome"] == "jail_days", "is_suppressed"].all()
    assert isinstance(figures.statewide_series(released, outcomes=["jail_days"]), Absent)
    both = figures.statewide_series(released, outcomes=["ed_visits", "jail_days"])
    assert both.caption.endswith("1 outcome is not shown (small numbers).")
    empty = release({}, quarter="2024Q4")
    assert isinstance(figures.statewide_series(empty), Absent)
    assert isinstance(tables.statewide_series_table(empty), Absent)


def test_a_break_that_is_no_month_is_refused():
    with pytest.raises(ValidationError, match="not a month"):
        StatewideSeries(break_month="January")
