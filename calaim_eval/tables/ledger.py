"""What became of every input row: used, or set aside for a counted reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from calaim_eval.errors import TableError

USED = "used"
NOTICE = "notice"
_COLUMNS = ["table", "stage", "reason", "n_rows"]


@dataclass(eq=False)
class RowLedger:
    """Append-only count of rows by table, stage and reason.

    The reason ``"used"`` means kept. Every stage starts from the rows the stage before it kept,
    so within one table and stage the reasons add up to the rows that went in; `check` proves it.
    The stage ``"notice"`` holds remarks about rows that are kept (a code that no list explains,
    a value read as missing); it is no part of that sum.
    """

    _counts: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def add(self, table: str, reason: str, n_rows: int, *, stage: str) -> None:
        """Add rows to a reason.

        Parameters
        ----------
        table : str
        reason : str
            ``"used"``, or why the rows were set aside, in words a reader understands.
        n_rows : int
            Number of rows, 0 or more; zero rows of a reason other than ``"used"`` are not listed.
        stage : str
            ``"read"``, ``"panel"``, ... or ``"notice"`` for remarks about kept rows.

        Raises
        ------
        TableError
            The number is negative: the count itself is wrong.
        """
        if n_rows < 0:
            raise TableError(
                f"row ledger: table `{table}`, stage `{stage}`: {n_rows} rows counted for "
                f"'{reason}'.\n  A count of rows is 0 or more; the step that counted is wrong."
            )
        key = (table, stage, reason)
        if n_rows or reason == USED:
            self._counts[key] = self._counts.get(key, 0) + int(n_rows)

    def note(self, table: str, remark: str, n_rows: int) -> None:
        """Count kept rows a reader should know about; they are no part of the balance."""
        self.add(table, remark, n_rows, stage=NOTICE)

    def extend(self, other: RowLedger) -> None:
        """Add every count of another ledger."""
        for (table, stage, reason), n_rows in other._counts.items():
            self.add(table, reason, n_rows, stage=stage)

    def used(self, table: str, *, stage: str) -> int:
        """Rows of the table that the stage kept."""
        return self._counts.get((table, stage, USED), 0)

    def total(self, table: str, *, stage: str) -> int:
        """Rows of the table that the stage accounts for, used or set aside."""
        return sum(
            n_rows for (each, at, _), n_rows in self._counts.items() if (each, at) == (table, stage)
        )

    def check(self, table: str, stage: str, n_rows_in: int) -> None:
        """Prove that the reasons add up to the rows that went in.

        Raises
        ------
        TableError
            They do not: rows were lost, or counted twice.
        """
        counted = self.total(table, stage=stage)
        if counted != n_rows_in:
            lost_or_extra = "lost" if counted < n_rows_in else "counted twice"
            raise TableError(
                f"table `{table}`, stage `{stage}`: {n_rows_in:,} rows went in and {counted:,} are "
                f"accounted for; {abs(n_rows_in - counted):,} were {lost_or_extra}.\n"
                "  This is a defect of the step, not of the data; please report it."
            )

    def to_frame(self) -> pd.DataFrame:
        """Counts as a frame with the columns `table`, `stage`, `reason`, `n_rows`.

        Examples
        --------
        >>> ledger = RowLedger()
        >>> ledger.add("eligibility", "used", 9, stage="read")
        >>> ledger.add("eligibility", "exact duplicate", 1, stage="read")
        >>> ledger.to_frame()
                 table stage           reason  n_rows
        0  eligibility  read             used       9
        1  eligibility  read  exact duplicate       1
        """
        rows = [(*key, n_rows) for key, n_rows in self._counts.items()]
        return pd.DataFrame(rows, columns=_COLUMNS).astype({"n_rows": "int64"})

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> RowLedger:
        """Ledger from the columns that `to_frame` writes."""
        ledger = cls()
        for row in frame[_COLUMNS].itertuples(index=False):
            ledger.add(row.table, row.reason, row.n_rows, stage=row.stage)
        return ledger

    def to_records(self) -> list[dict[str, Any]]:
        """Counts as plain rows that JSON holds."""
        rows = ((*key, n_rows) for key, n_rows in self._counts.items())
        return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]]) -> RowLedger:
        """Ledger from the rows that `to_records` gives."""
        ledger = cls()
        for row in records:
            ledger.add(row["table"], row["reason"], row["n_rows"], stage=row["stage"])
        return ledger

    def __repr__(self) -> str:
        """Tables and totals; a ledger holds counts only."""
        tables = len({table for table, _, _ in self._counts})
        return f"RowLedger({tables} tables, {len(self._counts)} reasons)"
