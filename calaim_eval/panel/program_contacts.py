"""ECM and Community Supports contacts, from claims and program records together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.code_patterns import CodePattern
from calaim_eval.panel.spans import date_of, day_number
from calaim_eval.tables.classify import MODIFIER_SLOTS, classify_program_lines, program_codes

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.claim_lines import ClaimLines, ToldLines

PROGRAM_CODE = CodePattern(
    "hcpcs_code", "^(" + "|".join(sorted(set(program_codes()["hcpcs"]))) + ")$"
)
CONTACT_TYPES = ("identified", "outreach", "service")
AUTHORIZATION = "authorization"
"""Kind of record that dates an authorization: neither reach nor service."""
_TYPES = {
    "member": "int64",
    "program": "string",
    "service": "string",
    "kind": "string",
    "day": "int64",
    "organization_type": "string",
    "population_of_focus": "string",
    "is_claim": "boolean",
}


def is_program_code(lines: ClaimLines) -> Value:
    """Line with a procedure code of a program; its modifiers tell whether it is one."""
    return lines.has(PROGRAM_CODE)


def program_lines(bucket: Bucket, lines: ToldLines) -> Table:
    """Claim lines with a procedure code of a program, classified."""
    coded = lines.of(is_program_code)
    mine = coded.select(
        "member",
        "day",
        "hcpcs_code",
        *MODIFIER_SLOTS,
        "rendering_npi",
        "facility_npi",
        claim_line_start_date=date_of(coded["day"]),
        claim_start_date=ibis.null("date"),
    )
    return bucket.keep("program_lines", classify_program_lines(mine, program_codes()))


def unclassified_by_code(bucket: Bucket, lines: Table) -> Table:
    """Program lines that no pair of code and modifier explains, counted; holds no member.

    `modifiers` are those of the line, whatever their slots: sorted, joined by ``";"``.
    """
    odd = lines.filter(lines["unclassified_reason"].notnull())
    odd = bucket.keep("unclassified_lines", odd.mutate(line=ibis.row_number()))
    slots = [odd.select("line", modifier=odd[slot]) for slot in MODIFIER_SLOTS]
    each = ibis.union(*slots, distinct=True).drop_null("modifier")
    joined_up = each["modifier"].collect().sort().join(";")
    told = odd.left_join(each.group_by("line").agg(modifiers=joined_up), "line")
    named = told.select(
        "hcpcs_code", modifiers=told["modifiers"].fill_null(""), reason="unclassified_reason"
    )
    return named.group_by("hcpcs_code", "modifiers", "reason").agg(n_lines=named.count())


def contacts(bucket: Bucket, lines: Table | None) -> Table:
    """Every identification, outreach, service and authorization, one row per line or record.

    `kind` is one of `CONTACT_TYPES`, or `AUTHORIZATION`; `service` is missing for outreach to no
    one support; `organization_type` is missing where the organization is not known.
    """
    records = _from_records(bucket)
    both = records if lines is None else ibis.union(_from_claims(bucket, lines), records)
    return bucket.keep("contacts", both)


def _from_claims(bucket: Bucket, lines: Table) -> Table:
    """Contacts seen in claims; the organization is found by rendering, else facility NPI."""
    types = _type_by_npi(bucket)
    rendering = types.rename(rendering_npi="npi", rendering_type="organization_type")
    facility = types.rename(facility_npi="npi", facility_type="organization_type")
    seen = lines.filter(lines["program"].notnull())
    joined = seen.left_join(rendering, "rendering_npi").left_join(facility, "facility_npi")
    return _as_contacts(
        joined.mutate(
            kind=ibis.ifelse(joined["is_outreach"], "outreach", "service"),
            organization_type=ibis.coalesce(joined["rendering_type"], joined["facility_type"]),
            population_of_focus=ibis.null("string"),
            is_claim=ibis.literal(True),
        )
    )


def _from_records(bucket: Bucket) -> Table:
    """Contacts in the program records; authorizations are kept apart, denials are no contact."""
    records = bucket.read("program_service")
    seen = records.filter(records["record_type"].isin((*CONTACT_TYPES, AUTHORIZATION)))
    organizations = bucket.read("organization").select("organization_id", "organization_type")
    joined = seen.left_join(organizations, "organization_id")
    return _as_contacts(
        joined.mutate(
            kind=joined["record_type"],
            day=day_number(joined["record_date"]),
            is_claim=ibis.literal(False),
        )
    )


def _as_contacts(rows: Table) -> Table:
    """The columns of a contact, typed."""
    return rows.select(**{name: rows[name].cast(dtype) for name, dtype in _TYPES.items()})


def _type_by_npi(bucket: Bucket) -> Table:
    """Organization type of each NPI; none where organizations that share it differ in type."""
    organizations = bucket.read("organization")
    known = organizations.filter(organizations["npi"].notnull())
    types = known.group_by("npi").agg(
        organization_type=known["organization_type"].min(),
        n_types=known["organization_type"].nunique(),
    )
    return types.filter(types["n_types"] == 1).drop("n_types")


def contact_events(rows: Table, *, program: str, kind: str) -> Table:
    """One row per member, service and day of a program's contacts of one kind."""
    seen = rows.filter((rows["program"] == program) & (rows["kind"] == kind))
    return seen.select("member", "service", "day").distinct().select("member", "day")
