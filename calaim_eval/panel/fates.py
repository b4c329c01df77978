"""What became of rows that land in a member's month: used, or the counted reason they were not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.claim_standing import FINAL, REASONS
from calaim_eval.panel.feeds import with_feed_reason
from calaim_eval.panel.landing import (
    IN_PANEL,
    OUTSIDE_WINDOW,
    UNKNOWN_MEMBER,
    Landing,
    outcomes,
    with_landing,
    with_reason,
)
from calaim_eval.panel.program_contacts import CONTACT_TYPES
from calaim_eval.panel.spans import cut_by_month, month_number
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

NOT_RECEIVED = "authorized or denied, not received"
REPEATED_CONTACT = "repeats a contact of the day"
NO_MONTH = "no month in the panel"
UNITS_PER_USD = 10_000
NOT_IN_PAID = "in the panel's months, not part of `paid_usd`"


def claim_sums(claims: Table) -> Table:
    """Lines of a claim table by `member`, `month` and `standing`: `n_rows`, `units`.

    Every line is in it. Amounts are whole hundredths of a cent: a sum of whole numbers is the same
    in any order.
    """
    units = (claims["paid_amount"].fill_null(0.0) * UNITS_PER_USD).round().cast("int64")
    narrow = claims.select("member", "month", "standing", units=units)
    return narrow.group_by("member", "month", "standing").agg(
        n_rows=narrow.count(), units=narrow["units"].sum()
    )


def claim_account(bucket: Bucket, name: str, sums: Table, land: Landing) -> Table:
    """`claim_sums` of a claim table with their `landing`, held."""
    return bucket.keep(f"{name}_account", with_landing(sums, land))


def claim_outcomes(bucket: Bucket, name: str, account: Table, land: Landing) -> Table:
    """Lines and dollars of a claim table by `reason`; every line is in it."""
    fated = outcomes(account, land, by=["standing"], sums=["n_rows", "units"])
    reason = fated["standing"].cases(*REASONS.items(), else_=fated["reason"])
    if name == "pharmacy_claim" and bucket.rules.paid_claims == "medical":
        reason = ibis.ifelse(reason == USED, NOT_IN_PAID, reason)
    told = fated.mutate(reason=reason)
    return told.group_by("reason").agg(
        n_rows=told["n_rows"].sum(), paid_usd=told["units"].sum() / UNITS_PER_USD
    )


def paid_in_panel(account: Table) -> Table:
    """Dollars of lines that count and land in the panel: `member`, `month`, `value`."""
    final = account.filter((account["standing"] == FINAL) & (account["landing"] == IN_PANEL))
    return final.select("member", "month", value=final["units"] / UNITS_PER_USD)


def record_outcomes(bucket: Bucket, land: Landing) -> Table:
    """What became of each program record: `reason`, `n_rows`, and `remark` on kept ones."""
    records = bucket.read("program_service")
    key = ["member", "program", "service", "record_type", "record_date"]
    place = ibis.row_number().over(ibis.window(group_by=key))
    ordered = records.mutate(month=month_number(records["record_date"]), place=place)
    fated = with_reason(ordered, land)
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


def custody_outcomes(bucket: Bucket, land: Landing, unfed: Table | None, spells: Table) -> Table:
    """What became of each custody spell: `reason` and `n_rows`."""
    numbered = bucket.keep("numbered_spells", spells.mutate(spell=ibis.row_number()))
    pieces = cut_by_month(numbered, bucket.calendar).select("spell", "member", "month")
    fated = with_feed_reason(with_reason(pieces, land), unfed, "custody")
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
