"""How unequal use is and where gaps in access arise: a study's results against counts by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.pipeline.equity import (
    ACCESS_GAPS,
    BEFORE,
    LAST,
    _first_month_served,
    _years,
    measure_disparity,
)
from calaim_eval.results import load_results

RACE = "race_ethnicity"


@pytest.fixture(scope="module")
def use(small_run):
    """Results of the study before disclosure control."""
    return load_results(small_run.study.restricted / "results" / "use")


def spread_by_hand(panel, months: tuple[str, str], *, weights: str) -> tuple[float, float]:
    """Standard deviation between groups and its percent of the mean, ED visits."""
    frame = panel.to_frame(columns=["member_id", "month", RACE, "ed_visits"])
    month = pd.PeriodIndex(frame["month"], freq="M")
    frame = frame[(month >= months[0]) & (month <= months[1])]
    rows = frame.assign(**{RACE: frame[RACE].fillna("unknown")}).groupby(RACE, observed=True)
    months_of, events = rows["ed_visits"].size(), rows["ed_visits"].sum()
    rate = 1000 * events / months_of
    share = months_of / months_of.sum() if weights == "population" else 1 / len(rate)
    mean = float((share * rate).sum())
    sd = float(np.sqrt((share * (rate - mean) ** 2).sum()))
    return sd, 100 * sd / mean


@pytest.mark.parametrize("weights", ["equal", "population"])
@pytest.mark.parametrize(
    ("period", "months"), [(BEFORE, ("2021-01", "2021-12")), (LAST, ("2024-01", "2024-12"))]
)
def test_spread_between_groups_is_that_of_the_counts(small_run, use, period, months, weights):
    table = use["use_disparity"]
    keys = table.keys
    mine = (keys["outcome"] == "ed_visits") & (keys["period"] == period)
    mine &= (keys["weights"] == weights) & (keys["version"] == "plug_in")
    found = dict(zip(keys.loc[mine, "measure"], table.estimate[mine], strict=True))
    sd, percent = spread_by_hand(small_run.panel, months, weights=weights)
    assert found["between_group_sd"] == pytest.approx(sd)
    assert found["coefficient_of_variation"] == pytest.approx(percent)


def test_each_spread_stands_beside_what_chance_gives(use):
    keys = use["use_disparity"].keys
    about = ["outcome", "period", "measure", "weights"]
    assert (keys.groupby(about)["version"].nunique() == 3).all()
    assert set(keys["outcome"]) <= {
        "ed_visits",
        "inpatient_stays",
        "outpatient_visits",
        "ambulance_trips",
    }
    assert any(
        "whether the later one is lower is not tested" in n for n in use["use_disparity"].notes
    )


def test_the_gap_in_access_is_that_of_the_funnel_and_its_stages_add_up(use):
    funnel = use["access_funnel"]
    share = pd.Series(funnel.rate, index=pd.MultiIndex.from_frame(funnel.keys))
    for name, scale in ACCESS_GAPS.items():
        table = use[name]
        rows = table.to_frame().set_index([RACE, "component"])["estimate"]
        for group in table.keys[RACE].unique():
            served, white = share[group, "served"], share["white", "served"]
            parts = rows[group, "outreached"], rows[group, "served"]
            if scale == "difference":
                assert rows[group, "gap"] == pytest.approx(served - white)
                assert sum(parts) == pytest.approx(served - white)
            elif served > 0:
                assert rows[group, "gap"] == pytest.approx(served / white)
                assert np.prod(parts) == pytest.approx(served / white)


def test_disparity_is_hidden_where_a_group_is_small(small_run, use):
    for name in ("use_disparity", *ACCESS_GAPS):
        few = use[name].support["n_members"].to_numpy() < 11
        frame = small_run.released.tables[name].frame
        assert few.any()
        assert frame.loc[few, "is_suppressed"].all()
        assert frame.loc[frame["is_suppressed"], "estimate"].isna().all()
    funnel = small_run.released.tables["access_funnel"].frame
    hidden = set(funnel.loc[funnel["is_suppressed"] & (funnel["stage"] == "served"), RACE])
    gaps = small_run.released.tables["access_gap"].frame
    assert gaps.loc[gaps[RACE].isin(hidden), "is_suppressed"].all()


def test_years_are_whole_and_on_either_side_of_the_first_service():
    months = pd.period_range("2020-06", "2024-10", freq="M")
    panel = SimpleNamespace(observed_months=lambda outcome: months)
    found = _years(panel, "ed_visits", pd.Period("2022-01", "M"))
    assert found == {BEFORE: ("2021-01", "2021-12"), LAST: ("2023-11", "2024-10")}


@pytest.mark.parametrize(
    "months",
    [
        pd.period_range("2021-02", "2024-12", freq="M"),
        pd.period_range("2021-01", "2022-11", freq="M"),
        # A month between is not observed: a year with a hole is no year.
        pd.period_range("2020-12", "2024-12", freq="M").delete(6),
    ],
)
def test_without_two_whole_years_the_outcome_is_left_out(months):
    panel = SimpleNamespace(observed_months=lambda outcome: months)
    with pytest.raises(EstimationError, match=r"does not hold 12 months .* before .*2022-01"):
        _years(panel, "ed_visits", pd.Period("2022-01", "M"))


def served_in(**members: int) -> SimpleNamespace:
    """A panel with so many members first served in each month, and one never."""
    months = [pd.Timestamp(f"{m[1:5]}-{m[5:]}-01") for m, n in members.items() for _ in range(n)]
    frame = pd.DataFrame({"service_month": [*months, pd.NaT]})
    frame = frame.assign(identified_month=pd.Timestamp("2020-01-01"), outreach_month=pd.NaT)
    return SimpleNamespace(exposure_frame=lambda service: frame, n_members=len(frame))


def test_the_first_month_served_is_one_of_11_members():
    panel = served_in(m202006=1, m202110=10, m202203=40, m202201=11)
    assert _first_month_served(panel, "ecm") == pd.Period("2022-01", "M")
    with pytest.raises(DesignError, match="in no month did 11 members"):
        _first_month_served(served_in(m202006=1, m202110=10), "ecm")


def test_a_study_without_exposure_says_why_there_is_none(small_run):
    study = SimpleNamespace(file=SimpleNamespace(exposure=None))
    results, left_out = measure_disparity(study, small_run.panel, {})
    assert results == {}
    assert set(left_out) == {"use_disparity", *ACCESS_GAPS}
    assert "`exposure`" in left_out["use_disparity"]
