from __future__ import annotations

import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.design import design_county_phase
from calaim_eval.errors import DesignError
from calaim_eval.schema.codes import load_codes

FOUR = """
    member | county  | covered          | service | ed
    -------+---------+------------------+---------+-----------
    a      | Alameda | 2021-01..2023-12 | 2022-03 | 2021-11:5
    b      | Kern    | 2021-01..2023-12 |         | 2021-11:5
    c      | Fresno  | 2021-01..2023-12 |         | 2021-11:5
    d      | Butte   | 2021-01..2023-12 |         |
"""


def test_months_end_in_june_2022():
    design = design_county_phase(hand_panel(FOUR))
    assert str(design.months[0]) == "2021-01"
    assert str(design.months[-1]) == "2022-06"
    assert design.follow_up_months == 6
    assert design.cluster == "county"
    assert design.comparison == "never_exposed"


def test_every_phase_1_county_of_the_code_list_is_exposed_in_january_2022():
    counties = load_codes("county")
    rows = "\n".join(
        f"m{i} | {name} | 2021-10..2022-06" for i, name in enumerate(counties["county"])
    )
    members = design_county_phase(hand_panel(f"member | county | covered\n{rows}")).members
    assert members["cohort"].notna().sum() == 25
    assert members["cohort"].dropna().unique().tolist() == [pd.Timestamp("2022-01-01")]
    assert (members["cohort"].isna() == (members["ecm_phase"] == 2)).all()
    assert len(members) == 58


@pytest.mark.parametrize("month", ["2022-07", "2023-12"])
def test_later_months_are_refused_with_the_reason(month):
    with pytest.raises(DesignError, match="identifies effects only from 2022-01 to 2022-06"):
        design_county_phase(hand_panel(FOUR), last_month=month)


@pytest.mark.parametrize(
    ("first_month", "message"),
    [("2021-12", "1 baseline months"), ("2022-01", "0 baseline months"), ("2020-01", "holds 2021")],
)
def test_a_baseline_is_required(first_month, message):
    with pytest.raises(DesignError, match=message):
        design_county_phase(hand_panel(FOUR), first_month=first_month)


def test_a_panel_that_ends_before_phase_1_is_refused():
    with pytest.raises(DesignError, match="needs at least 2022-01"):
        design_county_phase(hand_panel(FOUR.replace("..2023-12", "..2021-12")))


def test_one_county_on_a_side_is_refused():
    with pytest.raises(DesignError, match="1 phase 1 and 2 phase 2 counties"):
        design_county_phase(hand_panel(FOUR.replace("Kern   ", "Alameda")))


def test_transition_is_said_and_not_pooled_with_onset():
    design = design_county_phase(hand_panel(FOUR))
    assert "transition" in design.estimand_words
    assert any("onset" in note and "not pooled" in note for note in design.notes)


def test_dilution_does_not_tell_a_share_of_few_members():
    notes = " ".join(design_county_phase(hand_panel(FOUR)).notes)
    assert "diluted by that share" in notes
    assert "fewer than 11 members" in notes


def test_dilution_is_the_share_served_by_the_last_month():
    served = [f"s{i} | Alameda | 2021-10..2022-06 | 2022-0{1 + i % 6}" for i in range(12)]
    others = [f"o{i} | Kern | 2021-10..2022-06 | " for i in range(36)]
    later = [f"l{i} | Kern | 2021-10..2022-06 | 2022-09" for i in range(12)]
    phase_2 = ["x | Fresno | 2021-10..2022-06 | 2022-02", "y | Butte | 2021-10..2022-06 | "]
    rows = "\n".join([*served, *others, *later, *phase_2])
    notes = design_county_phase(hand_panel(f"member | county | covered | service\n{rows}")).notes
    # 12 of 60, in steps of 11 members or more.
    assert any("about 25 % of members in phase 1" in note for note in notes)
    assert any("phase 2 counties with an ECM service by 2022-06" in note for note in notes)


def test_no_ecm_record_leaves_the_dilution_unsaid_not_zero():
    design = design_county_phase(hand_panel(FOUR.replace("2022-03", "       ")))
    assert any("cannot be said" in note for note in design.notes)


def test_medi_cal_rx_on_the_day_of_phase_1_is_noted_as_unconfirmed():
    notes = design_county_phase(hand_panel(FOUR)).notes
    assert any("Medi-Cal Rx" in note and "(unconfirmed)" in note for note in notes)


def test_uncertain_counties_are_noted_only_where_members_live_in_them():
    assert not any("Whole Person Care: " in n for n in design_county_phase(hand_panel(FOUR)).notes)
    with_solano = design_county_phase(hand_panel(FOUR.replace("Butte ", "Solano")))
    assert any("Solano" in note for note in with_solano.notes)


def test_high_use_population_is_taken_before_phase_1_in_both_phases():
    text = FOUR + "    e      | Butte   | 2021-01..2023-12 |         | 2021-07:1 2021-12:4\n"
    text += "    f      | Butte   | 2021-01..2023-12 |         | 2021-06:9 2022-01:9\n"
    design = design_county_phase(hand_panel(text), population="high_ed_use")
    assert set(design.members["member_id"]) == {"a", "b", "c", "e"}
    assert design.ledger["n_members"].sum() == 6
