"""How many digits leave: fewer than would give counts of events away."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.results.estimand import Scale

_ENDS = ["set_low", "set_high", "conf_low", "conf_high"]


def round_effects(
    numbers: pd.DataFrame,
    *,
    n_events: np.ndarray | None = None,
    base: int = 1,
    scale: Scale = "difference",
) -> pd.DataFrame:
    """Estimates to the second significant digit of their standard error.

    A change of rates written to all its digits is a fraction whose denominator is the
    member-months of both sides; from it the counts of events follow.

    Where counts are rounded to a `base`, so are estimates: to a step in which the count behind
    them changes by as many, of which the standard error and the events of the smaller side say
    how large it is (infinitely many: no count stands behind it, as behind a number of counties).
    Interval and p-value are then made from the rounded estimate; the interval is rounded outward
    and holds the true one. A ratio of which nothing but 0 would be left is not stated.
    """
    if base > 1 and n_events is not None:
        counted = _round_with_counts(numbers, n_events, base, scale)
        not_counted = np.repeat(np.isposinf(n_events)[:, None], numbers.shape[1], axis=1)
        return counted.mask(not_counted, round_effects(numbers))
    error = numbers["std_error"].to_numpy()
    estimate = numbers["estimate"].to_numpy()
    # Without a standard error: three digits of the estimate.
    decimals = np.where(np.isfinite(error), _decimals(error, 2), _decimals(estimate, 3))
    rounded = numbers.copy()
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        rounded[column] = _round_to(numbers[column].to_numpy(), decimals)
    p_value = numbers["p_value"].to_numpy()
    rounded["p_value"] = _round_to(p_value, _decimals(p_value, 2))
    return rounded


def _round_with_counts(
    numbers: pd.DataFrame, n_events: np.ndarray, base: int, scale: Scale
) -> pd.DataFrame:
    """Estimates to a step that is worth `base` events, the rest made from them."""
    from scipy import special

    error = numbers["std_error"].to_numpy()
    estimate = numbers["estimate"].to_numpy()
    decimals = decimals_of_base(
        np.where(np.isfinite(error), error, np.abs(estimate)), n_events, base
    )
    rounded = numbers.copy()
    shown = _round_to(estimate, decimals)
    shown_error = _round_to(error, _decimals(error, 2))
    rounded["estimate"], rounded["std_error"] = shown, shown_error
    for column, sign in (("conf_low", -1), ("conf_high", 1)):
        half = sign * (numbers[column].to_numpy() - estimate)
        rounded[column] = _round_to(shown + sign * _outward(half, decimals), decimals)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_null = shown / shown_error
        if scale == "ratio":
            of_null = np.log(np.where(shown > 0, shown, np.nan)) / (shown_error / shown)
        p_value = 2 * special.ndtr(-np.abs(of_null))
    p_value = np.where(np.isfinite(numbers["p_value"]), p_value, np.nan)
    rounded["p_value"] = _round_to(p_value, _decimals(p_value, 2))
    if scale == "ratio":
        rounded[(shown <= 0) & (estimate > 0)] = np.nan
        rounded["conf_low"] = rounded["conf_low"].clip(lower=0.0)
    return rounded


def _outward(half: np.ndarray, decimals: np.ndarray) -> np.ndarray:
    """Half an interval, so wide that it holds the true one around an estimate that was rounded."""
    step = 10.0 ** -decimals.astype(float)
    return np.asarray(np.ceil(half / step + 0.5 - 1e-9) * step)


def decimals_of_base(error: np.ndarray, n_events: np.ndarray, base: int) -> np.ndarray:
    """Decimal places whose last digit is worth `base` events or more; shape (k,).

    A count of x independent events has the error sqrt(x), and an estimate made from it no smaller
    one: ``base * error / sqrt(x)`` in the estimate is `base` events or more. Never more digits
    than two of the error.
    """
    events = np.maximum(np.nan_to_num(n_events), 1.0)
    step = base * np.abs(error) / np.sqrt(events)
    known = np.isfinite(step) & (step > 0)
    coarse = -np.ceil(np.log10(np.where(known, step, 1.0)) - 1e-9).astype(int)
    return np.asarray(np.minimum(np.where(known, coarse, 0), _decimals(error, 2)))


def decimals_of_error(error: np.ndarray) -> np.ndarray:
    """Decimal places of an estimate: those of the second digit of its standard error."""
    return _decimals(error, 2)


def round_intervals(numbers: pd.DataFrame) -> pd.DataFrame:
    """Intervals to four significant digits: their width says how events lie on members."""
    rounded = numbers.copy()
    for column in ("conf_low", "conf_high"):
        values = numbers[column].to_numpy()
        rounded[column] = _round_to(values, _decimals(values, 4))
    return rounded


def round_bounds(
    numbers: pd.DataFrame,
    groups: np.ndarray,
    conf_level: float,
    *,
    bound: np.ndarray | None = None,
    n_events: np.ndarray | None = None,
    base: int = 1,
    lowest: float = -np.inf,
) -> pd.DataFrame:
    """Sets and intervals to the second significant digit of the effect's standard error.

    The standard error is read off the narrowest interval of the group. Each middle of a set is
    rounded once and the set put around it: the rows of a group say no more of the estimate
    together than one of them does.

    Where counts are rounded to a `base`, so are middles, as estimates are (`round_effects`). Sets
    and intervals are then put around the rounded middle, rounded outward, and hold the true ones;
    neither goes below `lowest`, the least value there is (0 for a ratio).

    A breakdown value is the bound at which an end of the interval is 0, so it says how far that
    end is from 0 in steps of how fast the ends move with the bound (`bound`, a number a row). It
    keeps two digits at most, and no more than the rounded ends already tell; one digit where the
    rows do not show how fast they move.
    """
    from scipy import stats

    width = (numbers["conf_high"] - numbers["conf_low"]).to_numpy()
    width = pd.Series(np.where(np.isfinite(width), width, np.nan)).groupby(groups).transform("min")
    error = width.to_numpy() / (2 * stats.norm.ppf((1 + conf_level) / 2))
    middle = ((numbers["set_low"] + numbers["set_high"]) / 2).to_numpy()
    decimals = np.where(np.isfinite(error), _decimals(error, 2), _decimals(middle, 3))
    counted = np.zeros(len(numbers), dtype=bool)
    if base > 1 and n_events is not None:
        counted = ~np.isposinf(n_events)
        size = np.where(np.isfinite(error), error, np.abs(middle))
        coarse = np.minimum(decimals, decimals_of_base(size, n_events, base))
        decimals = np.where(counted, coarse, decimals)
    nearest = _nearest_bounds(numbers, middle, decimals)
    outward = _outward_bounds(numbers, middle, decimals).clip(lower=lowest)
    rounded = numbers.copy()
    rounded[_ENDS] = np.where(counted[:, None], outward, nearest)
    if "breakdown" in numbers:
        values = numbers["breakdown"].to_numpy()
        places = _decimals_of_breakdown(values, rounded, groups, bound, decimals)
        rounded["breakdown"] = _round_to(values, places)
    return rounded


def _nearest_bounds(
    numbers: pd.DataFrame, middle: np.ndarray, decimals: np.ndarray
) -> pd.DataFrame:
    """Sets around their rounded middle, ends of intervals to the nearest."""
    half = _round_to(((numbers["set_high"] - numbers["set_low"]) / 2).to_numpy(), decimals)
    shown = _round_to(middle, decimals)
    ends = numbers[_ENDS].copy()
    with np.errstate(invalid="ignore"):
        for column, end in (("set_low", shown - half), ("set_high", shown + half)):
            ends[column] = _round_to(end, decimals)
    for column in ("conf_low", "conf_high"):
        ends[column] = _round_to(numbers[column].to_numpy(), decimals)
    return ends


def _outward_bounds(
    numbers: pd.DataFrame, middle: np.ndarray, decimals: np.ndarray
) -> pd.DataFrame:
    """Sets and intervals around the rounded middle, so wide that they hold the true ones."""
    of_interval = ((numbers["conf_low"] + numbers["conf_high"]) / 2).to_numpy()
    centre = np.where(np.isfinite(middle), middle, of_interval)
    # An interval that is open on one side has no middle.
    centre = np.where(np.isfinite(centre), centre, 0.0)
    shown = _round_to(centre, decimals)
    ends = numbers[_ENDS].copy()
    for column, sign in zip(_ENDS, (-1, 1, -1, 1), strict=True):
        half = sign * (numbers[column].to_numpy() - centre)
        ends[column] = _round_to(shown + sign * _outward(half, decimals), decimals)
    return ends


def _decimals_of_breakdown(
    values: np.ndarray,
    rounded: pd.DataFrame,
    groups: np.ndarray,
    bound: np.ndarray | None,
    decimals: np.ndarray,
) -> np.ndarray:
    """Decimal places of a breakdown value that the rounded ends tell anyway; shape (k,)."""
    step = np.full(len(values), np.inf)
    for group in np.unique(groups) if bound is not None else ():
        rows = np.flatnonzero(groups == group)
        first = rows[np.argmin(np.asarray(bound)[rows])]
        # The end on the side of 0 is the one that reaches it.
        is_above = (rounded["set_low"] + rounded["set_high"]).to_numpy()[first] > 0
        ends = rounded["conf_low" if is_above else "conf_high"].to_numpy()[rows]
        move = _slowest_move(np.asarray(bound)[rows], ends)
        if move > 0:
            step[rows] = 10.0 ** -decimals[rows].astype(float) / move
    known = np.isfinite(step)
    places = -np.ceil(np.log10(np.where(known, step, 1.0)) - 1e-9).astype(int)
    return np.where(known, np.minimum(places, _decimals(values, 2)), _decimals(values, 1))


def _slowest_move(bound: np.ndarray, ends: np.ndarray) -> float:
    """Least change of an interval end by 1 of the bound, between rows that differ in both."""
    order = np.argsort(bound, kind="stable")
    apart = np.diff(bound[order])
    moved = np.abs(np.diff(ends[order]))
    usable = (apart > 0) & np.isfinite(moved) & (moved > 0)
    return float(np.min(moved[usable] / apart[usable])) if usable.any() else np.nan


def _decimals(values: np.ndarray, digits: int) -> np.ndarray:
    """Decimal places that show so many significant digits of each value."""
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    return digits - 1 - np.floor(np.log10(size)).astype(int)


def _round_to(values: np.ndarray, decimals: np.ndarray) -> np.ndarray:
    """Each value rounded to its own number of decimal places."""
    pairs = zip(values.tolist(), decimals.tolist(), strict=True)
    return np.array(
        [round(value, places) if np.isfinite(value) else value for value, places in pairs]
    )
