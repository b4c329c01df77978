"""How many digits leave: fewer than would give counts of events away."""

from __future__ import annotations

import numpy as np
import pandas as pd


def round_effects(numbers: pd.DataFrame) -> pd.DataFrame:
    """Estimates to the second significant digit of their standard error.

    A change of rates written to all its digits is a fraction whose denominator is the
    member-months of both sides; from it the counts of events follow.
    """
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


def round_intervals(numbers: pd.DataFrame) -> pd.DataFrame:
    """Intervals to four significant digits: their width says how events lie on members."""
    rounded = numbers.copy()
    for column in ("conf_low", "conf_high"):
        values = numbers[column].to_numpy()
        rounded[column] = _round_to(values, _decimals(values, 4))
    return rounded


def round_bounds(numbers: pd.DataFrame, groups: np.ndarray, conf_level: float) -> pd.DataFrame:
    """Sets and intervals to the second significant digit of the effect's standard error.

    The standard error is read off the narrowest interval of the group. Each middle of a set is
    rounded once and the set put around it: the rows of a group say no more of the estimate
    together than one of them does.
    """
    from scipy import stats

    width = (numbers["conf_high"] - numbers["conf_low"]).to_numpy()
    width = pd.Series(np.where(np.isfinite(width), width, np.nan)).groupby(groups).transform("min")
    error = width.to_numpy() / (2 * stats.norm.ppf((1 + conf_level) / 2))
    middle = ((numbers["set_low"] + numbers["set_high"]) / 2).to_numpy()
    half = ((numbers["set_high"] - numbers["set_low"]) / 2).to_numpy()
    decimals = np.where(np.isfinite(error), _decimals(error, 2), _decimals(middle, 3))
    middle, half = _round_to(middle, decimals), _round_to(half, decimals)
    rounded = numbers.copy()
    rounded["set_low"] = _round_to(middle - half, decimals)
    rounded["set_high"] = _round_to(middle + half, decimals)
    for column in ("conf_low", "conf_high"):
        rounded[column] = _round_to(numbers[column].to_numpy(), decimals)
    if "breakdown" in numbers:
        values = numbers["breakdown"].to_numpy()
        rounded["breakdown"] = _round_to(values, _decimals(values, 2))
    return rounded


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
