"""The ledger of everything released: append-only, each entry sealed by the one before.

What was shown once stays known. A later release is checked against the ledger: numbers shown
before count as known to the reader, cells hidden before stay hidden, and a number restated by a
few people is hidden, because the difference would show those few.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.disclosure.count_table import CellId, CountTable
from calaim_eval.disclosure.released import (
    STRUCTURE,
    ReleaseContent,
    TableContent,
    count_table_of,
    key_columns,
    rebuild_counts,
)
from calaim_eval.disclosure.system import build_system
from calaim_eval.errors import DisclosureError, OutputError
from calaim_eval.results import ALL

LEDGER_NAME = "ledger.jsonl"
_FIRST = "0" * 64
# A count with one of these keys is the same count whatever the quarter of the release.
_TIME_COLUMNS = frozenset({"quarter", "month", "year"})

RowId = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class ShownComparison:
    """Rows of estimates or bounds that an earlier release shows, and which rates they compare."""

    name: str
    quarter: str
    keys: pd.DataFrame
    options: Mapping[str, Any]
    is_causal: bool


@dataclass(frozen=True, eq=False)
class History:
    """What earlier releases let a reader know.

    Attributes
    ----------
    known : Mapping[CellId, float]
        Counts shown, the latest value of each.
    same : frozenset[CellId]
        Those of them from releases of the same numbers: the same quarter, the same month or
        quarter of care, or the same inputs.
    hidden_cells : frozenset[CellId]
        Counts hidden and not shown anywhere.
    hidden_rows : frozenset[RowId]
        Rows hidden: table, key values.
    tables : tuple[CountTable, ...]
        Tables of the latest release of the same numbers, and rows about a month, quarter or year
        of any release; NaN where hidden.
    held_back : frozenset[CellId]
        Counts that releases of the same numbers hid and did not show.
    comparisons : tuple[ShownComparison, ...]
        Estimates and bounds that releases of the same numbers show.
    """

    known: Mapping[CellId, float] = field(default_factory=dict)
    same: frozenset[CellId] = frozenset()
    hidden_cells: frozenset[CellId] = frozenset()
    hidden_rows: frozenset[RowId] = frozenset()
    tables: tuple[CountTable, ...] = ()
    held_back: frozenset[CellId] = frozenset()
    comparisons: tuple[ShownComparison, ...] = ()


def read_ledger(path: str | Path) -> list[dict[str, Any]]:
    """Read a release ledger and check its chain.

    Parameters
    ----------
    path : path
        The ledger, such as ``release/ledger.jsonl``. A missing file is an empty ledger.

    Returns
    -------
    list[dict]
        Entries in the order written.

    Raises
    ------
    DisclosureError
        An entry was changed, removed or put in between.
    """
    path = Path(path)
    if not path.exists():
        return []
    entries = []
    previous = _FIRST
    for number, line in enumerate(_lines(path), start=1):
        record = _parse(line)
        if (
            record is None
            or record["previous"] != previous
            or record["hash"] != _seal(previous, record["entry"])
        ):
            raise DisclosureError(
                f"{path}: entry {number} does not follow from the one before, so the ledger was "
                "changed after it was written. Nothing was released.\n"
                "  Put back the ledger from a backup; never edit it."
            )
        previous = record["hash"]
        entries.append(record["entry"])
    return entries


def entry_seal(path: str | Path, content_sha256: str) -> tuple[int, str]:
    """Number and hash of the last ledger entry of a release; (0, "") where there is none.

    The hash seals the entry and everything before it, so that a signed page which states it
    vouches for the ledger as it was.
    """
    entries = read_ledger(path)
    numbers = [i for i, e in enumerate(entries, 1) if e["content_sha256"] == content_sha256]
    if not numbers:
        return 0, ""
    lines = _lines(Path(path))
    return numbers[-1], str(json.loads(lines[numbers[-1] - 1])["hash"])


def append_entry(path: Path, entry: Mapping[str, Any]) -> None:
    """Add an entry to the ledger and force it to disk.

    Raises
    ------
    OutputError
        The ledger cannot be written.
    """
    lines = _lines(path) if path.exists() else []
    previous = json.loads(lines[-1])["hash"] if lines else _FIRST
    record = {"previous": previous, "hash": _seal(previous, entry), "entry": entry}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(_canonical(record) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as problem:
        raise OutputError(
            f"the release ledger {path} cannot be written ({problem.strerror}); nothing was "
            "released.\n  Check the folder's permissions and free space."
        ) from None


def make_entry(content: ReleaseContent, *, content_sha256: str, released_at: str) -> dict[str, Any]:
    """What the ledger keeps of a release: shown counts, and the keys alone of what is hidden."""
    return {
        "released_at": released_at,
        "quarter": content.quarter,
        "policy": content.policy,
        "policy_sha256": content.certificate.get("policy_sha256", ""),
        "rounding": content.certificate.get("rounding", "none"),
        "content_sha256": content_sha256,
        "provenance": content.provenance,
        "tables": {name: _table_entry(name, table) for name, table in content.tables.items()},
    }


def history_of(
    entries: Sequence[Mapping[str, Any]], quarter: str, provenance: Mapping[str, Any] | None = None
) -> History:
    """What the reader of earlier releases knows when this quarter's comes out.

    A number shown is known, whatever the quarter of its release: one that comes to differ by a
    few would show those few. What was hidden stays hidden where it is the same number still: in
    the same quarter, for the same month or quarter of care, or made from the same inputs.
    """
    known: dict[CellId, float] = {}
    same: set[CellId] = set()
    hidden_cells: set[CellId] = set()
    hidden_rows: set[RowId] = set()
    latest: dict[str, CountTable] = {}
    comparisons: list[ShownComparison] = []
    for entry in entries:
        same_quarter = entry["quarter"] == quarter
        same_numbers = same_quarter or same_inputs(entry["provenance"], provenance or {})
        is_exact = rounding_of(entry) == "none"
        tables = {
            name: shown_counts(name, table)
            for name, table in entry["tables"].items()
            if "structure" in table
        }
        system = build_system(list(tables.values()))
        shown = {
            cell for row in system.rows for cell in row.cells if np.isfinite(system.value[cell])
        }
        stated = {cell for row in system.rows for cell in row.cells}
        for cell in sorted(stated):
            identity = system.cells[cell]
            is_same = same_numbers or bool(_TIME_COLUMNS & {column for column, _ in identity[1]})
            if cell in shown and is_exact:
                known[identity] = float(system.value[cell])
                same |= {identity} if is_same else set()
            elif is_same and cell not in shown:
                hidden_cells.add(identity)
        if is_exact:
            latest |= tables if same_numbers else _tables_of_times(tables, entry["quarter"])
        if same_numbers:
            comparisons += _comparisons(entry)
        for name, table in entry["tables"].items():
            same_rows = same_quarter or (same_numbers and table["kind"] != "rate")
            if same_rows or _TIME_COLUMNS & set(table["keys"]):
                hidden_rows |= {(name, tuple(map(str, row))) for row in table["hidden"]}
    return History(
        known,
        frozenset(same),
        frozenset(hidden_cells - set(known)),
        frozenset(hidden_rows),
        tuple(latest.values()),
        frozenset(hidden_cells - same),
        tuple(comparisons),
    )


def _comparisons(entry: Mapping[str, Any]) -> list[ShownComparison]:
    """Estimates and bounds that a release shows."""
    return [
        ShownComparison(
            name,
            entry["quarter"],
            pd.DataFrame(table["shown_keys"], columns=table["keys"], dtype=str),
            {name: value for name, value in table["compares"].items() if value is not None},
            table["is_causal"],
        )
        for name, table in entry["tables"].items()
        if table.get("shown_keys")
    ]


def _tables_of_times(tables: Mapping[str, CountTable], quarter: str) -> dict[str, CountTable]:
    """Tables by month, quarter or year: these numbers are the same in every release."""
    return {
        f"{name} {quarter}": _rows_of_a_time(table)
        for name, table in tables.items()
        if _TIME_COLUMNS & set(table.keys.columns)
    }


def _rows_of_a_time(table: CountTable) -> CountTable:
    """Rows about a month, quarter or year, without those over the whole time of the release."""
    columns = [c for c in table.keys.columns if c in _TIME_COLUMNS]
    rows = np.flatnonzero((table.keys[columns] != ALL).all(axis=1).to_numpy())
    return replace(
        table,
        keys=table.keys.iloc[rows].reset_index(drop=True),
        numerator=table.numerator[rows],
        denominator=table.denominator[rows],
        has_denominator=table.has_denominator[rows],
    )


def rounding_of(entry: Mapping[str, Any]) -> str:
    """How a release of the ledger rounded its counts; a rounded one is not known exactly."""
    return str(entry.get("rounding", "none"))


def same_inputs(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether two releases were made from the same files by the same study."""
    hashes = ("input_manifest_sha256", "study_file_sha256")
    return all(now.get(name) and earlier.get(name) == now[name] for name in hashes)


def check_ledger_is_whole(folder: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a ledger that lacks a release lying beside it: its end was cut off."""
    listed = {entry["content_sha256"] for entry in entries}
    for manifest in sorted(folder.glob("*/manifest.json")):
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if content.get("content_sha256") not in listed:
            raise DisclosureError(
                f"{folder / LEDGER_NAME}: the release in `{manifest.parent.name}` is not in the "
                "ledger, so entries are missing. Nothing was released.\n"
                "  Put back the ledger from a backup."
            )


def _table_entry(name: str, table: TableContent) -> dict[str, Any]:
    """One table in the ledger."""
    keys = key_columns(table)
    hidden = table.frame["is_suppressed"].to_numpy(dtype=bool)
    texts = table.frame[keys].map(str).to_numpy()  # a missing value is a word too
    entry: dict[str, Any] = {
        "kind": table.kind,
        "keys": keys,
        "hidden": [list(row) for row in texts[hidden]],
    }
    if table.kind != "rate":
        shown_keys = [list(row) for row in texts[~hidden]]
        return entry | {
            "shown_keys": shown_keys,
            "compares": table.meta.get("compares", {}),
            "is_causal": table.meta.get("is_causal", True),
        }
    if count_table_of(name, table) is None:
        return entry
    shown = table.frame.loc[~hidden, ["numerator", "denominator"]]
    return entry | {
        "structure": {k: v for k, v in table.meta.items() if k in (*STRUCTURE, "rate_kind")},
        "shown": [
            [list(row), *(None if np.isnan(v) else v for v in values)]
            for row, values in zip(texts[~hidden], shown.to_numpy(dtype=float), strict=True)
        ],
    }


def shown_counts(name: str, table: Mapping[str, Any]) -> CountTable:
    """A table of counts as an earlier release showed it."""
    rows = [*(row for row, _, _ in table["shown"]), *table["hidden"]]
    n_shown, n_hidden = len(table["shown"]), len(table["hidden"])
    numbers = np.full((n_shown + n_hidden, 2), np.nan)
    for i, (_, numerator, denominator) in enumerate(table["shown"]):
        numbers[i] = (
            np.nan if numerator is None else numerator,
            np.nan if denominator is None else denominator,
        )
    return rebuild_counts(
        name,
        pd.DataFrame(rows, columns=table["keys"], dtype=str),
        numbers[:, 0],
        numbers[:, 1],
        np.arange(len(rows)) >= n_shown,
        table["structure"],
    )


def _lines(path: Path) -> list[str]:
    """Lines of the ledger; a name may hold other separators of lines, which end none."""
    text = path.read_text(encoding="utf-8").removesuffix("\n")
    return text.split("\n") if text else []


def _parse(line: str) -> dict[str, Any] | None:
    """A ledger line as a record; None where it is not one."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    is_record = isinstance(record, dict) and {"previous", "hash", "entry"} <= set(record)
    return record if is_record else None


def _seal(previous: str, entry: Mapping[str, Any]) -> str:
    """Hash of an entry and of everything before it."""
    return hashlib.sha256((previous + _canonical(entry)).encode("utf-8")).hexdigest()


def _canonical(content: Mapping[str, Any]) -> str:
    """JSON with one spelling."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
