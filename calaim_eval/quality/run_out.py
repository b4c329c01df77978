"""How complete each month's claims are: development of lines by months from service to payment.

The chain-ladder: of the service months old enough to show it, how many lines have arrived k months
after service for every line that had arrived after k - 1. Chained, these ratios say what share of
the final number arrives within k months.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

LONGEST_LAG = 24
"""Months from service to payment that are followed; later lines count as arrived."""


@dataclass(frozen=True, slots=True)
class RunOut:
    """Completeness of a claim table.

    Attributes
    ----------
    table : str
    as_of : int
        Last month whose payments are all in the files, as a month number.
    factors : np.ndarray
        Share of lines that arrive within 0, 1, ... months after the month of service; shape (k,).
    months : pd.DataFrame
        `month` (number), `n_lines` arrived, `months_since` service at `as_of`, `complete` (share).
    payments_end_early : int
        Months between the last payment and the month in which payments should still be seen.
    """

    table: str
    as_of: int
    factors: np.ndarray
    months: pd.DataFrame
    payments_end_early: int

    @property
    def n_lines(self) -> int:
        """Lines the shares are of."""
        return int(self.months["n_lines"].sum())


def run_out(
    payments: pd.DataFrame,
    *,
    table: str,
    extract_month: int,
    first_month: int,
    last_month: int,
    min_expected_lines: int,
) -> RunOut | None:
    """Completeness of each service month, or None where no line has a payment date.

    Parameters
    ----------
    payments : pd.DataFrame
        `month` of service (number), `lag` in whole months (0 and more), `n_lines`.
    table : str
    extract_month : int
        Last calendar month that lies wholly before or ends on the day of the extract.
    first_month, last_month : int
        Service months to judge.
    min_expected_lines : int
        Payments end early when at least so many lines should have arrived after the last one.
    """
    if payments.empty:
        return None
    last_paid = min(extract_month, int((payments["month"] + payments["lag"]).max()))
    arrived = payments[payments["month"] + payments["lag"] <= last_paid]
    if arrived.empty:
        return None
    month, lag = arrived["month"].to_numpy(dtype=int), arrived["lag"].to_numpy(dtype=int)
    months = np.arange(first_month, last_month + 1)
    lines = np.zeros((len(months), LONGEST_LAG + 1))
    np.add.at(lines, (month - first_month, np.minimum(lag, LONGEST_LAG)), arrived["n_lines"])
    factors = shares_arrived(lines.cumsum(axis=1), last_paid - months)
    # Payments may stop because there is nothing left to pay: that is no gap.
    then, due = _complete(factors, last_paid - months), _complete(factors, extract_month - months)
    expected = float((lines.sum(axis=1) * (due / np.maximum(then, factors[0]) - 1)).sum())
    ends_early = last_paid < extract_month and expected >= min_expected_lines
    as_of = last_paid if ends_early else extract_month
    since = as_of - months
    return RunOut(
        table=table,
        as_of=as_of,
        factors=factors,
        months=pd.DataFrame(
            {
                "month": months,
                "n_lines": lines.sum(axis=1).astype("int64"),
                "months_since": since,
                "complete": _complete(factors, since),
            }
        ),
        payments_end_early=extract_month - last_paid if ends_early else 0,
    )


def _complete(factors: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Share of lines that has arrived so many months after service; 0 before the month is over."""
    return np.where(since < 0, 0.0, factors[np.clip(since, 0, len(factors) - 1)])


def shares_arrived(arrived: np.ndarray, since: np.ndarray) -> np.ndarray:
    """Share of the final lines that arrive within k months of service.

    From the payment dates of one extract; `panel.completeness_factors` compares two. A lag at which
    nothing had arrived before has no growth here and no completeness there.

    Parameters
    ----------
    arrived : np.ndarray
        Lines arrived within 0, 1, ... months, by service month; shape (months, lags).
    since : np.ndarray
        Months each service month has been followed; shape (months,).

    Returns
    -------
    np.ndarray
        Shape (lags,), not falling, 1 at the last lag that any service month has been followed to.

    Examples
    --------
    Half of the lines arrive at once, the rest a month later:

    >>> shares_arrived(np.array([[50.0, 100.0], [30.0, 30.0]]), np.array([1, 0]))
    array([0.5, 1. ])
    """
    n_lags = arrived.shape[1]
    growth = np.ones(n_lags)
    for lag in range(1, n_lags):
        is_followed = since >= lag
        before = arrived[is_followed, lag - 1].sum()
        if before > 0:
            growth[lag] = arrived[is_followed, lag].sum() / before
    later = np.append(np.cumprod(growth[:0:-1])[::-1], 1.0)
    return 1.0 / later


def extract_month_of(extract: pd.Timestamp) -> int:
    """Last month that is over on the day of the extract, as a month number."""
    number = extract.year * 12 + extract.month - 1
    return int(number if extract.is_month_end else number - 1)
