"""Monthly statements of a referral's status to referrals: when it was made, accepted, closed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

KEY = ("plan", "member_id", "organization_id", "service")
FINAL = ("declined", "closed")
SEEN_LATE = (
    "referral first stated when it was no longer pending (referred on that day at the latest)"
)
CLOSED_FIRST = "closed before it was opened (kept; the day of closing is read as missing)"
REPEATED = "status stated again, as it was"


@dataclass
class _Loop:
    """One referral while its statements are read."""

    referred: pd.Timestamp
    accepted: pd.Timestamp | None = None
    closed: pd.Timestamp | None = None
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
    another. What a later file says of a day that is told already changes nothing.
    """
    remarks: Counter[str] = Counter()
    order = {"pending": 0, "accepted": 1, "declined": 2, "closed": 3}
    rows = statements.assign(rank=statements["status"].map(order))
    rows = rows.sort_values(["produced", "day", "rank"], kind="stable", na_position="first")
    found = []
    for key, group in rows.groupby(list(KEY), sort=True, dropna=False):
        plain = [None if pd.isna(each) else str(each) for each in key]
        for number, loop in enumerate(_loops(group, remarks)):
            found.append(_row(plain, loop, number))
    return pd.DataFrame(found), remarks


def _loops(group: pd.DataFrame, remarks: Counter[str]) -> Iterator[_Loop]:
    """Referrals of one plan, member, provider and service, one after the other."""
    current: _Loop | None = None
    told: set[tuple[pd.Timestamp, str]] = set()
    for day, status, reason in group[["day", "status", "reason"]].itertuples(index=False):
        if (day, status) in told:
            remarks[REPEATED] += 1
            continue
        told.add((day, status))
        if current is not None and _is_next(current, day, status):
            yield current
            current = None
        if current is None:
            current = _Loop(day)
            remarks[SEEN_LATE] += status != "pending"
        _state(current, day, status, reason, remarks)
    if current is not None:
        yield current


def _is_next(loop: _Loop, day: pd.Timestamp, status: str) -> bool:
    """Whether a statement is of another referral, after one that has ended."""
    has_ended = loop.status in FINAL
    return has_ended and status not in FINAL and (loop.closed is None or day > loop.closed)


def _state(
    loop: _Loop, day: pd.Timestamp, status: str, reason: str | None, remarks: Counter[str]
) -> None:
    """Take one statement."""
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


def _row(key: list[str | None], loop: _Loop, number: int) -> dict[str, object]:
    """A referral as a row; its identifier is the same whenever the files are read again."""
    plan, member, organization, service = key
    parts = "|".join([*(each or "" for each in key), str(number)])
    identifier = f"loop:{hashlib.sha256(parts.encode()).hexdigest()[:20]}"
    return {
        "referral_id": identifier,
        "root_referral_id": identifier,
        "member_id": member,
        "from_organization_id": plan,
        "to_organization_id": organization,
        "plan": plan,
        "service": service,
        "referred_date": loop.referred,
        "accepted_date": loop.accepted,
        "closed_date": loop.closed,
        "referral_status": loop.status,
        "closure_reason": loop.reason if loop.status in FINAL else None,
    }
