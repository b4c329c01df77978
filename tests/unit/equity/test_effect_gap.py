from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.equity import effect_gap, effect_homogeneity
from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable, Estimand, Method, stack


def effects(estimate, covariance, *, groups=("white", "black", "aian"), **more) -> EffectTable:
    estimate = np.asarray(estimate, dtype=float)
    k = len(estimate)
    scale = more.pop("scale", "difference")
    keys = more.pop("keys", pd.DataFrame({"race_ethnicity": list(groups)[:k]}))
    n = np.arange(20, 20 + k)
    return EffectTable(
        keys=keys,
        estimate=estimate,
        covariance=np.asarray(covariance, dtype=float),
        support=pd.DataFrame({"n_members": n, "n_events": 2 * n, "member_months": 9.0 * n}),
        estimand=Estimand("ATT", "exposed minus not", "ED visits per 1,000 member-months", scale),
        method=Method("group-time ATT"),
        **more,
    )


CORRELATED = np.array([[4.0, 1.0, 0.5], [1.0, 9.0, 0.2], [0.5, 0.2, 16.0]])


def test_difference_uses_the_joint_covariance():
    gap = effect_gap(effects([-10, -4, -1], CORRELATED), reference="white")
    assert gap.keys["race_ethnicity"].tolist() == ["black", "aian"]
    assert gap.keys["reference"].tolist() == ["white", "white"]
    assert gap.estimate.tolist() == [6, 9]
    assert gap.covariance[0, 0] == 4 + 9 - 2 * 1
    assert gap.covariance[0, 1] == pytest.approx(4 + 0.2 - 1 - 0.5)
    assert gap.support["n_members"].tolist() == [20, 20]


def test_ratio_by_the_delta_method_equals_the_gap_of_logs():
    gap = effect_gap(effects([-10, -4, -1], CORRELATED), reference="white", scale="ratio")
    assert gap.estimate.tolist() == [0.4, 0.1]
    log_variance = 9 / 16 + 4 / 100 - 2 * 1 / 40
    assert gap.std_error[0] / 0.4 == pytest.approx(np.sqrt(log_variance))
    assert gap.estimand.scale == "ratio"
    assert gap.estimand.unit == "ratio of effects"


def test_ratio_to_an_effect_that_may_be_zero_is_refused():
    with pytest.raises(EstimationError, match=r"in 1 of 1 rows, so its sign is not known"):
        effect_gap(effects([-3, -4, -1], CORRELATED), reference="white", scale="ratio")


def test_ratio_of_effects_of_other_sign_is_undefined_and_says_so():
    gap = effect_gap(effects([-10, 4, -1], CORRELATED), reference="white", scale="ratio")
    assert np.isnan(gap.estimate[0])
    assert gap.estimate[1] == 0.1
    assert np.isnan(gap.covariance[0, 1])
    assert any("differ in sign" in note for note in gap.notes)


def test_ratio_of_rate_ratios_needs_no_sign_check():
    table = effects([0.9, 0.8, 1.1], CORRELATED, scale="ratio")
    gap = effect_gap(table, reference="white", scale="ratio")
    assert gap.estimate == pytest.approx([8 / 9, 11 / 9])
    assert gap.estimand.unit == "ratio of ratios"


def test_gaps_are_within_the_other_keys():
    keys = pd.DataFrame(
        {"event_time": [0, 0, 1, 1], "race_ethnicity": ["white", "black", "black", "white"]}
    )
    gap = effect_gap(effects([1, 3, 10, 20], np.eye(4), keys=keys), reference="white")
    assert gap.keys.columns.tolist() == ["event_time", "race_ethnicity", "reference"]
    assert gap.estimate.tolist() == [2, -10]


def test_a_missing_reference_row_leaves_a_row_of_nan_that_says_why():
    keys = pd.DataFrame({"event_time": [0, 0, 1], "race_ethnicity": ["white", "black", "black"]})
    gap = effect_gap(effects([1, 3, 10], np.eye(3), keys=keys), reference="white")
    assert gap.estimate[0] == 2
    assert np.isnan(gap.estimate[1])
    assert gap.support["n_members"].tolist() == [20, 0]
    assert any("the effect in 'white' is not estimated" in note for note in gap.notes)


def test_all_is_not_a_group():
    table = effects([1, 2, 3], np.eye(3), groups=("white", "black", "all"))
    assert effect_gap(table, reference="white").keys["race_ethnicity"].tolist() == ["black"]
    with pytest.raises(EstimationError, match="'white', 'black'"):
        effect_gap(table, reference="all")


def test_separate_fits_give_a_gap_without_interval_that_says_why():
    apart = stack(
        [effects([1.0], [[1.0]]).select([True]), effects([3.0], [[1.0]]).select([True])],
        key="race_ethnicity",
        labels=["white", "black"],
    )
    gap = effect_gap(apart, reference="white")
    assert gap.estimate.tolist() == [2]
    assert np.isnan(gap.std_error).all()
    assert any("in one fit" in note for note in gap.notes)


def test_cluster_influence_is_carried():
    influence = pd.DataFrame(np.random.default_rng(1).normal(size=(5, 3)))
    covariance = influence.to_numpy().T @ influence.to_numpy()
    table = effects([1, 2, 3], covariance, cluster_influence=influence)
    gap = effect_gap(table, reference="white")
    carried = gap.cluster_influence.to_numpy()
    assert carried.T @ carried == pytest.approx(gap.covariance)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reference": "White"}, "`reference` is 'White'; the groups in `race_ethnicity`: 'white'"),
        ({"reference": "white", "stratum": "language"}, "no key `language`"),
        ({"reference": "white", "scale": "log"}, "'difference', 'ratio'"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(EstimationError, match=message):
        effect_gap(effects([1, 2, 3], np.eye(3)), **options)


def test_only_the_reference_is_refused():
    with pytest.raises(EstimationError, match="holds only the reference"):
        effect_gap(effects([1], [[1.0]]), reference="white")


def test_homogeneity_of_two_groups_is_the_square_of_the_gap():
    table = effects([-10, -4], CORRELATED[:2, :2])
    test = effect_homogeneity(table).iloc[0]
    gap = effect_gap(table, reference="white").to_frame().iloc[0]
    assert test["statistic"] == pytest.approx((gap["estimate"] / gap["std_error"]) ** 2)
    assert test["p_value"] == pytest.approx(gap["p_value"])
    assert test["df"] == 1


def test_homogeneity_does_not_depend_on_the_order_of_the_groups():
    table, swap = effects([-10, -4, -1], CORRELATED), [2, 0, 1]
    turned = effects(
        table.estimate[swap], CORRELATED[np.ix_(swap, swap)], groups=("aian", "white", "black")
    )
    one, other = effect_homogeneity(table).iloc[0], effect_homogeneity(turned).iloc[0]
    assert one["statistic"] == pytest.approx(other["statistic"])
    assert one["p_value"] == pytest.approx(stats.chi2.sf(one["statistic"], 2))


def test_homogeneity_with_few_clusters_is_hotellings_test():
    """Clustered effects as independent draws: the test is the one-sample Hotelling T-squared."""
    draws = np.random.default_rng(3).normal([0, 1, 2], 1, size=(9, 3))
    n = len(draws)
    influence = (draws - draws.mean(axis=0)) / np.sqrt(n * (n - 1))
    table = effects(
        draws.mean(axis=0), influence.T @ influence, cluster_influence=pd.DataFrame(influence)
    )
    found = effect_homogeneity(table).iloc[0]
    contrast = draws[:, 1:] - draws[:, :1]
    mean, scatter = contrast.mean(axis=0), np.cov(contrast.T)
    t2 = n * mean @ np.linalg.solve(scatter, mean)
    assert found["statistic"] == pytest.approx(t2)
    assert found["p_value"] == pytest.approx(stats.f.sf(t2 * (n - 2) / (2 * (n - 1)), 2, n - 2))


def test_homogeneity_without_a_joint_covariance_is_nan():
    covariance = np.diag([1.0, 1.0, 1.0])
    covariance[0, 1] = covariance[1, 0] = np.nan
    assert np.isnan(effect_homogeneity(effects([1, 2, 3], covariance))["p_value"].item())
    covariance = np.diag([1.0, 1.0, 0.0])
    assert effect_homogeneity(effects([1, 2, 3], covariance))["n_groups"].item() == 2
