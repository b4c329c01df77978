"""FHIR rows to declared tables: newest versions, references, spans and settings, as expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from calaim_eval.schema.dual_status import DUAL_KIND_NOT_TOLD
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.synthea_codes import PAYER_TYPES
from calaim_eval.tables.synthea_columns import claim_columns, encounter_class

if TYPE_CHECKING:
    import ibis

Rows = Mapping[str, "ibis.Table"]

OLDER = "older or repeated version of a resource"
HAS_BENEFIT = "claim whose explanation of benefit is there"
NOT_NEEDED = "not needed (its claims say the setting themselves)"
DEAD_WITHOUT_DATE = "dead by the Patient resource, without a date of death"
UNKNOWN_PAYER = "line of business not told by Coverage.type or the payer's name (read as `other`)"
SETTING_OF_ENCOUNTER = "no bill type, revenue code or place of service: coded from its encounter"
MORE_DIAGNOSES = "more than five diagnoses; the first five are kept"
OTHER_SYSTEM = "diagnosis that is not ICD-10-CM; left out"
REMARKED = ("encounter_id", "from_encounter", "has_more_diagnoses", "has_other_diagnosis_system")
_SETTING = ("bill_type_code", "revenue_center_code", "place_of_service_code")


def keep_newest(resources: ibis.Table, claims: Sequence[ibis.Table]) -> ibis.Table:
    """Resources with their `fate`: used, or why not.

    Of several versions of a resource the one updated last counts, then the one read last; when it
    is withdrawn, so is the resource. A Claim gives way to the ExplanationOfBenefit in use that
    names it.

    Parameters
    ----------
    resources : ibis.Table
        One row a resource read; `updated` is an instant in UTC, as text that sorts.
    claims : sequence of ibis.Table
        Lines of medical claims and of fills, which may name a Claim of either kind.
    """
    import ibis

    order = [ibis.desc(resources.updated.fill_null("")), ibis.desc(resources.number)]
    window = ibis.window(group_by=[resources.type, resources.id], order_by=order)
    ranked = resources.mutate(place=ibis.row_number().over(window))
    fate = ibis.cases(
        (ranked.id.notnull() & (ranked.place > 0), OLDER),
        else_=ibis.coalesce(ranked.reason, USED),
    )
    versions = ranked.mutate(fate=fate)
    named = ibis.union(*[_named_claims(lines, versions) for lines in claims], distinct=True)
    joined = versions.left_join(named.mutate(has_benefit=True), ["id", "type"])
    gives_way = (joined.fate == USED) & joined.has_benefit.fill_null(False)
    fate = ibis.cases((gives_way, HAS_BENEFIT), else_=joined.fate)
    return joined.select("number", "type", "id", fate=fate)


def _named_claims(lines: ibis.Table, versions: ibis.Table) -> ibis.Table:
    """Claims that explanations of benefit in use name."""
    import ibis

    named = lines.filter(lines.is_eob & lines.claim_ref.notnull())
    named = named.semi_join(versions.filter(versions.fate == USED), "number")
    return named.select(id=named.claim_ref, type=ibis.literal("Claim"))


def eligibility(rows: Rows) -> ibis.Table:
    """Spans of the Coverage resources in use.

    A period's end is its last day, except where it is the very instant another coverage of the
    member begins: then that day belongs to the next.
    """
    import ibis

    spans = _with_payer(_kept(rows, "coverage"), rows)
    starts = spans.select("member_id", end_text=spans.start_text).distinct()
    starts = starts.filter(starts.end_text.contains("T")).mutate(is_switch=True)
    spans = spans.left_join(starts, ["member_id", "end_text"])
    start = spans.enrollment_start_date.try_cast("date")
    end = spans.enrollment_end_date.try_cast("date")
    day_before = ibis.greatest(end - ibis.interval(days=1), start).cast("string")
    moved = spans.is_switch.fill_null(False) & day_before.notnull()
    word = spans.plan.fill_null("").strip().lower()
    by_name = ibis.cases(
        *[(word == name, kind) for name, kind in PAYER_TYPES.items() if name],
        (word.contains("medicare"), "medicare"),
        (word.contains("medicaid") | word.contains("medi-cal"), "medicaid"),
        else_="other",
    )
    return spans.select(
        "member_id",
        "enrollment_start_date",
        enrollment_end_date=moved.ifelse(day_before, spans.enrollment_end_date),
        plan=spans.plan,
        payer_type=ibis.coalesce(spans.payer_type_code, by_name),
        dual_status_code=ibis.coalesce(
            spans.dual_status_code, (word == "dual eligible").ifelse(DUAL_KIND_NOT_TOLD, None)
        ),
        is_payer_unknown=spans.payer_type_code.isnull() & (by_name == "other"),
    )


def with_encounters(rows: Rows) -> ibis.Table:
    """Lines of medical claims in use, each with the encounter that its item, or that of its Claim,
    names; `from_encounter` where its setting has to come from there.
    """
    import ibis

    lines = _kept(rows, "medical")
    of_claim = rows["medical"].filter(~rows["medical"].is_eob)
    of_claim = of_claim.group_by(claim_ref=of_claim.resource_id, line=of_claim.claim_line_number)
    of_claim = of_claim.agg(other_encounter=lambda t: t.encounter_ref.max())
    lines = lines.left_join(of_claim, ["claim_ref", lines.claim_line_number == of_claim.line]).drop(
        "claim_ref_right", "line"
    )
    lines = lines.mutate(encounter_id=ibis.coalesce(lines.encounter_ref, lines.other_encounter))
    encounters = _kept(rows, "encounters")
    encounters = encounters.select(
        encounter_id=encounters.id,
        encounter_class=encounter_class(encounters["class"]),
        visit_start=encounters.start,
        visit_end=encounters.end,
    )
    lines = lines.left_join(encounters, "encounter_id")
    has_setting = ibis.or_(*[lines[column].notnull() for column in _SETTING])
    return lines.mutate(from_encounter=~has_setting & lines.encounter_class.notnull()).drop(
        "encounter_id_right"
    )


def medical_claim(rows: Rows, lines: ibis.Table) -> ibis.Table:
    """Lines of medical claims under declared names, and what is remarked on."""
    lines = _with_parties(lines, rows)
    coded = claim_columns(
        lines.encounter_class,
        is_first_line=lines.is_first_line,
        start=lines.visit_start,
        end=lines.visit_end,
    )
    chosen = {
        column: lines.from_encounter.ifelse(coded[column], lines[column])
        for column in ("claim_type", "bill_type_code", "place_of_service_code")
    }
    for column in ("revenue_center_code", "hcpcs_code", "admission_date", "discharge_date"):
        from_visit = lines.from_encounter.ifelse(coded[column], None)
        chosen[column] = lines[column].fill_null(from_visit)
    chosen |= _dates(lines, lines.visit_start.left(10), lines.visit_end.left(10))
    return _declared(lines.mutate(**chosen), "medical_claim", *REMARKED)


def pharmacy_claim(rows: Rows) -> ibis.Table:
    """Fills under declared names; the day is that of the line, else of the claim."""
    import ibis

    fills = _with_parties(
        _kept(rows, "pharmacy").mutate(rendering_npi=None, rendering_ref=None), rows
    )
    day = ibis.coalesce(fills.claim_line_start_date, fills.claim_start_date)
    return _declared(fills.mutate(dispensing_date=day), "pharmacy_claim")


def _declared(rows: ibis.Table, table: str, *others: str) -> ibis.Table:
    """Declared columns that FHIR rows have, and some others."""
    held = [column for column in TABLES[table].fields if column in rows.columns]
    return rows.select(*held, *others)


def _kept(rows: Rows, kind: str) -> ibis.Table:
    """Rows of the resources in use."""
    resources = rows["resources"]
    return rows[kind].semi_join(resources.filter(resources.fate == USED), "number")


def _with_payer(coverages: ibis.Table, rows: Rows) -> ibis.Table:
    """Coverages with `plan`: the payer's name, else the name of its plan."""
    import ibis

    named = _kept(rows, "providers")
    named = named.select(payor_ref=named.pointer, organization=named.name)
    joined = coverages.left_join(named, "payor_ref")
    plan = ibis.coalesce(joined.payor_name, joined.organization, joined.plan_name)
    return joined.mutate(plan=plan).drop("payor_ref_right")


def _with_parties(lines: ibis.Table, rows: Rows) -> ibis.Table:
    """Lines with plan, providers and the number of the claim they replace."""
    import ibis

    providers = _kept(rows, "providers")
    for role in ("facility", "rendering"):
        found = providers.select(
            **{f"{role}_ref": providers.pointer, f"{role}_found": providers.npi}
        )
        lines = lines.left_join(found, f"{role}_ref").drop(f"{role}_ref_right")
    payers = providers.select(insurer_ref=providers.pointer, insurer_found=providers.name)
    lines = lines.left_join(payers, "insurer_ref").drop("insurer_ref_right")
    plans = _with_payer(rows["coverage"], rows)
    ids = rows["resources"].filter(rows["resources"].type == "Coverage").select("number", "id")
    plans = (
        plans.inner_join(ids, "number")
        .group_by(coverage_ref="id")
        .agg(coverage_plan=plans.plan.max())
    )
    lines = lines.left_join(plans, "coverage_ref").drop("coverage_ref_right")
    prior = (
        rows["medical"]
        .select("resource_id", "claim_id")
        .union(rows["pharmacy"].select("resource_id", "claim_id"))
    )
    prior = prior.group_by(original_ref="resource_id").agg(prior_id=prior.claim_id.max())
    lines = lines.left_join(prior, "original_ref").drop("original_ref_right")
    facility_id = lines.facility_ref.re_extract(r"/(.*)$", 1).nullif("")
    return lines.mutate(
        plan=ibis.coalesce(lines.insurer_name, lines.insurer_found, lines.coverage_plan),
        facility_npi=ibis.coalesce(lines.facility_npi, lines.facility_found, facility_id),
        rendering_npi=ibis.coalesce(lines.rendering_npi, lines.rendering_found),
        original_claim_id=ibis.coalesce(
            lines.original_claim_id, lines.prior_id, lines.original_ref
        ),
    )


def _dates(
    lines: ibis.Table, visit_start: ibis.Value, visit_end: ibis.Value
) -> dict[str, ibis.Value]:
    """First and last day of a claim: its period, its lines, else the encounter."""
    import ibis

    window = ibis.window(group_by=lines.number)
    first = lines.claim_line_start_date.min().over(window)
    last = lines.claim_line_end_date.max().over(window)
    return {
        "claim_start_date": ibis.coalesce(lines.claim_start_date, first, visit_start),
        "claim_end_date": ibis.coalesce(lines.claim_end_date, last, visit_end),
    }
