"""Checked tables to the member-month panel: bucket by bucket, so that a killed run resumes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from calaim_eval.engine import (
    MEMORY_LIMIT_GB,
    engine_failures,
    open_engine,
    run_recipe,
    track,
    write_json,
)
from calaim_eval.engine.lock import one_at_a_time
from calaim_eval.errors import TableError
from calaim_eval.panel.build_on_spark import build_on_spark
from calaim_eval.panel.calendar import window_months
from calaim_eval.panel.count_care import count_care_if_possible
from calaim_eval.panel.data_facts import DataFacts, data_facts, require_run_out
from calaim_eval.panel.finished_panel import finished_panel
from calaim_eval.panel.gaps import unobserved_months
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.panel.member_months import MANIFEST, PANEL_TABLES, MemberMonths
from calaim_eval.panel.own_lists import require_probabilities
from calaim_eval.panel.resume import (
    INPUTS,
    LOOKUPS,
    bucket_stamps,
    finished_share,
    one_share_file,
    part_file,
    read_share,
    share_file,
    spill_folder,
)
from calaim_eval.panel.rules import PanelRules
from calaim_eval.panel.temporary import gone_with_panel, panel_folder
from calaim_eval.tables import Tables

logger = logging.getLogger(__name__)

Engine = Literal["duckdb", "spark"]


def build_member_months(
    tables: Tables,
    *,
    first_month: str | pd.Period,
    last_month: str | pd.Period,
    rules: PanelRules | None = None,
    measures: Iterable[str | Measure] | None = None,
    out_dir: str | Path | None = None,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
    engine: Engine = "duckdb",
    keep_counts: bool = False,
) -> MemberMonths:
    """Build the member-month panel: coverage, visits, stays, dollars and program contacts.

    Members are worked on a bucket at a time; each finished bucket is kept. A run that was stopped
    resumes with the buckets that are missing, and a bucket whose input, window or rules changed, or
    that another version of the package made, is built again. Run it again with nothing changed, and
    it only reads the manifest. A second run in the same folder waits for the end of the first.

    Parameters
    ----------
    tables : Tables
        What `read_tables` returns. `eligibility` is needed; without the other tables the measures
        they feed are missing, never 0.
    first_month, last_month : str or pd.Period
        Window, both months included ("2021-01").
    rules : PanelRules, optional
        How months, visits and stays are defined; the defaults of `PanelRules` without it.
    measures : iterable of str or Measure, optional
        Measures to build, by name or as a `Measure` of your own; all of `MEASURES` and `EXPOSURES`
        by default. Fewer are quicker.
    out_dir : path, optional
        Folder of the panel, which holds one row per member and month: keep it restricted. By
        default a temporary folder that goes with the `MemberMonths`.
    memory_limit_gb : float
        Memory the engine may hold, in GB.
    engine : {"duckdb", "spark"}
        ``"spark"`` works on all members at once, on the cluster of the session that is active or
        else on this machine; the panel is the same, but a run that was stopped starts again.
    keep_counts : bool
        Count care beside the tables first (`count_care`), for every later panel of the extract;
        where the folder of the tables cannot be written, a warning says so. Nothing is counted
        for a panel that is finished already, nor with ``"spark"``.

    Returns
    -------
    MemberMonths
        Reopen it later with `MemberMonths.open`.

    Raises
    ------
    TableError
        `eligibility` was not read, the window is no window, the data end before its claims are
        complete (`run_out_months`), shares of `ed_avoidable_weight` add up to more than 1, or the
        tables were read anew meanwhile.
    OutputError
        The folder cannot be written, or the disk is full.
    MissingExtraError
        The engine is ``"spark"``, and PySpark or Java is absent.

    Notes
    -----
    Claims are settled first (void, replacement, denial), then built into visits and stays, then
    counted in the month they fall in. What falls outside the panel's months is counted in the
    ledger and nowhere else. See `MEASURES` for each definition and its source.

    Examples
    --------
    >>> import pandas as pd
    >>> from calaim_eval.tables import Tables
    >>> spans = pd.DataFrame({"member_id": ["a"], "enrollment_start_date": ["2022-01-10"],
    ...                       "enrollment_end_date": ["2022-02-28"]})
    >>> panel = build_member_months(Tables.from_frames({"eligibility": spans}),
    ...                             first_month="2022-01", last_month="2022-12")
    >>> panel.to_frame(["month", "covered_days"])["covered_days"].tolist()
    [22, 28]
    """
    rules = rules or PanelRules()
    wanted = chosen_measures(measures)
    require_engine(engine)
    months = window_months(first_month, last_month)
    _require_eligibility(tables)
    _require_custody(tables, rules)
    require_probabilities(tables, wanted)
    folder = panel_folder() if out_dir is None else Path(out_dir)
    with one_at_a_time(folder, doing="building member months"):
        panel = _build(
            tables,
            folder,
            months=months,
            rules=rules,
            measures=wanted,
            memory_limit_gb=memory_limit_gb,
            engine=engine,
            keep_counts=keep_counts,
        )
    return panel if out_dir is not None else gone_with_panel(panel)


def _build(
    tables: Tables,
    folder: Path,
    *,
    months: pd.PeriodIndex,
    rules: PanelRules,
    measures: Sequence[Measure],
    memory_limit_gb: float,
    engine: Engine,
    keep_counts: bool,
) -> MemberMonths:
    """The panel in a folder that no other run writes to."""
    backend = open_engine(memory_limit_gb=memory_limit_gb, temp_folder=spill_folder(folder))
    try:
        with engine_failures(doing="reading the claim tables"):
            facts = data_facts(backend, tables)
        require_run_out(facts, months, rules)
    finally:
        backend.disconnect()
    stamps = bucket_stamps(tables, months, rules, facts, measures)
    if keep_counts and engine == "duckdb" and _waiting(folder, stamps):
        count_care_if_possible(tables, rules, memory_limit_gb)
    build = _build_buckets if engine == "duckdb" else build_on_spark
    shares = build(
        tables,
        folder,
        months=months,
        rules=rules,
        measures=measures,
        unobserved=unobserved_months(tables, facts, months, rules, measures),
        stamps=stamps,
        memory_limit_gb=memory_limit_gb,
    )
    _require_same(tables, months, rules, facts, measures, stamps)
    return finished_panel(
        tables, folder, months=months, rules=rules, measures=measures, facts=facts, shares=shares
    )


def _require_same(
    tables: Tables,
    months: pd.PeriodIndex,
    rules: PanelRules,
    facts: DataFacts,
    measures: Sequence[Measure],
    stamps: Sequence[str],
) -> None:
    """Raise if the tables were read anew while the panel was built from them."""
    try:
        if bucket_stamps(tables, months, rules, facts, measures) == stamps:
            return
    except OSError:
        pass
    raise TableError(
        f"the tables in `{tables.folder}` changed while the panel was built from them.\n"
        "  Wait until no other run reads them, and build the panel again."
    )


def chosen_measures(measures: Iterable[str | Measure] | None) -> tuple[Measure, ...]:
    """The measures a panel is to have.

    Raises
    ------
    TableError
        No measure has a name that is asked for, or one is asked for twice.
    """
    known = {**MEASURES, **EXPOSURES}
    if measures is None:
        return tuple(known.values())
    chosen: dict[str, Measure] = {}
    for each in measures:
        if isinstance(each, str) and each not in known:
            listed = ", ".join(f"`{name}`" for name in known)
            raise TableError(f"no measure is named `{each}`.\n  Measures: {listed}.")
        measure = known[each] if isinstance(each, str) else each
        if measure.name in chosen:
            raise TableError(f"measure `{measure.name}` is asked for twice.\n  Name it once.")
        chosen[measure.name] = measure
    if not chosen:
        raise TableError("`measures` is empty.\n  Name a measure, or leave `measures` out for all.")
    return tuple(chosen.values())


def require_engine(engine: str) -> None:
    """Raise unless there is such an engine."""
    if engine not in get_args(Engine):
        listed = ", ".join(f"'{each}'" for each in get_args(Engine))
        raise TableError(f"no engine is named '{engine}'.\n  Engines: {listed}.")


def _require_eligibility(tables: Tables) -> None:
    """Raise unless there is something to build months from."""
    if not tables.has("eligibility"):
        listed = ", ".join(f"`{name}`" for name in tables.names) or "none"
        raise TableError(
            f"member months need the table `eligibility`; these were read: {listed}.\n"
            "  Add the enrollment spans to the input folder and read the tables again."
        )


def _require_custody(tables: Tables, rules: PanelRules) -> None:
    """Raise unless the months that the rules leave out can be known."""
    if rules.custody_months == "leave_out" and not tables.has("custody"):
        raise TableError(
            "panel rule `custody_months` is 'leave_out', and the table `custody` was not read: "
            "months in custody cannot be known.\n"
            '  Add the custody feed to the input folder, or use custody_months="keep".'
        )


def _waiting(folder: Path, stamps: Sequence[str]) -> list[int]:
    """Numbers of the buckets that are to be built."""
    return [n for n, stamp in enumerate(stamps) if finished_share(folder, n, stamp) is None]


def _build_buckets(
    tables: Tables,
    folder: Path,
    *,
    months: pd.PeriodIndex,
    rules: PanelRules,
    measures: Sequence[Measure],
    unobserved: Mapping[str, pd.PeriodIndex],
    stamps: Sequence[str],
    memory_limit_gb: float,
) -> list[dict[str, Any]]:
    """Shares of all buckets: those on disk that still hold, and the others built now."""
    from calaim_eval.panel.bucket import bucket_sources
    from calaim_eval.panel.build_bucket import bucket_recipe
    from calaim_eval.panel.care_files import (
        EXPOSURE,
        care_sources,
        copy_exposure,
        counted_care,
    )

    waiting = _waiting(folder, stamps)
    if waiting:
        (folder / MANIFEST).unlink(missing_ok=True)
        one_share_file(folder).unlink(missing_ok=True)
    if 0 < len(waiting) < len(stamps):
        logger.info(
            "%d of %d member buckets are already built", len(stamps) - len(waiting), len(stamps)
        )
    names = [name for name in (*INPUTS, *LOOKUPS) if tables.has(name)]
    counted = counted_care(tables, rules, measures) if waiting else []
    for number in track(waiting, description="member months"):
        known = counted[number]
        steps = bucket_recipe(
            names,
            months=months,
            rules=rules,
            measures=measures,
            unobserved=unobserved,
            counted=known,
        )
        sources = bucket_sources(tables, number, names)
        outputs = {name: part_file(folder, name, number) for name in PANEL_TABLES}
        if known is not None:
            sources |= care_sources(tables, number, known)
            copy_exposure(tables, number, known, outputs[EXPOSURE])
        fetched = run_recipe(
            steps.recipe,
            sources=sources,
            outputs=outputs,
            memory_limit_gb=memory_limit_gb,
            temp_folder=spill_folder(folder),
            doing=f"building member months, bucket {number}",
        )
        share = steps.tally.share(fetched).to_dict()
        write_json({"stamp": stamps[number], **share}, share_file(folder, number))
    return [read_share(share_file(folder, number)) for number in range(tables.n_buckets)]
