"""Unit and month effects: against dummy columns, in pieces, and where nothing is told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dummy_regressions import dummies

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.two_way.two_way_effects import ABSENT, two_way_effects
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor, fit_two_way


def rows_with_gaps(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    unit, month = np.divmod(np.arange(30 * 6), 6)
    kept = rng.random(len(unit)) < 0.6
    unit, month = unit[kept], month[kept]
    return unit, month, rng.uniform(0.5, 2, len(unit)), rng.normal(size=(len(unit), 3))


@pytest.mark.parametrize("seed", range(3))
def test_residuals_are_those_of_dummies(seed: int) -> None:
    unit, month, weight, values = rows_with_gaps(seed)
    effects = two_way_effects(unit, month, weight, n_units=31, n_months=7)
    full = np.sqrt(weight)[:, None] * dummies(pd.Series(unit), pd.Series(month))
    root = np.sqrt(weight)[:, None] * values
    expected = (root - full @ np.linalg.pinv(full) @ root) / np.sqrt(weight)[:, None]
    assert effects.residual(values) == pytest.approx(expected, abs=1e-10)
    assert effects.n_effects == np.linalg.matrix_rank(full)
    # A unit and a month without rows have no effect.
    assert effects.unit_component[30] == ABSENT
    assert effects.month_component[6] == ABSENT


def test_pieces_without_a_link_are_apart() -> None:
    # Units 0, 1 are seen in months 0, 1 only; units 2, 3 in months 2, 3 only.
    unit = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    month = np.array([0, 1, 0, 1, 2, 3, 2, 3])
    effects = two_way_effects(unit, month, np.ones(8), n_units=4, n_months=4)
    assert effects.n_effects == 6
    assert effects.identifies(np.array([0, 1, 0, 2]), np.array([0, 1, 2, 3])).tolist() == [
        True,
        True,
        False,
        True,
    ]
    y = np.array([1.0, 2, 3, 4, 10, 20, 30, 40])[:, None]
    assert effects.residual(y) == pytest.approx(0, abs=1e-12)


def test_whole_numbers_are_solved_as_amounts_are() -> None:
    # Two units with totals 3 and 7, two months with totals 4 and 6.
    effects = two_way_effects(
        np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.ones(4), n_units=2, n_months=2
    )
    of_unit, of_month = effects.solve(np.array([[3], [7]]), np.array([[4], [6]]))
    fitted = of_unit + of_month.T
    # Row means 1.5 and 3.5, column means 2 and 3, grand mean 2.5.
    assert fitted == pytest.approx(np.array([[1.0, 2.0], [3.0, 4.0]]))


def test_no_column_at_all() -> None:
    effects = two_way_effects(
        np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.ones(4), n_units=2, n_months=2
    )
    fit = fit_two_way(effects, np.array([1.0, 2, 3, 5]), np.zeros((4, 0)), [])
    # Row means 1.5 and 4, column means 2 and 3.5, grand mean 2.75.
    assert fit.fitted == pytest.approx([0.75, 2.25, 3.25, 4.75])


def test_columns_the_effects_explain_are_named() -> None:
    unit, month, weight, values = rows_with_gaps(1)
    effects = two_way_effects(unit, month, weight, n_units=30, n_months=6)
    y = values[:, 0]
    constant_in_unit = (unit % 3).astype(float)[:, None]
    with pytest.raises(DesignError, match=r"`exposed` can't be told .* \(1 of 1 terms\)"):
        fit_two_way(effects, y, constant_in_unit, ["exposed"])
    with pytest.raises(EstimationError, match=r"`age` can't be told .* drop it"):
        fit_two_way(
            effects,
            y,
            np.hstack([values[:, 1:2], constant_in_unit]),
            ["exposed", "age"],
            n_covariates=1,
        )
    twice = np.hstack([values[:, 1:2], values[:, 1:2] * 2 + constant_in_unit])
    with pytest.raises(DesignError, match=r"`a`, `b` can't be told"):
        fit_two_way(effects, y, twice, ["a", "b"])


def test_small_sample_factor() -> None:
    # 50 clusters, 550 rows, one term and 11 months: R fixest's factor of the castle regression.
    assert crv1_factor(50, 550, 12) == pytest.approx(50 / 49 * 549 / 538)
    assert np.isnan(crv1_factor(1, 10, 2))
    assert np.isnan(crv1_factor(5, 10, 10))
