"""The end of a build: shares added up, proof that no row was lost, the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.panel.columns import UNCLASSIFIED_KEY
from calaim_eval.panel.data_facts import DataFacts
from calaim_eval.panel.gaps import measure_gaps, panel_notes, unlimited_feeds
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.member_months import MemberMonths
from calaim_eval.panel.planned_stays import planned_note
from calaim_eval.panel.resume import INPUTS, definitions_sha256, drop_leftovers
from calaim_eval.panel.rules import PanelRules
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables import RowLedger, Tables


def finished_panel(
    tables: Tables,
    folder: Path,
    *,
    months: pd.PeriodIndex,
    rules: PanelRules,
    measures: Sequence[Measure],
    facts: DataFacts,
    shares: Sequence[Mapping[str, Any]],
) -> MemberMonths:
    """Add up the shares, prove that no row was lost, write the manifest last."""
    drop_leftovers(folder, tables.n_buckets)
    ledger = RowLedger()
    ledger.extend(tables.ledger)
    for share in shares:
        ledger.extend(RowLedger.from_frame(_ledger_frame(share["ledger"])))
    for name in INPUTS:
        if tables.has(name):
            ledger.check(name, "panel", _n_rows(tables, name))
    n_member_months = sum(share["n_member_months"] for share in shares)
    _require_one_row_a_month(folder, n_member_months)
    gaps = measure_gaps(tables, facts, months, rules, measures)
    panel = MemberMonths(
        folder=folder,
        n_buckets=tables.n_buckets,
        first_month=months[0],
        last_month=months[-1],
        rules=rules,
        ledger=ledger,
        n_members=sum(share["n_members"] for share in shares),
        n_member_months=n_member_months,
        feeds=frozenset(name for name in tables.names if TABLES[name].is_optional),
        n_unclassified=sum(share["n_unclassified"] for share in shares),
        measures=tuple(measure.name for measure in measures),
        definitions_sha256=definitions_sha256(tables, measures),
        amounts=_amounts(shares),
        unclassified=_unclassified(shares),
        unobserved_months={k: tuple(str(m) for m in gap.months) for k, gap in gaps.items()},
        notes=panel_notes(
            gaps,
            months,
            unlimited_feeds=unlimited_feeds(tables, facts),
            further=_notes_of_rules(tables, rules, measures),
        ),
    )
    panel.save_manifest({"data": facts.to_dict(), "tables": tables.manifest.get("sources", {})})
    return panel


def _notes_of_rules(
    tables: Tables, rules: PanelRules, measures: Sequence[Measure]
) -> tuple[str, ...]:
    """What measures that are there leave out for want of a table."""
    counts_readmissions = any(measure.name == "readmissions_30d" for measure in measures)
    note = planned_note(frozenset(tables.names), rules) if counts_readmissions else ""
    return (note,) if note and tables.has("medical_claim") else ()


def _require_one_row_a_month(folder: Path, n_member_months: int) -> None:
    """Prove that the parts hold every covered month."""
    import pyarrow.parquet as pq

    parts = (folder / "member_month").glob("part-*.parquet")
    n_rows = sum(pq.ParquetFile(part).metadata.num_rows for part in parts)
    if n_rows != n_member_months:
        raise TableError(
            f"the panel has {n_rows:,} rows for {n_member_months:,} member-months.\n"
            "  This is a defect of the panel, not of the data; please report it."
        )


def _amounts(shares: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Dollars of all buckets by table and reason."""
    rows = [row for share in shares for row in share["amounts"]]
    frame = pd.DataFrame(rows, columns=["table", "reason", "paid_usd"])
    return frame.groupby(["table", "reason"], as_index=False)["paid_usd"].sum()


def _unclassified(shares: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Unclassified program lines of all buckets; most lines first."""
    rows = [row for share in shares for row in share["unclassified"]]
    frame = pd.DataFrame(rows, columns=[*UNCLASSIFIED_KEY, "n_lines"])
    summed = frame.groupby(list(UNCLASSIFIED_KEY), as_index=False)["n_lines"].sum()
    order = ["n_lines", *UNCLASSIFIED_KEY]
    return summed.sort_values(order, ascending=[False, True, True, True], ignore_index=True)


def _ledger_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Ledger rows as the frame they were."""
    return pd.DataFrame(list(rows), columns=["table", "stage", "reason", "n_rows"])


def _n_rows(tables: Tables, name: str) -> int:
    """Rows of a table by its parts' own metadata."""
    import pyarrow.parquet as pq

    return sum(pq.ParquetFile(part).metadata.num_rows for part in tables.parts(name))
