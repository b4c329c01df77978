"""Groups by several columns at once, and groups put together on purpose and on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pandas as pd

from calaim_eval.design.ledger import count_words
from calaim_eval.equity.groups import UNKNOWN, check_columns
from calaim_eval.errors import EstimationError
from calaim_eval.moments import CellMoments
from calaim_eval.results import ALL, EffectTable, RateTable
from calaim_eval.results.estimand import CROSSED, JOIN, Method, crossed_columns
from calaim_eval.schema.overlapping import overlapping_columns

KEPT_APART = ("aian", "nhpi", "declined", "unknown")
"""Groups of `race_ethnicity` that are never folded into another."""

Crossed = TypeVar("Crossed", pd.DataFrame, EffectTable, RateTable)
Merged = TypeVar("Merged", pd.DataFrame, CellMoments)


def intersect_groups(source: Crossed, columns: Sequence[str], *, name: str) -> Crossed:
    """One column of groups such as "black & Spanish" from several.

    Use where a group and its reference differ in more than one column ("black & female" against
    "white & male"), or where one column of groups is asked for. Gaps *within* the other columns
    need nothing: ``effect_gap(effects, stratum="race_ethnicity")`` of effects by race and language
    compares within each language.

    Parameters
    ----------
    source : pd.DataFrame, EffectTable or RateTable
        A frame gets the column beside the others; in a table it takes the place of the keys.
    columns : sequence of str
        Two or more, in the order the names are written. A missing value is "unknown".
    name : str
        Of the new column.

    Returns
    -------
    pd.DataFrame, EffectTable or RateTable
        In a table the row that is "all" in every column becomes "all"; rows that are "all" in some
        only are sums of intersections and are left out.

    Raises
    ------
    TableError, EstimationError
        A column is missing, fewer than two are named, the name is taken, or a frame's groups
        overlap.

    Examples
    --------
    >>> frame = pd.DataFrame({"race_ethnicity": ["black", "aian"], "sex": ["female", None]})
    >>> intersect_groups(frame, ["race_ethnicity", "sex"], name="race_by_sex")["race_by_sex"][1]
    'aian & unknown'
    """
    crossed: Crossed = _crossed(source, columns, name)
    return crossed


def _crossed(source: Any, columns: Sequence[str], name: str) -> Any:
    """A frame or table with the crossed column."""
    frame = source if isinstance(source, pd.DataFrame) else source.keys
    check_columns(frame, columns)
    if len(columns) < 2 or name in frame.columns:
        raise EstimationError(
            f"intersect_groups: {len(columns)} columns for the new column `{name}`; it needs two "
            "or more, and a name that is not taken."
        )
    if isinstance(source, pd.DataFrame) and overlapping_columns(columns):
        raise EstimationError(
            f"intersect_groups: groups of `{overlapping_columns(columns)[0]}` overlap, so a member "
            "has several intersections and no one label for them.\n  Take rates by all columns, "
            "and cross those: intersect_groups(rate_by_group(panel, by=[...], ...), ...)."
        )
    labels = frame[list(columns)].astype("string").fillna(UNKNOWN).astype(str)
    is_all = labels.eq(ALL)
    joined = labels.agg(JOIN.join, axis=1).where(~is_all.all(axis=1), ALL)
    if isinstance(source, pd.DataFrame):
        return source.assign(**{name: joined})
    rows = (is_all.all(axis=1) | ~is_all.any(axis=1)).to_numpy()
    others = [c for c in frame.columns if c not in columns]
    keys = frame[others].assign(**{name: joined}).loc[rows].reset_index(drop=True)
    chosen = source.select(rows)
    chosen = replace(chosen, method=_with_crossed(chosen.method, columns, name))
    if isinstance(chosen, EffectTable):
        return replace(chosen, keys=keys)
    return _rates_by(chosen, keys, columns, name)


def _with_crossed(method: Method, columns: Sequence[str], name: str) -> Method:
    """The method that says which columns the new one holds; a crossed column stands for its own."""
    before = crossed_columns(method)
    held = tuple(each for column in columns for each in before.get(column, (column,)))
    crossed = {n: c for n, c in before.items() if n not in columns} | {name: held}
    return replace(method, options={**method.options, CROSSED: crossed})


def _rates_by(rates: RateTable, keys: pd.DataFrame, columns: Sequence[str], name: str) -> RateTable:
    """Rates with the crossed key; margins and shared denominators as they were."""
    own = rates.denominator_keys
    if own is not None and set(own) & set(columns):
        if not set(columns) <= set(own):
            raise EstimationError(
                f"intersect_groups: the denominators of `{rates.measure}` depend on some of "
                f"{list(columns)} only, so they are not those of the intersections.\n"
                f"  Take the rates by the intersection: rate_by_group(frame, by={name!r})."
            )
        own = (*(c for c in own if c not in columns), name)
    margins = tuple(c for c in rates.margins if c not in columns)
    if set(columns) <= set(rates.margins):
        margins = (*margins, name)
    overlaps = tuple(c for c in rates.overlaps if c not in columns)
    if len(overlaps) < len(rates.overlaps):
        overlaps = (*overlaps, name)
    return replace(rates, keys=keys, margins=margins, denominator_keys=own, overlaps=overlaps)


def merge_groups(
    source: Merged, *, column: str, merge: Mapping[str, Sequence[str]], reason: str
) -> tuple[Merged, pd.DataFrame]:
    """Put groups together, explicitly, with a reason and a record.

    Use on the frame or the moments, before rates and effects: those of merged groups can't be had
    from those of their parts.

    Parameters
    ----------
    source : pd.DataFrame or CellMoments
        A frame (with `member_id` members are counted, else rows), or moments with the stratum.
    column : str
        Column of groups.
    merge : mapping of str to sequence of str
        New group and the groups it is made of.
    reason : str
        Why, in words that a reader of the report will see.

    Returns
    -------
    merged : pd.DataFrame or CellMoments
        Groups not named stay as they are. Moments carry the merge in their notes, and so does
        every result from them.
    log : pd.DataFrame
        `column`, `group`, `merged_into`, `members` (in words, fewer than 11 not told), `reason`.

    Raises
    ------
    EstimationError
        A group is not there, is named twice or is a group already; no reason; or, in
        `race_ethnicity`, American Indian and Alaska Native or Native Hawaiian and Pacific Islander
        members, or those who declined or are unknown, would be folded into another group.
    TableError
        The frame lacks the column.
    """
    frame = source.cells if isinstance(source, CellMoments) else source
    check_columns(frame, [column])
    if isinstance(source, CellMoments) and column not in source.stratum:
        raise EstimationError(
            f"merge_groups: `{column}` is no stratum of these moments; they have "
            f"{', '.join(f'`{c}`' for c in source.stratum) or 'none'}."
        )
    into = _mapping(frame[column], column, merge, reason)
    if isinstance(source, CellMoments):
        counts = source.cells.assign(n=source.n_members).groupby(column)["n"].sum()
        merged: Any = _merged_moments(source, column, into, reason)
    else:
        has_ids = "member_id" in frame.columns
        grouped = frame.groupby(column)
        counts = grouped["member_id"].nunique() if has_ids else grouped.size()
        merged = frame.assign(**{column: frame[column].map(lambda group: into.get(group, group))})
    log = pd.DataFrame(
        [(column, old, new, count_words(int(counts[old])), reason) for old, new in into.items()],
        columns=["column", "group", "merged_into", "members", "reason"],
    )
    return merged, log


def _mapping(
    groups: pd.Series, column: str, merge: Mapping[str, Sequence[str]], reason: str
) -> dict[str, str]:
    """Old group to new one, checked."""
    there = set(groups.dropna().unique())
    named = [old for parts in merge.values() for old in parts]
    problems = []
    if not reason.strip():
        problems.append("`reason` is empty")
    if absent := sorted(set(named) - there):
        problems.append(f"not in the data: {', '.join(map(repr, absent))}")
    if len(named) != len(set(named)) or not named:
        problems.append("each group goes into one new group, once")
    if taken := sorted(set(merge) & (there - set(named))):
        problems.append(f"already a group of its own: {', '.join(map(repr, taken))}")
    if column.startswith("race_ethnicity"):
        folded = sorted(
            {old for parts in merge.values() if len(parts) > 1 for old in parts} & set(KEPT_APART)
        )
        if folded:
            problems.append(
                f"never folded into another group: {', '.join(map(repr, folded))} (show the "
                "uncertain estimate, shrink it beside the raw one, or let it be hidden)"
            )
    if problems:
        raise EstimationError(f"merge_groups, `{column}`: " + "; ".join(problems) + ".")
    return {old: new for new, parts in merge.items() for old in parts}


def _merged_moments(
    moments: CellMoments, column: str, into: Mapping[str, str], reason: str
) -> CellMoments:
    """Moments with cells of merged groups added up: members are in one group only."""
    values = moments.cells[column]
    parts = [moments.select(~values.isin(list(into)))]
    for old, new in into.items():
        part = moments.select((values == old).to_numpy())
        parts.append(replace(part, cells=part.cells.assign(**{column: new})))
    filled = [part for part in parts if len(part)]
    whole = filled[0]
    for part in filled[1:]:
        whole = whole + part
    words = [
        f"`{column}`: {', '.join(repr(o) for o, n in into.items() if n == new)} together as "
        f"{new!r}: {reason}"
        for new in dict.fromkeys(into.values())
    ]
    notes = [*moments.provenance.get("notes", []), *words]
    return replace(whole, provenance={**moments.provenance, "notes": notes})
