from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import (
    effect_gap,
    probability_weighted_gap,
    probability_weighting_bias,
    proportion_by_group,
    rate_by_group,
    rate_gap,
    weighted_by_group_probability,
)
from calaim_eval.errors import EstimationError, TableError

SHARE = {"outcome": "is_served", "unit": "share of members"}


def population(n: int = 4000, seed: int = 6) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Members whose outcome goes with the group, and probabilities right given the place."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, 5, n)
    is_black = rng.random(n) < np.array([0.05, 0.2, 0.4, 0.6, 0.9])[place]
    members = pd.DataFrame(
        {
            "member_id": range(n),
            "place": place,
            "race_ethnicity": np.where(is_black, "black", "white"),
            "is_served": rng.random(n) < np.where(is_black, 0.3, 0.2),
        }
    )
    chance = members.groupby("place")["race_ethnicity"].transform(lambda g: (g == "black").mean())
    return members, pd.DataFrame({"black": chance, "white": 1 - chance}).set_axis(range(n))


def test_weighted_rate_by_hand():
    members = pd.DataFrame(
        {"member_id": ["a", "b", "c"], "visits": [3.0, 0.0, 1.0], "months": [12.0, 6.0, 10.0]}
    )
    p = pd.DataFrame({"black": [0.9, 0.5, 0.1], "white": [0.1, 0.5, 0.9]}, index=["a", "b", "c"])
    table = weighted_by_group_probability(
        members, outcome="visits", time="months", probabilities=p, unit="visits per 1,000", per=1000
    )
    assert table.rate == pytest.approx([1000 * 2.8 / 14.8, 1000 * 1.2 / 13.2])
    assert table.numerator.sum() == pytest.approx(4)
    assert table.denominator.sum() == pytest.approx(28)
    assert "covariance" in " ".join(table.notes)


def test_known_groups_give_the_tables_of_known_groups():
    rng = np.random.default_rng(2)
    members, _ = population(400)
    sure = pd.get_dummies(members["race_ethnicity"]).astype(float)
    table = weighted_by_group_probability(members, probabilities=sure, **SHARE)
    plain = proportion_by_group(members, has="is_served", by="race_ethnicity")
    assert table.rate == pytest.approx(plain.rate)
    assert table.conf_low == pytest.approx(plain.conf_low, rel=2e-3)  # n - 1 in place of n
    months = members.assign(visits=rng.poisson(1, 400), months=1.0)
    rates = rate_by_group(months, outcome="visits", by="race_ethnicity", per=1)
    weighted = weighted_by_group_probability(
        months, outcome="visits", time="months", probabilities=sure, unit="visits"
    )
    assert weighted.rate == pytest.approx(rates.rate)
    assert weighted.conf_high == pytest.approx(rates.conf_high, rel=3e-3)
    for scale in ("difference", "ratio"):
        gap = probability_weighted_gap(
            months,
            outcome="visits",
            time="months",
            probabilities=sure,
            unit="visits",
            reference="white",
            scale=scale,
        )
        expected = rate_gap(rates, reference="white", scale=scale)
        assert gap.estimate == pytest.approx(expected.estimate)
        assert gap.std_error == pytest.approx(expected.std_error, rel=5e-3)
        assert not gap.estimand.is_causal


def test_bias_is_minus_the_mean_covariance_over_the_share():
    members, p = population()
    bias = probability_weighting_bias(members, probabilities=p, missing="unknown", **SHARE)
    is_black, y = members["race_ethnicity"] == "black", members["is_served"].astype(float)
    within = [
        len(rows) / len(members) * np.cov(is_black.loc[rows.index], y.loc[rows.index], ddof=0)[0, 1]
        for _, rows in members.groupby("place")
    ]
    # Chen et al. (2019): the probabilities are the shares by place, so this holds exactly.
    assert bias.estimate[0] == pytest.approx(-sum(within) / is_black.mean())
    assert bias.estimate[1] == pytest.approx(sum(within) / (~is_black).mean())
    gap = effect_gap(bias, reference="white")
    weighted = probability_weighted_gap(members, probabilities=p, reference="white", **SHARE)
    true = rate_gap(
        proportion_by_group(members, has="is_served", by="race_ethnicity"), reference="white"
    )
    assert gap.estimate[0] == pytest.approx(weighted.estimate[0] - true.estimate[0])
    assert 0 < weighted.estimate[0] < true.estimate[0]


def test_a_group_without_an_event_or_where_all_have_one_has_no_error():
    members, p = population(300)
    p = p.assign(none=0.0, every=0.0)
    p.iloc[:40], p.iloc[40:80] = [0, 0, 1, 0], [0, 0, 0, 1]
    members.loc[:39, "is_served"], members.loc[40:79, "is_served"] = False, True
    gap = probability_weighted_gap(members, probabilities=p, reference="white", **SHARE)
    error = pd.Series(gap.std_error, index=gap.keys["race_ethnicity"])
    assert error.isna().to_dict() == {"black": False, "none": True, "every": True}
    assert any("2 of 3 gaps have no interval" in note for note in gap.notes)
    recorded = members["race_ethnicity"].to_numpy(dtype=object).copy()
    recorded[:40] = "none"
    bias = probability_weighting_bias(
        members.assign(race_ethnicity=recorded),
        probabilities=p.drop(columns="every").assign(black=1 - p["white"] - p["none"]),
        missing="unknown",
        **SHARE,
    )
    assert np.isnan(bias.std_error[bias.keys["race_ethnicity"] == "none"]).all()


def test_bias_is_judged_on_members_with_a_record_only():
    members, p = population()
    rng = np.random.default_rng(1)
    lost = rng.random(len(members)) < 0.4
    some = members.assign(race_ethnicity=members["race_ethnicity"].where(~lost, "unknown"))
    found = probability_weighting_bias(some, probabilities=p, missing="unknown", **SHARE)
    alone = probability_weighting_bias(
        members[~lost], probabilities=p[~lost], missing="unknown", **SHARE
    )
    assert np.array_equal(found.estimate, alone.estimate)


def test_error_of_a_weighted_gap_and_of_its_bias_is_that_of_resampled_members():
    members, p = population(600)
    gap = probability_weighted_gap(members, probabilities=p, reference="white", **SHARE)
    bias = probability_weighting_bias(members, probabilities=p, missing="unknown", **SHARE)
    rng = np.random.default_rng(3)
    w, y = p.to_numpy(), members["is_served"].to_numpy(dtype=float)
    b = (members["race_ethnicity"] == "black").to_numpy()
    gaps, biases = [], []
    for _ in range(1500):
        i = rng.integers(0, 600, 600)
        rate = (w[i] * y[i, None]).sum(axis=0) / w[i].sum(axis=0)
        gaps.append(rate[0] - rate[1])
        biases.append(rate[0] - y[i][b[i]].mean())
    # 1,500 draws know a standard error to 1.8 %; three of these and the order 1/n of the method.
    assert gap.std_error[0] == pytest.approx(np.std(gaps), rel=3 * 0.018 + 0.02)
    assert bias.std_error[0] == pytest.approx(np.std(biases), rel=3 * 0.018 + 0.02)


def test_recorded_members_count_in_their_group_alone():
    members = pd.DataFrame(
        {
            "member_id": [1, 2, 3],
            "race_ethnicity": ["black", "aian", None],
            "is_served": [True, False, True],
        }
    )
    p = pd.DataFrame({"black": [0.25], "white": [0.75]}, index=[3])
    table = weighted_by_group_probability(members, probabilities=p, missing="unknown", **SHARE)
    assert table.keys["race_ethnicity"].tolist() == ["black", "white", "aian"]
    assert table.denominator == pytest.approx([1.25, 0.75, 1.0])
    assert table.rate == pytest.approx([1.0, 1.0, 0.0])


def test_threshold_is_labelled_and_leaves_members_out():
    members, p = population()
    cut = weighted_by_group_probability(members, probabilities=p, threshold=0.8, **SHARE)
    assert "0.8" in cut.method.estimator
    assert "Thresholded" in cut.notes[-1]
    kept = (p.max(axis=1) >= 0.8).to_numpy()
    side = p.idxmax(axis=1)[kept]
    expected = members[kept].groupby(side.to_numpy())["is_served"].mean()
    assert cut.rate == pytest.approx(expected.to_numpy())
    with pytest.raises(EstimationError, match=r"above 0\.5"):
        weighted_by_group_probability(members, probabilities=p, threshold=0.4, **SHARE)


def test_rate_gap_is_refused_where_members_count_in_several_groups():
    members, p = population(200)
    table = weighted_by_group_probability(members, probabilities=p, **SHARE)
    with pytest.raises(EstimationError, match="probability_weighted_gap"):
        rate_gap(table, reference="white")


def test_bad_input():
    members, p = population(50)
    with pytest.raises(EstimationError, match="1 of 50 members have no probabilities"):
        weighted_by_group_probability(members, probabilities=p.drop(index=3), **SHARE)
    with pytest.raises(EstimationError, match="sum to 1"):
        weighted_by_group_probability(members, probabilities=p * 0.9, **SHARE)
    with pytest.raises(EstimationError, match="no member has any weight in nhpi"):
        weighted_by_group_probability(members, probabilities=p.assign(nhpi=0.0), **SHARE)
    with pytest.raises(TableError, match="repeat"):
        weighted_by_group_probability(pd.concat([members, members]), probabilities=p, **SHARE)
    with pytest.raises(EstimationError, match="not yes/no"):
        weighted_by_group_probability(
            members.assign(visits=range(50)), outcome="visits", probabilities=p, unit="visits"
        )
