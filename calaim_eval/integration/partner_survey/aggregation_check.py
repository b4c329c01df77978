"""May answers of a few people stand for their organization? ICC and r_wg(j) against a rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.partner_survey.group_agreement import (
    IntraclassCorrelation,
    intraclass_correlation,
    r_wg,
    uniform_variance,
)
from calaim_eval.integration.partner_survey.survey_answers import SurveyAnswers
from calaim_eval.results import EffectTable, Estimand, Method

_STATISTICS = (
    "icc_1",
    "icc_2",
    "mean_r_wg_j",
    "share_of_organizations_agreeing",
    "aggregation_supported",
)
_REFERENCE = "LeBreton JM, Senter JL (2008). doi:10.1177/1094428106296642"


@dataclass(frozen=True, slots=True)
class AggregationRule:
    """What must hold before a mean is called that of an organization; declared beforehand.

    Attributes
    ----------
    min_mean_r_wg : float
        Mean agreement r_wg(j) inside organizations with two or more respondents.
    min_icc_2 : float
        Reliability of the organizations' means.
    max_p_value : float
        Of the test that organizations do not differ.
    """

    min_mean_r_wg: float = 0.70
    min_icc_2: float = 0.70
    max_p_value: float = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class AggregationCheck:
    """Whether a scale may be averaged over the respondents of an organization.

    Attributes
    ----------
    scale : str
    variance : IntraclassCorrelation
    mean_r_wg : float
        Over organizations with two or more respondents; NaN where items differ in their range.
    share_agreeing : float
        Of those organizations with r_wg(j) at the rule or above.
    reasons : tuple[str, ...]
        What the rule asks and the answers do not show; empty where aggregation is supported.
    n_with_colleagues : int
        Respondents of organizations with two or more: agreement is theirs alone.
    rule : AggregationRule
    """

    scale: str
    variance: IntraclassCorrelation
    mean_r_wg: float
    share_agreeing: float
    reasons: tuple[str, ...]
    n_with_colleagues: int
    rule: AggregationRule

    @property
    def is_supported(self) -> bool:
        """Whether every condition of the rule holds."""
        return not self.reasons

    def to_effects(self) -> EffectTable:
        """ICC(1), ICC(2) and agreement as a table that may be released; no standard errors.

        The row ``"aggregation_supported"`` is 1 where every condition of the rule holds, else 0.
        Support counts respondents with a colleague: the agreement of a few does not leave because
        many answered alone.
        """
        values = np.array(
            [
                self.variance.icc_1,
                self.variance.icc_2,
                self.mean_r_wg,
                self.share_agreeing,
                float(self.is_supported),
            ]
        )
        n = float(self.n_with_colleagues)
        k = len(values)
        return EffectTable(
            keys=pd.DataFrame({"scale": self.scale, "statistic": _STATISTICS}),
            estimate=values,
            covariance=np.full((k, k), np.nan),
            support=pd.DataFrame({"n_members": n, "n_events": n, "member_months": [np.nan] * k}),
            estimand=Estimand(
                name="Agreement inside organizations",
                contrast="how alike the answers of colleagues are",
                unit="share",
                is_causal=False,
            ),
            method=Method(
                "One-way analysis of variance; r_wg(j) against evenly spread answers",
                {
                    "min_mean_r_wg": self.rule.min_mean_r_wg,
                    "min_icc_2": self.rule.min_icc_2,
                    "max_p_value": self.rule.max_p_value,
                },
                _REFERENCE,
            ),
            notes=("Support counts respondents with a colleague who answered, not members.",),
        )


def aggregation_check(
    answers: SurveyAnswers, scale: str, *, rule: AggregationRule | None = None
) -> AggregationCheck:
    """Check a scale before it is averaged over the respondents of an organization.

    Parameters
    ----------
    answers : SurveyAnswers
        What `score_survey` returned.
    scale : str
    rule : AggregationRule, optional
        Default: mean r_wg(j) and ICC(2) of .70 or above, organizations that differ (p < .05).

    Returns
    -------
    AggregationCheck

    Raises
    ------
    EstimationError
        Fewer than two organizations, or none with two respondents.

    References
    ----------
    LeBreton JM, Senter JL (2008). Answers to 20 questions about interrater reliability and
    interrater agreement. Organ Res Methods 11(4):815-852. doi:10.1177/1094428106296642
    """
    rule = rule or AggregationRule()
    scores = answers.scores(scale)
    is_used = scores.notna().to_numpy()
    organizations = answers.answers["organization_id"].to_numpy(dtype=object)[is_used]
    variance = intraclass_correlation(scores.to_numpy(dtype=float)[is_used], organizations)
    n_points = answers.n_points[scale]
    agreement = np.array([np.nan])
    if np.isfinite(n_points):
        items = answers.items(scale).to_numpy(dtype=float)[is_used]
        agreement = r_wg(items, organizations, null_variance=uniform_variance(n_points))
    known = agreement[np.isfinite(agreement)]
    mean = float(known.mean()) if len(known) else float("nan")
    return AggregationCheck(
        scale=scale,
        variance=variance,
        mean_r_wg=mean,
        share_agreeing=float((known >= rule.min_mean_r_wg).mean()) if len(known) else float("nan"),
        reasons=_reasons(variance, mean, rule),
        n_with_colleagues=int(pd.Series(organizations).duplicated(keep=False).sum()),
        rule=rule,
    )


def require_aggregation(check: AggregationCheck) -> None:
    """Raise where answers may not be averaged over the respondents of an organization.

    Raises
    ------
    EstimationError
        The answers do not show what the rule asks.
    """
    if not check.is_supported:
        raise EstimationError(
            f"scale `{check.scale}` may not be averaged by organization: "
            f"{'; '.join(check.reasons)}.\n  Report it by group of organizations or by role "
            "(`by=`), where respondents stand for themselves."
        )


def _reasons(
    variance: IntraclassCorrelation, mean_r_wg: float, rule: AggregationRule
) -> tuple[str, ...]:
    """Conditions that do not hold, in words."""
    reasons = []
    if not mean_r_wg >= rule.min_mean_r_wg:
        reasons.append(
            f"mean r_wg(j) is {mean_r_wg:.2f}, the rule asks {rule.min_mean_r_wg:.2f} (colleagues "
            "do not agree)"
        )
    if not variance.p_value <= rule.max_p_value:
        reasons.append(
            f"organizations do not differ more than by chance (ICC(1) {variance.icc_1:.2f}, p "
            f"{variance.p_value:.2f})"
        )
    if not variance.icc_2 >= rule.min_icc_2:
        reasons.append(
            f"ICC(2) is {variance.icc_2:.2f}, the rule asks {rule.min_icc_2:.2f} (too few "
            "respondents in each for a reliable mean)"
        )
    return tuple(reasons)
