"""A long frame of member months, checked and turned into codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError, quoted
from calaim_eval.moments.cell_index import plain_labels
from calaim_eval.moments.periods import (
    INTEGER,
    MISSING,
    index_ordinals,
    period_frequency,
    period_labels,
    period_ordinals,
)
from calaim_eval.schema.overlapping import IN_COMBINATION, why_no_stratum

if TYPE_CHECKING:
    from calaim_eval.moments.accumulate import Layout

NOT_AT_RISK = "not at risk"
LARGEST = 1e100
BEYOND = f"beyond {LARGEST:.0e} is infinite"


@dataclass(frozen=True, slots=True)
class PanelColumns:
    """Which column plays which part; names as in the caller's frame."""

    outcomes: tuple[str, ...]
    member_id: str
    month: str
    cohort: str
    stratum: tuple[str, ...] = ()
    covariate_cells: tuple[str, ...] = ()
    cluster: str | None = None
    at_risk: str | None = None

    def __post_init__(self) -> None:
        if not self.outcomes:
            raise TableError("`outcomes` is empty; name at least one outcome column.")
        if IN_COMBINATION in self.stratum:
            raise TableError(why_no_stratum(IN_COMBINATION))
        labels = ("cohort", *self.stratum, *self.covariate_cells)
        repeated = sorted({c for c in labels if labels.count(c) > 1})
        if repeated:
            raise TableError(
                f"`{repeated[0]}` is named twice among cohort, `stratum` and `covariate_cells`; "
                "a column can play one part only."
            )

    @property
    def of_member(self) -> tuple[str, ...]:
        """Columns that must be constant within a member."""
        extra = () if self.cluster is None else (self.cluster,)
        return tuple(dict.fromkeys((self.cohort, *self.stratum, *self.covariate_cells, *extra)))

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that is read."""
        extra = () if self.at_risk is None else (self.at_risk,)
        named = (self.member_id, self.month, *self.of_member, *self.outcomes, *extra)
        return tuple(dict.fromkeys(named))

    def require(self, present: Sequence[str], *, where: str) -> None:
        """Refuse a frame that lacks a named column, and list what it has."""
        missing = [c for c in self.all if c not in present]
        if missing:
            raise TableError(
                f"{where} lacks {quoted(missing)}. It has {quoted(list(present))}. "
                "Name the columns: reduce_panel(..., member_id=, month=, cohort=, outcomes=[...])."
            )


@dataclass(frozen=True, slots=True, eq=False)
class PanelRows:
    """Member months as codes; n_rows rows of n members in T months.

    Attributes
    ----------
    member, month : np.ndarray
        Which member (0..n-1) and which month (0..T-1); shape (n_rows,).
    at_risk : np.ndarray | None
        Fraction of the month at risk; None where every row counts 1.
    values : dict[str, np.ndarray]
        Outcomes as floats; shape (n_rows,) each.
    n_members : int
    set_aside : int
        Rows with nothing at risk.
    """

    member: np.ndarray
    month: np.ndarray
    at_risk: np.ndarray | None
    values: dict[str, np.ndarray]
    n_members: int
    set_aside: int

    @property
    def is_whole_months(self) -> bool:
        """Every row counts a whole month at risk."""
        return self.at_risk is None

    def covered(self, layout: Layout) -> np.ndarray:
        """Fraction at risk by position and month, 0 without a row; (n_members, T)."""
        if self.at_risk is None:
            return self._scatter(np.ones(len(self.member), dtype=np.uint8), layout)
        return self._scatter(self.at_risk, layout)

    def centre(self, outcome: str) -> float | None:
        """Mean of amounts, taken off before squaring; None for whole numbers."""
        values = self.values[outcome]
        return None if is_whole(values) else float(values.mean())

    def dense(self, outcome: str, layout: Layout, shift: float | None) -> np.ndarray:
        """Outcome less `shift` times coverage by position and month; (n_members, T)."""
        values = self.values[outcome]
        if shift is not None:
            values = values - shift * (1.0 if self.at_risk is None else self.at_risk)
        return self._scatter(values, layout)

    def nonzero(self, outcome: str, layout: Layout) -> np.ndarray:
        """Member-months whose outcome is not 0, by cell; (n_cells, T)."""
        kept = self.values[outcome] != 0
        key = layout.cell[self.member[kept]] * layout.n_months + self.month[kept]
        counted = np.bincount(key, minlength=layout.n_cells * layout.n_months)
        return counted.reshape(layout.n_cells, layout.n_months)

    def of_members(self, kept: np.ndarray) -> PanelRows:
        """Rows of the members numbered in `kept`, renumbered in its order."""
        if len(kept) == self.n_members:
            return self
        new = np.full(self.n_members, -1, dtype=np.int64)
        new[kept] = np.arange(len(kept))
        member = new[self.member]
        rows = np.flatnonzero(member >= 0)
        return replace(
            self,
            member=member[rows],
            month=self.month[rows],
            at_risk=None if self.at_risk is None else self.at_risk[rows],
            values={name: values[rows] for name, values in self.values.items()},
            n_members=len(kept),
        )

    def _scatter(self, values: np.ndarray, layout: Layout) -> np.ndarray:
        """Row values as a dense (n_members, T) array, 0 where there is no row."""
        dense = np.zeros(self.n_members * layout.n_months, dtype=values.dtype)
        dense[layout.positions()[self.member] * layout.n_months + self.month] = values
        return dense.reshape(self.n_members, layout.n_months)


def is_usable(values: np.ndarray) -> np.ndarray:
    """Which numbers are neither missing nor so large that their squares could not be added up."""
    return np.asarray(np.abs(values) <= LARGEST)


def is_whole(values: np.ndarray) -> bool:
    """Whole numbers small enough that every sum of squares stays exact in a float."""
    if not values.size:
        return True
    largest = max(-float(values.min()), float(values.max()))
    if largest**2 * len(values) >= 2.0**53:
        return False
    return bool(np.array_equal(values, np.floor(values)))


def rows_at_risk(frame: pd.DataFrame, column: str | None, *, where: str) -> np.ndarray | None:
    """Fraction at risk of each row; None when no column is named."""
    if column is None:
        return None
    numbers = _numbers(frame[column])
    wrong = int((~((numbers >= 0) & (numbers <= 1))).sum())
    if wrong:
        raise TableError(
            f"{where}: `{column}` is missing or outside 0 to 1 in {wrong:,} of {len(frame):,} "
            "rows. Give true/false, or the fraction of the month at risk (covered_days / days in "
            "the month)."
        )
    return numbers


def code_rows(
    frame: pd.DataFrame,
    columns: PanelColumns,
    *,
    member: np.ndarray,
    n_members: int,
    month: np.ndarray,
    at_risk: np.ndarray | None,
    n_months: int,
    where: str,
) -> PanelRows:
    """Checked rows; `member` and `month` are codes of every row of `frame`."""
    kept = slice(None) if at_risk is None else np.flatnonzero(at_risk > 0)
    member, month = member[kept], month[kept]
    _refuse_repeats(member, month, n_members, n_months, columns, where=where)
    fraction = None if at_risk is None else at_risk[kept]
    if fraction is not None and (fraction == 1).all():
        fraction = None
    values = {}
    for outcome in columns.outcomes:
        values[outcome] = _numbers(frame[outcome])[kept]
        unusable = int((~is_usable(values[outcome])).sum())
        if unusable:
            raise TableError(
                f"{where}: `{outcome}` is missing or infinite in {unusable:,} of "
                f"{len(member):,} member months at risk ({BEYOND}). A month without use "
                "is 0; drop months that were not observed, or name `at_risk`."
            )
    return PanelRows(member, month, fraction, values, n_members, len(frame) - len(member))


def member_codes(frame: pd.DataFrame, columns: PanelColumns, *, where: str) -> np.ndarray:
    """Codes 0.. of the members, in order of appearance; -1 for none; shape (n_rows,)."""
    codes, _ = pd.factorize(frame[columns.member_id])
    missing = int((codes < 0).sum())
    if missing:
        raise TableError(
            f"{where}: `{columns.member_id}` is missing in {missing:,} of {len(frame):,} rows. "
            "Drop them or give them an id."
        )
    return np.asarray(codes, dtype=np.int64)


def month_ordinals(frame: pd.DataFrame, columns: PanelColumns, *, where: str) -> np.ndarray:
    """Ordinals of the months of the rows; shape (n_rows,)."""
    frequency = period_frequency(frame[columns.month])
    ordinals = period_ordinals(frame[columns.month], column=columns.month, frequency=frequency)
    missing = int((ordinals == MISSING).sum())
    if missing:
        raise TableError(
            f"{where}: `{columns.month}` is missing in {missing:,} of {len(frame):,} rows."
        )
    return ordinals


def member_attributes(
    frame: pd.DataFrame, columns: PanelColumns, *, member: np.ndarray, where: str
) -> pd.DataFrame:
    """One row per member of the columns that must not change within a member."""
    first = np.full(int(member.max()) + 1 if len(member) else 0, -1)
    first[member[::-1]] = np.arange(len(member))[::-1]
    attributes = frame[list(columns.of_member)].iloc[first].reset_index(drop=True)
    for column in columns.of_member:
        codes = pd.factorize(frame[column])[0]
        changed = codes != codes[first][member]
        if changed.any():
            n_changed = len(np.unique(member[changed]))
            raise TableError(
                f"{where}: `{column}` is not constant within {_at_least(n_changed)} of "
                f"{len(first):,} members ({int(changed.sum()):,} rows). Carry one value per "
                "member, e.g. the value at the first month, through all their rows."
            )
    return attributes


def label_members(
    attributes: pd.DataFrame, columns: PanelColumns, *, months: pd.Index, frequency: str
) -> pd.DataFrame:
    """Cell labels of each member: strata, `cohort`, covariate cells; shape (n_members, ...)."""
    ordinals = period_ordinals(
        attributes[columns.cohort], column=columns.cohort, frequency=frequency
    )
    _refuse_zero_cohort(ordinals, columns.cohort, months, frequency)
    labels = {c: plain_labels(attributes[c]) for c in columns.stratum}
    labels["cohort"] = period_labels(ordinals, frequency)
    labels |= {c: plain_labels(attributes[c]) for c in columns.covariate_cells}
    return pd.DataFrame(labels)


def _refuse_zero_cohort(
    ordinals: np.ndarray, column: str, months: pd.Index, frequency: str
) -> None:
    """0 outside the months is another package's code for never exposed: refuse to guess."""
    axis = index_ordinals(months)
    zeros = int((ordinals == 0).sum())
    if frequency == INTEGER and zeros and not axis[0] <= 0 <= axis[-1]:
        raise TableError(
            f"column `{column}` is 0 for {_at_least(zeros)} members, and the months run from "
            f"{axis[0]} to {axis[-1]}. Never exposed is coded as missing here: "
            f"frame.assign({column.replace('.', '_')}=frame[{column!r}].replace(0, pd.NA))."
        )


def _refuse_repeats(
    member: np.ndarray,
    month: np.ndarray,
    n_members: int,
    n_months: int,
    columns: PanelColumns,
    *,
    where: str,
) -> None:
    """Refuse more than one row per member and month."""
    seen = np.zeros(n_members * n_months, dtype=bool)
    seen[member * n_months + month] = True
    repeats = len(member) - int(np.count_nonzero(seen))
    if repeats:
        raise TableError(
            f"{where}: {repeats:,} of {len(member):,} rows repeat the key "
            f"(`{columns.member_id}`, `{columns.month}`). Overlapping enrollment spans are the "
            "usual cause; add up or drop the repeats. For weeks or quarters give pandas Periods: "
            "plain dates are read as months."
        )


def _numbers(values: pd.Series) -> np.ndarray:
    """A column as floats, missing as NaN."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values
    else:
        numbers = pd.to_numeric(values, errors="coerce")
    return np.asarray(numbers.to_numpy(dtype=float, na_value=np.nan))


def _at_least(count: int) -> str:
    """A count of members that never says a number from 1 to 10."""
    return "fewer than 11" if count < 11 else f"{count:,}"
