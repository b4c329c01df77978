"""Weights that are not negative and add up to 1: the quadratic program of synthetic controls."""

from __future__ import annotations

from typing import Literal

import numpy as np

from calaim_eval.errors import EstimationError

GAP = 1e-12
"""Duality gap at which the weights count as exact, as a share of the mean square of the columns."""
ACCEPTED = 1e-8
"""Gap at which they are still returned: with a perfect fit a gap this small moves the objective by
less than rounding, and the weights by about as much."""

Solver = Literal["frank_wolfe", "exact"]
FIRST_STEPS, MOST_STEPS = 100, 10_000
SPARSE = 0.25
"""Steps before and after small weights are set to 0, and which weights are small: up to this share
of the largest; as in the R package `synthdid` 0.0.9, so that published values are met."""


def simplex_weights(
    columns: np.ndarray,
    target: np.ndarray,
    *,
    ridge: float,
    is_centred: bool,
    solver: Solver = "exact",
    least_decrease: float = 0.0,
) -> np.ndarray:
    r"""Convex combination of `columns` closest to `target`, with a ridge penalty.

    Parameters
    ----------
    columns : np.ndarray
        Shape (n, k): what is combined.
    target : np.ndarray
        Shape (n,).
    ridge : float
        Penalty on the squared weights, in squared units of `target`.
    is_centred : bool
        Whether a constant difference between combination and target is free.
    solver : {"exact", "frank_wolfe"}
        The minimum itself, or the steps the R package `synthdid` stops after.
    least_decrease : float
        For ``"frank_wolfe"``: stop once the objective falls by no more than this squared.

    Returns
    -------
    np.ndarray
        Weights, shape (k,): none negative, sum 1.

    Raises
    ------
    EstimationError
        The program is degenerate: the duality gap could not be closed.

    Notes
    -----
    Minimizes :math:`\|A w - b\|^2 / n + \text{ridge} \, \|w\|^2` over the simplex by an active-set
    method: no starting value, step size or draw matters. The duality gap is at most 1e-12 of the
    mean square of the columns, and 1e-8 where rounding allows no smaller one. As
    the weights add up to 1, :math:`A w - b = (A - b 1') w`, and the objective is the plain
    quadratic form :math:`w' H w`; at the minimum :math:`(H w)_j \ge w' H w` for every j.

    Examples
    --------
    >>> columns = np.array([[0.0, 2.0], [0.0, 4.0]])
    >>> simplex_weights(columns, np.array([0.5, 1.0]), ridge=0.0, is_centred=False).round(6)
    array([0.75, 0.25])
    """
    apart = columns - target[:, None]
    if is_centred:
        apart = apart - apart.mean(axis=0)
    form = np.asarray(apart.T @ apart / len(target))
    form[np.diag_indices_from(form)] += ridge
    if len(form) == 1:
        return np.ones(1)
    if solver == "frank_wolfe":
        return _frank_wolfe_twice(form, least_decrease**2)
    weights = _minimum(form)
    pull = form @ weights
    if float(weights @ pull - pull.min()) > ACCEPTED * _scale(form):
        raise EstimationError(
            f"the weights of {len(form)} columns could not be found: the program is degenerate "
            "(several columns are the same to rounding). Give a larger penalty, or drop copies."
        )
    return weights


def _frank_wolfe_twice(form: np.ndarray, least: float) -> np.ndarray:
    """A few steps, small weights to 0, then steps until the objective hardly falls."""
    weights = _frank_wolfe(form, np.full(len(form), 1.0 / len(form)), least, FIRST_STEPS)
    weights[weights <= SPARSE * weights.max()] = 0.0
    return _frank_wolfe(form, weights / weights.sum(), least, MOST_STEPS)


def _frank_wolfe(form: np.ndarray, weights: np.ndarray, least: float, steps: int) -> np.ndarray:
    """Steps towards the column of steepest descent, each as long as is best."""
    weights = weights.copy()
    pull = form @ weights
    value, fall = float(weights @ pull), np.inf
    diagonal = np.diag(form)
    for step in range(steps):
        if step >= 2 and fall <= least:
            break
        towards = int(np.argmin(pull))
        slope = float(pull[towards]) - value
        curve = float(diagonal[towards]) - 2 * float(pull[towards]) + value
        if curve <= 0:
            break
        length = min(1.0, max(0.0, -slope / curve))
        weights *= 1 - length
        weights[towards] += length
        pull *= 1 - length
        pull += length * form[towards]
        fall = -2 * length * slope - length**2 * curve
        value -= fall
    return weights


def _minimum(form: np.ndarray) -> np.ndarray:
    """Minimum of ``w' H w`` over the simplex: columns enter by their gradient, leave at 0."""
    weights = np.zeros(len(form))
    weights[np.argmin(np.diag(form))] = 1.0
    tolerance = GAP * _scale(form)
    for _ in range(20 * len(form)):
        pull = form @ weights
        value = float(weights @ pull)
        entering = int(np.argmin(pull))
        if value - pull[entering] <= tolerance or weights[entering] > 0:
            break
        moved = _reduced(form, weights, entering)
        if float(moved @ form @ moved) >= value:
            break
        weights = moved
    return weights


def _reduced(form: np.ndarray, weights: np.ndarray, entering: int) -> np.ndarray:
    """The minimum on the columns in use and one more, dropping columns that reach 0."""
    used = weights > 0
    used[entering] = True
    current = weights.copy()
    while True:
        rows = np.flatnonzero(used)
        aim = np.zeros_like(current)
        aim[rows] = _on_plane(form[np.ix_(rows, rows)])
        low = rows[aim[rows] <= 0]
        if not low.size:
            return aim
        step = current[low] / (current[low] - aim[low])
        first = int(np.argmin(step))
        current = current + step[first] * (aim - current)
        current[low[first]] = 0.0
        np.clip(current, 0.0, None, out=current)
        used[low[first]] = False
        if used.sum() == 1:
            return np.asarray(used, dtype=float)


def _on_plane(form: np.ndarray) -> np.ndarray:
    """Minimum of ``z' H z`` where z adds up to 1, signs free."""
    size = len(form)
    system = np.ones((size + 1, size + 1))
    system[:size, :size] = form / max(_scale(form), np.finfo(float).tiny)
    system[size, size] = 0.0
    right = np.zeros(size + 1)
    right[size] = 1.0
    try:
        solved = np.linalg.solve(system, right)
    except np.linalg.LinAlgError:
        solved = np.linalg.lstsq(system, right, rcond=None)[0]
    return np.asarray(solved[:size] / solved[:size].sum())


def _scale(form: np.ndarray) -> float:
    """Mean square of the columns."""
    return float(np.diag(form).mean())
