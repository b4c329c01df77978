"""Two-way fixed effects: what the naive answer would be, as a benchmark."""

from __future__ import annotations

from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cell_rows import (
    FixedEffects,
    cell_rows,
    require_fixed_effects,
)
from calaim_eval.estimate.exposure_terms import (
    By,
    is_exposed,
    require_terms,
    term_names,
)
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import (
    StratumTerms,
    clusters_of,
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor, fit_two_way
from calaim_eval.estimate.two_way.two_way_terms import (
    NAIVE,
    SmallSample,
    TwoWayTerms,
    naive_estimand,
    naive_method,
    weight_words,
)
from calaim_eval.estimate.words import default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import MISSING
from calaim_eval.results import EffectTable


def two_way_fixed_effects(
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
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Regression on exposure with member and month effects: the naive benchmark.

    Use beside `group_time_att`, to show what the usual regression would have said, and with
    `bacon_decomposition`, to show why. Positive: the exposed have more of the outcome.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`. With covariate cells each has month effects of its own; pool them
        (``moments.pooled(...)``) for common ones.
    outcome : str
        One of ``moments.outcomes``.
    by : {"overall", "event_time"}
        One coefficient of being exposed, or one for each number of months since exposure.
    reference_event_time : int
        The event time the others are compared with.
    min_event_time, max_event_time : int, optional
        Event times beyond stand together in the first and the last.
    fixed_effects : {"member", "cohort"}
        Member effects are exact from cells where every member is covered in every month, and
        refused otherwise; an effect for each cohort (and covariate cell) takes any panel.
    cluster : str
        ``"member"`` or the cluster column of the moments.
    small_sample : {"crv1", "none"}
        The factor R fixest uses, or the raw sandwich `group_time_att` uses.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any), and ``event_time`` with ``by="event_time"``; strata are
        fitted apart, jointly in the covariance. ``estimand.is_causal`` is False.

    Raises
    ------
    DesignError
        Nobody, or everybody always, is exposed; terms that the effects explain, as without
        never-exposed members.
    EstimationError
        An unknown option, members with gaps under ``fixed_effects="member"``, or an outcome that
        does not vary.

    Notes
    -----
    :math:`y_{it} = \alpha_i + \beta_t + \theta D_{it} + e_{it}`. In a balanced panel D less its
    member and month means is the same for all of a cohort, and so is every member's load
    :math:`\tilde D_{ct} (y_{it} - m_{ct})`: cells give coefficient and clustered covariance
    exactly [1]_. CRV1: times :math:`\frac{G}{G-1}\frac{N-1}{N-K}`, K counting terms, months and
    cohort effects, but not member effects, which are nested in the clusters.

    References
    ----------
    .. [1] Goodman-Bacon A (2021). J Econometrics 225(2):254-277. doi:10.1016/j.jeconom.2021.03.014

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({
    ...     "id": np.repeat([1, 2, 3, 4], 2), "year": [2020, 2021] * 4,
    ...     "first_exposed": [2021.0] * 4 + [np.nan] * 4, "visits": [1, 3, 2, 5, 1, 1, 0, 1],
    ... })
    >>> moments = reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...                        cohort="first_exposed")
    >>> two_way_fixed_effects(moments, outcome="visits").estimate.round(3)
    array([2.])
    """
    require_terms(by, min_event_time, max_event_time, small_sample)
    require_cluster(moments, cluster)
    grids = stratum_grids(moments, outcome)
    require_fixed_effects(grids, fixed_effects, members="two_way_fixed_effects_from_members")
    terms = TwoWayTerms(by, reference_event_time, min_event_time, max_event_time)
    strata, losses = identified_strata(
        grids,
        lambda grid: _stratum(moments, grid, terms, fixed_effects, cluster, small_sample),
        per=per,
    )
    require_variation(moments, outcome)
    return terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=naive_estimand(terms, unit or default_unit(moments, outcome, per)),
        method=naive_method(
            "from cell moments",
            {
                "outcome": outcome,
                **terms.options(),
                "fixed_effects": fixed_effects,
                "cluster": cluster,
                "small_sample": small_sample,
                "per": per,
                "covariate_cells": list(moments.covariate_cells),
            },
        ),
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
) -> tuple[StratumTerms, list[tuple[str, str]]]:
    """Terms of one stratum, and what a reader must know of their weights."""
    rows = cell_rows(grid)
    keys, columns = terms.of(rows.event_time)
    effects = rows.two_way()
    fit = fit_two_way(effects, rows.mean, columns.astype(float), term_names(keys))
    exposed = is_exposed(rows.event_time)
    factor = 1.0
    if small_sample == "crv1":
        n_effects = effects.n_month_effects if fixed_effects == "member" else effects.n_effects
        n_clusters = clusters_of(moments, grid, cluster)
        factor = crv1_factor(n_clusters, float(rows.at_risk.sum()), len(keys) + n_effects)
    found = StratumTerms(
        grid=grid,
        keys=keys,
        estimate=fit.coefficient,
        on_outcome=rows.on_grid(fit.row_loads),
        on_coverage=rows.on_grid(-fit.row_loads * fit.fitted[:, None]),
        sides=rows.sides(columns, exposed),
        factor=factor,
    )
    cohort = grid.cohorts[rows.cohort]
    is_always = (cohort != MISSING) & (cohort <= grid.axis[0])
    return found, weight_words(fit, terms, rows.event_time, rows.at_risk, is_always=is_always)
