"""Entropy balancing: comparison members weighted to the exposed members' exact means."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.covariate_columns import Covariates, covariates
from calaim_eval.design.weights import MemberWeights, weight_diagnostics
from calaim_eval.errors import DesignError

WHERE = "entropy_balance"
REFERENCE = (
    "entropy balancing (Hainmueller J 2012, Political Analysis 20(1):25-46, doi:10.1093/pan/mpr025)"
)
EXACT = 1e-10
"""Largest difference left between weighted means, in standard deviations."""
MOST_STEPS = 200


def entropy_balance(
    exposed: pd.DataFrame, comparison: pd.DataFrame, *, squares: Sequence[str] = ()
) -> MemberWeights:
    r"""Weight comparison members so that their means equal those of the exposed.

    Use for the effect on the exposed where a regression or a plain difference is to compare
    members alike on average. Of all weights that balance, these are the most even.

    Parameters
    ----------
    exposed, comparison : pd.DataFrame
        One row per member, index the member, the same columns: what was known before the index
        month (`covariate_frame` makes them). Columns of text are balanced level by level.
    squares : sequence of str
        Columns of numbers whose squares are balanced too, so that their variances agree.

    Returns
    -------
    MemberWeights
        Exposed members weigh 1; comparison weights sum to the number of exposed members.

    Raises
    ------
    DesignError
        No weights can balance (the message names the covariates to blame), a covariate is
        constant, collinear, missing or infinite, or a side is empty.

    Notes
    -----
    Minimizes :math:`\sum_j w_j \log w_j` subject to :math:`\sum_j w_j (x_j - \bar x_1) = 0` and
    :math:`\sum_j w_j = 1` [1]_. The dual is convex and unconstrained,
    :math:`\log \sum_j \exp(\lambda' z_j)` with :math:`z_j = x_j - \bar x_1`, and is solved by
    Newton's method with halved steps. Weights exist when the exposed mean lies inside the hull of
    the comparison members. Standard errors that treat these weights as known are usually too wide
    rather than too narrow, but not always: resample members and weight again to know.

    References
    ----------
    .. [1] Hainmueller J (2012). Entropy balancing for causal effects: a multivariate reweighting
       method to produce balanced samples in observational studies. Political Analysis
       20(1):25-46. doi:10.1093/pan/mpr025

    Examples
    --------
    >>> exposed = pd.DataFrame({"visits": [1.0, 3.0]})
    >>> comparison = pd.DataFrame({"visits": [0.0, 4.0, 1.0]}, index=[7, 8, 9])
    >>> w = entropy_balance(exposed, comparison).weights.query("not is_exposed")["weight"]
    >>> float(round((w * comparison["visits"]).sum() / w.sum(), 9))
    2.0
    """
    columns = covariates(exposed, comparison, squares=squares, where=WHERE)
    target = columns.exposed.mean(axis=0)
    _refuse_unreachable(columns, target)
    centred = columns.comparison - target
    scale = columns.both.std(axis=0)
    share = _dual_newton(centred / scale)
    if share is None:
        raise DesignError(_infeasible_message(centred / scale, columns.names))
    weight = np.concatenate([np.ones(len(exposed)), len(exposed) * share])
    low, high = columns.comparison.min(axis=0), columns.comparison.max(axis=0)
    is_outside = ((columns.both < low) | (columns.both > high)).any(axis=1)
    weights = pd.DataFrame(
        {"is_exposed": columns.is_exposed, "weight": weight},
        index=exposed.index.append(comparison.index),
    )
    return MemberWeights(
        weights=weights,
        target="att",
        method=f"{REFERENCE}; means of {', '.join(columns.names)}",
        diagnostics=weight_diagnostics(columns.is_exposed, weight, is_outside),
    )


def _refuse_unreachable(columns: Covariates, target: np.ndarray) -> None:
    """Raise DesignError where the exposed mean is not inside the comparison's range."""
    low, high = columns.comparison.min(axis=0), columns.comparison.max(axis=0)
    outside = (target < low) | (target > high)
    edge = ~outside & ((target == low) | (target == high))
    for wrong, words in (
        (outside, "outside the range of the comparison members"),
        (edge, "at the very end of the comparison members' range (all weight on those there)"),
    ):
        if wrong.any():
            names = ", ".join(f"`{n}`" for n, w in zip(columns.names, wrong, strict=True) if w)
            raise DesignError(
                f"{WHERE}: the exposed members' mean of {names} lies {words}, so no weights can "
                "balance it.\n  Leave it out, make groups coarser, or compare fewer members: drop "
                "those of the exposed (or of the comparison) who have no counterpart."
            )


def _dual_newton(z: np.ndarray) -> np.ndarray | None:
    """Weights that sum to 1 with weighted mean of z exactly 0; None where there are none."""
    slope = np.zeros(z.shape[1])
    value, share = _dual(z, slope)
    for _ in range(MOST_STEPS):
        gradient = share @ z
        if np.abs(gradient).max() < EXACT:
            return share
        hessian = (z * share[:, None]).T @ z - np.outer(gradient, gradient)
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            return None
        length = 1.0
        while length > 1e-10:
            new_value, new_share = _dual(z, slope - length * step)
            if new_value <= value - 1e-4 * length * float(gradient @ step) + 1e-15:
                break
            length /= 2
        else:
            return None
        slope, value, share = slope - length * step, new_value, new_share
    return None


def _dual(z: np.ndarray, slope: np.ndarray) -> tuple[float, np.ndarray]:
    """Value of the dual, and the weights that go with it."""
    score = z @ slope
    top = float(score.max())
    raw = np.exp(score - top)
    total = float(raw.sum())
    return top + float(np.log(total)), raw / total


def _infeasible_message(z: np.ndarray, names: Sequence[str]) -> str:
    """Which covariates cannot be balanced together, by how little is missing at least."""
    from scipy.optimize import linprog

    n, p = z.shape
    answer = linprog(
        np.concatenate([np.zeros(n), np.ones(2 * p)]),
        A_eq=np.vstack(
            [np.hstack([z.T, np.eye(p), -np.eye(p)]), np.r_[np.ones(n), np.zeros(2 * p)][None]]
        ),
        b_eq=np.r_[np.zeros(p), 1.0],
        method="highs",
    )
    left = np.abs(answer.x[n : n + p] - answer.x[n + p :]) if answer.x is not None else np.zeros(p)
    blame = [
        f"`{name}` (still {gap:.2g} standard deviations away)"
        for name, gap in zip(names, left, strict=True)
        if gap > 1e-8
    ]
    if not blame:
        return (
            f"{WHERE}: the exposed members' means lie at the edge of what weights on comparison "
            f"members can reach ({', '.join(f'`{n}`' for n in names)} together).\n"
            "  Leave a covariate or a square out, or make groups coarser."
        )
    return (
        f"{WHERE}: no weights balance all covariates together. What cannot be reached: "
        f"{', '.join(blame)}.\n  Leave it out, leave its square out, or make groups coarser."
    )
