"""How much there is to read, and how far a reading or a panel has come, without reading rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.panel.resume import one_share_file, read_share
from calaim_eval.tables.tables import DERIVED_FOLDER

if TYPE_CHECKING:
    from calaim_eval.panel.build import Engine

CLAIM_TABLES = ("medical_claim", "pharmacy_claim")
_UNFINISHED = ".reading"


def counted(tables_folder: Path) -> tuple[int, int]:
    """Members and claim lines of checked tables."""
    import duckdb

    parts = [exactly(part) for part in (tables_folder / "eligibility").glob("part-*.parquet")]
    lines = sum(
        _parquet_rows(part)
        for name in CLAIM_TABLES
        for part in (tables_folder / name).glob("part-*.parquet")
    )
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT approx_count_distinct(member_id) FROM read_parquet(?)", [parts]
        ).fetchone()
    return int(found[0]) if found else 0, lines


def is_outdated(manifest: Mapping[str, Any], raw: Path | None) -> bool:
    """Whether a file that was read has another size now, or none is there; unknown for a database.

    The reading itself compares contents; for an estimate the size is enough.
    """
    if raw is None or not raw.is_dir():
        return False
    sizes: dict[str, set[int]] = {}
    for file in raw.rglob("*"):
        if file.is_file():
            sizes.setdefault(file.name, set()).add(file.stat().st_size)
    read = manifest.get("files", ())
    there = [each for each in read if each.get("file") in sizes]
    # A bulk of files has no name of its own ("12 files"); another extract may have other names.
    if sizes and not there and not any("listing_sha256" in each for each in read):
        return bool(read)
    return any(each.get("n_bytes") not in sizes[each["file"]] for each in there)


def estimated(raw: Path | None, costs: Mapping[str, float]) -> tuple[int, int]:
    """Members and claim lines by the raw files: rows of parquet, bytes of anything else."""
    if raw is None or not raw.is_dir():
        where = "a database" if raw is None else f"`{raw}`"
        raise TableError(
            f"a plan needs files to estimate from, and {where} holds none that can be seen.\n"
            "  Read the tables first (`calaim-eval check`); the panel is planned after that."
        )
    rows = {"eligibility": 0.0, "other": 0.0}
    for file in raw.rglob("*"):
        if not file.is_file() or file.name.startswith("."):
            continue
        name = "/".join(part.lower() for part in file.relative_to(raw).parts)
        if file.suffix == ".parquet":
            n_rows = float(_parquet_rows(file))
        else:
            n_rows = file.stat().st_size / costs[_bytes_of_a_row(file)]
        rows["eligibility" if "elig" in name or "enroll" in name else "other"] += n_rows
    n_lines = round(rows["other"])
    n_members = rows["eligibility"] / costs["spans_per_member"]
    if not n_members:
        n_members = n_lines / costs["lines_per_member"]
    if not n_members:
        raise TableError(
            f"a plan needs files to estimate from, and `{raw}` is empty.\n"
            "  Put the raw files there, or name their folder in the study file."
        )
    return max(1, round(n_members)), n_lines


def _bytes_of_a_row(file: Path) -> str:
    """Name of the cost that says how long a row of a file is: by its kind and packing."""
    kinds = [suffix.lower() for suffix in file.suffixes]
    is_json = not {".json", ".ndjson", ".jsonl"}.isdisjoint(kinds)
    is_packed = kinds[-1:] and kinds[-1] in (".gz", ".zip", ".zst", ".bz2", ".xz")
    return f"raw_bytes_per_row{'_json' * is_json}{'_packed' if is_packed else ''}"


def _parquet_rows(file: Path) -> int:
    """Rows of a parquet file, as it says itself; none of a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(file).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def reading_done(tables_folder: Path, *, is_read: bool, n_buckets: int) -> tuple[int, int]:
    """Tables staged and buckets settled."""
    if is_read:
        return 0, n_buckets
    under_way = tables_folder / _UNFINISHED
    staged = len(list(under_way.glob("*/staged/*.json")))
    return staged, len(list(under_way.glob("*/bucket-*.json")))


def buckets_counted(tables_folder: Path) -> int:
    """Buckets whose care is counted (`count_care`)."""
    return len(list((tables_folder / DERIVED_FOLDER).glob("bucket-*.json")))


def buckets_built(panel_folder: Path, n_buckets: int, engine: Engine) -> int:
    """Buckets of the panel whose counts by the engine are on disk; of Spark's all or none."""
    if engine == "spark":
        return n_buckets if read_share(one_share_file(panel_folder)) else 0
    return min(n_buckets, len(list((panel_folder / "buckets").glob("bucket-*.json"))))
