"""Disclosure control of a whole release at once: the only door out of the restricted folder."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.disclosure.attacker import Certificate, audit
from calaim_eval.disclosure.complementary import Pattern, protect
from calaim_eval.disclosure.count_table import CellId, CountTable, count_tables
from calaim_eval.disclosure.effects import Hidden, hide_effects
from calaim_eval.disclosure.explain import write_log
from calaim_eval.disclosure.folder import write_manifest, write_tables
from calaim_eval.disclosure.ledger import (
    LEDGER_NAME,
    History,
    append_entry,
    check_ledger_is_whole,
    history_of,
    make_entry,
    read_ledger,
)
from calaim_eval.disclosure.policy import Policy, load_policy
from calaim_eval.disclosure.primary import (
    Population,
    Target,
    find_targets,
    small_populations,
    small_rows,
)
from calaim_eval.disclosure.released import (
    ReleaseContent,
    Released,
    TableContent,
    count_table_of,
    make_released,
    structure_meta,
)
from calaim_eval.disclosure.system import System, build_system
from calaim_eval.disclosure.worlds import find_ranges, make_part
from calaim_eval.engine.write import atomic_folder
from calaim_eval.errors import DisclosureError
from calaim_eval.results import ALL, EffectTable, RateTable, Result

_LOG = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_QUARTER = re.compile(r"\d{4}Q[1-4]")
_EFFECT_COLUMNS = ("estimate", "std_error", "conf_low", "conf_high", "p_value")
_RATE_COLUMNS = ("numerator", "denominator", "rate", "conf_low", "conf_high")
_BLUR_ROUNDS = 5


def release(
    results: Mapping[str, Result],
    *,
    policy: str = "calhhs_ddg_2",
    to: str | Path | None = None,
    quarter: str | None = None,
    ledger: str | Path | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Released:
    """Hide what would say something about few people, prove it, and write what is left.

    Every table of the release is protected together: a count hidden in one table cannot be worked
    out from the others, nor from what was released before. Hidden rows carry one mark, whatever
    the reason.

    Parameters
    ----------
    results : Mapping[str, EffectTable | RateTable]
        By name: lower-case letters, digits and underscores. Names become file names.
    policy : str
        ``"calhhs_ddg_2"``, ``"calhhs_ddg_1"`` or ``"cms_11"``; see `load_policy`.
    to : path, optional
        Folder of releases; this one is written to ``to/<quarter>/``: ``tables/*.csv``,
        ``manifest.json`` and ``log.md``. An earlier release of the quarter is replaced only when
        this one is complete. Without it nothing is written.
    quarter : str, optional
        e.g. ``"2024Q4"``; needed with `to`.
    ledger : path, optional
        Ledger of everything released. Default: ``to/ledger.jsonl``.
    provenance : Mapping[str, Any], optional
        What the results were made from (hashes, versions); kept as given, JSON values only.

    Returns
    -------
    Released

    Raises
    ------
    DisclosureError
        A hidden count could still be worked out; two tables contradict each other; the ledger was
        changed. Nothing is written then.
    OutputError
        The folder or the ledger cannot be written. What was there stays.

    Notes
    -----
    Hidden for their own sake: see `small_rows` and `small_effects`. Further rows are chosen by
    cell suppression over one linear system of all tables, solved as in [1]_; see
    ``docs/methods/disclosure.md``.

    References
    ----------
    .. [1] Fischetti M, Salazar JJ (2001). Management Science 47(7):1008-1027.
       doi:10.1287/mnsc.47.7.1008.9805
    """
    rules = load_policy(policy)
    _check_arguments(results, to, quarter)
    path = _ledger_path(to, ledger)
    entries = [] if path is None else read_ledger(path)
    if to is not None and path == Path(to) / LEDGER_NAME:
        check_ledger_is_whole(Path(to), entries)
    history = history_of(entries, quarter or "")
    content = protect_results(
        results, rules, history, quarter=quarter or "", provenance=provenance or {}
    )
    if to is not None:
        _write(content, Path(to) / str(quarter), path, rules)
    elif path is not None:
        entry = make_entry(content, content_sha256="", released_at=_now())
        append_entry(path, entry)
    return make_released(content)


def protect_results(
    results: Mapping[str, Result],
    policy: Policy,
    history: History,
    *,
    quarter: str,
    provenance: Mapping[str, Any],
) -> ReleaseContent:
    """Choose what to hide, audit it, and put the released tables together."""
    effects = {n: t for n, t in results.items() if isinstance(t, EffectTable)}
    rates = {n: t for n, t in results.items() if isinstance(t, RateTable)}
    counts = count_tables(rates)
    populations = small_populations(counts, policy=policy)
    hidden, pattern = _hide_counts(rates, counts, policy, history, populations)
    before = {name: _hidden_before(name, table.keys, history) for name, table in effects.items()}
    hidden |= hide_effects(effects, policy=policy, populations=populations, already_hidden=before)
    structure = {table.name: structure_meta(table) for table in counts}
    tables = {
        name: _released_table(result, hidden[name], structure.get(name, {}))
        for name, result in results.items()
    }
    certificate = _certify(tables, policy, history, pattern)
    return ReleaseContent(
        quarter=quarter,
        policy=f"{policy.name} version {policy.version}",
        tables=tables,
        provenance=_plain(dict(provenance)),
        certificate=certificate,
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    """The pattern chosen, with the system and the targets it protects."""

    system: System
    targets: tuple[Target, ...]
    pattern: Pattern
    known: np.ndarray


def _hide_counts(
    rates: Mapping[str, RateTable],
    counts: list[CountTable],
    policy: Policy,
    history: History,
    populations: tuple[Population, ...],
) -> tuple[Hidden, _Choice]:
    """Rows to hide in every rate table, those needed to protect others included."""
    about_members = {table.name: rates[table.name] for table in counts}
    system = build_system(counts, earlier=_consistent(history.tables, counts))
    known, restated = _compare(system, history, policy)
    start = np.concatenate(
        [np.zeros(0, dtype=bool)]
        + [
            small_rows(table, policy=policy, populations=populations)
            | _hidden_before(name, table.keys, history)
            for name, table in about_members.items()
        ]
    )
    stays = {i for i, cell in enumerate(system.cells) if cell in history.hidden_cells} | restated
    start |= np.array([bool(stays & set(row.cells)) for row in system.rows], dtype=bool)
    targets = find_targets(system, about_members, policy=policy, populations=populations)
    protected = {t.cell for t in targets}
    targets += tuple(
        Target(cell, policy.interval_needed(0.0)) for cell in sorted(restated - protected)
    )
    fixed = known.copy()
    if policy.zeros_shown:  # a reader may guess which counts are zero
        shown = system.shown(np.zeros(len(system.rows), dtype=bool))
        fixed |= shown & (system.value == 0)
    choice = _choose(system, targets, start, _costs(about_members, counts, policy), fixed, policy)
    _refuse_open_cells(choice, history)
    _LOG.info(
        "%d of %d rows about members are hidden, %d of them to protect the others",
        int(choice.pattern.hidden_rows.sum()),
        len(system.rows),
        int((choice.pattern.hidden_rows & ~start).sum()),
    )
    hidden = {name: np.zeros(len(table), dtype=bool) for name, table in rates.items()}
    for row, is_hidden in zip(system.rows, choice.pattern.hidden_rows, strict=True):
        hidden[row.table][row.position] = is_hidden
    return hidden, choice


def _choose(
    system: System,
    targets: tuple[Target, ...],
    start: np.ndarray,
    cost: np.ndarray,
    known: np.ndarray,
    policy: Policy,
) -> _Choice:
    """Protect the targets; then anything hidden beside them that would follow exactly."""
    wanted = targets
    for _ in range(_BLUR_ROUNDS):
        pattern = protect(
            system,
            wanted,
            hidden_rows=start,
            cost=cost,
            known=known,
            time_limit_seconds=policy.time_limit_seconds,
        )
        exact = _exact_cells(system, pattern.hidden_rows, known, {t.cell for t in wanted})
        if not exact:
            break
        wanted += tuple(Target(cell, policy.interval_needed(0.0)) for cell in exact)
    required = {t.cell for t in targets}
    lost = tuple(cell for cell in pattern.open_cells if cell in required)
    return _Choice(
        system,
        targets,
        Pattern(pattern.hidden_rows, lost, pattern.cost, pattern.bound),
        known,
    )


def _exact_cells(
    system: System, hidden_rows: np.ndarray, known: np.ndarray, done: set[int]
) -> list[int]:
    """Cells hidden only to protect others that the rest would still give exactly."""
    hidden = ~system.shown(hidden_rows)
    displayed = {cell for row in system.rows for cell in row.cells}
    asked = tuple(
        Target(cell, 1.0)
        for cell in sorted(displayed - done)
        if hidden[cell] and not known[cell] and system.value[cell] > 0
    )
    part = make_part(system.equations, system.value, system.is_integer, known=known, targets=asked)
    return [asked[p].cell for p in find_ranges(part, hidden, asked).open()]


def _refuse_open_cells(choice: _Choice, history: History) -> None:
    """Refuse a release in which a hidden count could be worked out."""
    if not choice.pattern.open_cells:
        return
    open_cells = set(choice.pattern.open_cells)
    rows = [r for r in choice.system.rows if open_cells & {*r.cells, r.complement}]
    tables = ", ".join(f"`{name}`" for name in dict.fromkeys(r.table for r in rows))
    cause = "what earlier releases show" if history.known else "the other rows shown"
    step = (
        "Keep the layout of the earlier release, or withdraw it"
        if history.known
        else "Merge the stratum, or release the table without totals"
    )
    raise DisclosureError(
        f"{tables or 'the release'}: {len(open_cells)} suppressed cells can be recovered from "
        f"{cause}, whatever else is hidden. Nothing was released.\n"
        f"  {step}; or pool more months, so that fewer groups are small."
    )


def _compare(system: System, history: History, policy: Policy) -> tuple[np.ndarray, set[int]]:
    """Cells a reader knows from earlier releases, and cells restated since by a few."""
    known = np.zeros(len(system.cells), dtype=bool)
    restated: set[int] = set()
    for i, cell in enumerate(system.cells):
        if cell not in history.known:
            continue
        change = abs(system.value[i] - history.known[cell])
        if change <= 1e-6 or np.isnan(change):
            known[i] = True
        elif change < policy.min_count:
            restated.add(i)
    return known, restated


def _consistent(earlier: tuple[CountTable, ...], now: list[CountTable]) -> list[CountTable]:
    """Earlier tables none of whose numbers was restated, so that their sums still hold."""
    system = build_system(now)
    current = dict(zip(system.cells, system.value, strict=True))
    kept: list[CountTable] = []
    for table in earlier:
        seen = build_system([table])
        same = all(
            np.isnan(value) or abs(current.get(cell, value) - value) <= 1e-6
            for cell, value in zip(seen.cells, seen.value, strict=True)
            if cell[0] != "left over"
        )
        if same:
            kept.append(table)
    return kept


def _hidden_before(name: str, keys: pd.DataFrame, history: History) -> np.ndarray:
    """Rows an earlier release of the quarter hid."""
    rows = keys.astype(str).to_numpy()
    return np.array([(name, tuple(row)) in history.hidden_rows for row in rows], dtype=bool)


def _costs(rates: Mapping[str, RateTable], counts: list[CountTable], policy: Policy) -> np.ndarray:
    """Cost of hiding each row: totals and groups to keep readable are dear, small rows cheap."""
    costs = [np.zeros(0)]
    for table in counts:
        keys = table.keys
        cost = 1.0 + 0.05 * np.log1p(rates[table.name].numerator.astype(float))
        for column, groups in policy.keep_readable.items():
            if column in keys:
                cost = np.where(keys[column].isin(groups), cost * policy.cost_readable, cost)
        costs.append(np.where((keys == ALL).any(axis=1), cost * policy.cost_margin, cost))
    return np.concatenate(costs)


def _released_table(
    result: Result, hidden: np.ndarray, structure: Mapping[str, Any]
) -> TableContent:
    """The table a reader gets: no support, no covariance, NaN in hidden rows."""
    columns = _EFFECT_COLUMNS if isinstance(result, EffectTable) else _RATE_COLUMNS
    keys = _plain_keys(result.keys)
    numbers = result.to_frame()[list(columns)].astype(float).reset_index(drop=True)
    numbers[hidden] = np.nan
    frame = pd.concat([keys, numbers], axis=1).assign(is_suppressed=hidden)
    meta = {"keys": list(keys.columns), **_meta(result), **structure}
    return TableContent(
        "effect" if isinstance(result, EffectTable) else "rate", frame, _plain(meta)
    )


def _meta(result: Result) -> dict[str, Any]:
    """What the numbers mean."""
    shared = {
        "method": result.method.estimator,
        "options": {str(k): str(v) for k, v in result.method.options.items()},
        "reference": result.method.reference,
        "notes": list(result.notes),
    }
    if isinstance(result, EffectTable):
        return {
            "measure": result.estimand.name,
            "estimand": result.estimand.name,
            "contrast": result.estimand.contrast,
            "unit": result.estimand.unit,
            "scale": result.estimand.scale,
            "is_causal": result.estimand.is_causal,
            **shared,
        }
    per = result.per
    return {
        "measure": result.measure,
        "unit": result.unit,
        "rate_kind": result.kind,
        "about": result.about,
        "numerator_name": result.numerator_name,
        "denominator_name": result.denominator_name,
        "per": [float(p) for p in per] if isinstance(per, np.ndarray) else float(per),
        **shared,
    }


def _plain_keys(keys: pd.DataFrame) -> pd.DataFrame:
    """Keys as they are written: whole numbers stay numbers, everything else is text."""
    columns = {}
    for column in keys.columns:
        values = keys[column].reset_index(drop=True)
        if pd.api.types.is_integer_dtype(values) and not values.hasnans:
            columns[str(column)] = values.astype("int64")
        elif pd.api.types.is_datetime64_any_dtype(values):
            columns[str(column)] = values.dt.strftime("%Y-%m-%d").fillna("").astype(str)
        else:
            columns[str(column)] = values.astype(str)
    return pd.DataFrame(columns, index=range(len(keys)))


def _certify(
    tables: Mapping[str, TableContent], policy: Policy, history: History, choice: _Choice
) -> dict[str, Any]:
    """Attack the tables as a reader has them; refuse what does not hold."""
    shown = [c for name, table in tables.items() if (c := count_table_of(name, table)) is not None]
    needed = {choice.system.cells[t.cell]: t.width for t in choice.targets}
    found = audit(
        shown,
        policy=policy,
        known=history.known,
        enough=lambda cell: needed.get(cell, policy.min_interval),
    )
    _refuse_narrow_ranges(found, needed)
    n_rows = sum(len(t.frame) for t in tables.values())
    n_hidden = sum(int(t.frame["is_suppressed"].sum()) for t in tables.values())
    return {
        "policy": found.policy,
        "policy_title": policy.title,
        "policy_source": policy.source,
        "policy_confirmed": policy.confirmed,
        "n_tables": len(tables),
        "n_rows": n_rows,
        "n_suppressed_rows": n_hidden,
        "n_suppressed_cells": len(found.cells),
        "narrowest_range": None if np.isinf(found.min_interval) else found.min_interval,
        "range_required": policy.min_interval,
        "search": "fewest rows proved"
        if choice.pattern.gap < 1e-3
        else f"within {choice.pattern.gap:.0%} of the fewest rows",
    }


def _refuse_narrow_ranges(found: Certificate, needed: Mapping[CellId, float]) -> None:
    """Refuse where the audit of the released numbers contradicts the choice of rows."""
    narrow = [
        cell
        for cell, low, high in zip(
            found.cell_ids, found.cells["lowest"], found.cells["highest"], strict=True
        )
        if high - low < needed.get(cell, 0.0) - 1e-6
    ]
    if narrow:
        raise DisclosureError(
            f"{len(narrow)} suppressed cells (first: `{narrow[0][0]}`) can be narrowed down from "
            "the released tables. Nothing was released.\n"
            "  Please report this: the search should have prevented it."
        )


def _write(content: ReleaseContent, folder: Path, ledger: Path | None, policy: Policy) -> None:
    """Write the release beside its place, enter it in the ledger, then put it in place."""
    with atomic_folder(folder) as filling:
        write_tables(content, filling)
        write_log(content, filling, policy)
        digest = write_manifest(content, filling)
        if ledger is not None:
            # Before the folder is in place: a release the ledger does not know must not exist.
            append_entry(ledger, make_entry(content, content_sha256=digest, released_at=_now()))


def _check_arguments(
    results: Mapping[str, Result], to: str | Path | None, quarter: str | None
) -> None:
    """Refuse what cannot be released, before anything is computed."""
    for name, result in results.items():
        if not isinstance(result, EffectTable | RateTable):
            raise DisclosureError(
                f"`{name}` is a `{type(result).__name__}`; only an EffectTable or a RateTable can "
                "be released.\n  Moments, panels and frames hold small cells and stay restricted."
            )
        if not _NAME.fullmatch(name):
            raise DisclosureError(
                f"`{name}`: a released table's name has lower-case letters, digits and underscores "
                "only, starting with a letter.\n  Rename it, for example `effect_by_race`."
            )
    if quarter is not None and not _QUARTER.fullmatch(quarter):
        raise DisclosureError(f'quarter `{quarter}`: expected a form like "2024Q4".')
    if to is not None and quarter is None:
        raise DisclosureError(
            'release: `to` needs a quarter, for example `quarter="2024Q4"`: the release is '
            "written to a folder of that name."
        )


def _ledger_path(to: str | Path | None, ledger: str | Path | None) -> Path | None:
    """Where the ledger is: as given, else beside the releases."""
    if ledger is not None:
        return Path(ledger)
    return None if to is None else Path(to) / LEDGER_NAME


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """The content as JSON gives it back."""
    return dict(json.loads(json.dumps(content, default=str, allow_nan=False)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
