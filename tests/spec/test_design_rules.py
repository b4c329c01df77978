"""The rules of the exposure design: members drawn as they were covered, listed and served.

Window 2022-01 to 2022-12, look-back 3 months, follow-up 3 months, unless a test says otherwise.
`kept` is the cohort month, "comparison", or the reason the member is set aside.
"""

from __future__ import annotations

import pytest
from hand_panel import hand_panel, read_ascii

from calaim_eval.design import design_county_phase, design_exposure
from calaim_eval.design.exposure_rules import (
    AGE,
    EXPOSED_BEFORE,
    EXPOSED_FIRST,
    EXPOSED_NOT_ELIGIBLE,
    LOOKBACK_GAP,
    NEVER_ELIGIBLE,
    NOT_COVERED,
    OTHER_POPULATION,
    TOO_EARLY,
    TOO_LATE,
)
from calaim_eval.design.support import NO_COMPARISON, NO_EXPOSED


def outcome_by_member(design) -> dict[str, str]:
    cohort = design.members.set_index("member_id")["cohort"].dt.strftime("%Y-%m")
    return cohort.fillna("comparison").to_dict()


def check(text: str, **options) -> None:
    """Every member kept as drawn, every member set aside for the reason drawn, and no other."""
    settings = {"lookback_months": 3, "follow_up_months": 3, **options}
    drawn = read_ascii(text).set_index("member")["kept"]
    design = design_exposure(hand_panel(text), **settings)
    kept = outcome_by_member(design)
    is_reason = ~drawn.index.isin(list(kept))
    assert kept == drawn[~is_reason].to_dict()
    aside = design.ledger[~design.ledger["is_kept"]].set_index("reason")["n_members"]
    assert aside[aside > 0].to_dict() == drawn[is_reason].value_counts().to_dict()


def test_everybody_enters_at_the_month_they_were_listed():
    check(f"""
        member | covered          | listed  | service | kept
        -------+------------------+---------+---------+-----------------------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-07
        b      | 2022-01..2022-12 | 2022-05 | 2022-05 | 2022-05
        c      | 2022-01..2022-12 | 2022-05 |         | comparison
        d      | 2022-01..2022-12 |         |         | {NEVER_ELIGIBLE}
        e      | 2022-01..2022-12 |         | 2022-07 | {EXPOSED_NOT_ELIGIBLE}
        f      | 2022-01..2022-12 | 2022-05 | 2022-04 | {EXPOSED_BEFORE}
    """)


def test_the_first_rule_a_member_breaks_is_the_one_counted():
    check(
        f"""
        member | covered          | listed  | service | age | kept
        -------+------------------+---------+---------+-----+---------------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 40  | 2022-07
        b      | 2022-01..2022-12 | 2022-05 |         | 40  | comparison
        c      | 2022-01..2022-12 | 2022-02 |         | 12  | {TOO_EARLY}
        d      | 2022-04..2022-12 | 2022-05 |         | 12  | {AGE}
    """,
        min_age=21,
    )


def test_look_back_must_be_covered_month_by_month():
    check(f"""
        member | covered                  | listed  | service | kept
        -------+--------------------------+---------+---------+----------------
        a      | 2022-02..2022-12         | 2022-05 | 2022-07 | 2022-07
        b      | 2022-01..2022-12         | 2022-05 |         | comparison
        c      | 2022-03..2022-12         | 2022-05 |         | {LOOKBACK_GAP}
        d      | 2022-01..2022-02 2022-04..2022-12 | 2022-05 | | {LOOKBACK_GAP}
        e      | 2022-01..2022-04 2022-06..2022-12 | 2022-05 | | {NOT_COVERED}
    """)


def test_coverage_after_eligibility_is_not_required():
    check("""
        member | covered          | listed  | service | kept
        -------+------------------+---------+---------+-----------
        a      | 2022-01..2022-08 | 2022-05 | 2022-07 | 2022-07
        b      | 2022-01..2022-05 | 2022-05 |         | comparison
        c      | 2022-01..2022-12 | 2022-05 |         | comparison
    """)


def test_look_back_and_follow_up_must_lie_in_the_window():
    check(f"""
        member | covered          | listed  | service | kept
        -------+------------------+---------+---------+-----------------
        a      | 2022-01..2022-12 | 2022-04 | 2022-07 | 2022-07
        b      | 2022-01..2022-12 | 2022-04 |         | comparison
        c      | 2022-01..2022-12 | 2022-10 | 2022-11 | 2022-11
        d      | 2022-01..2022-12 | 2022-10 |         | comparison
        e      | 2022-01..2022-12 | 2022-03 |         | {TOO_EARLY}
        f      | 2022-01..2022-12 | 2022-11 |         | {TOO_LATE}
        g      | 2022-01..2022-12 | 2021-11 | 2022-01 | {EXPOSED_FIRST}
    """)


def test_exposure_after_the_window_is_no_exposure_in_it():
    check(
        """
        member | covered          | listed  | service | kept
        -------+------------------+---------+---------+-----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-07
        b      | 2022-01..2022-12 | 2022-05 | 2022-11 | comparison
    """,
        window=("2022-01", "2022-09"),
    )


def test_comparisons_became_eligible_in_the_same_month():
    check(f"""
        member | covered          | listed  | service | kept
        -------+------------------+---------+---------+-----------------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-07
        b      | 2022-01..2022-12 | 2022-05 |         | comparison
        c      | 2022-01..2022-12 | 2022-06 | 2022-07 | {NO_COMPARISON}
        d      | 2022-01..2022-12 | 2022-07 |         | {NO_EXPOSED}
    """)


def test_a_quarter_is_a_coarser_cell():
    check(
        """
        member | covered          | listed  | service | kept
        -------+------------------+---------+---------+-----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-07
        b      | 2022-01..2022-12 | 2022-06 |         | comparison
    """,
        eligibility_cell="quarter",
    )


@pytest.mark.parametrize(
    ("comparison", "kept"),
    [("not_yet_exposed", ("2022-06", "2022-08")), ("never_exposed", (NO_COMPARISON,) * 2)],
)
def test_later_exposed_members_stand_in_only_when_not_yet_exposed_is_asked_for(comparison, kept):
    check(
        f"""
        member | covered          | listed  | service | kept
        -------+------------------+---------+---------+-----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-06 | {kept[0]}
        b      | 2022-01..2022-12 | 2022-05 | 2022-08 | {kept[1]}
        c      | 2022-01..2022-12 | 2022-06 | 2022-08 | 2022-08
        d      | 2022-01..2022-12 | 2022-06 |         | comparison
    """,
        comparison=comparison,
    )


def test_outreach_anchors_intention_to_treat_and_a_service_counts_as_reached():
    text = f"""
        member | covered          | listed  | outreach | service | kept
        -------+------------------+---------+----------+---------+-------------------
        a      | 2022-01..2022-12 | 2022-05 | 2022-06  | 2022-08 | 2022-06
        b      | 2022-01..2022-12 | 2022-05 | 2022-06  |         | 2022-06
        c      | 2022-01..2022-12 | 2022-05 |          | 2022-07 | 2022-07
        d      | 2022-01..2022-12 | 2022-05 |          |         | comparison
        e      | 2022-01..2022-12 | 2022-05 | 2022-04  |         | {EXPOSED_BEFORE}
    """
    check(text, anchor="first_outreach")


def test_outreach_is_not_a_service():
    check(
        """
        member | covered          | listed  | outreach | service | kept
        -------+------------------+---------+----------+---------+-----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-06  | 2022-08 | 2022-08
        b      | 2022-01..2022-12 | 2022-05 | 2022-06  |         | comparison
        c      | 2022-01..2022-12 | 2022-05 | 2022-04  |         | comparison
    """,
        anchor="first_service",
    )


def test_high_use_is_five_visits_in_six_months_listed_or_not():
    check(
        f"""
        member | covered          | ed                          | service | kept
        -------+------------------+-----------------------------+---------+--------------------
        a      | 2022-01..2022-12 | 2022-01:2 2022-06:3         | 2022-08 | 2022-08
        b      | 2022-01..2022-12 | 2022-05:4 2022-06:1         |         | comparison
        c      | 2022-01..2022-12 | 2022-01:2 2022-07:3         |         | {NEVER_ELIGIBLE}
        d      | 2022-01..2022-12 | 2022-01:4                   |         | {NEVER_ELIGIBLE}
        e      | 2022-01..2022-12 | 2022-05:5                   | 2022-04 | {EXPOSED_BEFORE}
        f      | 2022-01..2022-12 | 2022-02:9 2022-06:9         |         | {TOO_EARLY}
    """,
        eligibility="high_ed_use",
    )


def test_population_of_focus_is_matched_whole():
    check(
        f"""
        member | covered          | listed  | service | focus | kept
        -------+------------------+---------+---------+-------+--------------------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 1a;2  | 2022-07
        b      | 2022-01..2022-12 | 2022-05 |         | 2     | comparison
        c      | 2022-01..2022-12 | 2022-05 |         | 1a;3  | {OTHER_POPULATION}
        d      | 2022-01..2022-12 | 2022-05 |         |       | {OTHER_POPULATION}
    """,
        population_of_focus="2",
    )


def test_age_limits_include_both_ends():
    check(
        f"""
        member | covered          | listed  | service | age | kept
        -------+------------------+---------+---------+-----+-----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 21  | 2022-07
        b      | 2022-01..2022-12 | 2022-05 |         | 64  | comparison
        c      | 2022-01..2022-12 | 2022-05 |         | 20  | {AGE}
        d      | 2022-01..2022-12 | 2022-05 |         | 65  | {AGE}
    """,
        min_age=21,
        max_age=64,
    )


COUNTY_TABLE = """
    member | county      | covered                            | kept
    -------+-------------+------------------------------------+-----------
    a      | Alameda     | 2021-07..2022-06                   | 2022-01
    b      | Kern        | 2021-12                            | 2022-01
    c      | Fresno      | 2021-07..2022-12                   | comparison
    d      | Butte       | 2021-12 2022-03                    | comparison
    e      | Kern        | 2021-07..2021-11 2022-01..2022-12  | aside
    f      |             | 2021-07..2022-12                   | aside
    g      | Reno        | 2021-07..2022-12                   | aside
    h      | Solano      | 2021-07..2022-12                   | comparison
"""


def test_county_of_december_2021_decides_the_phase():
    design = design_county_phase(hand_panel(COUNTY_TABLE))
    drawn = read_ascii(COUNTY_TABLE).set_index("member")["kept"]
    assert outcome_by_member(design) == drawn[drawn != "aside"].to_dict()
    assert str(design.months[-1]) == "2022-06"


def test_uncertain_counties_can_be_set_aside():
    design = design_county_phase(hand_panel(COUNTY_TABLE), uncertain_counties="set_aside")
    assert "h" not in set(design.members["member_id"])
    assert design.ledger.set_index("reason")["n_members"]["county whose phase is uncertain"] == 1
