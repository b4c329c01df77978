"""A study's declared factors: from its tables to the result, or the reason why not."""

from types import SimpleNamespace

import pandas as pd
import pytest

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
    assert left_out == {}
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
