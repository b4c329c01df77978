"""Count care once an extract: visits, stays, events and dollars, for every panel built from it."""

from __future__ import annotations

import logging

from calaim_eval.engine import MEMORY_LIMIT_GB, run_recipe, track, write_json
from calaim_eval.errors import OutputError
from calaim_eval.panel.resume import INPUTS, LOOKUPS
from calaim_eval.panel.rules import PanelRules
from calaim_eval.tables import Tables

logger = logging.getLogger(__name__)


def count_care(
    tables: Tables,
    *,
    rules: PanelRules | None = None,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
) -> None:
    """Settle the claims of an extract and count what measures count, once for all its panels.

    `build_member_months` then begins from these counts and takes a third of the CPU, whatever
    its window, its measures of the package and its rules of coverage; the panel is the same. Worth
    it where more than one panel is built: another window, another month rule, fewer measures. A
    finished bucket is not counted again; files by other rules of visits and stays are replaced.

    Parameters
    ----------
    tables : Tables
        What `read_tables` returns. The files are written into its folder: they hold rows of
        members, and go when the tables are read anew.
    rules : PanelRules, optional
        How visits and stays are defined; the defaults of `PanelRules` without it.
    memory_limit_gb : float
        Memory the engine may hold, in GB.

    Raises
    ------
    TableError, OutputError
        The input cannot be read, or the folder cannot be written.

    Examples
    --------
    >>> import pandas as pd
    >>> from calaim_eval.panel import build_member_months
    >>> from calaim_eval.tables import Tables
    >>> spans = pd.DataFrame({"member_id": ["a"], "enrollment_start_date": ["2022-01-10"],
    ...                       "enrollment_end_date": ["2022-02-28"]})
    >>> tables = Tables.from_frames({"eligibility": spans})
    >>> count_care(tables)
    >>> panel = build_member_months(tables, first_month="2022-01", last_month="2022-12")
    >>> panel.to_frame(["month", "covered_days"])["covered_days"].tolist()
    [22, 28]
    """
    from calaim_eval.panel.bucket import bucket_sources
    from calaim_eval.panel.care_files import (
        care_file,
        care_stamps,
        counting_spill,
        counts_file,
        drop_replaced,
        file_names,
        held_care,
    )
    from calaim_eval.panel.care_recipe import care_recipe

    rules = rules or PanelRules()
    names = [name for name in (*INPUTS, *LOOKUPS) if tables.has(name)]
    stamps = care_stamps(tables, rules)
    waiting = [n for n, stamp in enumerate(stamps) if held_care(tables, n, stamp) is None]
    for number in track(waiting, description="counting care"):
        steps = care_recipe(tuple(names), rules)
        stamp = stamps[number]
        with counting_spill(tables) as spill:
            run_recipe(
                steps.recipe,
                sources=bucket_sources(tables, number, names),
                outputs={
                    name: care_file(tables, name, number, stamp) for name in file_names(names)
                },
                memory_limit_gb=memory_limit_gb,
                temp_folder=spill,
                doing=f"counting care, bucket {number}",
            )
        told = {"events": list(steps.events), "kinds": dict(steps.kinds)}
        write_json({"stamp": stamp, **told}, counts_file(tables, number))
        drop_replaced(tables, number, stamp)


def count_care_if_possible(tables: Tables, rules: PanelRules, memory_limit_gb: float) -> None:
    """Count care beside the tables; where they cannot be written there, warn and do without."""
    try:
        count_care(tables, rules=rules, memory_limit_gb=memory_limit_gb)
    except OutputError as problem:
        logger.warning("the panel is built from the claims, care is not kept: %s", problem)
