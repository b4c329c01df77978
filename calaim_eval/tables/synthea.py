"""Read a Synthea export as if it were plan data: for teaching, demonstrations and tests.

Two shapes are known by their files. *CSV export*, as Synthea writes it: `patients`, `payers`,
`payer_transitions`, `encounters`, `claims`, `claims_transactions`, `medications`, `organizations`
(`procedures` and `providers` may be there). *Flattened FHIR*: `patients`, `coverage`, `encounters`,
`claim_lines`. Encounter classes become bill types, revenue and visit codes by
`synthea_codes.ENCOUNTER_CLASSES`. All payers are kept with their `payer_type`; which of them a
study counts is a rule of the panel.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.errors import TableError
from calaim_eval.schema.values import as_text
from calaim_eval.tables.formats import SOURCE, SourceTables
from calaim_eval.tables.sources import SourceFiles, find_files, require_folder, suffix_of

if TYPE_CHECKING:
    import ibis

logger = logging.getLogger(__name__)

EXPORT_FILES = (
    "patients",
    "payers",
    "payer_transitions",
    "encounters",
    "claims",
    "claims_transactions",
    "medications",
    "organizations",
)
EXPORT_EXTRA_FILES = ("procedures", "providers")
FHIR_FILES = ("patients", "coverage", "encounters", "claim_lines")
FHIR_EXTRA_FILES = ("conditions",)


def open_synthea(folder: Path, *, backend: ibis.BaseBackend) -> SourceTables:
    """Open a Synthea export of either shape.

    Parameters
    ----------
    folder : Path
        Folder with the files, each `.csv`, `.csv.gz` or `.parquet`.
    backend : ibis.BaseBackend
        Engine that will run the expressions.

    Returns
    -------
    SourceTables

    Raises
    ------
    TableError
        The files are of neither shape.
    """
    from calaim_eval.tables.synthea_export import export_tables
    from calaim_eval.tables.synthea_fhir import fhir_tables

    require_folder(folder)
    if find_files(folder, "claims_transactions") is not None:
        files = _find(folder, EXPORT_FILES, EXPORT_EXTRA_FILES)
        convert = export_tables
    elif find_files(folder, "claim_lines") is not None:
        files = _find(folder, FHIR_FILES, FHIR_EXTRA_FILES)
        convert = fhir_tables
    else:
        raise TableError(_neither_shape(folder))
    _name_others(folder, files)
    opened = {name: _as_written(each.open(backend)) for name, each in files.items()}
    tables, ledger = convert(opened, backend)
    for name, rows in opened.items():
        ledger.check(source_name(name), SOURCE, int(backend.execute(rows.count())))
    labels = dict.fromkeys(tables, "Synthea export")
    return SourceTables(tables, labels, tuple(files.values()), ledger)


def _find(folder: Path, needed: tuple[str, ...], extra: tuple[str, ...]) -> dict[str, SourceFiles]:
    """Files of one shape."""
    found = {name: find_files(folder, name) for name in (*needed, *extra)}
    lacking = [name for name in needed if found[name] is None]
    if lacking:
        listed = ", ".join(f"`{name}`" for name in lacking)
        raise TableError(
            f"the Synthea export in `{folder}` lacks {listed}.\n"
            f"  Export these files: {', '.join(f'`{name}`' for name in needed)}."
        )
    return {name: each for name, each in found.items() if each is not None}


def _name_others(folder: Path, files: Mapping[str, SourceFiles]) -> None:
    """Name the tables of the folder that are not needed in the log."""
    read = {path.name for each in files.values() for path in each.paths}
    others = [path.name for path in sorted(folder.iterdir()) if suffix_of(path)]
    left = [f"`{name}`" for name in others if name not in read]
    if left:
        logger.info("files of the Synthea export that are not needed: %s", ", ".join(left))


def _as_written(rows: ibis.Table) -> ibis.Table:
    """Rows with every column as text, as a CSV file would have it; parquet may have types."""
    return rows.select(
        **{
            name: rows[name] if rows[name].type().is_string() else as_text(rows[name])
            for name in rows.columns
        }
    )


def source_name(file: str) -> str:
    """Name of a Synthea file in the ledger."""
    return f"synthea {file}"


def _neither_shape(folder: Path) -> str:
    """Message for a folder without a Synthea export."""
    there = ", ".join(f"`{path.name}`" for path in sorted(folder.iterdir())) or "nothing"
    return (
        f"`{folder}` is no Synthea export this reader knows; it holds {there}.\n"
        f"  CSV export: {', '.join(f'`{name}`' for name in EXPORT_FILES)}. Flattened FHIR: "
        f"{', '.join(f'`{name}`' for name in FHIR_FILES)}."
    )
