"""Stays for ambulatory-care-sensitive conditions, by a table of diagnoses that the study fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.spans import completed_years, date_of

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

_OLDEST = 10**3


def sensitive_stays(care: Care) -> Table:
    """One row per stay: `member` and `day` of admission.

    A diagnosis with an age limit does not count for a member of unknown age.
    """
    listed = care.bucket.read("acsc_diagnosis").rename(diagnosis="diagnosis_code")
    person = care.bucket.read("person").select("member", "birth_date")
    stays = care.episodes.filter(care.episodes["diagnosis"].notnull())
    met = stays.join(listed, "diagnosis").left_join(person, "member")
    age = completed_years(met["birth_date"], date_of(met["admit_day"]))
    youngest = met["youngest_age_years"].fill_null(0)
    oldest = met["oldest_age_years"].fill_null(_OLDEST)
    has_limit = met["youngest_age_years"].notnull() | met["oldest_age_years"].notnull()
    is_of_age = ~has_limit | age.between(youngest, oldest).fill_null(False)
    return met.filter(is_of_age).select("member", day="admit_day").distinct()
