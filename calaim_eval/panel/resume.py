"""What of a panel is already on disk: a stamp per bucket, so that a killed run resumes.

A bucket is done when its counts are written, which is last. Its stamp says what it was made from:
the content of its input parts, the window, the rules, what the data as a whole can tell, and the
versions of the package and the engine, so that no panel mixes buckets of two versions.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.panel.data_facts import DataFacts
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.member_months import FORMAT_VERSION, PANEL_TABLES
from calaim_eval.panel.rules import PanelRules
from calaim_eval.schema.codes import codes_sha256
from calaim_eval.tables import Tables
from calaim_eval.tables.fingerprint import versions

INPUTS = (
    "eligibility",
    "person",
    "medical_claim",
    "pharmacy_claim",
    "program_service",
    "custody",
    "ems_call",
    "police_contact",
    "claim_procedure",
)
CODE_LISTS = (
    "community_support",
    "dual_status",
    "planned_readmission",
    "population_evidence",
    "population_of_focus",
    "service_codes",
    "utilization_definitions",
)
"""Code lists that a panel is made by."""

DEFINING_TABLES = ("acsc_diagnosis", "ed_avoidable_weight", "planned_readmission_code")
"""Tables a study gives that say what a measure counts."""

LOOKUPS = ("organization", "feed_coverage", *DEFINING_TABLES)


def bucket_stamps(
    tables: Tables,
    months: pd.PeriodIndex,
    rules: PanelRules,
    facts: DataFacts,
    measures: Sequence[Measure],
) -> list[str]:
    """Stamp of each bucket: its input's content, window, rules, measures, facts of the data."""
    asked = {
        "format": FORMAT_VERSION,
        "months": [str(months[0]), str(months[-1])],
        "rules": rules.to_dict(),
        "facts": facts.to_dict(),
    }
    return content_stamps(tables, measures, asked)


def content_stamps(
    tables: Tables, measures: Sequence[Measure], asked: Mapping[str, Any]
) -> list[str]:
    """Stamp of each bucket: its input's content, definitions, versions, and what is asked."""
    common = {
        **asked,
        "definitions": definitions_sha256(tables, measures),
        "lookups": [_content(part) for name in LOOKUPS for part in _parts(tables, name)],
        "n_buckets": tables.n_buckets,
        "versions": versions(),
    }
    return [
        _hash({**common, "input": {n: _content(_parts(tables, n)[number]) for n in _given(tables)}})
        for number in range(tables.n_buckets)
    ]


def definitions_sha256(tables: Tables, measures: Sequence[Measure]) -> str:
    """Hash of what the measures mean: versions, words, and the package's and the study's lists."""
    said = [[each.name, each.version, each.definition] for each in measures]
    given = {name: _rows_sha256(tables.frame(name)) for name in DEFINING_TABLES if tables.has(name)}
    return _hash({"measures": said, "codes": codes_sha256(CODE_LISTS), "given": given})


def _rows_sha256(frame: pd.DataFrame) -> str:
    """Hash of the rows of a small table, in whatever order they come."""
    columns = sorted(frame.columns)
    rows = frame[columns].sort_values(columns, ignore_index=True)
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()


def _given(tables: Tables) -> list[str]:
    """Member tables the panel reads that are present."""
    return [name for name in INPUTS if tables.has(name)]


def _parts(tables: Tables, name: str) -> tuple[Path, ...]:
    """Parts of a table; none where it is absent."""
    return tables.parts(name) if tables.has(name) else ()


def _content(path: Path) -> str:
    """SHA-256 of a file; a file that is as it was is not read again."""
    told = path.stat()
    return _sha256(path, told.st_mtime_ns, told.st_size)


@lru_cache(maxsize=10_000)
def _sha256(path: Path, _modified: int, _size: int) -> str:
    """SHA-256 of a file of such a time and size."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _hash(held: Mapping[str, Any]) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()


def part_file(folder: Path, table: str, number: int) -> Path:
    """File of one part."""
    return folder / table / f"part-{number:04d}.parquet"


def share_file(folder: Path, number: int) -> Path:
    """File with the counts of one bucket; written last, so the bucket is done when it is there."""
    return folder / "buckets" / f"bucket-{number:04d}.json"


def finished_share(folder: Path, number: int, stamp: str) -> dict[str, Any] | None:
    """Share of a bucket whose parts are on disk and made from the same input; else None."""
    files = [part_file(folder, table, number) for table in PANEL_TABLES]
    file = share_file(folder, number)
    if not file.is_file() or not all(part.is_file() for part in files):
        return None
    share = read_share(file)
    return share if share.get("stamp") == stamp else None


def one_share_file(folder: Path) -> Path:
    """File with the counts of a panel that was built in one go; written last."""
    return folder / "buckets" / "all.json"


def finished_as_one(folder: Path, n_buckets: int, stamp: str) -> dict[str, Any] | None:
    """Counts of a panel built in one go from the same input, all parts of it on disk; else None."""
    files = [
        part_file(folder, table, number) for table in PANEL_TABLES for number in range(n_buckets)
    ]
    if not all(part.is_file() for part in files):
        return None
    share = read_share(one_share_file(folder))
    return share if share.get("stamp") == stamp else None


def read_share(path: Path) -> dict[str, Any]:
    """A JSON file; an unreadable one counts as absent."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, OSError):
        return {}
    return held if isinstance(held, dict) else {}


def drop_leftovers(folder: Path, n_buckets: int) -> None:
    """Remove parts of an earlier build with more buckets, and what a killed run left."""
    shutil.rmtree(spill_folder(folder), ignore_errors=True)
    for unfinished in folder.glob("*/.*.tmp"):
        unfinished.unlink()
    for pattern in ("*/part-*.parquet", "buckets/bucket-*.json"):
        for file in folder.glob(pattern):
            if int(file.stem.split("-")[1]) >= n_buckets:
                file.unlink()


def spill_folder(folder: Path) -> Path:
    """Where the engine may put member rows while it works: beside the panel, so as restricted."""
    return folder / ".spill"
