"""The two passes over the input, in steps that a killed reading need not repeat.

Each finished step leaves a small file with its counts; a step whose file is there is not done
again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine import engine_failures, track, write_json, write_parquet
from calaim_eval.engine.paths import exactly
from calaim_eval.schema.race_rule import RaceRule
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.cross_reference import XREF, count_merges, read_merges, resolve_merges
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.settle import settle_bucket
from calaim_eval.tables.stage import (
    StagedTable,
    count_marked,
    mark_rows,
    open_staged,
    write_staged,
)

if TYPE_CHECKING:
    import ibis


def stage_all(
    tables: Mapping[str, ibis.Table],
    labels: Mapping[str, str],
    building: Path,
    backend: ibis.BaseBackend,
    n_buckets: int,
    cut: date | None,
    ledger: RowLedger,
) -> None:
    """First pass over every table that the broken-off reading has not staged."""
    merges = None
    if XREF in tables:
        merges = _stage_merges(tables[XREF], labels[XREF], building, backend, cut, ledger)
    of_rows = [name for name in tables if name != XREF]
    for name in track(of_rows, description="reading tables"):
        done = building / "staged" / f"{name}.json"
        if not done.exists():
            staged = _stage_one(
                tables[name],
                name,
                labels[name],
                done.with_suffix(""),
                backend,
                n_buckets,
                cut,
                merges,
            )
            write_json(asdict(staged), done)
        StagedTable(**json.loads(done.read_text(encoding="utf-8"))).add_to(ledger, name)


def _stage_one(
    raw: ibis.Table,
    name: str,
    label: str,
    folder: Path,
    backend: ibis.BaseBackend,
    n_buckets: int,
    cut: date | None,
    merges: ibis.Table | None,
) -> StagedTable:
    """First pass over one table."""
    table = TABLES[name]
    own_buckets = n_buckets if "member_id" in table.fields else 1
    marked = mark_rows(raw, table, extract_date=cut, n_buckets=own_buckets, merges=merges)
    shutil.rmtree(folder, ignore_errors=True)
    with engine_failures(doing=f"reading table `{name}` (file {label})"):
        write_staged(marked, raw.columns, folder, backend=backend, n_buckets=own_buckets)
        written = open_staged(folder, table, None, backend=backend)
        return count_marked(written, table, source=label)


def _stage_merges(
    raw: ibis.Table,
    label: str,
    building: Path,
    backend: ibis.BaseBackend,
    cut: date | None,
    ledger: RowLedger,
) -> ibis.Table:
    """Merged identifiers of `member_xref`, each with the current one at the end of its chain."""
    done, part = building / "merges.json", building / "merges.parquet"
    if not (done.exists() and part.exists()):
        with engine_failures(doing=f"reading table `{XREF}` (file {label})"):
            rows = read_merges(raw, extract_date=cut)
            merges, set_aside = resolve_merges(rows, backend=backend)
            write_parquet(merges, part, backend=backend)
            counted = count_merges(rows, set_aside, merges, source=label)
        write_json({"ledger": counted.to_records()}, done)
    ledger.extend(read_counts(done))
    return backend.read_parquet(exactly(part))


def settle_all(
    names: list[str],
    building: Path,
    backend: ibis.BaseBackend,
    n_buckets: int,
    ledger: RowLedger,
    race: RaceRule | None = None,
) -> None:
    """Second pass: tables without members at once, then one member bucket after the other."""
    of_members = [name for name in names if "member_id" in TABLES[name].fields]
    shared = [name for name in names if name not in of_members]
    _settle_one(shared, 0, "shared", building, backend, ledger, race)
    for bucket in track(range(n_buckets), description="checking members"):
        _settle_one(of_members, bucket, f"bucket-{bucket:04d}", building, backend, ledger, race)


def _settle_one(
    names: list[str],
    bucket: int,
    step: str,
    building: Path,
    backend: ibis.BaseBackend,
    ledger: RowLedger,
    race: RaceRule | None,
) -> None:
    """Settle one bucket unless the broken-off reading has."""
    done = building / f"{step}.json"
    parts = {name: building / "parts" / name / f"part-{bucket:04d}.parquet" for name in names}
    if not (done.exists() and all(part.exists() for part in parts.values())):
        with engine_failures(doing="checking the rows of one member bucket"):
            staged = {
                name: open_staged(building / "staged" / name, TABLES[name], bucket, backend=backend)
                for name in names
            }
            counted = settle_bucket(staged, part_path=parts.__getitem__, backend=backend, race=race)
        write_json({"ledger": counted.to_records()}, done)
    ledger.extend(read_counts(done))


def read_counts(done: Path) -> RowLedger:
    """Counts of a finished step."""
    return RowLedger.from_records(json.loads(done.read_text(encoding="utf-8"))["ledger"])
