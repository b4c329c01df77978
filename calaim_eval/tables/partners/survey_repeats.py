"""Repeating instruments of REDCap: the answers of one respondent lie in several rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.tables.partners.text_rows import FileRows

INSTRUMENT, INSTANCE = "redcap_repeat_instrument", "redcap_repeat_instance"
LABELS = {"Repeat Instrument": INSTRUMENT, "Repeat Instance": INSTANCE}
"""Heads of the two columns in an export with labels."""
OWN_ROW = "record with repeated instruments, no answer in its own row (organization and role taken)"
OLDER_INSTANCE = "earlier instance of an instrument in the same wave; the last is kept"
JOINED = "another instrument of the same respondent and wave (answers joined to the first row)"
_KEY = ["respondent_id", "wave_date"]
_TAKEN = ("wave_date", "organization_id", "respondent_role")
_UNTICKED = frozenset({"0", "unchecked"})


def has_repeats(rows: FileRows) -> bool:
    """Whether the export has rows of repeating instruments."""
    return bool(_is_repeat(rows).any())


def complete_repeats(rows: FileRows, items: Sequence[str], boxes: Sequence[str]) -> None:
    """Give rows of repeating instruments what stands in the own row of their record.

    REDCap writes wave, organization and role once, in the record's own row: of the same wave, else
    in the only one that says so. An own row without an answer is then set aside.
    """
    frame, is_repeat = rows.frame, _is_repeat(rows)
    own = frame[rows.is_open & ~is_repeat.to_numpy()]
    for column in _TAKEN:
        found = _told_by(own, column, frame)
        is_lacking = is_repeat & frame[column].isna() & found.notna()
        frame[column] = frame[column].mask(is_lacking, found)
    repeated = frame.loc[rows.is_open & is_repeat.to_numpy(), "respondent_id"]
    answered = _answered(frame, items, boxes).any(axis=1)
    rows.set_aside(~is_repeat & frame["respondent_id"].isin(repeated) & ~answered, OWN_ROW)


def _told_by(own: pd.DataFrame, column: str, frame: pd.DataFrame) -> pd.Series:
    """What the own row of each row's record says in a column; missing where several differ."""
    told = own.dropna(subset=column).groupby("respondent_id")[column]
    only = told.first()[told.agg(lambda values: len(set(values))) < 2]
    found = frame["respondent_id"].map(only).astype(object)
    if column == "wave_date":
        return found
    of_wave = own.dropna(subset=column).drop_duplicates(_KEY).set_index(_KEY)[column]
    same = of_wave.reindex(pd.MultiIndex.from_frame(frame[_KEY])).to_numpy(dtype=object)
    return found.mask(pd.notna(same), pd.Series(same, frame.index, dtype=object))


def keep_last_instance(rows: FileRows) -> None:
    """Of instances of one instrument in one wave keep that of the highest number.

    Those that say when they were recorded are left to be told apart by that.
    """
    number = pd.to_numeric(rows[INSTANCE], errors="coerce")
    has_order = rows.is_open & number.notna().to_numpy() & rows["recorded"].isna().to_numpy()
    ordered = rows.frame.assign(number=number)[has_order].sort_values("number", kind="stable")
    older = ordered.index[ordered.duplicated([*_KEY, INSTRUMENT], keep="last").to_numpy(dtype=bool)]
    rows.set_aside(rows.frame.index.isin(older), OLDER_INSTANCE)


def join_instruments(rows: FileRows, items: Sequence[str], boxes: Sequence[str]) -> None:
    """Put the answers of several instruments of one respondent and wave into one row."""
    at = np.flatnonzero(rows.is_open)
    # The record's own row first: it says whose answers they are.
    at = at[np.argsort(_is_repeat(rows).to_numpy()[at], kind="stable")]
    of = rows.frame.iloc[at].groupby(_KEY, dropna=False, sort=False).ngroup().to_numpy()
    is_later = pd.Series(of).duplicated().to_numpy()
    if not is_later.any():
        return
    for column in dict.fromkeys((*_TAKEN, *items)):
        given = rows.frame[column].iloc[at].reset_index(drop=True)
        # A box that is not ticked gives way: rows of other instruments have it too.
        told = given.mask(_is_unticked(given)) if column in boxes else given
        best = told.groupby(of).first().reindex(of).to_numpy(dtype=object)
        other = given.groupby(of).first().reindex(of).to_numpy(dtype=object)
        joined = np.where(pd.isna(best), other, best)
        rows.frame.loc[at, column] = pd.Series(joined, at, dtype=object).where(
            pd.notna(joined), None
        )
    is_joined = np.zeros(len(rows.frame), dtype=bool)
    is_joined[at[is_later]] = True
    rows.set_aside(is_joined, JOINED)


def _is_repeat(rows: FileRows) -> pd.Series:
    """Rows of a repeating instrument; a repeating event has whole rows."""
    return rows[INSTRUMENT].notna()


def _answered(frame: pd.DataFrame, items: Sequence[str], boxes: Sequence[str]) -> pd.DataFrame:
    """Which items a row answers; a box that is not ticked is no answer."""
    given = frame[[*items]].notna()
    for column in boxes:
        given[column] &= ~_is_unticked(frame[column])
    return given


def _is_unticked(given: pd.Series) -> pd.Series:
    """Whether a box is told and not ticked."""
    return given.str.lower().isin(_UNTICKED)
