"""Effects by imputing what the exposed would have had, from cell moments."""

from __future__ import annotations

from calaim_eval.estimate.cell_grid import stratum_grids
from calaim_eval.estimate.cell_rows import (
    FixedEffects,
    require_fixed_effects,
)
from calaim_eval.estimate.imputation.imputation_terms import (
    CONDITIONAL,
    By,
    ImputationTerms,
    Variance,
    imputation_estimand,
    imputation_method,
)
from calaim_eval.estimate.imputation.imputed_cells import imputed_stratum
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import (
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.words import default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import index_frequency
from calaim_eval.results import EffectTable


def imputation_att(
    moments: CellMoments,
    *,
    outcome: str,
    by: By = "overall",
    leads: int = 0,
    anticipation_months: int = 0,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    fixed_effects: FixedEffects = "member",
    variance: Variance = "conservative",
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Effect on the exposed, by imputing what they would have had (Borusyak, Jaravel, Spiess).

    Use beside `group_time_att`: the same estimand, more precise where the months before exposure
    are all alike, because it compares with all of them rather than with the last. It leans on
    parallel trends in *every* one of them. Positive: the exposed have more of the outcome.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`. Each covariate cell has month effects of its own.
    outcome : str
        One of ``moments.outcomes``.
    by : {"overall", "event_time", "cohort", "month"}
        What is averaged over exposed member-months: all; by months since exposure; by cohort; by
        calendar month.
    leads : int
        With ``by="event_time"``: coefficients of so many months before exposure, fitted on
        members not exposed, against the months before them. `pre_trend_test` tests them.
    anticipation_months : int
        Months before exposure left out of the fit.
    min_event_time, max_event_time : int, optional
        Only effects at these months since exposure, both included.
    fixed_effects : {"member", "cohort"}
        Member effects are exact from cells where every member is covered in every month, and
        refused otherwise; an effect for each cohort (and covariate cell) takes any panel.
    variance : {"conservative", "leave_one_out", "two_stage"}
        Residuals of the exposed about the mean effect of their cohort and month (the paper's, in
        large samples at least as large as the truth); about that mean without the member itself
        (for small cohorts; the paper's appendix A.9); or about the term's own average (Gardner's
        two stages, R `did2s`).
    cluster : str
        ``"member"`` or the cluster column of the moments.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any) and `by` (none for ``"overall"``); leads have negative
        event times.

    Raises
    ------
    DesignError
        Nobody is exposed, or nobody can be imputed; leads that begin before the panel or that the
        effects explain.
    EstimationError
        An unknown option, members with gaps under ``fixed_effects="member"``, or an outcome that
        does not vary.

    Notes
    -----
    :math:`y_{it} = \alpha_i + \beta_t` is fitted on the member-months not exposed; effects are
    :math:`\hat\tau_{it} = y_{it} - \hat\alpha_i - \hat\beta_t`, and an average
    :math:`\sum w_{it} \hat\tau_{it}` is linear, :math:`\sum v_{it} y_{it}`. Its variance is
    :math:`\sum_i (\sum_t v_{it} \tilde e_{it})^2` with :math:`\tilde e` the residuals, of the
    exposed less the mean effect of their cohort and month [1]_. In a balanced panel v is the same
    for all of a cell and :math:`\alpha_i` drops out, so cells give both exactly. Gardner's two
    stages have the same point estimate [2]_.

    References
    ----------
    .. [1] Borusyak K, Jaravel X, Spiess J (2024). Review of Economic Studies 91(6):3253-3285.
       doi:10.1093/restud/rdae007
    .. [2] Gardner J (2022). Two-stage differences in differences. doi:10.48550/arXiv.2207.05943

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
    >>> imputation_att(moments, outcome="visits").estimate.round(3)
    array([2.])
    """
    terms = ImputationTerms(
        by, leads, anticipation_months, min_event_time, max_event_time, variance
    )
    require_cluster(moments, cluster)
    grids = stratum_grids(moments, outcome)
    require_fixed_effects(grids, fixed_effects, members="imputation_att_from_members")
    frequency, own_level = index_frequency(moments.months), fixed_effects == "member"
    strata, losses = identified_strata(
        grids, lambda grid: imputed_stratum(grid, terms, frequency, own_level=own_level), per=per
    )
    require_variation(moments, outcome)
    return terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=imputation_estimand(unit or default_unit(moments, outcome, per)),
        method=imputation_method(
            "from cell moments",
            terms,
            {
                "outcome": outcome,
                "fixed_effects": fixed_effects,
                "cluster": cluster,
                "per": per,
                "covariate_cells": list(moments.covariate_cells),
            },
        ),
        notes=[CONDITIONAL],
        losses=losses,
    )
