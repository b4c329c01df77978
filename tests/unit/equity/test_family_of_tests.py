"""A declared family: adjusted p-values by hand, bands that hold for all rows at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.equity import adjust_family
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import simultaneous_bands
from calaim_eval.results import EffectTable, Estimand, Method

GROUPS = ["black", "asian", "aian"]


def gaps(estimate, covariance=None, *, scale="difference", influence=None) -> EffectTable:
    k = len(estimate)
    if influence is not None:
        covariance = influence.to_numpy().T @ influence.to_numpy()
    return EffectTable(
        keys=pd.DataFrame({"race_ethnicity": GROUPS[:k], "reference": "white"}),
        estimate=np.asarray(estimate, dtype=float),
        covariance=np.eye(k) if covariance is None else covariance,
        support=pd.DataFrame({"n_members": [30] * k, "n_events": 30, "member_months": 90.0}),
        estimand=Estimand("gap", "group minus white", "visits", scale),
        method=Method("difference of effects"),
        cluster_influence=influence,
    )


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_one_table_has_the_bands_of_an_event_study_and_the_family_in_every_row():
    covariance = np.array([[1.0, 0.5, 0.2], [0.5, 2, 0.1], [0.2, 0.1, 3]])
    table = gaps([3, 1, 2], covariance)
    found = adjust_family(table, family="gaps in ED visits", rng=rng())
    frame, bands = found.to_frame(), simultaneous_bands(table, rng=rng())
    assert frame["family"].tolist() == ["gaps in ED visits"] * 3
    for column in ("simultaneous_low", "simultaneous_high", "critical_value", "p_value"):
        assert frame[column].tolist() == bands[column].tolist()
    p = frame["p_value"].tolist()
    assert frame["p_adjusted"].tolist() == pytest.approx([3 * p[0], max(2 * p[2], p[1]), 2 * p[2]])
    assert frame["n_tests"].tolist() == [3] * 3
    assert "table" not in frame
    assert found.tables()[""].method.options["family"] == "gaps in ED visits"


def test_outcomes_without_a_joint_covariance_share_out_the_error():
    """Two tables at 97.5 % each: of one row, the quantile is that of a 97.5 % interval."""
    tables = {"visits": gaps([3.0]), "stays": gaps([1.0])}
    frame = adjust_family(tables, family="both", rng=rng(), method="bonferroni").to_frame()
    assert frame["critical_value"].tolist() == pytest.approx([2.2414] * 2, abs=0.02)
    assert frame["bands"].tolist() == ["split"] * 2
    assert frame["conf_high"].tolist() == pytest.approx([3 + 1.959964, 1 + 1.959964])
    assert frame["p_adjusted"].tolist() == pytest.approx((2 * frame["p_value"]).tolist())
    assert frame["table"].tolist() == ["visits", "stays"]


def test_outcomes_over_the_same_clusters_have_one_critical_value():
    """The same gap twice is one gap: the critical value is that of a single interval."""
    index = pd.Index(range(8), name="county")
    influence = pd.DataFrame(np.random.default_rng(1).normal(size=(8, 1)), index=index)
    tables = {"visits": gaps([3.0], influence=influence), "twice": gaps([3.0], influence=influence)}
    frame = adjust_family(tables, family="both", rng=rng()).to_frame()
    assert frame["bands"].tolist() == ["joint"] * 2
    assert frame["critical_value"].tolist() == pytest.approx([1.96] * 2, abs=0.02)
    elsewhere = {**tables, "twice": gaps([3.0], influence=influence.set_axis(range(1, 9)))}
    assert adjust_family(elsewhere, family="both", rng=rng()).frame["bands"].tolist() == [
        "split",
        "split",
    ]


def test_scales_may_mix_and_rows_without_an_error_are_not_counted():
    unknown = np.diag([1.0, np.nan])
    tables = {
        "ratio": gaps([1.5, 0.9], 0.01 * np.eye(2), scale="ratio"),
        "d": gaps([3, 2], unknown),
    }
    frame = adjust_family(tables, family="all", rng=rng()).to_frame()
    assert frame["n_tests"].tolist() == [3] * 4
    assert np.isnan(frame["p_adjusted"].iloc[3])
    assert np.isnan(frame["simultaneous_low"].iloc[3])
    assert (frame["simultaneous_low"].iloc[:2] > 0).all()


def test_bands_hold_for_the_whole_family_as_often_as_they_claim():
    """Three gaps to one reference in two outcomes that go together, drawn 4,000 times."""
    draws = np.random.default_rng(3)
    covariance = 0.5 * np.eye(3) + 0.5
    tables = {"visits": gaps([0.0] * 3, covariance), "stays": gaps([0.0] * 3, covariance)}
    frame = adjust_family(tables, family="all", rng=rng()).to_frame()
    crit = frame["critical_value"].iloc[0]
    one = draws.multivariate_normal(np.zeros(3), covariance, 4000)
    two = 0.6 * one + 0.8 * draws.multivariate_normal(np.zeros(3), covariance, 4000)
    held = (np.abs(np.hstack([one, two])).max(axis=1) <= crit).mean()
    assert held >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 4000)


def test_a_family_of_few_clusters_has_bands_of_students_t():
    few = replace(gaps([1.0, 2, 3], 0.2 * np.eye(3)), degrees=np.full(3, 4.0))
    one = adjust_family(few, family="all", rng=rng()).to_frame()
    split = adjust_family({"a": few, "b": few}, family="all", rng=rng()).to_frame()
    assert (one["critical_value"] > stats.t.ppf(0.975, 4)).all()
    assert (one["simultaneous_low"] < one["conf_low"]).all()
    assert (split["critical_value"] > stats.t.ppf(1 - 0.025 / 2, 4)).all()


def test_what_is_refused():
    with pytest.raises(EstimationError, match="`family` is empty"):
        adjust_family(gaps([1.0]), family=" ", rng=rng())
    with pytest.raises(EstimationError, match="no row of these tables"):
        adjust_family(gaps([1.0], np.array([[np.nan]])), family="x", rng=rng())
    with pytest.raises(DesignError, match="`method`"):
        adjust_family(gaps([1.0]), family="x", rng=rng(), method="fdr")
