"""Index stays, and which of them were followed by a readmission within 30 days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.code_patterns import code_pattern
from calaim_eval.panel.planned_stays import with_planned
from calaim_eval.panel.rules import ENROLLED_AFTER_DAYS, ENROLLED_BEFORE_DAYS
from calaim_eval.panel.spans import completed_years, date_of, day_number, month_number
from calaim_eval.panel.stays import STILL_PATIENT, episodes

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.rules import PanelRules

# Transferred out, left against advice, died; 40-42 are deaths in hospice care.
NOT_AN_INDEX = code_pattern("readmission_30d", "index discharge status (CMS variant)")
PREGNANCY = code_pattern("readmission_30d", "pregnancy and perinatal diagnosis")
_HOSPICE_DEATHS = ("40", "41", "42")


def index_stays(care: Care) -> Table:
    """Discharges that a readmission can follow.

    The next admission may be in a month the panel does not hold: whether a discharge was followed
    is a fact about the index stay, which must be in the panel.

    Returns
    -------
    Table
        `member`, `day` (of the discharge), `is_readmitted`.
    """
    rules = care.rules
    covered = care.months if rules.readmission_enrollment == "hedis" else None
    person = care.bucket.read("person").select("member", "birth_date", "death_date")
    followed = _with_next(with_planned(care, _stays(care)), rules)
    known = followed.left_join(person, "member")
    index = known.filter(_is_index(known, rules))
    if rules.planned_readmissions == "leave_out":
        index = index.filter(~(index["is_followed"] & index["next_is_planned"]))
    told = index.select("member", day="discharge_day", is_readmitted="is_followed")
    if covered is None:
        return told
    return _enrolled(care.bucket.keep("index_candidates", told), covered)


def _stays(care: Care) -> Table:
    """Episodes that can be an index stay or a readmission."""
    if care.rules.readmission_stays == "inpatient":
        return care.episodes
    inpatient = care.stays.select(*_EPISODE_COLUMNS)
    observed = care.observation_stays
    observed = observed.mutate(
        admit_day="day",
        discharge_day="last_day",
        drg=ibis.null("string"),
        is_psychiatric=ibis.literal(False),
    )
    both = ibis.union(inpatient, observed.select(*_EPISODE_COLUMNS))
    both = care.bucket.keep("hospital_stays", both)
    return episodes(care.bucket, both, name="hospital_episodes")


_EPISODE_COLUMNS = (
    "member",
    "facility",
    "admit_day",
    "discharge_day",
    "disposition",
    "diagnosis",
    "drg",
    "is_psychiatric",
)


def _with_next(stays: Table, rules: PanelRules) -> Table:
    """Stays with whether another followed in time, and whether that one was planned."""
    in_order = ibis.window(group_by="member", order_by=["admit_day", "discharge_day"])
    ordered = stays.mutate(
        next_admit_day=stays["admit_day"].lead(1).over(in_order),
        next_is_planned=stays["is_planned"].lead(1).over(in_order).fill_null(False),
    )
    wait = ordered["next_admit_day"] - ordered["discharge_day"]
    return ordered.mutate(is_followed=wait.between(1, rules.readmission_days).fill_null(False))


def _is_index(stays: Table, rules: PanelRules) -> Value:
    """Whether a stay can be followed by a readmission at all."""
    code = stays["disposition"]
    left_alive = ~code.re_search(NOT_AN_INDEX) & code.notin(_HOSPICE_DEATHS)
    is_discharged = ~code.re_search(STILL_PATIENT)
    lasts = stays["discharge_day"] > stays["admit_day"]
    death = day_number(stays["death_date"])
    is_alive = (death > stays["discharge_day"]).fill_null(True)
    is_index = left_alive & is_discharged & lasts & is_alive & _is_of_age(stays, rules)
    if rules.readmission_pregnancy == "leave_out":
        is_index = is_index & ~stays["diagnosis"].re_search(PREGNANCY).fill_null(False)
    return is_index


def _is_of_age(stays: Table, rules: PanelRules) -> Value:
    """Whether the member's age at discharge is within the rule; true without one."""
    if rules.readmission_ages is None:
        return ibis.literal(True)
    youngest, oldest = rules.readmission_ages
    years = completed_years(stays["birth_date"], date_of(stays["discharge_day"]))
    return years.between(youngest, oldest).fill_null(False)


def _enrolled(index: Table, months: Table) -> Table:
    """Index stays whose member was covered from a year before the discharge to 30 days after.

    Of the months from that of the day 365 days before to the one before the discharge's, one may
    be missing; of those from the discharge's to that of the day 30 days after, none.
    """
    dated = index.mutate(
        first_month=month_number(date_of(index["day"] - ENROLLED_BEFORE_DAYS)),
        index_month=month_number(date_of(index["day"])),
        last_month=month_number(date_of(index["day"] + ENROLLED_AFTER_DAYS)),
    )
    covered = months.rename(covered_month="month")
    met = dated.join(
        covered,
        [
            dated["member"] == covered["member"],
            covered["covered_month"] >= dated["first_month"],
            covered["covered_month"] <= dated["last_month"],
        ],
    )
    key = ["member", "day", "is_readmitted", "first_month", "index_month", "last_month"]
    is_before = met["covered_month"] < met["index_month"]
    counted = met.group_by(key).agg(
        n_before=is_before.cast("int64").sum(), n_after=(~is_before).cast("int64").sum()
    )
    wanted_before = counted["index_month"] - counted["first_month"]
    wanted_after = counted["last_month"] - counted["index_month"] + 1
    is_enrolled = (counted["n_before"] >= wanted_before - 1) & (counted["n_after"] == wanted_after)
    return counted.filter(is_enrolled).select("member", "day", "is_readmitted")
