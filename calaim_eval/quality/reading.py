"""What the reading of the files already found, as checks: rows set aside and remarks."""

from __future__ import annotations

import re

import pandas as pd

from calaim_eval.quality.counts import as_counts
from calaim_eval.schema.race_ethnicity import UNLISTED_RACE
from calaim_eval.tables.ledger import NOTICE, USED, RowLedger
from calaim_eval.tables.repeats import EXACT
from calaim_eval.tables.settle import AFTER_DEATH, NO_MEMBER, NO_SPAN
from calaim_eval.tables.stage import READ

_BY_WORDS = (
    ("is missing", "values_missing"),
    ("cannot be read as", "values_unreadable"),
    ("is before 1900 or after", "dates_impossible"),
    ("is an impossible date", "dates_impossible"),
    ("is below", "values_below_minimum"),
    ("is not an allowed value", "values_unlisted"),
    ("is neither", "values_unlisted"),
    ("is not in its code list", "values_unlisted"),
    ("repeats the key", "keys_repeated"),
)
_OUT_OF_ORDER = re.compile(r"^`\w+` is before `\w+`( \(read as missing\))?$")
_NAME = re.compile(r"`(\w+)`")
# Counted again, member by member, in the pass over the checked tables.
_COUNTED_ELSEWHERE = (NO_SPAN, AFTER_DEATH)


def ledger_counts(ledger: RowLedger) -> pd.DataFrame:
    """Rows of the reading's ledger as counts by check, table and columns."""
    frame = ledger.to_frame()
    read = frame[frame["stage"] == READ].groupby("table")["n_rows"].sum()
    told = frame[frame["stage"].isin([READ, NOTICE]) & (frame["reason"] != USED)]
    pieces = []
    for row in told.itertuples(index=False):
        check = check_of_reason(row.reason, row.stage)
        if check is not None and row.table in read.index:
            one = pd.DataFrame({"n": [row.n_rows], "of": [read[row.table]]})
            columns = ",".join(dict.fromkeys(_NAME.findall(row.reason)))
            if check == "members_not_in_eligibility":
                columns = ""
            pieces.append(as_counts(one, check=check, table=row.table, columns=columns))
    return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame()


def check_of_reason(reason: str, stage: str) -> str | None:
    """Check that a reason of the ledger belongs to; None for remarks that are no finding.

    Examples
    --------
    >>> check_of_reason("`paid_date` is before `invoice_received_date`", "read")
    'dates_out_of_order'
    """
    if reason in _COUNTED_ELSEWHERE:
        return None
    if reason == EXACT:
        return "exact_duplicates"
    if reason == NO_MEMBER:
        return "members_not_in_eligibility"
    if reason == UNLISTED_RACE:
        return "values_unlisted"
    if _OUT_OF_ORDER.match(reason):
        return "dates_out_of_order"
    for words, check in _BY_WORDS:
        if words in reason:
            return check
    return "rows_set_aside_otherwise" if stage == READ else None
