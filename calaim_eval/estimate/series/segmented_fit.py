"""Segmented regression of one series, and the joint covariance of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.series.autocorrelated_errors import Errors, reml_correlation, whitened

Model = Literal["ols", "quasi_poisson"]
Change = Literal["level_and_slope", "level"]
LEAST_FREEDOM = 3
ROUNDING = 1e-20
SEPARATED = 1e-8
"""A fitted rate below this share of the mean rate is on its way to 0: separation."""
NO_EVENTS = (
    "a segment or season has no events in model='quasi_poisson', so a rate ratio would be 0 or "
    "infinite. Use model='ols', fewer terms, or a longer or pooled series."
)


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Design of a segmented regression over T months.

    Attributes
    ----------
    names : tuple[str, ...]
        Columns: ``intercept``, ``slope_before``, ``level_change`` and, unless only the level
        changes, ``slope_change`` of each break (numbered from the second on), seasonal terms.
    matrix : np.ndarray
        Shape (T, k).
    breaks : np.ndarray
        Ordinals of the breaks; shape (n_breaks,).
    begins : np.ndarray
        First month after each phase-in: where the new line begins; shape (n_breaks,).
    used : np.ndarray
        Months that enter: not within a phase-in, not left out; shape (T,), bool.
    axis : np.ndarray
        Ordinals; shape (T,).
    change : {"level_and_slope", "level"}
        What changes at a break.
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    breaks: np.ndarray
    begins: np.ndarray
    used: np.ndarray
    axis: np.ndarray
    change: Change

    def columns(self, position: int) -> list[int]:
        """Columns of one break: its level change and, where it may change, its slope's."""
        if self.change == "level":
            return [2 + position]
        return [2 + 2 * position, 3 + 2 * position]

    def without(self, breaks: Sequence[int]) -> np.ndarray:
        """The matrix had these breaks not been; shape (T, k)."""
        matrix = self.matrix.copy()
        for position in breaks:
            matrix[:, self.columns(position)] = 0.0
        return matrix


@dataclass(frozen=True, slots=True, eq=False)
class SegmentedFit:
    """A fitted series.

    Attributes
    ----------
    coefficients : np.ndarray
        Shape (k,); of log rates for quasi-Poisson.
    bread : np.ndarray
        Inverse of the information, shape (k, k).
    scores : np.ndarray
        By month, 0 where a month does not enter; shape (T, k).
    root_weighted : np.ndarray
        Columns times the root of the working weights, 0 where a month does not enter; (T, k).
    residuals : np.ndarray
        Pearson residuals (whitened where errors are autocorrelated), NaN where a month does not
        enter; shape (T,).
    fitted : np.ndarray
        In the unit of the rate; shape (T,).
    used : np.ndarray
        Shape (T,), bool.
    rho : float
        Estimated correlation of errors a month apart; NaN where they are taken as independent.
    """

    coefficients: np.ndarray
    bread: np.ndarray
    scores: np.ndarray
    root_weighted: np.ndarray
    residuals: np.ndarray
    fitted: np.ndarray
    used: np.ndarray
    rho: float

    @property
    def freedom(self) -> int:
        """Months less coefficients."""
        return int(self.used.sum()) - len(self.coefficients)

    @property
    def factor(self) -> float:
        """Small-sample factor n / (n - k)."""
        return float(self.used.sum()) / self.freedom


def segments(
    axis: np.ndarray,
    breaks: Sequence[int],
    *,
    phase_in_months: int,
    left_out: np.ndarray,
    seasonal: np.ndarray,
    seasonal_names: Sequence[str],
    change: Change,
) -> Segments:
    """Design matrix of the changes at the breaks, with seasonal columns."""
    begins = np.asarray(breaks) + phase_in_months
    columns = [np.ones(len(axis)), (axis - breaks[0]).astype(float)]
    names = ["intercept", "slope_before"]
    used = ~left_out
    for number, (first, begin) in enumerate(zip(breaks, begins, strict=True), start=1):
        after = axis >= begin
        suffix = "" if number == 1 else f"_{number}"
        columns.append(after.astype(float))
        names.append(f"level_change{suffix}")
        if change == "level_and_slope":
            columns.append(np.where(after, axis - begin, 0).astype(float))
            names.append(f"slope_change{suffix}")
        used = used & ~((axis >= first) & (axis < begin))
    return Segments(
        names=(*names, *seasonal_names),
        matrix=np.column_stack([*columns, seasonal]),
        breaks=np.asarray(breaks),
        begins=begins,
        used=used,
        axis=axis,
        change=change,
    )


def fit_segments(
    design: Segments,
    *,
    rate: np.ndarray,
    total: np.ndarray,
    at_risk: np.ndarray | None,
    model: Model,
    is_weighted: bool,
    errors: Errors,
    per: float,
    where: str,
) -> SegmentedFit:
    """Fit one series.

    Parameters
    ----------
    rate : np.ndarray
        Per member-month, NaN where not observed; shape (T,).
    total, at_risk : np.ndarray
        Counts and member-months; needed for ``"quasi_poisson"`` and for weights.
    errors : {"independent", "ar1"}
        For ``"ols"``: least squares, or generalized least squares with AR(1) errors.
    per : float
        Unit of the fitted rate: 1,000 for rates per 1,000 member-months.
    where : str
        The series in words, for errors.
    """
    import statsmodels.api as sm

    used = design.used & ~np.isnan(rate)
    x = design.matrix[used]
    _require_full_rank(x, used, where)
    rho = np.nan
    if model == "ols":
        weights = np.ones(used.sum())
        if is_weighted and at_risk is not None:
            weights = at_risk[used] / at_risk[used].mean()
        root = np.sqrt(weights)[:, None]
        rows, y = root * x, root[:, 0] * per * rate[used]
        if errors == "ar1":
            gaps = np.diff(np.flatnonzero(used))
            rho = reml_correlation(y, rows, gaps)
            white = whitened(np.column_stack([rows, y]), gaps, rho)
            rows, y = white[:, :-1], white[:, -1]
        coefficients = np.asarray(sm.OLS(y, rows).fit().params)
        pearson = y - rows @ coefficients
        fitted = design.matrix @ coefficients
    else:
        _require_events(design, total, used, where)
        coefficients = _log_linear(x, total[used], at_risk, used, where)
        expected = _exposure(at_risk)[used] * np.exp(x @ coefficients)
        rows = x * np.sqrt(expected)[:, None]
        pearson = (total[used] - expected) / np.sqrt(expected)
        fitted = per * np.exp(design.matrix @ coefficients)
    return SegmentedFit(
        coefficients=coefficients,
        bread=np.linalg.inv(rows.T @ rows),
        scores=_on_axis(rows * pearson[:, None], used),
        root_weighted=_on_axis(rows, used),
        residuals=np.where(used, _on_axis(pearson[:, None], used)[:, 0], np.nan),
        fitted=fitted,
        used=used,
        rho=float(rho),
    )


def _require_events(design: Segments, total: np.ndarray, used: np.ndarray, where: str) -> None:
    """Refuse a segment (or season) without events: its rate ratio would be 0 or infinite."""
    segment = np.searchsorted(np.sort(design.begins), design.axis, side="right")
    is_empty = any(not total[used & (segment == s)].any() for s in np.unique(segment[used]))
    seasonal = design.matrix[:, 2 + 2 * len(design.breaks) :].T
    is_empty |= any(
        not total[used & (column == 1)].any()
        for column in seasonal
        if np.isin(column, (0.0, 1.0)).all()
    )
    if is_empty:
        raise EstimationError(f"{where}: {NO_EVENTS}")


def _log_linear(
    x: np.ndarray, count: np.ndarray, at_risk: np.ndarray | None, used: np.ndarray, where: str
) -> np.ndarray:
    """Coefficients of a Poisson regression with log member-months as offset."""
    import statsmodels.api as sm

    offset = np.log(_exposure(at_risk)[used])
    result = sm.GLM(count, x, family=sm.families.Poisson(), offset=offset).fit(
        tol=1e-12, maxiter=200
    )
    coefficients = np.asarray(result.params)
    if not result.converged or not np.isfinite(coefficients).all():
        raise EstimationError(
            f"{where}: the log-linear model did not converge; a segment probably has no events. "
            "Use model='ols', or a longer or pooled series."
        )
    fitted = np.exp(x @ coefficients)
    if fitted.min() < SEPARATED * count.sum() / _exposure(at_risk)[used].sum():
        raise EstimationError(f"{where}: {NO_EVENTS}")
    return coefficients


def _exposure(at_risk: np.ndarray | None) -> np.ndarray:
    """Member-months, known to be there."""
    if at_risk is None:
        raise EstimationError("model='quasi_poisson' needs member-months: name `member_months`.")
    return at_risk


def joint_newey_west(fits: Sequence[SegmentedFit], lag: int) -> np.ndarray:
    r"""Newey-West covariance of the coefficients of all series, by month; shape (K, K).

    :math:`B (\Gamma_0 + \sum_l (1 - l/(L+1)) (\Gamma_l + \Gamma_l')) B` of the scores of all series
    side by side, so that shocks the series share in a month are in the covariance between them;
    times :math:`n/(n-k)`. A month that does not enter counts with a score of 0.
    """
    scores = np.hstack([fit.scores for fit in fits])
    meat = scores.T @ scores
    for step in range(1, lag + 1):
        product = scores[step:].T @ scores[:-step]
        meat += (1 - step / (lag + 1)) * (product + product.T)
    bread = _blocks([fit.bread for fit in fits])
    root = np.concatenate([np.full(len(f.coefficients), np.sqrt(f.factor)) for f in fits])
    return np.asarray(root[:, None] * (bread @ meat @ bread) * root)


def joint_model_covariance(fits: Sequence[SegmentedFit]) -> np.ndarray:
    r"""Model-based covariance of the coefficients of all series; shape (K, K).

    :math:`\phi_{ab} B_a X_a' W_a^{1/2} W_b^{1/2} X_b B_b` with the cross-product of the Pearson
    residuals over :math:`\sqrt{(n-k)_a (n-k)_b}` for :math:`\phi`: classical least squares or
    quasi-Poisson within a series, with the months' common shocks between series.
    """
    pearson = np.nan_to_num(np.stack([fit.residuals for fit in fits]))
    freedom = np.sqrt([fit.freedom for fit in fits])
    dispersion = pearson @ pearson.T / np.outer(freedom, freedom)
    size = [len(fit.coefficients) for fit in fits]
    spread = np.repeat(np.repeat(dispersion, size, axis=0), size, axis=1)
    wide = np.hstack([fit.root_weighted @ fit.bread for fit in fits])
    return np.asarray(spread * (wide.T @ wide))


def least_variance(fits: Sequence[SegmentedFit], model: Model) -> float:
    """A variance this small beside the squares of the series is rounding: a perfect fit."""
    if model != "ols":
        return ROUNDING
    return ROUNDING * max(float(np.nanmax(np.abs(f.fitted[f.used]))) for f in fits) ** 2


def _blocks(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Block-diagonal matrix."""
    from scipy.linalg import block_diag

    return np.asarray(block_diag(*parts))


def _on_axis(values: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Rows of the months used, 0 in the others."""
    full = np.zeros((len(used), values.shape[1]))
    full[used] = values
    return full


def _require_full_rank(x: np.ndarray, used: np.ndarray, where: str) -> None:
    """Refuse a design that the months used cannot tell apart."""
    scaled = x / np.maximum(np.abs(x).max(axis=0), 1.0)
    rank = int(np.linalg.matrix_rank(scaled))
    if rank < x.shape[1]:
        raise EstimationError(
            f"{where}: level, slope and seasonal terms are collinear (rank {rank} of "
            f"{x.shape[1]}) in the {int(used.sum())} months used. Leave out the seasonal terms, or "
            "use fewer breaks."
        )
    if int(used.sum()) - x.shape[1] < LEAST_FREEDOM:
        raise EstimationError(
            f"{where}: {int(used.sum())} months for {x.shape[1]} coefficients; at least "
            f"{LEAST_FREEDOM} more months than coefficients are needed. Use harmonic or no "
            "seasonality, fewer breaks or a longer series."
        )
