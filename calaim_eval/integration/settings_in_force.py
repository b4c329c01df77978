"""Settings that hold from a day until the next one: which row is in force on a day."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

_ALWAYS = pd.Timestamp.min.ceil("D")


def not_in_force(
    rows: pd.DataFrame, *, key: Sequence[str], value: str, day: pd.Timestamp
) -> dict[str, pd.Series]:
    """Reasons a row does not say what holds on the day, for `set_aside`.

    A row holds from its `effective_date` until the next row of its key; without a date it always
    held, until the first row with one.

    Parameters
    ----------
    rows : pd.DataFrame
        With `key`, `value` and ``effective_date``.
    key : sequence of str
    value : str
        Column of the setting.
    day : pd.Timestamp

    Returns
    -------
    dict[str, pd.Series]
        Boolean, one a row; a row for which none is true is in force.
    """
    is_missing = rows[[*key, value]].isna().any(axis=1)
    is_later = rows["effective_date"] > day
    since = rows["effective_date"].fillna(_ALWAYS).where(~is_missing & ~is_later)
    newest = since.groupby([rows[c] for c in key], dropna=False).transform("max")
    return {
        "who, what or setting missing": is_missing,
        "not yet in force": is_later,
        "replaced by a later row": since.notna() & (since != newest),
    }
