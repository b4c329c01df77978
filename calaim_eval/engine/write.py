"""Write files so that a killed run leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine.failures import engine_failures, output_error

if TYPE_CHECKING:
    import ibis


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; on success it replaces `path`.

    Raises
    ------
    OutputError
        The folder cannot be written, or the disk is full. What `path` held stays as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    doing = f"writing `{path}`"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with engine_failures(doing=doing):
            yield temporary
        temporary.replace(path)
    except OSError as problem:
        raise output_error(problem, doing) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a new empty folder to fill; on success it replaces the folder `path`.

    Raises
    ------
    OutputError
        The folder cannot be written, or the disk is full. What `path` held stays as it was.
    """
    doing = f"writing the folder `{path}`"
    filling = path.with_name(f".{path.name}.{os.getpid()}.new")
    leaving = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(filling, ignore_errors=True)
        filling.mkdir(parents=True)
        with engine_failures(doing=doing):
            yield filling
        _swap(filling, path, leaving)
    except OSError as problem:
        raise output_error(problem, doing) from None
    finally:
        shutil.rmtree(filling, ignore_errors=True)


def _swap(filling: Path, path: Path, leaving: Path) -> None:
    """Put the filled folder in place; put the old one back if that fails."""
    if path.exists():
        path.replace(leaving)
    try:
        filling.replace(path)
    except OSError:
        if leaving.exists():
            leaving.replace(path)
        raise
    shutil.rmtree(leaving, ignore_errors=True)


def write_parquet(rows: ibis.Table, path: Path, *, backend: ibis.BaseBackend) -> None:
    """Write an expression's rows to one parquet file, whole or not at all.

    Raises
    ------
    OutputError
        The folder cannot be written, or the disk is full.
    """
    with atomic_file(path) as temporary:
        backend.to_parquet(rows, temporary, compression="zstd")


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a small JSON file, whole or not at all; keys keep their order.

    Raises
    ------
    OutputError
        The folder cannot be written, or the disk is full.
    """
    with atomic_file(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
