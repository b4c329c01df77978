"""Displays of race and ethnicity in rates, shares and designs of a panel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.design import design_exposure
from calaim_eval.design.member_month_parts import member_month_parts
from calaim_eval.equity import (
    access_funnel,
    access_funnel_gap,
    baseline_utilization,
    disparity_measures,
    intersect_groups,
    members_by_group,
    person_categories,
    proportion_by_group,
    rate_by_group,
    rate_gap,
    rates_in_combination,
    with_age_bands,
    with_populations,
    with_race_ethnicity,
)
from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.moments import reduce_panel
from calaim_eval.panel import MemberMonths
from calaim_eval.results import RateTable
from calaim_eval.schema import recorded_categories
from calaim_eval.schema.race_displays import DISPLAYS
from calaim_eval.tables import Tables

COLUMN = "race_ethnicity_in_combination"
MEMBERS = """
    member | covered          | listed  | outreach | service | ed        | age
    -------+------------------+---------+----------+---------+-----------+----
    a      | 2022-01..2022-12 | 2022-04 | 2022-05  | 2022-06 | 2022-02:2 | 17
    b      | 2022-01..2022-12 | 2022-04 | 2022-05  |         | 2022-03:1 | 30
    c      | 2022-01..2022-06 | 2022-04 |          |         |           | 70
    d      | 2022-01..2022-12 | 2022-04 |          | 2022-08 | 2022-03:4 | 40
    e      | 2022-01..2022-12 |         | 2022-07  |         | 2022-04:1 | 40
    f      | 2022-01..2022-12 |         |          | 2022-09 |           | 40
    g      | 2022-01..2022-03 |         |          |         | 2022-02:3 | 40
"""
RACE = {
    "a": "Black;White",
    "b": "American Indian or Alaska Native;Hispanic or Latino",
    "c": "Black",
    "d": "White",
    "e": "declined",
    "f": "Native Hawaiian or Pacific Islander;White;purple",
}
SETS = {
    "a": {"black", "white"},
    "b": {"aian", "hispanic"},
    "c": {"black"},
    "d": {"white"},
    "e": {"declined"},
    "f": {"nhpi", "white"},
    "g": {"unknown"},
}
GROUPS = ["aian", "black", "hispanic", "nhpi", "white", "declined", "unknown"]


@pytest.fixture(scope="module")
def panel():
    return hand_panel(MEMBERS)


@pytest.fixture(scope="module")
def categories():
    words = {k: v.replace("Black", "Black or African American") for k, v in RACE.items()}
    frame = pd.DataFrame({"member_id": list(words), "race": list(words.values())})
    return recorded_categories(frame, schema="omb_2024", values=["race"])


@pytest.fixture(scope="module")
def inclusive(panel, categories):
    return with_race_ethnicity(panel, categories, display="in_combination")


def by_key(table, column):
    return table.to_frame().set_index(column)


def test_members_count_in_every_group_and_once_in_all(inclusive):
    table = members_by_group(inclusive, by=COLUMN)
    rows = by_key(table, COLUMN)["numerator"]
    assert rows.index.tolist() == [*GROUPS, "all"]
    for group in GROUPS:
        assert rows[group] == sum(group in each for each in SETS.values())
    assert rows["all"] == 7
    assert rows[GROUPS].sum() == 10
    assert table.overlaps == (COLUMN,)
    assert table.margins == ()


def test_rates_are_those_of_each_group_taken_alone(inclusive, panel):
    table = rate_by_group(inclusive, outcome="ed_visits", by=COLUMN, margins=(COLUMN,))
    rows = by_key(table, COLUMN)
    frame = panel.to_frame(["member_id", "month", "ed_visits"])
    for group in GROUPS:
        ids = [m for m, each in SETS.items() if group in each]
        one = frame[frame["member_id"].isin(ids)].assign(group="g")
        alone = rate_by_group(one, outcome="ed_visits", by="group").to_frame().iloc[0]
        for name in ("numerator", "denominator", "rate", "conf_low", "conf_high", "n_members"):
            assert rows.loc[group, name] == pytest.approx(alone[name], nan_ok=True), (group, name)
    whole = rate_by_group(frame.assign(group="g"), outcome="ed_visits", by="group")
    assert rows.loc["all", "rate"] == whole.rate[0]
    assert rows.loc["all", "conf_high"] == whole.conf_high[0]


def test_crossed_with_age_band_and_sex_margins_count_members_once(inclusive):
    banded = with_age_bands(inclusive, (18, 65))
    table = members_by_group(banded, by=[COLUMN, "age_band"])
    rows = table.to_frame().set_index([COLUMN, "age_band"])["numerator"]
    assert rows["white", "0-17"] == 1
    assert rows["white", "18-64"] == 2
    assert rows["black", "65+"] == 1
    assert rows["all", "18-64"] == 5
    assert rows["all", "all"] == 7
    assert rows["white", "all"] == 3
    assert table.margins == ("age_band",)
    assert any("0-17, 18-64, 65+" in note for note in table.notes)


def test_the_funnel_by_labels_becomes_the_funnel_by_groups(inclusive):
    table = access_funnel(inclusive, by=COLUMN)
    rows = table.to_frame().set_index([COLUMN, "stage"])
    for group, stages in {"white": [3, 3, 3], "black": [2, 1, 1], "aian": [1, 1, 0]}.items():
        found = rows.loc[group]
        assert found["numerator"].tolist()[:3] == stages
        assert found.index.tolist()[:3] == ["identified", "outreached", "served"]
        assert (found["denominator"] == stages[0]).all()
    assert rows.loc["all"]["denominator"].iloc[0] == 6
    assert np.isnan(rows.loc[("white", "identified"), "conf_low"])
    assert rows.loc[("white", "served"), "conf_high"] == pytest.approx(1.0)
    assert table.overlaps == (COLUMN,)
    assert COLUMN not in table.margins
    assert rates_in_combination(table) is table
    assert any(DISPLAYS["in_combination"] in note for note in table.notes)


def test_shares_of_a_frame_of_labels():
    members = pd.DataFrame(
        {
            "member_id": range(4),
            "is_served": [True, False, True, None],
            COLUMN: ["black;white", "white", "declined", "black"],
        }
    )
    table = proportion_by_group(members, has="is_served", by=COLUMN, margins=(COLUMN,))
    rows = by_key(table, COLUMN)
    assert rows["numerator"].to_dict() == {"black": 1, "white": 1, "declined": 1, "all": 2}
    assert rows["denominator"].to_dict() == {"black": 1, "white": 2, "declined": 1, "all": 3}


def test_exclusive_displays_take_the_place_of_the_panels_own(panel, categories):
    alone = with_race_ethnicity(panel, categories, display="alone")
    rows = by_key(members_by_group(alone), "race_ethnicity")["numerator"]
    assert rows.to_dict() == {
        "black": 1, "multiple": 3, "white": 1, "declined": 1, "unknown": 1, "all": 7,
    }  # fmt: skip
    first = with_race_ethnicity(panel, categories, display="hispanic_first")
    rows = by_key(members_by_group(first), "race_ethnicity")["numerator"]
    assert rows["hispanic"] == 1
    primary = with_race_ethnicity(panel, categories, display="primary", priority=["aian", "nhpi"])
    rows = by_key(members_by_group(primary), "race_ethnicity")["numerator"]
    assert rows["aian"] == rows["nhpi"] == 1
    assert rows["multiple"] == 1


@pytest.mark.parametrize(
    ("display", "by"),
    [("alone", "race_ethnicity"), ("hispanic_first", "race_ethnicity"), ("in_combination", COLUMN)],
)
def test_every_output_says_its_display_and_what_was_not_read(panel, categories, display, by):
    shown = with_race_ethnicity(panel, categories, display=display)
    for table in (members_by_group(shown, by=by), rate_by_group(shown, outcome="ed_visits", by=by)):
        assert any(f"{DISPLAYS[display]})" in note for note in table.notes)
        assert any("not in the schema" in note and "fewer than 11" in note for note in table.notes)
    assert not members_by_group(shown, by="county").notes


def test_a_design_in_another_display_carries_its_label_to_the_moments(panel, categories):
    alone = with_race_ethnicity(panel, categories, display="alone")
    options = {"lookback_months": 2, "follow_up_months": 1}
    design = design_exposure(alone, **options)
    groups = design.members.set_index("member_id")["race_ethnicity"]
    assert groups["a"] == "multiple"
    assert any("alone)" in note for note in design.notes)
    moments = reduce_panel(
        design, outcomes=["ed_visits"], stratum="race_ethnicity", unbalanced="cell_means"
    )
    assert any("alone)" in note for note in moments.provenance["notes"])
    banded = design_exposure(with_age_bands(panel, (18,)), strata=("age_band",), **options)
    assert banded.members.set_index("member_id")["age_band"]["a"] == "0-17"


def test_use_before_eligibility_in_combination(inclusive):
    design = design_exposure(inclusive, lookback_months=2, follow_up_months=1)
    table = baseline_utilization(design, outcome="ed_visits", by=COLUMN, margins=(COLUMN,))
    rows = by_key(table, COLUMN)
    ids = set(design.members["member_id"])
    visits = {"a": 2, "b": 1, "c": 0, "d": 4}
    assert {"a", "b", "c", "d"} <= ids
    for group in ("black", "white", "aian", "hispanic"):
        assert rows.loc[group, "numerator"] == sum(
            n for member, n in visits.items() if group in SETS[member]
        )
    assert rows.loc["all", "numerator"] == 7
    assert rows.loc["all", "denominator"] < rows.drop(index="all")["denominator"].sum()


def test_effects_by_groups_that_overlap_are_refused_with_a_way_out(inclusive, panel):
    with pytest.raises(DesignError, match=r"share members.*\n.*only='aian'"):
        design_exposure(inclusive, strata=(COLUMN,))
    frame = panel.to_frame().assign(cohort=pd.NaT, **{COLUMN: "black;white"})
    with pytest.raises(TableError, match="only='aian'"):
        reduce_panel(
            frame, member_id="member_id", month="month", cohort="cohort",
            outcomes=["ed_visits"], stratum=COLUMN,
        )  # fmt: skip
    with pytest.raises(DesignError, match=r"population_of_focus=.2."):
        design_exposure(panel, strata=("population_of_focus",))


def test_one_category_against_the_rest_shares_no_member(panel, categories):
    one = with_race_ethnicity(panel, categories, display="in_combination", only="aian")
    rows = by_key(members_by_group(one), "race_ethnicity")["numerator"]
    assert rows.to_dict() == {
        "aian": 1, "not_aian": 4, "declined": 1, "unknown": 1, "all": 7,
    }  # fmt: skip
    design = design_exposure(one, lookback_months=2, follow_up_months=1)
    assert set(design.members["race_ethnicity"]) <= {"aian", "not_aian", "declined", "unknown"}
    with pytest.raises(TableError, match="takes one category in combination"):
        with_race_ethnicity(panel, categories, display="alone", only="aian")
    with pytest.raises(TableError, match="`only` is 'purple'"):
        with_race_ethnicity(panel, categories, display="in_combination", only="purple")


def test_gaps_and_sums_over_groups_that_overlap_are_refused(inclusive):
    table = rate_by_group(inclusive, outcome="ed_visits", by=COLUMN)
    with pytest.raises(EstimationError, match="make no sum"):
        rate_gap(table, reference="white", stratum=COLUMN)
    with pytest.raises(EstimationError, match="make no sum"):
        disparity_measures(
            table, stratum=COLUMN, reference="white", favourable=False, weights="population"
        )
    with pytest.raises(EstimationError, match="make no sum"):
        access_funnel_gap(access_funnel(inclusive, by=COLUMN), reference="white", by=COLUMN)
    with pytest.raises(EstimationError, match="overlap, so their rows do not add up"):
        RateTable(**_fields(table) | {"margins": (COLUMN,)})


def _fields(table):
    return {name: getattr(table, name) for name in RateTable.__dataclass_fields__}


def test_merges_are_explicit_and_stand_in_every_output(panel, categories):
    merge = {"black_or_white": ["black", "white"]}
    options = {"merge": merge, "reason": "few members a county"}
    shown = with_race_ethnicity(panel, categories, display="in_combination", **options)
    table = members_by_group(shown, by=COLUMN)
    assert by_key(table, COLUMN)["numerator"]["black_or_white"] == 4
    said = "'black', 'white' together as 'black_or_white': few members a county"
    assert any(said in note for note in table.notes)
    design = design_exposure(
        with_race_ethnicity(panel, categories, display="alone", **options),
        lookback_months=2,
        follow_up_months=1,
    )
    assert any(said in note for note in design.notes)
    for kept in ("aian", "nhpi", "declined", "unknown"):
        with pytest.raises(EstimationError, match="never folded into another group"):
            with_race_ethnicity(
                panel, categories, display="in_combination",
                merge={"white_": [kept, "white"]}, reason="few",
            )  # fmt: skip


def test_crossings_of_rows_that_overlap_still_say_so(inclusive):
    banded = with_age_bands(inclusive, (18, 65))
    rates = members_by_group(banded, by=[COLUMN, "age_band"])
    crossed = intersect_groups(rates, [COLUMN, "age_band"], name="group")
    assert crossed.overlaps == ("group",)
    assert "group" not in crossed.margins
    frame = pd.DataFrame({COLUMN: ["a;b"], "sex": ["female"]})
    with pytest.raises(EstimationError, match="no one label"):
        intersect_groups(frame, [COLUMN, "sex"], name="both")


def test_populations_of_focus_as_groups_that_overlap():
    months = pd.DataFrame(
        {
            "member_id": ["a", "b", "c"],
            "month": pd.Timestamp("2022-01-01"),
            "covered_days": 31,
            "race_ethnicity": ["black", "black", "white"],
        }
    )
    populations = pd.DataFrame(
        {"member_id": ["a", "a", "b"], "population": ["1a", "2", "2"], "basis": "claims"}
    )
    panel = with_populations(MemberMonths.from_frames(months, None, populations))
    table = members_by_group(panel, by=["population_of_focus", "race_ethnicity"])
    rows = table.to_frame().set_index(["population_of_focus", "race_ethnicity"])["numerator"]
    assert rows["2", "black"] == 2
    assert rows["1a", "all"] == 1
    assert rows["none", "white"] == 1
    assert rows["all", "all"] == 3
    assert table.overlaps == ("population_of_focus",)
    assert table.margins == ("race_ethnicity",)


def test_a_panel_without_such_groups_says_how_to_add_them(panel):
    with pytest.raises(DesignError, match="with_race_ethnicity"):
        members_by_group(panel, by=COLUMN)
    with pytest.raises(DesignError, match=r"Allowed: .*`age_band`"):
        members_by_group(panel, by="shoe_size")


def test_age_band_needs_no_declared_bands_and_refuses_ages_that_do_not_rise(panel):
    rows = by_key(members_by_group(panel, by="age_band"), "age_band")["numerator"]
    assert rows.to_dict() == {"0-17": 1, "21-44": 5, "65+": 1, "all": 7}
    with pytest.raises(DesignError, match="rising first ages"):
        with_age_bands(panel, (65, 18))
    usual = members_by_group(with_age_bands(panel, ()), by="age_band")
    assert "Age bands 0-17, 18-20, 21-44, 45-64, 65+:" in " ".join(usual.notes)
    part = next(iter(member_month_parts(panel, ["age_band"])))
    assert "age_band" in part


def test_a_month_in_which_nobody_is_covered_is_refused(panel):
    with pytest.raises(EstimationError, match="no member is covered in 2030-01"):
        members_by_group(panel, month="2030-01")


def test_a_panel_with_groups_beside_it_shows_no_member(panel, categories):
    shown = with_age_bands(with_race_ethnicity(panel, categories, display="alone"), (18, 65))
    for text in (repr(shown), str(shown)):
        assert "member_id" not in text
        assert "multiple" not in text
        assert "7 members" in text
        assert "race_ethnicity" in text  # which groups it holds, not whose


def test_groups_that_no_member_is_in(panel):
    rows = by_key(members_by_group(with_populations(panel), by="population_of_focus"),
                  "population_of_focus")["numerator"]  # fmt: skip
    assert rows.to_dict() == {"none": 7, "all": 7}
    nobody = pd.DataFrame({"member_id": [], "race": []}, dtype="str")
    found = recorded_categories(nobody, schema="omb_2024", values=["race"])
    shown = with_race_ethnicity(panel, found, display="alone")
    rows = by_key(members_by_group(shown), "race_ethnicity")["numerator"]
    assert rows.to_dict() == {"unknown": 7, "all": 7}


def test_persons_of_checked_tables_in_the_systems_their_rows_name():
    spans = pd.DataFrame(
        {
            "member_id": ["a", "b", "c"],
            "enrollment_start_date": "2022-01-01",
            "enrollment_end_date": "2022-06-30",
        }
    )
    person = pd.DataFrame(
        {
            "member_id": ["a", "b", "c"],
            "race_code": ["2106-3;2056-0", "5", None],
            "race_code_system": ["cdc_omb", "meds", None],
            "ethnicity_code": ["2135-2", None, None],
            "ethnicity_code_system": ["cdc_omb", None, None],
            "birth_date": "1980-01-01",
        }
    )
    tables = Tables.from_frames({"eligibility": spans, "person": person})
    found = person_categories(tables)
    counts = found.counts("in_combination")
    assert counts[["black", "white", "hispanic", "aian", "unknown"]].tolist() == [1, 1, 1, 1, 1]
    shown = tables.frame("person").set_index("member_id")["race_ethnicity"]
    first = found.groups("hispanic_first").set_index("member_id")["race_ethnicity"]
    pd.testing.assert_series_equal(shown.sort_index(), first.sort_index(), check_index_type=False)
