"""What a design is: who is compared with whom, in which months, and why that is identified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from calaim_eval.errors import DesignError, quoted

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths

Comparison = Literal["never_exposed", "not_yet_exposed"]
Cluster = Literal["member", "county", "matched_group"]
DesignKind = Literal["exposure", "county_phase", "matched"]

KEPT_EXPOSED = "kept, exposed"
KEPT_COMPARISON = "kept, comparison only"
PANEL_MEMBER = "panel_member_id"
UNTIL = "last_month"
MEMBER_COLUMNS = ("member_id", "cohort", "eligibility_month", "county")


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """A comparison that is identified by construction.

    Made by `design_exposure`, `design_county_phase` or `design_matched`, read by `reduce_panel`.

    Attributes
    ----------
    panel : MemberMonths
        The member months the outcomes are taken from.
    members : pd.DataFrame
        One row per member kept: `member_id`, `cohort` (month of first exposure, first day; NaT =
        never exposed in the window), `eligibility_month`, `county`, the strata, and the columns
        named in `covariate_cells`. In a matched design a row is a member's part in one matched
        set: `member_id` names the part, `panel_member_id` the member of the panel (who may be in
        several rows), `last_month` the last month that counts (NaT = all).
    months : pd.PeriodIndex
        Months analyzed, in order, frequency ``"M"``.
    comparison : {"never_exposed", "not_yet_exposed"}
        Who stands for what the exposed would have had.
    covariate_cells : tuple[str, ...]
        Columns of `members` within which exposed and comparison members are compared.
    cluster : {"member", "county", "matched_group"}
        What the standard errors are clustered on.
    ledger : pd.DataFrame
        `reason`, `n_members`, `is_kept`: every member of the panel, once.
    notes : tuple[str, ...]
        What a reader must know; counts of 1 to 10 members are given as "fewer than 11".
    estimand_words : str
        The contrast in words.
    kind : {"exposure", "county_phase", "matched"}
    lookback_months, follow_up_months, anticipation_months : int
        Windows the design was made with; 0 where it has none.
    before_matching : pd.DataFrame | None
        Of a matched design: means and variances of both sides before matching, for `balance`.
    """

    panel: MemberMonths
    members: pd.DataFrame
    months: pd.PeriodIndex
    comparison: Comparison
    covariate_cells: tuple[str, ...]
    cluster: Cluster
    ledger: pd.DataFrame
    notes: tuple[str, ...]
    estimand_words: str
    kind: DesignKind = "exposure"
    lookback_months: int = 0
    follow_up_months: int = 0
    anticipation_months: int = 0
    before_matching: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        wanted = dict.fromkeys((*MEMBER_COLUMNS, *self.covariate_cells))
        missing = [c for c in wanted if c not in self.members.columns]
        if missing:
            raise DesignError(
                f"Design: `members` lacks the columns {quoted(missing)}; it has "
                f"{quoted(list(self.members.columns))}."
            )
        repeated = int(self.members["member_id"].duplicated().sum())
        if repeated:
            raise DesignError(
                f"Design: {repeated:,} of {len(self.members):,} rows of `members` repeat a "
                "`member_id`; a design has one row per member."
            )
        kept = int(self.ledger.loc[self.ledger["is_kept"], "n_members"].sum())
        total = int(self.ledger["n_members"].sum())
        if kept != self.n_members or total != self.panel.n_members:
            raise DesignError(
                f"Design: the ledger counts {total:,} members, {kept:,} kept; the panel has "
                f"{self.panel.n_members:,} and `members` {self.n_members:,}."
            )

    @property
    def n_members(self) -> int:
        """Members of the panel in the design, each once."""
        if PANEL_MEMBER in self.members.columns:
            return int(self.members[PANEL_MEMBER].nunique())
        return len(self.members)

    @property
    def n_exposed(self) -> int:
        """Members whose first exposure falls in the window."""
        return int(self.members["cohort"].notna().sum())

    @property
    def n_comparison(self) -> int:
        """Members never exposed in the window."""
        return len(self.members) - self.n_exposed

    def __repr__(self) -> str:
        others = "matches" if self.kind == "matched" else "never exposed"
        return (
            f"<Design {self.kind}: {self.n_exposed:,} exposed and {self.n_comparison:,} {others} "
            f"of {self.panel.n_members:,} members; {self.months[0]} to {self.months[-1]}; "
            f"comparison {self.comparison}; clustered by {self.cluster}>"
        )

    def _repr_html_(self) -> str:
        ledger = self.ledger.to_html(index=False)
        return f"<p>{self.__repr__()[1:-1]}</p>{ledger}"
