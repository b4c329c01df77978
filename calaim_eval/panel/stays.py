"""Acute inpatient stays: claims to stays of one facility, stays to episodes across transfers.

1. Inpatient claims of one facility that overlap, or share a day, are one stay; so are claims that
   follow the day after one with patient status 30 (still a patient: an interim bill), which a bill
   of type 112 or 113 without a status is taken to have.
2. A stay continues the episode before it when it begins on or before the episode's last day, or
   within `transfer_days` after it at a facility other than any that discharged on that last day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.code_patterns import code_pattern
from calaim_eval.panel.emergency_lines import is_ed_on_stay
from calaim_eval.panel.inpatient_lines import (
    has_stay_evidence,
    is_inpatient,
    is_interim_bill,
    is_psychiatric,
)
from calaim_eval.panel.spans import cut_by_month, date_of, islands, month_number

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.care import Care

STILL_PATIENT = code_pattern("ip_stay", "merge: consecutive, still a patient")
TRANSFERRED = code_pattern("ip_stay", "merge: transfer")


def facility_stays(care: Care) -> Table:
    """One row per stay at one facility.

    Returns
    -------
    Table
        `member`, `facility` (empty where not known), `admit_day`, `discharge_day`, `disposition`
        (of the last claim); `diagnosis` and `drg` (each of the first claim that has one: earliest
        admission, then smallest claim number; of several on a claim the first in the alphabet);
        `is_psychiatric` (any claim is), `has_ed` (any emergency line, where the rules count it).
    """
    claims = _stay_claims(care)
    reaching = claims.mutate(
        reach_day=claims["discharge_day"] + ibis.ifelse(claims["is_still_patient"], 1, 0)
    )
    key = ["member", "facility"]
    numbered = islands(reaching, by=key, start="admit_day", reach="reach_day", ties=["claim_id"])
    last_first = [
        numbered["discharge_day"].desc(),
        numbered["is_still_patient"],
        numbered["disposition"] == "",
        numbered["claim_id"].desc(),
    ]
    window = ibis.window(group_by=[*key, "island"], order_by=last_first)
    in_order = ibis.window(group_by=[*key, "island"], order_by=["admit_day", "claim_id"])
    placed = numbered.mutate(
        place=ibis.row_number().over(window), first=ibis.row_number().over(in_order)
    )
    stays = placed.group_by([*key, "island"]).agg(
        admit_day=placed["admit_day"].min(),
        discharge_day=placed["discharge_day"].max(),
        disposition=placed["disposition"].max(where=placed["place"] == 0),
        diagnosis=_first(placed, "diagnosis"),
        drg=_first(placed, "drg"),
        is_psychiatric=placed["is_psychiatric"].max(),
        has_ed=placed["has_ed"].max(),
    )
    return care.bucket.keep("facility_stays", stays.drop("island"))


def _first(rows: Table, column: str) -> Value:
    """Value of the first row that has one, in the order of `first`."""
    return rows[column].argmin(rows["first"], where=rows[column].notnull())


def _stay_claims(care: Care) -> Table:
    """Inpatient claims with evidence of an acute stay, one row per claim."""
    inpatient = care.lines_of(is_inpatient)
    claims = inpatient.group_by("member", "claim_id").agg(
        facility=ibis.coalesce(
            inpatient["facility_npi"].min(), inpatient["rendering_npi"].min(), ""
        ),
        admit_day=inpatient["stay_start_day"].min(),
        discharge_day=inpatient["stay_end_day"].max(),
        recorded=inpatient["discharge_disposition_code"].max(),
        is_interim=care.any_line_is(inpatient, is_interim_bill),
        has_evidence=care.any_line_is(inpatient, has_stay_evidence),
        diagnosis=inpatient["diagnosis_code_1"].min(),
        drg=inpatient["drg_code"].min(),
        is_psychiatric=care.any_line_is(inpatient, is_psychiatric),
        has_ed=care.any_line_is(inpatient, is_ed_on_stay),
    )
    if care.rules.stay_evidence == "accommodation_or_drg":
        claims = claims.filter(claims["has_evidence"])
    otherwise = ibis.ifelse(claims["is_interim"], "30", "")
    claims = claims.mutate(disposition=claims["recorded"].fill_null(otherwise))
    return claims.mutate(
        discharge_day=ibis.greatest(claims["discharge_day"], claims["admit_day"]),
        is_still_patient=claims["disposition"].re_search(STILL_PATIENT),
    ).drop("recorded", "is_interim")


def episodes(bucket: Bucket, stays: Table, *, name: str = "episodes") -> Table:
    """Stays merged across transfers, held under a name.

    Returns
    -------
    Table
        `member`, `admit_day`, `discharge_day`, `disposition` (of the last stay); `diagnosis` and
        `drg` (each of the first stay that has one); `is_psychiatric` (of the first stay).
    """
    order = ["admit_day", "discharge_day", "facility"]
    before = ibis.window(group_by="member", order_by=order, preceding=(None, 1))
    same = ibis.window(group_by=["member", "facility"], order_by=order, preceding=(None, 1))
    seen = stays.mutate(
        last_day=stays["discharge_day"].max().over(before),
        last_day_here=stays["discharge_day"].max().over(same),
        last_disposition=_latest_disposition(stays, before),
    )
    so_far = ibis.window(group_by="member", order_by=order, preceding=(None, 0))
    marked = seen.mutate(begins=ibis.ifelse(_continues(seen, bucket), 0, 1))
    numbered = marked.mutate(episode=marked["begins"].sum().over(so_far))
    window = ibis.window(
        group_by=["member", "episode"],
        order_by=[
            numbered["discharge_day"].desc(),
            numbered["admit_day"].desc(),
            numbered["facility"].desc(),
        ],
    )
    in_order = ibis.window(group_by=["member", "episode"], order_by=order)
    placed = numbered.mutate(
        place=ibis.row_number().over(window), first=ibis.row_number().over(in_order)
    )
    merged = placed.group_by("member", "episode").agg(
        admit_day=placed["admit_day"].min(),
        discharge_day=placed["discharge_day"].max(),
        disposition=placed["disposition"].max(where=placed["place"] == 0),
        diagnosis=_first(placed, "diagnosis"),
        drg=_first(placed, "drg"),
        is_psychiatric=placed["is_psychiatric"].max(where=placed["first"] == 0),
    )
    return bucket.keep(name, merged)


def _latest_disposition(stays: Table, before: ibis.expr.builders.WindowBuilder) -> Value:
    """Disposition of the stay before with the latest discharge.

    The running maximum of (discharge day, disposition) as one text, so that one window does.
    """
    day = (stays["discharge_day"] + 10_000_000).cast("string")
    return (day + ":" + stays["disposition"]).max().over(before).split(":")[1]


def _continues(stays: Table, bucket: Bucket) -> Value:
    """Whether a stay continues the episode before it."""
    days = bucket.rules.transfer_days
    overlaps = (stays["admit_day"] <= stays["last_day"]).fill_null(False)
    is_near = (stays["admit_day"] <= stays["last_day"] + days).fill_null(False)
    is_elsewhere = (stays["last_day_here"] < stays["last_day"]) | stays["last_day_here"].isnull()
    if bucket.rules.transfer_rule == "dates_and_status":
        is_near = is_near & stays["last_disposition"].re_search(TRANSFERRED).fill_null(False)
    return overlaps | (is_near & is_elsewhere)


def inpatient_days(bucket: Bucket, merged: Table) -> Table:
    """Nights by month: `member`, `month`, `n_days`; a stay within a day counts one."""
    nights = merged.select(
        "member",
        start_day="admit_day",
        end_day=ibis.greatest(merged["discharge_day"] - 1, merged["admit_day"]),
    )
    cut = cut_by_month(nights, bucket.calendar)
    return cut.group_by("member", "month").agg(n_days=cut["n_days"].sum())


def nights_in_all(merged: Table) -> Table:
    """One row, `total`: nights of all episodes, inside the window and outside."""
    nights = ibis.greatest(merged["discharge_day"] - merged["admit_day"], 1)
    return merged.agg(total=nights.sum())


def stay_lengths(merged: Table) -> Table:
    """Nights of episodes by month of admission: `member`, `month`, `value`; at least one each."""
    dated = merged.select(
        "member",
        month=month_number(date_of(merged["admit_day"])),
        n_days=ibis.greatest(merged["discharge_day"] - merged["admit_day"], 1),
    )
    return dated.group_by("member", "month").agg(value=dated["n_days"].sum())
