"""FHIR ExplanationOfBenefit and Claim as rows of `medical_claim` and `pharmacy_claim`.

The mapping follows the CARIN Blue Button profiles, which payers use for what CMS-9115-F requires;
`docs/formats/fhir.md` has it in words.
"""

from __future__ import annotations

from typing import Any

from calaim_eval.tables.fhir_person import NO_ID, NO_MEMBER, NOT_VALID
from calaim_eval.tables.fhir_values import (
    Json,
    Links,
    Row,
    amount,
    as_list,
    code_of,
    codes,
    codings,
    first_day,
    id_of,
    identifier,
    last_day,
    npi_in,
    objects,
    reference,
)

NOT_A_CLAIM = "preauthorization or predetermination"
NO_TYPE = "claim type that no table holds"
N_DIAGNOSES = N_MODIFIERS = 5

_NOT_VALID = frozenset({"entered-in-error", "draft"})
_CLAIM_TYPES = {
    "institutional": "institutional",
    "professional": "professional",
    "oral": "dental",
    "vision": "vision",
    "pharmacy": "pharmacy",
}
_PROCEDURES = ("cpt", "hcpcs", "cdt", "2.16.840.1.113883.6.12", "2.16.840.1.113883.6.285")
_ICD_10 = ("icd-10-cm", "2.16.840.1.113883.6.90")
_NOT_ON_THE_LIST = frozenset({"admitting", "patientreasonforvisit"})
_PAID = ("benefit",)
_PAID_TO = ("paidtoprovider", "paidtopatient")
_RENDERING = ("rendering", "performing", "operating", "attending", "primary")
_TAXONOMY = ("nucc.org/provider-taxonomy", "2.16.840.1.113883.6.101")
_DRG = ("drg", "ms-drg", "ap-drg", "apr-drg")


def claim_rows(claim: Json, links: Links) -> tuple[str, list[Row], str]:
    """Lines of one claim: their table, the rows, and why they are not used (empty when they are).

    Parameters
    ----------
    claim : dict
        ExplanationOfBenefit or Claim.
    links : Links

    Returns
    -------
    tuple[str, list[dict], str]
        ``"medical"`` or ``"pharmacy"``; one row a line, all of text but amounts.
    """
    kind = next((_CLAIM_TYPES[c] for c in codes(claim.get("type")) if c in _CLAIM_TYPES), None)
    header = _header(claim, links)
    rows = [{**header, **line} for line in _lines(claim, links, is_fill=kind == "pharmacy")]
    for row in rows:
        row["claim_type"] = kind
    return ("pharmacy" if kind == "pharmacy" else "medical"), rows, _reason(claim, header, kind)


def _reason(claim: Json, header: Row, kind: str | None) -> str:
    """Why a claim is not used; empty when it is."""
    if not header["claim_id"]:
        return NO_ID
    if not header["member_id"]:
        return NO_MEMBER
    if claim.get("status") in _NOT_VALID:
        return NOT_VALID
    if claim.get("use", "claim") != "claim":
        return NOT_A_CLAIM
    return "" if kind else NO_TYPE


def _header(claim: Json, links: Links) -> Row:
    """What the lines of a claim share."""
    period = claim.get("billablePeriod") or {}
    info = _supporting_info(claim)
    stay = (info.get("admissionperiod") or {}).get("timingPeriod") or {}
    facility = claim.get("facility") or claim.get("provider")
    insurer = claim.get("insurer")
    is_eob = claim.get("resourceType") == "ExplanationOfBenefit"
    paid_day = (claim.get("payment") or {}).get("date") or (claim.get("created") if is_eob else "")
    original, original_ref = _prior(claim, links)
    return {
        "claim_id": identifier(claim.get("identifier"), kind="uc") or claim.get("id"),
        "resource_id": claim.get("id"),
        "is_eob": is_eob,
        "claim_ref": id_of(reference(claim.get("claim"), links)),
        "member_id": id_of(reference(claim.get("patient"), links)),
        "insurer_name": insurer.get("display") if isinstance(insurer, dict) else None,
        "insurer_ref": reference(insurer, links),
        "coverage_ref": id_of(reference(_focal(claim).get("coverage"), links)),
        "claim_start_date": first_day(period.get("start")),
        "claim_end_date": last_day(period.get("end")),
        "admission_date": first_day(stay.get("start")),
        "discharge_date": last_day(stay.get("end")),
        "bill_type_code": _info_code(info, "typeofbill"),
        "drg_code": _info_code(info, *_DRG),
        "discharge_disposition_code": _info_code(info, "discharge-status"),
        "days_supply": amount((info.get("dayssupply") or {}).get("valueQuantity")),
        "facility_npi": npi_in(facility, claim),
        "facility_ref": reference(facility, links),
        "claim_status": _status(claim, has_prior=bool(original or original_ref)),
        "original_claim_id": original,
        "original_ref": original_ref,
        "paid_date": first_day(paid_day),
    }


def _supporting_info(claim: Json) -> dict[str, Json]:
    """Supporting information by category."""
    found: dict[str, Json] = {}
    for each in objects(claim.get("supportingInfo")):
        for code in codes(each.get("category")):
            found.setdefault(code, each)
    return found


def _info_code(info: dict[str, Json], *categories: str) -> str | None:
    """Code of the first of several kinds of supporting information that is there."""
    for category in categories:
        found = codes((info.get(category) or {}).get("code"))
        if found:
            return found[0]
    return None


def _focal(claim: Json) -> Json:
    """The insurance a claim was judged under."""
    insurances = objects(claim.get("insurance"))
    insurances.sort(key=lambda each: each.get("focal") is not True)
    return insurances[0] if insurances else {}


def _prior(claim: Json, links: Links) -> tuple[str | None, str | None]:
    """Number of the claim that this one replaces, and the id of its resource."""
    for each in objects(claim.get("related")):
        if "prior" in codes(each.get("relationship")):
            number = (each.get("reference") or {}).get("value")
            resource = id_of(reference(each.get("claim"), links))
            if number or resource:
                return (str(number) if number else None), resource
    return None, None


def _status(claim: Json, *, has_prior: bool) -> str:
    """Standing of a claim: a cancelled one is void, one that replaces another a replacement."""
    if claim.get("status") == "cancelled":
        return "void"
    payment = claim.get("payment") or {}
    if "denied" in codes(payment.get("type")) or claim.get("outcome") == "error":
        return "denied"
    return "replacement" if has_prior else "original"


def _lines(claim: Json, links: Links, *, is_fill: bool) -> list[Row]:
    """Items of a claim; a claim without items is one line."""
    items = sorted(objects(claim.get("item")), key=lambda each: each.get("sequence") or 0) or [{}]
    diagnoses = _diagnoses(claim)
    rows = []
    for place, item in enumerate(items, start=1):
        line = _fill(item) if is_fill else _service(item, diagnoses)
        row = {
            "claim_line_number": str(item.get("sequence") or place),
            "is_first_line": place == 1,
            "encounter_ref": _encounter(item, links),
            "paid_amount": _paid(item.get("adjudication")),
            **_dates(item),
            **line,
        }
        if not is_fill:
            row |= _providers(item, claim, links)
        rows.append(row)
    if all(row["paid_amount"] is None for row in rows):
        rows[0]["paid_amount"] = _paid_of_header(claim)
    return rows


def _encounter(item: Json, links: Links) -> str | None:
    """Id of the first encounter an item names."""
    return next((id_of(reference(each, links)) for each in objects(item.get("encounter"))), None)


def _dates(item: Json) -> Row:
    """Days of service of a line."""
    period = item.get("servicedPeriod") or {}
    day = item.get("servicedDate")
    return {
        "claim_line_start_date": first_day(day or period.get("start")),
        "claim_line_end_date": last_day(day or period.get("end")),
    }


def _service(item: Json, diagnoses: list[tuple[int, bool, str | None]]) -> Row:
    """Codes of a line of a medical claim."""
    pointed = [each for each in as_list(item.get("diagnosisSequence")) if isinstance(each, int)]
    order = {sequence: place for place, sequence in enumerate(pointed)}
    ranked = sorted(
        diagnoses, key=lambda each: (not each[1], order.get(each[0], len(order)), each[0])
    )
    listed = [code for _, _, code in ranked if code]
    modifiers = [code for concept in objects(item.get("modifier")) for code in codes(concept)[:1]]
    return {
        "hcpcs_code": code_of(item.get("productOrService"), _PROCEDURES),
        "revenue_center_code": next(iter(codes(item.get("revenue"))), None),
        "place_of_service_code": next(iter(codes(item.get("locationCodeableConcept"))), None),
        **_numbered("hcpcs_modifier", modifiers, N_MODIFIERS),
        **_numbered("diagnosis_code", listed, N_DIAGNOSES),
        "has_more_diagnoses": len(listed) > N_DIAGNOSES,
        "has_other_diagnosis_system": any(code is None for _, _, code in ranked),
    }


def _numbered(name: str, values: list[str], n: int) -> Row:
    """Values in numbered columns."""
    return {f"{name}_{i + 1}": values[i] if i < len(values) else None for i in range(n)}


def _diagnoses(claim: Json) -> list[tuple[int, bool, str | None]]:
    """Sequence, whether principal, and ICD-10-CM code (missing for another system) of each."""
    found = []
    for place, each in enumerate(objects(claim.get("diagnosis")), start=1):
        kinds = set(codes(each.get("type")))
        concept = each.get("diagnosisCodeableConcept")
        if concept and not kinds & _NOT_ON_THE_LIST:
            code = code_of(concept, _ICD_10)
            found.append((int(each.get("sequence") or place), "principal" in kinds, code))
    return found


def _providers(item: Json, claim: Json, links: Links) -> Row:
    """Who rendered a line: the member of the care team it names, else that of the claim."""
    named = as_list(item.get("careTeamSequence"))
    team = objects(claim.get("careTeam"))
    own = [each for each in team if each.get("sequence") in named] or team
    for role in _RENDERING:
        for each in own:
            if role in codes(each.get("role")):
                provider = each.get("provider")
                return {
                    "rendering_npi": npi_in(provider, claim),
                    "rendering_ref": reference(provider, links),
                    "rendering_taxonomy_code": code_of(each.get("qualification"), _TAXONOMY),
                }
    return {}


def _fill(item: Json) -> Row:
    """Drug and quantity of a fill; for a compound the first ingredient."""
    ingredients = [each.get("productOrService") for each in objects(item.get("detail"))]
    drugs = [_ndc(concept) for concept in (item.get("productOrService"), *ingredients)]
    return {
        "ndc_code": next((code for code in drugs if code), None),
        "quantity": amount(item.get("quantity")),
    }


def _ndc(concept: Any) -> str | None:
    """National Drug Code in eleven digits: labeler 5, product 4, package 2."""
    for system, code in codings(concept):
        if "ndc" in system or "2.16.840.1.113883.6.69" in system:
            parts = code.split("-")
            if len(parts) == len((5, 4, 2)):
                return "".join(part.zfill(n) for part, n in zip(parts, (5, 4, 2), strict=True))
            return code
    return None


def _paid(adjudications: Any) -> float | None:
    """What the plan paid: what went to provider and patient, else the benefit."""
    amounts: dict[str, float] = {}
    for each in objects(adjudications):
        number = amount(each.get("amount"))
        for code in codes(each.get("category")):
            if number is not None:
                amounts[code] = amounts.get(code, 0.0) + number
    for names in (_PAID_TO, _PAID):
        found = [amounts[name] for name in names if name in amounts]
        if found:
            return sum(found)
    return None


def _paid_of_header(claim: Json) -> float | None:
    """What the plan paid for the claim where its lines do not say."""
    for place in ("adjudication", "total"):
        paid = _paid(claim.get(place))
        if paid is not None:
            return paid
    return amount((claim.get("payment") or {}).get("amount"))
