"""Case conferences and case finding from homeless-services records, by group; two points."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import CalaimEvalError, EstimationError, TableError
from calaim_eval.estimate import interrupted_time_series
from calaim_eval.integration.coordinator import (
    case_conference_months,
    case_conference_referrals,
    case_finding_yield,
    coordinator_evidence,
)

# As the tables of an HMIS export: services under a local code, coordinated-entry events.
HOMELESS_SERVICE = pd.DataFrame(
    [
        ("p1", "2024-01-10", "case_conference"),
        ("p1", "2024-02-14", "case_conference"),
        ("p2", "2024-01-10", "case_conference"),
        ("p3", "2024-01-10", "case_conference"),
        ("p4", "2024-02-14", "case_conference"),
        ("p5", "2024-04-10", "case_conference"),
        ("p6", "2024-01-10", "bus_pass"),
        (None, "2024-01-10", "case_conference"),
    ],
    columns=["member_id", "service_date", "homeless_service_code"],
)
REFERRAL = pd.DataFrame(
    [
        ("p1", "2024-03-01", "2024-03-20"),  # sixteen days after the second meeting
        ("p2", "2024-01-09", "2024-01-15"),  # the day before
        ("p3", "2024-01-10", None),  # on the day
        ("p4", "2024-03-15", "2024-04-01"),  # on day 30
        ("p5", "2024-05-11", "2024-05-20"),  # on day 31
        ("p6", "2024-01-12", "2024-01-20"),  # not discussed
    ],
    columns=["member_id", "referred_date", "service_started_date"],
)


def frames():
    """The two tables under the names the functions take."""
    met = HOMELESS_SERVICE[HOMELESS_SERVICE["homeless_service_code"] == "case_conference"]
    names = {"member_id": "person_id", "service_date": "conference_date"}
    return met.rename(columns=names), REFERRAL.rename(columns=names)


def test_referrals_after_a_conference_by_hand():
    found = case_conference_referrals(*frames())
    assert found.keys["step"].tolist() == ["referred", "started"]
    assert found.numerator.tolist() == [3, 2]  # p1, p3, p4; p3 has not begun
    assert found.denominator.tolist() == [5, 5]
    assert any("not thereby made by it" in note for note in found.notes)
    assert any("left out" in note for note in found.notes)
    assert case_conference_referrals(*frames(), days=31).numerator.tolist() == [4, 3]


def test_groups_add_up_to_all_and_no_person_is_lost():
    race = pd.Series({"p1": "black", "p2": "black", "p3": "white"}, name="race_ethnicity")
    found = case_conference_referrals(*frames(), group=race).to_frame()
    counts = found.set_index(["race_ethnicity", "step"])[["numerator", "denominator"]]
    assert counts.loc[("black", "referred")].tolist() == [1, 2]
    assert counts.loc[("white", "referred")].tolist() == [1, 1]
    assert counts.loc[("unknown", "referred")].tolist() == [1, 2]
    assert counts.loc[("all", "referred")].tolist() == [3, 5]


def test_months_without_a_meeting_are_there():
    months = case_conference_months(*frames())
    assert months["month"].astype(str).tolist() == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert months["n_discussed"].tolist() == [3, 2, 0, 1]
    assert months["n_referred"].tolist() == [1, 2, 0, 0]


def test_case_finding_by_group_hides_small_counts():
    n = 60
    screening = pd.DataFrame(
        {"person_id": range(n), "screening_date": "2024-01-05", "value": [25] * 40 + [3] * 20}
    )
    referral = pd.DataFrame(
        {
            "person_id": range(30),
            "referred_date": "2024-01-20",
            "service_started_date": ["2024-02-01"] * 15 + [None] * 15,
        }
    )
    race = pd.Series(["black"] * 25 + ["white"] * 35, index=range(n), name="race_ethnicity")
    table = case_finding_yield(screening, referral, threshold=20, group=race)
    counts = table.to_frame().set_index(["race_ethnicity", "step"])["numerator"]
    assert counts["black"].tolist() == [25, 25, 15]
    assert counts["white"].tolist() == [15, 5, 0]
    assert counts["all"].tolist() == [40, 30, 15]
    shown = release({"case_finding": table}).tables["case_finding"].frame
    numbers = shown.set_index(["race_ethnicity", "step"])["numerator"]
    assert pd.isna(numbers["white", "referred"])


def test_groups_without_a_name_or_twice_are_refused():
    twice = pd.Series(["a", "b"], index=["p1", "p1"], name="race_ethnicity")
    for group in (twice, pd.Series(["a"], index=["p1"])):
        with pytest.raises(TableError, match="has no name, or a person twice"):
            case_conference_referrals(*frames(), group=group)


def test_nobody_discussed_and_negative_days_are_refused():
    conference, referral = frames()
    with pytest.raises(EstimationError, match="nobody was discussed"):
        case_conference_referrals(conference.assign(person_id=None), referral)
    with pytest.raises(EstimationError, match="`days` is -1"):
        case_conference_referrals(conference, referral, days=-1)
    with pytest.raises(TableError, match="`conference` lacks `conference_date`"):
        case_conference_referrals(referral, referral)


def test_two_points_have_no_trend():
    """The published 220 and 433: described, refused as a series."""
    points = pd.DataFrame(
        {
            "county": "Kings and Tulare",
            "month": pd.PeriodIndex(["2023-10", "2024-06"], freq="M"),
            "referrals": [220, 433],
            "persons": [1470, 1470],
        }
    )
    found = coordinator_evidence(
        points,
        place="Kings and Tulare",
        start="2024-01",
        count="referrals",
        at_risk="persons",
    )
    assert found.stage == "description"
    assert found.effects is None
    assert np.isnan(found.placebo_p_value)
    assert found.rates["count"].tolist() == [220, 433]
    with pytest.raises(CalaimEvalError):
        interrupted_time_series(
            points, outcome="referrals", member_months="persons", break_month="2024-01"
        )


def test_persons_that_are_numbers_are_the_same_beside_an_empty_cell():
    """An empty cell makes a column of whole numbers decimal; the persons stay who they are."""
    conference, referral = frames()
    number = {f"p{at}": at for at in range(1, 7)}
    group = pd.Series(dict.fromkeys(number, "a"), name="race_ethnicity")
    expected = case_conference_referrals(conference, referral, group=group).to_frame()
    found = case_conference_referrals(
        conference.assign(person_id=conference["person_id"].map(number)),
        referral.assign(person_id=referral["person_id"].map(number)),
        group=group.rename(index=number),
    ).to_frame()
    assert conference["person_id"].map(number).dtype == float
    pd.testing.assert_frame_equal(found, expected)


def test_evidence_of_few_months_prints_no_counts():
    months = case_conference_months(*frames()).assign(county="Kings")
    found = coordinator_evidence(
        months,
        place="Kings",
        start=pd.Period("2024-02", "M"),
        count="n_referred",
        at_risk="n_discussed",
    )
    assert repr(found) == "<CoordinatorEvidence description: 1 months before, 3 after>"
