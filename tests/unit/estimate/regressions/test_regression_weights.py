"""Weighted regressions: by hand, as repeated rows, against other packages; what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.design import entropy_balance
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate import regression

GIVEN: dict[str, Any] = {"exposure": "served", "covariates": ["risk"]}
MODELS = [
    {"model": "linear"},
    {"model": "poisson"},
    {"model": "fixed_effects", "absorb": ["county"]},
    {"model": "gee_linear", "working_correlation": "independent"},
    {"model": "gee_poisson", "working_correlation": "independent"},
]


def weighted_rows(seed: int = 4, *, members: int = 80, n_months: int = 4) -> pd.DataFrame:
    """Members in months with weights of 1 to 4; half served from month 2 on."""
    rng = np.random.default_rng(seed)
    one = pd.DataFrame(
        {
            "member_id": range(members),
            "ever": np.arange(members) % 2,
            "risk": rng.normal(size=members),
            "county": rng.choice(list("abcdefgh"), members),
            "weight": rng.integers(1, 5, members).astype(float),
            "level": rng.gamma(2.0, 0.5, members),
        }
    )
    frame = one.loc[np.repeat(one.index, n_months)].reset_index(drop=True)
    frame["month"] = np.tile(np.arange(n_months), members)
    frame["served"] = frame["ever"] * (frame["month"] >= 2)
    frame["covered"] = rng.choice([0.5, 1.0], len(frame))
    mean = frame["level"] * np.exp(0.4 * frame["served"] + 0.2 * frame["risk"])
    frame["visits"] = rng.poisson(frame["covered"] * mean)
    return frame


def test_ratio_of_weighted_rates_and_its_sandwich_by_hand() -> None:
    frame = weighted_rows()
    table = regression(
        frame, outcome="visits", exposure="ever", model="poisson", at_risk="covered",
        weights="weight",
    )  # fmt: skip
    events = (frame["weight"] * frame["visits"]).groupby(frame["ever"]).sum()
    months = (frame["weight"] * frame["covered"]).groupby(frame["ever"]).sum()
    rate = events / months
    assert table.estimate[0] == pytest.approx(rate[1] / rate[0], rel=1e-10)
    # A log rate has influence w (y - rate at_risk) / weighted events; sides share no member.
    left = frame["weight"] * (frame["visits"] - frame["ever"].map(rate) * frame["covered"])
    psi = (left / frame["ever"].map(events)).groupby(frame["member_id"]).sum()
    n, g = len(frame), frame["member_id"].nunique()
    factor = g / (g - 1) * (n - 1) / (n - 2)
    error = np.sqrt(factor * (psi**2).sum())
    assert table.std_error[0] / table.estimate[0] == pytest.approx(error, rel=1e-9)


@pytest.mark.parametrize("options", MODELS, ids=lambda o: o["model"])
def test_weights_are_repeated_rows_that_count_once(options: dict[str, Any]) -> None:
    frame = weighted_rows()
    gee = options["model"].startswith("gee")
    at_risk = None if options["model"] == "gee_linear" else "covered"
    common = {"outcome": "visits", "at_risk": at_risk, **GIVEN, **options}
    weighted = regression(frame, weights="weight", **common)
    repeated = regression(
        frame.loc[np.repeat(frame.index, frame["weight"].astype(int))], month=None, **common
    )
    np.testing.assert_allclose(weighted.estimate, repeated.estimate, rtol=1e-7)
    # The clusters are the same members; only the factor counts the rows.
    n, more = len(frame), frame["weight"].sum()
    k = 2 + 8 if options["model"] == "fixed_effects" else 3  # eight counties
    factor = 1.0 if gee else (n - 1) / (n - k) / ((more - 1) / (more - k))
    np.testing.assert_allclose(weighted.covariance, factor * repeated.covariance, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:cov_type not fully supported with var_weights")
@pytest.mark.parametrize("cluster", ["member_id", "county"])
@pytest.mark.parametrize("model", ["linear", "poisson"])
def test_statsmodels_gives_the_same(model: str, cluster: str) -> None:
    frame = weighted_rows()
    x = sm.add_constant(frame[["served", "risk"]].astype(float))
    y, w = frame["visits"], frame["weight"]
    fitted = (
        sm.WLS(y, x, weights=w)
        if model == "linear"
        else sm.GLM(y, x, family=sm.families.Poisson(), var_weights=w)
    )
    options = {} if model == "linear" else {"tol": 1e-14}
    groups = pd.factorize(frame[cluster])[0]
    theirs = fitted.fit(cov_type="cluster", cov_kwds={"groups": groups}, **options)
    name = "member" if cluster == "member_id" else cluster
    ours = regression(frame, outcome="visits", model=model, weights="weight", cluster=name, **GIVEN)
    estimate, error = ours.estimate[0], ours.std_error[0]
    if model == "poisson":
        estimate, error = np.log(estimate), error / estimate
    assert estimate == pytest.approx(theirs.params["served"], abs=1e-9)
    assert error == pytest.approx(theirs.bse["served"], abs=1e-9)


def test_panel_ols_of_linearmodels_gives_the_same() -> None:
    from linearmodels.panel import PanelOLS

    frame = weighted_rows()
    panel = frame.set_index(["member_id", "month"])
    theirs = PanelOLS(
        panel["visits"],
        panel[["served"]],
        weights=panel["weight"],
        entity_effects=True,
        time_effects=True,
    ).fit(
        cov_type="clustered",
        cluster_entity=True,
        debiased=False,
        auto_df=False,
        count_effects=False,
    )
    ours = regression(
        frame, outcome="visits", exposure="served", model="fixed_effects", weights="weight"
    )
    assert ours.estimate[0] == pytest.approx(theirs.params["served"], abs=1e-9)
    # PanelOLS without its corrections; ours without G/(G-1) x (N-1)/(N-K), K = 1 + 4 months.
    n, g = len(frame), frame["member_id"].nunique()
    factor = g / (g - 1) * (n - 1) / (n - 5)
    error = ours.std_error[0] / np.sqrt(factor)
    assert error == pytest.approx(theirs.std_errors["served"], abs=1e-9)


def test_balancing_weights_are_taken_by_member() -> None:
    frame = weighted_rows()
    people = frame.groupby("member_id").first()
    sides = [people.loc[people["ever"] == side, ["risk"]] for side in (1, 0)]
    weights = entropy_balance(*sides)
    found = regression(frame, outcome="visits", exposure="ever", model="linear", weights=weights)
    given = weights.weights["weight"].reindex(frame["member_id"]).to_numpy()
    of_side = [
        np.average(frame["visits"][frame["ever"] == side], weights=given[frame["ever"] == side])
        for side in (1, 0)
    ]
    assert found.estimate[0] == pytest.approx(of_side[0] - of_side[1], rel=1e-10)
    assert any(note.startswith("Rows are weighted (probability weights") for note in found.notes)
    # Members alike on average: a covariate that was balanced changes nothing.
    with_risk = regression(
        frame,
        outcome="visits",
        exposure="ever",
        covariates=["risk"],
        model="linear",
        weights=weights,
    )
    assert with_risk.estimate[0] == pytest.approx(found.estimate[0], abs=1e-6)
    with pytest.raises(TableError, match="the weight of `member_id` is missing"):
        regression(
            frame.assign(member_id=frame["member_id"] + 1),
            outcome="visits",
            exposure="ever",
            model="linear",
            weights=weights,
        )
    with pytest.raises(EstimationError, match="need `member_id`"):
        regression(
            frame,
            outcome="visits",
            exposure="ever",
            model="linear",
            weights=weights,
            member_id=None,
            month=None,
        )


def test_average_effect_is_standardized_to_the_weighted_rows() -> None:
    frame = weighted_rows()
    options = {"outcome": "visits", "model": "poisson", "weights": "weight", **GIVEN}
    average = regression(frame, quantity="average_effect", per=100, **options)
    everything = regression(frame, terms="all", **options)
    level, ratio, slope = np.log(everything.estimate)
    without = np.exp(level + slope * frame["risk"])
    expected = 100 * np.average(without * (np.exp(ratio) - 1), weights=frame["weight"])
    assert average.estimate[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("model", ["poisson", "linear", "gee_poisson", "gee_linear"])
@pytest.mark.parametrize("size", [1e-12, 1e12])
def test_only_ratios_of_weights_matter(model: str, size: float) -> None:
    frame = weighted_rows()
    options: dict[str, Any] = {"model": model, "weights": "weight", **GIVEN}
    if model.startswith("gee"):
        options |= {"working_correlation": "independent"}
    tables = [
        regression(f, outcome="visits", **options)
        for f in (frame, frame.assign(weight=frame["weight"] * size))
    ]
    np.testing.assert_allclose(tables[0].estimate, tables[1].estimate, rtol=1e-9)
    np.testing.assert_allclose(tables[0].covariance, tables[1].covariance, rtol=1e-8)


def test_rows_of_weight_zero_are_set_aside_and_counted() -> None:
    frame = weighted_rows()
    emptied = frame.assign(weight=frame["weight"].where(frame["member_id"] >= 20, 0.0))
    options = {"outcome": "visits", "model": "linear", "weights": "weight", **GIVEN}
    found, expected = (regression(f, **options) for f in (emptied, frame[frame["member_id"] >= 20]))
    np.testing.assert_allclose(found.estimate, expected.estimate, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-12)
    assert found.support.equals(expected.support)
    assert "Set aside for a weight of 0: about 80 member-months." in found.notes


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (-1.0, "missing, infinite or negative"),
        (np.nan, "missing, infinite or negative"),
        (np.inf, "missing, infinite or negative"),
        (0.0, "is 0 in every row"),
        ("three", "not numbers"),
    ],
)
def test_refuses_weights_that_are_none(values: object, words: str) -> None:
    frame = weighted_rows().assign(weight=values)
    with pytest.raises(TableError, match=words):
        regression(frame, outcome="visits", model="linear", weights="weight", **GIVEN)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "negative_binomial"}, "takes no `weights`: its second parameter"),
        ({"model": "mixed"}, "takes no `weights`: the variance between members"),
        ({"model": "gee_poisson"}, "working_correlation='independent'"),
        ({"model": "linear", "cluster": None}, "right for frequency weights only"),
    ],
)
def test_refuses_models_without_a_place_for_weights(options: dict[str, Any], words: str) -> None:
    with pytest.raises(EstimationError, match=words):
        regression(weighted_rows(), outcome="visits", weights="weight", **GIVEN, **options)
