"""Group-time average effects adjusted for continuous covariates, from member-level data."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, require_choice
from calaim_eval.estimate.cohort_month.adjusted_effects import (
    AdjustedEffects,
    AdjustedGroupTimeEffects,
    own_support,
    pair_members,
)
from calaim_eval.estimate.cohort_month.adjusted_pair import Adjustment, PairFit, fit_pair
from calaim_eval.estimate.cohort_month.member_panel import MemberPanel, member_panel
from calaim_eval.estimate.cohort_month.time_pairs import (
    SIDE,
    BasePeriod,
    Comparison,
    TimePairs,
    require_comparison,
    require_pair_options,
    time_pairs,
)
from calaim_eval.estimate.inference.clustering import member_cluster_notes
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.estimate.support import error_notes, has_single_member, support_frame
from calaim_eval.estimate.words import count_words, notes_by_group, share_words, unit_words
from calaim_eval.moments.panel_rows import PanelColumns
from calaim_eval.moments.periods import MISSING, index_frequency, period_labels
from calaim_eval.results import Estimand, Method

Unbalanced = Literal["balanced_pairs", "balanced_members"]

REFERENCE = (
    "Sant'Anna PHC, Zhao J (2020). Doubly robust difference-in-differences estimators. Journal of "
    "Econometrics 219(1):101-122. doi:10.1016/j.jeconom.2020.06.003; Callaway B, Sant'Anna PHC "
    "(2021). doi:10.1016/j.jeconom.2020.12.001"
)
_WORDS = {
    "doubly_robust": "doubly robust",
    "regression": "outcome regression",
    "weighting": "inverse probability weighting",
}
_NO_SIDE = "no exposed or no comparison members in both months"


def adjusted_group_time_att(
    data: pd.DataFrame,
    *,
    outcome: str,
    covariates: Sequence[str] = (),
    categorical: Sequence[str] = (),
    method: Adjustment = "doubly_robust",
    unbalanced: Unbalanced | None = None,
    comparison: Comparison = "not_yet_exposed",
    base_period: BasePeriod = "varying",
    anticipation_months: int = 0,
    member_id: str = "member_id",
    month: str = "month",
    cohort: str = "cohort",
    stratum: str | Sequence[str] = (),
    at_risk: str | None = None,
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> AdjustedGroupTimeEffects:
    r"""Effect on the exposed by cohort and month, adjusted for covariates such as a risk score.

    Use where exposed and comparison members differ in something continuous on which the trend of
    the outcome may depend; with discrete covariates `group_time_att` from cell moments does the
    same on any number of members. Positive: the exposed have more of the outcome than they would
    have had.

    Parameters
    ----------
    data : pd.DataFrame
        One row per member and month, rows in any order; months without coverage absent.
    outcome : str
        A number in every row (0 = no use).
    covariates, categorical : sequence of str
        Numbers, and columns whose values are categories. They enter as they are in the base month
        of each comparison; never give what exposure may change. Rows that lack one are set aside
        and counted.
    method : {"doubly_robust", "regression", "weighting"}
        A regression of the change among the comparison and weights by the odds of exposure, right
        if either model is; the regression alone; the weights alone.
    unbalanced : {"balanced_pairs", "balanced_members"}, optional
        Must be given when some members lack some months: for each effect the members covered in
        both of its months, or only members covered in every month.
    comparison, base_period, anticipation_months
        As in `group_time_att`.
    member_id, month, cohort : str
        Columns, as in `reduce_panel`: missing cohort = never exposed.
    stratum : str or sequence of str
        Columns effects are wanted by, constant in a member; models are fitted in each.
    at_risk : str, optional
        True/false column; rows that are false are set aside.
    cluster : str
        ``"member"``, or a column constant in a member.
    per, unit
        As in `group_time_att`.

    Returns
    -------
    AdjustedGroupTimeEffects
        Keys: stratum columns (if any), ``cohort``, ``month``; for `aggregate`. Pairs that are not
        identified have no row and are counted in ``notes`` with the reason.

    Raises
    ------
    DesignError
        Nothing is identified, or the panel is unbalanced and `unbalanced` is not given.
    EstimationError
        An unknown option, an outcome that does not vary, covariates that are constant or follow
        from one another.
    TableError
        A column is absent, a key repeats, an outcome is missing or infinite, a cohort changes
        within a member.

    Notes
    -----
    For months b and t, exposed D, covariates x as of b, :math:`e = \Delta y - x'\hat\beta` with
    :math:`\hat\beta` from the comparison and :math:`w = \hat\pi(x) / (1 - \hat\pi(x))`:
    :math:`ATT(g,t) = \frac{\sum D e}{\sum D} - \frac{\sum (1-D) w e}{\sum (1-D) w}` [1]_.
    Regression leaves out the second term, weighting has :math:`\beta = 0`. The influence of the
    fitted models is in the standard errors, which are the raw cluster sandwich. Comparison members
    with :math:`\hat\pi \geq 0.995` get no weight; a pair with any :math:`\hat\pi \geq 0.999` is not
    identified.

    References
    ----------
    .. [1] Sant'Anna PHC, Zhao J (2020). J Econometrics 219(1):101-122.
       doi:10.1016/j.jeconom.2020.06.003

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> risk = rng.normal(size=400)
    >>> exposed = rng.random(400) < 1 / (1 + np.exp(-risk))
    >>> frame = pd.DataFrame({
    ...     "member_id": np.repeat(np.arange(400), 2), "month": [2020, 2021] * 400,
    ...     "cohort": np.repeat(np.where(exposed, 2021, np.nan), 2), "risk": np.repeat(risk, 2),
    ...     "visits": np.column_stack([risk, 3 * risk + 2 * exposed]).ravel(),
    ... })
    >>> att_gt = adjusted_group_time_att(frame, outcome="visits", covariates=["risk"])
    >>> [round(float(v), 6) for v in att_gt.estimate]
    [2.0]
    """
    cluster = MEMBER if cluster == member_id else cluster
    require_pair_options(comparison, base_period, anticipation_months)
    require_choice("method", method, _WORDS, of="adjusted_group_time_att")
    ways = ("balanced_pairs", "balanced_members", None)
    require_choice("unbalanced", unbalanced, ways, of="adjusted_group_time_att")
    panel = member_panel(
        data,
        PanelColumns(
            outcomes=(outcome,),
            member_id=member_id,
            month=month,
            cohort=cohort,
            stratum=(stratum,) if isinstance(stratum, str) else tuple(stratum),
            cluster=None if cluster == MEMBER else cluster,
            at_risk=at_risk,
        ),
        covariates=tuple(covariates),
        categorical=tuple(categorical),
    )
    cluster = MEMBER if panel.cluster_labels is None else cluster
    panel, balance_notes = _balanced(panel, unbalanced)
    codes = range(len(panel.strata))
    cohorts_by_stratum = [np.unique(panel.cohort[panel.stratum == code]) for code in codes]
    require_comparison(cohorts_by_stratum, panel.months, comparison)
    strata: list[AdjustedEffects] = []
    lost: list[tuple[str, str, str]] = []
    for code, cohorts in zip(codes, cohorts_by_stratum, strict=True):
        if not len(cohorts):
            continue
        own = panel.take(np.flatnonzero(panel.stratum == code))
        pairs = time_pairs(
            cohorts,
            panel.axis,
            comparison=comparison,
            base_period=base_period,
            anticipation_months=anticipation_months,
        )
        labels = panel.strata.iloc[[code]].reset_index(drop=True)
        effects, reasons = _effects(own, cohorts, pairs, labels, method=method, per=per)
        words = ", ".join(str(value) for value in labels.iloc[0])
        lost += [(what, words, much) for what, much in _lost(own, pairs, cohorts, reasons)]
        if len(effects):
            strata.append(effects)
    if not strata:
        raise DesignError(_nothing_identified(lost, comparison))
    sides = [own_support(e, row) for e in strata for row in range(len(e))]
    estimate = np.concatenate([e.estimate for e in strata])
    support, is_single = support_frame(sides), has_single_member(sides)
    return AdjustedGroupTimeEffects(
        keys=pd.concat([_keys(e) for e in strata], ignore_index=True),
        estimate=estimate,
        support=support,
        estimand=Estimand(
            name="ATT",
            contrast="exposed members, minus what they would have had by the change of "
            f"{SIDE[comparison]} with the same covariates",
            unit=unit or unit_words(outcome, panel.months, per),
        ),
        method=Method(
            estimator=f"Group-time average effects (Callaway and Sant'Anna), {_WORDS[method]}",
            options=MappingProxyType(
                {
                    "outcome": outcome,
                    "covariates": [*covariates],
                    "categorical": [*categorical],
                    "method": method,
                    "unbalanced": unbalanced,
                    "comparison": comparison,
                    "base_period": base_period,
                    "anticipation_months": anticipation_months,
                    "cluster": cluster,
                    "per": per,
                }
            ),
            reference=REFERENCE,
        ),
        notes=tuple(
            dict.fromkeys(
                [
                    *_unknown_note(panel),
                    *balance_notes,
                    *member_cluster_notes(cluster, panel.cluster, panel.cohort != MISSING),
                    *notes_by_group(lost),
                    *error_notes(estimate, np.where(is_single, np.nan, 1.0), support),
                ]
            )
        ),
        months=panel.months,
        outcome=outcome,
        cluster=cluster,
        is_undefined=is_single,
        effects=tuple(strata),
        cluster_labels=panel.cluster_labels,
    )


def _balanced(panel: MemberPanel, unbalanced: Unbalanced | None) -> tuple[MemberPanel, list[str]]:
    """The members to use, and what either choice loses, in words."""
    complete = panel.is_complete
    if complete.all():
        return panel, []
    n, n_gaps = len(complete), int((~complete).sum())
    exposed = panel.cohort != MISSING
    gaps = (
        f"{count_words(n_gaps, 'members')} ({share_words(n_gaps, n)} of all, "
        f"{share_words(int((~complete & exposed).sum()), max(int(exposed.sum()), 1))} of the "
        f"exposed) are not covered in all {len(panel.months)} months"
    )
    if unbalanced is None:
        raise DesignError(
            f"the panel is unbalanced: {gaps}. Say unbalanced='balanced_pairs' (for each effect "
            "the members covered in both of its months, a different group for each), or "
            "'balanced_members' (only members covered throughout: one group, which may be a "
            "special one). group_time_att from cell moments uses every covered month."
        )
    if unbalanced == "balanced_pairs":
        return panel, [
            f"Unbalanced panel, unbalanced='balanced_pairs': {gaps}; each effect is about the "
            "members covered in both of its months. 'balanced_members' would have set all of them "
            "aside."
        ]
    if not complete.any():
        raise DesignError(
            "unbalanced='balanced_members': no member is covered in every month. Use "
            "unbalanced='balanced_pairs', or a shorter window."
        )
    return panel.take(np.flatnonzero(complete)), [
        f"Unbalanced panel, unbalanced='balanced_members': {gaps} and were set aside; effects are "
        "about members covered throughout. 'balanced_pairs' would have kept them in the "
        "comparisons of months in which they are covered."
    ]


def _effects(
    panel: MemberPanel,
    cohorts: np.ndarray,
    pairs: TimePairs,
    labels: pd.DataFrame,
    *,
    method: Adjustment,
    per: float,
) -> tuple[AdjustedEffects, list[str]]:
    """Effects of one stratum that can be had, and why the others can't."""
    position = np.searchsorted(cohorts, panel.cohort)
    fits: list[PairFit | None] = []
    kept, reasons = [], []
    for row in range(len(pairs.cohort)):
        members, is_exposed = pair_members(panel, position, pairs, row)
        later, base = pairs.month[row], pairs.base[row]
        if is_exposed.all() or not is_exposed.any():
            reasons.append(_NO_SIDE)
            continue
        fit = None
        if later != base:
            found = fit_pair(
                panel.design(members, base),
                panel.outcome[members, later],
                panel.outcome[members, base],
                is_exposed,
                method=method,
            )
            if isinstance(found, str):
                reasons.append(found)
                continue
            fit = found
        fits.append(fit)
        kept.append(row)
    return (
        AdjustedEffects(
            panel,
            position,
            cohorts,
            pairs.take(np.array(kept, dtype=np.int64)),
            tuple(fits),
            per,
            labels,
        ),
        reasons,
    )


def _lost(
    panel: MemberPanel, pairs: TimePairs, cohorts: np.ndarray, reasons: list[str]
) -> list[tuple[str, str]]:
    """What one stratum lost, and how much of it."""
    early = cohorts[(cohorts != MISSING) & (cohorts <= panel.axis[-1])]
    early = early[~np.isin(early, cohorts[pairs.cohort])]
    lost = []
    if early.size:
        members = count_words(int(np.isin(panel.cohort, early).sum()), "members")
        lost.append(("Cohorts set aside for want of a month before exposure", f"({members})"))
    lost += [
        (
            f"Cohort-months not identified: {reason}",
            share_words(reasons.count(reason), len(pairs.cohort)),
        )
        for reason in dict.fromkeys(reasons)
    ]
    return lost


def _unknown_note(panel: MemberPanel) -> list[str]:
    """Rows set aside for a missing covariate."""
    if not panel.n_unknown:
        return []
    much = count_words(panel.n_unknown, "member-months")
    return [f"Set aside for a missing covariate: {much}."]


def _nothing_identified(lost: list[tuple[str, str, str]], comparison: str) -> str:
    """The error when no cohort-month of any stratum is identified."""
    reasons = "; ".join(dict.fromkeys(what.split(": ")[-1] for what, _, _ in lost))
    return (
        f"no effect against {SIDE[comparison]} is identified: {reasons or 'no cohort-months'}. "
        "Use fewer covariates, fewer strata, or another comparison."
    )


def _keys(effects: AdjustedEffects) -> pd.DataFrame:
    """Stratum columns, cohort and month of each effect."""
    frequency = index_frequency(effects.panel.months)
    labels = effects.stratum.iloc[np.zeros(len(effects), dtype=int)].reset_index(drop=True)
    labels["cohort"] = period_labels(effects.cohorts[effects.pairs.cohort], frequency)
    labels["month"] = period_labels(effects.axis[effects.pairs.month], frequency)
    return labels
