"""Known breaks of the policy calendar that fall on the break of a series."""

from __future__ import annotations

import pandas as pd

from calaim_eval.design.policy_calendar import (
    OUTCOMES,
    break_note,
    policy_calendar,
    treatment_breaks,
)
from calaim_eval.estimate.series.segmented_fit import Segments
from calaim_eval.moments.periods import index_frequency


def coinciding_notes(
    outcome: str, design: Segments, months: pd.Index
) -> tuple[bool, tuple[str, ...]]:
    """Whether a known break falls on a break of the series, and a note on each in the window.

    For an outcome without a calendar of its own, what is known of the break months is said
    whatever the outcome.
    """
    if index_frequency(months) != "M":
        return False, ()
    spans = list(zip(design.breaks, design.begins, strict=True))
    if outcome not in OUTCOMES:
        found = [
            note
            for first, begin in spans
            for ordinal in range(int(first), int(begin) + 1)
            for note in treatment_breaks(pd.Period(ordinal=ordinal, freq="M"))
        ]
        return bool(found), tuple(dict.fromkeys(found))
    notes, coincides = [], False
    for row in policy_calendar(outcome, [str(months[0]), str(months[-1])]).to_dict("records"):
        ordinal = row["month"].ordinal
        note = break_note({str(name): value for name, value in row.items()}, outcome)
        if any(first <= ordinal <= begin for first, begin in spans):
            coincides = True
            note = f"Falls on a break of this series, so that the two cannot be told apart. {note}"
        notes.append(note)
    return coincides, tuple(notes)
