"""The bound on trends from which on a conclusion is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.engine import track
from calaim_eval.estimate.sensitivity.honest_did import (
    MIN_GRID_POINTS,
    Restriction,
    require_sensitivity_options,
)
from calaim_eval.estimate.sensitivity.relative_magnitudes import relative_magnitudes_test
from calaim_eval.estimate.sensitivity.smoothness import bias_variance_path, smoothness_interval
from calaim_eval.estimate.sensitivity.trend_study import Effect, TrendStudy, trend_studies
from calaim_eval.results import EffectTable

LARGEST = 1e6
BISECTIONS = 40
RESOLUTION = 1e-5


def breakdown_value(
    study: EffectTable,
    *,
    restriction: Restriction = "relative_magnitudes",
    effect: Effect = 0,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Largest bound at which the sign of an effect still holds, per stratum.

    Parameters
    ----------
    study, restriction, effect, conf_level
        As in `honest_did`.

    Returns
    -------
    pd.DataFrame
        Stratum columns (if any), ``restriction``, ``breakdown`` (the bound from which on the
        interval holds 0; NaN where it does so under bound 0 already; infinite where it never
        does) and ``sign`` of the effect under bound 0 (1, -1; 0 where not told).

    Raises
    ------
    EstimationError
        As `honest_did`.

    Notes
    -----
    Found by doubling and bisection, to 1e-5 of its size; intervals are taken to widen with
    the bound.
    """
    require_sensitivity_options(restriction, [0.0], conf_level, MIN_GRID_POINTS)
    found = []
    for one in track(list(trend_studies(study, effect)), description="breakdown values"):
        value, sign = _breakdown(one, restriction, conf_level)
        found.append({**one.keys, "restriction": restriction, "breakdown": value, "sign": sign})
    return pd.DataFrame(found)


def _breakdown(study: TrendStudy, restriction: str, conf_level: float) -> tuple[float, int]:
    """Bound from which on the interval holds 0, and the sign below it."""
    if restriction == "smoothness":
        path = bias_variance_path(study)
        first = study.std_error

        def excludes_zero(bound: float) -> bool:
            low, high = smoothness_interval(path, study, bound, conf_level)
            return low > 0 or high < 0

        centre = float(np.mean(smoothness_interval(path, study, 0.0, conf_level)))
    else:
        first, centre = 1.0, study.value

        def excludes_zero(bound: float) -> bool:
            test = relative_magnitudes_test(study, bound, conf_level)
            return not test.accepts(np.zeros(1))[0]

    if not excludes_zero(0.0):
        return np.nan, 0
    low, high = 0.0, first
    while excludes_zero(high):
        low, high = high, 2 * high
        if high > LARGEST * first:
            return np.inf, int(np.sign(centre))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if excludes_zero(middle) else (low, middle)
        if high - low < RESOLUTION * high:
            break
    return low, int(np.sign(centre))
