from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from calaim_eval.integration.clustered_shares import clustered_shares
from calaim_eval.results.intervals import wilson_interval


def test_one_trial_per_cluster_is_at_least_as_wide_as_wilson():
    success = pd.Series([True] * 30 + [False] * 70)
    row = clustered_shares(success, group=None, cluster=pd.Series(range(100))).loc["all"]
    low, high = proportion_confint(30, 100 * 99 / 100, method="wilson")
    # One trial per cluster: v = p(1-p)/(n-1), so 99 effective trials with the same share.
    expected = wilson_interval(np.array([29.7]), np.array([99.0]))
    assert row["conf_low"] == pytest.approx(expected[0][0], abs=1e-12)
    assert row["conf_high"] == pytest.approx(expected[1][0], abs=1e-12)
    assert low < row["conf_high"] < high + 0.01


def test_trials_that_copy_each_other_within_members_count_once():
    once = pd.Series([True] * 12 + [False] * 28)
    members = pd.Series(range(40))
    alone = clustered_shares(once, group=None, cluster=members)
    five_times = clustered_shares(
        pd.concat([once] * 5), group=None, cluster=pd.concat([members] * 5)
    )
    for bound in ("conf_low", "conf_high"):
        assert five_times.loc["all", bound] == pytest.approx(alone.loc["all", bound], abs=1e-12)
    assert five_times.loc["all", "denominator"] == 200


def test_effective_trials_equal_brute_force():
    rng = np.random.default_rng(3)
    cluster = pd.Series(rng.integers(0, 15, 200))
    success = pd.Series(rng.random(200) < 0.2 + 0.5 * (cluster % 2))
    row = clustered_shares(success, group=None, cluster=cluster).loc["all"]
    share = success.mean()
    residual = (success - share).groupby(cluster).sum()
    variance = 15 / 14 * (residual**2).sum() / 200**2
    effective = share * (1 - share) / variance
    assert effective < 200
    low, high = wilson_interval(np.array([share * effective]), np.array([effective]))
    assert row["conf_low"] == pytest.approx(low[0], abs=1e-12)
    assert row["conf_high"] == pytest.approx(high[0], abs=1e-12)


def test_all_succeed_uses_members_not_referrals():
    row = clustered_shares(
        pd.Series([True] * 30), group=None, cluster=pd.Series([0, 1, 2] * 10)
    ).loc["all"]
    assert row["conf_low"] == pytest.approx(proportion_confint(3, 3, method="wilson")[0])


def test_groups_without_a_trial_are_rows_and_add_to_the_margin():
    table = clustered_shares(
        pd.Series([True, False, True]),
        group=pd.Series(["a", "a", "b"]),
        cluster=pd.Series([1, 1, 2]),
        groups=["a", "b", "c"],
    )
    assert table.index.tolist() == ["all", "a", "b", "c"]
    assert table["numerator"].tolist() == [2, 1, 1, 0]
    assert table["denominator"].tolist() == [3, 2, 1, 0]
    assert table["n_clusters_with_success"].tolist() == [2, 1, 1, 0]
    assert np.isnan(table.loc["c", "conf_low"])


def test_t_is_wider_than_normal_and_undefined_for_one_cluster():
    success, plan = pd.Series([True, False, True, False] * 5), pd.Series(list("aabbccddee") * 2)
    by_t = clustered_shares(success, group=None, cluster=plan, reference="t").loc["all"]
    by_z = clustered_shares(success, group=None, cluster=plan).loc["all"]
    assert by_t["conf_low"] < by_z["conf_low"]
    one = clustered_shares(success, group=None, cluster=pd.Series(["a"] * 20), reference="t")
    assert np.isnan(one.loc["all", "conf_low"])
