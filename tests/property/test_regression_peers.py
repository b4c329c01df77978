"""Regressions against pyfixest, linearmodels and statsmodels on random panels with gaps."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import regression
from calaim_eval.results import EffectTable

GIVEN = {"exposure": "served", "covariates": ["risk"]}
CLUSTERS = [
    ("county", "county"),
    ("member", "member_id"),
    (("county", "plan"), "county+plan"),
    (("member", "month"), "member_id+month"),
]


def random_panel(seed: int) -> pd.DataFrame:
    """150 members in 6 months with gaps; overdispersed counts; counties and plans that cross."""
    rng = np.random.default_rng(seed)
    members, n_months = 150, 6
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(members), n_months),
            "month": np.tile(np.arange(n_months), members),
        }
    )
    n = len(frame)
    level = np.repeat(rng.gamma(1.0, 1.0, members), n_months)
    frame["county"] = frame["member_id"] % 13
    moved = rng.random(n) < 0.1
    frame["plan"] = (frame["member_id"] + moved) % 17
    frame["risk"] = np.repeat(rng.normal(size=members), n_months) + 0.3 * rng.normal(size=n)
    frame["served"] = ((frame["month"] >= 3) & (frame["member_id"] % 3 == 0)).astype(int)
    frame["covered"] = rng.choice([0.5, 0.8, 1.0], n)
    mean = level * frame["covered"] * np.exp(0.3 * frame["served"] + 0.2 * frame["risk"])
    frame["visits"] = rng.poisson(rng.gamma(2.0, 0.5, n) * mean)
    frame["paid"] = frame["visits"] + rng.normal(size=n)
    frame["paid_rate"] = frame["paid"] / frame["covered"]
    return frame[rng.random(n) > 0.1].reset_index(drop=True)


@pytest.fixture(scope="module", params=[4, 5])
def frame(request: pytest.FixtureRequest) -> pd.DataFrame:
    return random_panel(request.param)


def assert_same(table: EffectTable, coef: float, std_error: float, *, within: float = 1e-8) -> None:
    """One row; ratios are compared by their logarithm."""
    estimate, error = table.estimate[0], table.std_error[0]
    if table.estimand.scale == "ratio":
        estimate, error = np.log(estimate), error / estimate
    assert estimate == pytest.approx(coef, abs=within)
    assert error == pytest.approx(std_error, abs=within)


@pytest.mark.parametrize(("cluster", "crv1"), CLUSTERS)
def test_pyfixest_gives_the_same(
    frame: pd.DataFrame, cluster: str | tuple[str, str], crv1: str
) -> None:
    pyfixest = pytest.importorskip("pyfixest")
    vcov = {"CRV1": crv1}
    absorbed = pyfixest.feols("paid ~ served + risk | member_id + month", frame, vcov=vcov)
    plain = pyfixest.feols("paid ~ served + risk", frame, vcov=vcov)
    counts = pyfixest.fepois(
        "visits ~ served + risk | month", frame, vcov=vcov, iwls_tol=1e-14, fixef_tol=1e-12
    )
    n_compared = 0
    for theirs, options in (
        (absorbed, {"outcome": "paid", "model": "fixed_effects"}),
        (plain, {"outcome": "paid", "model": "linear"}),
        (counts, {"outcome": "visits", "model": "poisson", "categorical": ["month"]}),
    ):
        ours = regression(frame, cluster=cluster, **options, **GIVEN)
        if any("negative eigenvalue" in note for note in ours.notes):
            continue  # mended, which pyfixest does not
        # pyfixest iterates the effects away to 1e-6 of the change; 1e-8 is what that leaves.
        assert_same(ours, theirs.coef()["served"], theirs.se()["served"])
        n_compared += 1
    assert n_compared


@pytest.mark.parametrize(
    ("absorb", "cluster"),
    [(["member", "month"], "county"), (["county", "month"], "plan"), (["county", "month"], None)],
)
def test_pyfixest_gives_the_same_with_weights(
    frame: pd.DataFrame, absorb: list[str], cluster: str | None
) -> None:
    pyfixest = pytest.importorskip("pyfixest")
    effects = " + ".join("member_id" if name == "member" else name for name in absorb)
    theirs = pyfixest.feols(
        f"paid_rate ~ served + risk | {effects}",
        frame,
        weights="covered",
        vcov="iid" if cluster is None else {"CRV1": cluster},
    )
    ours = regression(
        frame,
        outcome="paid",
        model="fixed_effects",
        absorb=absorb,
        cluster=cluster,
        at_risk="covered",
        **GIVEN,
    )
    assert_same(ours, theirs.coef()["served"], theirs.se()["served"])


def test_pyfixest_gives_the_same_with_probability_weights(frame: pd.DataFrame) -> None:
    pyfixest = pytest.importorskip("pyfixest")
    weighted = frame.assign(weight=1.0 + frame["member_id"] % 5)
    theirs = pyfixest.feols(
        "paid ~ served + risk | member_id + month",
        weighted,
        weights="weight",
        vcov={"CRV1": "county"},
    )
    ours = regression(
        weighted, outcome="paid", model="fixed_effects", weights="weight", cluster="county", **GIVEN
    )
    assert_same(ours, theirs.coef()["served"], theirs.se()["served"])


def test_pyfixest_gives_the_same_by_stratum(frame: pd.DataFrame) -> None:
    pyfixest = pytest.importorskip("pyfixest")
    frame = frame.assign(
        own=np.where(frame["member_id"] % 2 == 0, "x", "y"),
        moving=np.where((frame["member_id"] + frame["month"]) % 2 == 0, "x", "y"),
    )
    for stratum, levels in (("own", ""), ("moving", " + C(moving)")):
        made = frame.assign(
            in_x=frame["served"] * (frame[stratum] == "x"),
            in_y=frame["served"] * (frame[stratum] == "y"),
        )
        theirs = pyfixest.feols(
            f"paid ~ in_x + in_y + risk{levels} | member_id + month",
            made,
            vcov={"CRV1": "county"},
            fixef_tol=1e-12,
        )
        ours = regression(
            frame,
            outcome="paid",
            model="fixed_effects",
            stratum=stratum,
            cluster="county",
            **GIVEN,
        )
        assert ours.keys[stratum].tolist() == ["x", "y"]
        for row, name in enumerate(("in_x", "in_y")):
            assert ours.estimate[row] == pytest.approx(theirs.coef()[name], abs=1e-8)
            assert ours.std_error[row] == pytest.approx(theirs.se()[name], abs=1e-8)


def test_panel_ols_of_linearmodels_gives_the_same(frame: pd.DataFrame) -> None:
    panel = pytest.importorskip("linearmodels.panel")
    indexed = frame.set_index(["member_id", "month"])
    theirs = panel.PanelOLS(
        indexed["paid_rate"],
        indexed[["served", "risk"]],
        weights=indexed["covered"],
        entity_effects=True,
        time_effects=True,
    ).fit(
        cov_type="clustered",
        cluster_entity=True,
        debiased=False,
        auto_df=False,
        count_effects=False,
    )
    options = {"outcome": "paid", "model": "fixed_effects", "at_risk": "covered", **GIVEN}
    ours = regression(frame, **options)
    # PanelOLS without its corrections; ours without G/(G-1) x (N-1)/(N-K), K = 2 + 6 months.
    n, g = len(frame), frame["member_id"].nunique()
    factor = g / (g - 1) * (n - 1) / (n - 8)
    assert ours.estimate[0] == pytest.approx(theirs.params["served"], abs=1e-9)
    assert ours.std_error[0] / np.sqrt(factor) == pytest.approx(
        theirs.std_errors["served"], abs=1e-9
    )


@pytest.mark.parametrize("cluster", ["county", None])
def test_statsmodels_gives_the_same_counts(frame: pd.DataFrame, cluster: str | None) -> None:
    from statsmodels.discrete.discrete_model import NegativeBinomial, Poisson

    x = frame[["served", "risk"]].assign(one=1.0)
    covered = frame["covered"].to_numpy()
    options = {"outcome": "visits", "at_risk": "covered", "cluster": cluster, **GIVEN}
    robust = {}
    if cluster is not None:
        robust = {"cov_type": "cluster", "cov_kwds": {"groups": frame[cluster]}}
    for name, peer in (("poisson", Poisson), ("negative_binomial", NegativeBinomial)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = peer(frame["visits"], x, exposure=covered).fit(
                method="newton", maxiter=200, disp=0, **robust
            )
        ours = regression(frame, model=name, **options)
        assert_same(ours, theirs.params["served"], theirs.bse["served"])


def test_statsmodels_gives_the_same_margins(frame: pd.DataFrame) -> None:
    from statsmodels.discrete.discrete_model import Poisson

    x = frame[["served", "risk"]].assign(one=1.0)
    theirs = (
        Poisson(frame["visits"], x)
        .fit(disp=0, tol=1e-12, cov_type="cluster", cov_kwds={"groups": frame["county"]})
        .get_margeff(dummy=True)
    )
    for position, exposure, other in ((0, "served", "risk"), (1, "risk", "served")):
        ours = regression(
            frame,
            outcome="visits",
            exposure=exposure,
            covariates=[other],
            model="poisson",
            quantity="average_effect",
            cluster="county",
            per=1000,
        )
        assert_same(
            ours, 1000 * theirs.margeff[position], 1000 * theirs.margeff_se[position], within=1e-6
        )
