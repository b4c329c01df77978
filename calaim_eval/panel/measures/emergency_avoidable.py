"""Avoidable emergency department visits, in probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure
from calaim_eval.panel.measures.emergency import LINE_KINDS

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def _avoidable(care: Care) -> Table:
    """Sum of probabilities by month."""
    from calaim_eval.panel.own_lists import is_of_listed_age
    from calaim_eval.panel.spans import date_of, month_number

    visits, weights = care.ed_visits, care.bucket.read("ed_avoidable_weight")
    person = care.bucket.read("person").select("member", "birth_date")
    known = weights.select(
        "youngest_age_years",
        "oldest_age_years",
        diagnosis="diagnosis_code",
        weight=weights["non_emergent_share"].fill_null(0.0)
        + weights["primary_care_treatable_share"].fill_null(0.0)
        + weights["preventable_share"].fill_null(0.0),
    )
    released = visits.filter(~visits["is_admitted"])
    met = released.join(known, "diagnosis").left_join(person, "member")
    weighed = met.filter(is_of_listed_age(met, met["day"]))
    dated = weighed.select("member", "weight", month=month_number(date_of(weighed["day"])))
    return dated.group_by("member", "month").agg(value=dated["weight"].sum())


MEASURES = (
    Measure(
        name="ed_visits_avoidable",
        label="Avoidable ED visits (expected)",
        title="Expected number of avoidable emergency department visits",
        definition="Over `ed_visits_treat_and_release` in the month, the sum of three "
        "probabilities of the visit's principal diagnosis: non-emergent, primary care treatable, "
        "and emergent but preventable, as the table `ed_avoidable_weight` gives them; a "
        "diagnosis that is not in it adds 0 (injuries, mental health, alcohol, drugs and "
        "unclassified diagnoses are to be left at 0), and so does one at an age in completed "
        "years on the visit's first day outside the row's `youngest_age_years` and "
        "`oldest_age_years`, where given. The diagnosis is the first of the line "
        "(`diagnosis_code_1`), compared whole: that of the visit's claim with the earliest start "
        "that has one, then the smallest claim number, then the first in the alphabet. Missing "
        "without the table, which the study fills.",
        version="2",
        code_lists=("ed_avoidable_nyu", "ed_avoidable_dhcs"),
        source="NYU/Billings emergency department algorithm; ICD-10 weights of Johnston and "
        "others (2017), not part of the package",
        confirmed="partial",
        unit="expected avoidable ED visits per 1,000 member-months",
        dtype="number",
        needs_all=("ed_avoidable_weight",),
        line_kinds=LINE_KINDS,
        events=_avoidable,
        fewer_is_better=True,
    ),
)
