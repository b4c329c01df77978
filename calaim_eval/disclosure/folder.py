"""A release on disk: CSV tables, a manifest with their hashes, a log in plain words."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.disclosure.ledger import LEDGER_NAME, read_ledger
from calaim_eval.disclosure.policy import Policy, load_policy, policy_of
from calaim_eval.disclosure.released import ReleaseContent, TableContent, count_table_of
from calaim_eval.disclosure.round_counts import range_of_rounded
from calaim_eval.errors import DisclosureError

MANIFEST = "manifest.json"
_FORMAT = 1


def write_tables(content: ReleaseContent, folder: Path) -> None:
    """Write every table as CSV; a hidden value is an empty field."""
    (folder / "tables").mkdir()
    for name, table in content.tables.items():
        frame = table.frame.copy()
        for column in ("numerator", "denominator"):
            if column in frame and _whole(frame[column]):
                frame[column] = frame[column].astype("Int64")
        for column in frame.select_dtypes("bool").columns:
            frame[column] = frame[column].map({True: "true", False: "false"})
        frame.to_csv(_table_path(folder, name), index=False, lineterminator="\n", encoding="utf-8")


def write_manifest(content: ReleaseContent, folder: Path) -> str:
    """Write the manifest over the files already there; return the hash of the release."""
    described = {
        "format": _FORMAT,
        "quarter": content.quarter,
        "policy": content.policy,
        "policy_rules": content.policy_rules,
        "provenance": content.provenance,
        "certificate": content.certificate,
        "scores": content.scores,
        "tables": {
            name: {
                "kind": table.kind,
                "columns": {c: _dtype(table.frame[c]) for c in table.frame.columns},
                "meta": table.meta,
            }
            for name, table in content.tables.items()
        },
        "files": {
            path.relative_to(folder).as_posix(): _sha256(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        },
    }
    digest = _digest(described)
    text = json.dumps(
        {"content_sha256": digest, "content": described}, indent=1, ensure_ascii=False
    )
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8", newline="\n")
    return digest


def read_folder(folder: Path) -> ReleaseContent:
    """Read a release back and check that it is as it was written.

    Raises
    ------
    DisclosureError
        The folder is not a release, or it was changed.
    """
    described = _read_manifest(folder)
    _check_files(folder, described["files"])
    tables = {name: _read_table(folder, name, t) for name, t in described["tables"].items()}
    content = ReleaseContent(
        quarter=described["quarter"],
        policy=described["policy"],
        tables=tables,
        provenance=described["provenance"],
        certificate=described["certificate"],
        policy_rules=described.get("policy_rules", {}),
        scores=described.get("scores", []),
    )
    _check_no_small_count(folder, content)
    return content


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Content of the manifest, its own hash and the ledger's record of it checked."""
    path = folder / MANIFEST
    if not path.is_file():
        raise DisclosureError(
            f"{folder}: this is not a release, `{MANIFEST}` is missing.\n"
            "  `release(results, to=..., quarter=...)` writes one."
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        described, digest = dict(manifest["content"]), manifest["content_sha256"]
    except (ValueError, KeyError, TypeError):
        raise _changed(folder, MANIFEST) from None
    if _digest(described) != digest:
        raise _changed(folder, MANIFEST)
    if described.get("format") != _FORMAT:
        raise DisclosureError(
            f"{folder}: release format {described.get('format')}; this version reads {_FORMAT}.\n"
            "  Release again with this version."
        )
    ledger = folder.parent / LEDGER_NAME
    if ledger.exists() and digest not in {e["content_sha256"] for e in read_ledger(ledger)}:
        raise DisclosureError(
            f"{folder}: the ledger `{LEDGER_NAME}` beside it does not know this release.\n"
            "  Use a folder that `release(...)` wrote."
        )
    return described


def _check_files(folder: Path, files: dict[str, str]) -> None:
    """Every file is there, none was added, none was changed."""
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    unexpected = sorted((present - {MANIFEST}) ^ set(files))
    if unexpected:
        raise DisclosureError(
            f"{folder}: {len(unexpected)} files were added or removed since the release "
            f"(first: `{unexpected[0]}`).\n  Release again, or use an untouched copy."
        )
    for name, digest in files.items():
        if _sha256(folder / name) != digest:
            raise _changed(folder, name)


def _check_no_small_count(folder: Path, content: ReleaseContent) -> None:
    """Refuse a release that shows a count it should hide, however it came to be."""
    rules = content.policy_rules
    policy = policy_of(rules, where="policy") if rules else load_policy(content.policy.split()[0])
    for name, table in content.tables.items():
        hidden = table.frame["is_suppressed"].to_numpy(dtype=bool)
        numbers = table.frame.select_dtypes("float").to_numpy()
        if not np.isnan(numbers[hidden]).all():
            raise _changed(folder, f"tables/{name}.csv")
        counts = count_table_of(name, table)
        if counts is None:
            continue
        if any(_all_small(n, policy).any() for n in (counts.numerator, counts.denominator)):
            raise _changed(folder, f"tables/{name}.csv")


def _all_small(shown: np.ndarray, policy: Policy) -> np.ndarray:
    """Numbers that stand for small counts alone: a 10 to the nearest 5 may be a 12."""
    _, highest = range_of_rounded(shown, policy=policy)
    return policy.is_small(highest)


def _changed(folder: Path, name: str) -> DisclosureError:
    """A file that is not as it was written."""
    return DisclosureError(
        f"{folder}: `{name}` was changed after it was released.\n"
        "  Release again, or use an untouched copy."
    )


def _read_table(folder: Path, name: str, described: dict[str, Any]) -> TableContent:
    """One table with the types it was written with."""
    frame = pd.read_csv(
        _table_path(folder, name), dtype=str, keep_default_na=False, encoding="utf-8"
    )
    if list(frame.columns) != list(described["columns"]):
        raise _changed(folder, f"tables/{name}.csv")
    columns = {c: _parse_column(frame[c], dtype) for c, dtype in described["columns"].items()}
    return TableContent(described["kind"], pd.DataFrame(columns), described["meta"])


def _parse_column(texts: pd.Series, dtype: str) -> pd.Series:
    """Text to the type a column had."""
    if dtype == "boolean":
        return texts == "true"
    if dtype == "integer":
        return texts.astype("int64")
    if dtype == "number":
        return texts.map(lambda text: float(text or "nan")).astype("float64")
    return texts


def _dtype(column: pd.Series) -> str:
    """Type of a column as the manifest names it."""
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    if pd.api.types.is_integer_dtype(column):
        return "integer"
    return "number" if pd.api.types.is_float_dtype(column) else "string"


def _whole(column: pd.Series) -> bool:
    """Whether a column of numbers holds whole numbers only."""
    values = column.dropna().to_numpy(dtype=float)
    return bool(np.all(values == np.round(values)))


def _table_path(folder: Path, name: str) -> Path:
    return folder / "tables" / f"{name}.csv"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _digest(described: dict[str, Any]) -> str:
    """Hash of the manifest's content with one spelling."""
    text = json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
