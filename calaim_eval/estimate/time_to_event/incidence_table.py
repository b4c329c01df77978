"""Cumulative incidence, and mean time in each state, by group with a joint covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.estimate.time_to_event.cumulative_incidence import cumulative_incidence
from calaim_eval.estimate.time_to_event.grouped_spells import (
    AALEN_JOHANSEN,
    Terms,
    alike,
    grouped_terms,
)
from calaim_eval.results import ALL, EffectTable, Estimand, Method

TimeUnit = Literal["days", "months"]
WAITING = "waiting"
_PER_MONTH = {"days": 365.25 / 12, "months": 1.0}
MEAN_TIME = (
    f"{AALEN_JOHANSEN}; time lost to each cause: Andersen PK (2013). Stat Med 32(30):5278-5285. "
    "doi:10.1002/sim.5903"
)


def incidence_table(
    spells: pd.DataFrame,
    *,
    cluster: pd.Series | None,
    group: pd.Series | None,
    groups: Sequence[str],
    by: str | None,
    times: np.ndarray,
    outcomes: Sequence[str],
    estimand: Estimand,
    options: Mapping[str, object],
    unit: TimeUnit = "days",
) -> EffectTable:
    """Cumulative incidence by group, outcome and time with a joint clustered covariance.

    Parameters
    ----------
    spells : pd.DataFrame
        Columns ``duration_days`` (or ``duration_months``, as `unit` says) and ``cause`` (0
        censored, 1 ... as in `outcomes`); perhaps ``n_alike``.
    cluster : pd.Series | None
        Cluster of each spell; None: every subject is its own.
    group : pd.Series | None
        Group of each spell; None without groups.
    groups : sequence of str
        Groups to report after ``"all"``; one without spells gets NaN.
    by : str | None
        Name of the group key.
    times : np.ndarray
        Horizons, increasing.
    outcomes : sequence of str
        Names of the causes.
    estimand : Estimand
    options : Mapping
        For the method.
    unit : {"days", "months"}
        Unit of durations and horizons, and name of their key.
    """
    at = np.asarray(times, dtype=float)

    def terms(mine: pd.DataFrame) -> Terms:
        duration = mine[f"duration_{unit}"].to_numpy(dtype=float)
        number = alike(mine)
        curve = cumulative_incidence(
            duration, mine["cause"].to_numpy(), times=at, n_causes=len(outcomes), weights=number
        )
        followed = [(number * np.minimum(duration, t)).sum() / _PER_MONTH[unit] for t in at]
        return Terms(
            curve.estimate.T.ravel(),
            curve.influence.transpose(0, 2, 1).reshape(len(mine), -1),
            curve.n_events.T.ravel(),
            np.tile(followed, len(outcomes)),
        )

    found = grouped_terms(
        spells,
        cluster=cluster,
        group=group,
        groups=groups,
        n_terms=len(at) * len(outcomes),
        terms=terms,
    )
    keys = pd.MultiIndex.from_product(
        [[ALL, *groups], list(outcomes), [int(t) for t in at]],
        names=[by or "population", "outcome", unit],
    ).to_frame(index=False)
    return EffectTable(
        keys=keys if by is not None else keys.drop(columns="population"),
        estimate=found.estimate,
        covariance=found.covariance,
        support=found.support,
        estimand=estimand,
        method=Method("Aalen-Johansen cumulative incidence", options, AALEN_JOHANSEN),
        notes=found.notes,
    )


def mean_time_table(
    spells: pd.DataFrame,
    *,
    cluster: pd.Series | None,
    group: pd.Series | None,
    groups: Sequence[str],
    by: str,
    horizon: float,
    outcomes: Sequence[str],
    estimand: Estimand,
    options: Mapping[str, object],
    unit: TimeUnit = "days",
) -> EffectTable:
    r"""Mean time up to the horizon before anything ended, and after each ending.

    Parameters
    ----------
    spells, cluster, group, groups, by, outcomes, estimand, options, unit
        As in `incidence_table`.
    horizon : float
        Above 0, in `unit`.

    Returns
    -------
    EffectTable
        Keys `by` and ``component``: ``"waiting"``, then `outcomes`. The components of a group add
        up to the horizon. NaN where nobody of a group was followed so long.

    Notes
    -----
    Restricted mean :math:`\int_0^\tau \{1 - \sum_k F_k(u)\}\,du` of waiting, and time
    :math:`\int_0^\tau F_k(u)\,du` after each ending (lost to it) [1]_.

    References
    ----------
    .. [1] Andersen PK (2013). Stat Med 32(30):5278-5285. doi:10.1002/sim.5903
    """

    def terms(mine: pd.DataFrame) -> Terms:
        duration, cause = mine[f"duration_{unit}"].to_numpy(dtype=float), mine["cause"].to_numpy()
        number = alike(mine)
        starts = np.unique(np.append(duration[duration < horizon], 0.0))
        width = np.diff(np.append(starts, horizon))
        curve = cumulative_incidence(
            duration, cause, times=starts, n_causes=len(outcomes), weights=number
        )
        after = width @ curve.estimate
        slope = np.einsum("t,ntk->nk", width, curve.influence)
        ended = np.array(
            [(number * ((cause == k + 1) & (duration < horizon))).sum() for k in range(len(after))]
        )
        is_open = horizon > duration.max() and not np.isclose(curve.estimate[-1].sum(), 1.0)
        lost = np.nan if is_open else 1.0
        followed = (number * np.minimum(duration, horizon)).sum() / _PER_MONTH[unit]
        return Terms(
            lost * np.append(horizon - after.sum(), after),
            lost * np.column_stack([-slope.sum(axis=1), slope]),
            np.append(number.sum() - ended.sum(), ended),
            np.full(len(after) + 1, followed),
        )

    components = [WAITING, *outcomes]
    found = grouped_terms(
        spells,
        cluster=cluster,
        group=group,
        groups=groups,
        n_terms=len(components),
        terms=terms,
    )
    return EffectTable(
        keys=pd.MultiIndex.from_product(
            [[ALL, *groups], components], names=[by, "component"]
        ).to_frame(index=False),
        estimate=found.estimate,
        covariance=found.covariance,
        support=found.support,
        estimand=estimand,
        method=Method("Restricted mean time in each state", options, MEAN_TIME),
        notes=found.notes,
    )
