"""Which factors are chosen again and again when half of the counties are looked at."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.engine.progress import track
from calaim_eval.errors import EstimationError
from calaim_eval.integration.success.factor_rows import FactorRows, factor_rows

_PENALTIES = np.geomspace(0.98, 0.02, 20)
"""Shares of the penalty at which no factor is left."""


def factor_selection(
    data: pd.DataFrame,
    *,
    outcome: str,
    factors: Sequence[str],
    categorical: Sequence[str] = (),
    cluster: str | None = "county",
    n_chosen: int | None = None,
    lasso_share: float = 0.8,
    n_pairs: int = 50,
    seed: int = 0,
) -> pd.DataFrame:
    r"""How often an elastic net chooses each term among the first, in halves of the clusters.

    Complementary pairs stability selection: the clusters are dealt into two halves `n_pairs`
    times; in each half the first `n_chosen` terms to enter the elastic net are chosen. A term
    chosen in most halves goes with the outcome whichever counties are looked at.

    Parameters
    ----------
    data, outcome, factors, categorical, cluster
        As in `integration_factors`.
    n_chosen : int, optional
        Terms chosen in each half. Default: the square root of half their number, rounded up.
    lasso_share : float
        Share of the penalty on absolute size, above 0 up to 1; the rest is on squares.
    n_pairs : int
    seed : int

    Returns
    -------
    pd.DataFrame
        ``term``, ``frequency`` (share of the halves), ``is_positive`` (share of the choices with a
        positive coefficient), ``false_choices``: a bound on the expected number of terms of chance
        that reach this frequency,

        .. math:: E V \le \frac{q^2}{(2\pi - 1) p}

        for q chosen of p terms and frequency :math:`\pi` above one half (NaN below). Associations,
        not effects.

    Raises
    ------
    TableError, EstimationError
        As in `factor_rows`; `n_chosen` or `lasso_share` out of range.

    References
    ----------
    Meinshausen N, Bühlmann P (2010). doi:10.1111/j.1467-9868.2010.00740.x; Shah RD, Samworth RJ
    (2013). doi:10.1111/j.1467-9868.2011.01034.x.
    """
    rows = factor_rows(
        data, outcome=outcome, factors=factors, categorical=categorical, cluster=cluster
    )
    p = len(rows.terms)
    q = int(np.ceil(np.sqrt(p / 2))) if n_chosen is None else n_chosen
    if not 1 <= q < p:
        raise EstimationError(f"`n_chosen` is {q}; of {p} terms 1 to {p - 1} can be chosen.")
    if not 0 < lasso_share <= 1:
        raise EstimationError(f"`lasso_share` is {lasso_share}; it is above 0 and at most 1.")
    rng = np.random.default_rng(seed)
    chosen, positive = np.zeros(p), np.zeros(p)
    for _ in track(range(n_pairs), description="halves"):
        for half in _halves(rows, rng):
            signs = _first_terms(rows, half, q, lasso_share)
            chosen += signs != 0
            positive += signs > 0
    frequency = chosen / (2 * n_pairs)
    return pd.DataFrame(
        {
            "term": rows.terms,
            "frequency": frequency,
            "is_positive": positive / np.where(chosen > 0, chosen, np.nan),
            "false_choices": np.where(
                frequency > 0.5, q**2 / (np.maximum(2 * frequency - 1, 1e-9) * p), np.nan
            ),
        }
    ).sort_values("frequency", ascending=False, ignore_index=True)


def _halves(rows: FactorRows, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Units of two halves of the clusters; with an odd number one cluster is in neither."""
    order = rng.permutation(rows.n_clusters)
    half = rows.n_clusters // 2
    first, second = order[:half], order[half : 2 * half]
    return np.isin(rows.cluster, first), np.isin(rows.cluster, second)


def _first_terms(rows: FactorRows, half: np.ndarray, q: int, lasso_share: float) -> np.ndarray:
    """Sign of the first `q` terms to enter; 0 for the others; shape (p,).

    Where one step of the penalty lets in more than are left, the largest are taken.
    """
    from statsmodels.regression.linear_model import OLS

    x, y = rows.values[half], rows.outcome[half]
    size = x.std(axis=0)
    varies = size > 1e-9 * np.abs(x).max(axis=0, initial=1e-300)
    z = np.where(varies, (x - x.mean(axis=0)) / np.where(varies, size, 1.0), 0.0)
    y = y - y.mean()
    signs = np.zeros(z.shape[1])
    most = np.abs(z.T @ y).max() / len(y) / lasso_share
    if most == 0:
        return signs
    for penalty in most * _PENALTIES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = OLS(y, z).fit_regularized(alpha=penalty, L1_wt=lasso_share)
        coef = np.where(varies, np.asarray(fit.params), 0.0)
        entered = np.flatnonzero((coef != 0) & (signs == 0))
        free = q - int((signs != 0).sum())
        for j in entered[np.argsort(-np.abs(coef[entered]), kind="stable")][:free]:
            signs[j] = np.sign(coef[j])
        if (signs != 0).sum() == q:
            break
    return signs
