"""Disclosure control of a whole release at once: the only door out of the restricted folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.disclosure.attacker import Certificate, audit
from calaim_eval.disclosure.bounds import hide_bounds
from calaim_eval.disclosure.count_table import CellId, CountTable, count_tables
from calaim_eval.disclosure.earlier_comparisons import refuse_given_away_before
from calaim_eval.disclosure.effects import hide_effects
from calaim_eval.disclosure.estimates_before import (
    MEMORY,
    ShownEstimates,
    append_shown_estimates,
    changed_by_few,
    recall_estimates,
)
from calaim_eval.disclosure.explain import write_log
from calaim_eval.disclosure.folder import write_manifest, write_tables
from calaim_eval.disclosure.from_rates import (
    hidden_and_shown_rates,
    hide_comparisons_of_rates,
    names_of_stacked_rates,
)
from calaim_eval.disclosure.hide_counts import Choice, hidden_before, hide_counts, still_true
from calaim_eval.disclosure.layout_score import refuse_above_limit, score_layouts
from calaim_eval.disclosure.ledger import (
    LEDGER_NAME,
    History,
    append_entry,
    check_ledger_is_whole,
    history_of,
    make_entry,
    read_ledger,
)
from calaim_eval.disclosure.linked_tables import link_tables
from calaim_eval.disclosure.policy import Policy, load_policy
from calaim_eval.disclosure.present import plain, released_table, without_small_counts
from calaim_eval.disclosure.primary import Hidden, small_populations
from calaim_eval.disclosure.reasons import count_reasons
from calaim_eval.disclosure.released import (
    ReleaseContent,
    Released,
    TableContent,
    count_table_of,
    make_released,
    structure_meta,
)
from calaim_eval.disclosure.rounded_sums import hide_narrowed
from calaim_eval.disclosure.rounding_kept import check_rounding_is_kept
from calaim_eval.engine.write import atomic_folder, write_json
from calaim_eval.errors import DisclosureError
from calaim_eval.results import BoundsTable, EffectTable, RateTable, Result

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_QUARTER = re.compile(r"\d{4}Q[1-4]")


def release(
    results: Mapping[str, Result],
    *,
    policy: str | Path = "calhhs_ddg_2",
    to: str | Path | None = None,
    quarter: str | None = None,
    ledger: str | Path | None = None,
    provenance: Mapping[str, Any] | None = None,
    residents: Mapping[str, int] | None = None,
    custody: str | Path | None = None,
) -> Released:
    """Hide what would say something about few people, prove it, and write what is left.

    Every table of the release is protected together: a count hidden in one table cannot be worked
    out from the others, nor from what was released before. Hidden rows carry one mark, whatever
    the reason.

    Parameters
    ----------
    results : Mapping[str, EffectTable | RateTable | BoundsTable]
        By name: lower-case letters, digits and underscores. Names become file names.
    policy : str or path
        ``"calhhs_ddg_2"``, another policy of the package or a file of one's own; see
        `load_policy`.
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
    residents : Mapping[str, int], optional
        People living in each county, and under ``"all"`` in the area of the study, for the
        guideline's score; see `Released.scores`.
    custody : path, optional
        Restricted file to write how many rows are hidden for which reason to, for the person who
        signs. It must not lie in `to`: these counts narrow hidden ones down. Beside it a file
        remembers the members and events behind every estimate shown: an estimate that a later
        release makes of a few members more or fewer is hidden (`changed_by_few`).

    Returns
    -------
    Released

    Raises
    ------
    DisclosureError
        A hidden count could still be worked out; two tables contradict each other; the ledger was
        changed; the policy is unknown, or stops a layout for its score. Nothing is written then.
    OutputError
        The folder or the ledger cannot be written. What was there stays.

    Notes
    -----
    Hidden for their own sake: see `small_rows`, `small_effects`, `hide_bounds` and
    `hide_comparisons_of_rates`. Further rows
    are chosen by cell suppression over one linear system of all tables, solved as in [1]_; see
    ``docs/methods/disclosure.md``.

    References
    ----------
    .. [1] Fischetti M, Salazar JJ (2001). Management Science 47(7):1008-1027.
       doi:10.1287/mnsc.47.7.1008.9805
    """
    rules = load_policy(policy)
    _check_arguments(results, to, quarter, custody)
    path = _ledger_path(to, ledger)
    entries = [] if path is None else read_ledger(path)
    if to is not None and path == Path(to) / LEDGER_NAME:
        check_ledger_is_whole(Path(to), entries)
    history = history_of(entries, quarter or "", provenance)
    memory = None if custody is None else Path(custody).with_name(MEMORY)
    content, reasons = protect_results(
        results,
        rules,
        history,
        quarter=quarter or "",
        provenance=provenance or {},
        residents=residents,
        shown_before=recall_estimates(memory, entries),
    )
    check_rounding_is_kept(entries, content)
    if custody is not None and memory is not None:
        _write_custody(reasons, Path(custody))
        # Before the folder is in place, as the ledger: what is shown must be remembered.
        append_shown_estimates(
            memory, quarter=quarter or "", results=results, hidden=_hidden_rows(content)
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
    residents: Mapping[str, int] | None = None,
    shown_before: Sequence[ShownEstimates] = (),
) -> tuple[ReleaseContent, pd.DataFrame]:
    """Choose what to hide, audit it, and put the released tables together.

    Returns the release, and how many rows are hidden for which reason, which stays restricted.
    """
    effects = {n: t for n, t in results.items() if isinstance(t, EffectTable)}
    rates = {n: t for n, t in results.items() if isinstance(t, RateTable)}
    bounds = {n: t for n, t in results.items() if isinstance(t, BoundsTable)}
    counts = count_tables(rates)
    counts = link_tables(counts, beside=still_true(history.tables, counts))
    populations = small_populations(counts, policy=policy)
    hidden, pattern = _with_narrowed(
        *hide_counts(rates, counts, policy, history, populations), policy, history
    )
    refuse_given_away_before(
        history, pattern.system, pattern.pattern.hidden_rows, of=names_of_stacked_rates(rates)
    )
    given_away = _given_away({**effects, **bounds}, rates, pattern, history)
    changed = changed_by_few({**effects, **bounds}, shown_before, policy=policy, quarter=quarter)
    before = {
        name: rows | changed[name] | hidden_before(name, results[name].keys, history)
        for name, rows in given_away.items()
    }
    hidden |= hide_effects(
        effects,
        policy=policy,
        populations=populations,
        already_hidden={name: before[name] for name in effects},
    )
    hidden |= hide_bounds(
        bounds,
        effects=effects,
        hidden={name: hidden[name] for name in effects},
        policy=policy,
        populations=populations,
        already_hidden={name: before[name] for name in bounds},
    )
    structure = {table.name: structure_meta(table) for table in counts}
    tables = {
        name: released_table(result, hidden[name], structure.get(name, {}), policy=policy)
        for name, result in results.items()
    }
    shown = _as_attacked(tables, counts, hidden, policy)
    certificate = _certify(tables, shown, policy, history, pattern)
    scores = score_layouts(tables, policy=policy, quarter=quarter, residents=residents)
    refuse_above_limit(scores, policy)
    reasons = count_reasons(
        results,
        hidden,
        policy=policy,
        populations=populations,
        history=history,
        system=pattern.system,
        given_away=given_away,
        changed=changed,
    )
    content = ReleaseContent(
        quarter=quarter,
        policy=f"{policy.name} version {policy.version}",
        tables=tables,
        provenance=_safe_reasons(plain(dict(provenance))),
        certificate=certificate,
        policy_rules=plain(policy.rules()),
        scores=[score.as_plain() for score in scores],
    )
    return content, reasons


def _hidden_rows(content: ReleaseContent) -> Hidden:
    """Rows hidden in each table."""
    return {
        name: table.frame["is_suppressed"].to_numpy(dtype=bool)
        for name, table in content.tables.items()
    }


def _with_narrowed(
    hidden: Hidden, choice: Choice, policy: Policy, history: History
) -> tuple[Hidden, Choice]:
    """Further rows of counts, where sums of rounded counts narrow a small one down."""
    before = _still_true(history, choice)
    known = np.array([cell in before for cell in choice.system.cells], dtype=bool)
    rows = hide_narrowed(choice.system, choice.pattern.hidden_rows, policy=policy, known=known)
    for row, is_hidden in zip(choice.system.rows, rows, strict=True):
        hidden[row.table][row.position] |= bool(is_hidden)
    return hidden, replace(choice, pattern=replace(choice.pattern, hidden_rows=rows))


def _as_attacked(
    tables: Mapping[str, TableContent],
    counts: Sequence[CountTable],
    hidden: Hidden,
    policy: Policy,
) -> list[CountTable]:
    """Counts for the audit: as released or, where they are rounded, as before, which tells more."""
    if policy.rounding == "none":
        found = (count_table_of(name, table) for name, table in tables.items())
        return [table for table in found if table is not None]
    return [
        replace(
            table,
            numerator=np.where(hidden[table.name], np.nan, table.numerator),
            denominator=np.where(hidden[table.name], np.nan, table.denominator),
        )
        for table in counts
    ]


def _given_away(
    tables: Mapping[str, EffectTable | BoundsTable],
    rates: Mapping[str, RateTable],
    choice: Choice,
    history: History,
) -> Hidden:
    """Rows of estimates and bounds that would give a hidden rate away."""
    hidden_rates, shown = hidden_and_shown_rates(choice.system, choice.pattern.hidden_rows, history)
    return hide_comparisons_of_rates(
        tables,
        hidden_rates=hidden_rates,
        shown=shown,
        stated=choice.system.cells,
        of=names_of_stacked_rates(rates),
    )


def _safe_reasons(provenance: dict[str, Any]) -> dict[str, Any]:
    """The provenance, its reasons for what is left out without small counts."""
    reasons = provenance.get("left_out")
    if not isinstance(reasons, dict):
        return provenance
    return provenance | {
        "left_out": {name: without_small_counts(str(text)) for name, text in reasons.items()}
    }


def _certify(
    tables: Mapping[str, TableContent],
    shown: Sequence[CountTable],
    policy: Policy,
    history: History,
    choice: Choice,
) -> dict[str, Any]:
    """Attack the tables as a reader has them; refuse what does not hold."""
    needed = {choice.system.cells[t.cell]: t.width for t in choice.targets}
    found = audit(
        shown,
        policy=policy,
        known=_still_true(history, choice),
        enough=lambda cell: needed.get(cell, policy.min_interval),
        earlier=choice.earlier,
    )
    _refuse_narrow_ranges(found, needed)
    n_rows = sum(len(t.frame) for t in tables.values())
    n_hidden = sum(int(t.frame["is_suppressed"].sum()) for t in tables.values())
    return {
        "policy": found.policy,
        "policy_title": policy.title,
        "policy_source": policy.source,
        "policy_confirmed": policy.confirmed,
        "policy_sha256": policy.sha256,
        "rounding": policy.rounding_words or "none",
        "n_tables": len(tables),
        "n_rows": n_rows,
        "n_suppressed_rows": n_hidden,
        "n_suppressed_cells": len(found.cells),
        "narrowest_range": None if np.isinf(found.min_interval) else found.min_interval,
        "range_required": policy.min_interval,
        **choice.pattern.record(),
    }


def _still_true(history: History, choice: Choice) -> dict[CellId, float]:
    """Numbers of earlier releases that were not restated since."""
    now = dict(zip(choice.system.cells, choice.system.value, strict=True))
    return {
        cell: value
        for cell, value in history.known.items()
        if cell in now and abs(now[cell] - value) <= 1e-6
    }


def _refuse_narrow_ranges(found: Certificate, needed: Mapping[CellId, float]) -> None:
    """Refuse where the audit of the released numbers contradicts the choice of rows."""
    narrow = [*found.narrowed_before] + [
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


def _write_custody(reasons: pd.DataFrame, path: Path) -> None:
    """How many rows are hidden for which reason, for the person who signs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json({"hidden_rows": reasons.to_dict("records")}, path)


def _check_arguments(
    results: Mapping[str, Result],
    to: str | Path | None,
    quarter: str | None,
    custody: str | Path | None,
) -> None:
    """Refuse what cannot be released, before anything is computed."""
    if custody is not None and to is not None:
        inside = Path(to).resolve() in Path(custody).resolve().parents
        if inside:
            raise DisclosureError(
                f"{custody} lies in the folder of releases {to}: how many rows are hidden for "
                "which reason narrows hidden counts down.\n  Keep it in a restricted folder."
            )
    for name, result in results.items():
        if not isinstance(result, Result):
            raise DisclosureError(
                f"`{name}` is a `{type(result).__name__}`; only an EffectTable, a RateTable or a "
                "BoundsTable can be released.\n  Moments, panels and frames hold small cells and "
                "stay restricted."
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
