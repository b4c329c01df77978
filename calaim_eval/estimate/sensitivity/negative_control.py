"""Effects on outcomes that exposure cannot change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.cohort_month.aggregate import aggregate
from calaim_eval.estimate.cohort_month.group_time import group_time_att
from calaim_eval.estimate.cohort_month.time_pairs import Comparison
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.estimate.sensitivity.calendar_notes import calendar_notes
from calaim_eval.estimate.sensitivity.falsification import flagged
from calaim_eval.estimate.stratum_terms import require_variation
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand, Method, stack
from calaim_eval.results.effect_table import with_undefined

REFERENCE = (
    "Lipsitch M, Tchetgen Tchetgen E, Cohen T (2010). Negative controls: a tool for detecting "
    "confounding and bias in observational studies. Epidemiology 21(3):383-388. "
    "doi:10.1097/EDE.0b013e3181d61eeb"
)


def negative_control(
    moments: CellMoments,
    *,
    outcomes: Mapping[str, str],
    comparison: Comparison = "not_yet_exposed",
    anticipation_months: int = 0,
    cluster: str = MEMBER,
    max_event_time: int | None = None,
    per: float = 1.0,
    conf_level: float = 0.95,
) -> EffectTable:
    """Overall effects on outcomes declared to be out of reach, with a warning where they are not 0.

    Use with outcomes that share the confounding (who is sicker, who is reached, who is covered)
    but that the service cannot change. An effect on one of them is bias, and a like bias is to be
    feared in the effects of the study.

    Parameters
    ----------
    moments : CellMoments
        Reduced with these outcomes.
    outcomes : Mapping[str, str]
        Outcome to the reason why exposure cannot change it, declared before looking.
    comparison, anticipation_months, cluster, per
        As in the study's `group_time_att`.
    max_event_time : int, optional
        Last month since exposure that counts, as in the study's `aggregate`.
    conf_level : float
        Level of the intervals that decide about a warning.

    Returns
    -------
    EffectTable
        Keys: ``outcome``, ``unit``, stratum columns (if any). A note names the outcomes whose
        interval excludes 0 in some row; `falsification_flags` says which rows. Clustered by
        member, covariances between outcomes are unknown (NaN).

    Raises
    ------
    DesignError
        As `group_time_att`.
    EstimationError
        No outcome, one without a reason, unknown or without variation.

    References
    ----------
    Lipsitch M, Tchetgen Tchetgen E, Cohen T (2010). Epidemiology 21(3):383-388.
    doi:10.1097/EDE.0b013e3181d61eeb
    """
    _require_declared(outcomes)
    tables = []
    for outcome in outcomes:
        require_variation(moments, outcome)
        effects = group_time_att(
            moments,
            outcome=outcome,
            comparison=comparison,
            anticipation_months=anticipation_months,
            cluster=cluster,
            per=per,
        )
        tables.append(aggregate(effects, max_event_time=max_event_time))
    table = _joint(tables, list(outcomes))
    options = {
        **tables[0].method.options,
        "outcome": list(outcomes),
        "reasons": dict(outcomes),
        "conf_level": conf_level,
    }
    calendar = [note for name in outcomes for note in calendar_notes(name, moments.months)]
    return replace(
        table,
        estimand=Estimand(
            name="Negative control",
            contrast=f"{table.estimand.contrast}; outcomes exposure cannot change: the truth is 0",
            unit=table.estimand.unit,
            is_causal=False,
        ),
        method=Method(tables[0].method.estimator, MappingProxyType(options), REFERENCE),
        notes=(*_warnings(table, outcomes, conf_level), *dict.fromkeys([*calendar, *table.notes])),
    )


def _require_declared(outcomes: Mapping[str, str]) -> None:
    """Refuse an empty list and outcomes without a reason."""
    if not isinstance(outcomes, Mapping) or not outcomes:
        raise EstimationError(
            "negative_control: give `outcomes` as a mapping from outcome to the reason why "
            'exposure cannot change it, such as {"fractures": "no part of the service"}.'
        )
    unsaid = [name for name, reason in outcomes.items() if not str(reason).strip()]
    if unsaid:
        raise EstimationError(
            f"negative_control: {len(unsaid)} of {len(outcomes)} outcomes have no reason (first: "
            f"`{unsaid[0]}`). Say why exposure cannot change it."
        )


def _joint(tables: list[EffectTable], outcomes: list[str]) -> EffectTable:
    """Rows of all outcomes; with county influence, their joint covariance too."""
    table = stack(tables, key="outcome", labels=outcomes)
    influences = [t.cluster_influence for t in tables]
    known = [influence for influence in influences if influence is not None]
    if len(known) < len(tables):
        return table
    both = np.hstack([influence.to_numpy() for influence in known])
    covariance, influence = with_undefined(
        both.T @ both,
        pd.DataFrame(both, index=known[0].index),
        np.isnan(np.diag(table.covariance)),
    )
    return replace(table, covariance=covariance, cluster_influence=influence)


def _warnings(
    table: EffectTable, outcomes: Mapping[str, str], conf_level: float
) -> tuple[str, ...]:
    """What was found and what was declared."""
    away = flagged(table, conf_level)
    told = np.isfinite(table.std_error)
    notes = []
    for outcome, reason in outcomes.items():
        own = (table.keys["outcome"] == outcome).to_numpy()
        if (own & away).any():
            found = "its interval excludes 0" if own.sum() == 1 else "some intervals exclude 0"
            notes.append(
                f"Warning: negative control `{outcome}`: {found} ({conf_level:.0%}); the "
                "comparison may be biased."
            )
        if (own & ~told).any():
            notes.append(
                f"Negative control `{outcome}` says nothing where it has no standard error."
            )
        notes.append(f"`{outcome}` was declared out of reach: {str(reason).strip().rstrip('.')}.")
    return tuple(notes)
