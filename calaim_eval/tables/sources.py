"""Find the input files of each table in a folder, and open them as expressions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine import engine_failures
from calaim_eval.errors import TableError
from calaim_eval.schema.columns import match_columns
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.text_files import read_text

if TYPE_CHECKING:
    import ibis

logger = logging.getLogger(__name__)

SUFFIXES = (".parquet", ".csv", ".csv.gz")


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
        ``".parquet"``, ``".csv"`` or ``".csv.gz"``.
    """

    name: str
    paths: tuple[Path, ...]
    suffix: str

    @property
    def label(self) -> str:
        """File, or folder of parts, for messages."""
        first = self.paths[0]
        is_one = first.name == f"{self.name}{self.suffix}"
        return first.name if is_one else f"{first.parent.name}/"

    def open(self, backend: ibis.BaseBackend) -> ibis.Table:
        """Rows as they come; every column of a CSV is text."""
        if self.suffix == ".parquet":
            for path in self.paths:
                _check_parquet(path)
        with engine_failures(doing=f"reading table `{self.name}` (file {self.label})"):
            if self.suffix == ".parquet":
                return backend.read_parquet([str(path) for path in self.paths], union_by_name=True)
            return read_text(self.paths, self.name, backend=backend)


def find_sources(folder: Path) -> dict[str, SourceFiles]:
    """Files of each input table in a folder.

    A table is `<table>.parquet`, `<table>.csv` or `<table>.csv.gz`, or a folder `<table>` with
    parts of one of these kinds.

    Parameters
    ----------
    folder : Path
        Folder with the input files.

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
    found = {}
    for table in inputs:
        files = find_files(folder, table.name)
        if files is not None:
            found[table.name] = files
    lacking = [table.name for table in inputs if not table.is_optional and table.name not in found]
    if lacking:
        raise TableError(_lacking_message(folder, lacking))
    absent = [table.name for table in inputs if table.is_optional and table.name not in found]
    if absent:
        listed = ", ".join(f"`{name}`" for name in absent)
        logger.warning("optional tables not given: %s; what needs them stays missing", listed)
    return found


def require_folder(folder: Path) -> None:
    """Raise unless the folder exists."""
    if not folder.is_dir():
        raise TableError(
            f"the input folder `{folder}` does not exist.\n"
            "  Name the folder that holds `eligibility`, `person` and `medical_claim`."
        )


def find_files(folder: Path, name: str) -> SourceFiles | None:
    """Files of one table, None when there are none."""
    candidates = [
        SourceFiles(name, (folder / f"{name}{suffix}",), suffix)
        for suffix in SUFFIXES
        if (folder / f"{name}{suffix}").is_file()
    ]
    if (folder / name).is_dir():
        candidates += [
            SourceFiles(name, tuple(sorted(paths)), suffix)
            for suffix in SUFFIXES
            if (paths := [each for each in (folder / name).iterdir() if each.name.endswith(suffix)])
        ]
    if len(candidates) > 1:
        listed = ", ".join(
            f"`{each.label}` ({each.suffix.removeprefix('.')})" for each in candidates
        )
        raise TableError(
            f"table `{name}` is there more than once in `{folder}`: {listed}.\n  Keep one of them."
        )
    return candidates[0] if candidates else None


def select_declared(
    raw: ibis.Table, name: str, *, rename: Mapping[str, str] | None, label: str
) -> ibis.Table:
    """Declared columns of a file under their declared names; others are left behind."""
    columns = match_columns(raw.columns, TABLES[name], rename=rename, source=label)
    left_out = [column for column in raw.columns if column not in columns.values()]
    if left_out:
        logger.info("table `%s`: %d columns are not declared and not read", name, len(left_out))
    return raw.select(**{declared: raw[given] for declared, given in columns.items()})


def _check_parquet(path: Path) -> None:
    """Raise when a parquet file's footer cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError) as problem:
        raise TableError(
            f"`{path.name}` is not a whole parquet file ({type(problem).__name__}).\n"
            "  It is damaged or cut short; fetch or write it again."
        ) from None


def _lacking_message(folder: Path, lacking: Sequence[str]) -> str:
    """What is missing and what the folder has."""
    listed = ", ".join(f"`{name}`" for name in lacking)
    there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    shown = ", ".join(f"`{name}`" for name in there) if there else "nothing"
    noun = "table" if len(lacking) == 1 else "tables"
    return (
        f"`{folder}` lacks the {noun} {listed}; it holds {shown}.\n"
        f"  Name each file after its table, such as `{lacking[0]}.parquet` or `{lacking[0]}.csv`."
    )
