"""What a regression is called, means and must be said about."""

from __future__ import annotations

import numpy as np

from calaim_eval.design.weights import MemberWeights, effective_sample_size
from calaim_eval.estimate.inference.clustering import FEW_CLUSTERS, member_cluster_notes
from calaim_eval.estimate.regressions.regression_fit import Fit
from calaim_eval.estimate.regressions.regression_rows import MEMBER, MONTH, RegressionRows
from calaim_eval.estimate.words import count_words, unit_words
from calaim_eval.results import Estimand

REFERENCE = {
    "linear": "Liang KY, Zeger SL (1986). Biometrika 73(1):13-22. doi:10.1093/biomet/73.1.13",
    "fixed_effects": "Cameron AC, Miller DL (2015). A practitioner's guide to cluster-robust "
    "inference. Journal of Human Resources 50(2):317-372. doi:10.3368/jhr.50.2.317",
    "poisson": "Gourieroux C, Monfort A, Trognon A (1984). Pseudo maximum likelihood methods: "
    "applications to Poisson models. Econometrica 52(3):701-720. doi:10.2307/1913472",
    "negative_binomial": "Cameron AC, Trivedi PK (1986). Econometric models based on count data. "
    "Journal of Applied Econometrics 1(1):29-53. doi:10.1002/jae.3950010104",
    "gee_linear": "Liang KY, Zeger SL (1986). Biometrika 73(1):13-22. doi:10.1093/biomet/73.1.13",
    "gee_poisson": "Liang KY, Zeger SL (1986). Biometrika 73(1):13-22. doi:10.1093/biomet/73.1.13",
    "mixed": "Laird NM, Ware JH (1982). Random-effects models for longitudinal data. Biometrics "
    "38(4):963-974. doi:10.2307/2529876",
}
ESTIMATOR = {
    "linear": "Linear regression",
    "fixed_effects": "Linear regression with absorbed effects",
    "poisson": "Poisson regression",
    "negative_binomial": "Negative binomial regression",
    "gee_linear": "Linear generalized estimating equations",
    "gee_poisson": "Poisson generalized estimating equations",
    "mixed": "Linear mixed model with a random intercept per member",
}
LOG_LINK = ("poisson", "negative_binomial", "gee_poisson")
OWN_COVARIANCE = ("gee_linear", "gee_poisson", "mixed")


def regression_estimand(
    rows: RegressionRows,
    *,
    outcome: str,
    exposure: tuple[str, ...],
    quantity: str,
    is_ratio: bool,
    design: str | None,
    per: float,
    unit: str | None,
) -> Estimand:
    """What is estimated, and whether it may be called an effect."""
    what = "rate ratio" if is_ratio else "difference"
    if quantity != "coefficient":
        over = "exposed member-months" if quantity.endswith("exposed") else "all member-months"
        what = f"average difference over {over}"
    named = " and ".join(f"`{name}`" for name in exposure)
    means = f"the {what} that goes with {named} (one more, or with against without) at the same"
    means += " covariates"
    if unit is None:
        grain = f"{outcome} per {'' if per == 1 else f'{per:,g} '}row"
        unit = grain if rows.months is None else unit_words(outcome, rows.months, per)
        unit = f"rate ratio of {outcome}" if is_ratio else unit
    return Estimand(
        name="Effect" if design else "Association",
        contrast=f"{means}; {design}" if design else f"{means}; an association, not an effect",
        unit=unit,
        scale="ratio" if is_ratio else "difference",
        is_causal=design is not None,
    )


def weight_notes(weights: str | MemberWeights | None, fit: Fit) -> tuple[str, ...]:
    """What weights mean for the estimate and its errors; nothing without weights."""
    if weights is None:
        return ()
    named = f"`{weights}`" if isinstance(weights, str) else weights.method.rstrip(".")
    rows = fit.rows
    effective = count_words(effective_sample_size(rows.weight), "rows")
    notes = [
        f"Rows are weighted (probability weights: {named}); they are worth {effective} of equal "
        f"weight, of {count_words(len(rows), 'rows')}. Standard errors take the weights as known."
    ]
    if rows.n_without_weight:
        much = count_words(rows.n_without_weight, "member-months")
        notes.append(f"Set aside for a weight of 0: {much}.")
    if not isinstance(weights, str):
        notes += weights.notes
    return tuple(notes)


def regression_notes(
    rows: RegressionRows,
    fit: Fit,
    clusters: tuple[str, ...],
    *,
    is_mended: bool,
    design: str | None,
    model: str,
) -> tuple[str, ...]:
    """What a reader must know: design, rows set aside, clusters."""
    notes = [] if design else ["No design was stated: this is an association, not an effect."]
    if rows.n_unknown:
        much = count_words(rows.n_unknown, "member-months")
        notes.append(f"Set aside for a missing exposure or covariate: {much}.")
    notes += fit.notes
    if not clusters and model not in OWN_COVARIANCE:
        notes.append(
            "Standard errors are the model's own: they are right only if rows are independent and "
            "vary as the model says."
        )
    exposed = np.zeros(len(fit.rows), dtype=bool)
    for column, term in enumerate(fit.rows.terms):
        if term.is_exposure:
            exposed |= fit.rows.values[:, column] > 0
    if len(clusters) == 2:
        sizes = {name: len(np.unique(fit.rows.groups[name])) for name in clusters}
        words = [
            count_words(n, "members" if name == MEMBER else f"of {name}")
            if name != MONTH and fit.rows.holds_one_member_each(name)
            else f"{n:,} of {name}"
            for name, n in sizes.items()
        ]
        notes.append(
            f"Standard errors are clustered two ways: {' and '.join(words)}. Under {FEW_CLUSTERS} "
            "of either, normal intervals are too narrow."
        )
    else:
        for name in clusters:
            is_told = name == MONTH or not fit.rows.holds_one_member_each(name)
            notes += member_cluster_notes(
                name, fit.rows.groups[name], exposed, is_number_told=is_told
            )
    if clusters == (MEMBER,) and model not in OWN_COVARIANCE:
        n_members = len(np.unique(fit.rows.member))
        if n_members < FEW_CLUSTERS:
            notes.append(
                f"Standard errors are clustered by member, and there are under {FEW_CLUSTERS}: "
                "normal intervals are too narrow."
            )
    if is_mended:
        notes.append("The two-way covariance had a negative eigenvalue, which was set to 0.")
    return tuple(dict.fromkeys(notes))
