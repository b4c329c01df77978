"""Read a folder of input files into checked, bucketed `Tables`.

Two passes, so that memory stays flat however many claims there are. The first reads each file
once, marks every row and writes it to its member bucket; the second settles one bucket at a time
and writes its parts. Everything is written beside the earlier reading, which is replaced at the
end; a killed reading goes on where it stopped.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine import (
    MEMORY_LIMIT_GB,
    bucket_count,
    engine_failures,
    open_engine,
    write_json,
)
from calaim_eval.engine.failures import output_error
from calaim_eval.engine.lock import one_at_a_time
from calaim_eval.errors import TableError
from calaim_eval.schema.race_rule import RaceRule
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.cross_reference import XREF
from calaim_eval.tables.database import connect, is_database, mark_of, open_database
from calaim_eval.tables.fingerprint import (
    MANIFEST,
    definitions_hash,
    describe_sources,
    fingerprint,
    read_manifest,
    versions,
)
from calaim_eval.tables.formats import SourceTables, require_format
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.monthly import MONTHS, SPANS, with_spans_of_months
from calaim_eval.tables.partners.read import (
    Folders,
    add_partners,
    describe_partners,
    partner_sources,
)
from calaim_eval.tables.passes import settle_all, stage_all
from calaim_eval.tables.sources import select_declared
from calaim_eval.tables.stage import READ
from calaim_eval.tables.tables import DERIVED_FOLDER, Tables

if TYPE_CHECKING:
    import ibis

logger = logging.getLogger(__name__)

Rename = Mapping[str, Mapping[str, str]]
_UNFINISHED = ".reading"


def read_tables(
    folder: Path | str | ibis.BaseBackend,
    *,
    work_dir: Path | str,
    source: str = "calaim",
    rename: Rename | None = None,
    input_map: InputMap | None = None,
    n_buckets: int | None = None,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
    extract_date: date | str | None = None,
    extraction: str = "",
    race: RaceRule | None = None,
    partners: Folders | None = None,
) -> Tables:
    """Read the input files of a study: check every row, account for it, bucket by member.

    Parameters
    ----------
    folder : Path, str or ibis.BaseBackend
        Folder with `eligibility`, `person`, `medical_claim` and any optional table, each as
        parquet, delimited text (packed or not), SAS, Stata or SPSS file, or a folder of parts; or
        the files of another `source`. Or a database with such tables or views: its address
        (``"postgresql://user@host/database"``, never with a password) or an Ibis connection.
    work_dir : Path or str
        Where the checked tables go; restricted, for it holds member rows. Given the same files and
        options again, what is there is used.
    source : str
        Format of the files: a name of `tables.formats.FORMATS`, such as ``"synthea"``.
    rename : mapping, optional
        Table to {name in the file: declared name}; short for `input_map.rename`.
    input_map : InputMap, optional
        Files called otherwise, columns called otherwise, constant columns, codes of one's own.
    n_buckets : int, optional
        Member buckets; by default 16 a million members.
    memory_limit_gb : float
        Memory for the engine, GB.
    extract_date : date or str, optional
        Day the files were cut. Dates after it are impossible, planned ones apart. By default only
        dates after 2100 are.
    extraction : str
        Any name of this extraction of a database: a change of rows that changes neither their
        number nor a latest date goes unnoticed, and another name has them extracted again.
    race : RaceRule, optional
        By which standard and in which display persons get their one group of race and ethnicity;
        by default as recorded, Hispanic first.
    partners : mapping, optional
        Files that partners hold, put beside: format (a name of
        `tables.partners.read.PARTNER_FORMATS`, such as ``"hmis"``) to a folder or several.

    Returns
    -------
    Tables

    Raises
    ------
    TableError
        A file or table breaks its contract as a whole. Single rows never raise: they are set
        aside, and `Tables.ledger` counts them by reason.
    OutputError
        `work_dir` cannot be written, or the disk is full. An earlier reading stays as it was.

    Notes
    -----
    Where `member_xref` is given, rows of merged members go to their current `member_id` first; the
    ledger says how many, and of that table itself nothing else is kept.

    A row is set aside when a value it cannot do without is missing, unreadable or impossible, when
    its dates are out of order, when it repeats another row, and when its member is not in
    `eligibility`. Values that a row can do without are read as missing and remarked on under the
    stage ``"notice"``.
    """
    work_dir = Path(work_dir)
    input_map = _merged(rename, input_map)
    _check_options(input_map, n_buckets, source)
    beside = partner_sources(partners or {})
    cut = date.fromisoformat(extract_date) if isinstance(extract_date, str) else extract_date
    options = {
        "source": source,
        **input_map.to_dict(),
        "n_buckets": n_buckets,
        "extract_date": cut.isoformat() if cut else None,
        "extraction": extraction,
        "database": mark_of(folder, extraction=extraction),
        "race": (race or RaceRule()).to_dict(),
        **({"partners": [source for source, _ in beside]} if beside else {}),
    }
    with one_at_a_time(work_dir, doing="reading the input files"):
        backend = open_engine(memory_limit_gb=memory_limit_gb, temp_folder=_unfinished(work_dir))
        try:
            with _opened(folder, source, input_map, backend) as opened:
                return _read(opened, input_map, options, cut, work_dir, backend, beside, race)
        finally:
            backend.disconnect()


@contextmanager
def _opened(
    place: Path | str | ibis.BaseBackend,
    source: str,
    input_map: InputMap,
    backend: ibis.BaseBackend,
) -> Iterator[SourceTables]:
    """The raw tables of a folder or a database."""
    if isinstance(place, Path) or not is_database(place):
        folder = Path(str(place))
        yield require_format(source).open(folder, backend=backend, input_map=input_map)
        return
    if source != "calaim":
        raise TableError(
            f"a database holds declared tables, not {source} files.\n"
            "  Leave the format at 'calaim'; rename tables and columns in the study file."
        )
    with connect(place) as connection:
        yield open_database(connection, backend=backend, input_map=input_map)


def _read(
    opened: SourceTables,
    input_map: InputMap,
    options: dict[str, Any],
    cut: date | None,
    work_dir: Path,
    backend: ibis.BaseBackend,
    beside: Sequence[tuple[str, Path]],
    race: RaceRule | None = None,
) -> Tables:
    """Reuse the earlier reading if it is of the same files and options, else read."""
    earlier = read_manifest(work_dir)
    sources = (*opened.files, *describe_partners(beside))
    files = describe_sources(sources, known=(earlier or {}).get("files", ()))
    files += opened.described
    mark = fingerprint(files, options)
    if earlier and earlier.get("fingerprint") == mark and _is_complete(work_dir, earlier):
        logger.info("input files and options are those of the earlier reading; it is used")
        shutil.rmtree(_unfinished(work_dir), ignore_errors=True)
        return open_tables(work_dir)
    building = _start_or_go_on(work_dir, mark)
    if opened.convert:
        opened = opened.convert(building / "converted")
    tables = {
        name: select_declared(
            raw,
            name,
            rename=input_map.rename.get(name),
            label=opened.labels[name],
            constants=input_map.constants.get(name),
            values=input_map.values.get(name),
        )
        for name, raw in opened.tables.items()
    }
    buckets = options["n_buckets"] or _count_buckets(tables, opened.labels, backend)
    ledger = RowLedger()
    ledger.extend(opened.ledger)
    tables, added = add_partners(tables, beside, building / "partners", backend, ledger)
    tables, labels = with_spans_of_months(
        tables, {**added, **opened.labels}, building, backend, buckets, cut, ledger
    )
    stage_all(tables, labels, building, backend, buckets, cut, ledger)
    names = [name for name in tables if name != XREF]
    settle_all(names, building, backend, buckets, ledger, race)
    for name, raw in tables.items():
        with engine_failures(doing=f"counting the rows of `{name}`"):
            ledger.check(name, READ, int(backend.execute(raw.count())))
    manifest = {
        "fingerprint": mark,
        "n_buckets": buckets,
        "tables": names,
        "options": options,
        "definitions_sha256": definitions_hash(),
        "versions": versions(),
        "files": files,
        "ledger": ledger.to_records(),
    }
    _publish(building, work_dir, manifest)
    return open_tables(work_dir)


def open_tables(work_dir: Path | str) -> Tables:
    """Open an earlier reading without looking at its source files.

    Raises
    ------
    TableError
        The folder holds no finished reading.
    """
    folder = Path(work_dir)
    manifest = read_manifest(folder)
    if manifest is None or not _is_complete(folder, manifest):
        raise TableError(
            f"`{folder}` holds no finished reading of tables.\n  Read them: read_tables(...)."
        )
    ledger = RowLedger.from_records(manifest["ledger"])
    return Tables(folder, manifest["n_buckets"], tuple(manifest["tables"]), ledger, manifest)


def _merged(rename: Rename | None, input_map: InputMap | None) -> InputMap:
    """One map of `rename` and `input_map`."""
    input_map = input_map or InputMap()
    twice = [table for table in rename or {} if table in input_map.rename]
    if twice:
        raise TableError(
            f"rename: columns of `{twice[0]}` are renamed in `rename` and in `input_map.rename`.\n"
            "  Name them in one of the two."
        )
    return replace(input_map, rename={**input_map.rename, **(rename or {})})


def _check_options(input_map: InputMap, n_buckets: int | None, source: str) -> None:
    """Raise for options that cannot be meant."""
    require_format(source)
    input_map.check()
    if n_buckets is not None and n_buckets < 1:
        raise TableError(f"`n_buckets` is {n_buckets}.\n  Give 1 or more, or leave it out.")


def _unfinished(work_dir: Path) -> Path:
    """Folder of a reading that is under way."""
    return work_dir / _UNFINISHED


def _start_or_go_on(work_dir: Path, mark: str) -> Path:
    """Folder to build in: that of a killed reading of the same input, or an empty one."""
    building = _unfinished(work_dir) / mark[:16]
    others = [
        each for each in _unfinished(work_dir).glob("*") if each.is_dir() and each != building
    ]
    for other in others:
        shutil.rmtree(other, ignore_errors=True)
    if building.is_dir():
        logger.info("going on with the reading that was broken off")
    try:
        building.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise output_error(problem, f"writing `{work_dir}`") from None
    return building


def _count_buckets(
    tables: Mapping[str, ibis.Table], labels: Mapping[str, str], backend: ibis.BaseBackend
) -> int:
    """Buckets for the number of members with eligibility."""
    n_members = 0
    for name in (each for each in (SPANS, MONTHS) if each in tables):
        with engine_failures(doing=f"reading table `{name}` (file {labels[name]})"):
            members = tables[name].member_id.approx_nunique()
            n_members = max(n_members, int(backend.execute(members)))
    return bucket_count(n_members)


def _publish(building: Path, work_dir: Path, manifest: Mapping[str, Any]) -> None:
    """Put the finished parts in place of the earlier reading; the manifest goes last."""
    try:
        (work_dir / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(work_dir / DERIVED_FOLDER, ignore_errors=True)
        for table in TABLES.values():
            shutil.rmtree(work_dir / table.name, ignore_errors=True) if table.is_input else None
        for name in manifest["tables"]:
            (building / "parts" / name).replace(work_dir / name)
    except OSError as problem:
        raise output_error(problem, f"writing `{work_dir}`") from None
    write_json(manifest, work_dir / MANIFEST)
    shutil.rmtree(building.parent, ignore_errors=True)


def _is_complete(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether every part the manifest tells of is there."""
    return all(
        len(list((folder / name).glob("part-*.parquet")))
        == (manifest["n_buckets"] if "member_id" in TABLES[name].fields else 1)
        for name in manifest.get("tables", [])
    )
