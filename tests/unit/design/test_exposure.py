from __future__ import annotations

import re

import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.design import design_exposure, support_by
from calaim_eval.errors import DesignError

TWO = """
    member | covered          | listed  | service | race
    -------+------------------+---------+---------+--------
    a      | 2022-01..2022-12 | 2022-05 | 2022-07 | black
    b      | 2022-01..2022-12 | 2022-05 |         | white
"""
SHORT = {"lookback_months": 3, "follow_up_months": 3}


def test_the_ledger_holds_every_member_of_the_panel_once():
    panel = hand_panel(TWO)
    design = design_exposure(panel, **SHORT)
    assert design.ledger["n_members"].sum() == panel.n_members == 2
    assert design.ledger.loc[design.ledger["is_kept"], "n_members"].tolist() == [1, 1]


def test_members_with_records_but_no_covered_month_are_not_members():
    outside = pd.DataFrame(
        {
            "member_id": ["z"],
            "service": ["ecm"],
            "identified_month": [pd.Timestamp("2022-05-01")],
            "service_month": [pd.Timestamp("2022-07-01")],
        }
    )
    drawn = hand_panel(TWO)
    panel = type(drawn).from_frames(
        drawn.to_frame(), pd.concat([drawn.exposure_frame(), outside], ignore_index=True)
    )
    design = design_exposure(panel, **SHORT)
    assert design.ledger["n_members"].sum() == 2
    assert any("without a covered month" in note for note in design.notes)


def test_members_carry_months_as_dates_and_groups_as_recorded():
    design = design_exposure(hand_panel(TWO), **SHORT, strata=("race_ethnicity", "language"))
    members = design.members.set_index("member_id")
    assert members.loc["a", "cohort"] == pd.Timestamp("2022-07-01")
    assert pd.isna(members.loc["b", "cohort"])
    assert members["eligibility_month"].unique().tolist() == [pd.Timestamp("2022-05-01")]
    assert members["race_ethnicity"].to_dict() == {"a": "black", "b": "white"}
    assert members["language"].unique().tolist() == ["unknown"]
    assert design.covariate_cells == ("eligibility_month",)


def test_quarter_cells_name_the_first_month_of_the_quarter():
    design = design_exposure(hand_panel(TWO), **SHORT, eligibility_cell="quarter")
    assert design.covariate_cells == ("eligibility_quarter",)
    assert design.members["eligibility_quarter"].unique().tolist() == [pd.Timestamp("2022-04-01")]
    assert design.members["eligibility_month"].unique().tolist() == [pd.Timestamp("2022-05-01")]


def test_the_design_is_named_in_words_and_its_repr_has_no_member():
    design = design_exposure(hand_panel(TWO.replace("a  ", "Zoe")), **SHORT)
    assert "intention to treat" not in design.estimand_words
    assert "(as treated)" in design.estimand_words
    reached = design_exposure(hand_panel(TWO), **(SHORT | {"anchor": "first_outreach"}))
    assert "served or not" in reached.estimand_words
    assert "list of eligible members" in design.estimand_words
    assert "Zoe" not in repr(design) + design._repr_html_() + " ".join(design.notes)


def test_counts_of_few_members_are_not_in_the_notes():
    text = TWO + "    c      | 2022-01..2022-12 | 2022-06 | 2022-07 | white\n"
    design = design_exposure(hand_panel(text), **SHORT)
    note = next(n for n in design.notes if "nobody to compare with" in n)
    assert "fewer than 11" in note


def test_a_high_use_design_says_that_use_falls_by_itself():
    text = """
        member | covered          | ed        | service
        -------+------------------+-----------+--------
        a      | 2022-01..2022-12 | 2022-05:5 | 2022-07
        b      | 2022-01..2022-12 | 2022-05:5 |
    """
    design = design_exposure(hand_panel(text), **SHORT, eligibility="high_ed_use")
    assert any("falls without any program" in note for note in design.notes)
    assert any("age 21" in note for note in design.notes)


def test_support_by_counts_the_exposed_without_counterpart_in_their_own_group():
    text = """
        member | covered          | listed  | service | race
        -------+------------------+---------+---------+-------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | black
        b      | 2022-01..2022-12 | 2022-05 |         | black
        c      | 2022-01..2022-12 | 2022-05 | 2022-07 | nhpi
        d      | 2022-01..2022-12 | 2022-05 |         | white
    """
    table = support_by(design_exposure(hand_panel(text), **SHORT), by="race_ethnicity")
    table = table.set_index("race_ethnicity")
    assert table["n_exposed"].to_dict() == {"black": 1, "nhpi": 1, "white": 0}
    assert table["n_exposed_unmatched"].to_dict() == {"black": 0, "nhpi": 1, "white": 0}
    assert table["n_cells_unmatched"].to_dict() == {"black": 0, "nhpi": 1, "white": 0}


def test_exposed_members_alone_in_their_group_are_noted_without_a_small_count():
    notes = " ".join(design_exposure(hand_panel(TWO), **SHORT).notes)
    assert "Estimates by `race_ethnicity` leave out" in notes
    assert "a share that rests on fewer than 11 members" in notes


def test_last_cohort_without_comparison_is_noted():
    text = """
        member | covered          | listed  | service
        -------+------------------+---------+--------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07
        b      | 2022-01..2022-12 | 2022-05 | 2022-09
    """
    design = design_exposure(hand_panel(text), **SHORT)
    assert any("Everybody is exposed by the end" in note for note in design.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"service": "yoga"}, "`service` is 'yoga', not one of 'ecm'"),
        ({"service": "sobering_centers"}, "no record of service `sobering_centers` among 2"),
        ({"anchor": "enrollment"}, "`anchor` is 'enrollment', not one of 'first_service'"),
        ({"comparison": "controls"}, "'never_exposed', 'not_yet_exposed'"),
        ({"strata": ("population_of_focus",)}, "the groups overlap"),
        ({"strata": ("age_years",)}, "`strata` names `age_years`"),
        ({"window": ("2021-01", "2022-12")}, "the panel holds 2022-01 to 2022-12"),
        ({"window": ("2022-12", "2022-01")}, "the first before the last"),
        ({"window": ("spring", "2022-01")}, "'spring' is not a month"),
        ({"window": ("2022-05", "2022-06")}, "has 2 months; a look-back of 3"),
        ({"lookback_months": 1}, "leaves 1 clean baseline months"),
        ({"anticipation_months": 2}, "leaves 1 clean baseline months"),
        ({"anticipation_months": -1}, "`anticipation_months` is -1; it must be 0 or more"),
        ({"follow_up_months": 0}, "`follow_up_months` is 0; it must be 1 or more"),
        ({"min_age": 99}, "none of 2 members meets the design"),
        ({"population_of_focus": "12"}, "`population_of_focus` is '12', not one of '1a'"),
        ({"eligibility": "high_ed_use", "population_of_focus": "2"}, 'needs eligibility="listed"'),
    ],
)
def test_what_is_refused(options, message):
    panel = hand_panel(TWO)
    with pytest.raises(DesignError, match=re.escape(message)):
        design_exposure(panel, **{**SHORT, **options})


def test_nobody_exposed_is_refused_with_the_reasons():
    text = TWO.replace("2022-05 | 2022-07", "2022-05 | 2022-03")
    with pytest.raises(DesignError, match="none of the fewer than 11 members who meet the design"):
        design_exposure(hand_panel(text), **SHORT)


def test_everybody_exposed_at_once_has_no_comparison():
    text = TWO.replace("|         | white", "| 2022-07 | white")
    with pytest.raises(DesignError, match='eligibility_cell="quarter"'):
        design_exposure(hand_panel(text), **SHORT)
    with pytest.raises(DesignError, match='comparison="not_yet_exposed"'):
        design_exposure(hand_panel(text), **SHORT, comparison="never_exposed")


def test_a_list_is_needed_for_the_listed_rule():
    with pytest.raises(DesignError, match="member information file"):
        design_exposure(hand_panel(TWO.replace("2022-05", "       ")), **SHORT)


def test_regression_to_the_mean_is_on_both_sides():
    """Both members spike and fall; within the eligibility month the difference is zero."""
    text = """
        member | covered          | ed                            | service
        -------+------------------+-------------------------------+--------
        a      | 2022-01..2022-12 | 2022-05:5 2022-08:1           | 2022-07
        b      | 2022-01..2022-12 | 2022-05:5 2022-08:1           |
        c      | 2022-01..2022-12 | 2022-08:5                     | 2022-10
    """
    panel = hand_panel(text)
    design = design_exposure(panel, **SHORT, eligibility="high_ed_use")
    visits = panel.to_frame(["member_id", "month", "ed_visits"]).merge(design.members)
    visits["is_after"] = visits["month"] >= pd.Timestamp("2022-07-01")
    visits["is_exposed"] = visits["cohort"].notna()
    means = visits.groupby(["is_exposed", "is_after"])["ed_visits"].mean()
    assert means[True, True] - means[True, False] < 0
    assert means[True, True] - means[True, False] == means[False, True] - means[False, False]
    assert "c" not in set(design.members["member_id"])
