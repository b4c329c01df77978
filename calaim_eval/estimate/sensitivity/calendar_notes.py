"""Known breaks of an outcome's series, for the notes of an estimate."""

from __future__ import annotations

import pandas as pd

from calaim_eval.design.policy_calendar import OUTCOMES, policy_notes
from calaim_eval.moments.periods import index_frequency


def calendar_notes(outcome: str, months: pd.Index) -> tuple[str, ...]:
    """One note per break of the policy calendar in the months; other periods have none."""
    if index_frequency(months) != "M":
        return ()
    if outcome not in OUTCOMES:
        return (
            f"`{outcome}` has no policy calendar: whether its series breaks was not looked up.",
        )
    return policy_notes(outcome, [str(months[0]), str(months[-1])])
