"""How far trends may differ before a conclusion changes (Rambachan and Roth)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.engine import track
from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.sensitivity.relative_magnitudes import (
    relative_magnitudes_interval,
    set_half_width,
)
from calaim_eval.estimate.sensitivity.smoothness import (
    bias_variance_path,
    smoothness_interval,
    smoothness_set,
)
from calaim_eval.estimate.sensitivity.trend_study import Effect, TrendStudy, trend_studies
from calaim_eval.results import SUPPORT_COLUMNS, BoundsTable, EffectTable, Estimand, Method

Restriction = Literal["relative_magnitudes", "smoothness"]

REFERENCE = (
    "Rambachan A, Roth J (2023). A more credible approach to parallel trends. Review of Economic "
    "Studies 90(5):2555-2591. doi:10.1093/restud/rdad018"
)
ESTIMATOR = {
    "relative_magnitudes": "Robust confidence set, trends after exposure bounded by those before "
    "(conditional least-favourable hybrid)",
    "smoothness": "Robust confidence interval of fixed length, trends nearly straight",
}
MIN_GRID_POINTS = 20


def honest_did(
    study: EffectTable,
    *,
    bounds: Sequence[float],
    restriction: Restriction = "relative_magnitudes",
    effect: Effect = 0,
    conf_level: float = 0.95,
    grid_points: int = 1000,
) -> BoundsTable:
    r"""What can be said of an effect when trends are parallel up to a bound only.

    Use with every event study that carries a causal claim: a pre-trend test that passes says
    little, this says how large a violation the conclusion survives.

    Parameters
    ----------
    study : EffectTable
        Event study with key ``event_time`` and joint covariance, against one base month:
        ``aggregate(group_time_att(..., base_period="universal"), by="event_time")``. One analysis
        per combination of the other keys (strata).
    bounds : sequence of float
        Each at least 0. Relative magnitudes: how many times the largest change from one month to
        the next before exposure the changes after it may be; 0 is parallel trends, 1 "no worse
        than before". Smoothness: by how much the slope of the difference in trends may change
        from month to month, in units of the outcome; 0 is a straight line.
    restriction : {"relative_magnitudes", "smoothness"}
    effect : int, "average" or mapping
        Event time asked about (0: month of exposure), the plain average from exposure on, or
        weights by event time such as ``{0: 0.5, 1: 0.5}``.
    conf_level : float
        Between 0.5 and 1.
    grid_points : int
        Values tested to find the interval, over the estimate ± 20 standard errors and the set;
        finer grids then find its ends. Relative magnitudes only.

    Returns
    -------
    BoundsTable
        Keys: stratum columns (if any), ``restriction``, ``bound``. No estimate and no standard
        error. Positive: the exposed have more of the outcome.

    Raises
    ------
    EstimationError
        No event study, a varying base, holes in its event times, rows without standard error, a
        singular covariance, or an unknown option.

    Notes
    -----
    Estimates before exposure are :math:`\delta_{pre}`, those after it :math:`\tau + \delta_{post}`,
    with :math:`\delta` the difference in trends and :math:`\delta = 0` in the base month [1]_.
    Relative magnitudes: :math:`|\delta_{t+1} - \delta_t| \le \bar M \max_{s < 0} |\delta_{s+1} -
    \delta_s|` for t after the base month; tests are the conditional least-favourable hybrid [2]_
    with first stage :math:`\kappa = \alpha / 10`, whose critical value is computed by quadrature
    (no simulation). Smoothness: :math:`|\delta_{t+1} - 2 \delta_t + \delta_{t-1}| \le M` for all t;
    intervals of fixed length around the linear estimator that makes them shortest. The estimates
    are taken as normal with known covariance; months the exposed may anticipate count as after
    exposure.

    References
    ----------
    .. [1] Rambachan A, Roth J (2023). Review of Economic Studies 90(5):2555-2591.
       doi:10.1093/restud/rdad018
    .. [2] Andrews I, Roth J, Pakes A (2023). Inference for linear conditional moment
       inequalities. Review of Economic Studies 90(6):2763-2791. doi:10.1093/restud/rdad004

    Examples
    --------
    >>> from calaim_eval.results import Estimand, Method
    >>> study = EffectTable(
    ...     keys=pd.DataFrame({"event_time": [-3, -2, 0]}),
    ...     estimate=np.array([0.2, -0.1, 2.0]),
    ...     covariance=0.01 * np.eye(3),
    ...     support=pd.DataFrame({"n_members": [500] * 3, "n_events": [90] * 3,
    ...                           "member_months": [990] * 3}),
    ...     estimand=Estimand("ATT", "exposed minus comparison", "visits per member-month"),
    ...     method=Method("Event study"),
    ... )
    >>> honest_did(study, bounds=[1.0]).to_frame()[["set_low", "set_high"]].round(3)
       set_low  set_high
    0      1.7       2.3
    """
    asked = require_sensitivity_options(restriction, bounds, conf_level, grid_points)
    studies = list(trend_studies(study, effect))
    work = [(one, bound) for one in studies for bound in asked]
    rows = [
        _row(one, bound, restriction, conf_level, grid_points)
        for one, bound in track(work, description="sensitivity")
    ]
    keys = pd.DataFrame(
        [{**one.keys, "restriction": restriction, "bound": bound} for one, bound in work]
    )
    limits = np.array(rows, dtype=float).reshape(-1, 4)
    options = {
        **study.method.options,
        "restriction": restriction,
        "effect": dict(effect) if isinstance(effect, Mapping) else effect,
        "conf_level": conf_level,
    }
    return BoundsTable(
        keys=keys,
        set_low=limits[:, 0],
        set_high=limits[:, 1],
        conf_low=limits[:, 2],
        conf_high=limits[:, 3],
        conf_level=conf_level,
        support=_support(work),
        estimand=_estimand(study, effect, restriction),
        method=Method(
            f"{ESTIMATOR[restriction]}; event study: {study.method.estimator}",
            MappingProxyType(options),
            REFERENCE,
        ),
        bound_words=_bound_words(restriction, study),
        notes=(*study.notes, *_set_notes(limits, restriction)),
    )


def _row(
    study: TrendStudy, bound: float, restriction: str, conf_level: float, grid_points: int
) -> tuple[float, float, float, float]:
    """Ends of the set and of the interval under one bound."""
    if restriction == "smoothness":
        path = bias_variance_path(study)
        return (
            *smoothness_set(study, bound),
            *smoothness_interval(path, study, bound, conf_level),
        )
    half = set_half_width(study, bound)
    interval = relative_magnitudes_interval(study, bound, conf_level, grid_points)
    return (study.value - half, study.value + half, *interval)


def require_sensitivity_options(
    restriction: str, bounds: Sequence[float], conf_level: float, grid_points: int
) -> list[float]:
    """Refuse options that mean nothing; the bounds as floats."""
    require_choice("restriction", restriction, ESTIMATOR, of="honest_did")
    asked = [float(bound) for bound in bounds]
    bad = [bound for bound in asked if not (np.isfinite(bound) and bound >= 0)]
    if not asked or bad:
        raise EstimationError(
            f"honest_did: {len(bad)} of {len(asked)} `bounds` are negative or not finite. Give at "
            "least one number from 0 on, such as [0.5, 1, 2]."
        )
    if not 0.5 < conf_level < 1:
        raise EstimationError(f"honest_did: conf_level={conf_level} is not between 0.5 and 1.")
    if grid_points < MIN_GRID_POINTS:
        raise EstimationError(
            f"honest_did: grid_points={grid_points}; give {MIN_GRID_POINTS} or more."
        )
    return asked


def _support(work: list[tuple[TrendStudy, float]]) -> pd.DataFrame:
    """Support of each row, counts as whole numbers."""
    frame = pd.DataFrame([one.support for one, _ in work])[list(SUPPORT_COLUMNS)]
    return frame.astype({"n_members": np.int64, "n_events": np.int64})


def _estimand(study: EffectTable, effect: Effect, restriction: str) -> Estimand:
    """The effect asked about, in words."""
    about = study.estimand
    if isinstance(effect, Mapping):
        when = "weighted over event times " + ", ".join(str(time) for time in sorted(effect))
    else:
        when = "average from exposure on" if effect == "average" else f"event time {effect}"
    trends = (
        "changes after exposure at most `bound` times the largest before it"
        if restriction == "relative_magnitudes"
        else "slope of the difference in trends changing by at most `bound` a month"
    )
    return Estimand(
        name=f"{about.name} under bounded trends",
        contrast=f"{about.contrast}; {when}; {trends}",
        unit=about.unit,
        is_causal=about.is_causal,
    )


def _bound_words(restriction: str, study: EffectTable) -> str:
    """What a bound counts; `event_periods` makes steps of several months."""
    months = study.method.options.get("months_per_period", 1)
    step = "month" if months == 1 else f"period of {months} months"
    if restriction == "relative_magnitudes":
        return f"times the largest change from one {step} to the next before exposure"
    return f"change of slope from {step} to {step}, in {study.estimand.unit}"


def _set_notes(limits: np.ndarray, restriction: str) -> tuple[str, ...]:
    """What to know of the rows: empty sets, open intervals."""
    notes = []
    if restriction == "smoothness" and np.isnan(limits[:, 0]).any():
        notes.append(
            "Where `set_low` and `set_high` are missing, the estimates before exposure bend by "
            "more than the bound; the interval allows for their sampling error."
        )
    if np.isinf(limits[:, 2:]).any():
        notes.append("An infinite end of an interval: the data do not bound the effect there.")
    return tuple(notes)
