"""Effects on counts: rate ratios and rate differences with cohort and month effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.cell_grid import LEVEL_ROUNDING, stratum_grids
from calaim_eval.estimate.cohort_month.time_pairs import (
    Comparison,
    require_comparison,
    require_pair_options,
)
from calaim_eval.estimate.counts.count_terms import (
    GIVEN,
    By,
    CountTerms,
    MonthEffects,
    SmallSample,
    Weights,
)
from calaim_eval.estimate.counts.expected_rates import count_terms_of_stratum
from calaim_eval.estimate.counts.multiplicative_fit import Link
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import (
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.words import default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable
from calaim_eval.results.effect_table import with_undefined
from calaim_eval.results.estimand import Scale


def count_effects(
    moments: CellMoments,
    *,
    outcome: str,
    by: By = "overall",
    scale: Scale = "ratio",
    link: Link = "log",
    comparison: Comparison = "not_yet_exposed",
    anticipation_months: int = 0,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    month_effects: MonthEffects = "by_cell",
    weights: Weights = "estimated",
    small_sample: SmallSample = "none",
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Effect on a count or an amount: rate ratio, or rate difference, under the log link.

    Use for visits, stays, days and dollars, where groups that differ in level would more likely
    move by the same *percentage* than by the same number. Above 1 (or 0): the exposed have more
    of the outcome than they would have had.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`; member-months, fractions too, are the exposure of the rate. Each
        covariate cell has cohort effects of its own; for common ones pool the cells
        (``moments.pooled(...)``).
    outcome : str
        One of ``moments.outcomes``; not negative under the log link.
    by : {"overall", "event_time", "cohort", "month", "cohort_month"}
        What is put together: all exposed member-months; by months since exposure; by cohort; by
        calendar month; nothing.
    scale : {"ratio", "difference"}
        Observed events divided by expected ones, or the difference of the two rates.
    link : {"log", "identity"}
        Same percentage change without exposure (Poisson), or same change (least squares).
    comparison : {"not_yet_exposed", "never_exposed"}
        Fit on all member-months before exposure, or on the never exposed and the exposed's last
        month before exposure; then event times before exposure are shown too.
    anticipation_months : int
        Months before exposure that may already be affected.
    min_event_time, max_event_time : int, optional
        Only effects at these months since exposure, both included.
    month_effects : {"by_cell", "common"}
        Growth without exposure of each covariate cell by itself, or the same factors in all
        cells of a stratum. By itself takes cells of some hundred members: where a cell has few
        events in a month, the ratio is too low, and a note says by how much. Common factors have
        no such bias however small the cells, if growth is alike in them.
    weights : {"estimated", "given"}
        Whether the standard error includes the chance in the mix of exposed member-months, as
        Stata's ``vce(unconditional)`` does, or takes it as given, as R `etwfe`: too narrow where
        cells hold few members.
    small_sample : {"none", "crv1"}
        The raw sandwich `group_time_att` uses, or the factor of R fixest.
    cluster : str
        ``"member"`` or the cluster column of the moments.
    per : float
        1,000 gives differences per 1,000 member-months; a ratio has no unit.
    unit : str, optional
        Of differences, in the words of a report.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any) and `by` (``cohort`` and ``month`` for
        ``"cohort_month"``). Strata are fitted apart, jointly in the covariance.

    Raises
    ------
    DesignError
        Nobody is exposed, there is no month before exposure, no comparison, or no event in the
        months the expected rate comes from.
    EstimationError
        An unknown option or outcome, negative counts under the log link, an outcome that does
        not vary, an expected rate that is not positive under ``scale="ratio"``.

    Notes
    -----
    :math:`E[y_{it}] = r_{it} \exp(\alpha_c + \beta_t + \tau_{ct} D_{it})` with one
    :math:`\tau_{ct}` for each exposed cohort-month [1]_. So :math:`\alpha, \beta` are those of the
    unexposed member-months, :math:`E_{ct} = R_{ct} e^{\alpha_c + \beta_t}` is the number of events
    the exposed would have had, and of any set of cohort-months the ratio is
    :math:`\sum Y_{ct} / \sum E_{ct}` and the difference :math:`(\sum Y_{ct} - \sum E_{ct}) / \sum
    R_{ct}`. No distribution is assumed: overdispersion and amounts need nothing more, and the
    member-clustered sandwich is exact from the moments. Member effects give the same numbers
    where every member is covered in every month. With covariate cells :math:`x` cohorts have
    :math:`\alpha_{cx}`, months :math:`\beta_{tx}` or, ``month_effects="common"``,
    :math:`\beta_t`. Given :math:`\beta`, :math:`e^{\alpha_{cx}}` is a sum of events over a known
    number, so that many small cells add no bias to common months; :math:`e^{\beta_{tx}}` is a
    quotient of counts of one cell, whose expectation is too large by the variance of its
    denominator.

    References
    ----------
    .. [1] Wooldridge JM (2023). The Econometrics Journal 26(3):C31-C66. doi:10.1093/ectj/utad016

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({
    ...     "id": np.repeat([1, 2, 3, 4], 2), "year": [2020, 2021] * 4,
    ...     "first_exposed": [2021.0] * 4 + [np.nan] * 4, "visits": [1, 3, 2, 6, 1, 2, 1, 1],
    ... })
    >>> moments = reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...                        cohort="first_exposed")
    >>> count_effects(moments, outcome="visits").estimate.round(3)
    array([2.])
    """
    require_pair_options(comparison, "varying", anticipation_months)
    terms = CountTerms(
        by,
        scale,
        link,
        comparison,
        anticipation_months,
        min_event_time,
        max_event_time,
        weights,
        small_sample,
        month_effects,
    )
    require_cluster(moments, cluster)
    grids = stratum_grids(moments, outcome)
    require_comparison([grid.cohorts for grid in grids], moments.months, comparison)
    require_variation(moments, outcome)
    if link == "log":
        require_no_negative(moments, outcome)
    strata, losses = identified_strata(
        grids, lambda grid: count_terms_of_stratum(moments, grid, terms, cluster, per)
    )
    options = {
        "outcome": outcome,
        "cluster": cluster,
        "per": per,
        "covariate_cells": list(moments.covariate_cells),
    }
    table = terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=terms.estimand(outcome, unit or default_unit(moments, outcome, per)),
        method=terms.method(options),
        notes=[GIVEN] if weights == "given" else [],
        losses=losses,
    )
    without_events = np.array([side[0, 1] == 0 for found in strata for side in found.sides])
    covariance, influence = with_undefined(
        table.covariance, table.cluster_influence, without_events
    )
    return replace(table, covariance=covariance, cluster_influence=influence)


def require_no_negative(moments: CellMoments, outcome: str) -> None:
    """Refuse outcomes below 0, as far as sums can tell: a rate has no logarithm then."""
    found = moments.outcome_moments(outcome)
    level = found.level_total(moments.at_risk)
    negative = (level < -LEVEL_ROUNDING * np.abs(found.shift) * moments.at_risk) & (
        found.nonzero > 0
    )
    is_whole = np.issubdtype(found.total.dtype, np.integer)
    if not (negative.any() or (is_whole and not found.is_count)):
        return
    where = f" ({int(negative.sum()):,} cell-months have a sum below 0)" if negative.any() else ""
    raise EstimationError(
        f"`{outcome}` has values below 0{where}: a ratio of rates means nothing then. Settle "
        "reversals before reducing the panel, or use link='identity' with scale='difference'."
    )
