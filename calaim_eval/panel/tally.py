"""The counts of a bucket: which are asked for, and how they become its share of the ledger.

`Tally` puts the questions into the recipe once; `share` makes plain values of each run's answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calaim_eval.panel.community import ems_outcomes, police_outcomes
from calaim_eval.panel.custody import custody_spells
from calaim_eval.panel.fates import custody_outcomes, record_outcomes
from calaim_eval.panel.landing import OUTSIDE_WINDOW, Landing
from calaim_eval.panel.planned_stays import procedure_outcomes
from calaim_eval.tables.ledger import NOTICE, USED, RowLedger

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.measure import Measure

Rows = Sequence[Any]


@dataclass
class Share:
    """Ledger, amounts and counts of one bucket."""

    ledger: RowLedger = field(default_factory=RowLedger)
    amounts: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything counted, as plain values for the bucket's manifest."""
        return {
            **self.counts,
            **self.rows,
            "ledger": self.ledger.to_frame().to_dict("records"),
            "amounts": self.amounts,
        }


class Tally:
    """Questions to a bucket, each with what its answer means."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._answers: list[tuple[str, Callable[[Share, Rows], None]]] = []

    def _ask(self, rows: Table, take: Callable[[Share, Rows], None]) -> None:
        """Fetch a small table of counts; `take` puts its rows into the share."""
        name = f"tally_{len(self._answers)}"
        self.bucket.recipe.fetch(name, rows)
        self._answers.append((name, take))

    def share(self, fetched: Mapping[str, pd.DataFrame]) -> Share:
        """What one run of the recipe counted."""
        share = Share()
        for name, take in self._answers:
            take(share, list(fetched[name].itertuples(index=False)))
        return share

    def add(self, table: str, counted: Table) -> None:
        """Count rows of a table by reason."""

        def take(share: Share, rows: Rows) -> None:
            share.ledger.add(table, USED, 0, stage="panel")
            for row in rows:
                share.ledger.add(table, row.reason, int(row.n_rows), stage="panel")

        self._ask(counted, take)

    def add_claims(self, table: str, counted: Table) -> None:
        """Count lines and add up dollars of a claim table by reason."""

        def take(share: Share, rows: Rows) -> None:
            share.ledger.add(table, USED, 0, stage="panel")
            for row in sorted(rows, key=lambda row: row.reason):
                share.ledger.add(table, row.reason, int(row.n_rows), stage="panel")
                amount = {"table": table, "reason": row.reason, "paid_usd": float(row.paid_usd)}
                share.amounts.append(amount)

        self._ask(counted, take)

    def add_events(self, counted: Table, measures: Sequence[Measure]) -> None:
        """Count events by reason; dollars are in the amounts."""

        def take(share: Share, rows: Rows) -> None:
            for row in rows:
                measure = measures[int(row.measure)]
                if measure.dtype == "integer":
                    share.ledger.add(measure.name, row.reason, int(row.value), stage="events")

        self._ask(counted, take)

    def add_outside(self, measure: str, every: Table, inside: Table) -> None:
        """Count what falls outside the window: `total` of all, less `total` inside."""
        both = every.cross_join(inside.rename(inside="total"))

        def take(share: Share, rows: Rows) -> None:
            (row,) = rows
            outside = _whole(row.total) - _whole(row.inside)
            share.ledger.add(measure, OUTSIDE_WINDOW, outside, stage="events")

        self._ask(both, take)

    def note_spans(self, spans: Table) -> None:
        """Remark on spans that were cut."""
        counted = spans.agg(
            at_death=spans["is_cut_at_death"].sum(), at_birth=spans["is_cut_at_birth"].sum()
        )

        def take(share: Share, rows: Rows) -> None:
            (row,) = rows
            note = share.ledger.note
            note("eligibility", "runs past death, cut at death", _whole(row.at_death))
            note("eligibility", "begins before birth, cut at birth", _whole(row.at_birth))

        self._ask(counted, take)

    def note_actions(self, table: str, acting_alone: Table) -> None:
        """Remark on voids and replacements that name no other claim; one row, `n` of them."""

        def take(share: Share, rows: Rows) -> None:
            remark = "void or replacement that names no other claim"
            share.ledger.note(table, remark, int(rows[0].n))

        self._ask(acting_alone, take)

    def add_feeds(self, land: Landing, unfed: Table | None) -> None:
        """Count program records and rows of feeds outside the claims by reason."""
        if self.bucket.has("program_service"):
            self._ask(record_outcomes(self.bucket, land), _take_records)
        if self.bucket.has("custody"):
            spells = custody_spells(self.bucket)
            self.add("custody", custody_outcomes(self.bucket, land, unfed, spells))
        if self.bucket.has("ems_call"):
            self.add("ems_call", ems_outcomes(self.bucket, land, unfed))
        if self.bucket.has("police_contact"):
            self.add("police_contact", police_outcomes(self.bucket, land, unfed))
        if self.bucket.has("claim_procedure"):
            self.add("claim_procedure", procedure_outcomes(self.bucket))

    def add_lines(self, name: str, counted: Table) -> None:
        """Keep a small table with `n_lines` under a name of the share; it holds no member."""

        def take(share: Share, rows: Rows) -> None:
            share.counts[f"n_{name}"] = sum(int(row.n_lines) for row in rows)
            share.rows[name] = [
                {key: _plain(value) for key, value in row._asdict().items()} for row in rows
            ]

        self._ask(counted, take)

    def add_members(self, land: Landing) -> None:
        """Count members and member months of the panel."""
        covered = land.covered.agg(n_members=land.covered.count())
        counted = covered.cross_join(land.months.agg(n_member_months=land.months.count()))

        def take(share: Share, rows: Rows) -> None:
            share.counts |= {
                "n_members": int(rows[0].n_members),
                "n_member_months": int(rows[0].n_member_months),
            }

        self._ask(counted, take)


def _take_records(share: Share, rows: Rows) -> None:
    """Program records by reason, and remarks on those that only date an exposure."""
    share.ledger.add("program_service", USED, 0, stage="panel")
    for row in rows:
        share.ledger.add("program_service", row.reason, int(row.n_rows), stage="panel")
        if row.remark:
            share.ledger.add("program_service", row.remark, int(row.n_rows), stage=NOTICE)


def _plain(value: Any) -> str | int:
    """A text or a count as a JSON file holds it."""
    return value if isinstance(value, str) else int(value)


def _whole(value: Any) -> int:
    """A sum as a whole number; of no rows, 0."""
    return 0 if value is None or value != value else int(value)
