
"""One member bucket from its input parts to its two output parts and its share of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis

from calaim_eval.engine import write_parquet
from calaim_eval.panel.claim_lines import event_lines
from calaim_eval.panel.claim_standing import with_standing
from calaim_eval.panel.coverage import (
    candidate_months,
    enrollment_spans,
    panel_months,
    span_months,
    span_outcomes,
)
from calaim_eval.panel.custody import jail_days
from calaim_eval.panel.emergency import ed_visits
from calaim_eval.panel.exposure import member_exposure
from calaim_eval.panel.fates import (
    Landing,
    claim_account,
    landing,
    person_outcomes,
    with_fate,
)
from calaim_eval.panel.measures import (
    by_month,
    event_outcomes,
    event_table,
    in_months,
    member_month_rows,
    only_used,
)
from calaim_eval.panel.program_contacts import contact_events, contacts, program_lines
from calaim_eval.panel.readmissions import readmissions
from calaim_eval.panel.stays import episodes, facility_stays, inpatient_days
from calaim_eval.panel.tally import Tally
from calaim_eval.panel.visits import ambulance_trips, outpatient_visits
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket

CLAIM_TABLES = ("medical_claim", "pharmacy_claim")


def build_bucket(
    bucket: Bucket,
    *,
    month_part: Path,
    exposure_part: Path,
    unobserved: Mapping[str, pd.PeriodIndex],
) -> dict[str, Any]:
    """Write both parts of a bucket; return its counts, ledger and amounts as plain values."""
    tally = Tally(bucket)
    months, land = _coverage(bucket, tally)
    claims = with_standing(bucket, "medical_claim")
    accounts = _accounts(bucket, claims, land, tally)
    lines = program_lines(bucket, claims)
    met = contacts(bucket, lines).semi_join(land.members, "member_id")
    events = _events(bucket, event_lines(bucket, claims), accounts, met, tally)
    fated = bucket.keep("fated_events", with_fate(events, land))
    tally.add_events(event_outcomes(fated))
    rows = member_month_rows(months, only_used(fated), unobserved)
    write_parquet(rows, month_part, backend=bucket.backend)
    exposure = member_exposure(bucket, met).order_by("member_id", "service")
    write_parquet(exposure, exposure_part, backend=bucket.backend)
    tally.add_feeds(land)
    return tally.result(months, lines)


def _coverage(bucket: Bucket, tally: Tally) -> tuple[Table, Landing]:
    """Member months of the bucket, and where rows can land."""
    spans = bucket.keep("spans", enrollment_spans(bucket))
    pieces = bucket.keep("span_months", span_months(bucket, spans))
    candidates = bucket.keep("candidates", candidate_months(bucket, spans, pieces))
    months = bucket.keep("months", panel_months(bucket, candidates))
    tally.add("eligibility", span_outcomes(spans, pieces, candidates))
    tally.add("person", person_outcomes(bucket, months))
    reason = candidates.select(reason=candidates["reason"].fill_null(USED))
    tally.add("member_month", reason.group_by("reason").agg(n_rows=reason.count()))
    tally.note_spans(spans, months)
    return months, landing(bucket, candidates)


def _accounts(bucket: Bucket, claims: Table, land: Landing, tally: Tally) -> Table:
    """Lines and dollars of both claim tables by member, month and reason."""
    fills = with_standing(bucket, "pharmacy_claim")
    accounts = []
    for name, rows in zip(CLAIM_TABLES, (claims, fills), strict=True):
        account = claim_account(bucket, name, rows, land)
        tally.add(name, account.group_by("reason").agg(n_rows=account["n_rows"].sum()))
        tally.add_amounts(name, account)
        accounts.append(account)
    return ibis.union(*accounts)


def _events(bucket: Bucket, lines: Table, accounts: Table, met: Table, tally: Tally) -> Table:
    """Every visit, stay, trip, service, night and dollar by member and month."""
    stays = facility_stays(bucket, lines)
    merged = episodes(bucket, stays)
    nights = bucket.keep("nights", inpatient_days(bucket, merged))
    tally.add_nights_outside(merged, nights)
    paid = accounts.filter(accounts["reason"] == USED)
    custody = bucket.keep("jail", jail_days(bucket))
    return event_table(
        bucket,
        [
            by_month(ed_visits(bucket, lines, stays), "ed_visits"),
            by_month(merged.select("member_id", day="admit_day"), "inpatient_stays"),
            in_months(nights, "inpatient_days", "n_days"),
            by_month(readmissions(bucket, merged), "readmissions_30d"),
            by_month(outpatient_visits(bucket, lines), "outpatient_visits"),
            by_month(ambulance_trips(lines), "ambulance_trips"),
            in_months(paid, "paid_usd", "paid_usd"),
            in_months(custody, "jail_days", "n_days"),
            by_month(contact_events(met, program="ecm", kind="service"), "ecm_services"),
            by_month(contact_events(met, program="ecm", kind="outreach"), "ecm_outreach"),
            by_month(
                contact_events(met, program="community_support", kind="service"),
                "community_support_services",
            ),
        ],
    )
