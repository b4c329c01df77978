"""An event study by periods of several months, for bounds that months are too noisy for."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.sensitivity.trend_study import (
    base_event_time,
    require_base,
    require_event_study,
)
from calaim_eval.results import EffectTable, Method


def event_periods(study: EffectTable, *, months: int = 3) -> EffectTable:
    r"""An event study month by month as one of periods, each the average of its months.

    Use before `honest_did` where months are noisy: the largest of many monthly changes is mostly
    chance, and a bound on it lets trends drift for every month after exposure.

    Parameters
    ----------
    study : EffectTable
        As `honest_did` takes it: key ``event_time`` in months, against one base month.
    months : int
        Length of a period.

    Returns
    -------
    EffectTable
        ``event_time`` counts periods: 0 begins with the month of exposure, and the base period
        (no row) is the last one before exposure and before the months that may anticipate it.
        Jointly estimated. Support is the smallest of any month used.

    Raises
    ------
    EstimationError
        No event study, no whole period before exposure beside the base period, or none after.

    Notes
    -----
    With :math:`\beta_t` the effect in month t and B the months of the base period (the base month
    with :math:`\beta = 0` among them), the effect of period p is :math:`\frac{1}{m} \sum_{t \in p}
    \beta_t - \frac{1}{m} \sum_{t \in B} \beta_t`. Months of anticipation make periods of their own,
    the first of them shorter where m does not divide their number. Other periods that are not
    whole are left out.

    Examples
    --------
    >>> from calaim_eval.results import Estimand
    >>> study = EffectTable(
    ...     keys=pd.DataFrame({"event_time": [-4, -3, -2, 0, 1]}),
    ...     estimate=np.array([1.0, 3.0, 2.0, 6.0, 8.0]),
    ...     covariance=np.eye(5),
    ...     support=pd.DataFrame({"n_members": [500] * 5, "n_events": [90] * 5,
    ...                           "member_months": [990] * 5}),
    ...     estimand=Estimand("ATT", "exposed minus comparison", "visits per member-month"),
    ...     method=Method("Event study"),
    ... )
    >>> event_periods(study, months=2).to_frame()[["event_time", "estimate"]]
       event_time  estimate
    0          -2       1.0
    1           0       6.0
    """
    require_event_study(study)
    if months < 1:
        raise EstimationError(f"event_periods: months={months}; give 1 or more.")
    base = base_event_time(study)
    is_base = (study.keys["event_time"] == base).to_numpy()
    require_base(study, np.flatnonzero(is_base), base, "")
    study = study.select(~is_base)
    time = study.keys["event_time"].to_numpy(dtype=np.int64)
    names = [c for c in study.keys.columns if c != "event_time"]
    groups = [np.arange(len(study))]
    if names:
        indices = study.keys.groupby(names, sort=False, dropna=False).indices
        groups = [np.asarray(rows) for rows in indices.values()]
    keys, weights = [], []
    for rows in groups:
        of_group = _weights(time[rows], base, months)
        for period, on_rows in of_group.items():
            line = np.zeros(len(study))
            line[rows] = on_rows
            weights.append(line)
            keys.append({**study.keys.iloc[rows[0]].to_dict(), "event_time": period})
    options = {
        **study.method.options,
        "months_per_period": months,
        "reference_event_time": -1 - _n_early(base, months),
    }
    return study.combine(
        np.array(weights),
        keys=pd.DataFrame(keys)[list(study.keys.columns)],
        method=Method(study.method.estimator, MappingProxyType(options), study.method.reference),
    )


def _n_early(base: int, months: int) -> int:
    """Periods that the months of anticipation make."""
    return -(-(-1 - base) // months)


def _weights(time: np.ndarray, base: int, months: int) -> dict[int, np.ndarray]:
    """Weights of each whole period on the months, by period in order of time."""
    n_early = _n_early(base, months)
    before = (time - base - 1) // months - n_early
    period = np.where(time < base, before, time // months)
    base_period = -1 - n_early
    on_base = (period == base_period) & (time < base)
    found = {}
    for each in np.unique(period[(period != base_period) | (time > base)]):
        inside = (period == each) & ~on_base
        shorter = (-1 - base) - (n_early - 1) * months
        length = shorter if n_early and each == -n_early else months
        if inside.sum() == length:
            found[int(each)] = inside / length - on_base / months
    has_sides = any(p < base_period for p in found) and any(p >= 0 for p in found)
    if on_base.sum() != months - 1 or not has_sides:
        raise EstimationError(
            f"event_periods: event times {time.min()} to {time.max()} hold no whole period of "
            f"{months} months on either side of the base period, the {months} months up to "
            f"{base}. Widen `min_event_time` and `max_event_time` in aggregate(), or take shorter "
            "periods."
        )
    return found
