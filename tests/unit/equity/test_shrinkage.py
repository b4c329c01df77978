"""Shrunken estimates by hand, against formulas written out group by group, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.equity import marshall_rates, rate_by_group, shrink_estimates
from calaim_eval.equity.shrinkage_fit import between_variance, column_basis, shrink, shrink_given
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.results import EffectTable, Estimand, Method, RateTable, stack

Y = np.array([12.0, 9, 15, 8, 11, 20, 7])
V = np.array([1.0, 2, 4, 1, 0.5, 9, 3])
ONE = np.ones((7, 1))


def effects(estimate=Y, covariance=None, *, scale="difference", keys=None) -> EffectTable:
    k = len(estimate)
    n = np.arange(20, 20 + k)
    return EffectTable(
        keys=pd.DataFrame({"race_ethnicity": [f"g{i}" for i in range(k)]})
        if keys is None
        else keys,
        estimate=np.asarray(estimate, dtype=float),
        covariance=np.diag(V) if covariance is None else np.asarray(covariance, dtype=float),
        support=pd.DataFrame({"n_members": n, "n_events": n, "member_months": 9.0 * n}),
        estimand=Estimand("ATT", "exposed minus not", "visits", scale),
        method=Method("group-time ATT"),
    )


def joint(seed: int = 2) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(7, 9))
    return root @ root.T / 4


def test_dersimonian_laird_is_the_textbook_formula():
    w = 1 / V
    mean = (w * Y).sum() / w.sum()
    q = (w * (Y - mean) ** 2).sum()
    expected = (q - 6) / (w.sum() - (w**2).sum() / w.sum())
    found = between_variance(Y, np.diag(V), column_basis(ONE), method="dersimonian_laird")
    assert expected > 0
    assert found == pytest.approx(expected)


def test_paule_mandel_makes_the_generalized_q_its_expectation():
    variance = between_variance(Y, joint(), column_basis(ONE), method="paule_mandel")
    inverse = np.linalg.inv(joint() + variance * np.eye(7))
    mean = (ONE.T @ inverse @ Y) / (ONE.T @ inverse @ ONE)
    residual = Y - mean.item()
    assert residual @ inverse @ residual == pytest.approx(6)


@pytest.mark.parametrize("seed", [1, 2, 3, 5])
def test_reml_is_the_best_of_a_fine_grid(seed):
    """Against the restricted likelihood of the estimates themselves, up to a constant."""
    covariance = joint(seed)
    design = np.column_stack([np.ones(7), np.arange(7.0)])

    def likelihood(variance: float) -> float:
        total = covariance + variance * np.eye(7)
        inverse = np.linalg.inv(total)
        information = design.T @ inverse @ design
        residual = Y - design @ np.linalg.solve(information, design.T @ inverse @ Y)
        logs = np.linalg.slogdet(total)[1] + np.linalg.slogdet(information)[1]
        return -(logs + residual @ inverse @ residual) / 2

    found = between_variance(Y, covariance, column_basis(design), method="reml")
    best = max(likelihood(v) for v in np.append(0, np.geomspace(1e-4, 500, 3000)))
    assert likelihood(found) >= best - 1e-9


def test_no_more_spread_than_chance_gives_no_variance_between_groups():
    flat = np.full(7, 3.0) + 0.01 * Y
    for method in ("reml", "dersimonian_laird", "paule_mandel"):
        assert between_variance(flat, np.diag(V), column_basis(ONE), method=method) == 0


def test_morris_group_by_group():
    """His 1983 formulas with unequal variances, one group at a time."""
    k, r = 7, 2
    design = np.column_stack([np.ones(k), np.arange(k)])
    fit = shrink(Y, np.diag(V), design, between="reml", rule="morris")
    a = fit.between
    w = 1 / (V + a)
    information = (design * w[:, None]).T @ design
    mean = design @ np.linalg.solve(information, (design * w[:, None]).T @ Y)
    share = (k - r - 2) / (k - r) * V / (V + a)
    within = (w * V).sum() / w.sum()
    for i in range(k):
        leverage = k * w[i] * design[i] @ np.linalg.solve(information, design[i])
        v = 2 / (k - r - 2) * share[i] ** 2 * (within + a) / (V[i] + a)
        s2 = V[i] * (1 - (k - leverage) / k * share[i]) + v * (Y[i] - mean[i]) ** 2
        assert fit.estimate[i] == pytest.approx((1 - share[i]) * Y[i] + share[i] * mean[i])
        assert fit.covariance[i, i] == pytest.approx(s2)
        assert fit.weight[i] == pytest.approx(1 - share[i])


def test_estimates_that_covary_shrink_along_their_common_directions():
    """The posterior mean and covariance of a normal model with a flat prior on the mean.

    Beside Prasad and Rao's third term, the EBLUP's errors are that posterior covariance.
    """
    covariance, tau2, flat = joint(), 3.0, 1e7
    whole = covariance + tau2 * np.eye(7) + flat * np.ones((7, 7))
    pull = covariance @ np.linalg.inv(whole)
    fit = shrink_given(Y, covariance, column_basis(ONE), variance=tau2, rule="eblup")
    total = covariance + tau2 * np.eye(7)
    inverse = np.linalg.inv(total)
    third = inverse @ covariance @ inverse @ covariance @ inverse
    third *= 2 / np.trace(inverse @ inverse)
    assert fit.estimate == pytest.approx(Y - pull @ Y, rel=1e-5)
    np.testing.assert_allclose(
        fit.covariance - 2 * third, covariance - pull @ covariance, atol=1e-5
    )
    assert fit.weight == pytest.approx(np.diag(tau2 * inverse))


@pytest.mark.parametrize("rule", ["morris", "eblup"])
def test_scale_shift_and_order_carry_through(rule):
    base = shrink(Y, joint(), ONE, between="reml", rule=rule)
    moved = shrink(1000 * Y + 5, 1e6 * joint(), ONE, between="reml", rule=rule)
    assert moved.estimate == pytest.approx(1000 * base.estimate + 5)
    np.testing.assert_allclose(moved.covariance, 1e6 * base.covariance, rtol=1e-7)
    swap = np.array([3, 0, 6, 1, 5, 2, 4])
    turned = shrink(Y[swap], joint()[np.ix_(swap, swap)], ONE, between="reml", rule=rule)
    assert turned.estimate == pytest.approx(base.estimate[swap])
    assert turned.weight == pytest.approx(base.weight[swap])


def test_table_holds_raw_shrunken_and_weight():
    found = shrink_estimates(effects(), between="paule_mandel")
    frame = found.to_frame()
    assert frame["raw"].tolist() == Y.tolist()
    between = np.abs(frame["shrunken"] - frame["mean"]) < np.abs(frame["raw"] - frame["mean"])
    assert between.all()
    expected = frame["weight"] * frame["raw"] + (1 - frame["weight"]) * frame["mean"]
    assert frame["shrunken"].tolist() == pytest.approx(expected.tolist())
    assert (frame["raw_std_error"] ** 2).tolist() == pytest.approx(V.tolist())
    assert frame["n_members"].tolist() == list(range(20, 27))
    whole = found.tables()["shrunken"]
    assert whole.keys["version"].tolist() == ["raw"] * 7 + ["shrunken"] * 7
    assert np.isnan(whole.covariance[0, 7])
    assert any("never in their place" in note for note in found.notes)


def test_ratios_shrink_as_logarithms():
    ratio = np.exp(Y / 10)
    covariance = joint() / 100
    table = effects(ratio, covariance * np.outer(ratio, ratio), scale="ratio")
    found = shrink_estimates(table)
    fit = shrink(Y / 10, covariance, ONE, between="reml", rule="morris")
    assert found.shrunken.estimate == pytest.approx(np.exp(fit.estimate))
    log_error = found.shrunken.std_error / found.shrunken.estimate
    assert log_error == pytest.approx(np.sqrt(np.diag(fit.covariance)))


def test_other_keys_and_all_rows_stay_apart():
    keys = pd.DataFrame(
        {
            "outcome": ["visits"] * 8 + ["stays"] * 7,
            "race_ethnicity": [*(f"g{i}" for i in range(7)), "all", *(f"g{i}" for i in range(7))],
        }
    )
    estimate = np.concatenate([Y, [99.0], 2 * Y])
    covariance = np.diag(np.concatenate([V, [1.0], 4 * V]))
    found = shrink_estimates(effects(estimate, covariance, keys=keys))
    alone = shrink_estimates(effects())
    assert found.shrunken.estimate[:7] == pytest.approx(alone.shrunken.estimate)
    assert found.shrunken.estimate[7:] == pytest.approx(2 * alone.shrunken.estimate)
    assert len(found) == 14
    assert np.isnan(found.shrunken.covariance[0, 7])


def test_a_group_without_a_standard_error_stays_and_is_counted():
    covariance = np.diag(V)
    covariance[2, 2] = np.nan
    found = shrink_estimates(effects(covariance=covariance))
    assert np.isnan(found.shrunken.estimate[2])
    assert found.raw.estimate[2] == 15
    assert any("1 of 7 groups have no estimate or standard error" in n for n in found.notes)
    rest = np.delete(np.arange(7), 2)
    fit = shrink(Y[rest], np.diag(V[rest]), ONE[:6], between="reml", rule="morris")
    assert found.shrunken.estimate[rest] == pytest.approx(fit.estimate)


def test_intersections_shrink_toward_the_sum_of_their_parts():
    """Where the estimates are exactly a sum of two terms, nothing is left to shrink."""
    race, sex = [f"r{i}" for i in range(5)], ["female", "male"]
    keys = pd.DataFrame([(r, s) for r in race for s in sex], columns=["race_ethnicity", "sex"])
    additive = np.repeat([1.0, 4, 2, 8, 5], 2) + np.tile([0.0, 3], 5)
    table = effects(additive, np.diag(np.linspace(1, 2, 10)), keys=keys)
    stratum = ["race_ethnicity", "sex"]
    found = shrink_estimates(table, stratum=stratum, toward="main_effects")
    assert found.shrunken.estimate == pytest.approx(additive)
    assert found.mean == pytest.approx(additive)
    assert found.between_sd.tolist() == [0] * 10
    plain = shrink_estimates(table, stratum=stratum)
    assert np.abs(plain.shrunken.estimate - additive).min() > 0


def rates(events, months, *, kind="rate") -> RateTable:
    o, n = np.asarray(events, dtype=float), np.asarray(months, dtype=float)
    return RateTable(
        measure="ED visits",
        keys=pd.DataFrame({"race_ethnicity": [f"g{i}" for i in range(len(o))]}),
        numerator=o,
        denominator=n,
        conf_low=np.full(len(o), np.nan),
        conf_high=np.full(len(o), np.nan),
        n_members=o,
        numerator_name="ed_visits",
        denominator_name="member_months",
        unit="ED visits per 1,000 member-months",
        kind=kind,
        method=Method("Rate", {"interval": "byar"}),
        per=1000.0,
    )


COUNTS, MONTHS = [8, 0, 30, 60, 3, 44], [100, 40, 900, 1000, 90, 500]


def test_smoothed_variances_of_independent_events_are_those_of_the_common_rate():
    found = shrink_estimates(rates(COUNTS, MONTHS))
    variance = 1e6 * (sum(COUNTS) / sum(MONTHS)) / np.array(MONTHS)
    raw = 1000 * np.array(COUNTS) / MONTHS
    fit = shrink(raw, np.diag(variance), np.ones((6, 1)), between="reml", rule="morris")
    assert found.shrunken.estimate == pytest.approx(fit.estimate)
    assert np.isnan(found.raw.std_error[1])
    assert found.shrunken.estimate[1] > 0


def test_marshall_by_hand_is_the_mean_of_a_gamma_posterior():
    """12 events in 250: mean .048, spread .000896, less .000576: .00032."""
    fit = marshall_rates([8, 0, 4], [100, 50, 100])
    assert fit.between == pytest.approx(0.00032)
    assert fit.weight == pytest.approx([0.4, 0.25, 0.4])
    prior_shape, prior_months = 0.048**2 / 0.00032, 0.048 / 0.00032
    posterior = stats.gamma([prior_shape + 8], scale=1 / (prior_months + 100))
    assert fit.estimate[0] == pytest.approx(posterior.mean().item())
    assert fit.variance[0] == pytest.approx(posterior.var().item())
    found = shrink_estimates(rates([8, 0, 4], [100, 50, 100]), between="marshall")
    assert found.shrunken.estimate == pytest.approx(1000 * fit.estimate)
    assert found.shrunken.std_error == pytest.approx(1000 * np.sqrt(fit.variance))
    assert marshall_rates([5, 5], [100, 100]).weight.tolist() == [0, 0]


def test_repeat_visits_of_a_member_widen_the_smoothed_variance():
    rng = np.random.default_rng(4)
    groups = np.repeat([f"g{i}" for i in range(6)], 240)
    member = np.repeat(np.arange(240), 6)
    level = np.repeat(rng.gamma(0.2, 1.0, 240), 6)
    frame = pd.DataFrame(
        {"member_id": member, "race_ethnicity": groups, "ed_visits": rng.poisson(level)}
    )
    clustered = rate_by_group(frame, outcome="ed_visits", by="race_ethnicity")
    apart = rate_by_group(frame, outcome="ed_visits", by="race_ethnicity", interval="byar")
    found = [shrink_estimates(t).weight.mean() for t in (clustered, apart)]
    assert found[0] < found[1]


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (effects(), {"stratum": "language"}, "lacks `language`"),
        (effects(), {"between": "marshall"}, "RateTable of rates"),
        (effects(), {"between": "paule_mandel", "rule": "eblup"}, 'rule="morris"'),
        (effects(), {"variances": "smoothed"}, "effects have their own"),
        (effects(Y[:3], np.diag(V[:3])), {}, "3 groups .* and 1 coefficients"),
        (effects(covariance=np.ones((7, 7))), {}, "no full rank"),
        (effects(), {"covariates": pd.DataFrame({"x": [1.0, 2]})}, "needs 7 rows"),
        (effects(), {"covariates": pd.DataFrame({"x": list("abcdefg")})}, "of numbers"),
        (rates(COUNTS, MONTHS, kind="count"), {}, "holds counts"),
        (rates([0] * 6, MONTHS), {}, "no event in 6 groups"),
        (rates([0] * 6, MONTHS), {"between": "marshall"}, "0 events in all"),
    ],
)
def test_what_is_refused(table, options, message):
    with pytest.raises(EstimationError, match=message):
        shrink_estimates(table, **options)


def test_unknown_options_and_covariances_are_refused():
    with pytest.raises(DesignError, match="`rule`"):
        shrink_estimates(effects(), rule="james_stein")
    parts = [replace(effects(), estimate=Y).select(np.arange(7) == i) for i in range(7)]
    apart = stack(parts)
    with pytest.raises(EstimationError, match="in one fit"):
        shrink_estimates(replace(apart, keys=apart.keys[["race_ethnicity"]]))


def test_few_clusters_keep_students_t_beside_and_in_the_shrunken_rows():
    few = np.array([4.0, 4, 4, 4, 9, np.nan, 4])
    table = shrink_estimates(replace(effects(), degrees=few))
    quantile = np.where(np.isnan(few), stats.norm.ppf(0.975), stats.t.ppf(0.975, few))
    frame, released = table.to_frame(), table.tables()["shrunken"].to_frame()
    own = table.shrunken.std_error
    reach = (frame["shrunken_conf_high"] - frame["shrunken"]).to_numpy()
    assert reach == pytest.approx(quantile * own)
    halves = ((released["conf_high"] - released["conf_low"]) / 2).to_numpy()
    assert halves == pytest.approx(np.r_[quantile * np.sqrt(V), quantile * own])
    assert shrink_estimates(effects()).tables()["shrunken"].degrees is None
