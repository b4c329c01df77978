"""Time in a stage against R survival, through members counted by month."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity.stage_times import stage_times

pytestmark = pytest.mark.shared
NAMES = {"reached": "pcm", "died": "death"}


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "reference" / "integration"


@pytest.fixture(scope="module")
def times(folder):
    """Months from MGUS to a plasma cell malignancy, death competing, everybody in one group."""
    data = pd.read_csv(folder / "data" / "survival_mgus2" / "mgus2.csv")
    spells = data.rename(columns={"etime": "duration_months", "event": "cause"})
    spells = spells.assign(sex=data["sex"])[["sex", "duration_months", "cause"]]
    counted = spells.value_counts().rename("n_alike").reset_index()
    return stage_times(
        {"identified": counted},
        by="sex",
        months=(60, 120, 240),
        outcomes=tuple(NAMES),
        options={"service": "ecm"},
        notes=(),
    )


@pytest.mark.parametrize("month", [60, 120, 240])
@pytest.mark.parametrize("outcome", list(NAMES))
def test_shares_by_month_equal_r_survival(folder, times, month, outcome):
    values = pd.read_csv(folder / "reference_values.csv")
    values = values[values["dataset"] == "survival_mgus2"].set_index("measure")
    frame = times.at_months().to_frame()
    row = frame[
        (frame["sex"] == "all")
        & (frame["component"] == outcome)
        & (frame["within_months"] == month)
    ].iloc[0]
    expected = values.loc[f"AJ CIF {NAMES[outcome]} t={month}"]
    assert row["estimate"] == pytest.approx(float(expected["value"]), abs=float(expected["tol"]))
    error = f"AJ SE CIF {NAMES[outcome]} t={month}"
    if error in values.index:
        expected = values.loc[error]
        assert row["std_error"] == pytest.approx(
            float(expected["value"]), rel=float(expected["tol"])
        )


def test_with_censoring_there_are_no_counts_to_release(times):
    assert times.counts is None
    sums = times.mean_months.to_frame().groupby("sex")["estimate"].sum()
    np.testing.assert_allclose(sums, 240)


def test_grays_test_equals_r_cmprsk(folder, times):
    values = pd.read_csv(folder / "reference_values.csv")
    values = values[values["dataset"] == "survival_mgus2"].set_index("measure")["value"]
    found = times.gray_test().iloc[0]
    assert found["statistic"] == pytest.approx(float(values["Gray test pcm by sex stat"]), abs=1e-4)
