"""How well a factor model of the survey's scales fits, as a table that can be released."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.partner_survey.scale_reliability import scale_factors
from calaim_eval.integration.partner_survey.survey_answers import SurveyAnswers
from calaim_eval.results import EffectTable, Estimand, Method

STATISTICS = ("chi_square", "degrees", "p_value", "cfi", "tli", "rmsea", "srmr")
_REFERENCE = (
    "Jöreskog KG (1969). Psychometrika 34:183-202. doi:10.1007/BF02289343; Hu L, Bentler PM "
    "(1999). Struct Equ Modeling 6(1):1-55. doi:10.1080/10705519909540118"
)


def survey_factor_fit(answers: SurveyAnswers) -> EffectTable:
    """Whether items measure the scales they were written for: fit of one factor a scale.

    Parameters
    ----------
    answers : SurveyAnswers

    Returns
    -------
    EffectTable
        Key ``statistic`` (`STATISTICS`); without errors. Support counts the respondents who
        answered every item of a scale of two or more. Usual marks of a good fit: CFI and TLI of
        .95, RMSEA of .06, SRMR of .08 or better.

    Raises
    ------
    EstimationError
        As in `scale_factors`.
    """
    names = [s for s in answers.scales if len(answers.scales[s]) > 1]
    fit = scale_factors(answers, scales=names)
    items = pd.concat([answers.items(name) for name in names], axis=1)
    k = len(STATISTICS)
    n = np.full(k, float(len(items.dropna())))
    return EffectTable(
        keys=pd.DataFrame({"statistic": STATISTICS}),
        estimate=np.array([float(getattr(fit, name)) for name in STATISTICS]),
        covariance=np.full((k, k), np.nan),
        support=pd.DataFrame({"n_members": n, "n_events": np.inf, "member_months": np.nan}),
        estimand=Estimand(
            name="Fit of the survey's scales",
            contrast="the factor model, one factor a scale, against the covariance of the items",
            unit="index",
            is_causal=False,
        ),
        method=Method(
            "Confirmatory factor analysis, maximum likelihood",
            {"scales": len(names), "items": items.shape[1]},
            _REFERENCE,
        ),
        notes=(
            "Support counts respondents, not members.",
            "Respondents are taken for independent, though colleagues answer alike: chi-square is "
            "too large.",
        ),
    )
