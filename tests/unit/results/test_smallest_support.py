"""A group without an event does not hide that the group beside it has a few."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.equity import (
    das_gupta,
    disparity_measures,
    effect_gap,
    missing_race_effect_bounds,
    rubin_pool,
    tipping_point,
)
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.smallest_support import smallest_support


@pytest.mark.parametrize(
    ("events", "expected"),
    [((0, 5, 80), 5), ((0, 0, 0), 0), ((80, 0, 11), 11), ((np.nan, 5, 0), 5), ((3, 7, 20), 3)],
)
def test_of_events_the_smallest_that_has_any(events, expected):
    sides = np.array([[members, n, 100] for members, n in zip((40, 30, 50), events, strict=True)])
    assert smallest_support(sides).tolist() == [30, expected, 100]


def test_members_not_known_on_one_side_are_not_known():
    assert np.isnan(smallest_support(np.array([[np.nan, 20, 1], [40, 30, 2]]))[0])


def effects(events: dict[str, float]) -> EffectTable:
    k = len(events)
    return EffectTable(
        keys=pd.DataFrame({"race_ethnicity": list(events)}),
        estimate=np.arange(1.0, k + 1),
        covariance=np.eye(k) / 100,
        support=pd.DataFrame(
            {"n_members": 100.0, "n_events": list(events.values()), "member_months": 1000.0}
        ),
        estimand=Estimand("rate", "rate", "visits", is_causal=False),
        method=Method("by hand"),
    )


FEW = effects({"aian": 0, "black": 40, "white": 5, "unknown": 30})
MANY = effects({"aian": 0, "black": 40, "white": 50, "unknown": 30})
MEMBERS = {"aian": 100.0, "black": 100.0, "white": 100.0, "unknown": 50.0}


def gap(table):
    return effect_gap(table, reference="white")


def bounds(table):
    return missing_race_effect_bounds(
        table, missing="unknown", members=MEMBERS, effect_range=(0.0, 9.0), reference="white"
    )


def tips(table):
    shares = {"aian": 0.2, "black": 0.3, "white": 0.5}
    return tipping_point(
        table,
        reference="white",
        missing="unknown",
        shares=shares,
        members=MEMBERS,
        deltas=[0.0],
    )


@pytest.mark.parametrize("compare", [gap, bounds, tips])
def test_a_comparison_of_no_event_with_a_few_is_hidden(compare):
    frame = release({"found": compare(FEW)}).tables["found"].frame
    assert frame.loc[frame["race_ethnicity"] == "aian", "is_suppressed"].all()
    shown = release({"found": compare(MANY)}).tables["found"].frame
    assert not shown.loc[shown["race_ethnicity"] == "aian", "is_suppressed"].any()


@pytest.mark.parametrize(("n", "is_hidden"), [(5, True), (50, False)])
def test_a_spread_over_no_event_and_a_few_is_hidden(n, is_hidden):
    counts = pd.DataFrame(
        {
            "race_ethnicity": ["aian", "black", "white"],
            "events": [0, 80, n],
            "member_months": [200, 900, 1000],
            "n_members": [100, 100, 100],
        }
    )
    found = disparity_measures(
        counts,
        reference="white",
        favourable=False,
        weights="equal",
        per=1000,
        unit="visits",
        measures=["rate_difference", "between_group_sd"],
    )
    frame = release({"found": found.tables()["differences"]}).tables["found"].frame
    compared = frame[frame["race_ethnicity"].isin(["aian", "all"])]
    assert set(compared["race_ethnicity"]) == {"aian", "all"}
    assert (compared["is_suppressed"] == is_hidden).all()


def test_effects_pooled_over_imputations_keep_the_few_of_one_of_them():
    assert rubin_pool([effects({"white": n}) for n in (0.0, 4.0, 30.0)]).support["n_events"][0] == 4


def test_parts_over_strata_keep_the_few_of_one_of_them():
    frame = pd.DataFrame(
        {
            "race_ethnicity": ["black", "black", "white", "white"],
            "age_band": ["young", "old"] * 2,
            "use": [0.0, 0.2, 0.1, 0.3],
            "need": [0.5, 0.4, 0.3, 0.2],
            "n_members": [30, 50, 60, 70],
            "n_events": [0, 5, 12, 13],
            "member_months": [300.0, 500.0, 600.0, 700.0],
        }
    )
    found = das_gupta(
        frame,
        by="race_ethnicity",
        reference="white",
        factors=["use", "need"],
        within="age_band",
        unit="rate",
    )
    assert found.support.to_numpy().tolist() == [[30, 5, 300]] * len(found)
