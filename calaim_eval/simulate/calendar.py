"""The months and days of a simulated study, as integers that arrays can use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.errors import StudyFileError


@dataclass(frozen=True, slots=True)
class Calendar:
    """Months of the window numbered from 0, days numbered from 1970-01-01.

    Attributes
    ----------
    first_month : numpy.datetime64
        First month of the window, unit month.
    n_months : int
    starts, lengths : NDArray
        First day and number of days of each month; shape (n_months,).
    end_day : int
        Last day of the window.
    extract_day : int
        Claims paid after this day are not in the files.
    """

    first_month: np.datetime64
    n_months: int
    starts: NDArray[np.int32]
    lengths: NDArray[np.int32]
    end_day: int
    extract_day: int

    def index(self, date: str) -> int:
        """Month number of a date; negative before the window, may exceed it."""
        return int((np.datetime64(date, "M") - self.first_month).astype(int))

    def month_of(self, days: NDArray[np.int32]) -> NDArray[np.int32]:
        """Month number of each day; -1 before the window, n_months after it."""
        found = np.searchsorted(self.starts, days, side="right") - 1
        return np.where(days > self.end_day, self.n_months, found).astype(np.int32)

    def first_day(self, months: NDArray[np.int32]) -> NDArray[np.int32]:
        """First day of each month number, inside the window or not."""
        dates = (self.first_month + months.astype("timedelta64[M]")).astype("datetime64[D]")
        return dates.astype(np.int32)

    def last_day(self, months: NDArray[np.int32]) -> NDArray[np.int32]:
        """Last day of each month number."""
        return self.first_day(months + 1) - 1


def make_calendar(first_month: str, last_month: str, extract_date: str) -> Calendar:
    """Build the calendar of a window, or say what is wrong with it."""
    try:
        first, last = np.datetime64(first_month, "M"), np.datetime64(last_month, "M")
        extract = np.datetime64(extract_date, "D")
    except ValueError:
        raise StudyFileError(
            "`first_month` and `last_month` must read like '2021-01', "
            "`extract_date` like '2025-06-30'."
        ) from None
    n_months = int((last - first).astype(int)) + 1
    if n_months < 12:
        raise StudyFileError(
            f"the window from `first_month` to `last_month` has {n_months} months; a simulated "
            "study needs at least 12. Choose a later `last_month`."
        )
    edges = (first + np.arange(n_months + 1)).astype("datetime64[D]").astype(np.int32)
    if int(extract.astype(int)) < int(edges[-1]) - 1:
        raise StudyFileError(
            "`extract_date` is before the window ends. "
            "Choose a later `extract_date` or an earlier `last_month`."
        )
    return Calendar(
        first_month=first,
        n_months=n_months,
        starts=edges[:-1],
        lengths=np.diff(edges).astype(np.int32),
        end_day=int(edges[-1]) - 1,
        extract_day=int(extract.astype(int)),
    )


def day_number(date: str) -> int:
    """Day number of an ISO date."""
    return int(np.datetime64(date, "D").astype(int))
