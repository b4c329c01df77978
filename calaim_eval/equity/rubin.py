"""Estimates of several imputed data sets as one, by Rubin's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from calaim_eval.equity.rate_gap import SHARED_MEMBERS, rate_std_error
from calaim_eval.errors import EstimationError
from calaim_eval.results import SUPPORT_COLUMNS, EffectTable, Method, RateTable
from calaim_eval.results.intervals import dobson_interval, log_normal_interval, wilson_interval
from calaim_eval.results.smallest_support import smallest_support

RUBIN = (
    "Rubin DB (1987). Multiple imputation for nonresponse in surveys. Wiley. "
    "doi:10.1002/9780470316696; Barnard J, Rubin DB (1999). Biometrika 86(4):948-955. "
    "doi:10.1093/biomet/86.4.948"
)


@dataclass(frozen=True, slots=True)
class _Pool:
    """Rubin's quantities; arrays of shape (k,), covariances (k, k)."""

    mean: np.ndarray
    within: np.ndarray
    between: np.ndarray
    degrees: np.ndarray
    n: int

    @property
    def total(self) -> np.ndarray:
        """Covariance within plus between imputations."""
        return self.within + (1 + 1 / self.n) * self.between

    @property
    def increase(self) -> np.ndarray:
        """Relative increase in variance due to what is missing; shape (k,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return (1 + 1 / self.n) * np.diag(self.between) / np.diag(self.within)


@overload
def rubin_pool(
    tables: Sequence[EffectTable], *, complete_degrees: npt.ArrayLike | None = None
) -> EffectTable: ...


@overload
def rubin_pool(
    tables: Sequence[RateTable], *, complete_degrees: npt.ArrayLike | None = None
) -> RateTable: ...


def rubin_pool(
    tables: Sequence[EffectTable] | Sequence[RateTable],
    *,
    complete_degrees: npt.ArrayLike | None = None,
) -> EffectTable | RateTable:
    r"""One table from the tables of m imputed data sets (Rubin's rules).

    Parameters
    ----------
    tables : sequence of EffectTable, or of RateTable
        One from each imputed data set, m of 2 or more, all of the same rows and the same estimand.
    complete_degrees : float or array, optional
        Degrees of freedom the estimates would have without anything missing; scalar or shape
        (k,). Default: those of the tables (few clusters), else infinite.

    Returns
    -------
    EffectTable or RateTable
        Of effects: the mean estimate, the joint covariance within and between imputations, the
        degrees of freedom of Barnard and Rubin; support is the smallest of any imputation. Ratios
        are pooled as logarithms. Of rates: mean counts over mean denominators, which still add up,
        with Wilson's or Dobson's interval of the pooled variance. `rate_gap` refuses a pooled
        RateTable: pool the gaps of each imputation, because members who are not in one group are
        in another.

    Raises
    ------
    EstimationError
        Fewer than two tables, of two kinds, or with different rows or estimands.

    Notes
    -----
    :math:`T = \bar U + (1 + 1/m) B`, :math:`\lambda = (1 + 1/m) B / T`,
    :math:`\nu^{-1} = \nu_m^{-1} + \nu_{obs}^{-1}` with :math:`\nu_m = (m-1)/\lambda^2` and
    :math:`\nu_{obs} = \frac{\nu_c + 1}{\nu_c + 3} \nu_c (1 - \lambda)` [1]_. How much is missing,
    row by row: `missing_information`. Proportions have Wilson's interval at the effective number
    of members :math:`p(1-p)/T` [2]_.

    References
    ----------
    .. [1] Barnard J, Rubin DB (1999). Biometrika 86(4):948-955. doi:10.1093/biomet/86.4.948
    .. [2] Lott A, Reiter JP (2020). Am Stat 74(2):109-115. doi:10.1080/00031305.2018.1473796
    """
    pool = _pooled(tables, complete_degrees)
    known = _information(pool)["missing_information"].to_numpy()
    note = f"{pool.n} imputations of members without a recorded group, pooled by Rubin's rules" + (
        f"; fraction of missing information {np.nanmin(known):.2f} to {np.nanmax(known):.2f}."
        if np.isfinite(known).any()
        else "."
    )
    first = tables[0]
    if isinstance(first, RateTable):
        return _rates([t for t in tables if isinstance(t, RateTable)], pool, note)
    effects = [t for t in tables if isinstance(t, EffectTable)]
    back = _scale_back(first, pool.mean)
    return EffectTable(
        keys=first.keys.reset_index(drop=True),
        estimate=np.exp(pool.mean) if first.estimand.scale == "ratio" else pool.mean,
        covariance=pool.total * np.outer(back, back),
        support=_smallest_support(effects),
        estimand=first.estimand,
        method=_method(first.method, pool),
        notes=(*dict.fromkeys(n for t in effects for n in t.notes), note),
        degrees=np.where(np.isfinite(pool.degrees), pool.degrees, np.nan),
    )


def missing_information(
    tables: Sequence[EffectTable] | Sequence[RateTable],
    *,
    complete_degrees: npt.ArrayLike | None = None,
) -> pd.DataFrame:
    r"""How much the missing groups cost, row by row.

    Parameters
    ----------
    tables, complete_degrees
        As in `rubin_pool`.

    Returns
    -------
    pd.DataFrame
        The keys, `variance_increase` (:math:`r`), `variance_share` (:math:`\lambda`, the share of
        the variance due to what is missing), `degrees`, `missing_information`
        (:math:`(r + 2/(\nu + 3)) / (r + 1)`), `monte_carlo_error` (of the estimate, or of its
        logarithm for ratios, from the finite number of imputations).
    """
    pool = _pooled(tables, complete_degrees)
    return pd.concat([tables[0].keys.reset_index(drop=True), _information(pool)], axis=1)


def _information(pool: _Pool) -> pd.DataFrame:
    """Rubin's diagnostics of each row."""
    r, nu = pool.increase, pool.degrees
    between = np.diag(pool.between)
    return pd.DataFrame(
        {
            "variance_increase": r,
            "variance_share": r / (1 + r),
            "degrees": nu,
            "missing_information": (r + 2 / (nu + 3)) / (r + 1),
            "monte_carlo_error": np.sqrt(np.where(between > 0, between, 0.0) / pool.n),
        }
    )


def _pooled(
    tables: Sequence[EffectTable] | Sequence[RateTable], complete: npt.ArrayLike | None
) -> _Pool:
    """Means and covariances of the tables, on the scale they are pooled on."""
    _check(tables)
    m = len(tables)
    estimates, covariances = zip(*(_moments(table) for table in tables), strict=True)
    q = np.array(estimates)
    mean = q.mean(axis=0)
    away = q - mean
    within = np.mean(covariances, axis=0)
    between = away.T @ away / (m - 1)
    total = np.diag(within) + (1 + 1 / m) * np.diag(between)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (1 + 1 / m) * np.diag(between) / total
    degrees = _degrees(share, m, _complete(tables, complete))
    return _Pool(mean, within, between, degrees, m)


def _degrees(share: np.ndarray, m: int, complete: np.ndarray) -> np.ndarray:
    """Degrees of freedom of Barnard and Rubin; shape (k,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        of_imputations = (m - 1) / share**2
        observed = np.where(
            np.isfinite(complete),
            (complete + 1) / (complete + 3) * complete * (1 - share),
            np.inf,
        )
        return 1 / (1 / of_imputations + 1 / observed)


def _complete(
    tables: Sequence[EffectTable] | Sequence[RateTable], given: npt.ArrayLike | None
) -> np.ndarray:
    """Degrees of freedom without anything missing; shape (k,)."""
    first = tables[0]
    k = len(first)
    if given is not None:
        degrees = np.broadcast_to(np.asarray(given, dtype=float), (k,))
        if not (degrees > 0).all():
            raise EstimationError("`complete_degrees` must be above 0.")
        return degrees
    own = first.degrees if isinstance(first, EffectTable) else None
    return np.full(k, np.inf) if own is None else np.where(np.isnan(own), np.inf, own)


def _check(tables: Sequence[EffectTable] | Sequence[RateTable]) -> None:
    """Refuse tables that are not imputations of one another."""
    if len(tables) < 2:
        raise EstimationError(
            f"rubin_pool: {len(tables)} tables; the variance between imputations needs 2 or more."
        )
    first = tables[0]
    kinds = {EffectTable if isinstance(t, EffectTable) else type(t) for t in tables}
    if kinds != {EffectTable} and kinds != {RateTable}:
        raise EstimationError(
            "rubin_pool: give EffectTables or RateTables, all of one kind; there are "
            f"{', '.join(sorted(kind.__name__ for kind in kinds))}."
        )
    rows = first.keys.reset_index(drop=True)
    n_other = sum(not _keys(t).equals(rows) for t in tables)
    if n_other:
        raise EstimationError(
            f"rubin_pool: {n_other} of {len(tables)} tables have other rows than the first.\n"
            "  A group or cohort without members in some imputation is the usual cause; select "
            "the rows that all have."
        )
    if len({_meaning(t) for t in tables}) > 1:
        raise EstimationError("rubin_pool: the tables differ in estimand or unit.")


def _keys(table: EffectTable | RateTable) -> pd.DataFrame:
    """The keys, rows numbered from 0."""
    return table.keys.reset_index(drop=True)


def _meaning(table: EffectTable | RateTable) -> tuple[object, ...]:
    """What must be the same in all tables."""
    if isinstance(table, EffectTable):
        return (table.estimand,)
    if isinstance(table.per, np.ndarray):
        raise EstimationError("rubin_pool: pool each measure alone, then stack_rates them.")
    return (table.measure, table.unit, table.kind, table.per)


def _moments(table: EffectTable | RateTable) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and their covariance, logarithms for ratios; shapes (k,), (k, k)."""
    if isinstance(table, EffectTable):
        back = _scale_back(table)
        with np.errstate(divide="ignore", invalid="ignore"):
            if table.estimand.scale != "ratio":
                return table.estimate, table.covariance
            return np.log(back), table.covariance / np.outer(back, back)
    if table.kind == "count":
        raise EstimationError("rubin_pool: counts without a denominator have no variance.")
    rate = table.rate
    error = rate_std_error(table)
    # Nobody or everybody: no variance within, as far as this imputation tells.
    sure = (rate == 0) | ((table.kind == "proportion") & (rate == table.per))
    return rate, np.diag(np.where(sure & np.isnan(error), 0.0, error) ** 2)


def _scale_back(table: EffectTable, log: np.ndarray | None = None) -> np.ndarray:
    """Derivative of the estimate in what is pooled: itself for ratios, else 1; shape (k,)."""
    if table.estimand.scale != "ratio":
        return np.ones(len(table))
    value = table.estimate if log is None else np.exp(log)
    return np.where(value > 0, value, np.nan)


def _smallest_support(tables: Sequence[EffectTable]) -> pd.DataFrame:
    """Smallest support of any imputation, the cautious value for disclosure."""
    values = [t.support[list(SUPPORT_COLUMNS)].to_numpy(dtype=float) for t in tables]
    return pd.DataFrame(smallest_support(np.stack(values)), columns=list(SUPPORT_COLUMNS))


def _method(method: Method, pool: _Pool) -> Method:
    """The estimator, said to be pooled."""
    return replace(
        method,
        estimator=f"{method.estimator}; multiple imputation of the group, Rubin's rules",
        options={**method.options, "n_imputations": pool.n},
        reference="; ".join(part for part in (method.reference, RUBIN) if part),
    )


def _rates(tables: Sequence[RateTable], pool: _Pool, note: str) -> RateTable:
    """Mean counts, with the interval of the pooled variance."""
    first = tables[0]
    numerator = np.mean([t.numerator for t in tables], axis=0)
    denominator = np.mean([t.denominator for t in tables], axis=0)
    variance = np.diag(pool.total) / float(np.mean(first.per)) ** 2
    nu = np.where(np.isfinite(pool.degrees), pool.degrees, 1e9)
    t = special.stdtrit(nu, 0.975)
    if first.kind == "proportion":
        low, high = _wilson(numerator, denominator, variance, t)
    elif first.method.options.get("interval") == "log_normal":
        low, high = log_normal_interval(
            numerator / denominator, np.sqrt(variance) * t / special.ndtri(0.975)
        )
    else:
        low, high = _dobson(numerator, denominator, variance, t)
    return replace(
        first,
        keys=first.keys.reset_index(drop=True),
        numerator=numerator,
        denominator=denominator,
        conf_low=first.per * low,
        conf_high=first.per * high,
        n_members=np.min([t.n_members for t in tables], axis=0),
        numerator_name=f"{first.numerator_name}_groups_imputed",
        denominator_name=f"{first.denominator_name}_groups_imputed",
        method=replace(
            _method(first.method, pool),
            options={**first.method.options, "n_imputations": pool.n, SHARED_MEMBERS: True},
        ),
        notes=(*dict.fromkeys(n for t in tables for n in t.notes), note),
    )


def _wilson(
    count: np.ndarray, total: np.ndarray, variance: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval at the effective number of members."""
    share = count / total
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(variance > 0, share * (1 - share) / variance, total)
    inside = (share > 0) & (share < 1)
    n = np.where(inside, effective, total)
    return wilson_interval(share * n, n, quantile=t)


def _dobson(
    count: np.ndarray, total: np.ndarray, variance: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Dobson's interval of the mean count, row by row for its own quantile."""
    limits = [
        dobson_interval(x, variance=v * n**2, count=x, conf_level=float(2 * special.ndtr(c) - 1))
        for x, n, v, c in zip(count, total, variance, t, strict=True)
    ]
    low, high = (np.array([float(pair[side]) for pair in limits]) for side in (0, 1))
    return low / total, high / total
