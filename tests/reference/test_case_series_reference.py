"""Segmented quasi-Poisson series against R."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import interrupted_time_series, regression


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


@pytest.mark.parametrize(
    ("pairs", "measure"),
    [
        (0, "quasipoisson step RR smokban (no season)"),
        (2, "quasipoisson step RR with 2 harmonic pairs"),
    ],
)
def test_step_alone_of_the_smoking_ban(shared, expected, pairs, measure):
    """Model 1 of Lopez Bernal et al. 2017: a step and a trend, months as rows of their own."""
    folder = shared / "reference" / "integration" / "data" / "its_sicily"
    frame = pd.read_csv(next(folder.glob("*.csv")))
    waves = {
        f"{name}{k}": wave(2 * np.pi * k * frame["month"] / 12)
        for k in range(1, pairs + 1)
        for name, wave in (("sin", np.sin), ("cos", np.cos))
    }
    table = regression(
        frame.assign(**waves).rename(columns={"month": "month_of_year"}),
        outcome="aces",
        exposure="smokban",
        covariates=["time", *waves],
        model="poisson",
        at_risk="stdpop",
        member_id="time",
        month=None,
    )
    assert expected(table.estimate[0], measure)


@pytest.mark.parametrize(
    ("options", "ratio", "error"),
    [
        ({}, "quasipoisson step RR smokban (no season)", "quasi SE log RR"),
        (
            {"seasonality": "harmonic", "harmonics": 2, "season_length": 12},
            "quasipoisson step RR with 2 harmonic pairs",
            "quasi SE log RR harmonic",
        ),
    ],
)
def test_step_of_the_smoking_ban_with_its_error(sicily, expected, options, ratio, error):
    frame, start = sicily
    found = interrupted_time_series(
        frame,
        outcome="aces",
        month="time",
        member_months="stdpop",
        break_month=start,
        model="quasi_poisson",
        std_error="model",
        change="level",
        **options,
    )
    step = found.to_frame().set_index("term").loc["level_change"]
    assert expected(step["estimate"], ratio)
    assert expected(step["std_error"] / step["estimate"], error)
    if not options:
        assert expected(found.diagnostics["dispersion"].iloc[0], "dispersion")
