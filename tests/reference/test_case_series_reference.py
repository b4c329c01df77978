"""Segmented quasi-Poisson series against R."""

import pandas as pd
import pytest

from calaim_eval.estimate import interrupted_time_series


@pytest.fixture
def expected(shared):
    table = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv")
    rows = table[table["dataset"] == "its_sicily"].set_index("measure")

    def near(found, measure):
        row = rows.loc[measure]
        return abs(found - float(row["value"])) <= float(row["tol"])

    return near


@pytest.fixture
def sicily(shared):
    folder = shared / "reference" / "integration" / "data" / "its_sicily"
    frame = pd.read_csv(next(folder.glob("*.csv")))
    start = int(frame.loc[frame["smokban"] == 1, "time"].min())
    return frame[["time", "aces", "stdpop"]], start


def test_step_and_slope_of_the_smoking_ban(sicily, expected):
    frame, start = sicily
    effects = interrupted_time_series(
        frame,
        outcome="aces",
        month="time",
        member_months="stdpop",
        break_month=start,
        model="quasi_poisson",
        std_error="model",
    ).to_frame()
    found = effects.set_index("term")["estimate"]
    assert expected(found["level_change"], "step+slope model: RR step at t=37")
    assert expected(found["slope_change"], "step+slope model: RR slope change/month")
