"""What a reader knows of a table of counts: its cells, and how they hang together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import DisclosureError
from calaim_eval.results import ALL, RateTable
from calaim_eval.results.estimand import JOIN, crossed_columns

CellId = tuple[str, tuple[tuple[str, str], ...]]
Part = Literal["numerator", "denominator"]

# Says how a value is written, not what is counted, so it does not tell cells apart.
_LABEL_COLUMNS = frozenset({"unit"})
# Relative tolerance of a sum of amounts; sums of counts are exact far below it.
_SUM_TOLERANCE = 1e-9
# How the name of a quantity in dollars ends; dollars happen to be whole.
_AMOUNT = "_usd"


@dataclass(frozen=True, eq=False)
class CountTable:
    """Counts about members, with the structure a reader of the table knows.

    Attributes
    ----------
    name : str
        Name of the table in the release.
    keys : pd.DataFrame
        Key columns as text; shape (k, n_keys).
    numerator, denominator : np.ndarray
        Shape (k,). NaN: not stated (hidden, or no denominator).
    numerator_name, denominator_name : str
    is_proportion : bool
        The numerator is part of the denominator.
    has_denominator : np.ndarray
        Rows that have one, shown or not; shape (k,).
    denominator_keys : tuple[str, ...]
        Key columns the denominator depends on.
    margins : tuple[str, ...]
        Key columns whose ``"all"`` row is the sum of the others.
    denominator_margins : tuple[str, ...]
        Those of them over which the denominators add up too.
    whole : tuple[tuple[str, str], ...]
        (column, value) whose numerator is the denominator: the first stage of a funnel.
    stages : tuple[str, tuple[str, ...]] | None
        Column and ordered values of a funnel: each stage is part of the one before.
    integer_numerator, integer_denominator : bool
    overlaps : tuple[str, ...] | None
        Key columns whose rows share members: each is part of the ``"all"`` row, and together they
        hold everybody in it.
    unequal_sums : tuple[tuple[tuple[str, ...], CellId, str], ...]
        Columns added up, a number stated elsewhere, and ``"rest"`` where the rows are less than it
        or ``"none"``; see `linked_tables.link_tables`.
    same_as : tuple[tuple[str, str], ...]
        Pairs of quantity names that are of one count.
    crossed : tuple[tuple[str, tuple[str, ...]], ...]
        Columns of groups made from several, each with those it is made from.
    """

    name: str
    keys: pd.DataFrame
    numerator: np.ndarray
    denominator: np.ndarray
    numerator_name: str
    denominator_name: str
    is_proportion: bool
    has_denominator: np.ndarray
    denominator_keys: tuple[str, ...]
    margins: tuple[str, ...]
    denominator_margins: tuple[str, ...]
    whole: tuple[tuple[str, str], ...]
    stages: tuple[str, tuple[str, ...]] | None
    integer_numerator: bool
    integer_denominator: bool
    overlaps: tuple[str, ...] | None = ()
    unequal_sums: tuple[tuple[tuple[str, ...], CellId, str], ...] = ()
    same_as: tuple[tuple[str, str], ...] = ()
    crossed: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def cell(self, row: int, *, part: Part) -> CellId:
        """Identity of the numerator or denominator of a row: what is counted, and of whom."""
        if part == "numerator":
            name, columns = self.numerator_name, tuple(self.keys.columns)
        else:
            name, columns = self.denominator_name, self.denominator_keys
        return name, cell_keys(self.keys, row, columns, dict(self.crossed))

    def cells(self) -> Iterator[tuple[CellId, CellId]]:
        """Identities of the numerator and of the denominator of each row, in order."""
        columns = sorted(c for c in self.keys.columns if c not in _LABEL_COLUMNS)
        texts = {c: [str(value) for value in self.keys[c]] for c in columns}
        crossed = dict(self.crossed)
        for row in range(len(self.keys)):
            groups = [(c, texts[c][row]) for c in columns if texts[c][row] != ALL]
            below = [pair for pair in groups if pair[0] in self.denominator_keys]
            yield (
                (self.numerator_name, taken_apart(groups, crossed)),
                (self.denominator_name, taken_apart(below, crossed)),
            )


def cell_keys(
    keys: pd.DataFrame,
    row: int,
    columns: tuple[str, ...],
    crossed: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[tuple[str, str], ...]:
    """Restrictions that a row places on a count; an ``"all"`` restricts nothing."""
    groups = [
        (column, str(keys[column].iloc[row]))
        for column in columns
        if column not in _LABEL_COLUMNS and keys[column].iloc[row] != ALL
    ]
    return taken_apart(groups, crossed or {})


def taken_apart(
    groups: Sequence[tuple[str, str]], crossed: Mapping[str, tuple[str, ...]]
) -> tuple[tuple[str, str], ...]:
    """Groups in order, those made from several columns ("aian & female") as the groups of these.

    So the row is the cell of the table by both columns. A label that does not come apart into as
    many groups stays whole.
    """
    found: list[tuple[str, str]] = []
    for column, label in groups:
        held, parts = crossed.get(column, ()), label.split(JOIN)
        if held and len(held) == len(parts):
            found += [pair for pair in zip(held, parts, strict=True) if pair[1] != ALL]
        else:
            found.append((column, label))
    return tuple(sorted(found))


def count_tables(tables: Mapping[str, RateTable]) -> list[CountTable]:
    """Read off the structure of every table about members.

    A denominator whose name another table uses for another number is renamed after its table:
    they cannot be one cell.
    """
    read = [count_table(name, table) for name, table in tables.items() if table.about == "members"]
    stated: dict[CellId, float] = {}
    for table in read:
        for row, value in enumerate(table.numerator):
            stated.setdefault(table.cell(row, part="numerator"), float(value))
    return [_tell_apart(table, stated) for table in read]


def _tell_apart(table: CountTable, stated: dict[CellId, float]) -> CountTable:
    """The table, its denominator renamed where the name is taken by another number."""
    own = {
        table.cell(row, part="denominator"): float(table.denominator[row])
        for row in map(int, np.flatnonzero(table.has_denominator))
    }
    if any(abs(stated.get(cell, value) - value) > 1e-6 for cell, value in own.items()):
        return replace(table, denominator_name=f"{table.denominator_name} in {table.name}")
    stated.update(own)
    return table


def count_table(name: str, table: RateTable) -> CountTable:
    """Read off the structure of one table about members.

    Raises
    ------
    DisclosureError
        A numerator is missing or negative, or an ``"all"`` row is not the sum it is declared
        to be: hidden counts could not be protected.
    """
    keys = table.keys.astype(str).map(str).reset_index(drop=True)  # a missing value is a word too
    numerator = np.asarray(table.numerator, dtype=float)
    denominator = np.asarray(table.denominator, dtype=float)
    bad = ~(numerator >= 0)
    if bad.any():
        raise DisclosureError(
            f"`{name}`: {int(bad.sum())} of {len(table)} rows have a missing or negative "
            "numerator, so the cells it adds up to cannot be protected.\n"
            "  Give 0 where nothing was counted, or leave the rows out."
        )
    has_denominator = np.isfinite(denominator) & (table.kind != "count")
    is_proportion = table.kind == "proportion"
    reduced = _denominator_keys(name, table, keys, denominator)
    over = is_proportion & has_denominator & (numerator > denominator + 1e-9)
    if over.any():
        raise DisclosureError(
            f"`{name}`: {int(over.sum())} of {len(table)} rows have a numerator above the "
            f"denominator, but the table is a proportion.\n"
            '  Give `kind="rate"`, or mend the counts.'
        )
    _check_margins(name, keys, numerator, table.margins)
    margins = _margins(keys, numerator, table.margins)
    whole = _whole_slices(keys, numerator, denominator, has_denominator, margins)
    return CountTable(
        name=name,
        keys=keys,
        numerator=numerator,
        denominator=np.where(has_denominator, denominator, np.nan),
        numerator_name=table.numerator_name,
        denominator_name=table.denominator_name,
        is_proportion=is_proportion,
        has_denominator=has_denominator,
        denominator_keys=reduced,
        margins=margins,
        denominator_margins=_denominator_margins(keys, denominator, reduced, margins),
        whole=whole if is_proportion else (),
        stages=_stages(keys, numerator, reduced, whole, margins) if is_proportion else None,
        integer_numerator=are_counts(table.numerator_name, numerator),
        integer_denominator=are_counts(table.denominator_name, denominator[has_denominator]),
        overlaps=table.overlaps,
        crossed=tuple(crossed_columns(table.method).items()),
    )


def are_counts(quantity: str, values: np.ndarray) -> bool:
    """Whether values count something: whole numbers, and no amount of money (``_usd``)."""
    known = values[np.isfinite(values)]
    return not quantity.endswith(_AMOUNT) and bool(np.all(known == np.round(known)))


def margin_groups(keys: pd.DataFrame, column: str) -> list[tuple[int, np.ndarray]]:
    """Each ``"all"`` row of a column with the rows that add up to it."""
    others = [c for c in keys.columns if c != column]
    is_all = (keys[column] == ALL).to_numpy()
    codes = keys.groupby(others, sort=False).ngroup().to_numpy() if others else np.zeros(len(keys))
    groups = []
    for total in np.flatnonzero(is_all):
        parts = np.flatnonzero((codes == codes[total]) & ~is_all)
        if len(parts):
            groups.append((int(total), parts))
    return groups


def adds_up(values: np.ndarray, total: int, parts: np.ndarray) -> bool:
    """Whether the parts sum to the total."""
    gap = abs(float(values[parts].sum() - values[total]))
    return gap <= _SUM_TOLERANCE * max(1.0, float(np.abs(values[parts]).sum()))


def _margins(
    keys: pd.DataFrame, numerator: np.ndarray, declared: tuple[str, ...]
) -> tuple[str, ...]:
    """Margins as declared, and columns whose "all" rows add up though nobody said so."""
    found = [
        str(column)
        for column in keys.columns
        if column not in declared
        and (groups := margin_groups(keys, column))
        and all(adds_up(numerator, total, parts) for total, parts in groups)
    ]
    return (*declared, *found)


def _check_margins(
    name: str, keys: pd.DataFrame, numerator: np.ndarray, margins: tuple[str, ...]
) -> None:
    """Refuse a declared margin that does not add up."""
    for column in margins:
        groups = margin_groups(keys, column)
        wrong = sum(not adds_up(numerator, total, parts) for total, parts in groups)
        if wrong:
            raise DisclosureError(
                f"`{name}`: {wrong} of {len(groups)} `{ALL}` rows of `{column}` are not the sum "
                "of the other rows, though the table declares it as a margin.\n"
                f"  Add the missing groups, or take `{column}` out of `margins` if its groups "
                "overlap."
            )


def _denominator_keys(
    name: str, table: RateTable, keys: pd.DataFrame, denominator: np.ndarray
) -> tuple[str, ...]:
    """Key columns the denominator depends on: as declared, else those it varies with."""
    if table.denominator_keys is not None:
        _check_shared(name, keys, denominator, table.denominator_keys)
        return table.denominator_keys
    kept = list(keys.columns)
    values = pd.Series(denominator)
    for column in list(kept):
        trial = [c for c in kept if c != column]
        groups = _group(values, keys, trial)
        if len(values) and groups.size().max() > 1 and groups.nunique().max() <= 1:
            kept = trial
    return tuple(kept)


def _check_shared(
    name: str, keys: pd.DataFrame, denominator: np.ndarray, columns: tuple[str, ...]
) -> None:
    """Refuse rows that should share a denominator and do not."""
    groups = _group(pd.Series(denominator), keys, list(columns))
    wrong = int((groups.max() > groups.min()).sum())
    if wrong:
        raise DisclosureError(
            f"`{name}`: {wrong} groups of rows agree on `denominator_keys` {list(columns)} and "
            "differ in the denominator.\n  Name every key column the denominator depends on."
        )


def _group(values: pd.Series, keys: pd.DataFrame, columns: list[str]) -> Any:
    """Values grouped by key columns; one group where there are none."""
    return values.groupby([keys[c] for c in columns] if columns else np.zeros(len(values)))


def _denominator_margins(
    keys: pd.DataFrame,
    denominator: np.ndarray,
    denominator_keys: tuple[str, ...],
    margins: tuple[str, ...],
) -> tuple[str, ...]:
    """Margin columns over which the denominators add up."""
    return tuple(
        column
        for column in margins
        if column in denominator_keys
        and all(adds_up(denominator, total, parts) for total, parts in margin_groups(keys, column))
    )


def _whole_slices(
    keys: pd.DataFrame,
    numerator: np.ndarray,
    denominator: np.ndarray,
    has_denominator: np.ndarray,
    margins: tuple[str, ...],
) -> tuple[tuple[str, str], ...]:
    """(column, value) in whose rows numerator and denominator are one count."""
    same = has_denominator & (numerator == denominator)
    slices = []
    for column in keys.columns:
        for value in keys[column].unique():
            rows = (keys[column] == value).to_numpy() & has_denominator
            allowed = column not in margins or value == ALL
            if allowed and rows.any() and same[rows].all() and numerator[rows].any():
                slices.append((str(column), str(value)))
    return tuple(slices)


def _stages(
    keys: pd.DataFrame,
    numerator: np.ndarray,
    denominator_keys: tuple[str, ...],
    whole: tuple[tuple[str, str], ...],
    margins: tuple[str, ...],
) -> tuple[str, tuple[str, ...]] | None:
    """The funnel column, where the table is one: starts with everyone and never grows."""
    for column in keys.columns if len(keys) else ():
        values = tuple(dict.fromkeys(keys[column]))
        if column in margins or column in denominator_keys or (column, values[0]) not in whole:
            continue
        others = [c for c in keys.columns if c != column]
        order = np.argsort([values.index(v) for v in keys[column]], kind="stable")
        ordered = pd.Series(numerator[order])
        steps = _group(ordered, keys.iloc[order].reset_index(drop=True), others).diff()
        if not (steps > 0).any():
            return str(column), values
    return None
