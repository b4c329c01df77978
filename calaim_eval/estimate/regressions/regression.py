"""Regressions on member-level data, for what cells cannot hold: continuous covariates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.design.weights import MemberWeights
from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.regressions.regression_average import average_effects
from calaim_eval.estimate.regressions.regression_error import clustered
from calaim_eval.estimate.regressions.regression_fit import (
    Fit,
    fit_linear,
    fit_negative_binomial,
    fit_poisson,
)
from calaim_eval.estimate.regressions.regression_repeated import (
    fit_fixed_effects,
    fit_gee,
    fit_mixed,
)
from calaim_eval.estimate.regressions.regression_rows import (
    MEMBER,
    MONTH,
    RegressionRows,
    Term,
    regression_rows,
)
from calaim_eval.estimate.regressions.regression_words import (
    ESTIMATOR,
    LOG_LINK,
    OWN_COVARIANCE,
    REFERENCE,
    regression_estimand,
    regression_notes,
    weight_notes,
)
from calaim_eval.estimate.regressions.row_weights import require_weights_go_with
from calaim_eval.estimate.support import error_notes, has_single_member, support_frame
from calaim_eval.results import EffectTable, Method
from calaim_eval.results.effect_table import with_undefined

Model = Literal[
    "linear", "fixed_effects", "poisson", "negative_binomial", "gee_linear", "gee_poisson", "mixed"
]
Quantity = Literal["coefficient", "average_effect", "average_effect_on_exposed"]
Terms = Literal["exposure", "all"]
WorkingCorrelation = Literal["exchangeable", "independent", "autoregressive"]

_ALLOWED: dict[str, tuple[str, ...]] = {
    "model": tuple(ESTIMATOR),
    "quantity": ("coefficient", "average_effect", "average_effect_on_exposed"),
    "terms": ("exposure", "all"),
    "working_correlation": ("exchangeable", "independent", "autoregressive"),
}


def regression(
    data: pd.DataFrame,
    *,
    outcome: str,
    exposure: str | Sequence[str],
    model: Model,
    covariates: Sequence[str] = (),
    categorical: Sequence[str] = (),
    stratum: str | None = None,
    absorb: Sequence[str] = (MEMBER, MONTH),
    at_risk: str | None = None,
    weights: str | MemberWeights | None = None,
    quantity: Quantity = "coefficient",
    terms: Terms = "exposure",
    cluster: str | tuple[str, str] | None = MEMBER,
    working_correlation: WorkingCorrelation = "exchangeable",
    member_id: str | None = "member_id",
    month: str | None = "month",
    design: str | None = None,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Regression of an outcome on exposure and covariates, on member-level data.

    Use for covariates that are numbers, and for models other than averages of cells. It describes
    an association unless a `design` says why it is an effect; for staggered exposure prefer
    `group_time_att` or `adjusted_group_time_att`, which do not compare the exposed with the
    exposed.

    Parameters
    ----------
    data : pd.DataFrame
        One row per member and month (or any other row: ``month=None``).
    outcome : str
        A number in every row; for count models 0 or more.
    exposure : str or sequence of str
        Columns of numbers, or true/false. Rows that lack one, or a covariate, are set aside and
        counted.
    model : {"linear", "fixed_effects", "poisson", "negative_binomial", "gee_linear", \
            "gee_poisson", "mixed"}
        Least squares; least squares with `absorb`; log-linear count models with the time at risk
        as offset; generalized estimating equations by member; a random intercept per member.
    covariates, categorical : sequence of str
        Numbers, and columns whose values are categories (the first in order is the reference).
    stratum : str, optional
        Column; the exposure has a term in each of its values, jointly estimated, other covariates
        one for all.
    absorb : sequence of str
        For ``"fixed_effects"``: ``"member"``, ``"month"`` or columns.
    at_risk : str, optional
        Months (or part of one) each row was at risk, or true/false; rows at 0 are set aside. Count
        models take its logarithm as offset; least squares takes the outcome divided by it,
        weighted by it.
    weights : str or MemberWeights, optional
        Column of numbers, 0 or more, or the weights of `entropy_balance` or `propensity_weights`,
        the same in every month of a member. *Probability* weights: a row with weight 3 stands for
        three like it that were not observed, and counts as one in standard errors, which are
        clustered and take the weights as known. Only their ratios matter. *Frequency* weights
        (three rows that were observed) are rows to repeat. Rows of weight 0 are set aside.
    quantity : {"coefficient", "average_effect", "average_effect_on_exposed"}
        On the log link: rate ratios, or the average difference in the rate per `per` member-months
        over all rows or over the exposed ones (of a number: of the derivative).
    terms : {"exposure", "all"}
        Which coefficients are returned; all include covariates and the intercept.
    cluster : str, tuple of two, or None
        ``"member"``, ``"month"`` or a column; two of them for two-way clustering; None for the
        model's own standard errors.
    working_correlation : {"exchangeable", "independent", "autoregressive"}
        Of the months of a member, for the estimating equations.
    member_id, month : str or None
        Columns; None where every row is a member of its own, or has no month.
    design : str, optional
        Why the difference is an effect, in the words of a report; without it the result says that
        it is an association (``estimand.is_causal`` is False).
    per : float
        1,000 gives differences per 1,000 member-months.
    unit : str, optional

    Returns
    -------
    EffectTable
        Keys: ``term`` and, with strata, the stratum. Support is the smaller of the rows with and
        without the term's indicator; of a number, all rows. ``cluster_influence`` is kept when
        clustered one way by a column.

    Raises
    ------
    EstimationError
        Covariates that are constant, follow from others or are absorbed (by name); no events on a
        side, or covariates that tell who has none; negative counts; an outcome that does not vary;
        no convergence; options that do not go together.
    TableError
        A column is absent or unusable, a member and month repeat.

    Notes
    -----
    With row i's influence :math:`\psi_i = A^{-1} w_i s_i` (score s, information
    :math:`A = \sum w_i A_i`, weights w) the clustered
    covariance is :math:`\frac{G}{G-1}\frac{N-1}{N-K} \sum_g (\sum_{i \in g} \psi_i)
    (\sum_{i \in g} \psi_i)'`; K leaves out absorbed effects nested in clusters [1]_. A ratio's
    covariance is that of its logarithm by the delta method. The estimating equations have the
    robust covariance without a factor (bias-reduced below 50 members), the mixed model its own.

    References
    ----------
    .. [1] Cameron AC, Miller DL (2015). J Human Resources 50(2):317-372.
       doi:10.3368/jhr.50.2.317

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "member_id": [1, 2, 3, 4, 5, 6], "month": [1] * 6, "served": [1, 1, 1, 0, 0, 0],
    ...     "visits": [2, 4, 6, 1, 2, 3],
    ... })
    >>> table = regression(frame, outcome="visits", exposure="served", model="poisson")
    >>> [round(float(v), 6) for v in table.estimate]
    [2.0]
    """
    exposure = (exposure,) if isinstance(exposure, str) else tuple(exposure)
    roles = {member_id: MEMBER, month: MONTH}
    given = () if cluster is None else (cluster,) if isinstance(cluster, str) else tuple(cluster)
    clusters = tuple(roles.get(name, name) for name in given)
    absorb = tuple(roles.get(name, name) for name in absorb)
    chosen = {
        "model": model,
        "quantity": quantity,
        "terms": terms,
        "working_correlation": working_correlation,
    }
    _require_options(chosen, exposure=exposure, clusters=clusters, absorb=absorb, per=per)
    if weights is not None:
        require_weights_go_with(model, clusters, working_correlation)
    is_absorbed = model == "fixed_effects"
    rows = regression_rows(
        data,
        outcome=outcome,
        exposure=exposure,
        covariates=covariates,
        categorical=categorical,
        stratum=stratum,
        at_risk=at_risk,
        member_id=member_id,
        month=month,
        groups=(*clusters, *(absorb if is_absorbed else ())),
        absorbed=absorb if is_absorbed else (),
        weights=weights,
    )
    _require_whole_months(rows, model)
    clusters = rows.clusterings(clusters)
    fit = _fitted(rows, model, absorb, clusters, working_correlation)
    covariance, by_cluster, is_mended = _covariance(fit, clusters, model)
    wanted, labels, sides = _wanted(fit, terms)
    estimate, gradient = _quantities(fit, wanted, quantity, is_log=model in LOG_LINK, per=per)
    is_ratio = model in LOG_LINK and quantity == "coefficient"
    influence = None
    if by_cluster is not None:
        influence = pd.DataFrame(by_cluster.to_numpy() @ gradient.T, index=by_cluster.index)
    covariance, influence = with_undefined(
        gradient @ covariance @ gradient.T, influence, has_single_member(sides)
    )
    support = support_frame(sides)
    of_errors = error_notes(estimate, np.diag(covariance), support, reference=None)
    return EffectTable(
        keys=_keys(labels, stratum),
        estimate=estimate,
        covariance=covariance,
        support=support,
        estimand=regression_estimand(
            rows,
            outcome=outcome,
            exposure=exposure,
            quantity=quantity,
            is_ratio=is_ratio,
            design=design,
            per=per,
            unit=unit,
        ),
        method=Method(
            estimator=ESTIMATOR[model],
            options=MappingProxyType(
                {
                    **chosen,
                    "outcome": outcome,
                    "exposure": [*exposure],
                    "covariates": [*covariates],
                    "categorical": [*categorical],
                    "absorb": [*absorb] if is_absorbed else [],
                    "at_risk": at_risk,
                    "weights": weights.method if isinstance(weights, MemberWeights) else weights,
                    "cluster": " and ".join(clusters) or None,
                    "per": per,
                    "design": design,
                }
            ),
            reference=REFERENCE[model],
        ),
        cluster_influence=influence,
        notes=weight_notes(weights, fit)
        + regression_notes(rows, fit, clusters, is_mended=is_mended, design=design, model=model)
        + of_errors,
    )


def _require_options(
    chosen: Mapping[str, str],
    *,
    exposure: tuple[str, ...],
    clusters: tuple[str, ...],
    absorb: Sequence[str],
    per: float,
) -> None:
    """Refuse unknown options and those that do not go together."""
    for name, given in chosen.items():
        require_choice(name, given, _ALLOWED[name], of="regression")
    model, quantity = chosen["model"], chosen["quantity"]
    if not exposure:
        raise EstimationError("regression: `exposure` is empty; name the column of the exposure.")
    if quantity != "coefficient" and model not in LOG_LINK:
        raise EstimationError(
            f"regression: quantity={quantity!r} is for count models; in model={model!r} the "
            "coefficient is the average effect already."
        )
    if quantity != "coefficient" and chosen["terms"] == "all":
        raise EstimationError("regression: terms='all' goes with quantity='coefficient'.")
    if per != 1 and model in LOG_LINK and quantity == "coefficient":
        raise EstimationError(
            f"regression: per={per:g} means nothing for a rate ratio. Leave it out, or use "
            "quantity='average_effect'."
        )
    if len(clusters) > 2 or len(set(clusters)) != len(clusters):
        raise EstimationError("regression: `cluster` takes one column, or two different ones.")
    if model in OWN_COVARIANCE and clusters != (MEMBER,):
        raise EstimationError(
            f"regression: model={model!r} has members as its groups: cluster='member' only. For "
            "another clustering use 'linear' or 'poisson'."
        )
    if model == "fixed_effects" and not absorb:
        raise EstimationError("regression: `absorb` is empty; use model='linear'.")


def _require_whole_months(rows: RegressionRows, model: str) -> None:
    """Refuse different times at risk where the model has no place for them."""
    if model in ("gee_linear", "mixed") and not (rows.at_risk == 1).all():
        raise EstimationError(
            f"regression: model={model!r} has no weights, and `at_risk` is not 1 in "
            f"{part_words(int((rows.at_risk != 1).sum()), len(rows), 'rows')}. Use 'linear', or "
            "'gee_poisson'."
        )


def _fitted(
    rows: RegressionRows,
    model: str,
    absorb: Sequence[str],
    clusters: tuple[str, ...],
    working_correlation: str,
) -> Fit:
    """The model asked for."""
    fits: dict[str, Callable[[], Fit]] = {
        "linear": lambda: fit_linear(rows),
        "poisson": lambda: fit_poisson(rows),
        "negative_binomial": lambda: fit_negative_binomial(rows),
        "fixed_effects": lambda: fit_fixed_effects(
            rows, absorb, [rows.groups[name] for name in clusters]
        ),
        "gee_linear": lambda: fit_gee(
            rows, is_count=False, working_correlation=working_correlation
        ),
        "gee_poisson": lambda: fit_gee(
            rows, is_count=True, working_correlation=working_correlation
        ),
        "mixed": lambda: fit_mixed(rows),
    }
    return fits[model]()


def _covariance(
    fit: Fit, clusters: tuple[str, ...], model: str
) -> tuple[np.ndarray, pd.DataFrame | None, bool]:
    """Covariance of the coefficients, influence of named clusters, whether it was mended."""
    if fit.influence is None or model in OWN_COVARIANCE or not clusters:
        return fit.covariance, None, False
    codes = [fit.rows.groups[name] for name in clusters]
    covariance, sums, is_mended = clustered(fit.influence, codes, n_coefficients=fit.n_coefficients)
    if sums is None or fit.rows.holds_one_member_each(clusters[0]):
        return covariance, None, is_mended
    present = np.unique(codes[0])
    index = pd.Index(fit.rows.labels[clusters[0]][present], name=clusters[0])
    return covariance, pd.DataFrame(sums[present], index=index), is_mended


def _wanted(fit: Fit, terms: str) -> tuple[list[int], list[Term], list[np.ndarray]]:
    """Positions of the coefficients asked for, what they are, and their support."""
    shift = int(fit.has_intercept)
    rows = fit.rows
    columns = [j for j, term in enumerate(rows.terms) if terms == "all" or term.is_exposure]
    positions = [shift + j for j in columns]
    labels = [rows.terms[j] for j in columns]
    sides = [rows.sides(j) for j in columns]
    if terms == "all" and fit.has_intercept:
        return [0, *positions], [Term("intercept"), *labels], [rows.everything(), *sides]
    return positions, labels, sides


def _quantities(
    fit: Fit, wanted: list[int], quantity: str, *, is_log: bool, per: float
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates asked for and their gradient in the coefficients; shapes (q,) and (q, p)."""
    if quantity != "coefficient":
        effects, gradient = average_effects(
            fit, [j - 1 for j in wanted], on_exposed=quantity == "average_effect_on_exposed"
        )
        return per * effects, per * gradient
    chosen = np.eye(len(fit.coef))[wanted]
    if is_log:
        ratio = np.exp(fit.coef[wanted])
        return ratio, ratio[:, None] * chosen
    return per * fit.coef[wanted], per * chosen


def _keys(labels: list[Term], stratum: str | None) -> pd.DataFrame:
    """Term, and the stratum of each."""
    keys = pd.DataFrame({"term": [term.name for term in labels]})
    if stratum is not None:
        keys[stratum] = [term.stratum for term in labels]
    return keys
