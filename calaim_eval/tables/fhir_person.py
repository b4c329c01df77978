"""FHIR Patient and Coverage as rows of `person` and `eligibility`."""

from __future__ import annotations

import re
from typing import Any

from calaim_eval.schema.dual_status import DUAL_KIND_NOT_TOLD
from calaim_eval.schema.race_ethnicity import SEVERAL_CODES_SEPARATOR
from calaim_eval.tables.fhir_values import (
    Json,
    Links,
    Row,
    as_list,
    codes,
    codings,
    extensions,
    first_day,
    id_of,
    last_day,
    objects,
    reference,
)

NO_ID = "no id"
NO_MEMBER = "no reference to a patient"
NOT_VALID = "entered in error or a draft"
NO_END = "cancelled coverage without an end"

_NOT_VALID = frozenset({"entered-in-error", "draft"})
_BIRTH_SEX = {"M": "male", "F": "female"}
# Source of Payment Typology of NAHDO: the first digit is the kind of payer.
_SOPT = ("nahdo.org/sopt", "2.16.840.1.113883.3.221.5")
_SOPT_DUAL = "14"
_PAYER_OF_SOPT = {
    "1": "medicare",
    "2": "medicaid",
    "3": "other",
    "4": "other",
    "5": "commercial",
    "6": "commercial",
    "8": "self_pay",
    "9": "other",
}


def person_row(patient: Json, links: Links) -> tuple[Row, str]:
    """Person of a Patient, and why it is not used (empty when it is).

    Race and ethnicity are the OMB categories of the US Core extensions, as recorded; several races
    are parted by a semicolon. Detailed codes stand in where there is no category.
    """
    del links
    if not patient.get("id"):
        return {}, NO_ID
    race, ethnicity = _codes_in(patient, "us-core-race"), _codes_in(patient, "us-core-ethnicity")
    death = patient.get("deceasedDateTime")
    return {
        "member_id": patient["id"],
        "birth_date": patient.get("birthDate"),
        "death_date": first_day(death),
        "sex": _sex(patient),
        "race_code": SEVERAL_CODES_SEPARATOR.join(race) or None,
        "race_code_system": "cdc_omb" if race else None,
        "ethnicity_code": ethnicity[0] if ethnicity else None,
        "ethnicity_code_system": "cdc_omb" if ethnicity else None,
        "language": _language(patient),
        "county": _county(patient),
        "is_dead_without_date": patient.get("deceasedBoolean") is True and not death,
    }, ""


def coverage_row(coverage: Json, links: Links) -> tuple[Row, str]:
    """Enrollment span of a Coverage, and why it is not used (empty when it is).

    The end of a period is its last day. A cancelled coverage was valid until its end; without an
    end nobody knows until when.
    """
    member = id_of(reference(coverage.get("beneficiary"), links))
    period = coverage.get("period") or {}
    payor = next(iter(objects(coverage.get("payor"))), {})
    payer_type, is_dual = _payer_of_type(coverage.get("type"))
    row = {
        "member_id": member,
        "enrollment_start_date": first_day(period.get("start")),
        "enrollment_end_date": last_day(period.get("end")),
        "start_text": period.get("start"),
        "end_text": period.get("end"),
        "payor_name": payor.get("display"),
        "payor_ref": reference(payor, links),
        "plan_name": _plan_name(coverage),
        "payer_type_code": payer_type,
        "dual_status_code": DUAL_KIND_NOT_TOLD if is_dual else None,
    }
    status = str(coverage.get("status") or "")
    if not member:
        return row, NO_MEMBER
    if status in _NOT_VALID:
        return row, NOT_VALID
    return row, NO_END if status == "cancelled" and not period.get("end") else ""


def _codes_in(patient: Json, url: str) -> list[str]:
    """OMB categories of an extension, else its detailed codes."""
    for name in ("ombCategory", "detailed"):
        found = [
            str(part["valueCoding"]["code"])
            for extension in extensions(patient, url)
            for part in objects(extension.get("extension"))
            if part.get("url") == name and (part.get("valueCoding") or {}).get("code")
        ]
        if found:
            return list(dict.fromkeys(found))
    return []


def _sex(patient: Json) -> str | None:
    """Gender as recorded; the sex at birth where the gender is not female or male."""
    gender = patient.get("gender")
    if gender in ("female", "male"):
        return str(gender)
    found = [each.get("valueCode") for each in extensions(patient, "us-core-birthsex")]
    return next((_BIRTH_SEX[code] for code in found if code in _BIRTH_SEX), gender)


def _language(patient: Json) -> str | None:
    """Preferred language, else the first one."""
    spoken = objects(patient.get("communication"))
    spoken.sort(key=lambda each: each.get("preferred") is not True)
    for each in spoken:
        concept = each.get("language") or {}
        name = next(iter(codes(concept)), None) or concept.get("text")
        if name:
            return str(name)
    return None


def _county(patient: Json) -> str | None:
    """District of the address: that of the home first, an old one last."""
    order = {"home": 0, "old": 2}
    addresses = objects(patient.get("address"))
    addresses.sort(key=lambda each: order.get(str(each.get("use")), 1))
    return next((str(each["district"]) for each in addresses if each.get("district")), None)


def _plan_name(coverage: Json) -> str | None:
    """Name of the plan among the classes of a coverage."""
    for each in objects(coverage.get("class")):
        if "plan" in codes(each.get("type")):
            return str(each.get("name") or each.get("value") or "") or None
    return None


def _payer_of_type(concept: Any) -> tuple[str | None, bool]:
    """Line of business by the Source of Payment Typology, and whether it says dual."""
    for system, code in codings(as_list(concept)):
        if any(part in system for part in _SOPT) and re.fullmatch(r"\d+", code):
            is_dual = code.startswith(_SOPT_DUAL)
            return ("medicaid" if is_dual else _PAYER_OF_SOPT.get(code[0], "other")), is_dual
    return None, False
