"""One rate ratio with cohort (or member) and month effects: the naive Poisson benchmark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calaim_eval.errors import DesignError
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cell_rows import FixedEffects, cell_rows, require_fixed_effects
from calaim_eval.estimate.counts.count_effects import require_no_negative
from calaim_eval.estimate.counts.multiplicative_fit import fit_log_terms, is_separated
from calaim_eval.estimate.exposure_terms import By, is_exposed, require_terms, term_names
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import (
    StratumTerms,
    clusters_of,
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor
from calaim_eval.estimate.two_way.two_way_terms import (
    NAIVE,
    SmallSample,
    TwoWayTerms,
    naive_estimand,
    naive_method,
)
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable


def two_way_poisson(
    moments: CellMoments,
    *,
    outcome: str,
    by: By = "overall",
    reference_event_time: int = -1,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    fixed_effects: FixedEffects = "member",
    cluster: str = MEMBER,
    small_sample: SmallSample = "crv1",
) -> EffectTable:
    r"""Poisson regression on exposure with member and month effects: the naive rate ratio.

    Use beside `count_effects`, to show what the usual regression would have said. Above 1: the
    exposed have more of the outcome.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`. With covariate cells each has month effects of its own.
    outcome : str
        One of ``moments.outcomes``; not negative.
    by : {"overall", "event_time"}
        One ratio of being exposed, or one for each number of months since exposure.
    reference_event_time : int
        The event time the others are compared with.
    min_event_time, max_event_time : int, optional
        Event times beyond stand together in the first and the last.
    fixed_effects : {"member", "cohort"}
        Member effects are exact from cells where every member is covered in every month, and
        refused otherwise; an effect for each cohort (and covariate cell) takes any panel. Ratio
        and raw sandwich are the same where both can be had; the small-sample factor is not.
    cluster : str
        ``"member"`` or the cluster column of the moments.
    small_sample : {"crv1", "none"}
        The factor R fixest uses, or the raw sandwich.

    Returns
    -------
    EffectTable
        Rate ratios. Keys: stratum columns (if any), and ``event_time`` with
        ``by="event_time"``. ``estimand.is_causal`` is False.

    Raises
    ------
    DesignError
        Nobody, or everybody always, is exposed; terms that the effects explain; no event on one
        side of a term.
    EstimationError
        An unknown option, members with gaps under ``fixed_effects="member"``, negative counts, or
        an outcome that does not vary.

    Notes
    -----
    :math:`E[y_{it}] = r_{it} \exp(\alpha_i + \beta_t + \delta D_{it})`. In a balanced panel the
    score of :math:`\delta` has the same load for all of a cohort in a month, and
    :math:`\alpha_i` drops out of it, so cells give ratio and clustered covariance exactly.
    Members and cells without any event carry no information and leave the ratio as it is; unlike
    R fixest they are counted in the small-sample factor [1]_.

    References
    ----------
    .. [1] Wooldridge JM (1999). Distribution-free estimation of some nonlinear panel data models.
       J Econometrics 90(1):77-97. doi:10.1016/S0304-4076(98)00033-5
    """
    require_terms(by, min_event_time, max_event_time, small_sample)
    require_cluster(moments, cluster)
    require_variation(moments, outcome)
    require_no_negative(moments, outcome)
    grids = stratum_grids(moments, outcome)
    require_fixed_effects(
        grids, fixed_effects, members="a Poisson regression with member effects (e.g. R fixest)"
    )
    terms = TwoWayTerms(by, reference_event_time, min_event_time, max_event_time)
    strata, losses = identified_strata(
        grids,
        lambda grid: (_stratum(moments, grid, terms, fixed_effects, cluster, small_sample), ()),
    )
    options = {
        "outcome": outcome,
        **terms.options(),
        "fixed_effects": fixed_effects,
        "cluster": cluster,
        "small_sample": small_sample,
        "covariate_cells": list(moments.covariate_cells),
    }
    estimand = naive_estimand(terms, f"{outcome}: rate with exposure to rate without")
    return terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=replace(estimand, name="Two-way fixed effects rate ratio", scale="ratio"),
        method=naive_method("Poisson, from cell moments", options),
        notes=[NAIVE],
        losses=losses,
    )


def _stratum(
    moments: CellMoments,
    grid: CellGrid,
    terms: TwoWayTerms,
    fixed_effects: FixedEffects,
    cluster: str,
    small_sample: SmallSample,
) -> StratumTerms:
    """Rate ratios of one stratum."""
    rows = cell_rows(grid)
    n_cohorts, n_covariates, n_months = grid.at_risk.shape
    sizes = {"n_units": n_cohorts * n_covariates, "n_months": n_covariates * n_months}
    total = grid.level[rows.cohort, rows.covariate, rows.month]
    keys, everywhere = terms.of(rows.event_time)
    kept = np.flatnonzero(~is_separated(rows.unit, rows.cell_month, total, **sizes))
    columns = everywhere[kept].astype(float)
    names = term_names(keys)
    _require_events(total[kept], columns, names)
    fit, effects = fit_log_terms(
        rows.unit[kept],
        rows.cell_month[kept],
        rows.at_risk[kept],
        total[kept],
        columns,
        names,
        **sizes,
    )
    ratio = np.exp(fit.coefficient)
    loads, centre = np.zeros((len(rows), len(keys))), np.zeros(len(rows))
    loads[kept], centre[kept] = fit.row_loads * ratio, np.exp(fit.fitted)
    factor = 1.0
    if small_sample == "crv1":
        n_effects = effects.n_month_effects if fixed_effects == "member" else effects.n_effects
        n_clusters = clusters_of(moments, grid, cluster)
        factor = crv1_factor(n_clusters, float(rows.at_risk[kept].sum()), len(keys) + n_effects)
    return StratumTerms(
        grid=grid,
        keys=keys,
        estimate=ratio,
        on_outcome=rows.on_grid(loads),
        on_coverage=rows.on_grid(-loads * (centre - grid.shift)[:, None]),
        sides=rows.sides(everywhere, is_exposed(rows.event_time)),
        factor=factor,
    )


def _require_events(total: np.ndarray, columns: np.ndarray, names: list[str]) -> None:
    """Refuse terms with no event on one side: their ratio is 0 or infinite."""
    inside = total @ columns
    empty = (inside <= 0) | (total.sum() - inside <= 0)
    if empty.any():
        named = ", ".join(f"`{n}`" for n, e in zip(names, empty, strict=True) if e)
        raise DesignError(
            f"{named}: no event on one side of {int(empty.sum())} of {len(names)} terms, so its "
            "rate ratio is 0 or infinite. Put event times together with `min_event_time` and "
            "`max_event_time`, or pool strata."
        )
