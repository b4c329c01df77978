"""The member months of a part as a file: months, places, people and events put together.

An engine would join each of them to the months and sort rows of fifty columns. Here a month has a
cell in the grid of members and months, and everything finds its row by that cell. The file is
written a stretch of rows at a time, so that what is held stays narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calaim_eval.errors import TableError
from calaim_eval.panel.columns import BASE_COLUMNS
from calaim_eval.panel.history import continuous_before, covered_before, plan_moves
from calaim_eval.panel.month_grid import MonthEvents, Text, cells_of, order_of, row_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

ROWS_AT_ONCE = 2**17
PLACE_COLUMNS = ("plan", "county", "aid_code")
PERSON_COLUMNS = ("sex", "race_ethnicity", "language")
MONTH_COLUMNS = ("covered_days", "is_dual", "is_full_scope", "is_retroactive", "is_in_custody")
"""Columns of the file that are facts of the month alone."""

_COUNTS = ("lookback_covered_months", "covered_days", "age_years")
_YEAR_ZERO = 1970 * 12


@dataclass(frozen=True)
class MeasureColumn:
    """One measure as a column of the file.

    Attributes
    ----------
    name : str
    is_whole : bool
        Counts, or amounts.
    number : int or None
        What its events are numbered by; None for one that cannot be known in any month.
    hidden : tuple[int, ...]
        Months of the window, from 0, in which it cannot be known.
    outside : str
        Flag of the months in which its feed does not cover the member; "" without one.
    """

    name: str
    is_whole: bool
    number: int | None
    hidden: tuple[int, ...] = ()
    outside: str = ""


@dataclass(frozen=True)
class MonthFile:
    """Puts the rows of `member_month` together: call it with the pieces and a path.

    Attributes
    ----------
    first_month : int
        Number of the window's first month (`spans.month_number`).
    n_months : int
        Months of the window.
    measures : tuple of MeasureColumn
        In the order of the columns.
    custody_outside : str
        Flag of the months in which custody is not known; "" without one.
    max_gap_months : int
        Longest gap that does not break continuous enrollment.
    """

    first_month: int
    n_months: int
    measures: tuple[MeasureColumn, ...]
    custody_outside: str = ""
    max_gap_months: int = 0

    def __call__(self, pieces: Mapping[str, pa.Table], path: Path) -> None:
        """Write the file, sorted by member and month.

        Parameters
        ----------
        pieces : mapping of str to pa.Table
            `panel_months` : `member`, `month`, `place`, `MONTH_COLUMNS`, and a flag for each feed
            with a limit; one row for each month of the panel, in any order.
            `panel_places` : `place` and `PLACE_COLUMNS`.
            `panel_people` : `member`, `member_id`, `born` (the month from which age 0 is counted)
            and `PERSON_COLUMNS`. Members are numbered in the order of `member_id`.
            `panel_events` : `member`, `month`, `measure` (its number), `value`; all in months of
            the panel. Values of one month are added up.
        path : Path

        Raises
        ------
        TableError
            A month is there twice; an event has no value, or is in no month of the panel.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = _rows(pieces, self)
        schema = self._schema()
        # With Arrow's own schema in the file, text would be read back as codes.
        with pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            store_schema=False,
            write_statistics=["member_id", "month"],
        ) as writer:
            for start in range(0, rows.n, ROWS_AT_ONCE):
                part = slice(start, min(start + ROWS_AT_ONCE, rows.n))
                columns = dict(rows.facts(part)) | dict(rows.values(part))
                in_order = [columns[each] for each in schema.names]
                table = pa.Table.from_arrays(in_order, schema=schema)
                writer.write_table(table, row_group_size=ROWS_AT_ONCE)

    def _schema(self) -> pa.Schema:
        """Columns of the file."""
        import pyarrow as pa

        text = pa.dictionary(pa.int32(), pa.string())
        types = dict.fromkeys(BASE_COLUMNS, pa.bool_())
        types |= dict.fromkeys(("member_id", *PLACE_COLUMNS, *PERSON_COLUMNS), text)
        types |= dict.fromkeys(_COUNTS, pa.int64()) | {"month": pa.date32()}
        for measure in self.measures:
            types[measure.name] = pa.int64() if measure.is_whole else pa.float64()
        return pa.schema(list(types.items()))


@dataclass(frozen=True)
class _Rows:
    """The rows of the file, in order, and what their columns are read off.

    `cells` are their places in the grid; `person` and `place` the rows of `people` and `places`.
    """

    layout: MonthFile
    cells: Whole
    months: pa.Table
    person: Whole
    people: Mapping[str, Any]
    place: Whole
    places: Mapping[str, Text]
    history: Mapping[str, pa.Array]
    events: MonthEvents

    @property
    def n(self) -> int:
        """How many."""
        return len(self.cells)

    def facts(self, part: slice) -> Iterator[tuple[str, pa.Array]]:
        """Columns before the measures, of a stretch of rows."""
        import pyarrow as pa

        person, place, month = self.person[part], self.place[part], self._month(part)
        first = person[0]
        here = pa.array((person - first).astype("int32"))
        ids = self.people["member_id"].slice(first, person[-1] - first + 1)
        yield "member_id", pa.DictionaryArray.from_arrays(here, ids)
        yield "month", self._month_starts().take(pa.array(month))
        yield from ((name, text.at(place)) for name, text in self.places.items())
        yield from ((name, self.people[name].at(person)) for name in PERSON_COLUMNS)
        yield "age_years", self._ages(month, person)
        for name, column in self.history.items():
            yield name, column[part]
        for name in MONTH_COLUMNS:
            yield name, self._flag(name, part)

    def values(self, part: slice) -> Iterator[tuple[str, pa.Array]]:
        """Columns of the measures, of a stretch of rows: 0 without events, missing if unknown."""
        import pyarrow as pa

        events, n = self.events.within(part), part.stop - part.start
        for measure in self.layout.measures:
            dtype = "int64" if measure.is_whole else "float64"
            if measure.number is None:
                yield measure.name, pa.nulls(n, pa.type_for_alias(dtype))
                continue
            total = events.total(measure.number, n).astype(dtype)
            yield measure.name, pa.array(total, mask=self._unknown(measure, part))

    def _unknown(self, measure: MeasureColumn, part: slice) -> NDArray[np.bool_] | None:
        """Rows in which a measure cannot be known; None for none."""
        unknown = None
        if measure.hidden:
            unknown = np.isin(self._month(part), measure.hidden)
        if measure.outside:
            outside = self.months[measure.outside][part].to_numpy()
            unknown = outside if unknown is None else unknown | outside
        return unknown

    def _month(self, part: slice) -> Whole:
        """Month of the window, from 0."""
        return self.cells[part] % self.layout.n_months

    def _month_starts(self) -> pa.Array:
        """First day of each month of the window."""
        import pyarrow as pa

        first = self.layout.first_month - _YEAR_ZERO
        months = np.arange(first, first + self.layout.n_months).astype("datetime64[M]")
        return pa.array(months.astype("datetime64[D]"), pa.date32())

    def _ages(self, month: Whole, person: Whole) -> pa.Array:
        """Completed years on the first day of the month; 0 where the birth is later in it."""
        import pyarrow as pa

        born, is_known = self.people["born"]
        years = (month + self.layout.first_month - born[person]) // 12
        return pa.array(np.maximum(years, 0), mask=~is_known[person])

    def _flag(self, name: str, part: slice) -> pa.ChunkedArray:
        """A fact of the month; custody is missing where the feed does not cover it."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.months[name][part]
        if name != "is_in_custody" or not self.layout.custody_outside:
            return column
        return pc.if_else(self.months[self.layout.custody_outside][part], pa.scalar(None), column)


def _rows(pieces: Mapping[str, pa.Table], layout: MonthFile) -> _Rows:
    """Put the months in order and find out what belongs to each."""
    people = pieces["panel_people"].sort_by("member")
    places = pieces["panel_places"].sort_by("place")
    members = people["member"].to_numpy()
    months, events = pieces["panel_months"], pieces["panel_events"]
    cells = cells_of(months, members, layout.first_month, layout.n_months)
    order, row_at = order_of(cells, len(members) * layout.n_months)
    months = months.combine_chunks().take(order)
    cells = cells[order]
    place = row_of(months["place"].to_numpy(), places["place"].to_numpy())
    texts = {name: Text.of(places[name]) for name in PLACE_COLUMNS}
    landed = cells_of(events, members, layout.first_month, layout.n_months)
    is_cell = np.zeros(len(members) * layout.n_months, bool)
    is_cell[cells] = True
    _require_sound(events, landed, is_cell, layout)
    return _Rows(
        layout,
        cells,
        months,
        cells // layout.n_months,
        _people(people),
        place,
        texts,
        _history(cells, texts["plan"].codes[place], layout),
        MonthEvents(row_at[landed], events["measure"].to_numpy(), events["value"].to_numpy()),
    )


def _require_sound(
    events: pa.Table, landed: Whole, is_cell: NDArray[np.bool_], layout: MonthFile
) -> None:
    """Raise where an event has no value, or is in a month that is not in the panel."""
    _require_none(
        events,
        np.isnan(events["value"].to_numpy()),
        layout,
        "have no value.\n  Give each event a number, or leave it out of the measure's events.",
    )
    _require_none(
        events,
        (landed < 0) | ~is_cell[landed],
        layout,
        "are in months that are not in the panel.\n  Leave out `is_landed`, and the panel finds "
        "out where they fall.",
    )


def _require_none(
    events: pa.Table, is_wrong: NDArray[np.bool_], layout: MonthFile, words: str
) -> None:
    """Raise if events are wrong, naming their measures."""
    if is_wrong.any():
        numbers = set(events["measure"].to_numpy()[is_wrong].tolist())
        names = ", ".join(f"`{each.name}`" for each in layout.measures if each.number in numbers)
        raise TableError(f"measure {names}: {is_wrong.sum():,} events {words}")


def _people(people: pa.Table) -> dict[str, Any]:
    """Columns of the people: identifiers, month of birth and whether it is known, coded text."""
    born = people["born"]
    return {
        "member_id": people["member_id"].combine_chunks(),
        "born": (born.fill_null(0).to_numpy(), born.is_valid().to_numpy()),
        **{name: Text.of(people[name]) for name in PERSON_COLUMNS},
    }


def _history(cells: Whole, plans: NDArray[np.int32], layout: MonthFile) -> dict[str, pa.Array]:
    """What earlier months say."""
    import pyarrow as pa

    moved, is_known = plan_moves(cells, plans, layout.n_months)
    covered, is_counted = covered_before(cells, layout.n_months)
    is_continuous = continuous_before(cells, layout.n_months, layout.max_gap_months)
    return {
        "is_plan_move": pa.array(moved, mask=~is_known),
        "lookback_covered_months": pa.array(covered, mask=~is_counted),
        "is_continuously_enrolled": pa.array(is_continuous, mask=~is_counted),
    }
