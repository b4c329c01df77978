"""What a measure of the panel is: its words, the claim lines it looks at, and how it is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from calaim_eval.schema.field import Field

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table, Value

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.claim_lines import ClaimLines
    from calaim_eval.panel.data_facts import DataFacts
    from calaim_eval.panel.rules import PanelRules

LineKind = Callable[["ClaimLines"], "Value"]
"""Test of a claim line, such as "it is an emergency line"; its name is the kind's name."""

PER_1000 = "per 1,000 member-months"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One monthly measure of the panel, all of it in one place.

    Attributes
    ----------
    name : str
        Column of the member-month table.
    label : str
        Short name for a table or an axis.
    title : str
        Name in a sentence or heading of a report.
    definition : str
        What counts, in words a reader can check and another program can be written from.
    version : str
        Raised when the definition changes: a panel built under another is built again.
    source : str
        Where the definition comes from.
    confirmed : {"yes", "partial", "no"}
        Whether public pages confirm every part of it.
    code_lists : tuple[str, ...]
        Measures of the code list `utilization_definitions` it rests on.
    unit : str
        What a rate of it is in, such as "ED visits per 1,000 member-months".
    per : float
        Member months a rate refers to: 1,000, or 1 for amounts.
    dtype : {"integer", "number"}
        Whether a month's value is a count or an amount.
    role : {"outcome", "exposure"}
        What happens to members, or what a program does for them (never an outcome).
    fewer_is_better : bool or None
        Direction in which a change is good; None where neither is.
    needs : tuple[str, ...]
        Input tables of which one must be there for the measure to be known: without any of them it
        is missing, never 0.
    needs_all : tuple[str, ...]
        Input tables of which every one must be there besides.
    needs_codes : tuple[str, ...]
        Columns of `medical_claim` of which some claim of the data must carry a value: where none
        does, the measure cannot be told and is missing.
    feed : str
        Feed from outside the claims that it counts: where the table `feed_coverage` says where and
        when the feed reaches, the measure is missing elsewhere.
    line_kinds : tuple of LineKind
        Tests of claim lines that `events` uses: ``care.lines_of(kind)``.
    events : callable
        From the `Care` of a member bucket to rows with `member` and `day`, each counted once in
        its month; or with `member`, `month` and `value`, added up. A measure whose events change
        needs a new `version`: finished buckets are told by it.
    follow_up_days : callable, optional
        From the rules to the days after a month's end that claims must reach for the month to be
        known; 0 without it.
    unknown_months : callable, optional
        From the rules and the months of the window to those in which the window itself does not
        hold what the rules ask for; none without it.
    untold : callable, optional
        From the facts of the data and the rules to why the input that is there cannot tell the
        measure, in words; "" where it can.
    in_all : callable, optional
        From the `Care` to one row, `total`: what is counted inside the window and outside, where
        `events` has the months of the window only; the rest is counted in the ledger.
    is_amount : bool
        Dollars: may be below 0, and are no events of the ledger.
    is_landed : bool
        `events` has months of the panel only, `member`, `month` and `value`: they are not looked up
        again, and the ledger has them elsewhere.
    """

    name: str
    label: str
    title: str
    definition: str
    source: str
    confirmed: Literal["yes", "partial", "no"]
    events: Callable[[Care], Table]
    line_kinds: tuple[LineKind, ...] = ()
    version: str = "1"
    code_lists: tuple[str, ...] = ()
    unit: str = ""
    per: float = 1000.0
    dtype: Literal["integer", "number"] = "integer"
    role: Literal["outcome", "exposure"] = "outcome"
    fewer_is_better: bool | None = None
    needs: tuple[str, ...] = ("medical_claim",)
    needs_all: tuple[str, ...] = ()
    needs_codes: tuple[str, ...] = ()
    feed: str = ""
    follow_up_days: Callable[[PanelRules], int] | None = None
    unknown_months: Callable[[PanelRules, pd.PeriodIndex], pd.PeriodIndex] | None = None
    untold: Callable[[DataFacts, PanelRules], str] | None = None
    in_all: Callable[[Care], Table] | None = None
    is_amount: bool = False
    is_landed: bool = False

    def __post_init__(self) -> None:
        if not self.unit:
            object.__setattr__(self, "unit", f"{self.label} {PER_1000}")

    @property
    def field(self) -> Field:
        """Its column of the table `member_month`."""
        return Field(
            self.name,
            self.dtype,
            self.definition,
            unit="USD" if self.is_amount else self.label.lower(),
            minimum=None if self.is_amount else 0,
            code_list="utilization_definitions" if self.code_lists else "",
        )
