"""Amounts from cluster sums: a cell-month without spending stays one when it is added up anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import DesignError
from calaim_eval.estimate import (
    cluster_jackknife,
    count_effects,
    leave_one_cluster_out,
    randomization_test,
    two_way_poisson,
)
from calaim_eval.estimate.cell_grid import stratum_grids
from calaim_eval.estimate.inference.cluster_moments import without_cluster
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

MONTHS = 6


def paid_panel() -> pd.DataFrame:
    """Eight counties, four exposed; the cohort of month 5 spends nothing before exposure."""
    rng = np.random.default_rng(1)
    county = rng.integers(0, 8, 240)
    cohort = np.where(county < 4, np.where(county % 2 == 0, 4.0, 5.0), np.nan)
    paid = rng.gamma(0.3, 300, size=(240, MONTHS)).round(2)
    paid *= rng.random((240, MONTHS)) < 0.4
    paid[cohort == 5, :4] = 0
    return pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(240), MONTHS),
            "month": np.tile(np.arange(1, MONTHS + 1), 240),
            "cohort": np.repeat(cohort, MONTHS),
            "county": np.repeat([f"county {c}" for c in county], MONTHS),
            "paid_usd": paid.ravel(),
        }
    )


def reduced(frame: pd.DataFrame) -> CellMoments:
    return reduce_panel(frame, outcomes=["paid_usd"], cluster="county")


def counted(moments: CellMoments) -> EffectTable:
    return count_effects(moments, outcome="paid_usd", cluster="county")


def two_way(moments: CellMoments) -> EffectTable:
    return two_way_poisson(moments, outcome="paid_usd", fixed_effects="cohort", cluster="county")


def refits(frame: pd.DataFrame, estimate) -> np.ndarray:
    """Estimates of panels without the members of each county in turn."""
    counties = sorted(frame["county"].unique())
    return np.array([estimate(reduced(frame[frame["county"] != c])).estimate for c in counties])


def test_the_panel_is_centred_and_its_rebuilt_levels_are_exact_zeros() -> None:
    frame = paid_panel()
    moments = reduced(frame)
    assert moments.outcome_moments("paid_usd").shift != 0
    for left_out in range(8):
        grid = stratum_grids(without_cluster(moments, left_out), "paid_usd")[0]
        rest = frame[frame["county"] != f"county {left_out}"]
        by_cohort = np.stack(
            [
                own.groupby("month")["paid_usd"].sum()
                for own in (
                    rest[rest["cohort"].isna()],
                    *(rest[rest["cohort"] == c] for c in (4, 5)),
                )
            ]
        )
        assert grid.level[:, 0] == pytest.approx(by_cohort, rel=1e-9)
        assert ((grid.level[:, 0] == 0) == (by_cohort == 0)).all()


@pytest.mark.parametrize("estimate", [counted, two_way])
def test_without_a_county_it_is_the_estimate_of_the_other_members(estimate) -> None:
    frame = paid_panel()
    found = leave_one_cluster_out(reduced(frame), estimate)
    assert found.estimates == pytest.approx(refits(frame, estimate), rel=1e-9)


def test_a_term_without_spending_is_refused_also_without_a_county() -> None:
    # Four months before exposure there is the silent cohort only.
    fewer = without_cluster(reduced(paid_panel()), 7)
    with pytest.raises(DesignError, match="event_time -4`: no event on one side"):
        two_way_poisson(
            fewer, outcome="paid_usd", fixed_effects="cohort", cluster="county", by="event_time"
        )


def test_jackknife_by_hand() -> None:
    frame = paid_panel()
    table = cluster_jackknife(reduced(frame), counted)
    changes = refits(frame, counted)[:, 0] - table.estimate[0]
    assert table.covariance[0, 0] == pytest.approx(7 / 8 * changes @ changes)


@pytest.mark.parametrize("estimate", [counted, two_way])
def test_randomization_begins_from_the_estimate(estimate) -> None:
    moments = reduced(paid_panel())
    found = randomization_test(moments, estimate, rng=np.random.default_rng(2), draws=2)
    assert found["estimate"].to_numpy() == pytest.approx(estimate(moments).estimate, rel=1e-9)
