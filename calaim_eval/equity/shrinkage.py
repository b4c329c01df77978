"""Estimates of small groups, pulled toward what the groups have in common, beside the raw ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.marshall_rates import REFERENCE as MARSHALL
from calaim_eval.equity.marshall_rates import marshall_rates
from calaim_eval.equity.rate_gap import rate_std_error, rate_support
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.equity.shrinkage_fit import Between, Rule, Shrunk, shrink
from calaim_eval.equity.shrunken_table import ShrunkenTable
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, EffectTable, Estimand, Method, RateTable

BetweenOrMarshall = Literal["reml", "dersimonian_laird", "paule_mandel", "marshall"]
Toward = Literal["mean", "main_effects"]
Variances = Literal["own", "smoothed"]
REFERENCES = {
    "morris": (
        "Morris CN (1983). Parametric empirical Bayes inference. J Am Stat Assoc 78(381):47-55. "
        "doi:10.1080/01621459.1983.10477920"
    ),
    "eblup": (
        "Fay RE, Herriot RA (1979). J Am Stat Assoc 74(366):269-277. "
        "doi:10.1080/01621459.1979.10482505; Prasad NGN, Rao JNK (1990). J Am Stat Assoc "
        "85(409):163-171. doi:10.1080/01621459.1990.10475320"
    ),
}
BESIDE = (
    "Shrunken estimates borrow from the other groups: they are nearer the truth on average over "
    "groups, and pull a small group that truly differs toward the others. They stand beside the "
    "raw estimates, never in their place; a group's own interval is the raw one."
)
HIDDEN_ROWS = (
    "What the groups are pulled toward rests on all of them. Where the rows of small groups will "
    "be hidden, leave them out before shrinking, so that the others do not tell of them."
)
POSTERIOR = (
    "Standard errors of Marshall's rates take the mean and the variance between groups as known, "
    "and events as independent: they are too small with few groups or repeat events."
)


def shrink_estimates(
    table: EffectTable | RateTable,
    *,
    stratum: str | Sequence[str] = "race_ethnicity",
    toward: Toward = "mean",
    covariates: pd.DataFrame | None = None,
    between: BetweenOrMarshall = "reml",
    rule: Rule = "morris",
    variances: Variances | None = None,
) -> ShrunkenTable:
    r"""Shrink estimates by group toward what the groups have in common (partial pooling).

    Use for small groups and for intersections, whose raw estimates are too uncertain to rank or
    to read alone. Always shown beside the raw estimate, with its weight.

    Parameters
    ----------
    table : EffectTable or RateTable
        Estimates by `stratum`; an EffectTable brings its joint covariance. Ratios are shrunk as
        logarithms. "all" rows are left out.
    stratum : str or sequence of str
        Key columns with the groups. Within each combination of the other keys (outcome, event
        time) groups are shrunk apart.
    toward : {"mean", "main_effects"}
        The mean of the groups, each weighted by its precision; or, for intersections, the sum of
        a term for each column of `stratum`: what is left is what the combination adds.
    covariates : pd.DataFrame, optional
        Numeric columns, a row per row of `table`, no value missing: groups are shrunk toward
        what these predict (Fay and Herriot).
    between : {"reml", "dersimonian_laird", "paule_mandel", "marshall"}
        How the variance between groups is estimated. ``"marshall"`` is for a RateTable of
        independent events.
    rule : {"morris", "eblup"}
        Morris's estimate shrinks a little less and its interval holds the uncertainty about the
        variance between groups; the EBLUP, for REML, is that of small-area estimation.
    variances : {"own", "smoothed"}, optional
        Of a RateTable: of each rate's own interval, or one spread per member-month for all
        groups, so that a small group that had few events by chance is not taken for a precise
        one. Default smoothed; an EffectTable has its own.

    Returns
    -------
    ShrunkenTable
        `raw`, `shrunken`, `weight`. A row without estimate or standard error is NaN, and a note
        says how many.

    Raises
    ------
    EstimationError
        A missing key, fewer than 3 groups more than coefficients, unknown covariances between
        groups, a covariance without full rank, covariates that do not fit.

    Notes
    -----
    :math:`y = \theta + e`, :math:`e \sim N(0, V)`, :math:`\theta \sim N(X\beta, \tau^2 I)`:
    estimate :math:`y - V (V + \tau^2 I)^{-1}(y - X\hat\beta)`; see `shrinkage_fit.shrink` and [1]_.

    References
    ----------
    .. [1] Morris CN (1983). J Am Stat Assoc 78(381):47-55. doi:10.1080/01621459.1983.10477920
    """
    for name, value, allowed in (
        ("between", between, get_args(BetweenOrMarshall)),
        ("rule", rule, get_args(Rule)),
        ("toward", toward, get_args(Toward)),
        ("variances", variances or "own", get_args(Variances)),
    ):
        check_option(name, value, allowed)
    columns = [stratum] if isinstance(stratum, str) else list(stratum)
    _check(table, columns, covariates, between=between, rule=rule, toward=toward)
    groups = ~table.keys[columns].astype(str).eq(ALL).any(axis=1).to_numpy()
    design = None if covariates is None else covariates[groups].to_numpy(dtype=float)
    options: dict[str, object] = {
        "stratum": columns,
        "toward": toward if covariates is None else [str(c) for c in covariates.columns],
        "between": between,
        "rule": rule if between != "marshall" else "posterior",
    }
    if isinstance(table, RateTable):
        rates = table.select(groups)
        raw = _as_effects(rates)
        if between == "marshall":
            return _marshall(rates, raw, columns, options)
        variances = variances or "smoothed"
        working = _smoothed(rates, raw, columns) if variances == "smoothed" else raw
        return _shrunken(raw, working, columns, design, {**options, "variances": variances})
    if variances == "smoothed":
        raise EstimationError(
            'shrink_estimates: variances="smoothed" is for a RateTable; effects have their own.'
        )
    raw = table.select(groups)
    return _shrunken(raw, raw, columns, design, options)


def _check(
    table: EffectTable | RateTable,
    columns: list[str],
    covariates: pd.DataFrame | None,
    *,
    between: str,
    rule: str,
    toward: str,
) -> None:
    """Refuse what does not go together."""
    lacking = [c for c in columns if c not in table.keys.columns]
    if lacking:
        raise EstimationError(
            f"shrink_estimates: the table lacks {', '.join(f'`{c}`' for c in lacking)} among its "
            f"keys; it has {', '.join(f'`{c}`' for c in table.keys.columns)}."
        )
    if between == "marshall" and (not isinstance(table, RateTable) or table.kind != "rate"):
        raise EstimationError(
            'shrink_estimates: between="marshall" is for a RateTable of rates (events over '
            'member-months).\n  Use between="reml".'
        )
    if between == "marshall" and (covariates is not None or toward != "mean"):
        raise EstimationError(
            'shrink_estimates: between="marshall" shrinks toward the rate of all groups only.'
        )
    if rule == "eblup" and between not in ("reml", "marshall"):
        raise EstimationError(
            f'shrink_estimates: rule="eblup" has its errors for between="reml", not "{between}".\n'
            '  Use rule="morris".'
        )
    if isinstance(table, RateTable) and (
        table.kind == "count" or isinstance(table.per, np.ndarray)
    ):
        raise EstimationError(
            f"shrink_estimates: `{table.measure}` holds counts, or several measures under one "
            "another; pass the rates of one measure."
        )
    if covariates is None:
        return
    if toward != "mean":
        raise EstimationError("shrink_estimates: pass `covariates` or toward=, not both.")
    fits = len(covariates) == len(table) and not covariates.isna().any(axis=None)
    if not fits or not all(pd.api.types.is_numeric_dtype(t) for t in covariates.dtypes):
        raise EstimationError(
            f"shrink_estimates: `covariates` needs {len(table)} rows like the table, of numbers, "
            f"none missing; it has {len(covariates)} rows, {int(covariates.isna().sum().sum())} "
            "missing values."
        )


def _as_effects(rates: RateTable) -> EffectTable:
    """Rates with their standard errors; groups are independent."""
    return EffectTable(
        keys=rates.keys,
        estimate=rates.rate,
        covariance=np.diag(rate_std_error(rates) ** 2),
        support=rate_support(rates),
        estimand=Estimand(rates.measure, "rate in the group", rates.unit, is_causal=False),
        method=replace(rates.method, options={**rates.method.options, **rates_option(rates)}),
        notes=rates.notes,
    )


def _smoothed(rates: RateTable, raw: EffectTable, columns: list[str]) -> EffectTable:
    """The rates with one spread per unit of the denominator within each block.

    A group without events adds 0 to the spread, as its events do to the mean.
    """
    n = np.where(rates.denominator > 0, rates.denominator, np.nan)
    spread = np.where(np.isnan(n), np.nan, np.nan_to_num(np.diag(raw.covariance)) * n)
    variance = np.full(len(raw), np.nan)
    for rows in _blocks(raw, columns):
        common = np.nansum(n[rows] * spread[rows]) / np.nansum(n[rows])
        if not common > 0:
            raise EstimationError(
                f"shrink_estimates: `{rates.measure}` has no event in {len(rows)} groups, so "
                "nothing tells how uncertain their rates are. Leave these rows out."
            )
        variance[rows] = common / n[rows]
    return replace(raw, covariance=np.diag(variance))


def _blocks(table: EffectTable, columns: list[str]) -> list[np.ndarray]:
    """Positions of the rows of each combination of the other keys."""
    others = [c for c in table.keys.columns if c not in columns]
    if not others:
        return [np.arange(len(table))]
    grouped = table.keys.reset_index(drop=True).groupby(others, sort=False, dropna=False)
    return [np.asarray(rows) for rows in grouped.indices.values()]


def _design(
    keys: pd.DataFrame, columns: list[str], covariates: np.ndarray | None, *, toward: str
) -> np.ndarray:
    """What the mean is linear in, with a constant; a row per group."""
    parts = [np.ones((len(keys), 1))]
    if covariates is not None:
        parts.append(covariates)
    elif toward == "main_effects":
        parts.append(pd.get_dummies(keys[columns].astype(str), dtype=float).to_numpy())
    return np.hstack(parts)


def _shrunken(
    raw: EffectTable,
    working: EffectTable,
    columns: list[str],
    covariates: np.ndarray | None,
    options: dict[str, object],
) -> ShrunkenTable:
    """Each block shrunk by itself; `working` holds the variances it is judged by."""
    k, is_ratio = len(raw), raw.estimand.scale == "ratio"
    found = {name: np.full(k, np.nan) for name in ("estimate", "weight", "mean", "between_sd")}
    covariance = np.full((k, k), np.nan)
    slope = np.ones(k)
    estimate = working.estimate
    if is_ratio:
        slope = np.where(estimate > 0, estimate, np.nan)
        estimate = np.log(slope)
    variance = working.covariance / np.outer(slope, slope)
    toward = str(options["toward"])
    for block in _blocks(raw, columns):
        usable = np.isfinite(estimate[block]) & (np.diag(variance)[block] > 0)
        rows = block[usable]
        own = variance[np.ix_(rows, rows)]
        if np.isnan(own).any():
            raise EstimationError(
                f"shrink_estimates: the covariance between some of {len(rows)} groups is not "
                "known (stacked tables).\n"
                "  Estimate the groups in one fit: reduce_panel(..., stratum=...)."
            )
        design = _design(
            raw.keys.iloc[rows],
            columns,
            None if covariates is None else covariates[rows],
            toward=toward,
        )
        between: Between = options["between"]  # type: ignore[assignment]
        rule: Rule = options["rule"]  # type: ignore[assignment]
        fit = shrink(estimate[rows], own, design, between=between, rule=rule)
        _place(fit, rows, found, covariance, is_ratio=is_ratio)
    n_left = int(np.isnan(found["estimate"]).sum())
    left = (f"{n_left} of {k} groups have no estimate or standard error to shrink.",)
    notes = (*raw.notes, BESIDE, HIDDEN_ROWS, *(left if n_left else ()))
    shrunken = _shrunken_effects(raw, found["estimate"], covariance, options, notes)
    extras = [found[name] for name in ("weight", "mean", "between_sd")]
    return ShrunkenTable(raw, shrunken, *extras)


def _place(
    fit: Shrunk,
    rows: np.ndarray,
    found: dict[str, np.ndarray],
    covariance: np.ndarray,
    *,
    is_ratio: bool,
) -> None:
    """Put one block's numbers in their rows; ratios back from logarithms."""
    level = np.exp(fit.estimate) if is_ratio else fit.estimate
    slope = level if is_ratio else np.ones(len(rows))
    found["estimate"][rows] = level
    found["weight"][rows] = fit.weight
    found["mean"][rows] = np.exp(fit.mean) if is_ratio else fit.mean
    found["between_sd"][rows] = np.sqrt(fit.between)
    covariance[np.ix_(rows, rows)] = fit.covariance * np.outer(slope, slope)


def _marshall(
    rates: RateTable, raw: EffectTable, columns: list[str], options: dict[str, object]
) -> ShrunkenTable:
    """Marshall's rates, each block by itself."""
    k, per = len(raw), float(np.asarray(rates.per))
    estimate, variance, weight, mean, spread = (np.full(k, np.nan) for _ in range(5))
    for rows in _blocks(raw, columns):
        fit = marshall_rates(rates.numerator[rows], rates.denominator[rows])
        estimate[rows], variance[rows] = per * fit.estimate, per**2 * fit.variance
        weight[rows], mean[rows] = fit.weight, per * fit.mean
        spread[rows] = per * np.sqrt(fit.between)
    notes = (*raw.notes, BESIDE, HIDDEN_ROWS, POSTERIOR)
    shrunken = _shrunken_effects(raw, estimate, np.diag(variance), options, notes)
    return ShrunkenTable(raw, shrunken, weight, mean, spread)


def _shrunken_effects(
    raw: EffectTable,
    estimate: np.ndarray,
    covariance: np.ndarray,
    options: dict[str, object],
    notes: tuple[str, ...],
) -> EffectTable:
    """The shrunken estimates as a table."""
    reference = MARSHALL if options["between"] == "marshall" else REFERENCES[str(options["rule"])]
    return EffectTable(
        keys=raw.keys,
        estimate=estimate,
        covariance=covariance,
        support=raw.support,
        estimand=replace(raw.estimand, name=f"{raw.estimand.name}, shrunken"),
        method=Method(
            f"Empirical Bayes; {raw.method.estimator}",
            {**raw.method.options, **options},
            reference,
        ),
        notes=tuple(dict.fromkeys(notes)),
        degrees=raw.degrees,
    )
