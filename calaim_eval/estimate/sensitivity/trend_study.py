"""One stratum's event study as sensitivity analysis needs it: before, after, and what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results import SUPPORT_COLUMNS, EffectTable

Effect = int | Literal["average"] | Mapping[int, float]


_NO_ERROR = 1e-6
"""An error this small beside the largest of the rows is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class TrendStudy:
    """Estimates before and after the base month (where the difference is 0 by definition).

    Attributes
    ----------
    keys : dict
        Labels of the stratum; empty without strata.
    estimate : np.ndarray
        The p effects before the base month, then the q after it, in order of time; shape (p+q,).
    covariance : np.ndarray
        Shape (p+q, p+q).
    n_before : int
        p.
    weights : np.ndarray
        On the q effects after the base month: the effect asked about is ``weights @ after``.
    support : dict[str, float]
        Smallest support among the rows.
    """

    keys: dict[str, object]
    estimate: np.ndarray
    covariance: np.ndarray
    n_before: int
    weights: np.ndarray
    support: dict[str, float]

    @property
    def loads(self) -> np.ndarray:
        """The effect asked about, as loads on all estimates; shape (p+q,)."""
        return np.concatenate([np.zeros(self.n_before), self.weights])

    @property
    def value(self) -> float:
        """Estimate of the effect under parallel trends."""
        return float(self.loads @ self.estimate)

    @property
    def std_error(self) -> float:
        """Its standard error."""
        return float(np.sqrt(max(self.loads @ self.covariance @ self.loads, 0.0)))

    def steps(self) -> tuple[np.ndarray, np.ndarray]:
        """Changes from month to month before and after the base month, as loads: (p, .), (q, .)."""
        size, p = len(self.estimate), self.n_before
        path = np.insert(np.eye(size), p, 0.0, axis=0)
        change = np.diff(path, axis=0)
        return change[:p], change[p:]


def trend_studies(table: EffectTable, effect: Effect) -> Iterator[TrendStudy]:
    """Studies of every stratum of an event study.

    Raises
    ------
    EstimationError
        Not an event study, a varying base, event times with holes, rows without standard error,
        as many effects as clusters, an event time that is not there.
    """
    require_event_study(table)
    names = [c for c in table.keys.columns if c != "event_time"]
    groups: list[tuple[dict[str, object], np.ndarray]] = [({}, np.arange(len(table)))]
    if names:
        grouped = table.keys.groupby(names, sort=False, dropna=False).indices
        groups = [
            (dict(zip(names, v if isinstance(v, tuple) else (v,), strict=True)), np.asarray(rows))
            for v, rows in grouped.items()
        ]
    for keys, rows in groups:
        yield _study(table, keys, rows, effect)


def require_event_study(table: EffectTable) -> None:
    """Refuse tables that are no event study against one base month."""
    if "event_time" not in table.keys:
        raise EstimationError(
            "honest_did: the table has no key `event_time`; it has "
            f"{', '.join(f'`{c}`' for c in table.keys.columns) or 'none'}. "
            'Give aggregate(att_gt, by="event_time").'
        )
    if table.estimand.scale != "difference":
        raise EstimationError(
            "honest_did: the effects are ratios; a bound on trends needs differences. Give the "
            "effects on the difference scale, or their logarithms with scale='difference'."
        )
    if table.method.options.get("base_period", "universal") != "universal":
        raise EstimationError(
            "honest_did: effects before exposure are compared with the month before each "
            "(base_period='varying'); the bounds need all of them against one base month. "
            "Use group_time_att(..., base_period='universal')."
        )


def _study(
    table: EffectTable, keys: dict[str, object], rows: np.ndarray, effect: Effect
) -> TrendStudy:
    """Study of the rows of one stratum."""
    where = f" ({', '.join(map(str, keys.values()))})" if keys else ""
    base = base_event_time(table)
    event_time = table.keys["event_time"].to_numpy(dtype=np.int64)[rows]
    rows = rows[np.argsort(event_time, kind="stable")]
    event_time = np.sort(event_time)
    kept = event_time != base
    require_base(table, rows[~kept], base, where)
    rows, event_time = rows[kept], event_time[kept]
    n_before = int((event_time < base).sum())
    _require_whole(event_time, n_before, base, where)
    estimate, covariance = table.estimate[rows], table.covariance[np.ix_(rows, rows)]
    _require_errors(table, estimate, covariance, where)
    study = TrendStudy(
        keys=keys,
        estimate=estimate.astype(float),
        covariance=(covariance + covariance.T) / 2,
        n_before=n_before,
        weights=_weights(event_time[n_before:], effect, where),
        support={c: float(table.support[c].to_numpy()[rows].min()) for c in SUPPORT_COLUMNS},
    )
    if not study.std_error > _NO_ERROR * np.sqrt(np.diag(covariance).max()):
        raise EstimationError(
            f"honest_did{where}: the effect asked about has no sampling error of its own, as where "
            "few clusters had any events and those cancel out. Ask for another effect, or pool "
            "small groups."
        )
    return study


def base_event_time(table: EffectTable) -> int:
    """Event time of the base month: as the method says, else the last before anticipation."""
    options = table.method.options
    early = int(str(options.get("anticipation_months", 0)))
    return int(str(options.get("reference_event_time", -1 - early)))


def require_base(table: EffectTable, rows: np.ndarray, base: int, where: str) -> None:
    """Refuse a base month that has an estimate of its own."""
    if (np.nan_to_num(table.estimate[rows]) != 0).any():
        raise EstimationError(
            f"honest_did{where}: the base month {base} has an estimate other than 0, so the "
            "effects before exposure are not against it (coefficients of months before exposure "
            "of an imputation, for one). Use effects against one base month: "
            "group_time_att(..., base_period='universal')."
        )


def _require_whole(event_time: np.ndarray, n_before: int, base: int, where: str) -> None:
    """Refuse holes and repeats in the event times, and studies without a side."""
    if n_before == 0 or n_before == len(event_time):
        side = "before" if n_before == 0 else "after"
        raise EstimationError(
            f"honest_did{where}: no effect {side} the base month {base}, so nothing bounds the "
            "trends after exposure by those before it. Begin the panel earlier, or widen "
            "`min_event_time` and `max_event_time` in aggregate()."
        )
    steps = np.diff(np.insert(event_time, n_before, base))
    if (steps != 1).any():
        raise EstimationError(
            f"honest_did{where}: {int((steps != 1).sum())} of the event times {event_time[0]} to "
            f"{event_time[-1]} are not one month after the one before. Give one row per event "
            "time; take a window without holes with `min_event_time` and `max_event_time`."
        )


def _require_errors(
    table: EffectTable, estimate: np.ndarray, covariance: np.ndarray, where: str
) -> None:
    """Refuse estimates whose joint error is not known."""
    known = np.isfinite(estimate) & (np.diag(covariance) > 0)
    if not known.all() or not np.isfinite(covariance).all():
        raise EstimationError(
            f"honest_did{where}: {int((~known).sum())} of {len(estimate)} effects have no standard "
            "error, or covariances between them are unknown (stacked tables). Narrow "
            "`min_event_time` and `max_event_time`, or pool small groups."
        )
    influence = table.cluster_influence
    if influence is not None and len(influence) <= len(estimate):
        raise EstimationError(
            f"honest_did{where}: {len(estimate)} effects and {len(influence)} clusters; their "
            "covariance is singular. Raise `min_event_time` and lower `max_event_time` in "
            "aggregate(), or cluster by member."
        )


def _weights(after: np.ndarray, effect: Effect, where: str) -> np.ndarray:
    """The effect asked about as weights on the effects after the base month; shape (q,)."""
    if isinstance(effect, Mapping):
        asked = pd.Series(dict(effect), dtype=float)
    elif effect == "average":
        times = after[after >= 0]
        asked = pd.Series(1 / max(len(times), 1), index=times)
    elif isinstance(effect, int | np.integer) and not isinstance(effect, bool):
        asked = pd.Series({int(effect): 1.0})
    else:
        raise EstimationError(
            f"honest_did: effect={effect!r} is neither an event time, 'average' nor weights by "
            "event time such as {0: 0.5, 1: 0.5}."
        )
    absent = [time for time in asked.index if time not in after]
    if absent or not np.isfinite(asked).all() or not (asked != 0).any():
        raise EstimationError(
            f"honest_did{where}: effect={effect!r} asks for event times outside {after[0]} to "
            f"{after[-1]}, or for weights that are all 0 or not finite."
        )
    return np.asarray(asked.reindex(after, fill_value=0.0), dtype=float)
