"""Stays for ambulatory-care-sensitive conditions, by a table of diagnoses that the study fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.own_lists import is_of_listed_age

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def sensitive_stays(care: Care) -> Table:
    """One row per stay: `member` and `day` of admission.

    A diagnosis with an age limit does not count for a member of unknown age.
    """
    listed = care.bucket.read("acsc_diagnosis").rename(diagnosis="diagnosis_code")
    person = care.bucket.read("person").select("member", "birth_date")
    stays = care.episodes.filter(care.episodes["diagnosis"].notnull())
    met = stays.join(listed, "diagnosis").left_join(person, "member")
    is_of_age = is_of_listed_age(met, met["admit_day"])
    return met.filter(is_of_age).select("member", day="admit_day").distinct()
