"""Columns that both shapes of Synthea export share, as Ibis expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.schema.dual_status import DUAL_KIND_NOT_TOLD
from calaim_eval.tables.synthea_codes import (
    CODE_SYSTEM,
    COMMERCIAL,
    DUAL_PAYER,
    ENCOUNTER_CLASSES,
    ETHNICITY_CODES,
    FHIR_CLASSES,
    PAYER_TYPES,
    RACE_CODES,
    ClaimCoding,
)

if TYPE_CHECKING:
    import ibis


def code_of(text: ibis.Value, codes: Mapping[str, str]) -> ibis.Value:
    """Code of a word; a word that is not listed stays, for the ledger to count."""
    word = text.strip().lower()
    return word.cases(*codes.items(), else_=text)


def person_columns(race: ibis.Value, ethnicity: ibis.Value) -> dict[str, ibis.Value]:
    """Race and ethnicity as codes under their system."""
    import ibis

    system = ibis.literal(CODE_SYSTEM)
    return {
        "race_code": code_of(race, RACE_CODES),
        "race_code_system": system,
        "ethnicity_code": code_of(ethnicity, ETHNICITY_CODES),
        "ethnicity_code_system": system,
    }


def payer_columns(payer: ibis.Value) -> dict[str, ibis.Value]:
    """Plan, line of business and dual status out of a payer's name."""
    import ibis

    word = payer.fill_null("").strip().lower()
    return {
        "plan": payer,
        "payer_type": word.cases(*PAYER_TYPES.items(), else_=COMMERCIAL),
        "dual_status_code": (word == DUAL_PAYER).ifelse(DUAL_KIND_NOT_TOLD, ibis.null("string")),
    }


def last_covered_day(start: ibis.Value, end: ibis.Value) -> ibis.Value:
    """Last covered day of a span whose end is the first day of the next one.

    A span of one day keeps it. An end that is only a year is that year's last day.
    """
    import ibis

    start_day = start.left(10).try_cast("date")
    day = end.left(10).try_cast("date") - ibis.interval(days=1)
    last = ibis.greatest(day, start_day).cast("string")
    is_year = end.re_search(r"^\d{4}$")
    return ibis.cases(
        (is_year, end + "-12-31"), (end.notnull() & day.isnull(), end), (day.notnull(), last)
    )


def encounter_class(text: ibis.Value) -> ibis.Value:
    """Class of an encounter in one spelling; missing for a class without a coding."""
    fhir = [(code.lower(), name) for code, name in FHIR_CLASSES.items()]
    named = [(name, name) for name in ENCOUNTER_CLASSES]
    return text.strip().lower().cases(*fhir, *named)


def claim_columns(
    encounter: ibis.Value, *, is_first_line: ibis.Value, start: ibis.Value, end: ibis.Value
) -> dict[str, ibis.Value]:
    """Form, codes and dates of a claim line by the class of its encounter.

    Only the first line of a claim carries the visit: the codes of the others are SNOMED, which no
    claim rule reads.
    """
    visit = {
        name: is_first_line.ifelse(_by_class(encounter, name), None)
        for name in ("revenue_center_code", "hcpcs_code")
    }
    is_stay = encounter.isin([name for name, coding in ENCOUNTER_CLASSES.items() if coding.is_stay])
    return {
        "claim_type": _by_class(encounter, "claim_type"),
        "claim_start_date": start,
        "claim_end_date": end,
        "admission_date": is_stay.ifelse(start, None),
        "discharge_date": is_stay.ifelse(end, None),
        "bill_type_code": _by_class(encounter, "bill_type_code"),
        "place_of_service_code": _by_class(encounter, "place_of_service_code"),
        **visit,
    }


def _by_class(encounter: ibis.Value, attribute: str) -> ibis.Value:
    """One attribute of the coding of an encounter's class."""
    pairs = [(name, _text(coding, attribute)) for name, coding in ENCOUNTER_CLASSES.items()]
    return encounter.cases(*pairs).nullif("")


def _text(coding: ClaimCoding, attribute: str) -> str:
    """Attribute of a coding as text."""
    return str(getattr(coding, attribute))
