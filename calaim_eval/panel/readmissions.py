"""Thirty-day readmissions: index stays followed by an admission, observed, for any cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.code_patterns import code_pattern
from calaim_eval.panel.spans import completed_years, date_of, day_number
from calaim_eval.panel.stays import STILL_PATIENT

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.rules import PanelRules

# Transferred out, left against advice, died; 40-42 are deaths in hospice care.
NOT_AN_INDEX = code_pattern("readmission_30d", "index discharge status (CMS variant)")
_HOSPICE_DEATHS = ("40", "41", "42")


def readmissions(bucket: Bucket, episodes: Table) -> Table:
    """Index stays that were followed by an admission: `member` and `day` of the discharge.

    The next admission may be in a month the panel does not hold: whether a discharge was followed
    is a fact about the index stay, which must be in the panel.
    """
    person = bucket.read("person").select("member", "birth_date", "death_date")
    in_order = ibis.window(group_by="member", order_by=["admit_day", "discharge_day"])
    ordered = episodes.mutate(next_admit_day=episodes["admit_day"].lead(1).over(in_order))
    known = ordered.left_join(person, "member")
    wait = known["next_admit_day"] - known["discharge_day"]
    is_followed = wait.between(1, bucket.rules.readmission_days).fill_null(False)
    return known.filter(_is_index(known, bucket.rules) & is_followed).select(
        "member", day="discharge_day"
    )


def _is_index(episodes: Table, rules: PanelRules) -> Value:
    """Whether a stay can be followed by a readmission at all."""
    code = episodes["disposition"]
    left_alive = ~code.re_search(NOT_AN_INDEX) & code.notin(_HOSPICE_DEATHS)
    is_discharged = ~code.re_search(STILL_PATIENT)
    lasts = episodes["discharge_day"] > episodes["admit_day"]
    death = day_number(episodes["death_date"])
    is_alive = (death > episodes["discharge_day"]).fill_null(True)
    return left_alive & is_discharged & lasts & is_alive & _is_of_age(episodes, rules)


def _is_of_age(episodes: Table, rules: PanelRules) -> Value:
    """Whether the member's age at discharge is within the rule; true without one."""
    if rules.readmission_ages is None:
        return ibis.literal(True)
    youngest, oldest = rules.readmission_ages
    years = completed_years(episodes["birth_date"], date_of(episodes["discharge_day"]))
    return years.between(youngest, oldest).fill_null(False)
