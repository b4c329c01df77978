"""Coverage and use of candidates by month: what is known of a member before any index month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.design.member_month_parts import member_month_parts

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths


@dataclass(frozen=True, slots=True, eq=False)
class RiskMonths:
    """Running counts and sums of n members over T months.

    Attributes
    ----------
    first : int
        Number of the first month.
    covered : np.ndarray
        Covered months before each month; shape (n, T + 1).
    known : np.ndarray
        Covered months before each month in which every outcome is known; shape (n, T + 1).
    use : np.ndarray
        Sum of each outcome before each month; shape (n_outcomes, n, T + 1).
    """

    first: int
    covered: np.ndarray
    known: np.ndarray
    use: np.ndarray

    def is_covered(self, rows: np.ndarray, month: int) -> np.ndarray:
        """Whether members are covered in a month; shape of `rows`."""
        at = month - self.first
        inside: np.ndarray = self.covered[rows, at + 1] > self.covered[rows, at]
        return inside

    def covered_until(self, rows: np.ndarray, month: np.ndarray) -> np.ndarray:
        """Last month of unbroken coverage from `month` on, NaN = to the end; shape of `rows`."""
        n_months = self.covered.shape[1] - 1
        gap = np.where(np.diff(self.covered, axis=1) > 0, n_months, np.arange(n_months))
        next_gap = np.minimum.accumulate(gap[:, ::-1], axis=1)[:, ::-1]
        found = next_gap[rows, month - self.first]
        return np.where(found < n_months, self.first + found - 1.0, np.nan)

    def n_covered(self, rows: np.ndarray, first: int, last: int) -> np.ndarray:
        """Covered months from `first` to `last`, both included."""
        return _between(self.covered[rows], first - self.first, last - self.first)

    def n_known(self, rows: np.ndarray, first: int, last: int) -> np.ndarray:
        """Months from `first` to `last` in which every outcome is known."""
        return _between(self.known[rows], first - self.first, last - self.first)

    def mean_use(self, rows: np.ndarray, first: int, last: int) -> np.ndarray:
        """Outcomes per month from `first` to `last`; shape (len(rows), n_outcomes)."""
        total = _between(self.use[:, rows], first - self.first, last - self.first)
        return total.T / (last - first + 1)


def risk_months(
    panel: MemberMonths,
    member_ids: pd.Index,
    *,
    months: pd.PeriodIndex,
    outcomes: Sequence[str],
) -> RiskMonths:
    """Coverage and use of members, in the order of `member_ids`, read a part at a time."""
    first = months[0].ordinal
    shape = (len(member_ids), len(months) + 1)
    covered = np.zeros(shape, dtype=np.int16)
    known = np.zeros(shape, dtype=np.int16)
    use = np.zeros((len(outcomes), *shape))
    for part in member_month_parts(
        panel, outcomes, first=months[0], last=months[-1], member_ids=member_ids
    ):
        row = member_ids.get_indexer(part["member_id"])
        column = part["month_number"].to_numpy() - first + 1
        covered[row, column] = 1
        is_known = np.ones(len(part), dtype=bool)
        for number, outcome in enumerate(outcomes):
            value = part[outcome].to_numpy(dtype=float, na_value=np.nan)
            is_known &= np.isfinite(value)
            use[number, row, column] = np.where(np.isfinite(value), value, 0.0)
        known[row, column] = is_known
    for counted in (covered, known):
        np.cumsum(counted, axis=-1, out=counted)
    np.cumsum(use, axis=-1, out=use)
    return RiskMonths(first, covered, known, use)


def _between(running: np.ndarray, first: int, last: int) -> np.ndarray:
    """Sum of the positions `first` to `last` of a running sum along its last axis."""
    total: np.ndarray = running[..., last + 1] - running[..., first]
    return total
