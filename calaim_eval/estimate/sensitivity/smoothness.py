r"""Fixed-length confidence intervals when trends bend by at most M from month to month.

Under Rambachan and Roth's :math:`\Delta^{SD}(M)` the slope of the difference in trends changes by
at most M. An estimator that is linear in the estimates has finite worst-case bias only if it gets
straight lines right; its bias is then M times the sum of the absolute loads on the changes of
slope, one of which before exposure each estimate can carry. Least variance for a given bias is a
lasso, whose path is piecewise linear and followed exactly; the interval takes the point on it with
the shortest length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.sensitivity.trend_study import TrendStudy

POINTS = 65
ZOOMS = 5
NEWTON_STEPS = 60
SINGULAR = 1e-12
CORNERS = 20


@dataclass(frozen=True, slots=True, eq=False)
class BiasVariancePath:
    """Estimators with least variance for each worst-case bias.

    Attributes
    ----------
    bends : np.ndarray
        Loads on the free changes of slope before exposure at the corners of the path, largest
        bias last; shape (n, p-1).
    fixed : float
        Worst-case bias per unit of M that no choice avoids.
    constant, linear, quadratic : float, np.ndarray, np.ndarray
        Variance ``constant + 2 linear'x + x' quadratic x`` at loads x.
    start, slopes : np.ndarray
        Loads on the estimates, ``start + slopes @ x``; shapes (p+q,) and (p+q, p-1).
    """

    bends: np.ndarray
    fixed: float
    constant: float
    linear: np.ndarray
    quadratic: np.ndarray
    start: np.ndarray
    slopes: np.ndarray

    def bias(self, x: np.ndarray) -> np.ndarray:
        """Worst-case bias per unit of M; x has shape (n, p-1)."""
        return np.asarray(self.fixed + np.abs(x).sum(axis=1))

    def std_error(self, x: np.ndarray) -> np.ndarray:
        """Standard errors; x has shape (n, p-1)."""
        variance = self.constant + 2 * x @ self.linear
        variance = variance + np.einsum("ij,jk,ik->i", x, self.quadratic, x)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def smoothness_interval(
    path: BiasVariancePath, study: TrendStudy, bound: float, conf_level: float
) -> tuple[float, float]:
    """Shortest interval of fixed length around a linear estimator."""
    x, half = _shortest(path, bound, conf_level)
    centre = float((path.start + path.slopes @ x) @ study.estimate)
    return centre - half, centre + half


def smoothness_set(study: TrendStudy, bound: float) -> tuple[float, float]:
    """Values that fit the estimates taken as exact; NaN where they bend by more than `bound`.

    The line through the last month before exposure and the base month is carried on, bent by up
    to `bound` in the base month and every month after it.
    """
    p = study.n_before
    path = np.insert(study.estimate, p, 0.0)
    bends = np.diff(path[: p + 1], n=2)
    scale = max(float(np.abs(path).max()), bound)
    if (np.abs(bends) > bound + 1e-12 * scale).any():
        return np.nan, np.nan
    months = np.arange(1, len(study.weights) + 1)
    centre = study.value + study.estimate[p - 1] * float(study.weights @ months)
    half = bound * float(np.abs(_later_bends(study.weights)).sum())
    return centre - half, centre + half


def bias_variance_path(study: TrendStudy) -> BiasVariancePath:
    """The path of estimators of one study, from least bias to least variance."""
    p, q = study.n_before, len(study.weights)
    reach = float(study.weights @ np.arange(1, q + 1))
    # Loads w on changes of slope give v on estimates: v_t = w_(t-1) - 2 w_t + w_(t+1), backwards.
    second = np.zeros((p, p))
    for t in range(1, p + 1):
        for shift, load in ((-1, 1.0), (0, -2.0), (1, 1.0)):
            if t + shift < p:
                second[p - t, t + shift] = load
    start = np.concatenate([second[:, 0] * reach, study.weights])
    slopes = np.vstack([second[:, 1:], np.zeros((q, p - 1))])
    quadratic = slopes.T @ study.covariance @ slopes
    linear = slopes.T @ study.covariance @ start
    _require_regular(quadratic)
    return BiasVariancePath(
        bends=_lasso_corners(quadratic, linear),
        fixed=float(np.abs(_later_bends(study.weights)).sum()),
        constant=float(start @ study.covariance @ start),
        linear=linear,
        quadratic=quadratic,
        start=start,
        slopes=slopes,
    )


def folded_normal_quantile(mean: np.ndarray, conf_level: float) -> np.ndarray:
    """Quantile of the absolute value of Z + mean, Z standard normal; shape of `mean`."""
    mean = np.abs(np.asarray(mean, dtype=float))
    # The distribution function is concave to the right of this start, so steps never overshoot.
    quantile = mean + special.ndtri(conf_level)
    for _ in range(NEWTON_STEPS):
        covered = special.ndtr(quantile - mean) - special.ndtr(-quantile - mean)
        density = np.exp(-((quantile - mean) ** 2) / 2) + np.exp(-((quantile + mean) ** 2) / 2)
        step = (conf_level - covered) * np.sqrt(2 * np.pi) / density
        quantile = quantile + step
        if np.abs(step).max(initial=0.0) < 1e-14:
            break
    return np.asarray(quantile)


def _later_bends(weights: np.ndarray) -> np.ndarray:
    """Loads of the effect on changes of slope in the base month and after it; shape (q,)."""
    tails = np.cumsum(weights[::-1])[::-1]
    return np.asarray(np.cumsum(tails[::-1])[::-1])


def _require_regular(quadratic: np.ndarray) -> None:
    """Refuse a covariance that leaves some combination of estimates without error."""
    if not quadratic.size:
        return
    values = np.linalg.eigvalsh(quadratic)
    if values[0] <= SINGULAR * values[-1]:
        raise EstimationError(
            "honest_did: the covariance of the effects before exposure is singular. Use fewer "
            "event times, or more clusters than effects."
        )


def _lasso_corners(quadratic: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Corners of ``argmin x'Qx/2 + linear'x + penalty |x|_1`` as the penalty falls to 0."""
    size = len(linear)
    x = np.zeros(size)
    corners = [x.copy()]
    if size == 0:
        return np.array(corners).reshape(1, 0)
    penalty = float(np.abs(linear).max())
    active = np.zeros(size, dtype=bool)
    active[int(np.abs(linear).argmax())] = True
    dropped = -1
    for _ in range(CORNERS * size):
        gradient = linear + quadratic @ x
        sign = np.where(x != 0, np.sign(x), -np.sign(gradient)) * active
        own = np.flatnonzero(active)
        move = np.zeros(size)
        # As the penalty falls by s, active loads move by s * move.
        move[own] = np.linalg.solve(quadratic[np.ix_(own, own)], sign[own])
        drift = quadratic @ move
        joins = _first_join(gradient, drift, penalty, active, dropped)
        leaves = _first_zero(x, move, active)
        step = min(penalty, joins[0], leaves[0])
        x = x + step * move
        penalty -= step
        dropped = -1
        if step == leaves[0]:
            x[leaves[1]], active[leaves[1]], dropped = 0.0, False, leaves[1]
        elif step == joins[0]:
            active[joins[1]] = True
        else:
            corners.append(x.copy())
            return np.array(corners)
        corners.append(x.copy())
    # Rounding kept the path from ending: its end is known.
    return np.array([*corners, np.linalg.solve(quadratic, -linear)])


def _first_join(
    gradient: np.ndarray, drift: np.ndarray, penalty: float, active: np.ndarray, dropped: int
) -> tuple[float, int]:
    """Step at which an inactive load's gradient first reaches the penalty, and which."""
    found = (np.inf, -1)
    for j in np.flatnonzero(~active):
        for side in (1.0, -1.0):
            closing = 1 + side * drift[j]
            gap = penalty - side * gradient[j]
            if closing > SINGULAR and not (j == dropped and gap <= 1e-9 * penalty):
                step = max(gap, 0.0) / closing
                if step < found[0]:
                    found = (float(step), int(j))
    return found


def _first_zero(x: np.ndarray, move: np.ndarray, active: np.ndarray) -> tuple[float, int]:
    """Step at which an active load first returns to 0, and which."""
    back = np.flatnonzero(active & (x * move < 0))
    if not back.size:
        return np.inf, -1
    steps = -x[back] / move[back]
    first = int(steps.argmin())
    return float(steps[first]), int(back[first])


def _shortest(path: BiasVariancePath, bound: float, conf_level: float) -> tuple[np.ndarray, float]:
    """Loads and half-length of the shortest interval on the path."""
    corners = path.bends
    low, high = 0.0, float(len(corners) - 1)
    best, half = corners[0], np.inf
    for zoom in range(ZOOMS):
        n_points = max(POINTS, 8 * len(corners)) if zoom == 0 else POINTS
        position = np.linspace(low, high, n_points)
        before = np.minimum(position.astype(int), max(len(corners) - 2, 0))
        after = np.minimum(before + 1, len(corners) - 1)
        x = corners[before] + (position - before)[:, None] * (corners[after] - corners[before])
        error = path.std_error(x)
        length = error * folded_normal_quantile(bound * path.bias(x) / error, conf_level)
        chosen = int(length.argmin())
        if length[chosen] < half:
            best, half = x[chosen], float(length[chosen])
        low = position[max(chosen - 1, 0)]
        high = position[min(chosen + 1, n_points - 1)]
    return best, half
