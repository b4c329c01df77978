"""All Rademacher draws of few clusters, and intervals by inverting the test."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import wild_bootstrap_p_values
from calaim_eval.results import EffectTable, Estimand, Method

PSI = np.array([0.9, -0.2, 0.35, -0.65, -0.4])


def table_of(estimate: float, psi: np.ndarray, scale: str = "difference") -> EffectTable:
    support = pd.DataFrame({"n_members": [99], "n_events": [99], "member_months": [99.0]})
    return EffectTable(
        keys=pd.DataFrame({"row": [0]}),
        estimate=np.array([estimate]),
        covariance=np.array([[psi @ psi]]),
        support=support,
        estimand=Estimand("ATT", "a minus b", "visits", scale=scale),
        method=Method("by hand"),
        cluster_influence=pd.DataFrame({0: psi}),
    )


def statistic(scores: list[float]) -> float:
    centre = sum(scores) / len(scores)
    return abs(sum(scores)) / sum((s - centre) ** 2 for s in scores) ** 0.5


def p_value_by_hand(estimate: float, psi: np.ndarray) -> float:
    """Every sign of every cluster, one at a time."""
    actual = abs(estimate) / sum(psi**2) ** 0.5
    draws = [
        statistic([sign * score for sign, score in zip(signs, psi, strict=True)])
        for signs in product((-1, 1), repeat=len(psi))
    ]
    return (1 + sum(draw >= actual for draw in draws)) / (1 + len(draws))


@pytest.mark.parametrize("estimate", [0.1, 0.5, 1.1, 1.9, 4.0])
@pytest.mark.parametrize("n_clusters", [4, 5])
def test_all_draws_by_hand(estimate: float, n_clusters: int) -> None:
    psi = PSI[:n_clusters] - PSI[:n_clusters].mean()
    row = wild_bootstrap_p_values(table_of(estimate, psi), weights="rademacher").iloc[0]
    assert row["p_value"] == pytest.approx(p_value_by_hand(estimate, psi))
    assert (row["draws"], row["is_enumerated"]) == (2**n_clusters, True)
    assert row["p_value_step"] == pytest.approx(2 / (2**n_clusters + 1))
    grid = (row["p_value"] - 1 / (2**n_clusters + 1)) / row["p_value_step"]
    assert grid == pytest.approx(round(grid))


def test_chance_does_not_enter_small_enumerations_and_draws_agree_with_them() -> None:
    table = table_of(1.1, PSI)
    first = wild_bootstrap_p_values(table, weights="rademacher", rng=np.random.default_rng(1))
    again = wild_bootstrap_p_values(table, weights="rademacher", rng=np.random.default_rng(2))
    pd.testing.assert_frame_equal(first, again)


def test_thirteen_clusters_are_drawn_and_near_their_enumeration() -> None:
    psi = np.random.default_rng(3).normal(size=13)
    psi -= psi.mean()
    estimate = 1.6 * np.sqrt(psi @ psi)
    table = table_of(estimate, psi)
    with pytest.raises(EstimationError, match="Give rng="):
        wild_bootstrap_p_values(table, weights="rademacher")
    row = wild_bootstrap_p_values(
        table, weights="rademacher", rng=np.random.default_rng(4), draws=9_999
    ).iloc[0]
    assert not row["is_enumerated"]
    exact = p_value_by_hand(estimate, psi)
    # Four standard errors of a share of 9,999 draws.
    assert row["p_value"] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 9_999))


@pytest.mark.parametrize("seed", range(5))
def test_interval_holds_the_values_not_rejected(seed: int) -> None:
    rng = np.random.default_rng(seed)
    psi = rng.normal(size=8)
    psi -= psi.mean()
    row = wild_bootstrap_p_values(table_of(2.0, psi), weights="rademacher").iloc[0]
    for value, is_kept in (
        (row["conf_low"] + 1e-6, True),
        (row["conf_low"] - 1e-6, False),
        (row["conf_high"] - 1e-6, True),
        (row["conf_high"] + 1e-6, False),
    ):
        assert (p_value_by_hand(2.0 - value, psi) > 0.05) == is_kept


def test_four_clusters_can_reject_nothing_at_five_percent() -> None:
    psi = PSI[:4] - PSI[:4].mean()
    row = wild_bootstrap_p_values(table_of(1e9, psi), weights="rademacher").iloc[0]
    assert row["p_value"] == pytest.approx(1 / 17)
    assert np.isinf([row["conf_low"], row["conf_high"]]).all()


def test_ratios_are_tested_against_one_on_the_log_scale() -> None:
    psi = PSI / 4
    row = wild_bootstrap_p_values(
        table_of(1.3, psi, scale="ratio"), weights="rademacher", conf_level=0.8
    ).iloc[0]
    assert row["p_value"] == pytest.approx(p_value_by_hand(np.log(1.3), psi / 1.3))
    assert np.sqrt(row["conf_low"] * row["conf_high"]) == pytest.approx(1.3)


def test_clusters_that_do_not_bear_on_a_row_change_nothing() -> None:
    padded = np.concatenate([PSI, np.zeros(20)])
    rows = [
        wild_bootstrap_p_values(table_of(1.1, psi), weights="rademacher").iloc[0]
        for psi in (PSI, padded)
    ]
    assert rows[0]["p_value"] == rows[1]["p_value"]
    assert rows[1]["n_clusters"] == 5


def test_without_variation_it_is_missing() -> None:
    table = table_of(1.0, np.zeros_like(PSI))
    row = wild_bootstrap_p_values(table, rng=np.random.default_rng(1)).iloc[0]
    assert row[["p_value", "conf_low", "conf_high", "p_value_step"]].isna().all()
    assert row["draws"] == 0


def test_refuses_levels_and_draws_that_mean_nothing() -> None:
    with pytest.raises(EstimationError, match="conf_level=95"):
        wild_bootstrap_p_values(table_of(1.0, PSI), weights="rademacher", conf_level=95)
    with pytest.raises(EstimationError, match="not one of 'webb', 'rademacher'"):
        wild_bootstrap_p_values(table_of(1.0, PSI), weights="mammen")
