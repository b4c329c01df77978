"""One linear system over every table of a release.

Each unknown is a *cell*: a quantity and the groups it is counted in. Two tables that state the
same quantity of the same groups share the cell. Each equation is something a reader knows without
seeing the numbers: rows add up to ``"all"``, a numerator is part of its denominator, a stage of a
funnel part of the stage before. Parts are written with a cell for what is left over, which no
table shows, so that the system is ``A x = 0, x >= 0``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.disclosure.count_table import CellId, CountTable, Part, margin_groups
from calaim_eval.disclosure.linked_tables import broader_columns, shared_totals, sums_of
from calaim_eval.disclosure.quantities import (
    LOST_BETWEEN,
    NESTED_REMAINDERS,
    PARTS,
    SAME,
    Groups,
    PartOf,
    rows_carried_on,
)
from calaim_eval.errors import DisclosureError
from calaim_eval.schema.overlapping import IN_COMBINATION

if TYPE_CHECKING:
    from scipy import sparse


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, and the cells that showing it shows."""

    table: str
    position: int
    cells: tuple[int, ...]
    complement: int | None


@dataclass(frozen=True, eq=False)
class System:
    """Every count of a release and every equation between them.

    Attributes
    ----------
    cells : tuple[CellId, ...]
        Quantity and groups of each cell; n of them.
    value : np.ndarray
        Shape (n,); NaN where no table states it.
    is_integer : np.ndarray
        Cells that can only be whole numbers; shape (n,).
    equations : scipy.sparse.csr_array
        Shape (m, n); ``equations @ value = 0`` for the true values.
    rows : tuple[Row, ...]
        Rows of the tables, in order.
    """

    cells: tuple[CellId, ...]
    value: np.ndarray
    is_integer: np.ndarray
    equations: sparse.csr_array
    rows: tuple[Row, ...]

    def position(self, cell: CellId) -> int:
        """Where a cell stands in the system."""
        return self.cells.index(cell)

    def shown(self, hidden_rows: np.ndarray) -> np.ndarray:
        """Cells that at least one row still shows; shape (n,)."""
        shown = np.zeros(len(self.cells), dtype=bool)
        for row, hidden in zip(self.rows, hidden_rows, strict=True):
            if not hidden:
                shown[list(row.cells)] = True
        return shown


def build_system(tables: Sequence[CountTable], *, earlier: Sequence[CountTable] = ()) -> System:
    """Put the tables of a release into one system.

    Parameters
    ----------
    tables : Sequence[CountTable]
        Tables of the release; their rows are the rows of the system.
    earlier : Sequence[CountTable]
        Tables released before: their cells and equations are known too.

    Raises
    ------
    DisclosureError
        Two tables give one quantity of the same groups two values.
    """
    builder = _Builder()
    for table in tables:
        builder.add(table)
    n_rows = len(builder.rows)
    for table in earlier:
        builder.add(table)
    builder.link_tables(n_now=len(tables))
    return builder.finish(n_rows)


@dataclass
class _Builder:
    """Cells and equations as they are collected."""

    index: dict[CellId, int] = field(default_factory=dict)
    value: list[float] = field(default_factory=list)
    is_integer: list[bool] = field(default_factory=list)
    stated_in: list[str] = field(default_factory=list)
    equations: set[tuple[tuple[int, float], ...]] = field(default_factory=set)
    rows: list[Row] = field(default_factory=list)
    tables: list[CountTable] = field(default_factory=list)

    def add(self, table: CountTable) -> None:
        """Add the cells of a table, then what ties them together."""
        numerators: list[int] = []
        denominators: list[int | None] = []
        for row, (top, bottom) in enumerate(table.cells()):
            numerators.append(self._part(table, row, top, "numerator"))
            has_denominator = bool(table.has_denominator[row])
            denominators.append(
                self._part(table, row, bottom, "denominator") if has_denominator else None
            )
        for row, (numerator, denominator) in enumerate(zip(numerators, denominators, strict=True)):
            shown = [numerator] if denominator is None else [numerator, denominator]
            complement = None
            if table.is_proportion and denominator is not None and numerator != denominator:
                complement = self._part_of(table, row, numerator, denominator)
            self.rows.append(Row(table.name, row, tuple(dict.fromkeys(shown)), complement))
        self.tables.append(table)
        self._add_margins(table, numerators, denominators)
        self._add_overlaps(table, numerators, denominators)
        self._add_stages(table, numerators)

    def link_tables(self, *, n_now: int) -> None:
        """Tie quantities of different tables together, as their names say they hang together.

        The first `n_now` tables are those of the release.
        """
        for link in PARTS:
            self._remainders(link)
        for inner, outer in NESTED_REMAINDERS:
            wholes = dict(self._remainders(outer))
            for groups, rest in self._remainders(inner):
                if groups in wholes and not self._contradict([rest], wholes[groups], is_part=True):
                    self._left_over(rest, wholes[groups])
        for lost, between in LOST_BETWEEN:
            for groups, rest in self._remainders(between):
                at = self.index.get(lost.cell(groups))
                if at is not None and not self._contradict([at], rest, is_part=True):
                    self._left_over(at, rest)
        self._tie_displays()
        self._tie_sums()
        self._add_sums_between_tables(n_now)

    def _tie_displays(self) -> None:
        """A group of an exclusive display is part of the group alone or in combination."""
        for (quantity, groups), whole in list(self.index.items()):
            shown = dict(groups)
            if IN_COMBINATION not in shown:
                continue
            alone = sorted({**shown, "race_ethnicity": shown[IN_COMBINATION]}.items())
            named = tuple(pair for pair in alone if pair[0] != IN_COMBINATION)
            part = self.index.get((quantity, named))
            if part is not None and not self._contradict([part], whole, is_part=True):
                self._left_over(part, whole)

    def _tie_sums(self) -> None:
        """Tie numbers that are one number, or the sum of others, in different tables."""
        for one, other in SAME:
            if one in self.index and other in self.index:
                self._tie(self.index[other], [self.index[one]])
        for total, parts in list(rows_carried_on(self.index)):
            self._tie(self.index[total], [self.index[cell] for cell in parts])

    def _add_sums_between_tables(self, n_now: int) -> None:
        """Rows that add up to a number of another table; names that are of one count."""
        broader = broader_columns(self.tables)
        stated = set(self.index)
        for cell, sums in shared_totals(self.tables, stated, broader).items():
            added = [self.index[part] for each in sums for part in each.parts]
            is_integer = all(self.is_integer[at] for at in added)
            self._cell(cell, np.nan, is_integer=is_integer, table="")
        stated = set(self.index)
        now = {cell for table in self.tables[:n_now] for pair in table.cells() for cell in pair}
        for table in self.tables:
            unequal = {(over, total): how for over, total, how in table.unequal_sums}
            for each in sums_of(table, stated, broader):
                how = unequal.get((each.over, each.total), "sum")
                total, parts = self.index[each.total], [self.index[part] for part in each.parts]
                if how == "sum":
                    self._tie(total, parts)
                    self._fill_in(now, [each.total, *each.parts], [total, *parts])
                elif how == "rest" and not self._contradict(parts, total, is_part=True):
                    self._left_over_of(parts, total)
            for one, other in table.same_as:
                self._tie_names(one, other)

    def _fill_in(self, now: set[CellId], cells: list[CellId], at: list[int]) -> None:
        """Work out the one number of a sum that an earlier release hid, from those of this one."""
        missing = [i for i in range(len(at)) if np.isnan(self.value[at[i]])]
        if len(missing) != 1 or cells[missing[0]] in now:
            return
        only = missing[0]
        added = sum(self.value[i] for k, i in enumerate(at) if k not in (0, only))
        self.value[at[only]] = added if only == 0 else max(self.value[at[0]] - added, 0.0)

    def _tie_names(self, one: str, other: str) -> None:
        """Two names of one count."""
        for name, groups in list(self.index):
            at = self.index.get((other, groups))
            if name == one and at is not None:
                self._tie(at, [self.index[name, groups]])

    def _left_over_of(self, parts: list[int], whole: int) -> None:
        """Cell of what several parts leave over of a whole."""
        if len(parts) == 1:
            self._left_over(parts[0], whole)
            return
        rest = self._cell(
            ("left over", ((str(whole), ",".join(map(str, parts))),)),
            self.value[whole] - sum(self.value[part] for part in parts),
            is_integer=all(self.is_integer[each] for each in (*parts, whole)),
            table="",
        )
        terms = [(part, 1.0) for part in parts] + [(rest, 1.0), (whole, -1.0)]
        self.equations.add(tuple(sorted(terms)))

    def _linked(self, link: PartOf) -> list[tuple[int, int]]:
        """Positions of every part and whole of a link, of one group each."""
        found = []
        for cell, part in list(self.index.items()):
            groups = link.part.groups_of(cell)
            whole = None if groups is None else self.index.get(link.whole.cell(groups))
            if whole is not None and not self._contradict([part], whole, is_part=True):
                found.append((part, whole))
        return found

    def _remainders(self, link: PartOf) -> list[tuple[Groups, int]]:
        """What is left over of every whole of a link, with the groups it is counted in."""
        names = list(self.index)
        return [
            (link.part.groups_of(names[part]) or (), self._left_over(part, whole))
            for part, whole in self._linked(link)
        ]

    def _tie(self, total: int, parts: list[int]) -> None:
        """Add the sum a reader knows of; numbers that do not add up are not so tied."""
        if not self._contradict(parts, total, is_part=False):
            self._add_sum(total, parts)

    def _contradict(self, parts: list[int], total: int, *, is_part: bool) -> bool:
        """Whether the numbers are at hand and do not hang together as their names say."""
        rest = self.value[total] - sum(self.value[part] for part in parts)
        return bool(rest < -1e-6 or (not is_part and abs(rest) > 1e-6))

    def finish(self, n_rows: int) -> System:
        """Freeze what was collected, with the first `n_rows` rows."""
        from scipy import sparse

        equations = sorted(self.equations)
        i = [r for r, terms in enumerate(equations) for _ in terms]
        j = [cell for terms in equations for cell, _ in terms]
        data = [weight for terms in equations for _, weight in terms]
        return System(
            cells=tuple(self.index),
            value=np.array(self.value, dtype=float),
            is_integer=np.array(self.is_integer, dtype=bool),
            equations=sparse.csr_array(
                (data, (i, j)), shape=(len(equations), len(self.index)), dtype=float
            ),
            rows=tuple(self.rows[:n_rows]),
        )

    def _part(self, table: CountTable, row: int, cell: CellId, part: Part) -> int:
        """Cell of a row's numerator or denominator; refuse a second value for one quantity."""
        value = float((table.numerator if part == "numerator" else table.denominator)[row])
        known = self.value[self.index[cell]] if cell in self.index else np.nan
        if abs(known - value) > 1e-6 * max(1.0, abs(value)):
            raise DisclosureError(
                f"`{table.name}` and `{self.stated_in[self.index[cell]]}` give `{cell[0]}` of the "
                "same groups two values, so one of the names is wrong and hidden counts cannot "
                "be protected.\n  Name the quantities apart (`numerator_name`, "
                "`denominator_name`) or mend the counts."
            )
        is_integer = table.integer_numerator if part == "numerator" else table.integer_denominator
        return self._cell(cell, value, is_integer=is_integer, table=table.name)

    def _cell(self, cell: CellId, value: float, *, is_integer: bool, table: str) -> int:
        """Position of a cell, made where new."""
        if cell not in self.index:
            self.index[cell] = len(self.value)
            self.value.append(value)
            self.is_integer.append(is_integer)
            self.stated_in.append(table)
        at = self.index[cell]
        if np.isnan(self.value[at]):
            self.value[at] = value
        return at

    def _part_of(self, table: CountTable, row: int, part: int, whole: int) -> int | None:
        """Tie a part to its whole: one count in a whole slice, else with a cell left over."""
        if any(table.keys[column].iloc[row] == value for column, value in table.whole):
            self.equations.add(((part, 1.0), (whole, -1.0)))
            return None
        return self._left_over(part, whole)

    def _left_over(self, part: int, whole: int) -> int:
        """Cell of `whole` minus `part`; no table shows it."""
        at = self._cell(
            ("left over", ((str(whole), str(part)),)),
            self.value[whole] - self.value[part],
            is_integer=self.is_integer[part] and self.is_integer[whole],
            table="",
        )
        self.equations.add(((part, 1.0), (at, 1.0), (whole, -1.0)))
        return at

    def _add_margins(
        self, table: CountTable, numerators: list[int], denominators: list[int | None]
    ) -> None:
        """Rows add up to their "all" row, and denominators do where they depend on the column."""
        for column in table.margins:
            for total, parts in margin_groups(table.keys, column):
                self._add_sum(numerators[total], [numerators[p] for p in parts])
                cells = [denominators[i] for i in (total, *parts)]
                stated = [cell for cell in cells if cell is not None]
                if column in table.denominator_margins and len(stated) == len(cells):
                    self._add_sum(stated[0], stated[1:])

    def _add_overlaps(
        self, table: CountTable, numerators: list[int], denominators: list[int | None]
    ) -> None:
        """Rows that share members: each part of their "all" row, together at least all of it."""
        for column in table.overlaps or ():
            for total, parts in margin_groups(table.keys, column):
                self._add_cover(numerators[total], [numerators[p] for p in parts])
                cells = [denominators[i] for i in (total, *parts)]
                stated = [cell for cell in cells if cell is not None]
                if column in table.denominator_keys and len(stated) == len(cells):
                    self._add_cover(stated[0], stated[1:])

    def _add_cover(self, total: int, parts: list[int]) -> None:
        """Parts no larger than the total, and what they count more than once."""
        known = [self.value[part] for part in parts]
        if any(self._contradict([part], total, is_part=True) for part in parts) or (
            sum(known) < self.value[total] - 1e-6
        ):
            return
        for part in dict.fromkeys(parts):
            if part != total:
                self._left_over(part, total)
        twice = self._cell(
            ("counted more than once", ((str(total), ",".join(map(str, parts))),)),
            sum(known) - self.value[total],
            is_integer=all(self.is_integer[each] for each in (*parts, total)),
            table="",
        )
        terms = {total: -1.0, twice: -1.0}
        for part in parts:
            terms[part] = terms.get(part, 0.0) + 1.0
        self.equations.add(tuple(sorted((c, w) for c, w in terms.items() if w)))

    def _add_sum(self, total: int, parts: list[int]) -> None:
        """Parts add up to the total, each counted once."""
        terms: dict[int, float] = {total: -1.0}
        for part in parts:
            terms[part] = terms.get(part, 0.0) + 1.0
        kept = tuple(sorted((cell, weight) for cell, weight in terms.items() if weight))
        if kept:
            self.equations.add(kept)

    def _add_stages(self, table: CountTable, numerators: list[int]) -> None:
        """Each stage of a funnel is part of the one before."""
        if table.stages is None:
            return
        column, values = table.stages
        others = [c for c in table.keys.columns if c != column]
        at = {
            (tuple(table.keys[c].iloc[row] for c in others), table.keys[column].iloc[row]): cell
            for row, cell in enumerate(numerators)
        }
        for group in dict.fromkeys(key for key, _ in at):
            reached = [at[group, value] for value in values if (group, value) in at]
            for whole, part in pairwise(reached[1:]):
                if whole != part:
                    self._left_over(part, whole)
