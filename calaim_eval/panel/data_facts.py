"""What the claims as a whole can tell: when they end, whether they carry amounts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pandas as pd

from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.panel.calendar import day_of
from calaim_eval.panel.rules import PanelRules
from calaim_eval.tables import Tables

CODED = ("rendering_taxonomy_code", "billing_taxonomy_code")
"""Columns without which some measures cannot be told, and which many claims lack."""


@dataclass(frozen=True)
class DataFacts:
    """Facts about all buckets together.

    Attributes
    ----------
    claims_end_day : int | None
        Last day with a claim, as a day number; None without claims.
    data_end_month : str | None
        Month the data end in: extract date, else last payment, else last claim.
    tables_with_amounts : tuple[str, ...]
        Claim tables of which some line carries a paid amount.
    coded_columns : tuple[str, ...]
        Columns of `medical_claim` among `CODED` that some line carries.
    limited_feeds : tuple[str, ...]
        Feeds of which `feed_coverage` says where and when they reach.
    """

    claims_end_day: int | None
    data_end_month: str | None
    tables_with_amounts: tuple[str, ...]
    coded_columns: tuple[str, ...] = ()
    limited_feeds: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain values."""
        return asdict(self)


def data_facts(backend: Any, tables: Tables) -> DataFacts:
    """Read the facts off the claim tables: one pass over three columns."""
    medical = _extremes(backend, tables, "medical_claim", "claim_start_date")
    pharmacy = _extremes(backend, tables, "pharmacy_claim", "dispensing_date")
    extract = tables.manifest.get("options", {}).get("extract_date")
    payments = [each["paid"] for each in (medical, pharmacy) if each["paid"] is not None]
    ends = [pd.Timestamp(extract)] if extract else [max(payments)] if payments else [medical["day"]]
    end = ends[0]
    return DataFacts(
        claims_end_day=None if medical["day"] is None else day_of(medical["day"]),
        data_end_month=None if end is None else str(end.to_period("M")),
        tables_with_amounts=tuple(
            name
            for name, each in (("medical_claim", medical), ("pharmacy_claim", pharmacy))
            if each["n_paid"]
        ),
        coded_columns=_coded_columns(backend, tables),
        limited_feeds=_limited_feeds(backend, tables),
    )


def _coded_columns(backend: Any, tables: Tables) -> tuple[str, ...]:
    """Columns of `CODED` that some claim line carries."""
    if not tables.has("medical_claim"):
        return ()
    rows = backend.read_parquet([exactly(part) for part in tables.parts("medical_claim")])
    found = backend.execute(rows.agg(**{column: rows[column].count() for column in CODED})).iloc[0]
    return tuple(column for column in CODED if found[column])


def _limited_feeds(backend: Any, tables: Tables) -> tuple[str, ...]:
    """Feeds that `feed_coverage` names."""
    if not tables.has("feed_coverage"):
        return ()
    rows = backend.read_parquet([exactly(part) for part in tables.parts("feed_coverage")])
    return tuple(sorted(backend.execute(rows["feed"].name("feed")).dropna().unique()))


def _extremes(backend: Any, tables: Tables, name: str, day: str) -> dict[str, Any]:
    """Last service day, last payment day and number of amounts of a claim table."""
    if not tables.has(name):
        return {"day": None, "paid": None, "n_paid": 0}
    rows = backend.read_parquet([exactly(part) for part in tables.parts(name)])
    found = backend.execute(
        rows.agg(day=rows[day].max(), paid=rows["paid_date"].max(), n=rows["paid_amount"].count())
    ).iloc[0]
    return {
        "day": _timestamp(found["day"]),
        "paid": _timestamp(found["paid"]),
        "n_paid": found["n"],
    }


def _timestamp(value: date | None) -> pd.Timestamp | None:
    """A date as a timestamp; missing stays None."""
    return None if pd.isna(value) else pd.Timestamp(value)


def require_run_out(facts: DataFacts, months: pd.PeriodIndex, rules: PanelRules) -> None:
    """Raise unless the window ends `run_out_months` before the data do."""
    if not rules.run_out_months or facts.data_end_month is None:
        return
    latest = pd.Period(facts.data_end_month, "M") - rules.run_out_months
    if months[-1] > latest:
        raise TableError(
            f"the window ends in {months[-1]}, but the data end in {facts.data_end_month}: with "
            f"`run_out_months` {rules.run_out_months}, claims are complete to {latest}.\n"
            f'  Give last_month="{latest}", a later extract, or a smaller `run_out_months`.'
        )
