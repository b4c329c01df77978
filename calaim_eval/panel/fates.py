"""What became of rows that land in a member's month: used, or the counted reason they were not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.claim_standing import FINAL
from calaim_eval.panel.program_contacts import CONTACT_TYPES
from calaim_eval.panel.spans import cut_by_month, month_number
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

UNKNOWN_MEMBER = "unknown member"
OUTSIDE_WINDOW = "outside the window"
OUTSIDE_COVERAGE = "outside coverage"
NOT_RECEIVED = "authorized or denied, not received"
REPEATED_CONTACT = "repeats a contact of the day"
NO_MONTH = "no month in the panel"
NOT_IN_PAID = "in the panel's months, not part of `paid_usd`"


@dataclass(frozen=True)
class Landing:
    """Months that rows can land in.

    Attributes
    ----------
    months : Table
        `member`, `month` and `month_reason`: ``"used"``, or why the month is not in the panel.
    """

    bucket: Bucket
    months: Table


def landing(bucket: Bucket, candidates: Table) -> Landing:
    """Months of the bucket."""
    reason = candidates["reason"].fill_null(USED)
    return Landing(bucket, candidates.select("member", "month", month_reason=reason))


def with_fate(rows: Table, land: Landing) -> Table:
    """Rows with `member` (missing for one nobody knows) and `month`, and their `reason`."""
    months = land.bucket.months
    joined = rows.left_join(land.months, ["member", "month"])
    reason = ibis.cases(
        (joined["member"].isnull(), UNKNOWN_MEMBER),
        (~joined["month"].between(number_of(months[0]), number_of(months[-1])), OUTSIDE_WINDOW),
        (joined["month_reason"].isnull(), OUTSIDE_COVERAGE),
        else_=joined["month_reason"],
    )
    return joined.mutate(reason=reason).select(*rows.columns, "reason")


def claim_account(bucket: Bucket, name: str, claims: Table, land: Landing) -> Table:
    """Lines and dollars of a claim table by member, month and `reason`; every line is in it."""
    grouped = claims.group_by("member", "month", "standing").agg(
        n_rows=claims.count(), paid_usd=claims["paid_amount"].sum().fill_null(0.0)
    )
    fated = with_fate(bucket.keep(f"{name}_grouped", grouped), land)
    is_final = fated["standing"] == FINAL
    reason = ibis.ifelse(is_final, fated["reason"], fated["standing"])
    if name == "pharmacy_claim" and bucket.rules.paid_claims == "medical":
        reason = ibis.ifelse(reason == USED, NOT_IN_PAID, reason)
    return bucket.keep(f"{name}_account", fated.mutate(reason=reason))


def record_outcomes(bucket: Bucket, land: Landing) -> Table:
    """What became of each program record: `reason`, `n_rows`, and `remark` on kept ones."""
    records = bucket.read("program_service")
    key = ["member", "program", "service", "record_type", "record_date"]
    place = ibis.row_number().over(ibis.window(group_by=key))
    ordered = records.mutate(month=month_number(records["record_date"]), place=place)
    fated = with_fate(ordered, land)
    is_contact = fated["record_type"].isin(CONTACT_TYPES)
    reason = ibis.cases(
        (fated["reason"] == UNKNOWN_MEMBER, UNKNOWN_MEMBER),
        (~is_contact, NOT_RECEIVED),
        (fated["place"] > 0, REPEATED_CONTACT),
        else_=USED,
    )
    told = fated.select(
        "reason", outcome=reason, remark=_remark(fated["reason"], is_used=reason == USED)
    )
    return told.group_by(reason=told["outcome"], remark=told["remark"]).agg(n_rows=told.count())


def _remark(month_reason: Value, *, is_used: Value) -> Value:
    """Remark on a record that dates an exposure but is in no month of the panel."""
    text = ibis.literal("dates the exposure only: ") + month_reason
    return ibis.ifelse(is_used & (month_reason != USED), text, "")


def custody_outcomes(bucket: Bucket, land: Landing, spells: Table) -> Table:
    """What became of each custody spell: `reason` and `n_rows`."""
    numbered = bucket.keep("numbered_spells", spells.mutate(spell=ibis.row_number()))
    pieces = cut_by_month(numbered, bucket.calendar).select("spell", "member", "month")
    fated = with_fate(pieces, land)
    landed = fated.group_by("spell").agg(
        is_used=(fated["reason"] == USED).max(), month_reason=fated["reason"].min()
    )
    joined = numbered.left_join(landed, "spell")
    reason = ibis.cases(
        (joined["member"].isnull(), UNKNOWN_MEMBER),
        (joined["month_reason"].isnull(), OUTSIDE_WINDOW),
        (joined["is_used"], USED),
        else_=joined["month_reason"],
    )
    told = joined.select(reason=reason)
    return told.group_by("reason").agg(n_rows=told.count())


def person_outcomes(bucket: Bucket, candidates: Table) -> Table:
    """Persons with a month in the panel, and those without."""
    months = candidates.filter(candidates["reason"].isnull())
    inside = months.select("member").distinct().mutate(is_inside=ibis.literal(True))
    joined = bucket.read("person").left_join(inside, "member")
    told = joined.select(reason=ibis.ifelse(joined["is_inside"].fill_null(False), USED, NO_MONTH))
    return told.group_by("reason").agg(n_rows=told.count())
