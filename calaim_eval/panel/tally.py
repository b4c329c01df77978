"""The counts of one bucket as its steps produce them: ledger, dollars, members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calaim_eval.panel.custody import custody_spells
from calaim_eval.panel.fates import OUTSIDE_WINDOW, Landing, custody_outcomes, record_outcomes
from calaim_eval.panel.stays import nights_in_all
from calaim_eval.tables.ledger import NOTICE, USED, RowLedger

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket


class Tally:
    """Ledger, amounts and counts of one bucket as they come in."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.ledger = RowLedger()
        self.amounts: list[dict[str, Any]] = []
        self.n_unclassified = 0

    def _rows(self, counted: Table) -> list[Any]:
        """Rows of a small table of counts."""
        return list(self.bucket.backend.execute(counted).itertuples(index=False))

    def add(self, table: str, counted: Table) -> None:
        """Count rows of a table by reason."""
        self.ledger.add(table, USED, 0, stage="panel")
        for row in self._rows(counted):
            self.ledger.add(table, row.reason, int(row.n_rows), stage="panel")

    def add_amounts(self, table: str, account: Table) -> None:
        """Add up dollars by reason."""
        for row in self._rows(account.group_by("reason").agg(usd=account["paid_usd"].sum())):
            self.amounts.append({"table": table, "reason": row.reason, "paid_usd": float(row.usd)})

    def add_events(self, counted: Table) -> None:
        """Count events by reason; dollars are in the amounts."""
        for row in self._rows(counted.filter(counted["measure"] != "paid_usd")):
            self.ledger.add(row.measure, row.reason, int(row.value), stage="events")

    def add_nights_outside(self, merged: Table, nights: Table) -> None:
        """Count the nights of stays that fall outside the window."""
        every = self.bucket.backend.execute(nights_in_all(merged))
        inside = self.bucket.backend.execute(nights["n_days"].sum())
        outside = _whole(every) - _whole(inside)
        self.ledger.add("inpatient_days", OUTSIDE_WINDOW, outside, stage="events")

    def note_spans(self, spans: Table) -> None:
        """Remark on spans that were cut."""
        counted = spans.agg(
            at_death=spans["is_cut_at_death"].sum(), at_birth=spans["is_cut_at_birth"].sum()
        )
        (row,) = self._rows(counted)
        self.ledger.note("eligibility", "runs past death, cut at death", _whole(row.at_death))
        self.ledger.note("eligibility", "begins before birth, cut at birth", _whole(row.at_birth))

    def note_actions(self, table: str, actions: Table) -> None:
        """Remark on voids and replacements that name no other claim."""
        alone = actions.filter(actions["target"] == actions["claim_id"]).count()
        n_alone = int(self.bucket.backend.execute(alone))
        self.ledger.note(table, "void or replacement that names no other claim", n_alone)

    def add_feeds(self, land: Landing) -> None:
        """Count program records and custody spells by reason."""
        if self.bucket.tables.has("program_service"):
            self.ledger.add("program_service", USED, 0, stage="panel")
            for row in self._rows(record_outcomes(self.bucket, land)):
                self.ledger.add("program_service", row.reason, int(row.n_rows), stage="panel")
                if row.remark:
                    self.ledger.add("program_service", row.remark, int(row.n_rows), stage=NOTICE)
        if self.bucket.tables.has("custody"):
            self.add("custody", custody_outcomes(self.bucket, land, custody_spells(self.bucket)))

    def add_unclassified(self, lines: Table) -> None:
        """Count program lines that no pair of code and modifier explains."""
        unclassified = lines.filter(lines["unclassified_reason"].notnull()).count()
        self.n_unclassified += int(self.bucket.backend.execute(unclassified))

    def result(self, candidates: Table) -> dict[str, Any]:
        """Everything counted, as plain values for the bucket's manifest."""
        months = candidates.filter(candidates["reason"].isnull())
        (row,) = self._rows(
            months.agg(n_member_months=months.count(), n_members=months["member_id"].nunique())
        )
        return {
            "n_members": int(row.n_members),
            "n_member_months": int(row.n_member_months),
            "n_unclassified": self.n_unclassified,
            "ledger": self.ledger.to_frame().to_dict("records"),
            "amounts": self.amounts,
        }


def _whole(value: Any) -> int:
    """A sum as a whole number; of no rows, 0."""
    return 0 if value is None or value != value else int(value)
