"""One pass over FHIR files: their resources as narrow rows in parquet, memory flat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine import atomic_folder, track, write_json
from calaim_eval.tables.fhir_claims import N_DIAGNOSES, N_MODIFIERS, claim_rows
from calaim_eval.tables.fhir_files import Entry, read_entries
from calaim_eval.tables.fhir_person import NO_ID, coverage_row, person_row
from calaim_eval.tables.fhir_values import (
    NPI_SYSTEMS,
    Json,
    Links,
    Row,
    codes,
    identifier,
    instant,
)
from calaim_eval.tables.parquet_rows import RowFile

if TYPE_CHECKING:
    import pyarrow as pa

COUNTS = "counts.json"
NO_TABLE = "not needed (no declared table)"

_PERSON = """
    member_id birth_date death_date sex race_code race_code_system
    ethnicity_code ethnicity_code_system language county
"""
_COVERAGE = """
    member_id enrollment_start_date enrollment_end_date start_text end_text payor_name payor_ref
    plan_name payer_type_code dual_status_code
"""
_CLAIM = """
    claim_id resource_id claim_ref member_id insurer_name insurer_ref coverage_ref claim_type
    claim_start_date claim_end_date facility_npi facility_ref claim_status original_claim_id
    original_ref paid_date claim_line_number encounter_ref claim_line_start_date claim_line_end_date
"""
_MEDICAL = """
    admission_date discharge_date bill_type_code drg_code discharge_disposition_code hcpcs_code
    revenue_center_code place_of_service_code rendering_npi rendering_ref rendering_taxonomy_code
"""
_TEXTS: Mapping[str, Sequence[str]] = {
    "resources": ["type", "id", "updated", "reason"],
    "person": _PERSON.split(),
    "coverage": _COVERAGE.split(),
    "medical": [
        *_CLAIM.split(),
        *_MEDICAL.split(),
        *(f"hcpcs_modifier_{i + 1}" for i in range(N_MODIFIERS)),
        *(f"diagnosis_code_{i + 1}" for i in range(N_DIAGNOSES)),
    ],
    "pharmacy": [*_CLAIM.split(), "ndc_code"],
    "encounters": ["id", "class", "start", "end"],
    "providers": ["pointer", "npi", "name"],
}
_FLAGS = {
    "person": ["is_dead_without_date"],
    "medical": ["is_eob", "is_first_line", "has_more_diagnoses", "has_other_diagnosis_system"],
    "pharmacy": ["is_eob", "is_first_line"],
}
_NUMBERS = {"medical": ["paid_amount"], "pharmacy": ["paid_amount", "quantity", "days_supply"]}


def scan_files(paths: Sequence[Path], folder: Path) -> None:
    """Write the rows of all files into a folder, one folder a kind, with counts beside them.

    Parameters
    ----------
    paths : sequence of Path
    folder : Path
        Made whole or not at all; when it is there, nothing is done.

    Raises
    ------
    TableError
        A file cannot be read.
    """
    if folder.is_dir():
        return
    with atomic_folder(folder) as filling, _writers(filling) as write:
        counts: Counter[tuple[str, str]] = Counter()
        number = 0
        for place, path in enumerate(track(paths, description="reading FHIR files"), start=1):
            for entry in read_entries(path, place=f"file {place} of {len(paths)}"):
                number += 1
                counts[_scan_one(entry, number, write)] += 1
        listed = [[*key, n] for key, n in sorted(counts.items())]
        write_json({"counts": listed}, filling / COUNTS)


def schemas() -> dict[str, pa.Schema]:
    """Columns of every kind of row; `number` is that of the resource among all read."""
    import pyarrow as pa

    return {
        kind: pa.schema(
            [
                ("number", pa.int64()),
                *((name, pa.string()) for name in texts),
                *((name, pa.bool_()) for name in _FLAGS.get(kind, [])),
                *((name, pa.float64()) for name in _NUMBERS.get(kind, [])),
            ]
        )
        for kind, texts in _TEXTS.items()
    }


Write = Callable[[str, Row], None]


def _scan_one(entry: Entry, number: int, write: Write) -> tuple[str, str]:
    """Write what one resource says; its type, and a reason where no row can come of it."""
    resource = entry.resource
    if resource is None:
        return "Bundle", entry.reason
    kind = str(resource["resourceType"])
    scan = _SCANS.get(kind)
    if scan is None:
        return kind, NO_TABLE
    reason = scan(resource, entry.links, number, write)
    meta = resource.get("meta")
    updated = instant(meta.get("lastUpdated")) if isinstance(meta, dict) else None
    described = {
        "type": kind,
        "id": resource.get("id"),
        "updated": updated,
        "reason": reason or None,
    }
    write("resources", {"number": number, **described})
    return kind, ""


def _scan_patient(patient: Json, links: Links, number: int, write: Write) -> str:
    """A person."""
    row, reason = person_row(patient, links)
    if not reason:
        write("person", {"number": number, **row})
    return reason


def _scan_coverage(coverage: Json, links: Links, number: int, write: Write) -> str:
    """A span; written also when it is not used, for claims name its plan."""
    row, reason = coverage_row(coverage, links)
    write("coverage", {"number": number, **row})
    return reason


def _scan_claim(claim: Json, links: Links, number: int, write: Write) -> str:
    """Lines of a claim or explanation of benefit."""
    kind, rows, reason = claim_rows(claim, links)
    for row in [] if reason else rows:
        write(kind, {"number": number, **row})
    return reason


def _scan_encounter(encounter: Json, links: Links, number: int, write: Write) -> str:
    """Class and period of an encounter."""
    del links
    if not encounter.get("id"):
        return NO_ID
    held = encounter.get("class")
    code = held.get("code") if isinstance(held, dict) else next(iter(codes(held)), None)
    period = encounter.get("period") or {}
    row = {"class": code, "start": period.get("start"), "end": period.get("end")}
    write("encounters", {"number": number, "id": encounter["id"], **row})
    return ""


def _scan_provider(provider: Json, links: Links, number: int, write: Write) -> str:
    """NPI and name of an organization or practitioner."""
    if not provider.get("id"):
        return NO_ID
    pointer = f"{provider['resourceType']}/{provider['id']}"
    name = provider.get("name") if isinstance(provider.get("name"), str) else None
    npi = identifier(provider.get("identifier"), *NPI_SYSTEMS, kind="npi")
    write("providers", {"number": number, "pointer": pointer, "npi": npi, "name": name})
    return ""


_SCANS: Mapping[str, Callable[[Json, Links, int, Write], str]] = {
    "Patient": _scan_patient,
    "Coverage": _scan_coverage,
    "ExplanationOfBenefit": _scan_claim,
    "Claim": _scan_claim,
    "Encounter": _scan_encounter,
    "Organization": _scan_provider,
    "Practitioner": _scan_provider,
}


@contextmanager
def _writers(folder: Path) -> Iterator[Write]:
    """A function that takes rows by kind and writes each kind to a file of its own."""
    with ExitStack() as stack:
        files = {
            kind: stack.enter_context(RowFile(folder / f"{kind}.parquet", form))
            for kind, form in schemas().items()
        }

        def write(kind: str, row: Row) -> None:
            files[kind].add({**row, **{name: _text(row.get(name)) for name in _TEXTS[kind]}})

        yield write


def _text(value: Any) -> str | None:
    """A simple value as text; what is no simple value is missing."""
    if value is None or isinstance(value, dict | list):
        return None
    return str(value)
