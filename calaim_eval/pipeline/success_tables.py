"""Statistics without a covariance as tables that can be released: dominance, selection, fsQCA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import pandas as pd

from calaim_eval.integration import DominanceTable
from calaim_eval.integration.qca import FsqcaSolutions, TruthTable
from calaim_eval.results import EffectTable, Estimand, Method

NOT_EFFECTS = "Associations, not effects."
DOMINANCE = ("share", "conf_low", "conf_high", "noise", "first")
SELECTION = ("frequency", "is_positive", "false_choices")
COMBINATION = ("consistency", "pri", "coverage", "unique_coverage", "n_cases")


def dominance_effects(found: DominanceTable, members: Mapping[str, float]) -> EffectTable:
    """Shares of explained variance, a row a factor and statistic.

    Parameters
    ----------
    found : DominanceTable
    members : mapping of str to float
        Members on the smaller side of each factor.
    """
    return _statistics(
        found.shares.assign(n_members=found.shares["factor"].map(dict(members))),
        keys=("factor",),
        statistics=DOMINANCE,
        contrast="share of what varies between units that goes with each factor",
        unit="share of the variance between units",
        method=found.method,
        notes=(*found.notes, f"All factors together: {100 * found.r_squared:.0f}% of it."),
    )


def selection_effects(
    found: pd.DataFrame, members: Mapping[str, float], *, options: Mapping[str, object]
) -> EffectTable:
    """How often each term is chosen in halves of the clusters, a row a term and statistic."""
    return _statistics(
        found.assign(n_members=found["term"].map(dict(members))),
        keys=("term",),
        statistics=SELECTION,
        contrast="how often an elastic net chooses a term among the first, in halves of the units",
        unit="share of the halves",
        method=Method(
            "Elastic net, complementary pairs stability selection",
            dict(options),
            "Shah RD, Samworth RJ (2013). doi:10.1111/j.1467-9868.2011.01034.x",
        ),
        notes=(NOT_EFFECTS,),
    )


def combination_effects(found: FsqcaSolutions, *, n_members: float) -> EffectTable:
    """Terms of the solutions of a truth table, a row a term and statistic.

    Parameters
    ----------
    found : FsqcaSolutions
    n_members : float
        Members behind the smallest case: nothing is said of a case that says less than it does.
    """
    terms = found.terms.assign(n_members=n_members, model=found.terms["model"].astype(str))
    expected = cast("Mapping[str, str]", found.method.options["expectations"])
    words = ", ".join(f"{name} {state}" for name, state in expected.items())
    return _statistics(
        terms,
        keys=("solution", "model", "term"),
        statistics=COMBINATION,
        contrast="combinations of conditions that go with the outcome in these cases",
        unit="share, and number of cases",
        method=found.method,
        notes=(
            *found.notes,
            f"Outcome: {found.table.outcome}.",
            *((f"Expected: {words}.",) if words else ()),
            NOT_EFFECTS,
        ),
    )


def untenable_effects(found: pd.DataFrame, table: TruthTable, *, n_members: float) -> EffectTable:
    """Combinations that no solution rests on, a row a combination and reason.

    Parameters
    ----------
    found : pd.DataFrame
        From `untenable_assumptions` of `table`.
    table : TruthTable
    n_members : float
        As in `combination_effects`.
    """
    states = found[list(table.conditions)].astype(bool)
    words = [
        "*".join(c if state else f"~{c}" for c, state in row.items())
        for _, row in states.iterrows()
    ]
    return _statistics(
        found.assign(combination=words, n_members=n_members),
        keys=("combination", "reason"),
        statistics=("is_observed",),
        contrast="combinations of conditions that must not be supposed to have the outcome",
        unit="1: with cases, 0: without",
        method=Method(
            "Enhanced standard analysis",
            {"conditions": list(table.conditions)},
            "Schneider CQ, Wagemann C (2012). doi:10.1017/CBO9781139004244",
        ),
        notes=(f"Outcome: {table.outcome}.", NOT_EFFECTS),
    )


def _statistics(
    frame: pd.DataFrame,
    *,
    keys: Sequence[str],
    statistics: Sequence[str],
    contrast: str,
    unit: str,
    method: Method,
    notes: tuple[str, ...],
) -> EffectTable:
    """One row a row of the frame and statistic; members from ``n_members``, no covariance.

    No count of referrals stands behind a statistic of units, so that rounding counts leaves it.
    """
    long = frame.melt(
        id_vars=[*keys, "n_members"], value_vars=list(statistics), var_name="statistic"
    )
    order = np.argsort(np.tile(np.arange(len(frame)), len(statistics)), kind="stable")
    long = long.iloc[order].reset_index(drop=True)
    k = len(long)
    return EffectTable(
        keys=long[[*keys, "statistic"]],
        estimate=long["value"].to_numpy(dtype=float),
        covariance=np.full((k, k), np.nan),
        support=pd.DataFrame(
            {"n_members": long["n_members"], "n_events": np.inf, "member_months": np.nan}
        ),
        estimand=Estimand(name="Association", contrast=contrast, unit=unit, is_causal=False),
        method=method,
        notes=notes,
    )
