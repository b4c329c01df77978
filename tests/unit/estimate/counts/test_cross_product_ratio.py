"""Ratios from cross-products: by hand, by derivative in each member, in small cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel, clustered, influence

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import count_effects, cross_product_ratio
from calaim_eval.moments import CellMoments, reduce_panel

MEMBERS = 80


def reduced(frame: pd.DataFrame, **options: object) -> CellMoments:
    return reduce_panel(
        frame,
        outcomes=["visits", "paid_usd"],
        at_risk="share",
        cluster="county",
        unbalanced="cell_means",
        **options,
    )


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    panel = awkward_panel(21, members=MEMBERS)
    rng = np.random.default_rng(2)
    return panel.assign(share=rng.choice([0.5, 1.0], len(panel)))


def products(
    frame: pd.DataFrame, weight: np.ndarray, *, outcome: str, bases: str, never: bool
) -> dict[tuple[int, int], np.ndarray]:
    """Both products of each cohort and month, member by member, summed over the cells.

    The weights of base months are those of the members as they are: known, like coverage.
    """
    w = weight[frame["member_id"]] * frame["share"]
    events = weight[frame["member_id"]] * frame[outcome]
    found = {}
    for g in (3, 5):
        for t in range(g, 7):
            later = frame["cohort"].isna() if never else ~(frame["cohort"] <= t)
            total = np.zeros(2)
            for cell in "ab":
                inside = frame["risk"] == cell

                def sums(side: pd.Series, month: int, inside=inside) -> tuple[float, float]:
                    rows = inside & side & (frame["month"] == month)
                    return float(events[rows].sum()), float(w[rows].sum())

                def covered(side: pd.Series, month: int, inside=inside) -> float:
                    return float(frame["share"][inside & side & (frame["month"] == month)].sum())

                own = frame["cohort"] == g
                y, r = sums(own, t)
                c, n = sums(later, t)
                above = below = whole = 0.0
                for s in range(g) if bases == "all" else [g - 1]:
                    (y0, r0), (c0, n0) = sums(own, s), sums(later, s)
                    mine, theirs = covered(own, s), covered(later, s)
                    share = mine * theirs / (mine + theirs)
                    whole += share
                    above += share * y * c0 / n0
                    below += share * r * y0 / r0 * c / n
                total += np.array([above, below]) / whole
            found[g, t] = total
    return found


@pytest.mark.parametrize("outcome", ["visits", "paid_usd"])
@pytest.mark.parametrize("bases", ["last", "all"])
@pytest.mark.parametrize("cluster", ["member", "county"])
def test_ratio_and_error_are_the_derivative_in_each_member(
    frame: pd.DataFrame, outcome: str, bases: str, cluster: str
) -> None:
    def written_out(weight: np.ndarray) -> np.ndarray:
        each = products(frame, weight, outcome=outcome, bases=bases, never=False)
        groups = [list(each), [k for k in each if k[0] == 3], [k for k in each if k[0] == 5]]
        sums = [sum(each[k] for k in keys) for keys in groups]
        return np.array([above / below for above, below in sums])

    expected = written_out(np.ones(MEMBERS))
    psi = influence(written_out, MEMBERS)
    county = frame.groupby("member_id")["county"].first().reindex(range(MEMBERS)).to_numpy()
    covariance = clustered(psi, None if cluster == "member" else county)
    options = {"outcome": outcome, "base_months": bases, "cluster": cluster}
    moments = reduced(frame, covariate_cells="risk")
    overall = cross_product_ratio(moments, **options)
    by_cohort = cross_product_ratio(moments, by="cohort", **options)
    np.testing.assert_allclose(overall.estimate, expected[:1], rtol=1e-9)
    np.testing.assert_allclose(by_cohort.estimate, expected[1:], rtol=1e-9)
    np.testing.assert_allclose(overall.std_error**2, covariance[0, 0], rtol=1e-4)
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))[1:, 1:]
    np.testing.assert_allclose(by_cohort.covariance / scale, covariance[1:, 1:] / scale, atol=1e-4)


def test_windows_and_the_never_exposed(frame: pd.DataFrame) -> None:
    each = products(frame, np.ones(MEMBERS), outcome="visits", bases="last", never=True)
    moments = reduced(frame, covariate_cells="risk")
    study = cross_product_ratio(
        moments, outcome="visits", comparison="never_exposed", by="event_time", max_event_time=1
    )
    expected = [sum(each[g, g + e] for g in (3, 5)) for e in (0, 1)]
    assert study.keys["event_time"].tolist() == [0, 1]
    np.testing.assert_allclose(study.estimate, [a / b for a, b in expected], rtol=1e-10)


def test_without_cells_it_is_the_ratio_of_four_rates(frame: pd.DataFrame) -> None:
    moments = reduced(frame)
    options = {"outcome": "visits", "comparison": "never_exposed", "by": "cohort_month"}
    ours = cross_product_ratio(moments, **options)
    other = count_effects(moments, **options)
    after = other.select((other.keys["month"] >= other.keys["cohort"]).to_numpy())
    np.testing.assert_allclose(ours.estimate, after.estimate, rtol=1e-9)
    np.testing.assert_allclose(ours.covariance, after.covariance, rtol=1e-7, atol=1e-12)


def growing(rng: np.random.Generator, *, size: int, cells: int) -> CellMoments:
    """Cells of so many members a side; each grows by a factor of its own."""
    cell, side, _, month = np.indices((cells, 2, size, 4))
    level = 0.35 * rng.gamma(4.0, 0.25, cells)[:, None, None, None]
    growth = np.exp(rng.normal(0.1, 0.3, cells))[:, None, None, None] ** month
    # More are exposed where use grows: common months would take that for an effect.
    moved = np.where(side == 1, 1.5, 1.0)
    rate = level * moved * growth * np.where((side == 1) & (month >= 2), 0.8, 1.0)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(2 * cells * size), 4),
            "month": month.ravel(),
            "cohort": np.where(side == 1, 2.0, np.nan).ravel(),
            "cell": cell.ravel(),
            "visits": rng.poisson(rate).ravel(),
        }
    )
    return reduce_panel(frame, outcomes=["visits"], covariate_cells="cell")


@pytest.mark.parametrize("bases", ["last", "all"])
def test_small_cells_that_grow_in_their_own_way_leave_no_bias(bases: str) -> None:
    found, errors = [], []
    for seed in range(40):
        moments = growing(np.random.default_rng(seed), size=10, cells=60)
        table = cross_product_ratio(moments, outcome="visits", base_months=bases)
        found.append(table.estimate[0])
        errors.append(table.std_error[0] / table.estimate[0])
    off = np.log(np.array(found) / 0.8)
    # A log ratio of sums has a bias of the order of its variance.
    assert abs(off.mean()) < 3.5 * off.std(ddof=1) / np.sqrt(40) + off.var()
    # The spread of 40 draws is known to 1/sqrt(78); errors may be too large, not too small.
    ratio = np.sqrt(np.mean(np.square(errors))) / off.std(ddof=1)
    assert 1 - 3.5 / np.sqrt(78) < ratio < 2


def test_no_event_among_the_exposed_is_ratio_zero_without_error(frame: pd.DataFrame) -> None:
    emptied = frame.assign(visits=frame["visits"].where(~(frame["month"] >= frame["cohort"]), 0))
    table = cross_product_ratio(reduced(emptied), outcome="visits")
    assert table.estimate.tolist() == [0.0]
    assert np.isnan(table.std_error).all()


def test_what_is_refused(frame: pd.DataFrame) -> None:
    moments = reduced(frame)
    with pytest.raises(EstimationError, match="base_months: 'first' is not one of"):
        cross_product_ratio(moments, outcome="visits", base_months="first")
    with pytest.raises(EstimationError, match="by: 'year' is not one of"):
        cross_product_ratio(moments, outcome="visits", by="year")
    with pytest.raises(DesignError, match="Widen"):
        cross_product_ratio(moments, outcome="visits", min_event_time=9)
    before = frame.assign(visits=frame["visits"].where(frame["month"] >= frame["cohort"], 0))
    with pytest.raises(DesignError, match="no event is expected"):
        cross_product_ratio(reduced(before), outcome="visits")
    negative = frame.assign(visits=frame["visits"] - 1)
    with pytest.raises(EstimationError, match="values below 0"):
        cross_product_ratio(reduced(negative), outcome="visits")
