"""Rows without a standard error: no covariance, no cluster influence, so no p-value elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel

from calaim_eval.equity import effect_gap
from calaim_eval.estimate import (
    aggregate,
    cluster_intervals,
    count_effects,
    group_time_att,
    negative_control,
    pre_post,
    triple_difference,
    two_way_fixed_effects,
    wild_bootstrap_p_values,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined


def reduced(frame: pd.DataFrame, **names: str) -> CellMoments:
    return reduce_panel(
        frame, outcomes=["visits"], cluster="county", unbalanced="cell_means", **names
    )


def one_exposed() -> pd.DataFrame:
    """In stratum y a single exposed member; in x several."""
    frame = county_panel(2)
    exposed = frame["cohort"].notna() & (frame["group"] == "y")
    first = frame.loc[exposed, "member_id"].iloc[0]
    return frame[~exposed | (frame["member_id"] == first)]


def effects(moments: CellMoments) -> EffectTable:
    return group_time_att(moments, outcome="visits", cluster="county")


ESTIMATORS = {
    "group_time_att": effects,
    "aggregate": lambda m: aggregate(effects(m)),
    "count_effects": lambda m: count_effects(m, outcome="visits", cluster="county"),
    "two_way_fixed_effects": lambda m: two_way_fixed_effects(
        m, outcome="visits", fixed_effects="cohort", cluster="county"
    ),
    "pre_post": lambda m: pre_post(
        m, outcome="visits", months_before=2, months_after=2, cluster="county"
    ),
    "negative_control": lambda m: negative_control(
        m, outcomes={"visits": "no part of the service"}, cluster="county"
    ),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_single_exposed_member_has_no_p_value_and_others_keep_theirs(name: str) -> None:
    table = ESTIMATORS[name](reduced(one_exposed(), stratum="group"))
    alone = table.support["n_members"].to_numpy() < 2
    assert alone.any()
    assert not alone.all()
    found = wild_bootstrap_p_values(table, weights="rademacher")
    assert np.isnan(table.std_error[alone]).all()
    assert found.loc[alone, ["p_value", "conf_low", "conf_high"]].isna().all(axis=None)
    assert (found.loc[alone, "draws"] == 0).all()
    assert cluster_intervals(table).loc[alone, "df"].isna().all()
    whole = reduced(county_panel(2).query("group == 'x'"))
    plain = wild_bootstrap_p_values(ESTIMATORS[name](whole), weights="rademacher")
    kept = found.loc[(table.keys["group"] == "x").to_numpy(), "p_value"].to_numpy()
    assert kept == pytest.approx(plain["p_value"].to_numpy(), nan_ok=True)


def test_without_exposed_events_there_is_no_p_value() -> None:
    frame = county_panel(2)
    frame.loc[frame["month"] >= frame["cohort"], "visits"] = 0
    table = count_effects(reduced(frame), outcome="visits", scale="difference", cluster="county")
    assert np.isnan(table.std_error).all()
    row = wild_bootstrap_p_values(table, weights="rademacher").iloc[0]
    assert row[["p_value", "conf_low", "conf_high"]].isna().all()


def test_a_triple_difference_with_a_single_member_has_no_p_value() -> None:
    table = triple_difference(
        reduced(one_exposed(), stratum="group"),
        outcome="visits",
        stratum="group",
        target="y",
        reference="x",
        cluster="county",
    )
    assert np.isnan(table.std_error).all()
    assert wild_bootstrap_p_values(table, weights="rademacher")["p_value"].isna().all()


def three_rows() -> EffectTable:
    """Three estimates with five clusters; the second undefined."""
    psi = np.array([[1.0, 2, 3], [-1, 1, 0], [0, -3, 1], [2, 0, -4], [-2, 0, 0]])
    covariance, influence = with_undefined(
        psi.T @ psi, pd.DataFrame(psi), np.array([False, True, False])
    )
    return EffectTable(
        keys=pd.DataFrame({"group": ["a", "b", "c"]}),
        estimate=np.array([1.0, 2.0, 4.0]),
        covariance=covariance,
        support=pd.DataFrame({"n_members": [9] * 3, "n_events": 9, "member_months": 9.0}),
        estimand=Estimand("ATT", "a minus b", "visits"),
        method=Method("by hand"),
        cluster_influence=influence,
    )


def test_arguments_stay_as_they_are() -> None:
    covariance, influence = np.eye(2), pd.DataFrame(np.eye(2), index=["p", "q"])
    blank, without = with_undefined(covariance, influence, np.array([True, False]))
    assert (covariance == np.eye(2)).all()
    assert (influence.to_numpy() == np.eye(2)).all()
    assert np.isnan(blank).tolist() == [[True, True], [True, False]]
    assert without.index.tolist() == ["p", "q"]
    assert np.isnan(without.to_numpy()).tolist() == [[True, False], [True, False]]
    assert with_undefined(covariance, None, np.array([True, False]))[1] is None


def test_an_undefined_row_spoils_only_the_combinations_that_use_it() -> None:
    table = three_rows()
    weights = np.array([[1.0, 0, -1], [1, -1, 0]])
    both = table.combine(weights, keys=pd.DataFrame({"term": ["a - c", "a - b"]}))
    assert both.cluster_influence[0].tolist() == [-2.0, -1.0, -1.0, 6.0, -2.0]
    assert both.cluster_influence[1].isna().all()
    assert both.covariance[0, 0] == pytest.approx(46.0)
    assert np.isnan(both.covariance[1]).all()


def test_gaps_to_an_undefined_effect_have_no_p_value() -> None:
    gaps = effect_gap(three_rows(), reference="a", stratum="group")
    found = wild_bootstrap_p_values(gaps, weights="rademacher").set_index("group")["p_value"]
    assert np.isnan(found["b"])
    assert np.isfinite(found["c"])


def test_a_ratio_of_gaps_that_is_refused_has_no_p_value() -> None:
    table = replace(three_rows(), estimate=np.array([1.0, np.nan, 30.0]))
    gaps = effect_gap(table, reference="c", stratum="group", scale="ratio")
    found = wild_bootstrap_p_values(gaps, weights="rademacher").set_index("group")
    assert np.isfinite(found.loc["a", "estimate"])
    assert np.isnan(found.loc["b", "p_value"])
