"""The partner survey: answers scored, scales judged, scores by group, who answered."""

from calaim_eval.integration.partner_survey.aggregation_check import (
    AggregationCheck,
    AggregationRule,
    aggregation_check,
)
from calaim_eval.integration.partner_survey.factor_fit import FactorFit, fit_factors
from calaim_eval.integration.partner_survey.scale_reliability import (
    scale_factors,
    scale_reliability,
)
from calaim_eval.integration.partner_survey.scale_statistics import feldt_interval
from calaim_eval.integration.partner_survey.survey_answers import SurveyAnswers, score_survey
from calaim_eval.integration.partner_survey.survey_response_rates import (
    survey_agreement,
    survey_respondents,
    survey_response_rate,
)
from calaim_eval.integration.partner_survey.survey_scores import survey_scores

__all__ = [
    "AggregationCheck",
    "AggregationRule",
    "FactorFit",
    "SurveyAnswers",
    "aggregation_check",
    "feldt_interval",
    "fit_factors",
    "scale_factors",
    "scale_reliability",
    "score_survey",
    "survey_agreement",
    "survey_respondents",
    "survey_response_rate",
    "survey_scores",
]
