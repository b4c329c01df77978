"""Comparisons of effects with few clusters keep Student's t."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.equity import (
    disparity_measures,
    effect_gap,
    missing_race_effect_bounds,
    tipping_point,
)
from calaim_eval.results import EffectTable, Estimand, Method

DEGREES = {"aian": 40.0, "black": 4.0, "white": 9.0, "unknown": 20.0}
MEMBERS = dict.fromkeys(DEGREES, 100.0)


def effects(*names: str) -> EffectTable:
    return EffectTable(
        keys=pd.DataFrame({"race_ethnicity": list(names)}),
        estimate=np.linspace(1.0, 2.0, len(names)),
        covariance=np.eye(len(names)) / 100,
        support=pd.DataFrame(
            {"n_members": [90.0] * len(names), "n_events": 90.0, "member_months": 900.0}
        ),
        estimand=Estimand("rate", "rate", "visits", is_causal=False),
        method=Method("by hand"),
        degrees=np.array([DEGREES[n] for n in names]),
    )


def test_disparity_measures():
    population = pd.Series({"aian": 1.0, "black": 2.0, "white": 3.0})
    found = disparity_measures(
        effects("aian", "black", "white"),
        reference="white",
        favourable=False,
        weights="population",
        population=population,
        measures=["rate_difference", "mean_log_deviation"],
    )
    frame = found.to_frame().set_index(["measure", "race_ethnicity"])
    wide = (frame["conf_high"] - frame["conf_low"]) / 2 / frame["std_error"]
    assert wide["rate_difference", "aian"] == pytest.approx(stats.t.ppf(0.975, 9))
    assert wide["rate_difference", "black"] == pytest.approx(stats.t.ppf(0.975, 4))
    row = frame.loc[("mean_log_deviation", "all")]
    half = row["conf_high"] - row["estimate"]
    assert half / row["std_error"] == pytest.approx(stats.t.ppf(0.975, 4))
    assert set(found.tables()["differences"].degrees) == {9.0, 4.0}


def test_tipping_point():
    table = effects("aian", "black", "white", "unknown")
    found, normal = (
        tipping_point(
            each,
            reference="white",
            missing="unknown",
            shares={"aian": 0.2, "black": 0.3, "white": 0.5},
            members=MEMBERS,
            deltas=[0.0],
        ).to_frame()
        for each in (table, replace(table, degrees=None))
    )
    gap = effect_gap(table, reference="white").to_frame().set_index("race_ethnicity")
    for group, df in (("aian", 9), ("black", 4)):
        rows = found[found["race_ethnicity"] == group].set_index("restriction")
        alone = rows.loc["reported_only"]
        assert alone["conf_low"] == pytest.approx(gap.loc[group, "conf_low"])
        half = (alone["conf_high"] - alone["conf_low"]) / 2
        assert half == pytest.approx(stats.t.ppf(0.975, df) * np.sqrt(0.02))
    # Members without a record are put among groups by what all groups have.
    wide = (found["conf_high"] - found["set_high"]) / (normal["conf_high"] - normal["set_high"])
    factor = wide[found["restriction"] != "reported_only"] * stats.norm.ppf(0.975)
    assert factor.to_numpy() == pytest.approx(stats.t.ppf(0.975, 4))


def test_bounds_of_effects():
    found = missing_race_effect_bounds(
        effects("black", "white", "unknown"),
        missing="unknown",
        members=MEMBERS,
        effect_range=(-20.0, 20.0),
        reference="white",
    ).to_frame()
    alone = found[found["restriction"] == "reported_only"].iloc[0]
    assert alone["conf_high"] - alone["set_high"] == pytest.approx(
        stats.t.ppf(0.975, 4) * np.sqrt(0.02)
    )
