"""Two-way fixed effects on member-level data: gaps, covariates and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.exposure_terms import (
    By,
    is_exposed,
    require_terms,
    term_names,
)
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.estimate.member_rows import (
    MemberRows,
    member_rows,
    member_table,
)
from calaim_eval.estimate.two_way.two_way_effects import TwoWayEffects
from calaim_eval.estimate.two_way.two_way_fit import TwoWayFit, crv1_factor, fit_two_way
from calaim_eval.estimate.two_way.two_way_terms import (
    NAIVE,
    SmallSample,
    TwoWayTerms,
    naive_estimand,
    naive_method,
    weight_words,
)
from calaim_eval.estimate.words import notes_by_group, unit_words
from calaim_eval.moments.periods import MISSING, index_ordinals
from calaim_eval.results import EffectTable

Errors = Literal["clustered", "independent"]
INDEPENDENT = (
    "Standard errors take the months of a member as independent: for comparison with published "
    "tables only."
)


def two_way_fixed_effects_from_members(
    data: pd.DataFrame,
    *,
    member_id: str = "member_id",
    month: str = "month",
    cohort: str = "cohort",
    outcome: str,
    by: By = "overall",
    reference_event_time: int = -1,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    effects_of: str | None = None,
    cluster: str = MEMBER,
    errors: Errors = "clustered",
    small_sample: SmallSample = "crv1",
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""`two_way_fixed_effects` on member-level data: gaps, covariates and weights.

    Parameters
    ----------
    data : pd.DataFrame
        One row per member and month, in any order, months without coverage absent.
    member_id, month, cohort, outcome : str
        Columns, as in `reduce_panel`; `cohort` missing = never exposed.
    by, reference_event_time, min_event_time, max_event_time, small_sample, per, unit
        As in `two_way_fixed_effects`.
    covariates : sequence of str
        Numbers that change within members.
    weight : str, optional
        Positive weights.
    effects_of : str, optional
        Column, constant in a member, whose effects stand in place of the members' own.
    cluster : str
        ``"member"``, or a column that is constant in a member.
    errors : {"clustered", "independent"}
        Independent: the classical standard error, for comparison with published tables.

    Returns
    -------
    EffectTable
        As from `two_way_fixed_effects`, without strata. Coefficients of covariates are left out.

    Raises
    ------
    TableError
        What `reduce_panel` refuses in a frame.
    DesignError, EstimationError
        As `two_way_fixed_effects`.

    Notes
    -----
    Member effects are eliminated exactly and month effects solved for (Frisch-Waugh-Lovell);
    with T months and k terms it takes arrays of rows by k and of T by T. Classical errors divide
    by :math:`N - K` with all effects in K.
    """
    require_terms(by, min_event_time, max_event_time, small_sample)
    require_choice("errors", errors, ("clustered", "independent"))
    rows = member_rows(
        data,
        member_id=member_id,
        month=month,
        cohort=cohort,
        outcome=outcome,
        covariates=covariates,
        weight=weight,
        effects_of=effects_of,
        cluster=cluster,
    )
    terms = TwoWayTerms(by, reference_event_time, min_event_time, max_event_time)
    keys, columns = terms.of(rows.event_time)
    effects = rows.two_way()
    fit = fit_two_way(
        effects,
        rows.y,
        np.hstack([columns.astype(float), rows.covariates]),
        [*term_names(keys), *covariates],
        n_covariates=len(covariates),
    )
    k = len(keys)
    exposed = is_exposed(rows.event_time)
    is_always = (rows.cohort != MISSING) & (rows.cohort <= index_ordinals(rows.months)[0])
    residual = rows.weight * (rows.y - fit.fitted)
    factor = 1.0
    if small_sample == "crv1":
        n_effects = effects.n_month_effects if rows.is_nested else effects.n_effects
        factor = crv1_factor(rows.n_clusters, len(rows), len(fit.coefficient) + n_effects)
    table = member_table(
        rows,
        per * fit.row_loads[:, :k] * residual[:, None],
        keys=keys,
        estimate=per * fit.coefficient[:k],
        sides=rows.sides(columns, exposed),
        factor=factor,
        estimand=naive_estimand(terms, unit or unit_words(outcome, rows.months, per)),
        method=naive_method(
            "from member-months",
            {
                "outcome": outcome,
                **terms.options(),
                "covariates": list(covariates),
                "weight": weight,
                "fixed_effects": effects_of or "member",
                "cluster": rows.cluster_name,
                "errors": errors,
                "small_sample": small_sample,
                "per": per,
            },
        ),
        notes=[
            NAIVE,
            *(rows.cluster_notes if errors == "clustered" else (INDEPENDENT,)),
            *notes_by_group(
                (what, "", much)
                for what, much in weight_words(
                    fit, terms, rows.event_time, rows.weight, is_always=is_always
                )
            ),
        ],
    )
    return table if errors == "clustered" else _independent(table, rows, effects, fit, per)


def _independent(
    table: EffectTable, rows: MemberRows, effects: TwoWayEffects, fit: TwoWayFit, per: float
) -> EffectTable:
    """The table with classical standard errors."""
    k = len(table)
    left = len(rows) - len(fit.coefficient) - effects.n_effects
    if left <= 0:
        raise EstimationError(
            "errors='independent': there are as many effects and terms as member-months."
        )
    variance = float(rows.weight @ (rows.y - fit.fitted) ** 2) / left
    return replace(
        table, covariance=per**2 * variance * fit.inverse[:k, :k], cluster_influence=None
    )
