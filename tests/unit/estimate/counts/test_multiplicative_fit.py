"""Log-link fits on rows of sums: margins, and which rows have no finite rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.counts.multiplicative_fit import fit_levels, is_separated

N_UNITS, N_MONTHS = 4, 5
SIZES = {"n_units": N_UNITS, "n_months": N_MONTHS}


def random_rows(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Some of the unit-months, few of them with events."""
    rng = np.random.default_rng(seed)
    unit, month = np.nonzero(rng.random((N_UNITS, N_MONTHS)) < 0.7)
    total = np.where(rng.random(len(unit)) < 0.45, rng.integers(1, 9, len(unit)), 0)
    return unit, month, total.astype(float)


@pytest.mark.parametrize("seed", range(25))
def test_separated_rows_are_those_no_table_with_the_same_margins_can_fill(seed: int) -> None:
    unit, month, total = random_rows(seed)
    margins = np.zeros((N_UNITS + N_MONTHS, len(unit)))
    margins[unit, np.arange(len(unit))] = 1
    margins[N_UNITS + month, np.arange(len(unit))] = 1
    expected = []
    for row in range(len(unit)):
        objective = -np.eye(len(unit))[row]
        found = linprog(objective, A_eq=margins, b_eq=margins @ total, method="highs")
        expected.append(-found.fun < 1e-9)
    np.testing.assert_array_equal(is_separated(unit, month, total, **SIZES), expected)


def test_a_row_is_separated_though_its_unit_and_month_have_events() -> None:
    # Month 1 has the events of the second unit only, so nothing is left for the first.
    unit, month = np.array([0, 0, 1]), np.array([0, 1, 1])
    found = is_separated(unit, month, np.array([3.0, 0.0, 5.0]), **SIZES)
    assert found.tolist() == [False, True, False]


@pytest.mark.parametrize("seed", range(10))
def test_fitted_events_have_the_margins_of_the_data(seed: int) -> None:
    unit, month, total = random_rows(seed)
    at_risk = np.random.default_rng(seed).uniform(0.5, 500, len(unit))
    kept = ~is_separated(unit, month, total, **SIZES)
    unit, month, total, at_risk = unit[kept], month[kept], total[kept], at_risk[kept]
    model = fit_levels(unit, month, at_risk, total, link="log", **SIZES)
    fitted = at_risk * model.rate(unit, month)
    for code, n in ((unit, N_UNITS), (month, N_MONTHS)):
        np.testing.assert_allclose(
            np.bincount(code, fitted, n), np.bincount(code, total, n), atol=1e-8
        )


def test_loads_are_derivatives_of_expected_rates() -> None:
    unit, month = (a.ravel() for a in np.indices((N_UNITS, N_MONTHS)))
    rng = np.random.default_rng(2)
    total, at_risk = rng.gamma(2.0, 3.0, len(unit)), rng.uniform(0.5, 5, len(unit))
    inside = (unit != 0) | (month < 3)
    fitted, target = np.flatnonzero(inside), np.flatnonzero(~inside)
    weights = np.array([[1.0], [2.0]])

    def of(totals: np.ndarray) -> float:
        model = fit_levels(
            unit[fitted], month[fitted], at_risk[fitted], totals, link="log", **SIZES
        )
        return float(model.rate(unit[target], month[target]) @ weights[:, 0])

    model = fit_levels(
        unit[fitted], month[fitted], at_risk[fitted], total[fitted], link="log", **SIZES
    )
    loads = model.loads(unit[target], month[target], weights)[:, 0]
    step = 1e-5
    for row in range(len(fitted)):
        up, down = total[fitted].copy(), total[fitted].copy()
        up[row] += step
        down[row] -= step
        assert loads[row] == pytest.approx((of(up) - of(down)) / (2 * step), rel=1e-6, abs=1e-9)


def test_rates_that_run_away_are_refused_not_returned() -> None:
    # The separated row of the test above, left in.
    with pytest.raises(EstimationError, match="did not converge"):
        fit_levels(
            np.array([0, 0, 1]),
            np.array([0, 1, 1]),
            np.ones(3),
            np.array([3.0, 0.0, 5.0]),
            link="log",
            **SIZES,
        )
