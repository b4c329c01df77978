"""How many different events the means of a design's look-back rest on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.design import PANEL_MEMBER, Design
from calaim_eval.design.design_months import design_month_parts
from calaim_eval.design.member_month_parts import month_numbers
from calaim_eval.panel.measures import MEASURES


def events_before(design: Design, outcomes: Sequence[str]) -> dict[str, int]:
    """Different events in the look-backs of the smaller side of a matched design.

    Use before a mean per month leaves: times the members it is their number of events.

    Parameters
    ----------
    design : Design
        From `design_matched`.
    outcomes : sequence of str
        Measures of the panel.

    Returns
    -------
    dict[str, int]
        By outcome: events of the side that has fewer, or of the one that has any; of amounts,
        member-months that are not 0. A month of a member in several sets of a side counts once.
    """
    members = design.members.reset_index(drop=True)
    ids = pd.Index(members["member_id"].astype("str"))
    person = pd.factorize(members[PANEL_MEMBER].astype("str"))[0]
    is_exposed = members["cohort"].notna().to_numpy()
    index = month_numbers(members["index_month"])
    found = np.zeros((2, len(outcomes)))
    for part in design_month_parts(design, outcomes):
        row = ids.get_indexer(part["member_id"])
        month = part["month_number"].to_numpy()
        since = month - index[row]
        inside = (since >= -design.lookback_months) & (since < -design.anticipation_months)
        months = pd.DataFrame(
            {"side": is_exposed[row].astype(int), "person": person[row], "month": month}
        )
        once = inside.copy()
        once[inside] = ~months[inside].duplicated()
        for column, outcome in enumerate(outcomes):
            values = part[outcome].to_numpy(dtype=float, na_value=0.0)[once]
            events = values if MEASURES[outcome].dtype == "integer" else values != 0
            found[:, column] += np.bincount(months["side"][once], weights=events, minlength=2)
    smaller = np.where(found.min(axis=0) > 0, found.min(axis=0), found.max(axis=0))
    return {name: int(count) for name, count in zip(outcomes, smaller, strict=True)}
