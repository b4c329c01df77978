"""Errors by county against independent packages, on the regression that is the same model."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel
from scipy import stats

from calaim_eval.estimate import (
    aggregate,
    cluster_intervals,
    cluster_jackknife,
    group_time_att,
    multiway_clustered,
    randomization_test,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

SEEDS = range(6)


def two_months(seed: int, *, gap: float) -> pd.DataFrame:
    """The month before and the month of exposure, with the regressors of a two-by-two."""
    frame = county_panel(seed, counties=6 + seed, gap=gap, members=150, effect=0.4)
    frame = frame[frame["month"].isin([3, 4])].reset_index(drop=True)
    return frame.assign(
        exposed=frame["cohort"].notna().astype(int), after=(frame["month"] == 4).astype(int)
    )


def overall(cluster: str):
    def estimate(moments: CellMoments) -> EffectTable:
        return aggregate(group_time_att(moments, outcome="visits", cluster=cluster))

    return estimate


def statsmodels_fit(frame: pd.DataFrame, groups: np.ndarray):
    import statsmodels.formula.api as smf

    return smf.ols("visits ~ exposed * after", frame).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )


@pytest.mark.parametrize("gap", [0.0, 0.2])
@pytest.mark.parametrize("seed", SEEDS)
def test_jackknife_is_pyfixests_crv3(seed: int, gap: float) -> None:
    pf = pytest.importorskip("pyfixest")
    frame = two_months(seed, gap=gap)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Its CRV3 is the sum of squared changes; G/(G-1) and (N-1)/(N-k) are switched off.
        fit = pf.feols(
            "visits ~ exposed * after",
            frame,
            vcov={"CRV3": "county"},
            ssc=pf.ssc(k_adj=False, G_adj=False),
        )
    n_clusters = frame["county"].nunique()
    expected = fit.se()["exposed:after"] * np.sqrt((n_clusters - 1) / n_clusters)
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    table = cluster_jackknife(moments, overall("county"))
    assert table.estimate[0] == pytest.approx(fit.coef()["exposed:after"], rel=1e-9)
    assert table.std_error[0] == pytest.approx(expected, rel=1e-8)
    assert cluster_intervals(table)["df"].iloc[0] == n_clusters - 1


@pytest.mark.parametrize("gap", [0.0, 0.2])
@pytest.mark.parametrize("seed", SEEDS)
def test_sandwich_is_statsmodels(seed: int, gap: float) -> None:
    frame = two_months(seed, gap=gap)
    fit = statsmodels_fit(frame, pd.factorize(frame["county"])[0])
    table = overall("county")(
        reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    )
    assert table.estimate[0] == pytest.approx(fit.params["exposed:after"], rel=1e-9)
    assert table.std_error[0] == pytest.approx(fit.bse["exposed:after"], rel=1e-9)


@pytest.mark.parametrize("gap", [0.0, 0.2])
@pytest.mark.parametrize("seed", SEEDS)
def test_two_ways_is_statsmodels(seed: int, gap: float) -> None:
    frame = two_months(seed, gap=gap)
    frame["both"] = frame["county"] + frame["plan"]
    groups = np.column_stack([pd.factorize(frame[c])[0] for c in ("county", "plan")])
    fit = statsmodels_fit(frame, groups)
    tables = {
        c: overall(c)(reduce_panel(frame, outcomes=["visits"], cluster=c, unbalanced="cell_means"))
        for c in ("county", "plan", "both")
    }
    found = multiway_clustered(tables["county"], tables["plan"], intersection=tables["both"])
    variance = fit.cov_params().loc["exposed:after", "exposed:after"]
    if variance > 0:
        assert found.covariance[0, 0] == pytest.approx(variance, rel=1e-8)
    else:
        assert np.isnan(found.std_error[0])


@pytest.mark.parametrize("seed", SEEDS)
def test_member_by_county_is_county(seed: int) -> None:
    frame = two_months(seed, gap=0.2)
    groups = np.column_stack([pd.factorize(frame[c])[0] for c in ("member_id", "county")])
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    found = multiway_clustered(overall("member")(moments), overall("county")(moments))
    assert found.std_error[0] == pytest.approx(
        statsmodels_fit(frame, groups).bse["exposed:after"], rel=1e-8
    )
    assert found.std_error == pytest.approx(overall("county")(moments).std_error)


@pytest.mark.parametrize("seed", SEEDS)
def test_permutations_of_equal_counties_are_scipys(seed: int) -> None:
    # Counties of one size: the error by county is that of two samples of county changes.
    rng = np.random.default_rng(seed)
    n_exposed, n_counties, size = 3, 8, 5
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(n_counties * size), 2),
            "county": np.repeat(np.arange(n_counties), 2 * size),
            "month": np.tile([0, 1], n_counties * size),
            "visits": rng.poisson(2.0, 2 * n_counties * size),
        }
    )
    frame["cohort"] = np.where(frame["county"] < n_exposed, 1.0, np.nan)
    mean = frame.pivot_table(index="county", columns="month", values="visits")
    change = (mean[1] - mean[0]).to_numpy()

    def studentized(x: np.ndarray, y: np.ndarray) -> float:
        return abs(x.mean() - y.mean()) / np.sqrt(x.var() / len(x) + y.var() / len(y))

    expected = stats.permutation_test(
        (change[:n_exposed], change[n_exposed:]),
        studentized,
        n_resamples=np.inf,
        alternative="greater",
        vectorized=False,
    )
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    row = randomization_test(moments, overall("county")).iloc[0]
    assert abs(row["statistic"]) == pytest.approx(expected.statistic)
    assert row["p_value"] == pytest.approx(expected.pvalue)
