"""The words of the exposure design: its contrast, its notes, its refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.design.design import Comparison
from calaim_eval.design.eligibility import EligibilityRule
from calaim_eval.design.exposure_rules import REASONS
from calaim_eval.design.ledger import count_words, largest_reasons, member_ledger
from calaim_eval.design.support import NO_COMPARISON, NO_EXPOSED
from calaim_eval.errors import DesignError

ANCHOR_WORDS = {
    "first_service": "received a first {service} service (as treated)",
    "first_outreach": "were first reached out to for {service} (served or not)",
}
RULE_WORDS = {
    "listed": "were put on the list of eligible members",
    "high_ed_use": "reached {visits} ED visits in {within} months",
}


def check_somebody(
    reason: np.ndarray,
    candidates: pd.DataFrame,
    cohort: pd.Series,
    *,
    eligibility: EligibilityRule,
    n_panel: int,
) -> None:
    """Raise DesignError when nobody entered, nobody is exposed, or everybody is at once."""
    entered = reason == ""
    ledger = member_ledger(reason, cohort.notna().to_numpy(), REASONS)
    aside = largest_reasons(ledger)
    if not entered.any():
        raise DesignError(
            f"none of {n_panel:,} members meets the design ({eligibility=}). Most are set aside "
            f"because: {aside}.\n  Relax the rule named first."
        )
    if not cohort[entered].notna().any():
        exposed = int(candidates["exposed"].notna().sum())
        raise DesignError(
            f"none of the {count_words(int(entered.sum()))} members who meet the design is exposed "
            f"in the window; {count_words(exposed)} members of the panel are exposed at some time. "
            f"Members are set aside because: {aside}.\n"
            "  Widen the window, shorten the look-back, or check the dates of the service records."
        )


def no_support_message(ledger: pd.DataFrame, cell: str, comparison: str) -> str:
    """Message for a design in which no cell has both sides."""
    n = int(ledger.set_index("reason")["n_members"][[NO_COMPARISON, NO_EXPOSED]].sum())
    cure = 'Use eligibility_cell="quarter"' if cell == "month" else "Widen the window"
    other = ', or comparison="not_yet_exposed"' if comparison == "never_exposed" else ""
    return (
        f"none of the {count_words(n)} members who meet the rules has a comparison: in no {cell} "
        f"did both exposed and comparison members become eligible.\n  {cure}{other}."
    )


def estimand_words(
    service: str, anchor: str, eligibility: str, comparison: str, visits: int, within: int
) -> str:
    """The contrast in words."""
    name = "ECM" if service == "ecm" else service.replace("_", " ")
    rule = RULE_WORDS[eligibility].format(visits=visits, within=within)
    others = "had not yet been exposed" if comparison == "not_yet_exposed" else "were never exposed"
    return (
        f"members who {ANCHOR_WORDS[anchor].format(service=name)}, minus what they would have "
        f"had, judged by members who {rule} in the same period and {others}"
    )


def exposure_notes(
    candidates: pd.DataFrame,
    kept: np.ndarray,
    reason: np.ndarray,
    months: pd.PeriodIndex,
    *,
    anchor: str,
    eligibility: EligibilityRule,
    min_age: int | None,
    n_not_in_panel: int,
    comparison: Comparison,
) -> tuple[str, ...]:
    """What a reader must know about this design."""
    notes = [
        "Comparison members became eligible in the same period by the same rule, so the fall that "
        "follows a spike in use is on both sides and no time before exposure is immortal."
    ]
    if eligibility == "high_ed_use":
        notes.append(
            "Eligibility is defined by high use: pre/post change alone falls without any program."
        )
        if min_age is None:
            notes.append(
                "No age limit was set; the adult high-use rule of the program starts at age 21."
            )
    exposed = candidates["exposed"].to_numpy()
    later = int((kept & (exposed > months[-1].ordinal)).sum())
    if later:
        notes.append(
            f"Exposed only after {months[-1]} and counted as never exposed in the window: "
            f"{count_words(later)} members."
        )
    unreached = int((kept & candidates["is_served_unreached"].to_numpy()).sum())
    if anchor == "first_outreach" and unreached:
        notes.append(
            f"Served without an earlier outreach record, anchored at the first service: "
            f"{count_words(unreached)} members."
        )
    if n_not_in_panel:
        notes.append(
            "Recorded for the service but without a covered month in the panel, so not counted "
            f"as members: {count_words(n_not_in_panel)}."
        )
    alone = int(((reason == NO_COMPARISON) & ~np.isnan(exposed)).sum())
    if alone:
        notes.append(
            "Exposed, but nobody to compare with became eligible in the same period: "
            f"{count_words(alone)} members are outside every estimate."
        )
    no_never = kept.any() and not np.isnan(exposed[kept]).any()
    if comparison == "not_yet_exposed" and no_never and not later:
        notes.append(
            "Everybody is exposed by the end: effects in and after the last cohort's month are "
            "not identified."
        )
    return tuple(notes)
