"""Refuse large files, private keys and member-level data formats before they are committed."""

from __future__ import annotations

import sys
from pathlib import Path

LIMIT_BYTES = 1_000_000
DATA_SUFFIXES = {".parquet", ".sas7bdat", ".dta", ".xlsx", ".duckdb"}


def main(names: list[str]) -> int:
    """Name every file that must not be committed; 1 if there is one."""
    problems = []
    for path in map(Path, names):
        if not path.is_file():
            continue
        if path.stat().st_size > LIMIT_BYTES:
            problems.append(f"{path}: over {LIMIT_BYTES:,} bytes")
        if path.suffix in DATA_SUFFIXES:
            problems.append(f"{path}: data files are not committed")
        if b"PRIVATE KEY-----" in path.read_bytes()[:4096]:
            problems.append(f"{path}: holds a private key")
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
