"""What a reader knows of quantities from their names: which are parts of which, which are one.

Tables of a release share no rows, yet hang together: every matured referral is a referral, every
input row of a panel was used when it was read. What follows from such knowledge is in the system
like any sum within a table. A quantity that is part of one in another table is entered here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from calaim_eval.design.checks import services
from calaim_eval.disclosure.count_table import CellId

Groups = tuple[tuple[str, str], ...]

_FUNNEL = "root_referrals_reaching_step"
_STEPS = ("referred", "authorized", "accepted", "reached", "started", "closed")
_LOST = "matured_root_referrals_not_closed_by_services"
_ROWS = "input_rows"
_ACCESS = (("eligible", "identified"), ("identified", "outreached"), ("outreached", "served"))


@dataclass(frozen=True, slots=True)
class Count:
    """A quantity, restricted to some groups beside those of the row at hand."""

    name: str
    groups: Groups = ()

    def cell(self, groups: Groups) -> CellId:
        """The cell of this quantity for some groups."""
        return self.name, tuple(sorted((*groups, *self.groups)))

    def groups_of(self, cell: CellId) -> Groups | None:
        """Groups of a cell beside this quantity's own; None where the cell counts another."""
        if cell[0] != self.name or not set(self.groups) <= set(cell[1]):
            return None
        return tuple(group for group in cell[1] if group not in self.groups)


@dataclass(frozen=True, slots=True)
class PartOf:
    """Whatever the groups, one quantity is part of another."""

    part: Count
    whole: Count


def _access_parts(service: str) -> Iterator[PartOf]:
    """Members followed from a stage of access on are some of those who ever got to it.

    Those seen to get to the next stage are some of those who ever did.
    """
    followed, ever = f"members_after_stage_of_{service}", f"members_reaching_stage_of_{service}"
    yield PartOf(Count(followed), Count(ever))
    for stage, after in _ACCESS:
        reached = Count(followed, (("stage", stage), ("state", "reached")))
        yield PartOf(reached, Count(ever, (("stage", after),)))


REFERRALS = Count("root_referrals")
MATURED = Count("matured_root_referrals")
MATURED_ANY_SERVICE = Count("matured_root_referrals_any_service")
CLOSED = Count(_FUNNEL, (("step", "closed"),))
CLOSED_MATURED = Count("root_referrals_closed_services_received")
STARTED = Count(_FUNNEL, (("step", "started"),))
STARTED_IN_TIME = Count(MATURED_ANY_SERVICE.name, (("state", "service_started"),))

PARTS = (
    PartOf(MATURED, MATURED_ANY_SERVICE),
    PartOf(MATURED, REFERRALS),
    PartOf(MATURED_ANY_SERVICE, REFERRALS),
    PartOf(CLOSED_MATURED, CLOSED),
    PartOf(STARTED_IN_TIME, STARTED),
    PartOf(Count("events_by_outcome"), Count("events_by_outcome_in_all_covered_months")),
    PartOf(Count("member_months_before_eligibility"), Count("member_months")),
    *(part for service in services() for part in _access_parts(service)),
)

# What the first leaves over is part of what the second leaves over.
NESTED_REMAINDERS = ((PartOf(CLOSED_MATURED, CLOSED), PartOf(MATURED, REFERRALS)),)

# A count of referrals lost after a step is part of those who reach it and not the next.
LOST_BETWEEN = tuple(
    (
        Count(_LOST, (("last_step", step),)),
        PartOf(Count(_FUNNEL, (("step", after),)), Count(_FUNNEL, (("step", step),))),
    )
    for step, after in pairwise(_STEPS)
)

SAME = (
    (
        ("members_in_panel", ()),
        (_ROWS, (("reason", "used"), ("stage", "panel"), ("table", "person"))),
    ),
)


def rows_carried_on(cells: Mapping[CellId, int]) -> Iterator[tuple[CellId, list[CellId]]]:
    """Input rows of a table used when it was read, and what became of them in the panel."""
    by_table: dict[str, list[CellId]] = {}
    for cell in cells:
        groups = dict(cell[1])
        if cell[0] == _ROWS and groups.get("stage") == "panel" and "reason" in groups:
            by_table.setdefault(groups.get("table", ""), []).append(cell)
    for table, parts in by_table.items():
        whole = (_ROWS, (("reason", "used"), ("stage", "read"), ("table", table)))
        if whole in cells:
            yield whole, parts
