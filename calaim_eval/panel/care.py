"""What measures are counted from: claim lines, stays, visits, fills and contacts of one bucket.

Each piece is computed when the first measure asks for it, and then once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from calaim_eval.errors import TableError
from calaim_eval.panel.bucket import NoWindowError
from calaim_eval.panel.custody import jail_days
from calaim_eval.panel.emergency import ed_visits
from calaim_eval.panel.observation import observation_stays
from calaim_eval.panel.outpatient import outpatient_visits
from calaim_eval.panel.populations import population_months
from calaim_eval.panel.readmissions import index_stays
from calaim_eval.panel.stays import episodes, facility_stays, inpatient_days

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.claim_lines import ToldLines
    from calaim_eval.panel.measure import LineKind
    from calaim_eval.panel.rules import PanelRules


@dataclass(frozen=True)
class Care:
    """Care of one bucket's members, and what else is known of them.

    Attributes
    ----------
    bucket : Bucket
        Its `read` gives the input tables, its `keep` holds rows that are used more than once.
    lines : ToldLines
        Lines of `medical_claim` that count, with the kinds that any measure asks for:
        `claim_lines.told_lines`.
    contacts : Table
        Program contacts: `program_contacts.contacts`.
    fills : Table or None
        Fills that count: lines of `pharmacy_claim` with `member`, `day` and `month`; None where
        they were counted before.
    paid : Mapping[str, Table]
        By claim table the dollars that landed in the panel: `fates.paid_in_panel`.
    panel_months : Table or None
        Months of the panel; None where no window is looked at.
    pieces : Mapping[str, Table]
        Pieces that were worked out before, by name.
    """

    bucket: Bucket
    lines: ToldLines
    contacts: Table
    fills: Table | None
    paid: Mapping[str, Table] = field(default_factory=dict)
    panel_months: Table | None = None
    pieces: Mapping[str, Table] = field(default_factory=dict)

    @property
    def months(self) -> Table:
        """Months of the panel: `member`, `month`."""
        if self.panel_months is None:
            raise NoWindowError
        return self.panel_months

    @property
    def rules(self) -> PanelRules:
        """Rules of the panel."""
        return self.bucket.rules

    def lines_of(self, *kinds: LineKind) -> Table:
        """Medical claim lines that count and are of one of the kinds."""
        return self.lines.of(*kinds)

    def line_is(self, lines: Table, kind: LineKind) -> Value:
        """Whether each of some lines of `lines_of` is of a kind."""
        return self.lines.is_of(lines, kind)

    def any_line_is(self, lines: Table, kind: LineKind) -> Value:
        """Whether any line of a group is of a kind."""
        return self.line_is(lines, kind).max()

    def _piece(self, name: str, work_out: Callable[[], Table]) -> Table:
        """A piece that was worked out before, or now."""
        return self.pieces[name] if name in self.pieces else work_out()

    @cached_property
    def fill_days(self) -> Table:
        """Fills by member, drug code and day: `member`, `day`, `n_days` (days of supply)."""
        fills = self.fills
        if fills is None:
            raise TableError(
                "fills were counted before the panel, and a measure asks for them again.\n"
                "  This is a defect of the panel, not of the data; please report it."
            )
        each = fills.group_by("member", "ndc_code", "day").agg(n_days=fills["days_supply"].max())
        return self.bucket.keep("fill_days", each.drop("ndc_code"))

    @cached_property
    def stays(self) -> Table:
        """Acute stays, one row a facility: `stays.facility_stays`."""
        return self._piece("stays", lambda: facility_stays(self))

    @cached_property
    def episodes(self) -> Table:
        """Stays merged across transfers: `stays.episodes`."""
        return self._piece("episodes", lambda: episodes(self.bucket, self.stays))

    @cached_property
    def nights(self) -> Table:
        """Nights of episodes by month: `member`, `month`, `n_days`."""
        return self.bucket.keep("nights", inpatient_days(self.bucket, self.episodes))

    @cached_property
    def ed_visits(self) -> Table:
        """Emergency department visits: `member`, `day`, ...; see `emergency.ed_visits`."""
        return self.bucket.keep("ed_visits", ed_visits(self))

    @cached_property
    def observation_stays(self) -> Table:
        """Observation stays: `member`, `day`, ...; see `observation.observation_stays`."""
        return self._piece(
            "observation_stays",
            lambda: self.bucket.keep("observation_stays", observation_stays(self)),
        )

    @cached_property
    def index_stays(self) -> Table:
        """Index stays: `member`, `day`, `is_readmitted`; see `readmissions.index_stays`."""
        return self.bucket.keep("index_stays", index_stays(self))

    @cached_property
    def outpatient_visits(self) -> Table:
        """Outpatient visits: `member`, `provider`, `day`; see `outpatient.outpatient_visits`."""
        return self.bucket.keep("outpatient_visits", outpatient_visits(self))

    @cached_property
    def populations(self) -> Table:
        """Months in which anything but coverage identifies: `populations.population_months`."""
        return self._piece("populations", lambda: population_months(self))

    @cached_property
    def jail(self) -> Table:
        """Days in custody by month: `member`, `month`, `n_days`."""
        return self.bucket.keep("jail", jail_days(self.bucket))
