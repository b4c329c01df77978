"""The sparse route: parquet rows in any order to coverage patterns, by the engine.

One pass counts rows and checks outcomes by label and month, one finds each member's pattern of
covered months, one picks the months with use. What does not fit (amounts, fractions of months,
months that are neither dates nor whole numbers, anything wrong with the rows) is left to the dense
route, which also has the words for what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.moments.accumulate import accumulate
from calaim_eval.moments.cell_moments import CellMoments
from calaim_eval.moments.coverage_patterns import MOST_MONTHS, WORD, CoveragePatterns
from calaim_eval.moments.panel_rows import NOT_AT_RISK, PanelColumns, label_members
from calaim_eval.moments.periods import INTEGER, index_ordinals, present_months

if TYPE_CHECKING:
    import duckdb

MEMBERS_AT_ONCE = 4_000_000
"""Members of a month held at once: about 1 GB at 48 months and one outcome."""
MOST_USE = 0.5
"""Above this share of member-months with use the dense route reads less."""
LARGEST = 2**15
"""Larger outcomes are left to the dense route, which proves that their sums are exact."""

_SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
_WHOLE = (*_SIGNED, *(f"U{name}" for name in _SIGNED))
_FLOAT = ("DOUBLE", "FLOAT")


@dataclass(frozen=True, slots=True)
class _Rows:
    """How the parts of a row are said in SQL; all of the view ``panel``."""

    member: str
    month: str
    label: str
    outcomes: Mapping[str, str]
    condition: str
    frequency: str

    def some_use(self) -> str:
        """Whether any outcome is not 0."""
        return " OR ".join(f"({value}) <> 0" for value in self.outcomes.values())


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """What the first pass found: months, labels, and whether the rows fit.

    Attributes
    ----------
    months : pd.Index
    ordinals : np.ndarray
        Of the months; shape (T,).
    attributes : pd.DataFrame
        Distinct columns of a member, with their hash in `hashes`, in order of it.
    hashes : np.ndarray
    types : Mapping[str, str]
        Smallest type that holds each outcome.
    in_largest_month : int
        Rows of the month that has most.
    """

    months: pd.Index
    ordinals: np.ndarray
    attributes: pd.DataFrame
    hashes: np.ndarray
    types: Mapping[str, str]
    in_largest_month: int


def reduce_patterns(
    connection: duckdb.DuckDBPyConnection,
    relation: duckdb.DuckDBPyRelation,
    columns: PanelColumns,
    *,
    where: str,
    balanced_only: bool,
    months: pd.Index | None = None,
) -> list[CellMoments] | None:
    """Moments by the sparse route, in shares; None where the rows do not fit it.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
    relation : duckdb.DuckDBPyRelation
        Rows, of this connection.
    columns : PanelColumns
    where : str
        What is read, for the provenance.
    balanced_only : bool
        Keep members covered in every month only.
    months : pd.Index, optional
        Of rows beyond these, whose moments are to be added; by default those of the rows.

    Returns
    -------
    list[CellMoments] or None
        Of shares of the members, to be added up.
    """
    rows = _rows(relation, columns)
    if rows is None:
        return None
    relation.create_view("panel", replace=True)
    counted = _count(connection, rows, columns)
    if counted is None:
        return None
    if months is not None:
        ordinals = index_ordinals(months)
        if ordinals[-1] - ordinals[0] >= MOST_MONTHS:
            return None
        counted = replace(counted, months=months, ordinals=ordinals)
    labels = label_members(
        counted.attributes, columns, months=counted.months, frequency=rows.frequency
    )
    n_shares = 1 + counted.in_largest_month // MEMBERS_AT_ONCE
    parts: list[CellMoments] = []
    for share in range(n_shares):
        mine = f"hash({rows.member}) % {n_shares} = {share}" if n_shares > 1 else "true"
        patterns = _patterns(connection, rows, counted, mine)
        if patterns is None:
            return None
        held, label = patterns
        if not held.n_members:
            continue
        part = accumulate(
            held,
            labels,
            label=label,
            months=counted.months,
            columns=columns,
            cluster=None if columns.cluster is None else counted.attributes[columns.cluster],
            provenance={
                "rows": {"used": int(np.bitwise_count(held.words).sum())},
                "sources": [where],
                "notes": [],
            },
            balanced_only=balanced_only,
        )
        parts.append(part)
    if columns.at_risk is not None:
        n_used = sum(sum(part.provenance["rows"].values()) for part in parts)
        n_rows = _number(connection, "SELECT count(*) FROM panel")
        parts[0].provenance["rows"][NOT_AT_RISK] = n_rows - n_used
    return parts


def _rows(relation: duckdb.DuckDBPyRelation, columns: PanelColumns) -> _Rows | None:
    """How to read the rows; None where a column's type does not fit."""
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    month, of_month = _quoted(columns.month), types[columns.month]
    if of_month == "DATE" or of_month.startswith("TIMESTAMP"):
        frequency, month = "M", f"(12 * (year({month}) - 1970) + month({month}) - 1)"
    elif of_month in _WHOLE:
        frequency = INTEGER
    else:
        return None
    if columns.at_risk is not None and types[columns.at_risk] != "BOOLEAN":
        return None
    outcomes = {name: _as_number(name, types[name]) for name in columns.outcomes}
    if not all(outcomes.values()):
        return None
    return _Rows(
        member=_quoted(columns.member_id),
        month=month,
        label=f"hash({', '.join(_quoted(name) for name in columns.of_member)})",
        outcomes=outcomes,
        condition="true" if columns.at_risk is None else _quoted(columns.at_risk),
        frequency=frequency,
    )


def _as_number(name: str, dtype: str) -> str:
    """An outcome as a number in SQL; "" where it is none."""
    if dtype == "BOOLEAN":
        return f"{_quoted(name)}::TINYINT"
    if dtype in (*_WHOLE, *_FLOAT):
        return _quoted(name)
    return f"{_quoted(name)}::DOUBLE" if dtype.startswith("DECIMAL") else ""


def _count(
    connection: duckdb.DuckDBPyConnection, rows: _Rows, columns: PanelColumns
) -> _Counted | None:
    """Rows, outcomes and labels by month in one pass; None where they do not fit."""
    names = [_quoted(name) for name in columns.of_member]
    asked = [
        f"count({y}) AS __n{i}, min({y})::DOUBLE AS __low{i}, max({y})::DOUBLE AS __high{i}, "
        f"coalesce(bool_and(isfinite({y}::DOUBLE) AND {y} = trunc({y})), false) AS __is_whole{i}, "
        f"count_if(({y}) <> 0) AS __uses{i}"
        for i, y in enumerate(rows.outcomes.values())
    ]
    frame = connection.execute(
        f"SELECT {', '.join(names)}, {rows.month} AS __month, {rows.label} AS __label, "
        f"count(*) AS __rows, count({rows.member}) AS __ids, {', '.join(asked)} "
        f"FROM panel WHERE {rows.condition} GROUP BY {', '.join(names)}, __month"
    ).df()
    n_rows = frame["__rows"].sum()
    if columns.at_risk is not None and _number(
        connection, f"SELECT count(*) FROM panel WHERE {rows.condition} IS NULL"
    ):
        return None
    is_sound = len(frame) and (frame["__ids"] == frame["__rows"]).all()
    if not is_sound or frame["__month"].isna().any():
        return None
    types = {}
    for i, name in enumerate(rows.outcomes):
        low, high = frame[f"__low{i}"].min(), frame[f"__high{i}"].max()
        fits = (
            (frame[f"__n{i}"] == frame["__rows"]).all()
            and frame[f"__is_whole{i}"].all()
            and -LARGEST < low <= high < LARGEST
            and frame[f"__uses{i}"].sum() <= MOST_USE * n_rows
        )
        if not fits:
            return None
        types[name] = "UTINYINT" if low >= 0 and high <= np.iinfo(np.uint8).max else "SMALLINT"
    ordinals = np.unique(frame["__month"].to_numpy(dtype=np.int64))
    if ordinals[-1] - ordinals[0] >= MOST_MONTHS:
        return None
    attributes = frame.drop_duplicates("__label").sort_values("__label", ignore_index=True)
    if len(attributes) != len(frame[list(columns.of_member)].drop_duplicates()):
        return None
    return _Counted(
        months=present_months(ordinals, rows.frequency),
        ordinals=ordinals,
        attributes=attributes[list(columns.of_member)],
        hashes=attributes["__label"].to_numpy(dtype=np.uint64),
        types=types,
        in_largest_month=int(frame.groupby("__month")["__rows"].sum().max()),
    )


def _patterns(
    connection: duckdb.DuckDBPyConnection, rows: _Rows, counted: _Counted, mine: str
) -> tuple[CoveragePatterns, np.ndarray] | None:
    """Coverage and use of a share of the members, and the label of each; None where rows repeat.

    Also None where a label changes within a member: the dense route says what is wrong.
    """
    first = int(counted.ordinals[0])
    n_words = 1 + int(counted.ordinals[-1] - first) // WORD
    words = ", ".join(
        f"bit_or(CASE WHEN __bit // {WORD} = {word} THEN 1::UBIGINT << (__bit % {WORD}) "
        f"ELSE 0::UBIGINT END) AS __word{word}"
        if n_words > 1
        else "bit_or(1::UBIGINT << __bit) AS __word0"
        for word in range(n_words)
    )
    # Names of its own: a column of the panel may be called anything.
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE members AS SELECT __id, {words}, count(*) AS __n, "
        f"min(__label) AS __label, max(__label) AS __other FROM (SELECT {rows.member} AS __id, "
        f"({rows.month} - {first})::UTINYINT AS __bit, {rows.label} AS __label FROM panel "
        f"WHERE {rows.condition} AND {mine}) GROUP BY __id"
    )
    listed = ", ".join(f"__word{word}" for word in range(n_words))
    found = connection.execute(
        f"SELECT rowid, {listed}, __n, __label, __label <> __other AS __is_changed FROM members"
    ).fetchnumpy()
    held = np.stack([found[f"__word{word}"] for word in range(n_words)], axis=1)
    is_once = np.bitwise_count(held).sum(axis=1) == found["__n"]
    if found["__is_changed"].any() or not is_once.all():
        return None
    uses = ", ".join(
        f"({value})::{counted.types[name]} AS __y{i}"
        for i, (name, value) in enumerate(rows.outcomes.items())
    )
    used = connection.execute(
        f"SELECT members.rowid::INTEGER AS __place, ({rows.month} - {first})::UTINYINT AS __bit, "
        f"{uses} FROM panel JOIN members ON panel.{rows.member} = members.__id "
        f"WHERE {rows.condition} AND {mine} AND ({rows.some_use()})"
    ).fetchnumpy()
    connection.execute("DROP TABLE members")
    # Rows come in the order of the table; put right where they should not.
    order = np.argsort(found["rowid"], kind="stable")
    place = np.full(int(counted.ordinals[-1] - first) + 1, -1, dtype=np.int64)
    place[counted.ordinals - first] = np.arange(len(counted.ordinals))
    patterns = CoveragePatterns(
        words=held[order],
        bits=counted.ordinals - first,
        member=used["__place"],
        month=place[used["__bit"]],
        values={name: used[f"__y{i}"] for i, name in enumerate(rows.outcomes)},
    )
    return patterns, np.searchsorted(counted.hashes, found["__label"][order])


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    """The one number a query gives."""
    return int(connection.execute(query).fetchall()[0][0])


def _quoted(name: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
