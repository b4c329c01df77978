"""Where rates of groups come from: rate tables, effects, frames of counts or of estimates."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.equity.group_rates import GroupRates, Sampling, by_group, refuse_groups
from calaim_eval.equity.groups import as_groups, check_columns
from calaim_eval.equity.rate_gap import half_event_error, rate_std_error, rate_support
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, EffectTable, RateTable

Source: TypeAlias = RateTable | EffectTable | pd.DataFrame

_SHAPES = {
    # First: a frame of standardized rates holds its counts too, whose rates are the crude ones.
    "estimate": ["rate", "std_error", "population"],
    "standardized": ["rate", "std_error", "member_months"],
    "rate": ["events", "member_months"],
    "proportion": ["count", "members"],
}


def group_rates(
    source: Source,
    *,
    stratum: str,
    population: pd.Series | None = None,
    per: float | None = None,
    unit: str | None = None,
) -> list[tuple[dict[str, object], GroupRates]]:
    """Values of the other keys, and the rates of the groups there.

    Parameters
    ----------
    source : RateTable, EffectTable or pd.DataFrame
        A frame has `stratum` and either `events`, `member_months` (optionally `variance` of the
        events and `n_members`), or `count`, `members`, or `rate`, `std_error` and `population` (or
        `member_months`), which is what standardized rates have and goes before counts.
        Other columns it has are not used.
    stratum : str
        Key with the groups. An "all" row holds every group and is left out.
    population : pd.Series, optional
        Population by group, in place of the denominators; needed for an EffectTable.
    per, unit : float and str
        Of a frame, which does not carry them.

    Raises
    ------
    EstimationError
        No rate is defined for a group, a group repeats, or fewer than two groups are there.
    """
    if not isinstance(source, pd.DataFrame):
        _check_key(list(source.keys.columns), stratum)
        others = [c for c in source.keys.columns if c not in (stratum, "unit")]
        return [
            (values, _checked(_from_table(source.select(mask), stratum), population))
            for values, mask in _parts(source.keys, others, stratum)
        ]
    if unit is None:
        raise EstimationError(
            "a frame does not say the unit of its rates: give `unit`, such as "
            "'ED visits per 1,000 member-months'."
        )
    return [({}, _checked(_from_frame(source, stratum, per=per, unit=unit), population))]


def _parts(
    keys: pd.DataFrame, others: list[str], stratum: str
) -> list[tuple[dict[str, object], np.ndarray]]:
    """Values of the other keys and the rows of their groups, "all" left out."""
    is_group = (keys[stratum].astype(str) != ALL).to_numpy()
    if not others:
        return [({}, is_group)]
    number = keys.groupby(others, sort=False, dropna=False).ngroup().to_numpy()
    found = []
    for each in dict.fromkeys(number[is_group]):
        mask = is_group & (number == each)
        found.append((keys.loc[mask, others].iloc[0].to_dict(), mask))
    return found


def _check_key(columns: list[str], stratum: str) -> None:
    """Raise EstimationError unless the stratum is a key."""
    if stratum not in columns:
        listed = ", ".join(f"`{c}`" for c in columns)
        raise EstimationError(
            f"the table has no key `{stratum}`; it has {listed}. Name its groups with `stratum`."
        )


def _from_table(table: RateTable | EffectTable, stratum: str) -> GroupRates:
    """Groups of one part of a table."""
    names = table.keys[stratum].astype(str).tolist()
    if isinstance(table, EffectTable):
        return GroupRates(
            names,
            table.estimate.astype(float),
            table.covariance.astype(float),
            np.full(len(table), np.nan),
            np.full(len(table), np.nan),
            table.support,
            table.estimand.unit,
            table.estimand.name,
            1.0,
            "normal",
            np.isfinite(table.std_error),
            table.notes,
            table.degrees,
        )
    if table.kind == "count" or isinstance(table.per, np.ndarray):
        raise EstimationError(
            f"`{table.measure}` holds counts without a denominator, or stacks several measures; "
            "a disparity is of one rate.\n  Take the measures one by one."
        )
    return _of_counts(
        names,
        numerator=table.numerator,
        denominator=table.denominator,
        error=rate_std_error(table),
        support=rate_support(table),
        unit=table.unit,
        label=table.measure,
        per=table.per,
        sampling=_sampling(table),
        notes=table.notes,
    )


def _sampling(table: RateTable) -> Sampling:
    """How the numerator of a rate varies; amounts are no counts."""
    if table.method.options.get("interval") == "log_normal":
        return "normal"
    return "count" if table.kind == "rate" else "share"


def _from_frame(frame: pd.DataFrame, stratum: str, *, per: float | None, unit: str) -> GroupRates:
    """Groups of a frame of counts or of estimates."""
    check_columns(frame, [stratum])
    shape = next((s for s, need in _SHAPES.items() if set(need) <= set(frame.columns)), None)
    if shape is None:
        raise EstimationError(
            "the frame has none of the sets of columns a rate is made of: "
            + "; or ".join(", ".join(f"`{c}`" for c in need) for need in _SHAPES.values())
            + "."
        )
    rows = as_groups(frame, [stratum])
    rows = rows[rows[stratum] != ALL].reset_index(drop=True)
    names = rows[stratum].tolist()
    first, second = (rows[c].to_numpy(dtype=float) for c in _SHAPES[shape][:2])
    members = rows["n_members"].to_numpy(dtype=float) if "n_members" in rows else None
    if shape in ("estimate", "standardized"):
        blank = np.full(len(rows), np.nan)
        events = rows["events"].to_numpy(dtype=float) if "events" in rows else blank
        support = _support(blank if members is None else members, events, blank)
        return GroupRates(
            names,
            first,
            np.diag(second**2),
            rows[_SHAPES[shape][2]].to_numpy(dtype=float),
            rows[_SHAPES[shape][2]].to_numpy(dtype=float),
            support,
            unit,
            unit,
            1.0,
            "normal",
            np.isfinite(second),
        )
    if per is None:
        raise EstimationError(
            "a frame of counts does not say what its rates refer to: give `per`, such as 1000 for "
            "rates per 1,000 member-months, or 1 for shares."
        )
    is_rate = shape == "rate"
    if members is None:
        members = np.full(len(rows), np.nan) if is_rate else first
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = first if is_rate else first * (1 - first / second)
        variance = rows["variance"].to_numpy(dtype=float) if "variance" in rows else spread
        error = per * np.sqrt(variance) / second
    return _of_counts(
        names,
        numerator=first,
        denominator=second,
        error=error,
        support=_support(members, first, second if is_rate else np.full(len(rows), np.nan)),
        unit=unit,
        label=unit,
        per=per,
        sampling="count" if is_rate else "share",
        notes=(),
    )


def _of_counts(
    names: list[str],
    *,
    numerator: np.ndarray,
    denominator: np.ndarray,
    error: np.ndarray,
    support: pd.DataFrame,
    unit: str,
    label: str,
    per: float,
    sampling: Sampling,
    notes: tuple[str, ...],
) -> GroupRates:
    """Independent groups; one without an event has the variance of half an event."""
    refuse_groups(names, ~(denominator > 0), "have a denominator of 0")
    refuse_groups(names, ~(numerator >= 0), "have a negative or missing numerator")
    rate = per * numerator / denominator
    if sampling == "normal":
        refuse_groups(names, ~(error > 0), "have an amount without a standard error")
    if sampling == "share":
        refuse_groups(names, numerator > denominator, "have a share above 1")
    has_error = np.asarray(error > 0)
    half = half_event_error(numerator, denominator, per=per, is_share=sampling == "share")
    variance = np.where(has_error, error, half) ** 2
    n_zero = int((~has_error).sum())
    if n_zero:
        notes = (
            *notes,
            f"{n_zero} of {len(names)} groups have no spread to judge by (no event, or everybody "
            "has one): in measures over all groups they enter with the variance of half an event.",
        )
    return GroupRates(
        names,
        rate,
        np.diag(variance),
        denominator.astype(float),
        denominator.astype(float),
        support.reset_index(drop=True),
        unit,
        label,
        float(per),
        sampling,
        has_error,
        notes,
    )


def _checked(groups: GroupRates, population: pd.Series | None) -> GroupRates:
    """The groups, with the population given; refuses what no measure is defined for."""
    names = groups.names
    if len(set(names)) < len(names):
        raise EstimationError(
            f"{len(names) - len(set(names))} of {len(names)} rows repeat a group; a disparity "
            "needs one rate a group. Add the counts up first."
        )
    if len(names) < 2:
        raise EstimationError(f"{len(names)} groups are there; a disparity needs two.")
    refuse_groups(names, ~np.isfinite(groups.rate), "have no rate")
    refuse_groups(names, ~np.isfinite(np.diag(groups.covariance)), "have no standard error")
    counted = groups.population if population is None else _given(population, names)
    if population is not None or np.isfinite(counted).any():
        refuse_groups(names, ~(counted > 0), "have no population")
    return replace(groups, population=counted, support=groups.support.reset_index(drop=True))


def _given(population: pd.Series, names: list[str]) -> np.ndarray:
    """Population given by group."""
    return by_group(population, names, what="population")


def _support(n_members: np.ndarray, n_events: np.ndarray, months: np.ndarray) -> pd.DataFrame:
    """Support in the columns disclosure control reads."""
    return pd.DataFrame({"n_members": n_members, "n_events": n_events, "member_months": months})
