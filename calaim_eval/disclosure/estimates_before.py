"""Estimates that changed by few members since an earlier release: their difference is about those.

An estimate of 100 members and one of the same members and four more differ by what the four did.
How many members and events stand behind an estimate never leaves, so it is remembered in a
restricted file beside the reasons for the person who signs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.primary import Hidden
from calaim_eval.disclosure.round_numbers import decimals_of_error
from calaim_eval.errors import DisclosureError, OutputError
from calaim_eval.results import BoundsTable, EffectTable, Result

_LOG = logging.getLogger(__name__)
MEMORY = "estimates_shown.jsonl"
"""File beside the reasons, one line a release."""

Support = tuple[float, float]
"""Members and events behind an estimate."""


@dataclass(frozen=True, slots=True)
class ShownEstimates:
    """What stands behind the estimates of an earlier release.

    Attributes
    ----------
    quarter : str
    rows : mapping of (table, keys) to (members, events)
    """

    quarter: str
    rows: Mapping[tuple[str, tuple[str, ...]], Support]


def recall_estimates(
    memory: Path | None, entries: Sequence[Mapping[str, Any]]
) -> list[ShownEstimates]:
    """What stands behind the estimates of earlier releases, as far as it is remembered.

    A file that is not there though the ledger has estimates is warned of.
    """
    if memory is None:
        return []
    if not memory.exists() and any(
        table.get("shown_keys") for entry in entries for table in entry["tables"].values()
    ):
        _LOG.warning(
            "%s is not there: estimates are not compared with those of earlier releases, of which "
            "they may differ by a few members. Put the file back if there was one",
            memory,
        )
    return read_shown_estimates(memory)


def read_shown_estimates(path: Path) -> list[ShownEstimates]:
    """Estimates of earlier releases; none where the file is not there.

    Raises
    ------
    DisclosureError
        The file is not as it was written.
    """
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        return [_shown(json.loads(line)) for line in lines if line]
    except (ValueError, KeyError, TypeError) as error:
        raise DisclosureError(
            f"{path} cannot be read: what stands behind the estimates of earlier releases is not "
            "known. Nothing was released.\n  Put back the file from a backup; never edit it."
        ) from error


def append_shown_estimates(
    path: Path, *, quarter: str, results: Mapping[str, Result], hidden: Hidden
) -> None:
    """Remember what stands behind each estimate that is shown.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    tables = {
        name: [
            [list(key), *(None if np.isinf(v) else float(v) for v in support)]
            for key, support, is_hidden in zip(*_rows(table), hidden[name], strict=True)
            if not is_hidden
        ]
        for name, table in results.items()
        if isinstance(table, EffectTable | BoundsTable)
    }
    line = json.dumps({"quarter": quarter, "tables": tables}, sort_keys=True, ensure_ascii=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and line in path.read_text(encoding="utf-8").split("\n"):
            return
        with path.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(line + "\n")
    except OSError as problem:
        raise OutputError(
            f"{path} cannot be written ({problem.strerror}); nothing was released.\n"
            "  Check the folder's permissions and free space."
        ) from None


def changed_by_few(
    tables: Mapping[str, EffectTable | BoundsTable],
    earlier: Sequence[ShownEstimates],
    *,
    policy: Policy,
    quarter: str,
) -> Hidden:
    """Rows of estimates and bounds that differ by few members, or few events, from one shown.

    A row is one of them where the members behind it are 1 to ``policy.min_count - 1`` more or
    fewer than in an earlier release, or, in a release of the same quarter, as many with so few
    events more or fewer; unless the last digit shown is worth ``policy.min_interval`` events or
    more, which blurs those few. Between quarters late claims move most estimates of the same
    members by a few events, which may be any member's. Policies that round blur every estimate;
    without ``policy.protect_changes`` only releases of the same quarter are compared.

    Parameters
    ----------
    tables : Mapping[str, EffectTable | BoundsTable]
    earlier : sequence of ShownEstimates
    policy : Policy
    quarter : str

    Returns
    -------
    dict[str, np.ndarray]
        Boolean, shape (k,), by table.
    """
    compared = [] if policy.rounding != "none" else earlier
    found = {}
    for name, table in tables.items():
        keys, now = _rows(table)
        rows = np.zeros(len(keys), dtype=bool)
        for each in compared:
            is_again = each.quarter == quarter
            if not policy.protect_changes and not is_again:
                continue
            before = [each.rows.get((name, key), (np.nan, np.nan)) for key in keys]
            with np.errstate(invalid="ignore"):
                change = np.abs(np.array(now).reshape(-1, 2) - np.array(before).reshape(-1, 2))
            few = (change > 0) & (change < policy.min_count)
            rows |= few[:, 0] | (is_again & (change[:, 0] == 0) & few[:, 1])
        found[name] = rows & ~_is_blurred(table, policy)
    return found


def _is_blurred(table: EffectTable | BoundsTable, policy: Policy) -> np.ndarray:
    """Whether the last digit shown stands for so many events that a few more do not show.

    A count of x independent events has the error sqrt(x), and an estimate made from it no smaller
    one, so an event moves the estimate by the error over sqrt(x) at most.
    """
    if isinstance(table, BoundsTable):
        return np.zeros(len(table), dtype=bool)
    error = np.asarray(table.std_error, dtype=float)
    n_events = table.support["n_events"].to_numpy(dtype=float)
    known = np.isfinite(error) & (error > 0)
    step = 10.0 ** -decimals_of_error(np.where(known, error, 1.0)).astype(float)
    with np.errstate(invalid="ignore"):
        events = step * np.sqrt(np.maximum(n_events, 0.0)) / np.where(known, error, np.inf)
    return np.asarray(known & (events >= policy.min_interval))


def _rows(table: EffectTable | BoundsTable) -> tuple[list[tuple[str, ...]], list[Support]]:
    """Keys of each row as text, and what stands behind it."""
    keys = [tuple(map(str, row)) for row in table.keys.astype(str).map(str).to_numpy()]
    support = table.support[["n_members", "n_events"]].to_numpy(dtype=float)
    return keys, [(float(members), float(events)) for members, events in support]


def _shown(line: Mapping[str, Any]) -> ShownEstimates:
    """One line of the file."""
    return ShownEstimates(
        str(line["quarter"]),
        {
            (name, tuple(key)): tuple(np.inf if v is None else float(v) for v in support)  # type: ignore[misc]
            for name, rows in line["tables"].items()
            for key, *support in rows
        },
    )
