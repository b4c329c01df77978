"""Synthea FHIR bundles flattened to CSV, as declared tables.

`coverage` is eligibility, `patients` is person, `encounters` with `claim_lines` is medical claims.
A claim item's net is a price and not a payment, so `paid_amount` is missing in this shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.tables.formats import count_rows, require_columns
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.synthea import source_name
from calaim_eval.tables.synthea_columns import (
    claim_columns,
    encounter_class,
    last_covered_day,
    payer_columns,
    person_columns,
)

if TYPE_CHECKING:
    import ibis

NO_ENCOUNTER = "claim line whose encounter is not in the export"
NO_CLASS = "encounter class without a coding"
NO_LINE = "encounter without a claim line"
NOT_NEEDED = "not needed (no declared table)"
_COLUMNS = {
    "patients": "patient_id birth_date death gender race ethnicity county language",
    "coverage": "patient_id payer start end",
    "encounters": "encounter_id patient_id enc_class start end provider_org",
    "claim_lines": "claim_id line patient_id encounter_id",
}


def fhir_tables(
    files: Mapping[str, ibis.Table], backend: ibis.BaseBackend
) -> tuple[dict[str, ibis.Table], RowLedger]:
    """Declared tables and what became of every row of the files."""
    import ibis

    for file, columns in _COLUMNS.items():
        require_columns(files[file], f"Synthea file `{file}`", tuple(columns.split()))
    lines = _join_encounters(files)
    used = lines.encounter_class.notnull()
    ledger = RowLedger()
    fate = ibis.cases((used, USED), (lines.has_encounter.isnull(), NO_ENCOUNTER), else_=NO_CLASS)
    count_rows(ledger, source_name("claim_lines"), lines, fate, backend)
    encounters = files["encounters"]
    with_line = files["claim_lines"].select("encounter_id").distinct()
    has_line = encounters.left_join(with_line, "encounter_id")
    fate = ibis.cases(
        (has_line.encounter_id_right.isnull(), NO_LINE),
        (encounter_class(has_line.enc_class).isnull(), NO_CLASS),
        else_=USED,
    )
    count_rows(ledger, source_name("encounters"), has_line, fate, backend)
    for file in ("patients", "coverage"):
        count_rows(ledger, source_name(file), files[file], ibis.literal(USED), backend)
    if "conditions" in files:
        count_rows(
            ledger,
            source_name("conditions"),
            files["conditions"],
            ibis.literal(NOT_NEEDED),
            backend,
        )
    tables = {
        "eligibility": _eligibility(files["coverage"]),
        "person": _person(files["patients"]),
        "medical_claim": _medical_claim(lines.filter(used)),
    }
    return tables, ledger


def _eligibility(coverage: ibis.Table) -> ibis.Table:
    """Spans; the end is the first day no longer covered, so the last covered day is before it."""
    return coverage.select(
        member_id=coverage.patient_id,
        enrollment_start_date=coverage.start,
        enrollment_end_date=last_covered_day(coverage.start, coverage.end),
        **payer_columns(coverage.payer),
    )


def _person(patients: ibis.Table) -> ibis.Table:
    """Persons."""
    return patients.select(
        member_id=patients.patient_id,
        birth_date=patients.birth_date,
        death_date=patients.death,
        sex=patients.gender,
        **person_columns(patients.race, patients.ethnicity),
        language=patients.language,
        county=patients.county,
    )


def _join_encounters(files: Mapping[str, ibis.Table]) -> ibis.Table:
    """Claim lines, each with its encounter where there is one."""
    encounters = files["encounters"]
    keyed = encounters.select(
        "encounter_id",
        has_encounter=encounters.encounter_id,
        encounter_class=encounter_class(encounters.enc_class),
        visit_start=encounters.start,
        visit_end=encounters.end,
        facility=encounters.provider_org,
    )
    return files["claim_lines"].left_join(keyed, "encounter_id").view()


def _medical_claim(lines: ibis.Table) -> ibis.Table:
    """Claim lines; the facility's Synthea id stands in the NPI column."""
    return lines.select(
        claim_id=lines.claim_id,
        claim_line_number=lines.line,
        member_id=lines.patient_id,
        facility_npi=lines.facility,
        **claim_columns(
            lines.encounter_class,
            is_first_line=lines.line == "1",
            start=lines.visit_start,
            end=lines.visit_end,
        ),
    )
