"""Propensity-score weights: for the effect on the exposed, or where both sides overlap."""

from __future__ import annotations

import warnings
from typing import get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.design.covariate_columns import Covariates, covariates
from calaim_eval.design.weights import MemberWeights, WeightTarget, weight_diagnostics
from calaim_eval.errors import DesignError
from calaim_eval.results.share_words import share_words

WHERE = "propensity_weights"
LARGEST_SLOPE = 15.0
"""Change of the logit per standard deviation beyond which a covariate separates the sides."""
_REFERENCES = {
    "att": "odds weights of a logit (Hirano K, Imbens GW, Ridder G 2003, Econometrica "
    "71(4):1161-1189, doi:10.1111/1468-0262.00442)",
    "overlap": "overlap weights of a logit (Li F, Morgan KL, Zaslavsky AM 2018, J Am Stat Assoc "
    "113(521):390-400, doi:10.1080/01621459.2016.1260466)",
}


def propensity_weights(
    exposed: pd.DataFrame,
    comparison: pd.DataFrame,
    *,
    target: WeightTarget = "att",
    trim: float | None = None,
) -> MemberWeights:
    r"""Weight members by a logit of exposure on what was known before.

    Use ``"overlap"`` where the sides differ much: nobody weighs more than anybody could, and means
    balance exactly; the effect is then on members who might have been on either side.

    Parameters
    ----------
    exposed, comparison : pd.DataFrame
        One row per member, index the member, the same columns (see `covariate_frame`).
    target : {"att", "overlap"}
        Weights 1 and :math:`e / (1 - e)` for the effect on the exposed, or :math:`1 - e` and
        :math:`e`, for exposed and comparison members with score :math:`e`.
    trim : float, optional
        Members with a score below `trim` or above ``1 - trim`` are set aside on both sides and
        the logit is fitted again to the others [3]_; 0.1 is common. Default: nobody.

    Returns
    -------
    MemberWeights
        Weights of the two sides sum to the same; exposed members weigh 1 under ``"att"``.

    Raises
    ------
    DesignError
        The covariates tell the sides apart completely, one is constant, collinear, missing or
        infinite, a side is empty, or trimming leaves a side empty.

    Notes
    -----
    The logit is fitted by maximum likelihood (statsmodels). Under ``"att"`` the comparison weights
    are scaled to sum to the number of exposed members [1]_; under ``"overlap"`` the likelihood
    equations make both sums, and all weighted means, equal [2]_.

    References
    ----------
    .. [1] Hirano K, Imbens GW, Ridder G (2003). Efficient estimation of average treatment effects
       using the estimated propensity score. Econometrica 71(4):1161-1189.
       doi:10.1111/1468-0262.00442
    .. [2] Li F, Morgan KL, Zaslavsky AM (2018). Balancing covariates via propensity score
       weighting. J Am Stat Assoc 113(521):390-400. doi:10.1080/01621459.2016.1260466
    .. [3] Crump RK, Hotz VJ, Imbens GW, Mitnik OA (2009). Dealing with limited overlap in
       estimation of average treatment effects. Biometrika 96(1):187-199. doi:10.1093/biomet/asn055

    Examples
    --------
    >>> exposed = pd.DataFrame({"visits": [1.0, 2.0, 4.0]})
    >>> comparison = pd.DataFrame({"visits": [0.0, 1.0, 2.0, 3.0]}, index=[7, 8, 9, 10])
    >>> w = propensity_weights(exposed, comparison, target="overlap").weights
    >>> bool(np.isclose(w.loc[:2, "weight"].sum(), w.loc[7:, "weight"].sum()))
    True
    """
    check_option("target", target, get_args(WeightTarget))
    if trim is not None and not 0 < trim < 0.5:
        raise DesignError(f"`trim` is {trim}; it must lie between 0 and 0.5, or be None.")
    columns = covariates(exposed, comparison, squares=(), where=WHERE)
    X, is_exposed = columns.both, columns.is_exposed
    score = _scores(X, is_exposed, columns.names)
    is_outside = _outside_support(score, is_exposed)
    kept = np.ones(len(score), dtype=bool)
    notes: list[str] = []
    if trim is not None:
        kept = (score >= trim) & (score <= 1 - trim)
        _refuse_empty(kept, is_exposed, trim)
        score = np.where(kept, np.nan, score)
        fitted = _kept_columns(columns, kept)
        score[kept] = _scores(fitted.both, is_exposed[kept], columns.names)
        notes.append(
            f"Set aside for a score below {trim:g} or above {1 - trim:g}: "
            f"{share_words(int((~kept & is_exposed).sum()), int(is_exposed.sum()))} of the exposed "
            f"and {share_words(int((~kept & ~is_exposed).sum()), int((~is_exposed).sum()))} of the "
            "comparison members. The effect is on those kept."
        )
    weight = _weights(score, is_exposed, kept, target)
    weights = pd.DataFrame(
        {"is_exposed": is_exposed, "weight": weight, "score": score},
        index=exposed.index.append(comparison.index),
    )
    return MemberWeights(
        weights=weights,
        target=target,
        method=f"{_REFERENCES[target]} on {', '.join(columns.names)}",
        diagnostics=weight_diagnostics(is_exposed, weight, is_outside),
        notes=tuple(notes),
    )


def _scores(X: np.ndarray, is_exposed: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Probability of exposure of each member by a logit; shape (n,)."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import (
        ConvergenceWarning,
        PerfectSeparationError,
        PerfectSeparationWarning,
    )

    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    model = sm.Logit(is_exposed.astype(float), sm.add_constant(standard, has_constant="add"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            warnings.simplefilter("error", PerfectSeparationWarning)
            fit = model.fit(method="newton", maxiter=100, tol=1e-12, disp=False)
    except (
        ConvergenceWarning,
        PerfectSeparationError,
        PerfectSeparationWarning,
        np.linalg.LinAlgError,
    ) as error:
        raise DesignError(_separated(_strongest(standard, is_exposed, names))) from error
    slopes = np.abs(np.asarray(fit.params)[1:])
    if slopes.max() > LARGEST_SLOPE:
        raise DesignError(_separated(names[int(slopes.argmax())]))
    return np.asarray(fit.predict())


def _strongest(standard: np.ndarray, is_exposed: np.ndarray, names: tuple[str, ...]) -> str:
    """The covariate in which the sides differ most."""
    gap = standard[is_exposed].mean(axis=0) - standard[~is_exposed].mean(axis=0)
    return names[int(np.abs(gap).argmax())]


def _separated(name: str) -> str:
    """Message where the logit has no maximum."""
    return (
        f"{WHERE}: the covariates tell exposed from comparison members (nearly) completely, most "
        f"of all `{name}`. Then some members have no counterpart at all.\n"
        "  Leave it out, make groups coarser, or keep only members with a counterpart."
    )


def _outside_support(score: np.ndarray, is_exposed: np.ndarray) -> np.ndarray:
    """Members whose score lies outside the range of the other side's."""
    mine, other = score[is_exposed], score[~is_exposed]
    is_outside: np.ndarray = np.where(
        is_exposed,
        (score < other.min()) | (score > other.max()),
        (score < mine.min()) | (score > mine.max()),
    )
    return is_outside.astype(bool)


def _refuse_empty(kept: np.ndarray, is_exposed: np.ndarray, trim: float) -> None:
    """Raise DesignError where trimming leaves a side without members."""
    for side, members in (("exposed", is_exposed), ("comparison", ~is_exposed)):
        if not (kept & members).any():
            raise DesignError(
                f"{WHERE}: no {side} member has a score from {trim:g} to {1 - trim:g}.\n"
                '  Trim less, or use target="overlap" without trimming.'
            )


def _kept_columns(columns: Covariates, kept: np.ndarray) -> Covariates:
    """Covariates of those kept, checked again: trimming may have made one constant."""
    n_exposed = int((kept & columns.is_exposed).sum())
    frame = pd.DataFrame(columns.both[kept], columns=list(columns.names))
    return covariates(
        frame.iloc[:n_exposed], frame.iloc[n_exposed:], squares=(), where=f"{WHERE} after trimming"
    )


def _weights(
    score: np.ndarray, is_exposed: np.ndarray, kept: np.ndarray, target: WeightTarget
) -> np.ndarray:
    """Weights of the members, 0 for those set aside; the two sides sum to the same."""
    if target == "att":
        raw = np.where(is_exposed, 1.0, score / (1 - score))
    else:
        raw = np.where(is_exposed, 1 - score, score)
    raw = np.where(kept, raw, 0.0)
    total = {side: raw[is_exposed == side].sum() for side in (True, False)}
    return np.where(is_exposed, raw, raw * total[True] / total[False])
