"""Read FHIR R4 bundles and bulk exports as declared tables.

Files are read once into narrow rows (`fhir_scan`); here the engine keeps the newest version of each
resource, follows references, and says what became of every resource.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine import engine_failures, track, write_parquet
from calaim_eval.engine.paths import exactly
from calaim_eval.tables.fhir_files import find_fhir_files
from calaim_eval.tables.fhir_join import (
    DEAD_WITHOUT_DATE,
    MORE_DIAGNOSES,
    NOT_NEEDED,
    OTHER_SYSTEM,
    SETTING_OF_ENCOUNTER,
    UNKNOWN_PAYER,
    eligibility,
    keep_newest,
    medical_claim,
    pharmacy_claim,
    with_encounters,
)
from calaim_eval.tables.fhir_scan import COUNTS, scan_files, schemas
from calaim_eval.tables.formats import SOURCE, SourceTables
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.sources import (
    SourceFiles,
    find_beside,
    require_folder,
    sheet_ledger,
    with_sheets,
)

if TYPE_CHECKING:
    import ibis

OWN = ("person", "eligibility", "eligibility_month", "medical_claim", "pharmacy_claim")


def open_fhir(folder: Path, *, backend: ibis.BaseBackend, input_map: InputMap) -> SourceTables:
    """Open a folder of FHIR R4 files.

    Parameters
    ----------
    folder : Path
        Bundles (`.json`) and bulk exports (`.ndjson`), packed (`.gz`, `.zst`, `.bz2`, `.xz`,
        `.zip` of one file) or not, in any folder below.
    backend : ibis.BaseBackend
        Engine that will run the expressions.
    input_map : InputMap
        `files` may name other declared tables that lie beside, such as `program_service`.

    Returns
    -------
    SourceTables
        `person` of Patient, `eligibility` of Coverage, `medical_claim` and `pharmacy_claim` of
        ExplanationOfBenefit, or of Claim where there is none; and the tables that lie beside.

    Raises
    ------
    TableError
        The folder holds no FHIR files, or one cannot be read.
    """
    require_folder(folder)
    paths = find_fhir_files(folder)
    files = SourceFiles("fhir", paths, ".json", is_bulk=True)
    beside = with_sheets(find_beside(folder, own=OWN, files=input_map.files), input_map)
    opened = SourceTables({}, {}, (files, *beside.values()))
    return replace(opened, convert=partial(_convert, opened, beside, backend))


def _convert(
    opened: SourceTables,
    beside: dict[str, SourceFiles],
    backend: ibis.BaseBackend,
    scratch: Path,
) -> SourceTables:
    """Scan the files and put the tables together."""
    scanned, joined = scratch / "fhir", scratch / "joined"
    scan_files(opened.files[0].paths, scanned)
    with engine_failures(doing="reading the resources of the FHIR files"):
        rows = {
            kind: backend.read_parquet(exactly(scanned / f"{kind}.parquet")) for kind in schemas()
        }
        newest = keep_newest(rows["resources"], (rows["medical"], rows["pharmacy"]))
        rows["resources"] = _written(newest, joined / "resources.parquet", backend)
        expressions = {
            "eligibility": eligibility(rows),
            "person": _person(rows),
            "medical_claim": medical_claim(rows, with_encounters(rows)),
            "pharmacy_claim": pharmacy_claim(rows),
        }
        tables = {
            name: _written(expression, joined / f"{name}.parquet", backend)
            for name, expression in track(expressions.items(), description="joining resources")
        }
        ledger = _count_resources(rows["resources"], tables["medical_claim"], scanned, backend)
        _remark(tables, ledger, backend)
        if not backend.execute(tables["pharmacy_claim"].count()):
            del tables["pharmacy_claim"]
    labels = dict.fromkeys(tables, "FHIR files")
    for name, other in beside.items():
        tables[name] = other.open(backend, scratch=scratch / name)
        labels[name] = other.label
    ledger.extend(sheet_ledger(beside, scratch))
    return replace(opened, tables=tables, labels=labels, ledger=ledger)


def _written(rows: ibis.Table, path: Path, backend: ibis.BaseBackend) -> ibis.Table:
    """Rows put to disk, so that what they are made of is worked out once."""
    write_parquet(rows, path, backend=backend)
    return backend.read_parquet(exactly(path))


def _person(rows: dict[str, ibis.Table]) -> ibis.Table:
    """Persons: the newest Patient of each id."""
    kept = rows["resources"].filter(rows["resources"].fate == USED)
    return rows["person"].semi_join(kept, "number")


def _count_resources(
    resources: ibis.Table, lines: ibis.Table, scanned: Path, backend: ibis.BaseBackend
) -> RowLedger:
    """What became of every resource, by type; proven against the count of the files' pass."""
    import ibis

    ledger = RowLedger()
    needed = lines.filter(lines.from_encounter).select(id=lines.encounter_id).distinct()
    held = resources.left_join(needed.mutate(is_needed=True), "id")
    is_idle = (held.type == "Encounter") & (held.fate == USED) & held.is_needed.isnull()
    fate = ibis.cases((is_idle, NOT_NEEDED), else_=held.fate)
    told = held.select(type=held.type, fate=fate)
    counted = told.group_by("type", "fate").agg(n=told.count()).order_by("type", "fate")
    for row in backend.execute(counted).itertuples(index=False):
        ledger.add(f"fhir {row.type}", row.fate, int(row.n), stage=SOURCE)
    for kind, reason, n in json.loads((scanned / COUNTS).read_text(encoding="utf-8"))["counts"]:
        if reason:
            ledger.add(f"fhir {kind}", reason, n, stage=SOURCE)
        else:
            ledger.check(f"fhir {kind}", SOURCE, n)
    return ledger


def _remark(tables: dict[str, ibis.Table], ledger: RowLedger, backend: ibis.BaseBackend) -> None:
    """Remark on what the declared tables cannot hold, and on what was taken from elsewhere."""
    lines = tables["medical_claim"]
    counts = {
        ("person", DEAD_WITHOUT_DATE): tables["person"].is_dead_without_date.sum(),
        ("eligibility", UNKNOWN_PAYER): tables["eligibility"].is_payer_unknown.sum(),
        ("medical_claim", SETTING_OF_ENCOUNTER): lines.from_encounter.sum(),
        ("medical_claim", MORE_DIAGNOSES): lines.has_more_diagnoses.sum(),
        ("medical_claim", OTHER_SYSTEM): lines.has_other_diagnosis_system.sum(),
    }
    for (table, remark), count in counts.items():
        ledger.note(table, remark, int(backend.execute(count.fill_null(0))))
