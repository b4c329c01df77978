"""The members of a matched design: one row for each part in a set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.design import PANEL_MEMBER, UNTIL
from calaim_eval.design.matched_candidates import AGE, MatchCandidates
from calaim_eval.design.matched_sets import Censoring, MatchedSets, last_months, linked_sets
from calaim_eval.design.member_month_parts import month_starts


def matched_members(
    candidates: MatchCandidates, sets: MatchedSets, *, exact: Sequence[str], censor: Censoring
) -> pd.DataFrame:
    """One row per exposed member and one per match, set by set.

    Returns
    -------
    pd.DataFrame
        `member_id` (of the part, e.g. ``"set 12 match 1"``), `panel_member_id`, `matched_set`,
        `matched_group`, `cohort`, `index_month`, `n_matches`, `eligibility_month`, `last_month`,
        `distance` (NaN for the exposed), `age_years`, `county` and the exact columns.
    """
    number, first = sets.set_of_pair()
    n_sets, n_pairs = len(first), len(number)
    n_matches = np.bincount(number, minlength=n_sets)
    until = last_months(sets, candidates.rules, censor=censor)
    row = np.concatenate([sets.exposed[first], sets.comparison])
    of_set = np.concatenate([np.arange(n_sets), number])
    slot = np.concatenate([np.zeros(n_sets, dtype=int), np.arange(n_pairs) - first[number] + 1])
    index = sets.month[first][of_set].astype(float)
    part = np.where(slot == 0, "exposed", np.char.add("match ", slot.astype(str)))
    members = pd.DataFrame(
        {
            "member_id": [f"set {s + 1} {p}" for s, p in zip(of_set, part, strict=True)],
            PANEL_MEMBER: candidates.ids[row],
            "matched_set": of_set + 1,
            "matched_group": linked_sets(sets, len(candidates.ids))[of_set] + 1,
            "cohort": month_starts(np.where(slot == 0, index, np.nan)),
            "index_month": month_starts(index),
            "n_matches": n_matches[of_set],
            "eligibility_month": month_starts(candidates.rules.eligible[row]),
            UNTIL: month_starts(until[of_set]),
            "distance": np.concatenate([np.full(n_sets, np.nan), sets.distance]),
            AGE: candidates.age_years[row],
        }
    )
    members[PANEL_MEMBER] = members[PANEL_MEMBER].astype("str")
    members["member_id"] = members["member_id"].astype("str")
    for name in dict.fromkeys(("county", *exact)):
        members[name] = candidates.groups[name].to_numpy()[row]
    return members.iloc[np.lexsort((slot, of_set))].reset_index(drop=True)
