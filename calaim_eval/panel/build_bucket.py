"""One member bucket from its input parts to its two output parts and its share of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine import write_parquet
from calaim_eval.panel.claim_lines import event_lines
from calaim_eval.panel.claim_standing import with_standing
from calaim_eval.panel.coverage import candidate_months, enrollment_spans, span_outcomes
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
    """Write both parts of a bucket; return its counts, ledger and amounts as plain values.

    A table that was not given costs nothing: only the feeds that are there are worked on.
    """
    tally = Tally(bucket)
    candidates, land = _coverage(bucket, tally)
    claims = {name: with_standing(bucket, name) for name in CLAIM_TABLES if bucket.tables.has(name)}
    met = _contacts(bucket, claims.get("medical_claim"), land, tally)
    pieces = [
        *_paid(bucket, claims, land, tally),
        *(_care(bucket, claims["medical_claim"], tally) if "medical_claim" in claims else ()),
        *_program(met),
        *([_jail(bucket)] if bucket.tables.has("custody") else ()),
    ]
    fated = bucket.keep("fated_events", with_fate(event_table(bucket, pieces), land))
    tally.add_events(event_outcomes(fated))
    rows = member_month_rows(bucket, candidates, only_used(fated), unobserved)
    write_parquet(rows, month_part, backend=bucket.backend)
    exposure = member_exposure(bucket, met).order_by("member_id", "service")
    write_parquet(exposure, exposure_part, backend=bucket.backend)
    tally.add_feeds(land)
    return tally.result(candidates)


def _coverage(bucket: Bucket, tally: Tally) -> tuple[Table, Landing]:
    """Covered months of the bucket, and where rows can land."""
    spans = bucket.keep("spans", enrollment_spans(bucket))
    candidates = candidate_months(bucket, spans)
    tally.add("eligibility", span_outcomes(bucket, spans, candidates))
    if bucket.tables.has("person"):
        tally.add("person", person_outcomes(bucket, candidates))
    reason = candidates.select(reason=candidates["reason"].fill_null(USED))
    tally.add("member_month", reason.group_by("reason").agg(n_rows=reason.count()))
    tally.note_spans(spans)
    return candidates, landing(bucket, candidates)


def _contacts(bucket: Bucket, claims: Table | None, land: Landing, tally: Tally) -> Table:
    """Program contacts of known members, from claims and records."""
    lines = None if claims is None else program_lines(bucket, claims)
    if lines is not None:
        tally.add_unclassified(lines)
    return contacts(bucket, lines).semi_join(land.members, "member_id")


def _paid(
    bucket: Bucket, claims: Mapping[str, Table], land: Landing, tally: Tally
) -> Iterator[Table]:
    """Dollars of final lines by member and month; every line goes to the ledger on the way."""
    for name, rows in claims.items():
        tally.note_actions(name, bucket.kept(f"{name}_actions"))
        account = claim_account(bucket, name, rows, land)
        tally.add(name, account.group_by("reason").agg(n_rows=account["n_rows"].sum()))
        tally.add_amounts(name, account)
        yield in_months(account.filter(account["reason"] == USED), "paid_usd", "paid_usd")


def _care(bucket: Bucket, claims: Table, tally: Tally) -> Iterator[Table]:
    """Visits, stays, nights, readmissions and trips."""
    lines = event_lines(bucket, claims)
    stays = facility_stays(bucket, lines)
    merged = episodes(bucket, stays)
    nights = bucket.keep("nights", inpatient_days(bucket, merged))
    tally.add_nights_outside(merged, nights)
    yield by_month(ed_visits(bucket, lines, stays), "ed_visits")
    yield by_month(merged.select("member_id", day="admit_day"), "inpatient_stays")
    yield in_months(nights, "inpatient_days", "n_days")
    yield by_month(readmissions(bucket, merged), "readmissions_30d")
    yield by_month(outpatient_visits(bucket, lines), "outpatient_visits")
    yield by_month(ambulance_trips(lines), "ambulance_trips")


def _program(met: Table) -> Iterator[Table]:
    """ECM services and outreach, and Community Supports received."""
    supports = contact_events(met, program="community_support", kind="service")
    yield by_month(contact_events(met, program="ecm", kind="service"), "ecm_services")
    yield by_month(contact_events(met, program="ecm", kind="outreach"), "ecm_outreach")
    yield by_month(supports, "community_support_services")


def _jail(bucket: Bucket) -> Table:
    """Days in custody."""
    return in_months(bucket.keep("jail", jail_days(bucket)), "jail_days", "n_days")
