from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.disclosure import release
from calaim_eval.equity import (
    missing_information,
    proportion_by_group,
    rate_by_group,
    rate_gap,
    rubin_pool,
)
from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable, Estimand, Method, RateTable


def effects(estimate, variance, *, scale="difference", degrees=None, n=50.0) -> EffectTable:
    k = len(estimate)
    covariance = np.asarray(variance, dtype=float)
    return EffectTable(
        keys=pd.DataFrame({"race_ethnicity": ["aian", "black", "white"][:k]}),
        estimate=np.asarray(estimate, dtype=float),
        covariance=np.diag(covariance) if covariance.ndim == 1 else covariance,
        support=pd.DataFrame({"n_members": [n] * k, "n_events": [n] * k, "member_months": [n] * k}),
        estimand=Estimand("ATT", "exposed minus comparison", "visits", scale=scale),
        method=Method("fit"),
        degrees=degrees,
    )


def test_two_imputations_by_hand():
    tables = [effects([1.0], [1.0]), effects([3.0], [1.0])]
    pooled = rubin_pool(tables, complete_degrees=10)
    # Mean 2, within 1, between 2, total 1 + 1.5 * 2 = 4; 3/4 of it is due to what is missing.
    assert pooled.estimate[0] == 2
    assert pooled.covariance[0, 0] == pytest.approx(4)
    degrees = 1 / ((3 / 4) ** 2 / 1 + 1 / (11 / 13 * 10 * (1 / 4)))
    assert pooled.degrees[0] == pytest.approx(degrees)
    half = stats.t.ppf(0.975, degrees) * 2
    frame = pooled.to_frame()
    assert frame["conf_low"][0] == pytest.approx(2 - half)
    info = missing_information(tables, complete_degrees=10).iloc[0]
    assert info["variance_increase"] == pytest.approx(3)
    assert info["variance_share"] == pytest.approx(0.75)
    assert info["missing_information"] == pytest.approx((3 + 2 / (degrees + 3)) / 4)
    assert info["monte_carlo_error"] == pytest.approx(1.0)


def test_infinite_degrees_give_rubins_of_1987():
    tables = [effects([x], [1.0]) for x in (1.0, 2.0, 4.0)]
    share = missing_information(tables)["variance_share"][0]
    assert rubin_pool(tables).degrees[0] == pytest.approx(2 / share**2)


def test_nothing_missing_gives_the_table_back():
    table = effects([1.0, 2.0, 3.0], np.array([[2, 1, 0], [1, 2, 0], [0, 0, 1.0]]))
    pooled = rubin_pool([table] * 5)
    assert np.array_equal(pooled.estimate, table.estimate)
    assert np.array_equal(pooled.covariance, table.covariance)
    assert np.isnan(pooled.degrees).all()
    few = effects([1.0, 2.0, 3.0], np.ones(3), degrees=np.array([7.0, 7, np.nan]))
    # What Barnard and Rubin take off even where nothing is missing: (8 / 10) * 7.
    assert rubin_pool([few] * 3).degrees[:2] == pytest.approx([5.6, 5.6])


def test_between_covariance_is_joint():
    # A member moves from one group to the other: what one gains the other loses.
    tables = [effects([1 + d, 2 - d], np.ones(2)) for d in (-0.3, 0.1, 0.2)]
    pooled = rubin_pool(tables)
    b = np.var([-0.3, 0.1, 0.2], ddof=1)
    assert pooled.covariance == pytest.approx(np.eye(2) + 4 / 3 * b * np.array([[1, -1], [-1, 1]]))


def test_ratios_are_pooled_as_logarithms():
    tables = [effects([x], [0.04 * x**2], scale="ratio") for x in (0.5, 2.0)]
    pooled = rubin_pool(tables)
    assert pooled.estimate[0] == pytest.approx(1.0)
    between = np.var(np.log([0.5, 2.0]), ddof=1)
    assert pooled.std_error[0] == pytest.approx(np.sqrt(0.04 + 1.5 * between))
    inverse = rubin_pool([effects([1 / x], [0.04 / x**2], scale="ratio") for x in (0.5, 2.0)])
    assert inverse.to_frame()["conf_low"][0] == pytest.approx(1 / pooled.to_frame()["conf_high"][0])


def test_rows_without_error_stay_undefined_and_spoil_nothing():
    bad = effects([1.0, np.nan], np.array([1.0, np.nan]))
    pooled = rubin_pool([bad, replace(bad, estimate=np.array([2.0, 1.0]))])
    assert np.isnan(pooled.std_error[1])
    assert pooled.estimate[0] == 1.5
    assert pooled.std_error[0] == pytest.approx(np.sqrt(1 + 1.5 * 0.5))


def shares(counts: dict[str, tuple[int, int]]) -> RateTable:
    members = pd.concat(
        pd.DataFrame({"race_ethnicity": name, "is_served": [True] * x + [False] * (n - x)})
        for name, (x, n) in counts.items()
    )
    return proportion_by_group(
        members.assign(member_id=range(len(members))),
        has="is_served",
        by="race_ethnicity",
        margins=["race_ethnicity"],
    )


def test_proportions_have_lott_and_reiters_interval():
    tables = [
        shares({"black": (20 + d, 50 + d), "white": (40 - d, 150 - d)}) for d in (0, 2, 3, 5, 6)
    ]
    pooled = rubin_pool(tables)
    p = np.array([t.rate[0] for t in tables])
    within = np.mean([q * (1 - q) / t.denominator[0] for q, t in zip(p, tables, strict=True)])
    total = within + 1.2 * p.var(ddof=1)
    nu = 4 / (1.2 * p.var(ddof=1) / total) ** 2
    t2 = stats.t.ppf(0.975, nu) ** 2
    mean = pooled.rate[0]
    # Their equation, with the pooled variance for Q(1 - Q)(1 + r) / n.
    a = t2 * total / (mean * (1 - mean))
    middle = (2 * mean + a) / (2 * (1 + a))
    half = np.sqrt(middle**2 - mean**2 / (1 + a))
    assert pooled.conf_low[0] == pytest.approx(middle - half)
    assert pooled.conf_high[0] == pytest.approx(middle + half)


def test_mean_counts_add_up_and_are_released():
    tables = [
        shares({"black": (20 + d, 50 + d), "white": (40 - d, 150 - d)}) for d in (0, 2, 3, 5, 6)
    ]
    pooled = rubin_pool(tables)
    assert pooled.numerator[:2].sum() == pytest.approx(pooled.numerator[2])
    assert pooled.denominator[:2].sum() == pytest.approx(pooled.denominator[2])
    assert pooled.numerator[2] == 60
    gap = rubin_pool([rate_gap(t, reference="white") for t in tables])
    released = release({"rates": pooled, "gaps": gap, "as_recorded": tables[0]})
    assert released.tables["rates"].frame["rate"].notna().all()
    assert released.tables["gaps"].frame["estimate"].notna().all()


def test_a_pooled_rate_table_has_no_gap():
    pooled = rubin_pool([shares({"black": (20 + d, 50), "white": (40, 150)}) for d in (0, 2)])
    with pytest.raises(EstimationError, match="rubin_pool"):
        rate_gap(pooled, reference="white")


@pytest.mark.parametrize("outcome", ["ed_visits", "paid_usd"])
def test_identical_rates_keep_their_interval(outcome):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(range(200), 4),
            "race_ethnicity": np.repeat(["aian", "white"], 400),
            "ed_visits": rng.poisson(0.3, 800),
            "paid_usd": rng.gamma(1, 30, 800),
        }
    )
    table = rate_by_group(frame, outcome=outcome, by="race_ethnicity")
    pooled = rubin_pool([table, table])
    assert pooled.conf_low == pytest.approx(table.conf_low)
    assert pooled.conf_high == pytest.approx(table.conf_high)


def test_groups_without_any_event_have_an_upper_limit():
    frame = pd.DataFrame(
        {"member_id": range(60), "race_ethnicity": ["aian"] * 20 + ["white"] * 40}
    ).assign(ed_visits=[0] * 20 + [1, 0] * 20)
    table = rate_by_group(frame, outcome="ed_visits", by="race_ethnicity")
    pooled = rubin_pool([table, table])
    assert pooled.conf_high[0] == pytest.approx(table.conf_high[0])
    none = shares({"black": (0, 50), "white": (40, 150)})
    assert rubin_pool([none, none]).conf_high[0] == pytest.approx(none.conf_high[0])


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([effects([1.0], [1.0])], "2 or more"),
        ([effects([1.0], [1.0]), effects([1.0, 2.0], [1.0, 1.0])], "other rows"),
        ([effects([1.0], [1.0]), effects([1.0], [1.0], scale="ratio")], "estimand"),
        ([effects([1.0], [1.0]), shares({"a": (1, 2)})], "one kind"),
    ],
)
def test_tables_that_do_not_belong_together(tables, message):
    with pytest.raises(EstimationError, match=message):
        rubin_pool(tables)
