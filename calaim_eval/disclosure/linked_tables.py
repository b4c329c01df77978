"""Sums that run from one table of a release to another.

A reader adds up the rows of one table to a number that another one states: counties of a table
by race and county to the table by race, quarters to the year, detailed groups to the broad one.
Nobody declares such sums, so each is looked for: the rows of one quantity in one table, added up
over some of its key columns, against any number stated for the groups that are left. Numbers tell
whether it holds; what is found is kept with the table, so that the attacker knows it too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

from calaim_eval.disclosure.count_table import CellId, CountTable

UnequalSum = tuple[tuple[str, ...], CellId, str]
Broader = Mapping[tuple[str, str], Mapping[str, str]]

# Rows are added up over at most so many columns at once.
_MOST_COLUMNS = 3
# Two names are of one count where that many numbers of the same groups are the same.
_SAME_AT_LEAST = 3
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Sum:
    """Rows of one table that may add up to a number stated elsewhere.

    Attributes
    ----------
    over : tuple[str, ...]
        Columns added up, with the column they are carried into: ``"quarter>year"``.
    total : CellId
    parts : tuple[CellId, ...]
        All of one quantity.
    """

    over: tuple[str, ...]
    total: CellId
    parts: tuple[CellId, ...]


def link_tables(
    tables: Sequence[CountTable], *, beside: Sequence[CountTable] = ()
) -> list[CountTable]:
    """Find which sums between tables do not hold, and which names are of one count.

    Parameters
    ----------
    tables : Sequence[CountTable]
        With their true numbers; of an earlier release, NaN where hidden.
    beside : Sequence[CountTable]
        Other tables a reader has: released before, or now.

    Returns
    -------
    list[CountTable]
        The tables with `unequal_sums` and `same_as`. A sum that is not listed is taken to hold:
        where a number is not at hand, a reader will suppose so, unless other sums over the same
        columns are too large because their groups overlap.
    """
    stated = _stated([*tables, *beside])
    broader = broader_columns([*tables, *beside])
    stated |= _most_common_sums([*tables, *beside], stated, broader)
    same = _same_names(_stated(tables))
    return [
        replace(
            table,
            unequal_sums=_unequal_sums(table, stated, broader),
            same_as=tuple(
                dict.fromkeys((*table.same_as, *(pair for pair in same if _names(table, pair))))
            ),
        )
        for table in tables
    ]


def _names(table: CountTable, pair: tuple[str, str]) -> bool:
    """Whether the table has the first of two names."""
    return pair[0] in (table.numerator_name, table.denominator_name)


def _unequal_sums(
    table: CountTable, stated: Mapping[CellId, float], broader: Broader
) -> tuple[UnequalSum, ...]:
    """Sums of a table's rows that do not hold, those found before included."""
    found = {(over, total): how for over, total, how in table.unequal_sums}
    unknown = []
    for each in sums_of(table, stated, broader):
        how = _relation(each, stated)
        if how is None:
            unknown.append((each.over, each.total))
        elif how != "sum":
            found[each.over, each.total] = how
    overlapping = {over for (over, _), how in found.items() if how == "none"}
    for over, total in unknown:
        if over in overlapping:
            found.setdefault((over, total), "none")
    return tuple((over, total, how) for (over, total), how in found.items())


def sums_of(table: CountTable, stated: Container[CellId], broader: Broader) -> Iterator[Sum]:
    """Every number stated somewhere that rows of this table could add up to.

    Sums over a declared margin of the table to its own "all" row are left out.

    Parameters
    ----------
    table : CountTable
    stated : Container[CellId]
        Totals to look for.
    broader : Broader
        Of `broader_columns`.
    """
    cells = list(table.cells())
    own = list(dict.fromkeys(top for top, _ in cells))
    yield from _sums(own, set(own), stated, broader, skip=_skip(table))
    below = [pair[1] for row, pair in enumerate(cells) if table.has_denominator[row]]
    if below and not set(below) <= set(own):
        shared = list(dict.fromkeys(below))
        yield from _sums(shared, set(shared), stated, broader, skip=_skip(table))


def broader_columns(tables: Sequence[CountTable]) -> Broader:
    """(finer column, broader column) and the broader value of each finer one.

    Months lie in quarters and years by their labels; counties in regions, detailed groups in
    broad ones, where a table that has both columns says so.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    refused: set[tuple[str, str]] = set()
    columns: dict[str, set[str]] = {}
    for table in tables:
        for column in table.keys.columns:
            columns.setdefault(str(column), set()).update(table.keys[column])
        for fine, broad in product(table.keys.columns, repeat=2):
            if fine == broad:
                continue
            lies_in = found.setdefault((fine, broad), {})
            pairs = set(zip(table.keys[fine], table.keys[broad], strict=True))
            for value, into in ((v, i) for v, i in pairs if "all" not in (v, i)):
                if lies_in.setdefault(value, into) != into:
                    refused.add((fine, broad))
    kept = {
        pair: lies_in
        for pair, lies_in in found.items()
        if pair not in refused and len(set(lies_in.values())) > 1
    }
    for fine, broad in (("month", "quarter"), ("month", "year"), ("quarter", "year")):
        if fine in columns and broad in columns:
            lies_in = {value: _period(value, broad) for value in columns[fine] if value != "all"}
            kept[fine, broad] = {value: into for value, into in lies_in.items() if into}
    return kept


def _period(label: str, broad: str) -> str:
    """Year or quarter that a month or quarter label lies in; empty where it is no such label."""
    year, rest = label[:4], label[4:].lstrip("-")
    if not year.isdigit() or not rest:
        return ""
    if broad == "year":
        return year
    month = rest[:2]
    return f"{year}Q{(int(month) + 2) // 3}" if month.isdigit() else ""


def _skip(table: CountTable) -> frozenset[str]:
    """Columns whose sums are in the system already, or are none."""
    stage = () if table.stages is None else (table.stages[0],)
    return frozenset((*table.margins, *stage))


def _sums(
    cells: Sequence[CellId],
    own: set[CellId],
    stated: Container[CellId],
    broader: Broader,
    *,
    skip: frozenset[str],
) -> Iterator[Sum]:
    """Sums of cells of one quantity over each set of columns."""
    columns = sorted({column for _, groups in cells for column, _ in groups})
    for size in range(1, min(_MOST_COLUMNS, len(columns)) + 1):
        for over in combinations(columns, size):
            for into in product(*([None, *_broader_than(c, broader)] for c in over)):
                for total, parts in _added_up(cells, dict(zip(over, into, strict=True)), broader):
                    inside = total in own and skip >= set(over) and not any(into)
                    if total in stated and not inside and parts != [total]:
                        label = tuple(
                            c if b is None else f"{c}>{b}" for c, b in zip(over, into, strict=True)
                        )
                        yield Sum(label, total, tuple(parts))


def _broader_than(column: str, broader: Broader) -> list[str]:
    """Columns that a column can be carried into."""
    return [broad for fine, broad in broader if fine == column]


def _added_up(
    cells: Sequence[CellId], into: Mapping[str, str | None], broader: Broader
) -> Iterator[tuple[CellId, list[CellId]]]:
    """Cells that restrict every column, by what is left when these are added up."""
    sums: dict[CellId, list[CellId]] = {}
    for name, groups in cells:
        value = dict(groups)
        if not into.keys() <= value.keys():
            continue
        left = {column: group for column, group in groups if column not in into}
        carried = {
            broad: broader[fine, broad].get(value[fine], "")
            for fine, broad in into.items()
            if broad is not None
        }
        if all(carried.values()) and all(left.get(c, v) == v for c, v in carried.items()):
            total = (name, tuple(sorted({**left, **carried}.items())))
            sums.setdefault(total, []).append((name, groups))
    yield from sums.items()


def shared_totals(
    tables: Sequence[CountTable], stated: Container[CellId], broader: Broader
) -> dict[CellId, list[Sum]]:
    """Totals that no table states and the rows of two tables or more add up to.

    Counties of one table and age groups of another add up to the same race, stated or not.
    """
    by_total: dict[CellId, dict[str, list[Sum]]] = {}
    for table in tables:
        for each in sums_of(table, _NotIn(stated), broader):
            by_total.setdefault(each.total, {}).setdefault(table.name, []).append(each)
    return {
        total: [each for found in by_table.values() for each in found]
        for total, by_table in by_total.items()
        if len(by_table) > 1
    }


@dataclass(frozen=True, slots=True)
class _NotIn:
    """Every cell but some."""

    cells: Container[CellId]

    def __contains__(self, cell: object) -> bool:
        return cell not in self.cells


def _most_common_sums(
    tables: Sequence[CountTable], stated: Mapping[CellId, float], broader: Broader
) -> dict[CellId, float]:
    """Number of each shared total: what most of its sums come to."""
    found = {}
    for total, sums in shared_totals(tables, stated, broader).items():
        added = [sum(stated[part] for part in each.parts) for each in sums]
        at_hand = Counter(value for value in added if value >= 0)
        found[total] = at_hand.most_common(1)[0][0] if at_hand else float("nan")
    return found


def _relation(found: Sum, stated: Mapping[CellId, float]) -> str | None:
    """``"sum"``, ``"rest"`` where rows leave something over, ``"none"``; None: not at hand."""
    total = stated[found.total]
    added = sum(stated[part] for part in found.parts)
    if not abs(added - total) >= 0:
        return None
    if abs(added - total) <= _TOLERANCE * max(1.0, abs(total)):
        return "sum"
    return "rest" if added < total else "none"


def _stated(tables: Sequence[CountTable]) -> dict[CellId, float]:
    """Every cell of the tables with its number; a number wins over NaN."""
    found: dict[CellId, float] = {}
    for table in tables:
        for row, (top, bottom) in enumerate(table.cells()):
            numbers = [(top, table.numerator[row])]
            if table.has_denominator[row]:
                numbers.append((bottom, table.denominator[row]))
            for cell, number in numbers:
                if not found.get(cell, float("nan")) >= 0:
                    found[cell] = float(number)
    return found


def _same_names(stated: Mapping[CellId, float]) -> list[tuple[str, str]]:
    """Pairs of quantity names whose numbers are the same wherever both are stated."""
    by_name: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for (name, groups), number in stated.items():
        by_name.setdefault(name, {})[groups] = number
    pairs = []
    for one, other in combinations(sorted(by_name), 2):
        common = [g for g in by_name[one] if g in by_name[other] and g]
        values = {by_name[one][g] for g in common}
        if len(values - {0.0}) >= _SAME_AT_LEAST and all(
            abs(by_name[one][g] - by_name[other][g]) <= _TOLERANCE for g in common
        ):
            pairs.append((one, other))
    return pairs
