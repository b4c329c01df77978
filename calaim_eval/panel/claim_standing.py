"""Which version of a claim counts: voids, replacements and denials settled before anything else.

A void cancels the claim it names, and a replacement supersedes it; the last replacement of a claim
counts. A void or replacement that names no other claim acts on its own claim number. A denied
claim neither counts nor supersedes: the version before it stands. A claim that was replaced stays
replaced when its replacement is voided. A claim and its adjustments carry the same member. Lines
that repeat a claim and line number were settled when the table was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.spans import day_number, month_number

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

FINAL, DENIED, VOID, VOIDED, REPLACED = range(5)
REASONS = {DENIED: "denied", VOID: "void record", VOIDED: "voided", REPLACED: "replaced"}
"""Why lines that are not final do not count, in words."""


def bill_type(code: Value) -> Value:
    """Type of bill without its leading zero: two digits of type, then the frequency digit."""
    return ibis.ifelse(code.startswith("0"), code.substr(1), code)


def line_status(claims: Table) -> Value:
    """Status of each line: as recorded, or by the frequency digit of an institutional bill.

    A digit 8 makes a void and 7 a replacement of a claim that is recorded as original, or as
    nothing: many warehouses write "original" on every claim. Denied stays denied.
    """
    return ibis.cases(
        (_is_said(claims, "denied"), "denied"),
        (_is_said(claims, "void"), "void"),
        (_is_said(claims, "replacement"), "replacement"),
        else_="original",
    )


def _is_said(claims: Table, status: str) -> Value:
    """Whether a status is recorded, or the frequency digit of the bill says so."""
    recorded = (claims["claim_status"] == status).fill_null(False)
    digit = {"void": "8", "replacement": "7"}.get(status)
    if digit is None or "bill_type_code" not in claims.columns:
        return recorded
    is_apart = "frequency" in claims.columns
    told = claims["frequency"] if is_apart else bill_type(claims["bill_type_code"]).substr(2, 1)
    return recorded | (told == digit).fill_null(False)


def with_standing(bucket: Bucket, name: str) -> Table:
    """Claim lines of `medical_claim` or `pharmacy_claim` with `standing`, `day` and `month`.

    `standing` is `FINAL`, or the number of a reason why the line does not count. Medical lines also
    have the `frequency` digit of their type of bill.
    """
    claims, raw = bucket.read(name), bucket.raw(name)
    if "bill_type_code" in raw.columns:
        types = bucket.keep("bill_types", _bill_types(raw))
        claims, raw = _with_bill(claims, types), _with_bill(raw, types)
    actions = bucket.keep(f"{name}_actions", _actions(raw))
    effect = bucket.keep(f"{name}_effect", _effect(actions))
    joined = claims.left_join(effect, claims["claim_id"] == effect["target"])
    standing = ibis.cases(
        (_is_said(joined, "denied"), DENIED),
        (_is_said(joined, "void"), VOID),
        (joined["is_voided"].fill_null(False), VOIDED),
        (joined["is_replaced"].fill_null(False), REPLACED),
        (
            joined["is_replaced_within"].fill_null(False) & ~_is_said(joined, "replacement"),
            REPLACED,
        ),
        else_=FINAL,
    )
    date = _service_date(claims.columns, joined)
    return joined.mutate(
        standing=standing.cast("int8"), day=day_number(date), month=month_number(date)
    ).drop("target", "is_voided", "is_replaced", "is_replaced_within")


def _with_bill(claims: Table, types: Table) -> Table:
    """Lines with the frequency digit of their type of bill."""
    return claims.left_join(types, "bill_type_code").drop("bill_type_code_right")


def _bill_types(claims: Table) -> Table:
    """Distinct types of bill, each taken apart once."""
    codes = claims.filter(claims["bill_type_code"].notnull()).select("bill_type_code").distinct()
    return codes.mutate(frequency=bill_type(codes["bill_type_code"]).substr(2, 1))


def _service_date(columns: tuple[str, ...], lines: Table) -> Value:
    """Day of service of a line: its own, else the claim's; for a fill the day it was filled."""
    if "dispensing_date" in columns:
        return lines["dispensing_date"]
    return ibis.coalesce(lines["claim_line_start_date"], lines["claim_start_date"])


def _actions(claims: Table) -> Table:
    """Voids and replacements, one row per claim: what it does, and to which claim."""
    acting = _may_act(claims)
    acting = acting.mutate(status=line_status(acting))
    acting = acting.filter(acting["status"].isin(["void", "replacement"]))
    named = acting.mutate(target=ibis.coalesce(acting["original_claim_id"], acting["claim_id"]))
    return named.group_by("claim_id", "target", "status").agg(paid_date=named["paid_date"].max())


def _may_act(claims: Table) -> Table:
    """Lines that are not plainly original, so that few have their status worked out."""
    is_said = claims["claim_status"].isin(["void", "replacement"])
    if "frequency" not in claims.columns:
        return claims.filter(is_said)
    return claims.filter(is_said | claims["frequency"].isin(["7", "8"]))


def _effect(actions: Table) -> Table:
    """What the actions do to each claim they name, one row per claim."""
    is_within = actions["target"] == actions["claim_id"]
    replacing = actions.filter((actions["status"] == "replacement") & ~is_within)
    order = [
        replacing["paid_date"].desc(nulls_first=False),
        replacing["claim_id"].desc(),
    ]
    place = ibis.row_number().over(ibis.window(group_by=[replacing["target"]], order_by=order))
    earlier = replacing.mutate(place=place)
    earlier = earlier.filter(earlier["place"] > 0)
    voiding = actions.filter(actions["status"] == "void")
    within = actions.filter((actions["status"] == "replacement") & is_within)
    yes, no = ibis.literal(True), ibis.literal(False)
    every = ibis.union(
        voiding.select("target", is_voided=yes, is_replaced=no, is_replaced_within=no),
        replacing.select("target", is_voided=no, is_replaced=yes, is_replaced_within=no),
        earlier.select(target="claim_id", is_voided=no, is_replaced=yes, is_replaced_within=no),
        within.select("target", is_voided=no, is_replaced=no, is_replaced_within=yes),
    )
    return every.group_by("target").agg(
        is_voided=every["is_voided"].max(),
        is_replaced=every["is_replaced"].max(),
        is_replaced_within=every["is_replaced_within"].max(),
    )
