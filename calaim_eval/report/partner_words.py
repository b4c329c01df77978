"""Sentences on the partner survey and on what plans ask of organizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.report.labels import readable
from calaim_eval.report.numbers import number, percent, plural
from calaim_eval.report.release_items import Absent, find_item
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released


def response_sentence(released: Released) -> str:
    """How many organizations answered the survey, and which role answered most.

    Parameters
    ----------
    released : Released
        Uses `survey_response_rate` and `survey_respondents`; says nothing of one that is absent.

    Returns
    -------
    str
    """
    words = []
    rate = find_item(released, "survey_response_rate")
    if not isinstance(rate, Absent):
        row = rate.frame[rate.frame["organization_type"] == ALL].iloc[0]
        share = percent(row["numerator"] / row["denominator"])
        words.append(
            f"{number(row['numerator'])} of {number(row['denominator'])} organizations "
            f"({share}) answered the survey."
        )
    people = find_item(released, "survey_respondents")
    if not isinstance(people, Absent):
        frame = people.frame
        shown = frame[~frame["is_suppressed"] & frame["respondent_role"].ne(ALL)]
        if len(shown) and (shown["denominator"] > 0).all():
            most = shown.loc[shown["numerator"].idxmax()]
            share = percent(most["numerator"] / most["denominator"])
            role = readable(str(most["respondent_role"])).lower()
            words.append(f"Of the respondents, {share} are {role} staff.")
    return " ".join(words)


def requirement_sentence(released: Released) -> str:
    """Which requirement differs most between plans, and how many layouts an organization meets.

    Parameters
    ----------
    released : Released
        Uses `requirement_standardization` and `distinct_layouts`.

    Returns
    -------
    str
    """
    words = []
    alike = find_item(released, "requirement_standardization")
    if not isinstance(alike, Absent):
        now = alike.frame[alike.frame["as_of"] == alike.frame["as_of"].max()]
        now = now[(now["requirement"] != ALL) & (now["denominator"] > 0)]
        if len(now):
            least = now.loc[(now["numerator"] / now["denominator"]).idxmin()]
            share = percent(least["numerator"] / least["denominator"])
            words.append(
                f"Of {plural(len(now), 'requirement')}, plans differ most in "
                f"{readable(str(least['requirement'])).lower()} (similarity {share})."
            )
    layouts = find_item(released, "distinct_layouts")
    if not isinstance(layouts, Absent):
        row = layouts.frame[layouts.frame["organization_type"] == ALL].iloc[0]
        if row["denominator"] > 0:
            mean = number(row["numerator"] / row["denominator"], decimals=1)
            words.append(
                f"An organization under contract works under {mean} different sets of requirements "
                "on average."
            )
    return " ".join(words)
