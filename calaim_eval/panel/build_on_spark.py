"""The panel on Spark: the recipe of a member bucket, run on all members at once.

The parts are those of the tables, as the engine 'duckdb' writes them, so everything that reads a
panel reads this one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine import write_json
from calaim_eval.panel.member_months import MANIFEST, PANEL_TABLES
from calaim_eval.panel.resume import (
    INPUTS,
    LOOKUPS,
    finished_as_one,
    one_share_file,
    share_file,
    spill_folder,
)

if TYPE_CHECKING:
    import pandas as pd

    from calaim_eval.panel.measure import Measure
    from calaim_eval.panel.rules import PanelRules
    from calaim_eval.tables import Tables


def build_on_spark(
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
    """Counts of the whole panel as one share; built unless it is on disk and still holds.

    Raises
    ------
    MissingExtraError
        PySpark or Java is absent.
    TableError, OutputError
        The input cannot be read, or the folder cannot be written.
    """
    from calaim_eval.engine.run_on_spark import run_on_spark
    from calaim_eval.engine.spark import open_spark, spark_failures
    from calaim_eval.panel.bucket import source_name
    from calaim_eval.panel.build_bucket import bucket_recipe

    stamp = hashlib.sha256("".join(stamps).encode()).hexdigest()
    held = finished_as_one(folder, tables.n_buckets, stamp)
    if held is not None:
        return [held]
    (folder / MANIFEST).unlink(missing_ok=True)
    one_share_file(folder).unlink(missing_ok=True)
    for number in range(tables.n_buckets):
        share_file(folder, number).unlink(missing_ok=True)
    spill = spill_folder(folder)
    spill.mkdir(parents=True, exist_ok=True)
    names = [name for name in (*INPUTS, *LOOKUPS) if tables.has(name)]
    steps = bucket_recipe(
        names, months=months, rules=rules, measures=measures, unobserved=unobserved
    )
    with (
        open_spark(
            temp_folder=spill, memory_limit_gb=memory_limit_gb, n_parts=tables.n_buckets
        ) as backend,
        spark_failures(doing="building member months on Spark"),
    ):
        fetched = run_on_spark(
            steps.recipe,
            backend,
            sources={source_name(name): tables.parts(name) for name in names},
            outputs={name: folder / name for name in PANEL_TABLES},
            part_of=(
                "member_id",
                [source_name(name) for name in ("eligibility", "person") if name in names],
            ),
            numbered=("members", "member"),
            n_parts=tables.n_buckets,
            held_folder=spill / "held",
        )
    share = {"stamp": stamp, **steps.tally.share(fetched).to_dict()}
    write_json(share, one_share_file(folder))
    return [share]
