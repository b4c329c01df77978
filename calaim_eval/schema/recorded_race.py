"""Recorded values of race and ethnicity to the categories each member has.

However a source lays them out: one column with several codes in it, a yes/no column for each
category, or a row for each code. Nothing is guessed: a value that the schema does not have is
counted, and the member counts by what the other values say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.overlapping import IN_COMBINATION, JOIN
from calaim_eval.schema.race_displays import (
    RaceDisplay,
    check_display,
    display_words,
    shown_group,
)
from calaim_eval.schema.race_ethnicity import SEVERAL_CODES_SEPARATOR
from calaim_eval.schema.race_schemas import NO_ANSWER, RaceSchema, race_schema

NOT_IN_SCHEMA = "value is not in the schema (not counted)"
NOTHING_RECORDED = "nothing is recorded (unknown)"
BESIDE = "an answer stands beside a non-answer (the answer counts)"
SEVERAL_OF_ONE = "several categories where the source records one (all count)"
_YES_NO = {
    **dict.fromkeys(("1", "TRUE", "YES", "Y"), True),
    **dict.fromkeys(("0", "FALSE", "NO", "N"), False),
}


@dataclass(frozen=True, eq=False)
class RecordedCategories:
    """Which categories of race and ethnicity each member has.

    Attributes
    ----------
    schema : RaceSchema
    members : pd.DataFrame
        One row per member: `member_id`, a boolean column for each category of the schema, and
        `declined` and `unknown`, of which one is true where no category is.
    reasons : pd.DataFrame
        `column`, `reason`, `n_values`, `n_members`: values that name no category, and why. Holds
        no member and no value.
    """

    schema: RaceSchema
    members: pd.DataFrame
    reasons: pd.DataFrame

    def groups(self, display: RaceDisplay, *, priority: Sequence[str] = ()) -> pd.DataFrame:
        """The group each member is shown in.

        Parameters
        ----------
        display : {"hispanic_first", "alone", "in_combination", "primary"}
        priority : sequence of str
            For `primary`: which of several categories goes first.

        Returns
        -------
        pd.DataFrame
            `member_id` and `race_ethnicity`; in combination `race_ethnicity_in_combination`, all
            categories of the member joined by ``";"`` (`rate_by_group` makes a row of each).

        Raises
        ------
        TableError
            The display is none; or it is `primary`, members have several categories and no
            order is given, or the order names something that is no category.
        """
        check_display(display)
        columns = [*self.schema.categories, *NO_ANSWER]
        sets = self.members[columns].to_numpy(dtype=bool)
        if display == "primary":
            self._check_priority(priority, sets[:, : len(self.schema.categories)])
        bits = sets @ (1 << np.arange(len(columns)))
        _, first, which = np.unique(bits, return_index=True, return_inverse=True)
        labels = [
            shown_group(
                {name for name, has in zip(columns, pattern, strict=True) if has},
                display=display,
                priority=priority,
            )
            for pattern in sets[first]
        ]
        name = IN_COMBINATION if display == "in_combination" else "race_ethnicity"
        shown = np.array(labels, dtype=object)[which].astype(str)
        return pd.DataFrame({"member_id": self.members["member_id"], name: shown})

    def counts(self, display: RaceDisplay, *, priority: Sequence[str] = ()) -> pd.Series:
        """Members in each group of a display; in combination they do not add up.

        Returns
        -------
        pd.Series
            By group, in display order, groups that nobody is in as 0; American Indian and Alaska
            Native, Native Hawaiian and Pacific Islander, `declined` and `unknown` always there.
        """
        labels = self.groups(display, priority=priority).iloc[:, 1].value_counts()
        rows = labels.rename_axis("group").reset_index(name="n")
        rows["group"] = rows["group"].str.split(JOIN)
        n = rows.explode("group").groupby("group")["n"].sum()
        order = dict.fromkeys((*self.schema.categories, "multiple"))
        return n.reindex([*order, *NO_ANSWER], fill_value=0).astype(int).rename("n_members")

    def words(self, display: RaceDisplay, *, priority: Sequence[str] = ()) -> str:
        """The sentence by which every output says which display it is in."""
        return display_words(display, schema=self.schema.title, priority=priority)

    def _check_priority(self, priority: Sequence[str], has: np.ndarray) -> None:
        """Raise unless the order can decide."""
        several = int((has.sum(axis=1) > 1).sum())
        unknown = [each for each in priority if each not in self.schema.categories]
        if unknown:
            listed = ", ".join(f"'{each}'" for each in self.schema.categories)
            raise TableError(
                f"`priority` names {', '.join(map(repr, unknown))}, no category of "
                f"`{self.schema.name}`.\n  Its categories: {listed}."
            )
        if several and not priority:
            raise TableError(
                f"display 'primary': {_about(several)} members have several categories and nothing "
                "says which goes first.\n"
                "  State the order in `priority`, or use display='alone'."
            )

    def __repr__(self) -> str:
        n = int(self.reasons.loc[self.reasons["column"] != "", "n_values"].sum())
        return (
            f"RecordedCategories({_about(len(self.members))} members, {self.schema.title}; "
            f"{_about(n)} values name no category)"
        )


def recorded_categories(
    frame: pd.DataFrame,
    *,
    schema: str,
    values: Sequence[str] = (),
    systems: Mapping[str, str] | None = None,
    yes_no: Mapping[str, str] | None = None,
    member_id: str = "member_id",
    separator: str = SEVERAL_CODES_SEPARATOR,
) -> RecordedCategories:
    """Categories of race and ethnicity each member has, from values as recorded.

    Parameters
    ----------
    frame : pd.DataFrame
        One row per member, or several (a row for each code): what the rows of a member name is
        put together. Not changed.
    schema : str
        A declared schema; `race_schemas` lists them.
    values : sequence of str
        Columns with codes or words, several of them parted by `separator`.
    systems : mapping of str to str, optional
        Column of codes to the column that names their code system. Without it a code is looked up
        in the schema's own systems.
    yes_no : mapping of str to str, optional
        Yes/no columns and the category each stands for (1, true, yes; 0, false, no; missing).
        HMIS schemas have their own columns and need none.
    member_id : str
        Column with the member.
    separator : str

    Returns
    -------
    RecordedCategories

    Raises
    ------
    TableError
        No column is named, one is missing, or a category is none of the schema.

    Examples
    --------
    >>> frame = pd.DataFrame({"member_id": ["a", "b", "c"],
    ...                       "race": ["Black or African American;White", "purple", None]})
    >>> found = recorded_categories(frame, schema="omb_2024", values=["race"])
    >>> found.counts("in_combination")[["black", "white", "unknown"]].tolist()
    [1, 1, 2]
    >>> found.reasons[["reason", "n_values"]].values.tolist()
    [['value is not in the schema (not counted)', 1], ['nothing is recorded (unknown)', 1]]
    """
    declared = race_schema(schema)
    columns = dict(yes_no or {})
    own = () if yes_no or values else tuple(declared.columns)
    _check(
        frame, declared, [member_id, *values, *columns, *own, *(systems or {}).values()], columns
    )
    who, ids = pd.factorize(frame[member_id])
    n = len(ids)
    if (who < 0).any():
        raise TableError(
            f"`{member_id}` is missing in {_about(int((who < 0).sum()))} rows.\n"
            "  Leave the rows out, or give their member."
        )
    has = {name: np.zeros(n, dtype=bool) for name in (*declared.categories, *NO_ANSWER)}
    book = _Book(n, who, has)
    is_blank = np.ones(n, dtype=bool)
    for name in values:
        system = frame[systems[name]] if systems and name in systems else None
        is_blank[who[_take_values(frame[name], system, name, declared, separator, book)]] = False
    for name in (*columns, *own):
        codes = _as_text(frame[name])
        meaning = _meaning(name, columns, declared)
        is_blank[who[_take_codes(codes, name, meaning, declared, book)]] = False
    return book.close(ids, declared, is_blank)


def _about(count: int) -> str:
    """A count of members or values in words, never a number from 1 to 10."""
    if not count:
        return "0"
    return "fewer than 11" if count < 11 else f"about {10 * round(count / 10):,}"


@dataclass
class _Book:
    """Categories found so far, and the reasons of values that name none."""

    n: int
    who: np.ndarray
    has: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        self.reasons: list[tuple[str, str, int, int]] = []

    def note(self, column: str, reason: str, rows: np.ndarray) -> None:
        """Count values of a column, by row."""
        if len(rows):
            self.reasons.append((column, reason, len(rows), len(np.unique(self.who[rows]))))

    def close(
        self, ids: pd.Index | np.ndarray, schema: RaceSchema, is_blank: np.ndarray
    ) -> RecordedCategories:
        """Members without a category get `declined` or `unknown`; reasons by member are added."""
        named = np.column_stack([self.has[name] for name in schema.categories])
        is_named = named.any(axis=1)
        refused = self.has["declined"] | self.has["unknown"]
        by_member = [(BESIDE, is_named & refused), (NOTHING_RECORDED, is_blank)]
        if not schema.allows_several:
            by_member.append((SEVERAL_OF_ONE, named.sum(axis=1) > 1))
        for reason, members in by_member:
            if members.any():
                self.reasons.append(("", reason, int(members.sum()), int(members.sum())))
        declined = ~is_named & self.has["declined"]
        members = pd.DataFrame(
            {
                "member_id": np.asarray(ids),
                **{name: self.has[name] for name in schema.categories},
                "declined": declined,
                "unknown": ~is_named & ~declined,
            }
        )
        names = ["column", "reason", "n_values", "n_members"]
        return RecordedCategories(schema, members, pd.DataFrame(self.reasons, columns=names))


def _check(
    frame: pd.DataFrame, schema: RaceSchema, named: Sequence[str], yes_no: Mapping[str, str]
) -> None:
    """Raise unless the columns are there and stand for categories of the schema."""
    missing = [each for each in dict.fromkeys(named) if each not in frame.columns]
    if missing:
        has = ", ".join(f"`{each}`" for each in frame.columns)
        raise TableError(
            f"recorded_categories, `{schema.name}`: the frame lacks "
            f"{', '.join(f'`{each}`' for each in missing)}. It has {has}."
        )
    if len(named) == 1:
        raise TableError(
            f"recorded_categories: `{schema.name}` has no columns of its own.\n"
            "  Name the columns with codes in `values`, or yes/no columns in `yes_no`."
        )
    known = tuple(dict.fromkeys((*schema.categories, *schema.folds, *NO_ANSWER)))
    wrong = [each for each in yes_no.values() if each not in known]
    if wrong:
        raise TableError(
            f"`yes_no` names {', '.join(map(repr, wrong))}, no category of `{schema.name}`.\n"
            f"  Its categories: {', '.join(map(repr, known))}."
        )


def _as_text(values: pd.Series) -> pd.Series:
    """Recorded values as text, ``""`` where missing; a whole number has no decimals."""
    if pd.api.types.is_bool_dtype(values) or isinstance(values.dtype, pd.BooleanDtype):
        values = values.astype("object").map({True: "1", False: "0"})
    elif pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    return values.astype("string").fillna("").str.strip().astype("str").reset_index(drop=True)


def _take_values(
    values: pd.Series,
    system: pd.Series | None,
    column: str,
    schema: RaceSchema,
    separator: str,
    book: _Book,
) -> np.ndarray:
    """Read a column of codes; rows with any value."""
    text = _as_text(values)
    under = _as_text(system) if system is not None else pd.Series([""] * len(text))
    pairs = pd.DataFrame({"text": text, "system": under})
    which, unique = pd.factorize(pd.MultiIndex.from_frame(pairs))
    found: dict[str, list[bool]] = {name: [] for name in book.has}
    unlisted = np.zeros(len(unique), dtype=int)
    for at, (recorded, name) in enumerate(unique):
        codes = [each for each in recorded.split(separator) if each.strip()]
        named = [schema.category_of(each, name if system is not None else None) for each in codes]
        unlisted[at] = named.count(None)
        for category, rows in found.items():
            rows.append(category in named)
    for category, is_named in found.items():
        named_in = np.flatnonzero(np.array(is_named, dtype=bool)[which])
        book.has[category][book.who[named_in]] = True
        if category in NO_ANSWER:
            book.note(column, f"recorded as {category}", named_in)
    book.note(column, NOT_IN_SCHEMA, np.repeat(np.arange(len(which)), unlisted[which]))
    return np.flatnonzero((text != "").to_numpy())


def _meaning(
    column: str, yes_no: Mapping[str, str], schema: RaceSchema
) -> dict[str, tuple[str, str]]:
    """Code of a yes/no column to category and to the words for it."""
    if column in yes_no:
        category = yes_no[column]
        return {code: (category if yes else "", code) for code, yes in _YES_NO.items()}
    codes = schema.columns[column]
    return {code: (category, schema.labels[column, code]) for code, category in codes.items()}


def _take_codes(
    codes: pd.Series,
    column: str,
    meaning: Mapping[str, tuple[str, str]],
    schema: RaceSchema,
    book: _Book,
) -> np.ndarray:
    """Read a yes/no column; rows with any value."""
    text = codes.str.upper()
    for code, (category, label) in meaning.items():
        rows = np.flatnonzero((text == code).to_numpy())
        if category:
            book.has[schema.folds.get(category, category)][book.who[rows]] = True
        if category in NO_ANSWER:
            book.note(column, f"{label} ({category})", rows)
    is_listed = text.isin(list(meaning)) | (text == "")
    book.note(column, NOT_IN_SCHEMA, np.flatnonzero(~is_listed.to_numpy()))
    return np.flatnonzero((text != "").to_numpy())
