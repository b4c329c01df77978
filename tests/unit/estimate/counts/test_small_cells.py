"""Months common to covariate cells, and how biased those of each cell are where cells are small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from weighted_members import awkward_panel

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import count_effects
from calaim_eval.estimate.counts.small_cells import excess_expected, small_cell_words
from calaim_eval.estimate.two_way.two_way_effects import two_way_effects
from calaim_eval.moments import CellMoments, reduce_panel


def panel(seed: int, *, members: int = 120) -> pd.DataFrame:
    frame = awkward_panel(seed, members=members, gap=0.15)
    rng = np.random.default_rng(seed)
    return frame.assign(
        visits=frame["visits"] + rng.poisson(1.0, len(frame)),
        share=rng.choice([0.25, 0.5, 1.0], len(frame)),
    )


def reduced(frame: pd.DataFrame, **options: object) -> CellMoments:
    return reduce_panel(
        frame, outcomes=["visits"], at_risk="share", unbalanced="cell_means", **options
    )


def test_common_months_are_a_poisson_regression_with_cohorts_of_each_cell() -> None:
    frame = panel(5)
    cohort = frame["cohort"].fillna(-1)
    unit = pd.get_dummies(cohort.astype(str) + frame["risk"].astype(str), dtype=float)
    month = pd.get_dummies(frame["month"], drop_first=True, dtype=float)
    is_exposed = frame["month"] >= frame["cohort"]
    labels = cohort.astype(str) + "|" + frame["month"].astype(str) + "|" + frame["risk"].astype(str)
    terms = pd.get_dummies(labels.where(is_exposed), dtype=float)
    x = np.hstack([unit, month, terms])
    groups = pd.factorize(frame["member_id"])[0]
    fit = sm.GLM(
        frame["visits"], x, family=sm.families.Poisson(), offset=np.log(frame["share"])
    ).fit(tol=1e-14, cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    n_terms = terms.shape[1]
    without = np.hstack([x[:, :-n_terms], np.zeros_like(terms)])[is_exposed]
    at_risk = frame["share"].to_numpy()[is_exposed]
    mu1 = at_risk * np.exp(x[is_exposed] @ fit.params.to_numpy())
    mu0 = at_risk * np.exp(without @ fit.params.to_numpy())
    ratio = mu1.sum() / mu0.sum()
    gradient = mu1 @ x[is_exposed] / mu0.sum() - ratio * (mu0 @ without) / mu0.sum()
    error = np.sqrt(gradient @ fit.cov_params().to_numpy() @ gradient)
    found = count_effects(
        reduced(frame, covariate_cells="risk"),
        outcome="visits",
        month_effects="common",
        weights="given",
    )
    assert found.estimate == pytest.approx([ratio], abs=1e-9)
    assert found.std_error == pytest.approx([error], abs=1e-9)


def test_without_covariate_cells_both_are_the_same() -> None:
    moments = reduced(panel(6))
    own, common = (
        count_effects(moments, outcome="visits", by="cohort_month", month_effects=kind)
        for kind in ("by_cell", "common")
    )
    np.testing.assert_array_equal(own.estimate, common.estimate)
    np.testing.assert_array_equal(own.covariance, common.covariance)


def test_a_quotient_of_three_counts_is_too_large_by_one_over_its_denominator() -> None:
    # Exposed before 6; comparison before 5, after 8: E[x y / z] = xy/z (1 + 1/z + ...).
    unit, month, events = np.array([0, 1, 1]), np.array([0, 0, 1]), np.array([6.0, 5.0, 8.0])
    effects = two_way_effects(unit, month, events, n_units=2, n_months=2)
    bias = excess_expected(effects, np.array([0]), np.array([1]), np.array([6 * 8 / 5]))
    assert bias == pytest.approx(1 / 5, abs=1e-12)


def test_the_bias_is_that_of_the_written_out_regression() -> None:
    rng = np.random.default_rng(1)
    unit, month = (grid.ravel() for grid in np.meshgrid(range(4), range(6), indexing="ij"))
    is_fitted = (month < 2 + unit) | (unit == 3)
    x = np.hstack([np.eye(4)[unit], np.eye(6)[month][:, 1:]])
    events = rng.uniform(1, 9, 4)[unit] * rng.uniform(1, 2, 6)[month]
    own, weight = x[is_fitted], events[is_fitted]
    inverse = np.linalg.inv(own.T @ (weight[:, None] * own))
    leverage = np.einsum("ij,jk,ik->i", own, inverse, own)
    bias = -inverse @ own.T @ (weight * leverage) / 2
    other = x[~is_fitted]
    relative = np.einsum("ij,jk,ik->i", other, inverse, other) / 2 + other @ bias
    effects = two_way_effects(unit[is_fitted], month[is_fitted], weight, n_units=4, n_months=6)
    found = excess_expected(effects, unit[~is_fitted], month[~is_fitted], events[~is_fitted])
    assert found == pytest.approx(events[~is_fitted] @ relative / events[~is_fitted].sum())


def growing(rng: np.random.Generator, *, size: int, cells: int = 60) -> pd.DataFrame:
    """Exposed and comparison in cells of so many members a side; growth is alike in all."""
    shape = (cells, 2, size, 4)
    cell, side, _, month = np.indices(shape)
    level = 0.35 * rng.gamma(4.0, 0.25, cells)[:, None, None, None]
    rate = level * (1 + month / 10) * np.where((side == 1) & (month >= 2), 0.8, 1.0)
    return pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(2 * cells * size), 4),
            "month": month.ravel(),
            "cohort": np.where(side == 1, 2.0, np.nan).ravel(),
            "cell": cell.ravel(),
            "visits": rng.poisson(rate).ravel(),
        }
    )


def of_growing(frame: pd.DataFrame) -> CellMoments:
    return reduce_panel(frame, outcomes=["visits"], covariate_cells="cell")


def test_common_months_have_no_bias_in_small_cells_and_own_months_do() -> None:
    off: dict[str, list[float]] = {"by_cell": [], "common": []}
    for seed in range(30):
        moments = of_growing(growing(np.random.default_rng(seed), size=10))
        for kind, found in off.items():
            effect = count_effects(
                moments, outcome="visits", comparison="never_exposed", month_effects=kind
            )
            found.append(np.log(effect.estimate[0] / 0.8))
    common, own = np.array(off["common"]), np.array(off["by_cell"])
    # A log ratio of sums has a bias of the order of its variance.
    assert abs(common.mean()) < 3.5 * common.std(ddof=1) / np.sqrt(30) + common.var()
    assert own.mean() < -5 * own.std(ddof=1) / np.sqrt(30)


@pytest.mark.parametrize(
    ("events", "cells", "kind", "expected"),
    [
        (3, 30, "by_cell", "more than 25 %"),  # one over three
        (3, 30, "common", None),  # one over ninety
        (3, 8, "common", "2 to 5 %"),  # one over twenty-four
        (60, 4, "by_cell", None),
    ],
)
def test_few_comparison_events_are_told(
    events: int, cells: int, kind: str, expected: str | None
) -> None:
    # Two members a side and two months; the comparison has so many events in the first.
    totals = {1.0: (4, 6), np.nan: (events, 5)}
    frame = pd.DataFrame(
        [
            (f"{cell} {cohort} {member}", month, cohort, cell, visits - 1 if member else 1)
            for cell in range(cells)
            for cohort, pair in totals.items()
            for member in range(2)
            for month, visits in enumerate(pair)
        ],
        columns=["member_id", "month", "cohort", "cell", "visits"],
    )
    effect = count_effects(
        of_growing(frame), outcome="visits", comparison="never_exposed", month_effects=kind
    )
    start = "Growth without exposure is estimated from few"
    notes = [note for note in effect.notes if note.startswith(start)]
    assert len(notes) == (expected is not None)
    assert all(note.endswith(f"more) by: {expected}.") for note in notes)


def test_bands_of_the_bias() -> None:
    words = [small_cell_words(bias) for bias in (0.0, 0.019, 0.02, 0.07, 0.1, 0.3)]
    assert words == ["", "", "2 to 5 %", "5 to 10 %", "10 to 25 %", "more than 25 %"]


def test_refuses_an_unknown_kind_of_month_effects() -> None:
    with pytest.raises(EstimationError, match="month_effects: 'cells' is not one of"):
        count_effects(reduced(panel(6)), outcome="visits", month_effects="cells")
