"""The words of the matched design: its contrast, its notes, its refusals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.design import PANEL_MEMBER
from calaim_eval.design.exposure_words import ANCHOR_WORDS, RULE_WORDS
from calaim_eval.design.ledger import count_words, largest_reasons, member_ledger
from calaim_eval.design.matched_rules import ALL_USED, FAR, NOBODY, REASONS
from calaim_eval.results.share_words import share_words

_CENSOR_WORDS = {
    "set": "A set is followed until the month before the first of its matches is exposed; from "
    "then on neither its exposed member nor its matches count.",
    "none": "Matches are followed after their own exposure too: the effect is that of being "
    "exposed now rather than later or never, which is smaller than that of exposure.",
}
_COVERAGE_WORDS = (
    "A set also ends, for both sides alike, with the month before anybody in it first loses "
    "coverage."
)
_REPLACEMENT_WORDS = {
    "across_months": "each member being a match once in an index month",
    "with": "a member being a match any number of times",
    "without": "each member being a match once in all, which leaves members of less use to later "
    "index months",
}
WIDE_GROUP = 0.1


def matched_words(
    service: str, anchor: str, eligibility: str, visits: int, within: int, *, censor: str
) -> str:
    """The contrast in words."""
    name = "ECM" if service == "ecm" else service.replace("_", " ")
    rule = RULE_WORDS[eligibility].format(visits=visits, within=within)
    others = "whatever followed" if censor == "none" else "until they were"
    return (
        f"members who {ANCHOR_WORDS[anchor].format(service=name)}, minus what they would have "
        f"had, judged by members alike before that month who {rule} and were not yet exposed, "
        f"{others}"
    )


def nobody_at_risk_message(reason: np.ndarray, n_panel: int) -> str:
    """Message where in no month there are both exposed members and others to match them to."""
    ledger = member_ledger(reason, np.zeros(len(reason), dtype=bool), REASONS)
    return (
        f"in no month is there both a member newly exposed and one eligible and not yet exposed, "
        f"each covered in it and in every month of the look-back, among {n_panel:,} members. Most "
        f"are set aside because: {largest_reasons(ledger) or 'everybody is exposed at once'}.\n"
        "  Shorten the look-back or the follow-up, widen the window, or add the plan's list of "
        "eligible members."
    )


def no_match_message(ledger: pd.DataFrame, caliper: float | None, same: str) -> str:
    """Message where nobody could be matched."""
    counts = ledger.set_index("reason")["n_members"]
    cures = []
    if counts[NOBODY]:
        cures.append("name fewer columns in `exact`")
        if same != "any":
            cures.append('same_eligibility="any"')
    if counts[FAR] and caliper is not None:
        cures.append(f"a caliper wider than {caliper:g}")
    return (
        f"none of the {count_words(int(counts[[NOBODY, FAR, ALL_USED]].sum()))} exposed members "
        f"at risk has a match: {largest_reasons(ledger)}.\n"
        f"  Try {', '.join(cures) or 'another window'}."
    )


def matched_notes(
    members: pd.DataFrame,
    ledger: pd.DataFrame,
    *,
    match_on: Sequence[str],
    distance: str,
    caliper: float | None,
    ratio: int,
    replacement: str,
    censor: str,
    n_not_in_panel: int,
) -> tuple[str, ...]:
    """What a reader must know about this design."""
    limit = "without a caliper" if caliper is None else f"within a caliper of {caliper:g}"
    each = "one match" if ratio == 1 else f"up to {ratio} matches"
    notes = [
        f"Each exposed member has {each}, {_REPLACEMENT_WORDS[replacement]}, nearest by {distance} "
        f"distance {limit} on {', '.join(match_on)} before the month of exposure. Matches were "
        "eligible by the same rule, covered, and not yet exposed in that month, which is the index "
        "month of both: no time is immortal.",
        f"{_CENSOR_WORDS[censor]} {_COVERAGE_WORDS}",
        "Assumed: among members alike in what was matched on, who is exposed in a month hangs on "
        "nothing that tells later use. A member's exposure may follow a rise in use after the "
        "index month; follow-up that ends there leaves the healthier matches.",
        *_unmatched_notes(ledger, int(members["cohort"].notna().sum())),
        *_group_notes(members),
    ]
    if n_not_in_panel:
        notes.append(
            "Recorded for the service but without a covered month in the panel, so not counted "
            f"as members: {count_words(n_not_in_panel)}."
        )
    return tuple(notes)


def _unmatched_notes(ledger: pd.DataFrame, n_sets: int) -> list[str]:
    """How many exposed members at risk found no match, and why."""
    counts = ledger.set_index("reason")["n_members"]
    lost = {reason: int(counts[reason]) for reason in (NOBODY, FAR, ALL_USED) if counts[reason]}
    alone = sum(lost.values())
    if not alone:
        return []
    why = "; ".join(f"{reason} ({count_words(n)})" for reason, n in lost.items())
    return [
        f"Exposed but unmatched and outside every estimate: {share_words(alone, alone + n_sets)} "
        f"of the exposed at risk. {why}. The effect is that on those matched."
    ]


def _group_notes(members: pd.DataFrame) -> list[str]:
    """How far sets hang together by shared members."""
    n_rows, n_persons = len(members), members[PANEL_MEMBER].nunique()
    if n_rows == n_persons:
        return []
    sizes = members.groupby("matched_group").size()
    note = (
        f"Members in more than one set: the sets they link are one cluster (about {len(sizes):,} "
        f"clusters)."
        if len(sizes) >= 1000
        else "Members in more than one set: the sets they link are one cluster."
    )
    matches = members[members["cohort"].isna()]
    if matches[PANEL_MEMBER].duplicated().any():
        note += (
            f" The matches, {count_words(len(matches))}, are "
            f"{count_words(matches[PANEL_MEMBER].nunique())} different members; each is counted "
            "once among the members behind an estimate."
        )
    if sizes.max() > WIDE_GROUP * n_rows:
        note += (
            " The largest cluster holds more than a tenth of the design: standard errors are "
            'unreliable. Use fewer matches a set, a narrower caliper, or cluster="county" in '
            "reduce_panel and in estimation."
        )
    return [note]
