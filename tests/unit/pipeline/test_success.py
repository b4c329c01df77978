"""A study's declared factors: from its tables to the result, or the reason why not."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import StudyFileError
from calaim_eval.pipeline.success import measure_success
from calaim_eval.study.model import Success
from tests.unit.integration.test_success_units import ORGANIZATION, referrals

COUNTIES = ["Alameda", "Kings", "Tulare", "Fresno", "Orange", "Marin", "Napa", "Yolo"]


class Given:
    """Tables as a study has them."""

    def __init__(self, **frames):
        self.frames = frames

    def has(self, name):
        return name in self.frames

    def frame(self, name):
        return self.frames[name]


def study(folder, success):
    window = SimpleNamespace(extract_date="2024-12-31")
    integration = SimpleNamespace(maturation_days=90, success=success)
    return SimpleNamespace(
        folder=folder, file=SimpleNamespace(window=window, integration=integration)
    )


@pytest.fixture
def tables():
    parts = [
        referrals(20, county=c, plan=p, closed=3 * (j + 1) if p == "p" else 2 * (j + 1) - 1)
        for j, c in enumerate(COUNTIES[:6])
        for p in ("p", "q")
    ]
    return Given(referral=pd.concat(parts), organization=ORGANIZATION)


def test_without_declared_factors_nothing_is_made(tmp_path, tables):
    assert measure_success(study(tmp_path, None), tables, "2024Q4") == ({}, {})


def test_factors_of_a_file_reach_the_result(tmp_path, tables):
    rows = pd.DataFrame({"county": COUNTIES, "rank": range(8)})
    rows.to_csv(tmp_path / "counties.csv", index=False)
    success = Success(factors=["rank"], county_factors="counties.csv")
    results, left_out = measure_success(study(tmp_path, success), tables, "2024Q4")
    assert "success_factors" not in left_out
    row = results["success_factors"].to_frame().iloc[0]
    # Closure is (3, 6, ... 18)/20 with one plan and (1, 3, ... 11)/20 with the other: 5/40 a rank.
    assert row["term"] == "rank"
    assert row["estimate"] == pytest.approx(5 / 40)
    assert row["n_members"] == 6 * 2 * 20


def test_too_few_counties_leave_the_reason(tmp_path, tables):
    few = Given(
        referral=tables.frames["referral"][lambda f: f["county"].isin(COUNTIES[:3])],
        organization=ORGANIZATION,
    )
    results, left_out = measure_success(study(tmp_path, Success(factors=["hhp"])), few, "2024Q4")
    assert results == {}
    assert "6 are needed" in left_out["success_factors"]


def test_absent_tables_are_named(tmp_path):
    _, left_out = measure_success(study(tmp_path, Success(factors=["hhp"])), Given(), "2024Q4")
    assert "referral, organization were not provided" in left_out["success_factors"]


def test_an_absent_file_stops_the_study(tmp_path, tables):
    success = Success(factors=["rank"], county_factors="counties.csv")
    with pytest.raises(StudyFileError, match="not beside the study file"):
        measure_success(study(tmp_path, success), tables, "2024Q4")


def test_no_factor_is_no_section():
    with pytest.raises(ValueError, match="name at least one factor"):
        Success()


CALIBRATION = """
[piloted]
column = "pilot"
non_member = 1
crossover = 1
full_member = 1
reason = "a pilot or none"

[closes]
column = "closure"
non_member = 0.1
crossover = 0.39
full_member = 0.5
reason = "two in five is what the program asks"
"""


@pytest.fixture
def piloted(tmp_path):
    """Twelve units of six counties, three of them with a pilot, and a rank."""
    closed = {"Alameda": 10, "Kings": 9, "Tulare": 11, "Fresno": 4, "Orange": 6, "Marin": 5}
    parts = [
        referrals(20, county=county, plan=plan, closed=n + shift)
        for county, n in closed.items()
        for plan, shift in (("p", 1), ("q", -1))
    ]
    pd.DataFrame(
        {"county": COUNTIES, "pilot": [1, 1, 1, 0, 0, 0, 0, 0], "rank": [3, 1, 2, 6, 5, 4, 0, 0]}
    ).to_csv(tmp_path / "counties.csv", index=False)
    (tmp_path / "sets.toml").write_text(CALIBRATION, encoding="utf-8")
    tables = Given(referral=pd.concat(parts), organization=ORGANIZATION)
    combinations = {"calibration": "sets.toml", "outcome": "closes", "conditions": ["piloted"]}
    success = Success(
        factors=["pilot", "rank"], county_factors="counties.csv", combinations=combinations
    )
    return study(tmp_path, success), tables


def test_the_same_units_are_described_in_further_ways(piloted):
    results, left_out = measure_success(*piloted, "2024Q4")
    assert left_out == {}
    wide = results["success_dominance"].keys.assign(value=results["success_dominance"].estimate)
    shares = wide.pivot_table(index="factor", columns="statistic", values="value")
    # By hand: gains in R squared of each factor alone and beside the other, averaged.
    closure = np.array([11, 9, 10, 8, 12, 10, 5, 3, 7, 5, 6, 4]) / 20
    pilot = np.repeat([1.0, 0.0], 6)
    rank = np.repeat([3.0, 1.0, 2.0, 6.0, 5.0, 4.0], 2)

    def explained(*columns):
        x = np.column_stack([np.ones(12), *columns])
        rest = closure - x @ np.linalg.lstsq(x, closure, rcond=None)[0]
        return 1 - rest.var() / closure.var()

    both = explained(pilot, rank)
    expected = (explained(pilot) + both - explained(rank)) / 2
    assert shares.loc["pilot", "share"] == pytest.approx(expected)
    assert shares["share"].sum() == pytest.approx(both)
    # Both are of the county, of which there are six.
    assert shares["noise"].tolist() == pytest.approx([1 / 5, 1 / 5])
    chosen = results["success_selection"].keys.assign(value=results["success_selection"].estimate)
    chosen = chosen[chosen["statistic"] == "frequency"].set_index("term")["value"]
    # One term is chosen in each half.
    assert chosen.sum() == pytest.approx(1)


def test_closed_referrals_of_the_smaller_side_stand_behind_a_factor(piloted):
    results, _ = measure_success(*piloted, "2024Q4")
    for name in ("success_factors", "success_mixed"):
        table = results[name]
        events = dict(zip(table.keys["term"], table.support["n_events"], strict=True))
        # 60 closed in counties with a pilot, 30 in those without.
        assert events == {"pilot": 30, "rank": 90}


def test_what_no_count_stands_behind_is_not_rounded_as_counts_are(piloted):
    results, _ = measure_success(*piloted, "2024Q4")
    released = release(results, policy="opensafely_midpoint_6")
    for name in ("success_dominance", "success_selection", "success_combinations"):
        shown = released.tables[name].frame["estimate"]
        np.testing.assert_allclose(shown, results[name].estimate, rtol=5e-3)


def test_combinations_are_those_of_the_calibrated_sets(piloted):
    results, _ = measure_success(*piloted, "2024Q4")
    found = results["success_combinations"]
    rows = found.keys.assign(value=found.estimate).set_index(["solution", "statistic"])
    assert set(found.keys["term"]) == {"piloted"}
    # Crisp condition: consistency is the mean membership of the outcome where it holds.
    log_odds = np.log(19)
    share = np.array([11, 9, 10, 8, 12, 10]) / 20
    mean = np.mean(1 / (1 + np.exp(-log_odds * (share - 0.39) / (0.5 - 0.39))))
    assert rows.loc[("conservative", "consistency"), "value"] == pytest.approx(mean)
    assert rows.loc[("conservative", "n_cases"), "value"] == 6


def test_what_describes_success_can_be_released(piloted):
    results, _ = measure_success(*piloted, "2024Q4")
    released = release(results)
    assert not released.tables["success_dominance"].frame["is_suppressed"].any()
    assert released.tables["success_selection"].frame["estimate"].notna().any()


def test_an_absent_calibration_file_stops_the_study(piloted, tmp_path):
    (tmp_path / "sets.toml").unlink()
    with pytest.raises(StudyFileError, match=r"`sets.toml`, which is not beside"):
        measure_success(*piloted, "2024Q4")


def test_a_combination_of_one_or_two_places_is_not_asked_for():
    with pytest.raises(ValueError, match="greater than or equal to 3"):
        Success(
            factors=["hhp"],
            combinations={
                "calibration": "sets.toml",
                "outcome": "closes",
                "conditions": ["piloted"],
                "cases": 1,
            },
        )


TWO_SETS = (
    CALIBRATION
    + """
[funded]
column = "money"
non_member = 1
crossover = 1
full_member = 1
reason = "money or none"
"""
)


@pytest.fixture
def funded(tmp_path):
    """Four units each with money and a pilot (they close), a pilot alone, and neither."""

    def given(*, lone_pilots=True, **combinations):
        high, low = (11, 12), (2, 3)
        facts = {"Alameda": (1, 1), "Kings": (1, 1), "Tulare": (0, int(lone_pilots))}
        facts |= {"Fresno": (0, int(lone_pilots)), "Orange": (0, 0), "Marin": (0, 0)}
        parts = [
            referrals(20, county=county, plan=plan, closed=(high if money else low)[i])
            for county, (money, _) in facts.items()
            for i, plan in enumerate(("p", "q"))
        ]
        rows = [(county, *each) for county, each in facts.items()]
        frame = pd.DataFrame(rows, columns=["county", "money", "pilot"])
        frame.to_csv(tmp_path / "counties.csv", index=False)
        (tmp_path / "sets.toml").write_text(TWO_SETS, encoding="utf-8")
        success = Success(
            factors=["money"],
            county_factors="counties.csv",
            combinations={
                "calibration": "sets.toml",
                "outcome": "closes",
                "conditions": ["funded", "piloted"],
                **combinations,
            },
        )
        tables = Given(referral=pd.concat(parts), organization=ORGANIZATION)
        return measure_success(study(tmp_path, success), tables, "2024Q4")

    return given


def terms(results):
    keys = results["success_combinations"].keys
    return {s: set(part["term"]) for s, part in keys.groupby("solution")}


def test_without_expectations_there_is_no_intermediate_solution(funded):
    results, left_out = funded()
    assert terms(results) == {"conservative": {"funded*piloted"}, "parsimonious": {"funded"}}
    assert "success_untenable" not in {**results, **left_out}


@pytest.mark.parametrize(("piloted", "term"), [("present", "funded*piloted"), ("absent", "funded")])
def test_what_is_expected_decides_what_the_intermediate_solution_drops(funded, piloted, term):
    # Nobody has money without a pilot. Such a place may be supposed to close only where the pilot
    # is not expected to help.
    results, left_out = funded(expectations={"funded": "present", "piloted": piloted})
    assert terms(results)["intermediate"] == {term}
    assert f"Expected: funded present, piloted {piloted}." in results["success_combinations"].notes
    assert "no combination" in left_out["success_untenable"]


def test_no_solution_rests_on_what_both_the_outcome_and_its_absence_would_suppose(funded):
    # Both or neither: money alone would explain the outcome, and its absence; so would a pilot.
    both = {"funded": "present", "piloted": "present"}
    results, _ = funded(lone_pilots=False, expectations=both)
    assert set.union(*terms(results).values()) == {"funded*piloted"}
    found = results["success_untenable"].keys
    assert set(found["combination"]) == {"funded*~piloted", "~funded*piloted"}
    assert set(found["reason"]) == {"supposed for the outcome and for its absence"}
    shown = release(results).tables["success_untenable"].frame
    assert not shown["is_suppressed"].any()


def test_what_cannot_be_is_supposed_by_no_solution(funded):
    results, _ = funded(impossible=["funded*~piloted"])
    assert terms(results)["parsimonious"] == {"funded*piloted"}
    assert results["success_untenable"].keys["reason"].tolist() == ["impossible"]


def test_an_expectation_of_what_is_no_condition_is_refused():
    with pytest.raises(ValueError, match=r"`rural`.* not among the conditions"):
        Success(
            factors=["hhp"],
            combinations={
                "calibration": "sets.toml",
                "outcome": "closes",
                "conditions": ["piloted"],
                "expectations": {"rural": "absent"},
            },
        )
