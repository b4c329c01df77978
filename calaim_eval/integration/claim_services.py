# ruff: noqa: PD004  (Ibis names: `notnull`)
"""Services received, seen in claims: most ECM contacts never appear in the program records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.engine import MEMORY_LIMIT_GB
from calaim_eval.integration.inputs import quarter_days
from calaim_eval.tables import Tables
from calaim_eval.tables.ledger import RowLedger

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket

_COLUMNS = (
    "member_id",
    "program",
    "service",
    "record_date",
    "organization_id",
    "plan",
    "county",
    "n_organizations",
)


def services_from_claims(
    tables: Tables,
    *,
    quarter: str,
    ledger: RowLedger | None = None,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
) -> pd.DataFrame:
    """ECM and Community Supports received in a quarter according to final claim lines.

    Lines are settled (voids, replacements, denials) and classified as for the panel. Put them
    under the program records: ``pd.concat([program_service, services_from_claims(...)])``.

    Parameters
    ----------
    tables : Tables
        With `medical_claim`; `organization` and `eligibility` where there are.
    quarter : str
        Day of service within it.
    ledger : RowLedger, optional
        Gets remarks on lines whose organization or county is not known.
    memory_limit_gb : float
        Memory the engine may hold.

    Returns
    -------
    pd.DataFrame
        Columns of `program_service` that claims can fill: member_id, program, service,
        record_type (``"service"``), record_date, organization_id, plan, county, record_source
        (``"claim"``). One row per member, service, day and organization. Outreach is left out.

    Notes
    -----
    The organization is the one with the line's rendering NPI, else with its facility NPI; an NPI
    that two organizations share names neither. The county is the member's, from the enrollment
    span that covers the day (the latest to start); so coverage is told where members live.
    """
    from calaim_eval.panel.bucket import run_on_buckets

    bucket = _bucket(tables, quarter)
    first, last = quarter_days(quarter)
    bucket.recipe.fetch("services", _services(bucket, first=first, last=last))
    parts = [
        fetched["services"]
        for fetched in run_on_buckets(
            bucket.recipe,
            tables,
            memory_limit_gb=memory_limit_gb,
            doing="reading services from claims",
        )
    ]
    services = pd.concat(parts, ignore_index=True)
    if ledger is not None:
        _remarks(ledger, services)
    return services.drop(columns="n_organizations").assign(
        record_type="service", record_source="claim"
    )


def _bucket(tables: Tables, quarter: str) -> Bucket:
    """One share of the members, its window the months of the quarter."""
    from calaim_eval.engine import Recipe
    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.rules import PanelRules

    first, last = quarter_days(quarter)
    months = pd.period_range(first, last, freq="M")
    return Bucket(Recipe(), frozenset(tables.names), months, PanelRules())


def _services(bucket: Bucket, *, first: pd.Timestamp, last: pd.Timestamp) -> Table:
    """Classified service lines of the quarter with organization and county."""
    import ibis

    from calaim_eval.panel.claim_lines import told_lines
    from calaim_eval.panel.claim_standing import with_standing
    from calaim_eval.panel.program_contacts import is_program_code, program_lines
    from calaim_eval.panel.spans import date_of

    told = told_lines(bucket, with_standing(bucket, "medical_claim"), [is_program_code])
    lines = program_lines(bucket, told)
    received = lines.filter(lines["service"].notnull() & ~lines["is_outreach"])
    dated = received.mutate(record_date=date_of(received["day"]))
    dated = dated.filter(
        (dated["record_date"] >= ibis.date(first.date()))
        & (dated["record_date"] <= ibis.date(last.date()))
    )
    placed = _with_county(bucket, _with_organization(bucket, dated))
    named = placed.left_join(bucket.members, "member").select(*_COLUMNS).distinct()
    return named.order_by("member_id", "record_date", "service")


def _with_organization(bucket: Bucket, lines: Table) -> Table:
    """Organization by rendering, else facility NPI; `n_organizations` says why it is missing."""
    import ibis

    organizations = bucket.read("organization")
    listed = organizations.filter(organizations["npi"].notnull())
    by_npi = listed.group_by("npi").agg(
        organization_id=listed["organization_id"].min(),
        n=listed["organization_id"].nunique(),
    )
    rendering = by_npi.rename(rendering_npi="npi", rendering_id="organization_id", rendering_n="n")
    facility = by_npi.rename(facility_npi="npi", facility_id="organization_id", facility_n="n")
    joined = lines.left_join(rendering, "rendering_npi").left_join(facility, "facility_npi")
    n_organizations = ibis.coalesce(joined["rendering_n"], joined["facility_n"], 0)
    named = ibis.coalesce(joined["rendering_id"], joined["facility_id"])
    return joined.mutate(
        n_organizations=n_organizations,
        organization_id=ibis.ifelse(n_organizations == 1, named, ibis.null("string")),
    )


def _with_county(bucket: Bucket, lines: Table) -> Table:
    """County and plan of the enrollment span that covers the day of service."""
    import ibis

    spans = bucket.read("eligibility")
    spans = spans.filter(spans["payer_type"].fill_null("medicaid") == "medicaid").select(
        "member",
        "county",
        "plan",
        "enrollment_start_date",
        end=spans["enrollment_end_date"].fill_null(ibis.date("9999-12-31")),
    )
    days = lines.select("member", "record_date").distinct()
    covering = days.join(
        spans,
        [
            days["member"] == spans["member"],
            spans["enrollment_start_date"] <= days["record_date"],
            spans["end"] >= days["record_date"],
        ],
    )
    order = [
        covering["enrollment_start_date"].desc(),
        covering["end"].desc(),
        covering["county"],
        covering["plan"],
    ]
    window = ibis.window(group_by=["member", "record_date"], order_by=order)
    latest = covering.mutate(place=ibis.row_number().over(window))
    latest = latest.filter(latest["place"] == 0).select("member", "record_date", "county", "plan")
    return lines.left_join(latest, ["member", "record_date"])


def _remarks(ledger: RowLedger, services: pd.DataFrame) -> None:
    """Count services taken from claims, and those whose organization or county is not known."""
    n_organizations = services["n_organizations"]
    for remark, mask in {
        "service seen in claims, added to the program records": services["member_id"].notna(),
        "service seen in claims: NPI of no listed organization": n_organizations == 0,
        "service seen in claims: NPI shared by organizations": n_organizations > 1,
        "service seen in claims: no enrollment that day": services["county"].isna(),
    }.items():
        ledger.note("medical_claim", remark, int(mask.sum()))
