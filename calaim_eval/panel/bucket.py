"""One member bucket as its expressions see it: its input tables, the calendar and the rules.

The expressions are the same for every bucket: they go into a recipe, which runs once a bucket.
Inside it a member is a number, in the order of the identifiers: numbers are quicker to match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import ibis
import pandas as pd

from calaim_eval.engine import MEMORY_LIMIT_GB, Recipe, run_recipe
from calaim_eval.panel.calendar import day_calendar, day_of, month_calendar
from calaim_eval.panel.rules import PanelRules
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES
from calaim_eval.schema.values import engine_type
from calaim_eval.tables import Tables
from calaim_eval.tables.tables import column_names


class NoWindowError(Exception):
    """Something asks for the window, or for the months of the panel, where there is none."""


@dataclass(frozen=True)
class Bucket:
    """One share of the members, as expressions.

    Attributes
    ----------
    recipe : Recipe
        Where steps go.
    names : frozenset[str]
        Input tables that are there.
    months : pd.PeriodIndex
        Window; without a month where none is looked at, and asking for it is a `NoWindowError`.
    rules : PanelRules
    """

    recipe: Recipe
    names: frozenset[str]
    months: pd.PeriodIndex
    rules: PanelRules
    _opened: dict[str, ibis.Table] = field(default_factory=dict, repr=False)

    def has(self, name: str) -> bool:
        """Whether the table is there."""
        return name in self.names

    def read(self, name: str) -> ibis.Table:
        """The bucket's rows of a table; none where the table was not given.

        A member table has `member` (missing where neither `eligibility` nor `person` has the
        member) in place of `member_id`.
        """
        if name not in self._opened:
            rows = self.raw(name)
            self._opened[name] = self._numbered(rows) if "member_id" in rows.columns else rows
        return self._opened[name]

    def raw(self, name: str) -> ibis.Table:
        """The bucket's rows of a table as they are on disk, or an empty table in their place."""
        schema = {column: _ibis_type(column) for column in column_names(name)}
        if self.has(name):
            return self.recipe.source(source_name(name), schema)
        return ibis.memtable([], schema=ibis.schema(schema))

    def _numbered(self, rows: ibis.Table) -> ibis.Table:
        """Rows with the member's number in place of the identifier."""
        members = self.members
        return rows.left_join(members, "member_id").drop("member_id", "member_id_right")

    @cached_property
    def members(self) -> ibis.Table:
        """Everyone in `eligibility` or `person`: `member_id` and `member`, from 0 in its order."""
        people = ibis.union(
            self.raw("eligibility").select("member_id"),
            self.raw("person").select("member_id"),
            distinct=True,
        )
        number = ibis.row_number().over(ibis.window(order_by=people["member_id"]))
        return self.keep("members", people.mutate(member=number.cast("int64")))

    def keep(self, name: str, rows: ibis.Table) -> ibis.Table:
        """Compute rows once and hold them under a name until the bucket is done."""
        kept = self.recipe.keep(name, rows)
        self._kept[name] = kept
        return kept

    def kept(self, name: str) -> ibis.Table:
        """Rows that `keep` holds under a name."""
        return self._kept[name]

    @cached_property
    def _kept(self) -> dict[str, ibis.Table]:
        """What is held, by name."""
        return {}

    @property
    def window(self) -> pd.PeriodIndex:
        """Months of the window."""
        if not len(self.months):
            raise NoWindowError
        return self.months

    @property
    def first_day(self) -> int:
        """Day number of the first day of the window."""
        return day_of(self.window[0].start_time)

    @property
    def last_day(self) -> int:
        """Day number of the last day of the window."""
        return day_of(self.window[-1].end_time)

    @cached_property
    def calendar(self) -> ibis.Table:
        """Months of the window."""
        return month_calendar(self.window)

    @cached_property
    def days(self) -> ibis.Table:
        """Days of the window."""
        return day_calendar(self.window)


def run_on_buckets(
    recipe: Recipe,
    tables: Tables,
    *,
    names: Iterable[str] | None = None,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
    temp_folder: Path | str | None = None,
    doing: str,
) -> Iterator[dict[str, pd.DataFrame]]:
    """Run a recipe that writes nothing on every bucket; what it fetched, bucket by bucket.

    Parameters
    ----------
    recipe : Recipe
        Made with a `Bucket` whose `names` are tables of `tables`.
    tables : Tables
    names : iterable of str, optional
        Tables the recipe reads; all by default.
    memory_limit_gb : float
        Memory the engine may hold.
    temp_folder : Path or str, optional
        Where it may put member rows while it works.
    doing : str
        What is being done, for an error.
    """
    for number in range(tables.n_buckets):
        yield run_recipe(
            recipe,
            sources=bucket_sources(tables, number, names),
            memory_limit_gb=memory_limit_gb,
            temp_folder=temp_folder,
            doing=f"{doing}, bucket {number}",
        )


def bucket_sources(
    tables: Tables, number: int, names: Iterable[str] | None = None
) -> dict[str, list[Path]]:
    """Files that a recipe reads for a bucket: its part of a member table, all of any other."""
    sources = {}
    for name in tables.names if names is None else names:
        parts = tables.parts(name)
        is_by_member = "member_id" in TABLES[name].fields
        sources[source_name(name)] = [parts[number]] if is_by_member else list(parts)
    return sources


def source_name(table: str) -> str:
    """Name under which the engine reads an input table."""
    return f"input_{table}"


def _ibis_type(column: str) -> str:
    """Ibis type of a declared column; derived ones are text."""
    return engine_type(column) if column in FIELDS else "string"
