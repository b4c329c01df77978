"""Monthly statements of a referral's status to referrals: when it was made, accepted, closed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import pandas as pd

KEY = ("plan", "member_id", "organization_id", "service")
FINAL = ("declined", "closed")
SEEN_LATE = (
    "referral first stated when it was no longer pending (referred on that day at the latest)"
)
CLOSED_FIRST = "closed before it was opened (kept; the day of closing is read as missing)"
REPEATED = "status stated again, as it was"


_RANKS = {"pending": 0, "accepted": 1, "declined": 2, "closed": 3}

Statement = tuple[int, int, str, str | None]
"""Number of the plan, member, provider and service; day; status; reason."""


@dataclass
class _Loop:
    """One referral while its statements are read; days are counted from 1970."""

    of: int
    number: int
    referred: int
    accepted: int | None = None
    closed: int | None = None
    status: str = "pending"
    reason: str | None = None


def fold_statements(statements: pd.DataFrame) -> tuple[pd.DataFrame, Counter[str]]:
    """Referrals out of statements.

    Parameters
    ----------
    statements : pd.DataFrame
        One row a statement: `plan`, `member_id`, `organization_id`, `service` (which may be
        missing), `day`, `status` (pending, accepted, declined, closed), `reason`, `produced` (day
        of the file, which may be missing).

    Returns
    -------
    pd.DataFrame
        Columns of the table `referral`.
    Counter
        Remarks with their number of statements.

    Notes
    -----
    Statements are read file by file, by day within one. The first of a plan, member, provider and
    service opens a referral; one that is pending or accepted after a referral has ended opens
    another. What a later file says of a day that is told already changes nothing, and the same
    ending stated again for a later day adds no more than a reason that was missing.
    """
    remarks: Counter[str] = Counter()
    loops: list[_Loop] = []
    of = statements.groupby(list(KEY), sort=True, dropna=False).ngroup()
    for _, group in groupby(_in_order(statements, of), key=itemgetter(0)):
        loops += _loops(group, remarks)
    first = statements[list(KEY)].assign(of=of).drop_duplicates("of").set_index("of")
    return _frame(loops, first), remarks


def _in_order(statements: pd.DataFrame, of: pd.Series) -> list[Statement]:
    """Statements by what they are about, then file, day and status."""
    day, produced = (
        statements[name].to_numpy().astype("datetime64[D]").astype("int64")
        for name in ("day", "produced")
    )
    rank = statements["status"].map(_RANKS).to_numpy()
    # A missing day of the file is the smallest number: such statements go first.
    order = np.lexsort((rank, day, produced, of.to_numpy()))
    columns = (of, pd.Series(day), statements["status"], statements["reason"])
    return list(zip(*(column.to_numpy()[order].tolist() for column in columns), strict=True))


def _loops(group: Iterator[Statement], remarks: Counter[str]) -> list[_Loop]:
    """Referrals of one plan, member, provider and service, one after the other."""
    found: list[_Loop] = []
    told: set[tuple[int, str]] = set()
    for of, day, status, reason in group:
        if (day, status) in told:
            remarks[REPEATED] += 1
            continue
        told.add((day, status))
        if not found or _is_next(found[-1], day, status):
            found.append(_Loop(of, len(found), day))
            remarks[SEEN_LATE] += status != "pending"
        _state(found[-1], day, status, reason, remarks)
    return found


def _is_next(loop: _Loop, day: int, status: str) -> bool:
    """Whether a statement is of another referral, after one that has ended."""
    has_ended = loop.status in FINAL
    return has_ended and status not in FINAL and (loop.closed is None or day > loop.closed)


def _state(loop: _Loop, day: int, status: str, reason: str | None, remarks: Counter[str]) -> None:
    """Take one statement."""
    if status == loop.status and status in FINAL and loop.closed is not None:
        remarks[REPEATED] += 1
        loop.reason = loop.reason or reason
        return
    if status in FINAL:
        is_early = day < loop.referred
        remarks[CLOSED_FIRST] += is_early
        loop.status, loop.reason = status, reason
        loop.closed = None if is_early else day
        return
    if loop.status in FINAL:
        return
    loop.referred = min(loop.referred, day)
    if status == "accepted":
        loop.accepted = day if loop.accepted is None else min(loop.accepted, day)
        loop.status = "accepted"


def _frame(loops: list[_Loop], about: pd.DataFrame) -> pd.DataFrame:
    """Referrals as rows; an identifier is the same whenever the files are read again."""
    rows = about.loc[[loop.of for loop in loops]].reset_index(drop=True)
    rows = rows.astype(object).where(rows.notna(), None)
    words = rows.fillna("").agg("|".join, axis=1) if len(rows) else pd.Series([], dtype=object)
    identifiers = [
        f"loop:{hashlib.sha256(f'{text}|{loop.number}'.encode()).hexdigest()[:20]}"
        for text, loop in zip(words, loops, strict=True)
    ]
    return pd.DataFrame(
        {
            "referral_id": identifiers,
            "root_referral_id": identifiers,
            "member_id": rows["member_id"],
            "from_organization_id": rows["plan"],
            "to_organization_id": rows["organization_id"],
            "plan": rows["plan"],
            "service": rows["service"],
            "referred_date": _days([loop.referred for loop in loops]),
            "accepted_date": _days([loop.accepted for loop in loops]),
            "closed_date": _days([loop.closed for loop in loops]),
            "referral_status": [loop.status for loop in loops],
            "closure_reason": [loop.reason if loop.status in FINAL else None for loop in loops],
        }
    )


def _days(counted: list[int] | list[int | None]) -> pd.Series:
    """Days out of their number from 1970."""
    days = np.array(
        [np.datetime64("NaT", "D") if day is None else np.datetime64(day, "D") for day in counted],
        dtype="datetime64[D]",
    )
    return pd.Series(days.astype("datetime64[s]"))
