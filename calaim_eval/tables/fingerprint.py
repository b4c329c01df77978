"""What a reading was made from: files, options, definitions; one fingerprint of it all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from calaim_eval.schema.codes import code_list_names
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.sources import SourceFiles
from calaim_eval.version import __version__

MANIFEST = "manifest.json"
_BLOCK_BYTES = 1 << 20


def describe_sources(
    sources: Iterable[SourceFiles], *, known: Iterable[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Name, size, time and sha256 of every source file.

    Parameters
    ----------
    sources : iterable of SourceFiles
    known : iterable of mapping
        Descriptions of an earlier reading: a file of the same size and time keeps its sha256.

    Returns
    -------
    list[dict]
        `table`, `file`, `n_bytes`, `modified_ns`, `sha256` by file, or one for a bulk of files,
        with `listing_sha256`. No path: only names, and of a bulk not even these.
    """
    earlier = {_identity(each): str(each["sha256"]) for each in known}
    described = []
    for source in sources:
        if source.is_bulk:
            described.append(_describe_bulk(source, earlier))
            continue
        for path in source.paths:
            status = path.stat()
            entry: dict[str, Any] = {
                "table": source.name,
                "file": path.name,
                "n_bytes": status.st_size,
                "modified_ns": status.st_mtime_ns,
            }
            entry["sha256"] = earlier.get(_identity(entry)) or sha256_of(path)
            described.append(entry)
    return described


def _describe_bulk(source: SourceFiles, earlier: Mapping[tuple[Any, ...], str]) -> dict[str, Any]:
    """One description of many files, without their names."""
    statuses = [path.stat() for path in source.paths]
    entry: dict[str, Any] = {
        "table": source.name,
        "file": f"{len(source.paths)} files",
        "n_bytes": sum(status.st_size for status in statuses),
        "modified_ns": max((status.st_mtime_ns for status in statuses), default=0),
        "listing_sha256": _listing_sha256(source.paths),
    }
    known = earlier.get(_identity(entry))
    hashes = [] if known else [sha256_of(path) for path in source.paths]
    entry["sha256"] = known or hashlib.sha256("".join(hashes).encode()).hexdigest()
    return entry


def _listing_sha256(paths: Iterable[Path]) -> str:
    """Hash of name, size and time of every file: any of them that changes is seen."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(json.dumps([path.name, status.st_size, status.st_mtime_ns]).encode())
    return digest.hexdigest()


def _identity(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a file, or a bulk of them, must share with an earlier one to be taken for unchanged."""
    names = ("table", "file", "n_bytes", "modified_ns", "listing_sha256")
    return tuple(entry.get(name) for name in names)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(sources: Iterable[Mapping[str, Any]], options: Mapping[str, Any]) -> str:
    """One hash of the content of all files, the options, the declarations and the versions."""
    content = {
        "files": [[each["table"], each["file"], each["sha256"]] for each in sources],
        "options": options,
        "definitions": definitions_hash(),
        "versions": versions(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def definitions_hash() -> str:
    """Hash of every declared column and table and of every code list."""
    digest = hashlib.sha256(repr((FIELDS, TABLES)).encode())
    for name in code_list_names():
        digest.update((files("calaim_eval.schema") / "codes" / f"{name}.csv").read_bytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of this package and of the engine, whose hash sorts members into buckets."""
    return {"calaim_eval": __version__, "engine": f"duckdb {version('duckdb')}"}


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Manifest of an earlier reading; None when there is none that can be read."""
    path = folder / MANIFEST
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content
