"""Counts rounded by a policy, and the rates and intervals that rounded counts give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from calaim_eval.disclosure.count_table import are_counts
from calaim_eval.disclosure.policy import Policy
from calaim_eval.results import RateTable
from calaim_eval.results.intervals import byar_interval, wilson_interval

# How much wider than that of independent events an interval is shown to be, at the least.
_WIDER = np.array([1.0, 1.5, 2.0, 3.0, 5.0, 10.0])
_SAME_WIDTH = 1.05
_DIGITS_OF_AMOUNTS = 3


def round_counts(counts: npt.ArrayLike, *, policy: Policy) -> np.ndarray:
    r"""Counts as a policy shows them.

    Use for every count that leaves under a policy with rounding; `release` does.

    Parameters
    ----------
    counts : array-like
        Whole numbers, 0 or more; shape (k,). NaN stays.
    policy : Policy

    Returns
    -------
    np.ndarray
        Shape (k,). A 0 stays 0.

    Notes
    -----
    To the nearest multiple of :math:`b`: :math:`b \lfloor x / b + 1/2 \rfloor`. To midpoint
    :math:`b` [1]_: :math:`b \lceil x / b \rceil - \lfloor b / 2 \rfloor` for :math:`x > 0`, so
    that with :math:`b = 6` a 3 stands for 1 to 6.

    References
    ----------
    .. [1] OpenSAFELY documentation, docs/releasing-files.md, "Midpoint 6 rounding".

    Examples
    --------
    >>> from calaim_eval.disclosure import load_policy
    >>> round_counts([0, 1, 6, 7, 12, 13], policy=load_policy("opensafely_midpoint_6")).tolist()
    [0.0, 3.0, 3.0, 9.0, 9.0, 15.0]
    >>> round_counts([0, 8, 12, 13], policy=load_policy("opensafely_round_5")).tolist()
    [0.0, 10.0, 10.0, 15.0]
    """
    values = np.asarray(counts, dtype=float)
    base = policy.rounding_base
    if policy.rounding == "nearest":
        return np.asarray(base * np.floor(values / base + 0.5))
    if policy.rounding == "midpoint":
        return np.asarray(np.ceil(values / base) * base - (base // 2) * (values != 0))
    return values


def range_of_rounded(shown: npt.ArrayLike, *, policy: Policy) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest whole number that a rounded count stands for; shape (k,) each."""
    values = np.asarray(shown, dtype=float)
    base = policy.rounding_base
    if policy.rounding == "nearest":
        low, high = values - base // 2, values + (base - 1) // 2
    elif policy.rounding == "midpoint":
        low, high = values - base + base // 2 + 1, values + base // 2
    else:
        return values, values
    is_zero = values == 0
    # A small count is hidden, and a midpoint is never 0: a shown 0 is none.
    none = is_zero & (policy.rounding == "midpoint" or policy.min_count > (base - 1) // 2)
    return np.where(none, 0.0, np.maximum(low, 0.0)), np.where(none, 0.0, high)


def round_rate_table(table: RateTable, *, policy: Policy) -> RateTable:
    """The table with rounded counts; its rates and intervals are made from these alone.

    The interval is Wilson's for a proportion and Byar's for a rate, of the rounded counts: the one
    of the true counts would give them away. Where the true one is wider (members with several
    events), so is this one, by the next of 1.5, 2, 3, 5 and 10 times. Amounts (dollars, and
    whatever is no whole number) keep three digits. Counts of organizations stay.
    """
    if policy.rounding == "none" or table.about == "organizations":
        return table
    numerator = _rounded(table.numerator_name, table.numerator, policy)
    denominator = _rounded(table.denominator_name, table.denominator, policy)
    rounded = replace(
        table,
        numerator=numerator,
        denominator=denominator,
        notes=(*table.notes, rounding_note(policy)),
    )
    low, high = _interval(table, rounded)
    known = np.isfinite(table.conf_low) & np.isfinite(table.conf_high)
    return replace(
        rounded, conf_low=np.where(known, low, np.nan), conf_high=np.where(known, high, np.nan)
    )


def rounding_note(policy: Policy) -> str:
    """What a reader of rounded numbers must know."""
    return (
        f"Counts are rounded {policy.rounding_words}; rates, shares and intervals are made from "
        "the rounded counts. Rows need not add up to their total."
    )


def _rounded(quantity: str, values: np.ndarray, policy: Policy) -> np.ndarray:
    """Counts as the policy rounds them; amounts to three digits."""
    if are_counts(quantity, values):
        return round_counts(values, policy=policy)
    size = np.abs(np.where(np.isfinite(values) & (values != 0), values, 1.0))
    step = 10.0 ** (np.floor(np.log10(size)) - _DIGITS_OF_AMOUNTS + 1)
    return np.asarray(np.round(values / step) * step)


def _interval(exact: RateTable, rounded: RateTable) -> tuple[np.ndarray, np.ndarray]:
    """Interval of the rounded counts, as much wider as the true one is, coarsely."""
    with np.errstate(divide="ignore", invalid="ignore"):
        true_low, true_high = _plain_interval(exact)
        wider = (exact.conf_high - exact.conf_low) / (true_high - true_low)
        low, high = _plain_interval(rounded)
        middle = rounded.rate if exact.kind != "count" else rounded.numerator
        factor = _next_wider(wider)
        low = np.maximum(middle - factor * (middle - low), 0.0)
        high = middle + factor * (high - middle)
    if exact.kind == "proportion":
        high = np.minimum(high, np.broadcast_to(exact.per, high.shape))
    return low, high


def _plain_interval(table: RateTable) -> tuple[np.ndarray, np.ndarray]:
    """Interval of independent events, in the unit of the rate."""
    if table.kind == "proportion":
        low, high = wilson_interval(table.numerator, np.maximum(table.denominator, table.numerator))
        return table.per * low, table.per * high
    low, high = byar_interval(table.numerator)
    over = table.denominator / table.per if table.kind == "rate" else 1.0
    over = np.where(np.asarray(over) > 0, over, np.nan)
    return low / over, high / over


def _next_wider(ratio: np.ndarray) -> np.ndarray:
    """The ratio rounded up to a few values, so that it tells nothing of a count."""
    known = np.where(np.isfinite(ratio) & (ratio > _SAME_WIDTH), ratio, 1.0)
    at = np.searchsorted(_WIDER, np.minimum(known, _WIDER[-1]) - 1e-9)
    return np.asarray(_WIDER[at])
