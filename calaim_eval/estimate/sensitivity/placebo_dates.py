"""Effects at false dates before exposure, where the truth is 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.time_pairs import (
    Comparison,
    require_comparison,
    require_pair_options,
)
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.repeated_terms import (
    effects_from_exposure,
    overall_term,
    under_one_another,
)
from calaim_eval.estimate.sensitivity.calendar_notes import calendar_notes
from calaim_eval.estimate.stratum_terms import (
    StratumTerms,
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.words import default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import MISSING
from calaim_eval.results import EffectTable, Estimand, Method

NOT_AN_EFFECT = (
    "Effects at false dates, from months before exposure only: the truth is 0. Estimates away from "
    "0 speak against the comparison; estimates near 0 do not prove it."
)


def placebo_dates(
    moments: CellMoments,
    *,
    outcome: str,
    months_earlier: Sequence[int] = (3, 6, 12),
    comparison: Comparison = "not_yet_exposed",
    anticipation_months: int = 0,
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""The overall effect as it would be found at false dates, all strata and dates jointly.

    Use beside an overall effect: the same estimator, on each cohort's months before exposure,
    with every cohort moved some months earlier. `joint_test` tests all dates together.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`.
    outcome : str
    months_earlier : sequence of int
        How many months before exposure the false dates lie, each more than `anticipation_months`.
        The false follow-up runs from there to the last month that can't be affected.
    comparison : {"not_yet_exposed", "never_exposed"}
        Not yet exposed at the false date as the estimator would see it: cohorts that are moved
        too.
    anticipation_months : int
        Months before exposure that may already be affected: cut off, and kept between the base
        month and the false date as in the estimate itself.
    cluster : str
        ``"member"`` or the cluster column of the moments.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any), ``months_earlier``; dates in the order given. Not causal:
        there is nothing to cause.

    Raises
    ------
    DesignError
        No false date has a base month and a comparison in any stratum.
    EstimationError
        A false date within the months of anticipation, an unknown option, an outcome that does
        not vary.

    Notes
    -----
    Cohort g becomes g - k, and its months from g less anticipation on are left out; then
    :math:`ATT(g - k, t)` of Callaway and Sant'Anna [1]_ from :math:`g - k` on, averaged over
    cohort-months with the members of the cohorts as weights. Cohorts exposed after the panel ends
    enter where their false date lies inside it.

    References
    ----------
    .. [1] Callaway B, Sant'Anna PHC (2021). J Econometrics 225(2):200-230.
       doi:10.1016/j.jeconom.2020.12.001

    Examples
    --------
    >>> import pandas as pd
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({
    ...     "id": np.repeat([1, 2, 3, 4], 3), "year": [2020, 2021, 2022] * 4,
    ...     "first_exposed": [2022.0] * 6 + [np.nan] * 6,
    ...     "visits": [1, 2, 9, 2, 4, 9, 1, 1, 1, 0, 1, 1],
    ... })
    >>> moments = reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...                        cohort="first_exposed")
    >>> found = placebo_dates(moments, outcome="visits", months_earlier=[1]).to_frame()
    >>> found[["months_earlier", "estimate", "std_error"]].round(3)
       months_earlier  estimate  std_error
    0               1       1.0        0.5
    """
    dates = _require_dates(months_earlier, anticipation_months)
    require_pair_options(comparison, "varying", anticipation_months)
    require_cluster(moments, cluster)
    require_variation(moments, outcome)
    grids = stratum_grids(moments, outcome)
    require_comparison([grid.cohorts for grid in grids], moments.months, comparison)

    def terms_of(grid: CellGrid) -> tuple[StratumTerms, list[tuple[str, str]]]:
        """The dates of one stratum under one another, and those not identified."""
        terms = {d: _placebo(grid, d, comparison, anticipation_months, per) for d in dates}
        parts = [term for term in terms.values() if term is not None]
        if not parts:
            raise DesignError(
                f"placebo_dates: no cohort has a month before a date {min(dates)} months (or more) "
                f"before its exposure, with comparison members, in {moments.months[0]} to "
                f"{moments.months[-1]}. Give smaller `months_earlier`, or begin the panel earlier."
            )
        lost = [
            ("False dates not identified", f"{date} months earlier")
            for date, term in terms.items()
            if term is None
        ]
        return under_one_another(parts), lost

    strata, losses = identified_strata(grids, terms_of)
    return terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=Estimand(
            name="Placebo effect",
            contrast="exposed members before exposure, as if exposed `months_earlier` months "
            "before, minus what they would have had; the truth is 0",
            unit=unit or default_unit(moments, outcome, per),
            is_causal=False,
        ),
        method=Method(
            "Group-time average effects at false dates before exposure, from cell moments",
            MappingProxyType(
                {
                    "outcome": outcome,
                    "months_earlier": list(dates),
                    "comparison": comparison,
                    "anticipation_months": anticipation_months,
                    "cluster": cluster,
                    "per": per,
                    "covariate_cells": list(moments.covariate_cells),
                }
            ),
            "Callaway B, Sant'Anna PHC (2021). Journal of Econometrics 225(2):200-230. "
            "doi:10.1016/j.jeconom.2020.12.001",
        ),
        notes=[NOT_AN_EFFECT, *calendar_notes(outcome, moments.months)],
        losses=losses,
    )


def _require_dates(months_earlier: Sequence[int], anticipation_months: int) -> tuple[int, ...]:
    """The false dates, refused where they are none."""
    dates = tuple(int(date) for date in months_earlier)
    bad = [d for d, given in zip(dates, months_earlier, strict=True) if d != given]
    bad += [d for d in dates if d <= max(anticipation_months, 0)]
    if not dates or bad or len(set(dates)) < len(dates):
        raise EstimationError(
            f"placebo_dates: months_earlier={list(months_earlier)}; give different whole numbers, "
            f"each more than the {anticipation_months} months of anticipation."
        )
    return dates


def _placebo(
    grid: CellGrid, date: int, comparison: Comparison, anticipation_months: int, per: float
) -> StratumTerms | None:
    """The overall effect at one false date; None where none is identified."""
    moved = _moved(grid, date, anticipation_months)
    effects = effects_from_exposure(
        moved, comparison, anticipation_months=anticipation_months, per=per
    )
    return overall_term(effects, {"months_earlier": date}) if len(effects) else None


def _moved(grid: CellGrid, date: int, anticipation_months: int) -> CellGrid:
    """Cohorts `date` months earlier, without the months that exposure may have touched."""
    is_never = grid.is_never
    real = np.where(is_never, np.iinfo(np.int64).max, grid.cohorts)
    untouched = grid.axis[None, :] < (real - anticipation_months)[:, None]
    shown = untouched[:, None, :]
    return replace(
        grid,
        cohorts=np.where(is_never, MISSING, grid.cohorts - date),
        total=grid.total * shown,
        at_risk=grid.at_risk * shown,
        events=grid.events * shown,
    )
