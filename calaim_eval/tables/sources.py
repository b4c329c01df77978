"""Find the input files of each table in a folder, and open them as expressions."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine import engine_failures
from calaim_eval.errors import TableError
from calaim_eval.schema.columns import match_columns
from calaim_eval.schema.partner_tables import PARTNER_TABLES
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.input_map import Constant, InputMap, add_constants, map_values
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.parquet_parts import read_parquet_parts
from calaim_eval.tables.spreadsheets.convert import (
    WorkbookSource,
    convert_workbooks,
    workbook_ledger,
)
from calaim_eval.tables.spreadsheets.sheets import SPREADSHEET_SUFFIXES
from calaim_eval.tables.statistical_files import STATISTICAL_SUFFIXES, convert_statistical
from calaim_eval.tables.text_files import NOT_UNPACKED, read_text, unpack

if TYPE_CHECKING:
    import ibis

logger = logging.getLogger(__name__)

_TEXT = (".csv", ".txt", ".tsv", ".psv")
_PACKED = ("", ".gz", ".zst", ".bz2", ".xz", ".zip")
TEXT_SUFFIXES = tuple(f"{text}{packed}" for text in _TEXT for packed in _PACKED)
SUFFIXES = (".parquet", *TEXT_SUFFIXES, *STATISTICAL_SUFFIXES, *SPREADSHEET_SUFFIXES)


_ENGINE_MARK = re.compile(r"\.|~\$|_SUCCESS$|_metadata$|_common_metadata$|_committed_|_started_")
"""Hidden files, locks of open workbooks, and what an engine leaves beside its parts."""

_DOCUMENTS = (
    *(".doc", ".docx", ".htm", ".html", ".log", ".md", ".pdf", ".rst", ".rtf"),
    *(".do", ".fts", ".md5", ".py", ".r", ".sas", ".sha256", ".sps", ".sql"),
)
"""Suffixes of files that come with data and hold none: documents, programs, sums."""

_NOT_READ = (
    *NOT_UNPACKED,
    *(".accdb", ".arrow", ".avro", ".dat", ".feather", ".mdb", ".orc", ".por", ".rdata", ".rds"),
)
"""Suffixes of data files that are not read."""

GIVEN = ("eligibility", "eligibility_month")
"""Tables that every format of coverage gives itself; what else it does not give may lie beside."""

STANDS_IN = {"eligibility": "eligibility_month"}
"""Needed tables that another one may take the place of."""


@dataclass(frozen=True)
class SourceFiles:
    """Files of one table: one file, or the parts in a folder, all of one kind.

    Attributes
    ----------
    name : str
        Name of the table, or of the source's own file.
    paths : tuple[Path, ...]
        Files in name order.
    suffix : str
        One of `SUFFIXES`, such as ``".parquet"`` or ``".csv.gz"``.
    pattern : str
        How the study names the files, where they are not named after their table.
    is_bulk : bool
        The files are many and one thing together, as FHIR bundles are; their names, which may be
        those of people, are not recorded.
    sheet : str
        Sheet of workbooks that holds the table, where the study names it.
    rename : mapping of str to str
        Name in the file to declared name: the header of a sheet is found by them.
    """

    name: str
    paths: tuple[Path, ...]
    suffix: str
    pattern: str = ""
    is_bulk: bool = False
    sheet: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """File, or folder of parts, for messages."""
        if self.pattern:
            return self.pattern
        first = self.paths[0]
        is_one = first.name.lower() == f"{self.name}{self.suffix}"
        return first.name if is_one else f"{first.parent.name}/"

    def open(
        self,
        backend: ibis.BaseBackend,
        *,
        scratch: Path | None = None,
        wanted: frozenset[str] | None = None,
    ) -> ibis.Table:
        """Rows as they come; every column of a text file is text.

        Parameters
        ----------
        backend : ibis.BaseBackend
        scratch : Path, optional
            Where files of a kind the engine cannot read are converted to one it can; without it
            such files raise `TableError`.
        wanted : frozenset of str, optional
            Columns to convert, in lower case; all by default.
        """
        paths, is_parquet = self.paths, self.suffix == ".parquet"
        with engine_failures(doing=f"reading table `{self.name}` (file {self.label})"):
            if self.suffix in STATISTICAL_SUFFIXES:
                folder = _require_scratch(scratch, self)
                paths, is_parquet = convert_statistical(paths, folder, wanted=wanted), True
            elif self.suffix in SPREADSHEET_SUFFIXES:
                folder = _require_scratch(scratch, self)
                source = WorkbookSource(self.name, self.sheet, self.rename)
                paths, is_parquet = convert_workbooks(paths, folder, source), True
            elif self.suffix.endswith((".bz2", ".xz", ".zip")):
                paths = unpack(paths, _require_scratch(scratch, self))
            if is_parquet:
                return read_parquet_parts(paths, backend=backend)
            return read_text(paths, self.name, backend=backend)


def find_sources(folder: Path, *, files: Mapping[str, str] | None = None) -> dict[str, SourceFiles]:
    """Files of each input table in a folder.

    A table is a file named after it with one of `SUFFIXES`, such as `<table>.parquet` or
    `<table>.csv.gz`, a folder `<table>` with parts of one kind, or what `files` says.

    Parameters
    ----------
    folder : Path
        Folder with the input files.
    files : mapping of str to str, optional
        Table to a file name or pattern, from the folder.

    Returns
    -------
    dict[str, SourceFiles]
        By table, in the order of the schema. Optional tables that are absent are logged.

    Raises
    ------
    TableError
        The folder does not exist, a table every study needs is not there, or a table is there
        twice.
    """
    require_folder(folder)
    inputs = [table for table in TABLES.values() if table.is_input]
    listed = _by_stem(folder)
    found = {}
    for table in inputs:
        pattern = (files or {}).get(table.name)
        own = (
            find_named(folder, table.name, pattern)
            if pattern
            else find_files(folder, table.name, listed=listed)
        )
        if own is not None:
            found[table.name] = own
    lacking = lacking_tables(found)
    if lacking:
        raise TableError(_lacking_message(folder, lacking))
    log_absent(found)
    return found


def lacking_tables(found: Collection[str]) -> list[str]:
    """Tables every study needs that are not there, nor what may take their place."""
    return [
        table.name
        for table in TABLES.values()
        if table.is_input
        and not table.is_optional
        and not {table.name, STANDS_IN.get(table.name)} & set(found)
    ]


def log_absent(found: Collection[str]) -> None:
    """Name the optional tables that are not there in the log."""
    absent = [
        table.name
        for table in TABLES.values()
        if table.is_input
        and table.is_optional
        and table.name not in found
        and table.name not in STANDS_IN.values()
        and table not in PARTNER_TABLES
    ]
    if absent:
        listed = ", ".join(f"`{name}`" for name in absent)
        logger.warning("optional tables not given: %s; what needs them stays missing", listed)


def find_beside(
    folder: Path, *, own: Collection[str], files: Mapping[str, str]
) -> dict[str, SourceFiles]:
    """Files of declared tables that lie beside the files of a format.

    Parameters
    ----------
    folder : Path
    own : collection of str
        Tables that the format gives itself; they are not looked for.
    files : mapping of str to str
        Table to a file name or pattern, where a file is not named after its table.

    Raises
    ------
    TableError
        `files` names a table the format gives itself, or a file that is not there.
    """
    twice = [name for name in files if name in own]
    if twice:
        raise TableError(
            f"files: table `{twice[0]}` comes from files of the format itself.\n"
            "  Leave it out of `files`, or read all tables with the format 'calaim'."
        )
    names = [each.name for each in TABLES.values() if each.is_input and each.name not in own]
    listed = _by_stem(folder)
    found = {
        name: find_named(folder, name, files[name])
        if name in files
        else find_files(folder, name, listed=listed)
        for name in names
    }
    return {name: each for name, each in found.items() if each is not None}


def with_sheets(found: Mapping[str, SourceFiles], input_map: InputMap) -> dict[str, SourceFiles]:
    """Files of each table with the sheet and names of columns the study gives.

    Raises
    ------
    TableError
        A sheet is named for a table that is not there, or whose file is no workbook.
    """
    for name in input_map.sheets:
        if name not in found or found[name].suffix not in SPREADSHEET_SUFFIXES:
            why = f"{found[name].label} is none" if name in found else "there is no file of it"
            raise TableError(
                f"sheets: table `{name}` is read from no workbook: {why}.\n"
                "  Name its workbook in `files`, or leave the sheet out."
            )
    return {
        name: replace(
            each, sheet=input_map.sheets.get(name, ""), rename=input_map.rename.get(name, {})
        )
        for name, each in found.items()
    }


def sheet_ledger(found: Mapping[str, SourceFiles], scratch: Path) -> RowLedger:
    """What became of the rows of workbooks that were converted to a folder for each table."""
    ledger = RowLedger()
    for name, each in found.items():
        if each.suffix in SPREADSHEET_SUFFIXES:
            ledger.extend(workbook_ledger(name, scratch / name))
    return ledger


def require_folder(folder: Path) -> None:
    """Raise unless the folder exists."""
    if not folder.is_dir():
        raise TableError(
            f"the input folder `{folder}` does not exist.\n"
            "  Name the folder that holds `eligibility`, `person` and `medical_claim`."
        )


def find_named(folder: Path, name: str, pattern: str) -> SourceFiles:
    """Files of one table by the name or pattern the study gives.

    Raises
    ------
    TableError
        No file has such a name, the files are of several kinds, or of a kind that is not read.
    """
    is_inside = not Path(pattern).is_absolute() and ".." not in Path(pattern).parts
    found = folder.glob(pattern) if is_inside else ()
    paths = sorted(each for each in found if each.is_file() and not each.name.startswith("~$"))
    if not paths:
        raise TableError(
            f"files: table `{name}`: no file in `{folder}` is named '{pattern}'.\n"
            "  Give a name, or a pattern with `*`, that starts from the input folder."
        )
    kinds = {suffix_of(path) for path in paths}
    if len(kinds) > 1 or "" in kinds:
        shown = ", ".join(sorted(kind or "unknown" for kind in kinds))
        raise TableError(
            f"files: table `{name}`: the {len(paths)} files named '{pattern}' are of the kinds "
            f"{shown}.\n  Name files of one kind: {', '.join(SUFFIXES)}."
        )
    return SourceFiles(name, tuple(paths), kinds.pop(), pattern)


def suffix_of(path: Path) -> str:
    """Which of `SUFFIXES` a file has, in any case; empty for another."""
    fitting = [suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)]
    return max(fitting, key=len, default="")


def find_files(
    folder: Path, name: str, *, listed: Mapping[str, Sequence[Path]] | None = None
) -> SourceFiles | None:
    """Files of one table, named after it in any case; None when there are none.

    Parameters
    ----------
    folder : Path
    name : str
        Of the table.
    listed : mapping of str to sequence of Path, optional
        What the folder holds by stem, where it is listed already.

    Raises
    ------
    TableError
        The table is there twice, a folder of parts holds a file of another or of no kind, or all
        there is of the table is a file that is not read.
    """
    here = (listed or _by_stem(folder)).get(name, ())
    candidates = []
    for path in here:
        suffix = suffix_of(path)
        if path.is_file() and suffix and path.name.lower() == f"{name}{suffix}":
            candidates.append(SourceFiles(name, (path,), suffix))
        elif path.name.lower() == name and path.is_dir():
            candidates += [parts] if (parts := _find_parts(path, name)) else []
    if len(candidates) > 1:
        shown = ", ".join(
            f"`{each.label}` ({each.suffix.removeprefix('.')})" for each in candidates
        )
        raise TableError(
            f"table `{name}` is there more than once in `{folder}`: {shown}.\n  Keep one of them."
        )
    if not candidates:
        _refuse_passing_over(here, name)
    return candidates[0] if candidates else None


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    """What a folder holds, by the part of the name before its first point, in lower case."""
    listed: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        listed.setdefault(path.name.split(".")[0].lower(), []).append(path)
    return listed


def _refuse_passing_over(here: Sequence[Path], name: str) -> None:
    """Raise for a data file that has the name of a table and cannot be the table's."""
    closed = [
        path
        for path in here
        if path.is_file() and (suffix_of(path) or path.name.lower().endswith(_NOT_READ))
    ]
    if closed:
        raise TableError(
            f"table `{name}`: `{closed[0].name}` is not read under this name.\n"
            f"  Unpack or convert it and name it `{name}.csv`, `{name}.csv.gz` or the like, name "
            "it in `[input.files]`, or take it out of the folder."
        )


def _find_parts(folder: Path, name: str) -> SourceFiles | None:
    """The parts in a folder named after its table, None when it holds none."""
    paths = sorted(each for each in folder.iterdir() if not _ENGINE_MARK.match(each.name))
    if not paths:
        return None
    kinds = {suffix_of(each) or "unknown" if each.is_file() else "folder" for each in paths}
    if len(kinds) > 1 or not kinds.issubset(SUFFIXES):
        raise TableError(
            f"`{folder.name}/` holds {len(paths)} parts of the kinds {', '.join(sorted(kinds))}.\n"
            f"  Keep parts of one kind in it, and nothing else: {', '.join(SUFFIXES)}."
        )
    return SourceFiles(name, tuple(paths), kinds.pop())


def find_by_name(
    folder: Path,
    kind_of: Callable[[str], str],
    *,
    suffixes: Collection[str],
    needed: str,
    lacking: str,
    name_it: str,
    source_name: Callable[[str], str],
) -> dict[str, SourceFiles]:
    """Files of each kind a format tells by their names; the others are named in the log.

    Parameters
    ----------
    folder : Path
    kind_of : callable
        Kind of a file by its name, empty for none.
    suffixes : collection of str
        Those of `SUFFIXES` the format reads. Text files of a kind may be packed or not. Documents
        and programs are no data files and passed over, whatever their names.
    needed : str
        Kind that has to be there.
    lacking, name_it : str
        What the folder lacks, and how to name the file, where that kind is not there.
    source_name : callable
        Name of a kind in the ledger.

    Raises
    ------
    TableError
        The needed kind is not there, a kind is there as parquet and as text, or a file of a kind
        is packed or written in a way the format does not read.
    """
    by_kind: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.lower().endswith(_DOCUMENTS):
            continue
        kind = kind_of(path.name)
        is_read = suffix_of(path) in suffixes
        if kind and not is_read and path.is_file():
            raise TableError(_not_read_message(path, source_name(kind), suffixes))
        by_kind.setdefault(kind if is_read else "", []).append(path)
    others = [path for path in by_kind.pop("", []) if not _lies_beside(path)]
    if needed not in by_kind:
        there = ", ".join(f"`{path.name}`" for path in sorted(folder.iterdir())) or "nothing"
        raise TableError(f"`{folder}` {lacking}; it holds {there}.\n  {name_it}")
    if others:
        listed = ", ".join(f"`{path.name}`" for path in others)
        logger.warning("files of no kind this format knows, not read: %s", listed)
    found = {}
    for kind, paths in by_kind.items():
        kinds = {suffix_of(path) for path in paths}
        if len(kinds) > 1 and ".parquet" in kinds:
            raise TableError(
                f"{source_name(kind)}: files are there as {' and as '.join(sorted(kinds))}.\n"
                "  Keep those of one of them."
            )
        found[kind] = SourceFiles(source_name(kind), tuple(paths), min(kinds, key=len))
    return found


def _lies_beside(path: Path) -> bool:
    """Whether a file is named after a declared table that a format may not give."""
    name = path.name.split(".")[0].lower()
    return name in TABLES and TABLES[name].is_input and name not in GIVEN


def _not_read_message(path: Path, source: str, suffixes: Collection[str]) -> str:
    """What is wrong with a file that is one of a kind by its name and not by its suffix."""
    return (
        f"{source}: `{path.name}` is of a kind of file that this format does not read.\n"
        f"  Unpack it or convert it to one of {', '.join(suffixes)}, or take it out of the folder."
    )


def select_declared(
    raw: ibis.Table,
    name: str,
    *,
    rename: Mapping[str, str] | None,
    label: str,
    constants: Mapping[str, Constant] | None = None,
    values: Mapping[str, Mapping[str, str]] | None = None,
) -> ibis.Table:
    """Declared columns of a file under their declared names; others are left behind.

    Constant columns are added and values replaced as the study says; see `InputMap`.

    Raises
    ------
    TableError
        A required column is missing, `rename` or `values` names a column the file does not have,
        or `constants` one it has.
    """
    whole = add_constants(raw, name, constants or {}, rename=rename or {}, label=label)
    columns = match_columns(whole.columns, TABLES[name], rename=rename, source=label)
    left_out = [column for column in whole.columns if column not in columns.values()]
    if left_out:
        logger.info("table `%s`: %d columns are not declared and not read", name, len(left_out))
    selected = {declared: whole[given] for declared, given in columns.items()}
    for column, pairs in (values or {}).items():
        if column not in selected:
            raise TableError(
                f"values: table `{name}` has no column `{column}` (file {label}).\n"
                "  Rename the column that holds it, or give it a value with `constants`."
            )
        selected[column] = map_values(selected[column], pairs)
    return whole.select(**selected)


def wanted_columns(name: str, rename: Mapping[str, str]) -> frozenset[str]:
    """Columns of a file a table can use, in lower case."""
    return frozenset({*TABLES[name].fields, *(given.strip().lower() for given in rename)})


def _require_scratch(scratch: Path | None, files: SourceFiles) -> Path:
    """Folder to convert files in."""
    if scratch is None:
        raise TableError(
            f"`{files.label}`: {files.suffix} files are not read in this format.\n"
            "  Unpack or convert them first, for example to .csv.gz or .parquet."
        )
    return scratch


def _lacking_message(folder: Path, lacking: Sequence[str]) -> str:
    """What is missing and what the folder has."""
    listed = ", ".join(
        f"`{name}` (or `{STANDS_IN[name]}`)" if name in STANDS_IN else f"`{name}`"
        for name in lacking
    )
    there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    shown = ", ".join(f"`{name}`" for name in there) if there else "nothing"
    noun = "table" if len(lacking) == 1 else "tables"
    return (
        f"`{folder}` lacks the {noun} {listed}; it holds {shown}.\n"
        f"  Name each file after its table, such as `{lacking[0]}.parquet` or `{lacking[0]}.csv`."
    )
