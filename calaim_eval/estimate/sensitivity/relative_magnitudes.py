r"""Confidence sets when trends after exposure are at most M times those before it.

Rambachan and Roth's :math:`\Delta^{RM}(\bar M)` is the union, over the month s before exposure
whose change is the largest and over its sign, of sets in which every change after exposure is at
most :math:`\bar M v`, with v the signed change in s. In each set the test is the conditional
least-favourable hybrid of Andrews, Roth and Pakes. Its linear programme has a closed form: the
changes after exposure are free but for one weighted sum, so that all vertices of the dual are
linear in v and in the distance of the estimate from the value tested.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.sensitivity.trend_study import TrendStudy

ANGLES = 1024
REFINEMENTS = 6
REFINED_POINTS = 65
NO_VARIANCE = 1e-12
SAME_VERTEX = 1e-9
GRID_REACH = 20.0
DOUBLINGS = 12


@dataclass(frozen=True, slots=True, eq=False)
class _Branch:
    """One month before exposure and one sign of its change.

    Attributes
    ----------
    change : float
        v: the signed change estimated in that month.
    vertices : np.ndarray
        Loads of the dual vertices on v and on estimate minus value tested; shape (4, 2).
    covariance : np.ndarray
        Of the vertices; shape (4, 4).
    least_favourable : float
        Critical value of the first stage.
    """

    change: float
    vertices: np.ndarray
    covariance: np.ndarray
    least_favourable: float


@dataclass(frozen=True, slots=True, eq=False)
class RelativeMagnitudesTest:
    """Test of values of the effect under one bound; made by `relative_magnitudes_test`."""

    value: float
    level: float
    branches: tuple[_Branch, ...]

    def accepts(self, effect: np.ndarray) -> np.ndarray:
        """Values not rejected in some branch; shape of `effect`, bool."""
        distance = self.value - np.atleast_1d(np.asarray(effect, dtype=float))
        accepted = np.zeros(len(distance), dtype=bool)
        for branch in self.branches:
            open_values = np.flatnonzero(~accepted)
            if open_values.size:
                rejected = _rejects(branch, distance[open_values], self.level)
                accepted[open_values[~rejected]] = True
        return accepted


def relative_magnitudes_test(
    study: TrendStudy, bound: float, conf_level: float
) -> RelativeMagnitudesTest:
    """The test of one bound, with its critical values."""
    alpha = 1 - conf_level
    kappa = alpha / 10
    before, after = study.steps()
    branches = tuple(
        _branch(study, sign * change, after, bound, kappa)
        for change in before
        for sign in (1.0, -1.0)
    )
    return RelativeMagnitudesTest(study.value, (alpha - kappa) / (1 - kappa), branches)


def relative_magnitudes_interval(
    study: TrendStudy, bound: float, conf_level: float, grid_points: int
) -> tuple[float, float]:
    """Smallest interval that holds every value not rejected.

    A grid over the estimate ± 20 standard errors and the set itself finds the ends, finer grids
    make them sharp.
    """
    test = relative_magnitudes_test(study, bound, conf_level)
    reach = GRID_REACH * study.std_error + set_half_width(study, bound)
    for _ in range(DOUBLINGS):
        grid = np.linspace(study.value - reach, study.value + reach, grid_points)
        inside = np.flatnonzero(test.accepts(grid))
        if inside.size and inside[0] > 0 and inside[-1] < grid_points - 1:
            break
        reach *= 2
    if not inside.size:
        raise EstimationError(
            f"honest_did: every value on a grid of {grid_points} points is rejected at bound "
            f"{bound:g}. Raise `grid_points`."
        )
    first, last = int(inside[0]), int(inside[-1])
    low = _edge(test, grid[first - 1], grid[first]) if first > 0 else -np.inf
    high = _edge(test, grid[last + 1], grid[last]) if last < grid_points - 1 else np.inf
    return low, high


def set_half_width(study: TrendStudy, bound: float) -> float:
    """Half the width of the set, the estimated changes before exposure taken as exact."""
    before, _ = study.steps()
    return float(bound * np.abs(before @ study.estimate).max() * np.abs(_tail_sums(study)).sum())


def _tail_sums(study: TrendStudy) -> np.ndarray:
    """Weights of the effect on the changes after the base month; shape (q,)."""
    return np.asarray(np.cumsum(study.weights[::-1])[::-1])


def _branch(
    study: TrendStudy, change: np.ndarray, after: np.ndarray, bound: float, kappa: float
) -> _Branch:
    """Vertices of the dual and the first-stage critical value of one branch."""
    errors = {
        sign: np.sqrt(_variances(sign * after - bound * change, study.covariance))
        for sign in (1.0, -1.0)
    }
    tails = _tail_sums(study)
    total = np.abs(tails).sum()
    up = np.abs(tails) @ np.where(tails > 0, errors[1.0], errors[-1.0])
    down = np.abs(tails) @ np.where(tails > 0, errors[-1.0], errors[1.0])
    nonempty = -2 * bound / (errors[1.0] + errors[-1.0])
    vertices = np.array(
        [
            # The q vertices that need only v lie on one line: the outer two decide.
            [nonempty.min(), 0.0],
            [nonempty.max(), 0.0],
            [-bound * total / up, 1 / up],
            [-bound * total / down, -1 / down],
        ]
    )
    both = np.stack([change, study.loads])
    plane = both @ study.covariance @ both.T
    return _Branch(
        change=float(change @ study.estimate),
        vertices=vertices,
        covariance=vertices @ plane @ vertices.T,
        least_favourable=_least_favourable(vertices, plane, kappa),
    )


def _variances(loads: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Variances of linear combinations; refuses those that are 0."""
    variances = np.einsum("ij,jk,ik->i", loads, covariance, loads)
    if (variances <= NO_VARIANCE * np.diag(covariance).max()).any():
        raise EstimationError(
            "honest_did: a change from one month to the next has no sampling error of its own "
            "(the covariance is singular). Use fewer event times, or more clusters than effects."
        )
    return np.asarray(variances)


def _least_favourable(vertices: np.ndarray, plane: np.ndarray, kappa: float) -> float:
    """``1 - kappa`` quantile of the largest vertex when both coordinates have mean 0.

    In polar coordinates the radius is independent of the angle, and only one integral over the
    angle is left.
    """
    from scipy.optimize import brentq

    values, vectors = np.linalg.eigh(plane)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    angle = 2 * np.pi * (np.arange(ANGLES) + 0.5) / ANGLES
    largest = (vertices @ root @ np.stack([np.cos(angle), np.sin(angle)])).max(axis=0)
    rising = largest[largest > 0]

    def exceeded(critical: float) -> float:
        return float(np.exp(-(critical**2) / (2 * rising**2)).sum() / ANGLES - kappa)

    top = rising.max() * np.sqrt(-2 * np.log(kappa)) + 1e-12
    return float(brentq(exceeded, 0.0, top, xtol=1e-10))


def _rejects(branch: _Branch, distance: np.ndarray, level: float) -> np.ndarray:
    """Which distances of the estimate from the value tested are rejected; shape (n,), bool."""
    at = np.stack([np.full(len(distance), branch.change), distance])
    statistic = branch.vertices @ at
    best = statistic.argmax(axis=0)
    largest = statistic[best, np.arange(len(distance))]
    variance = np.diag(branch.covariance)[best]
    is_random = variance > NO_VARIANCE * np.diag(branch.covariance).max()
    slope = branch.covariance[:, best] / np.where(is_random, variance, 1.0)
    crossing = np.divide(
        statistic - slope * largest,
        1 - slope,
        out=np.full_like(statistic, np.nan),
        where=np.abs(1 - slope) > SAME_VERTEX,
    )
    lowest = np.fmax.reduce(np.where(slope < 1, crossing, np.nan), initial=-np.inf)
    highest = np.fmin.reduce(np.where(slope > 1, crossing, np.nan), initial=np.inf)
    highest = np.minimum(highest, branch.least_favourable)
    error = np.sqrt(np.where(is_random, variance, 1.0))
    tail = _truncated_tail(largest / error, lowest / error, highest / error)
    rejected = (largest > branch.least_favourable) | ((largest > 0) & (tail < level))
    return np.asarray(np.where(is_random, rejected, largest > 0))


def _truncated_tail(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """P(Z > value | low < Z < high) of a standard normal Z, exact far out in the tail."""
    value = np.minimum(np.maximum(value, low), high)
    at_low, at_value, at_high = (special.log_ndtr(-z) for z in (low, value, high))
    # Where `high` is below `low` the numbers overflow, and are not used.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        above = -np.expm1(at_high - at_value)
        whole = -np.expm1(at_high - at_low)
        tail = np.exp(at_value - at_low) * above / whole
    return np.asarray(np.where(high > low, tail, 1.0))


def _edge(test: RelativeMagnitudesTest, outside: float, inside: float) -> float:
    """Where acceptance begins between a value rejected and one accepted."""
    for _ in range(REFINEMENTS):
        points = np.linspace(outside, inside, REFINED_POINTS)
        first = int(test.accepts(points).argmax())
        outside, inside = float(points[max(first - 1, 0)]), float(points[first])
    return inside
