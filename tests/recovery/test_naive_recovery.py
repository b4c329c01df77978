"""Effects that grow: the naive regression misses them, its alternatives find them and cover."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import (
    bacon_decomposition,
    imputation_att,
    sun_abraham,
    two_way_fixed_effects,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

pytestmark = pytest.mark.slow

COHORTS, SIZES, N_MONTHS = (2, 5, 99), (40, 40, 40), 8
SIMULATIONS = 400
ESTIMATORS: dict[str, Callable[[CellMoments], EffectTable]] = {
    "conservative": lambda m: imputation_att(m, outcome="score"),
    "leave_one_out": lambda m: imputation_att(m, outcome="score", variance="leave_one_out"),
    "sun_abraham": lambda m: sun_abraham(m, outcome="score", by="overall"),
    "naive": lambda m: two_way_fixed_effects(m, outcome="score"),
}


def one_panel(rng: np.random.Generator) -> CellMoments:
    """Own levels, errors that last, an effect that grows by 1 a month from 1 at exposure on."""
    cohort = np.repeat(COHORTS, SIZES)
    n = len(cohort)
    months = np.arange(N_MONTHS)
    lasting = rng.normal(size=(n, N_MONTHS)).cumsum(axis=1) * 0.5
    since = months - cohort[:, None]
    score = rng.normal(size=(n, 1)) + 0.3 * months + lasting + rng.normal(size=(n, N_MONTHS))
    score += np.where(since >= 0, since + 1.0, 0.0)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(n), N_MONTHS),
            "month": np.tile(months, n),
            "cohort": np.repeat(np.where(cohort < N_MONTHS, cohort, np.nan), N_MONTHS),
            "score": score.ravel(),
        }
    )
    return reduce_panel(frame, outcomes=["score"], unbalanced="cell_means")


@pytest.fixture(scope="module")
def found() -> dict[str, np.ndarray]:
    """Estimates and standard errors of every simulation; (simulations, 2) each."""
    rng = np.random.default_rng(20250101)
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in ESTIMATORS}
    for _ in range(SIMULATIONS):
        moments = one_panel(rng)
        for name, estimate in ESTIMATORS.items():
            table = estimate(moments)
            rows[name].append((table.estimate[0], table.std_error[0]))
    return {name: np.array(values) for name, values in rows.items()}


def truth() -> float:
    """Mean effect over exposed member-months: cohort 2 has six months, cohort 5 three."""
    effects = [*range(1, 7), *range(1, 4)]
    return float(np.mean(effects))


@pytest.mark.parametrize("name", ["conservative", "leave_one_out", "sun_abraham"])
def test_alternatives_are_unbiased_and_cover(found: dict[str, np.ndarray], name: str) -> None:
    estimate, error = found[name].T
    # Four simulation errors of the mean.
    assert abs(estimate.mean() - truth()) < 4 * estimate.std() / np.sqrt(SIMULATIONS)
    covered = np.abs(estimate - truth()) < 1.96 * error
    # 95 % less four simulation errors (0.011 each); too wide is what the last line asserts against.
    assert covered.mean() > 0.95 - 4 * np.sqrt(0.95 * 0.05 / SIMULATIONS)
    # Four simulation errors of a standard deviation.
    assert error.mean() == pytest.approx(estimate.std(), rel=4 / np.sqrt(2 * SIMULATIONS))


def test_leaving_oneself_out_is_never_the_smaller_error(found: dict[str, np.ndarray]) -> None:
    assert (found["leave_one_out"][:, 1] > found["conservative"][:, 1]).all()


def test_the_naive_regression_misses(found: dict[str, np.ndarray]) -> None:
    estimate, error = found["naive"].T
    assert estimate.mean() < truth() - 0.5
    assert (np.abs(estimate - truth()) < 1.96 * error).mean() < 0.5
    parts = bacon_decomposition(one_panel(np.random.default_rng(1)), outcome="score")
    kinds = parts.by_comparison().set_index("comparison")["estimate"]
    # The later cohort's months 5-7 against 2-4: it gains 2, the earlier cohort grows by 3.
    assert kinds["later_vs_earlier"] < 0.5
    assert kinds["exposed_vs_never"] > 2
