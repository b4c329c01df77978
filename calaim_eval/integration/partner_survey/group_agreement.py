r"""Agreement inside organizations: ICC(1), ICC(2), r_wg and r_wg(j).

References
----------
.. [1] Bliese PD (2000). In: Klein KJ, Kozlowski SWJ (eds), Multilevel theory, research, and
   methods in organizations, pp 349-381.
.. [2] James LR, Demaree RG, Wolf G (1984). J Appl Psychol 69(1):85-98.
   doi:10.1037/0021-9010.69.1.85
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from calaim_eval.errors import EstimationError


@dataclass(frozen=True, slots=True)
class IntraclassCorrelation:
    """One-way analysis of variance of scores by organization.

    Attributes
    ----------
    icc_1 : float
        Share of variance between organizations: how alike two respondents of one are.
    icc_2 : float
        Reliability of the mean of an organization with the mean number of respondents.
    f_value, p_value : float
        Test of no difference between organizations.
    n_groups, n_respondents : int
    respondents_per_group : float
        Mean; the number `icc_1` is computed with.
    within_variance : float
        Mean square within organizations.
    """

    icc_1: float
    icc_2: float
    f_value: float
    p_value: float
    n_groups: int
    n_respondents: int
    respondents_per_group: float
    within_variance: float


def intraclass_correlation(scores: np.ndarray, groups: np.ndarray) -> IntraclassCorrelation:
    r"""ICC(1) and ICC(2) from a one-way analysis of variance.

    Parameters
    ----------
    scores : np.ndarray
        One a respondent, none missing; shape (n,).
    groups : np.ndarray
        Organization of each; shape (n,).

    Returns
    -------
    IntraclassCorrelation

    Raises
    ------
    EstimationError
        Fewer than two organizations, or none with two respondents.

    Notes
    -----
    :math:`(MS_b - MS_w)/\{MS_b + (\bar k - 1) MS_w\}` and :math:`(MS_b - MS_w)/MS_b`, with
    :math:`\bar k` the mean number of respondents [1]_.
    """
    _, code = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    sizes = np.bincount(code)
    n, n_groups = len(scores), len(sizes)
    if n_groups < 2 or n <= n_groups:
        raise EstimationError(
            f"{n} respondents in {n_groups} organizations: agreement needs two organizations and "
            "one with two respondents.\n  Ask more people in each organization, or report "
            "respondents and not organizations."
        )
    means = np.bincount(code, weights=scores) / sizes
    between = float((sizes * (means - scores.mean()) ** 2).sum() / (n_groups - 1))
    within = float(((scores - means[code]) ** 2).sum() / (n - n_groups))
    per_group = n / n_groups
    total = between + (per_group - 1) * within
    f_value = between / within if within > 0 else (np.inf if between > 0 else np.nan)
    return IntraclassCorrelation(
        icc_1=(between - within) / total if total > 0 else float("nan"),
        icc_2=(between - within) / between if between > 0 else float("nan"),
        f_value=float(f_value),
        p_value=float(special.fdtrc(n_groups - 1, n - n_groups, f_value)),
        n_groups=n_groups,
        n_respondents=n,
        respondents_per_group=per_group,
        within_variance=within,
    )


def r_wg(items: np.ndarray, groups: np.ndarray, *, null_variance: float) -> np.ndarray:
    r"""Agreement inside each organization, r_wg(j) of j items; r_wg for one.

    Parameters
    ----------
    items : np.ndarray
        Answers, missing ones left out item by item; shape (n, j).
    groups : np.ndarray
        Organization of each respondent; shape (n,).
    null_variance : float
        Variance of answers given at random: :math:`(A^2 - 1)/12` for A answers used evenly.

    Returns
    -------
    np.ndarray
        One an organization in sorted order; NaN with fewer than two respondents to an item.
        Values below 0 (less agreement than chance) are 0.

    Raises
    ------
    EstimationError
        `null_variance` is not above 0.

    Notes
    -----
    :math:`\frac{J(1 - \bar s^2/\sigma^2)}{J(1 - \bar s^2/\sigma^2) + \bar s^2/\sigma^2}` [2]_.
    """
    if not null_variance > 0:
        raise EstimationError("`null_variance` must be above 0: (A**2 - 1) / 12 for A answers.")
    _, code = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    n_groups = int(code.max()) + 1
    known = np.isfinite(items)
    filled = np.where(known, items, 0.0)
    count = np.zeros((n_groups, items.shape[1]))
    total = np.zeros_like(count)
    np.add.at(count, code, known)
    np.add.at(total, code, filled)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        square = np.zeros_like(count)
        np.add.at(square, code, np.where(known, items - mean[code], 0.0) ** 2)
        variance = np.where(count > 1, square / (count - 1), np.nan)
    ratio = variance.mean(axis=1) / null_variance
    agreement = items.shape[1] * (1 - ratio)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = agreement / (agreement + ratio)
    return np.asarray(np.where(ratio > 1, 0.0, value))


def uniform_variance(n_points: float) -> float:
    """Variance of answers spread evenly over so many points."""
    return (n_points**2 - 1) / 12
