"""Hazard regressions of competing endings against R survival and cmprsk."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import competing_hazards, joint_test


@pytest.fixture
def mgus2(shared):
    frame = pd.read_csv(
        shared / "reference" / "integration" / "data" / "survival_mgus2" / "mgus2.csv"
    )
    return frame.assign(male=(frame["sex"] == "M").astype(float))


@pytest.fixture
def expected(shared):
    table = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv")
    return table[table["dataset"] == "survival_mgus2"].set_index("measure")


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("subdistribution", ["Fine-Gray pcm coef age", "Fine-Gray pcm coef male"]),
        (
            "cause_specific",
            ["cause-specific Cox(efron) pcm coef age", "cause-specific Cox(efron) pcm coef sexM"],
        ),
    ],
)
def test_coefficients(mgus2, expected, model, names):
    table = competing_hazards(
        mgus2, duration="etime", cause="event", factors=["age", "male"], model=model
    )
    for found, name in zip(np.log(table.estimate), names, strict=True):
        row = expected.loc[name]
        assert abs(found - float(row["value"])) <= float(row["tol"])


@pytest.mark.parametrize(("cause", "name"), [(1, "pcm"), (2, "death")])
def test_groups_are_told_apart_as_by_gray(mgus2, expected, cause, name):
    """Another variance than Gray's, robust and clustered: the same to half a per cent here."""
    table = competing_hazards(
        mgus2,
        duration="etime",
        cause="event",
        factors=["male"],
        cause_of_interest=cause,
        censoring_by="sex",
    )
    gray = float(expected.loc[f"Gray test {name} by sex stat", "value"])
    assert joint_test(table)["statistic"].iloc[0] == pytest.approx(gray, rel=0.005)
