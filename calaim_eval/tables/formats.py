"""The formats raw files may come in, by name: what `read_tables` and the study file accept.

To add one, write `open_<format>(folder, *, backend) -> SourceTables` in a file of its own and name
it in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from calaim_eval.engine import engine_failures
from calaim_eval.errors import TableError
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.sources import (
    GIVEN,
    SourceFiles,
    find_beside,
    find_files,
    find_sources,
    sheet_ledger,
    wanted_columns,
    with_sheets,
)

if TYPE_CHECKING:
    import ibis

SOURCE = "source"
"""Stage of the ledger for the rows of a format's own files."""


@dataclass(frozen=True)
class SourceTables:
    """Raw files as declared tables, not yet checked.

    Attributes
    ----------
    tables : mapping of str to ibis.Table
        Rows by declared table, under declared names or names that `rename` maps to them.
    labels : mapping of str to str
        For each table the file or folder it comes from, for messages.
    files : tuple[SourceFiles, ...]
        Files they come from; their content goes into the fingerprint of the reading.
    ledger : RowLedger
        What became of every row of a format's own files, stage ``"source"``. Empty where files and
        tables are the same rows: the ledger of the reading then has them all.
    described : tuple[dict, ...]
        Sources that are no files, such as the tables of a database, with `table`, `file` and
        `sha256` of what is known about their content.
    convert : callable, optional
        For files that must be converted before the engine can read them: given a scratch folder,
        it converts them and gives the opened tables. It is not called when the files were read
        before, and may be called again after a reading was killed.
    """

    tables: Mapping[str, ibis.Table]
    labels: Mapping[str, str]
    files: tuple[SourceFiles, ...]
    ledger: RowLedger = field(default_factory=RowLedger)
    described: tuple[dict[str, Any], ...] = ()
    convert: Callable[[Path], SourceTables] | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """One format of raw files.

    Attributes
    ----------
    name : str
        As in the study file.
    description : str
        What such files are, in one line.
    opener : str
        ``"module:function"`` of the function that opens a folder of them.
    is_simulated : bool
        The format never holds real people: outputs say so.
    takes_files : bool
        The opener takes an `InputMap`, whose `files` say where each table is.
    takes_beside : bool
        Declared tables that the format does not give may lie beside its files.
    """

    name: str
    description: str
    opener: str
    is_simulated: bool = False
    takes_files: bool = False
    takes_beside: bool = False

    def open(
        self, folder: Path, *, backend: ibis.BaseBackend, input_map: InputMap | None = None
    ) -> SourceTables:
        """Open a folder of such files as declared tables.

        Raises
        ------
        TableError
            `input_map` names files, and files of this format have names of their own.
        """
        module, function = self.opener.split(":")
        opener: Callable[..., SourceTables] = getattr(import_module(module), function)
        with engine_failures(doing=f"reading the {self.name} files in `{folder}`"):
            if self.takes_files:
                return opener(folder, backend=backend, input_map=input_map or InputMap())
            if self.takes_beside:
                opened = opener(folder, backend=backend)
                return with_beside(opened, folder, backend, input_map or InputMap())
            if input_map is not None and (input_map.files or input_map.sheets):
                raise TableError(
                    f"files: {self.name} files are found by their own names.\n"
                    "  Leave `files` and `sheets` out, or use the format 'calaim'."
                )
            return opener(folder, backend=backend)


def with_beside(
    opened: SourceTables, folder: Path, backend: ibis.BaseBackend, input_map: InputMap
) -> SourceTables:
    """Tables of a format, and those that lie beside its files: what its files do not give.

    Raises
    ------
    TableError
        `input_map` names a table that the format gives itself, or a file that is not there; or a
        table the format gives lies beside as well.
    """
    own = {*GIVEN, *opened.tables}
    _refuse_twice(opened, folder)
    beside = with_sheets(find_beside(folder, own=own, files=input_map.files), input_map)
    if not beside:
        return opened

    def convert(scratch: Path) -> SourceTables:
        others = {
            name: files.open(backend, scratch=scratch / name) for name, files in beside.items()
        }
        ledger = RowLedger()
        ledger.extend(opened.ledger)
        ledger.extend(sheet_ledger(beside, scratch))
        return replace(both, tables={**opened.tables, **others}, ledger=ledger)

    both = replace(
        opened,
        labels={**opened.labels, **{name: files.label for name, files in beside.items()}},
        files=(*opened.files, *beside.values()),
        convert=convert,
    )
    return both


def _refuse_twice(opened: SourceTables, folder: Path) -> None:
    """Raise when a table that comes from the files of a format lies beside them too."""
    read = {path for each in opened.files for path in each.paths}
    for name in opened.tables:
        files = find_files(folder, name)
        if files is not None and not read.issuperset(files.paths):
            raise TableError(
                f"table `{name}` comes from files of the format itself ({opened.labels[name]}) and "
                f"lies beside them (`{files.label}`).\n  Take one of them out of the folder."
            )


def open_declared(folder: Path, *, backend: ibis.BaseBackend, input_map: InputMap) -> SourceTables:
    """Open files named after the declared tables, or named in `input_map.files`."""
    found = with_sheets(find_sources(folder, files=input_map.files), input_map)

    def convert(scratch: Path) -> SourceTables:
        wanted = {name: wanted_columns(name, input_map.rename.get(name, {})) for name in found}
        tables = {
            name: files.open(backend, scratch=scratch / name, wanted=wanted[name])
            for name, files in found.items()
        }
        return replace(opened, tables=tables, ledger=sheet_ledger(found, scratch))

    opened = SourceTables(
        tables={},
        labels={name: files.label for name, files in found.items()},
        files=tuple(found.values()),
        convert=convert,
    )
    return opened


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        each.name: each
        for each in (
            Format(
                "calaim",
                "one file or folder a table, named and laid out as in data_dictionary/",
                "calaim_eval.tables.formats:open_declared",
                takes_files=True,
            ),
            Format(
                "synthea",
                "Synthea export, CSV or flattened FHIR (simulated people)",
                "calaim_eval.tables.synthea:open_synthea",
                is_simulated=True,
            ),
            Format(
                "cms_rif",
                "Medicare research files: beneficiary years, claims, drug events",
                "calaim_eval.tables.cms_rif:open_cms_rif",
                takes_beside=True,
            ),
            Format(
                "cms_idr",
                "Medicare coverage history of the CMS Integrated Data Repository",
                "calaim_eval.tables.cms_idr:open_cms_idr",
                takes_beside=True,
            ),
            Format(
                "taf",
                "T-MSIS Analytic Files: annual eligibility, claims (header and line files)",
                "calaim_eval.tables.taf:open_taf",
                takes_beside=True,
            ),
            Format(
                "tuva",
                "Tuva input layer: eligibility, medical_claim, pharmacy_claim",
                "calaim_eval.tables.tuva:open_tuva",
                takes_beside=True,
            ),
            Format(
                "fhir",
                "FHIR R4 bundles or bulk export: Patient, Coverage, ExplanationOfBenefit or Claim",
                "calaim_eval.tables.fhir:open_fhir",
                takes_files=True,
            ),
            Format(
                "x12_834",
                "X12 834 enrollment files, with the other tables named as declared beside them",
                "calaim_eval.tables.x12_834:open_x12_834",
                takes_files=True,
            ),
        )
    }
)
"""Formats by name."""


def require_format(name: str) -> Format:
    """The format of a name.

    Raises
    ------
    TableError
        There is no such format; the message lists those there are.
    """
    if name not in FORMATS:
        listed = ", ".join(f"'{each}'" for each in FORMATS)
        raise TableError(f"no format of raw files is named '{name}'.\n  Allowed: {listed}.")
    return FORMATS[name]


def count_rows(
    ledger: RowLedger, file: str, rows: ibis.Table, reason: ibis.Value, backend: ibis.BaseBackend
) -> None:
    """Count the rows of a format's own file by what became of them, stage ``"source"``.

    Parameters
    ----------
    ledger : RowLedger
    file : str
        Name of the file in the ledger, such as ``"synthea encounters"``.
    rows : ibis.Table
    reason : ibis.Value
        Per row ``"used"``, or why it is not, in words a reader understands.
    backend : ibis.BaseBackend
    """
    counted = backend.execute(rows.group_by(reason=reason).agg(n_rows=rows.count()))
    for row in counted.sort_values("reason").itertuples(index=False):
        ledger.add(file, row.reason, row.n_rows, stage=SOURCE)


def require_columns(rows: ibis.Table, file: str, columns: tuple[str, ...]) -> None:
    """Raise when a format's own file lacks a column the reader needs.

    Raises
    ------
    TableError
    """
    lacking = [column for column in columns if column not in rows.columns]
    if lacking and len(lacking) == len(columns):
        # Without a header the first line is a row, and its values must not be shown.
        raise TableError(
            f"{file} lacks column `{lacking[0]}`, and every other one that is needed; it has "
            f"{len(rows.columns)} columns.\n"
            "  Check that the file is the one its name says and that its first line names the "
            "columns."
        )
    if lacking:
        has = ", ".join(f"`{column}`" for column in rows.columns)
        raise TableError(
            f"{file} lacks column `{lacking[0]}`; it has {has}.\n"
            "  Export it again with all columns, or rename the column in the file."
        )
