"""Tables from frames that are already in memory, through the same checks as files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.engine import open_engine
from calaim_eval.engine.temporary import temporary_folder
from calaim_eval.schema.check import frame_as_ibis
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.cross_reference import XREF, count_merges, read_merges, resolve_merges
from calaim_eval.tables.fingerprint import versions
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.monthly import with_spans_of_frames
from calaim_eval.tables.settle import settle_bucket
from calaim_eval.tables.sources import select_declared
from calaim_eval.tables.stage import READ, count_marked, mark_rows
from calaim_eval.tables.tables import DERIVED_FOLDER, Tables, require_declared

if TYPE_CHECKING:
    import ibis


def tables_from_frames(
    frames: Mapping[str, pd.DataFrame], *, work_dir: Path | None, n_buckets: int | None
) -> Tables:
    """Check, bucket and write frames; see `Tables.from_frames`."""
    for name in frames:
        require_declared(name)
    # Removed at exit, not with the object: a panel built from it may live in the same folder.
    folder = temporary_folder("calaim_tables_") if work_dir is None else Path(work_dir)
    shutil.rmtree(folder / DERIVED_FOLDER, ignore_errors=True)
    buckets = n_buckets or 1
    ledger = RowLedger()
    backend = open_engine()
    try:
        frames = with_spans_of_frames(frames, backend, ledger)
        marked = {}
        merges = _merges(frames[XREF], backend, ledger) if XREF in frames else None
        for name, frame in frames.items():
            if name == XREF:
                continue
            raw = select_declared(frame_as_ibis(frame), name, rename=None, label="")
            rows = mark_rows(raw, TABLES[name], extract_date=None, n_buckets=buckets, merges=merges)
            marked[name] = backend.create_table(f"marked_{name}", rows)
            count_marked(marked[name], TABLES[name], source="").add_to(ledger, name)
        for bucket in range(buckets):
            staged = {
                name: rows.filter(rows.bucket == bucket)
                for name, rows in marked.items()
                if bucket == 0 or "member_id" in TABLES[name].fields
            }
            counted = settle_bucket(
                staged,
                part_path=partial(_part_path, folder, bucket),
                backend=backend,
            )
            ledger.extend(counted)
    finally:
        backend.disconnect()
    for name, frame in frames.items():
        ledger.check(name, READ, len(frame))
    names = [name for name in frames if name != XREF]
    manifest = {"n_buckets": buckets, "tables": names, "versions": versions(), "files": []}
    return Tables(folder, buckets, tuple(names), ledger, manifest)


def _merges(frame: pd.DataFrame, backend: ibis.BaseBackend, ledger: RowLedger) -> ibis.Table:
    """Merged identifiers, each with the current one at the end of its chain."""
    raw = select_declared(frame_as_ibis(frame), XREF, rename=None, label="")
    rows = backend.create_table("marked_member_xref", read_merges(raw, extract_date=None))
    merges, set_aside = resolve_merges(rows, backend=backend)
    ledger.extend(count_merges(rows, set_aside, merges, source=""))
    return merges


def _part_path(folder: Path, bucket: int, name: str) -> Path:
    """Part of one table and bucket."""
    return folder / name / f"part-{bucket:04d}.parquet"
