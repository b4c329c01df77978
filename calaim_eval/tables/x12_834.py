"""Read X12 834 benefit enrollment files: members and their coverage, all files applied in order.

Segments are read by `pyx12` (extra `x12`); `x12_834_loops` has what they say, `x12_834_spans` how
additions, terminations and full files make spans.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine import atomic_folder, engine_failures, track, write_json, write_parquet
from calaim_eval.engine.paths import exactly
from calaim_eval.errors import MissingExtraError, TableError
from calaim_eval.tables.formats import SOURCE, SourceTables
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.parquet_rows import RowFile
from calaim_eval.tables.sources import (
    SourceFiles,
    find_beside,
    require_folder,
    sheet_ledger,
    with_sheets,
)
from calaim_eval.tables.text_files import NOT_UNPACKED, UNREADABLE, open_text
from calaim_eval.tables.x12_834_loops import (
    AUDIT,
    CANCEL,
    DELETE,
    KEPT,
    NO,
    NO_BEGIN,
    YES,
    Loop,
    Row,
    read_loops,
)
from calaim_eval.tables.x12_834_spans import FullFile, spans_of, statement_of

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa

COUNTS = "counts.json"
PLACES = "places.parquet"
LEDGER_NAMES = {"member": "834 member loop (INS)", "coverage": "834 coverage loop (HD)"}
NOT_A_DATE = "a date that is none"
IF_AUDIT = "so far"
_PERSON = "member_id birth_date death_date sex race_code race_code_system language county"
_STATEMENT = "member_id plan action line begin end dual_status_code county"


def open_x12_834(folder: Path, *, backend: ibis.BaseBackend, input_map: InputMap) -> SourceTables:
    """Open a folder of 834 files.

    Parameters
    ----------
    folder : Path
        All files in it that begin as an X12 interchange (``ISA``), packed (`.gz`, `.zst`, `.bz2`,
        `.xz`, `.zip` of one file) or not. An 834 has no claims: `medical_claim` and
        other tables may lie beside, named as declared.
    backend : ibis.BaseBackend
        Engine that will run the expressions.
    input_map : InputMap
        `files` may name what lies beside.

    Returns
    -------
    SourceTables
        `person`, `eligibility` and the tables that lie beside.

    Raises
    ------
    MissingExtraError
        `pyx12` is not installed.
    TableError
        There is no 834 file or no `medical_claim`, or a file is damaged or cut short.
    """
    require_folder(folder)
    _require_pyx12()
    own = ("person", "eligibility", "eligibility_month")
    others = with_sheets(find_beside(folder, own=own, files=input_map.files), input_map)
    paths = _find_x12(folder, {path for each in others.values() for path in each.paths})
    if not paths:
        raise TableError(
            f"`{folder}` holds no 834 file.\n  An X12 file begins with `ISA`; unpack archives."
        )
    files = SourceFiles("x12_834", paths, ".x12", is_bulk=True)
    _require_claims(folder, others)
    opened = SourceTables({}, {}, (files, *others.values()))
    return replace(opened, convert=partial(_convert, opened, others, backend))


def _require_pyx12() -> None:
    """Raise unless pyx12 can be imported."""
    try:
        import pyx12  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "834 files are read with `pyx12`, which is not installed.\n"
            '  Install it: pip install "calaim-eval[x12]".'
        ) from None


def _find_x12(folder: Path, others: Collection[Path]) -> tuple[Path, ...]:
    """Files of a folder, but for those of other tables, that begin as an X12 interchange."""
    files = sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".") and path not in others
    )
    found = []
    for place, path in enumerate(files, start=1):
        where = f"`{folder}`: file {place} of {len(files)} by name, other tables left out,"
        if path.name.lower().endswith(NOT_UNPACKED):
            raise TableError(_cannot_be_opened(where, "an archive"))
        try:
            with open_text(path, errors="replace") as stream:
                is_x12 = stream.read(8).lstrip(" \r\n").startswith("ISA")
        except (TableError, *UNREADABLE) as problem:
            raise TableError(_cannot_be_opened(where, type(problem).__name__)) from None
        if is_x12:
            found.append(path)
    return tuple(found)


def _cannot_be_opened(where: str, why: str) -> str:
    """The error for a file of which nobody can tell whether it is an 834."""
    return (
        f"{where} cannot be opened ({why}), so whether it is an 834 cannot be told.\n"
        "  It is damaged, locked with a password, of several files or packed in a way that is not "
        "read: fetch it again, unpack it, or take it out of the folder."
    )


def _require_claims(folder: Path, others: dict[str, SourceFiles]) -> None:
    """Raise unless the claims lie beside the 834 files."""
    if "medical_claim" not in others:
        raise TableError(
            f"`{folder}` has 834 files and lacks the table `medical_claim`: an 834 has no claims.\n"
            "  Put the claims beside them, such as `medical_claim.parquet` or `medical_claim.csv`."
        )


def _convert(
    opened: SourceTables,
    others: dict[str, SourceFiles],
    backend: ibis.BaseBackend,
    scratch: Path,
) -> SourceTables:
    """Read the segments, fold statements into spans, and open what came of it."""
    read = scratch / "834"
    if not read.is_dir():
        with atomic_folder(read) as filling:
            _read_files(opened.files[0].paths, filling)
            with engine_failures(doing="putting the statements of the 834 files in order"):
                _fold(filling, backend)
    tables = {
        "eligibility": backend.read_parquet(exactly(read / "eligibility.parquet")),
        "person": _persons(backend.read_parquet(exactly(read / "person.parquet"))),
    }
    labels = dict.fromkeys(tables, "834 files")
    for name, files in others.items():
        tables[name] = files.open(backend, scratch=scratch / name)
        labels[name] = files.label
    ledger = sheet_ledger(others, scratch)
    for kind, fate, n in json.loads((read / COUNTS).read_text(encoding="utf-8"))["fates"]:
        ledger.add(LEDGER_NAMES[kind], fate, n, stage=SOURCE)
    return replace(opened, tables=tables, labels=labels, ledger=ledger)


def _read_files(paths: tuple[Path, ...], folder: Path) -> None:
    """Write members and statements of all files, and what became of each loop."""
    fates: Counter[tuple[str, str]] = Counter()
    sequence = 0
    transactions: list[Row] = []
    with (
        RowFile(folder / "person.parquet", _schema(_PERSON)) as persons,
        RowFile(folder / "coverage.parquet", _schema(_STATEMENT)) as coverages,
    ):
        for place, path in enumerate(track(paths, description="reading 834 files"), start=1):
            for loop in read_loops(path, place=f"834 file {place} of {len(paths)}"):
                if loop.kind == "transaction":
                    transactions.append(loop.row)
                    continue
                sequence += 1
                here = {"transaction": len(transactions) - 1, "sequence": sequence}
                fate = loop.fate
                if loop.kind == "member" and fate in KEPT:
                    persons.add({**loop.row, **here, "made": transactions[-1].get("made")})
                if loop.kind == "coverage":
                    fate, said = _statement_row(loop)
                    if said is not None:
                        plan = transactions[-1].get("plan") or ""
                        coverages.add({**said, **here, "plan": plan, "is_whole": loop.is_whole})
                    if not loop.is_whole or fate == USED:
                        _note_action(transactions[-1], loop.row["action"])
                fates[loop.kind, fate] += not loop.is_whole
    listed = [[*key, n] for key, n in sorted(fates.items()) if n]
    write_json({"fates": listed, "transactions": transactions}, folder / COUNTS)


def _statement_row(loop: Loop) -> tuple[str, dict[str, Any] | None]:
    """What becomes of a coverage loop, and the row of it.

    One that says that there is coverage and not from when is kept without days, as is a member
    without any: a full file with it does have the member.
    """
    fate, row = loop.fate, loop.row
    if fate == USED and statement_of(row, 0, None) is None:
        fate = NOT_A_DATE
    if fate == USED:
        return fate, {**row, "is_unclear": False}
    if fate in (NO_BEGIN, NOT_A_DATE) and row["action"] not in (CANCEL, DELETE):
        return fate, {**row, "begin": None, "end": None, "is_unclear": True}
    return fate, None


def _note_action(transaction: Row, action: str | None) -> None:
    """A transaction that does not say whether it is full is when all its coverages are audits."""
    if transaction.get("is_full") in (None, IF_AUDIT):
        transaction["is_full"] = IF_AUDIT if action == AUDIT else NO


def _schema(columns: str) -> pa.Schema:
    """Text columns, and where in the files a row comes from."""
    import pyarrow as pa

    places = [
        ("transaction", pa.int64()),
        ("sequence", pa.int64()),
        ("made", pa.string()),
        ("is_whole", pa.bool_()),
        ("is_unclear", pa.bool_()),
    ]
    return pa.schema([*((name, pa.string()) for name in columns.split()), *places])


def _persons(rows: ibis.Table) -> ibis.Table:
    """Members with the latest that any file says of each column."""
    said = rows.made.fill_null("") + rows.sequence.cast("string").lpad(12, "0")
    rows = rows.mutate(said=said)
    latest = {
        name: rows[name].argmax(rows.said, where=rows[name].notnull())
        for name in _PERSON.split()
        if name not in ("member_id", "race_code", "race_code_system")
    }
    # The codes go with their system.
    race = {
        name: rows[name].argmax(rows.said, where=rows.race_code.notnull())
        for name in ("race_code", "race_code_system")
    }
    return rows.group_by("member_id").agg(**latest, **race)


def _fold(folder: Path, backend: ibis.BaseBackend) -> None:
    """Write the spans of every member, plan and line of coverage."""
    import ibis
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = json.loads((folder / COUNTS).read_text(encoding="utf-8"))
    transactions: list[dict[str, Any]] = content["transactions"]
    days = _full_days(transactions)
    ranks = _ranks(transactions, days)
    full_files = _full_files(transactions, days, ranks)
    pq.write_table(pa.table({"transaction": range(len(ranks)), "rank": ranks}), folder / PLACES)
    places = backend.read_parquet(exactly(folder / PLACES))
    rows = _by_line(backend.read_parquet(exactly(folder / "coverage.parquet")), places)
    held = ibis.struct({name: rows[name] for name in rows.columns if name != "member_id"})
    grouped = rows.group_by("member_id", "plan", "line").agg(statements=held.collect())
    write_parquet(grouped, folder / "statements.parquet", backend=backend)
    day = pa.date32()
    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("member_id", "plan", "dual_status_code", "county")),
            *((f"{name}_date", day) for name in ("enrollment_start", "enrollment_end", "recorded")),
        ]
    )
    with (
        pq.ParquetFile(folder / "statements.parquet") as source,
        RowFile(folder / "eligibility.parquet", schema) as out,
    ):
        for batch in source.iter_batches(batch_size=10_000):
            for group in batch.to_pylist():
                for row in _spans(group, transactions, ranks, full_files):
                    out.add(row)


def _by_line(rows: ibis.Table, places: ibis.Table) -> ibis.Table:
    """Statements by line of coverage; what a member says as a whole is one of each of its lines.

    An end ends those that were stated by then and begins nothing in them. Where none was, it
    stands for itself. `places` has the place in time of each transaction.
    """
    rows = rows.join(places, "transaction").mutate(line=rows.line.fill_null(""))
    own = rows.filter(~rows.is_whole)
    clear = own.filter(~own.is_unclear)
    lines = clear.group_by("member_id", "plan", own_line="line").agg(first=clear["rank"].min())
    ends = rows.filter(rows.is_whole)
    ends = ends.left_join(
        lines,
        [
            ends.member_id == lines.member_id,
            ends.plan == lines.plan,
            lines["first"] <= ends["rank"],
        ],
    )
    ends = ends.mutate(
        line=ends.own_line.fill_null(""), begin=ends.own_line.isnull().ifelse(ends.begin, None)
    )
    return own.union(ends.select(*own.columns)).drop("rank")


def _spans(
    group: dict[str, Any],
    transactions: list[dict[str, Any]],
    ranks: list[int],
    full_files: dict[str, list[FullFile]],
) -> list[dict[str, Any]]:
    """Spans of one member in one plan and line of coverage, as rows."""
    told = sorted(group["statements"], key=lambda each: each["sequence"])
    found = [
        statement_of(
            each,
            ranks[each["transaction"]],
            transactions[each["transaction"]].get("recorded_date"),
        )
        for each in told
    ]
    statements = [each for each in found if each is not None]
    spans = spans_of(statements, full_files.get(group["plan"], []))
    shared = {"member_id": group["member_id"], "plan": group["plan"] or None}
    return [{**shared, **span.to_row()} for span in spans]


def _full_days(transactions: list[dict[str, Any]]) -> list[str | None]:
    """First day each transaction states all coverage for; missing for files of changes.

    A file that does not say is full when its parts, those made at the same time for the same plan
    and day, hold nothing but audits.
    """
    days = [each.get("effective") or each.get("recorded_date") for each in transactions]
    files = [_file_of(each, day) for each, day in zip(transactions, days, strict=True)]
    kinds = [each.get("is_full") for each in transactions]
    changed = {file for file, kind in zip(files, kinds, strict=True) if kind == NO}
    return [
        day if kind == YES or (kind == IF_AUDIT and file not in changed) else None
        for day, file, kind in zip(days, files, kinds, strict=True)
    ]


def _file_of(transaction: dict[str, Any], day: str | None) -> tuple[str, str, str]:
    """What the parts of one file share: when it was made, its plan and the day it holds from."""
    return transaction.get("made") or "", transaction.get("plan") or "", day or ""


def _ranks(transactions: list[dict[str, Any]], full_days: list[str | None]) -> list[int]:
    """Place of each transaction in time: by its day and hour, then as read.

    The parts of a full file share the place of the first.
    """
    order = sorted(range(len(transactions)), key=lambda i: (transactions[i].get("made") or "", i))
    ranks = [0] * len(order)
    firsts: dict[tuple[str, str, str], int] = {}
    for rank, index in enumerate(order):
        day = full_days[index]
        file = _file_of(transactions[index], day)
        ranks[index] = firsts.setdefault(file, rank) if day else rank
    return ranks


def _full_files(
    transactions: list[dict[str, Any]], full_days: list[str | None], ranks: list[int]
) -> dict[str, list[FullFile]]:
    """Full files by plan, each once whatever the number of its parts."""
    found: dict[str, dict[int, FullFile]] = {}
    for rank, day, each in zip(ranks, full_days, transactions, strict=True):
        if day:
            full = FullFile(rank, date.fromisoformat(day))
            found.setdefault(each.get("plan") or "", {})[rank] = full
    return {plan: list(each.values()) for plan, each in found.items()}
