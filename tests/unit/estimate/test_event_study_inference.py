"""Simultaneous bands, the pre-trend test and the wild bootstrap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats
from weighted_members import awkward_panel

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import (
    aggregate,
    group_time_att,
    pre_trend_test,
    simultaneous_bands,
    wild_bootstrap_p_values,
)
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable, Estimand, Method, stack


def table_of(
    estimate: list[float],
    covariance: np.ndarray,
    keys: dict[str, list],
    influence: pd.DataFrame | None = None,
) -> EffectTable:
    support = dict.fromkeys(("n_members", "n_events", "member_months"), [100] * len(estimate))
    return EffectTable(
        keys=pd.DataFrame(keys),
        estimate=np.array(estimate),
        covariance=covariance,
        support=pd.DataFrame(support),
        estimand=Estimand("ATT", "a minus b", "visits"),
        method=Method("by hand"),
        cluster_influence=influence,
    )


def test_independent_terms_have_the_sidak_critical_value() -> None:
    table = table_of([0.0] * 6, np.diag([1.0, 4, 9, 1, 1, 1]), {"event_time": list(range(6))})
    bands = simultaneous_bands(table, rng=np.random.default_rng(1))
    expected = stats.norm.ppf(0.5 + 0.95 ** (1 / 6) / 2)
    # 0.01 is three simulation errors of the quantile with 200,000 draws.
    assert bands["critical_value"].iloc[0] == pytest.approx(expected, abs=0.01)
    assert bands["simultaneous_high"].iloc[1] == pytest.approx(2 * expected, abs=0.02)


def test_perfectly_correlated_terms_need_no_wider_band() -> None:
    table = table_of([1.0, 2.0], np.array([[1.0, 2.0], [2.0, 4.0]]), {"event_time": [0, 1]})
    bands = simultaneous_bands(table, rng=np.random.default_rng(1))
    assert bands["critical_value"].iloc[0] == pytest.approx(1.96, abs=0.01)


def test_few_clusters_have_the_critical_value_of_the_multivariate_t() -> None:
    table = replace(
        table_of([0.0] * 3, np.eye(3), {"event_time": [0, 1, 2]}), degrees=np.full(3, 4.0)
    )
    bands = simultaneous_bands(table, rng=np.random.default_rng(1))

    def missed(critical: float) -> float:
        """Three independent normals over one chi of 4 degrees: integrated over the chi."""
        held = integrate.quad(
            lambda c: (2 * stats.norm.cdf(critical * c / 2) - 1) ** 3 * stats.chi.pdf(c, 4), 0, 20
        )
        return held[0] - 0.95

    expected = optimize.brentq(missed, 2, 10)
    # Four simulation errors of the quantile with 200,000 draws.
    assert bands["critical_value"].tolist() == pytest.approx([expected] * 3, abs=0.06)
    assert expected > stats.t.ppf(0.975, 4) + 0.5


def test_independent_terms_of_different_degrees_share_the_sidak_level() -> None:
    degrees = np.array([4.0, np.nan, 30.0])
    table = table_of([0.0] * 3, np.diag([1.0, 4, 9]), {"event_time": [0, 1, 2]})
    bands = simultaneous_bands(replace(table, degrees=degrees), rng=np.random.default_rng(1))
    level = 0.5 + 0.95 ** (1 / 3) / 2
    expected = [stats.t.ppf(level, 4), stats.norm.ppf(level), stats.t.ppf(level, 30)]
    assert bands["critical_value"].tolist() == pytest.approx(expected, rel=0.015)
    assert bands["simultaneous_low"].iloc[1] == -2 * bands["critical_value"].iloc[1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("degrees", [None, np.array([4.0])])
def test_the_band_of_one_term_is_no_narrower_than_its_interval(degrees, seed) -> None:
    table = replace(table_of([1.0], np.eye(1), {"event_time": [0]}), degrees=degrees)
    bands = simultaneous_bands(table, rng=np.random.default_rng(seed))
    assert (bands["simultaneous_high"] >= bands["conf_high"]).all()
    assert bands["simultaneous_high"].iloc[0] == pytest.approx(bands["conf_high"].iloc[0], abs=0.05)


def test_base_month_has_no_band_and_stacked_tables_are_refused() -> None:
    moments = reduce_panel(awkward_panel(seed=2), outcomes=["visits"], unbalanced="cell_means")
    study = aggregate(
        group_time_att(moments, outcome="visits", base_period="universal"), by="event_time"
    )
    bands = simultaneous_bands(study, rng=np.random.default_rng(1))
    assert bands.loc[bands["event_time"] == -1, "simultaneous_low"].isna().all()
    assert (bands["simultaneous_low"] < bands["conf_low"])[bands["event_time"] != -1].all()
    both = stack([study, study], key="outcome", labels=["a", "b"])
    with pytest.raises(EstimationError, match="Take the bands of each table before stacking"):
        simultaneous_bands(both, rng=np.random.default_rng(1))


def test_pre_trend_statistic_by_hand() -> None:
    covariance = np.array([[2.0, 1.0, 0.3], [1.0, 3.0, 0.2], [0.3, 0.2, 1.0]])
    table = table_of([1.0, -1.0, 9.0], covariance, {"event_time": [-3, -2, 0]})
    before = np.array([1.0, -1.0])
    expected = before @ np.linalg.inv(covariance[:2, :2]) @ before
    found = pre_trend_test(table).iloc[0]
    assert found["statistic"] == pytest.approx(expected)
    assert (found["df"], found["n_terms"]) == (2, 2)
    assert found["p_value"] == pytest.approx(stats.chi2.sf(expected, 2))


def test_pre_trend_by_stratum() -> None:
    moments = reduce_panel(
        awkward_panel(seed=2), outcomes=["visits"], stratum="group", unbalanced="cell_means"
    )
    study = aggregate(group_time_att(moments, outcome="visits"), by="event_time")
    tests = pre_trend_test(study)
    assert tests["group"].tolist() == ["x", "y"]
    alone = pre_trend_test(study.select(study.keys["group"] == "y"))
    assert tests["statistic"].iloc[1] == pytest.approx(alone["statistic"].iloc[0])


def test_pre_trend_refuses_what_it_cannot_test() -> None:
    moments = reduce_panel(awkward_panel(seed=2), outcomes=["visits"], unbalanced="cell_means")
    effects = group_time_att(moments, outcome="visits")
    with pytest.raises(EstimationError, match="no key `event_time`; it has `cohort`"):
        pre_trend_test(aggregate(effects, by="cohort"))
    with pytest.raises(EstimationError, match="no effect before exposure has a standard error"):
        pre_trend_test(aggregate(effects, by="event_time", min_event_time=0))


def test_wild_bootstrap_of_a_mean_is_close_to_t_with_few_clusters() -> None:
    # The mean of G normal cluster means: the exact test is Student's t with G - 1 degrees.
    rng = np.random.default_rng(3)
    values = rng.normal(0.6, 1.0, 14)
    psi = (values - values.mean()) / len(values)
    influence = pd.DataFrame({0: psi})
    table = table_of([values.mean()], np.array([[psi @ psi]]), {"row": [0]}, influence)
    found = wild_bootstrap_p_values(table, rng=np.random.default_rng(4))
    exact = stats.ttest_1samp(values, 0.0).pvalue
    assert found["p_value"].iloc[0] == pytest.approx(exact, abs=0.02)
    assert found["n_clusters"].iloc[0] == 14


def test_wild_bootstrap_needs_clusters() -> None:
    moments = reduce_panel(awkward_panel(seed=2), outcomes=["visits"], unbalanced="cell_means")
    with pytest.raises(EstimationError, match="keeps no cluster influence"):
        wild_bootstrap_p_values(
            aggregate(group_time_att(moments, outcome="visits")), rng=np.random.default_rng(1)
        )


def test_wild_bootstrap_size_with_few_counties() -> None:
    # No effect, 12 counties with shared shocks: 5 % tests should reject about 5 % of panels.
    rng = np.random.default_rng(12)
    rejected = []
    for _ in range(120):
        frame = awkward_panel(seed=int(rng.integers(1 << 30)), gap=0.0)
        county, month = (pd.factorize(frame[c])[0] for c in ("county", "month"))
        shock = rng.normal(0.0, 1.0, (county.max() + 1, month.max() + 1))
        frame["paid_usd"] = shock[county, month] + rng.normal(0.0, 1.0, len(frame))
        moments = reduce_panel(
            frame, outcomes=["paid_usd"], cluster="county", unbalanced="cell_means"
        )
        effects = group_time_att(moments, outcome="paid_usd", cluster="county")
        found = wild_bootstrap_p_values(aggregate(effects), rng=rng, draws=499)
        rejected.append(found["p_value"].iloc[0] <= 0.05)
    # Binomial(120, 0.05): 15 or more has probability 0.0006.
    assert sum(rejected) < 15
