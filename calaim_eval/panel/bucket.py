"""One member bucket: its input tables and the calendar, open in the engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calaim_eval.panel.calendar import day_calendar, day_of, month_calendar
from calaim_eval.panel.rules import PanelRules
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables import Tables
from calaim_eval.tables.tables import column_names

if TYPE_CHECKING:
    import ibis
    import pandas as pd

_IBIS_TYPES = {
    "string": "string",
    "date": "date",
    "month": "date",
    "integer": "int64",
    "number": "float64",
    "boolean": "boolean",
}


@dataclass(frozen=True)
class Bucket:
    """One share of the members, open in the engine.

    Attributes
    ----------
    backend : ibis.BaseBackend
    tables : Tables
    number : int
        Bucket, 0 to ``tables.n_buckets - 1``.
    months : pd.PeriodIndex
        Window.
    rules : PanelRules
    claims_end_day : int | None
        Last day with a claim, of all buckets; None without claims.
    """

    backend: Any
    tables: Tables
    number: int
    months: pd.PeriodIndex
    rules: PanelRules
    claims_end_day: int | None
    _opened: dict[str, Any] = field(default_factory=dict, repr=False)

    def read(self, name: str) -> ibis.Table:
        """The bucket's rows of a table; none where the table was not given."""
        if name not in self._opened:
            self._opened[name] = self._open(name)
        return self._opened[name]

    def _open(self, name: str) -> ibis.Table:
        """The bucket's part of a table, or an empty one in its place."""
        import ibis

        if not self.tables.has(name):
            schema = {column: _ibis_type(column) for column in column_names(name)}
            return self.keep(f"no_{name}", ibis.memtable([], schema=ibis.schema(schema)))
        parts = self.tables.parts(name)
        is_by_member = "member_id" in TABLES[name].fields
        return self.backend.read_parquet(parts[self.number if is_by_member else 0])

    def view(self, name: str, rows: ibis.Table) -> ibis.Table:
        """Give rows a name without computing them: they are computed by each use."""
        return self.backend.create_view(name, rows, overwrite=True)

    def keep(self, name: str, rows: ibis.Table) -> ibis.Table:
        """Compute rows once and hold them under a name until the bucket is done."""
        return self.backend.create_table(name, rows, temp=True, overwrite=True)

    def kept(self, name: str) -> ibis.Table:
        """Rows that `keep` holds under a name."""
        return self.backend.table(name)

    @property
    def first_day(self) -> int:
        """Day number of the first day of the window."""
        return day_of(self.months[0].start_time)

    @property
    def last_day(self) -> int:
        """Day number of the last day of the window."""
        return day_of(self.months[-1].end_time)

    @cached_property
    def calendar(self) -> ibis.Table:
        """Months of the window."""
        return self.keep("calendar_months", month_calendar(self.months))

    @cached_property
    def days(self) -> ibis.Table:
        """Days of the window."""
        return self.keep("calendar_days", day_calendar(self.months))


def _ibis_type(column: str) -> str:
    """Ibis type of a declared column; derived ones are text."""
    return _IBIS_TYPES[FIELDS[column].dtype] if column in FIELDS else "string"
