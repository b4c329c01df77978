"""Regressions against closed forms and sandwiches written out; what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

from calaim_eval.equity import effect_gap
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate import regression
from calaim_eval.estimate.regressions.regression_fit import require_no_separation
from calaim_eval.estimate.regressions.regression_repeated import without_singletons
from calaim_eval.estimate.regressions.regression_rows import regression_rows


def visit_rows(seed: int = 2, *, members: int = 60, n_months: int = 4) -> pd.DataFrame:
    """Members in months, served from month 2 on or never; counties, groups, a risk score."""
    rng = np.random.default_rng(seed)
    one = pd.DataFrame(
        {
            "member_id": range(members),
            "ever": np.arange(members) % 2,
            "risk": rng.normal(size=members),
            "group": rng.choice(["x", "y"], members),
            "county": rng.choice(list("abcdefgh"), members),
            "plan": rng.choice(list("pqrst"), members),
            "level": rng.gamma(2.0, 0.5, members),
        }
    )
    frame = one.loc[np.repeat(one.index, n_months)].reset_index(drop=True)
    frame["month"] = np.tile(np.arange(n_months), members)
    frame["served"] = frame["ever"] * (frame["month"] >= 2)
    frame["covered"] = rng.choice([0.5, 1.0], len(frame))
    mean = frame["level"] * np.exp(0.4 * frame["served"] + 0.2 * frame["risk"])
    frame["visits"] = rng.poisson(frame["covered"] * mean)
    frame["paid"] = 3 * frame["visits"] + frame["level"] + rng.normal(size=len(frame))
    return frame


def test_rate_ratio_of_two_groups_is_the_ratio_of_their_rates() -> None:
    frame = visit_rows()
    table = regression(
        frame, outcome="visits", exposure="ever", model="poisson", at_risk="covered", cluster=None
    )
    events = frame.groupby("ever")["visits"].sum()
    months = frame.groupby("ever")["covered"].sum()
    ratio = (events[1] / months[1]) / (events[0] / months[0])
    assert table.estimate[0] == pytest.approx(ratio)
    # Poisson: the logarithm of a ratio has variance 1/a + 1/b.
    assert table.std_error[0] / ratio == pytest.approx(np.sqrt(1 / events[1] + 1 / events[0]))
    assert table.estimand.scale == "ratio"
    row = table.to_frame().iloc[0]
    smaller = min(events)
    assert (row["n_members"], row["n_events"]) == (30, smaller)
    assert row["member_months"] == pytest.approx(months.min())


def test_least_squares_of_two_groups_is_the_difference_of_rates() -> None:
    frame = visit_rows()
    table = regression(
        frame,
        outcome="visits",
        exposure="ever",
        model="linear",
        at_risk="covered",
        cluster="county",
        per=1000,
    )
    rate = frame.groupby("ever")["visits"].sum() / frame.groupby("ever")["covered"].sum()
    assert table.estimate[0] == pytest.approx(1000 * (rate[1] - rate[0]))
    # The sandwich written out: residual total of each county on each side over its months.
    left = frame["visits"] - frame["covered"] * frame["ever"].map(rate)
    load = left / frame["ever"].map(frame.groupby("ever")["covered"].sum())
    by_county = (load * np.where(frame["ever"] == 1, 1, -1)).groupby(frame["county"]).sum()
    n, g = len(frame), len(by_county)
    factor = g / (g - 1) * (n - 1) / (n - 2)
    assert table.std_error[0] == pytest.approx(1000 * np.sqrt(factor * (by_county**2).sum()))
    influence = table.cluster_influence
    assert influence is not None
    assert list(influence.index) == sorted(frame["county"].unique())
    np.testing.assert_allclose(influence.to_numpy().T @ influence.to_numpy(), table.covariance)
    assert table.estimand.unit == "visits per 1,000 member-periods"
    assert any("8 clusters" in note for note in table.notes)


def test_two_way_clustering_is_one_plus_the_other_minus_both() -> None:
    frame = visit_rows(3)
    options = {"outcome": "paid", "exposure": "served", "covariates": ["risk"], "model": "linear"}
    frame["both"] = frame["county"] + frame["plan"]
    two_way = regression(frame, cluster=("county", "plan"), **options)
    assert not any("negative eigenvalue" in note for note in two_way.notes)
    sizes = {name: frame[name].nunique() for name in ("county", "plan", "both")}

    def raw(name: str) -> float:
        variance = regression(frame, cluster=name, **options).std_error[0] ** 2
        return variance * (sizes[name] - 1) / sizes[name]

    g = min(sizes.values())
    expected = (raw("county") + raw("plan") - raw("both")) * g / (g - 1)
    assert two_way.std_error[0] == pytest.approx(np.sqrt(expected))
    assert two_way.cluster_influence is None


def test_no_result_holds_a_member() -> None:
    frame = visit_rows()
    options = {"outcome": "paid", "exposure": "served", "model": "fixed_effects"}
    by_column = regression(frame, cluster="member_id", absorb=["member_id", "month"], **options)
    by_role = regression(frame, **options)
    assert by_column.cluster_influence is None
    assert by_column.std_error[0] == pytest.approx(by_role.std_error[0])
    two_way = regression(frame[frame["member_id"] < 8], cluster=("member_id", "plan"), **options)
    assert "fewer than 11 members and" in " ".join(two_way.notes)


@pytest.mark.parametrize("member_id", ["member_id", None])
def test_a_second_id_clusters_by_member_and_is_in_no_result(member_id: str | None) -> None:
    frame = visit_rows()
    frame["cin"] = [f"secret{i}" for i in frame["member_id"]]
    if member_id is None:
        frame = frame.drop_duplicates("member_id")
        frame["served"] = (frame["member_id"] < 4).astype(int)
    options = {"outcome": "paid", "exposure": "served", "model": "linear", "month": None}
    if member_id is not None:
        options["month"] = "month"
    by_id = regression(frame, cluster="cin", member_id=member_id, **options)
    by_member = regression(frame, cluster="member", member_id=member_id, **options)
    assert by_id.cluster_influence is None
    assert by_id.notes == by_member.notes
    assert by_id.std_error == pytest.approx(by_member.std_error)


def test_parts_of_members_as_clusters_are_in_no_result() -> None:
    frame = visit_rows()
    frame["episode"] = [
        f"secret{i}-{m > 1}" for i, m in zip(frame["member_id"], frame["month"], strict=True)
    ]
    frame["served"] = (frame["member_id"] < 4).astype(int)
    table = regression(frame, outcome="paid", exposure="served", model="linear", cluster="episode")
    assert table.cluster_influence is None
    assert not any("8 with exposed" in note for note in table.notes)
    assert any("about 120 clusters" in note for note in table.notes)


def test_strata_are_what_each_gives_alone_and_joint() -> None:
    frame = visit_rows()
    options = {"outcome": "visits", "exposure": "served", "model": "poisson"}
    both = regression(frame, stratum="group", **options)
    for row, label in enumerate(["x", "y"]):
        alone = regression(frame[frame["group"] == label], **options)
        assert both.keys["group"].iloc[row] == label
        assert both.estimate[row] == pytest.approx(alone.estimate[0])
        assert both.support.iloc[row].tolist() == alone.support.iloc[0].tolist()
    # No member is in both: estimates are independent.
    assert both.covariance[0, 1] == pytest.approx(0.0, abs=1e-12)
    gap = effect_gap(both, stratum="group", reference="x", scale="ratio").to_frame().iloc[0]
    assert gap["estimate"] == pytest.approx(both.estimate[1] / both.estimate[0])


def test_average_effect_is_standardization() -> None:
    frame = visit_rows()
    options = {
        "outcome": "visits",
        "exposure": "served",
        "categorical": ["group"],
        "model": "poisson",
        "at_risk": "covered",
    }
    ratio = regression(frame, terms="all", **options).to_frame().set_index("term")["estimate"]
    rate = ratio["intercept"] * np.where(frame["group"] == "y", ratio["group=y"], 1.0)
    change = rate * (ratio["served"] - 1)
    everyone = regression(frame, quantity="average_effect", per=1000, **options)
    exposed = regression(frame, quantity="average_effect_on_exposed", **options)
    weight = frame["covered"]
    assert everyone.estimate[0] == pytest.approx(1000 * np.average(change, weights=weight))
    assert exposed.estimate[0] == pytest.approx(
        np.average(change, weights=weight * frame["served"])
    )
    assert everyone.estimand.scale == "difference"
    assert "exposed member-months" in exposed.estimand.contrast


def test_gradient_of_average_effects_is_their_derivative() -> None:
    from calaim_eval.estimate.regressions.regression import (
        average_effects,
        fit_poisson,
        regression_rows,
    )

    rows = regression_rows(
        visit_rows(),
        outcome="visits",
        exposure=["served", "risk"],
        covariates=[],
        categorical=["plan"],
        stratum="group",
        at_risk="covered",
        member_id="member_id",
        month="month",
        groups=[],
    )
    fit = fit_poisson(rows)
    _, gradient = average_effects(fit, [0, 1, 2, 3], on_exposed=False)
    step = 1e-6
    for j in range(len(fit.coef)):
        moved = []
        for sign in (1, -1):
            coef = fit.coef.copy()
            coef[j] += sign * step
            other = type(fit)(coef, None, fit.covariance, fit.n_coefficients, rows)
            moved.append(average_effects(other, [0, 1, 2, 3], on_exposed=False)[0])
        np.testing.assert_allclose((moved[0] - moved[1]) / (2 * step), gradient[:, j], atol=1e-7)


def test_negative_binomial_of_two_groups_is_the_ratio_of_their_means() -> None:
    frame = visit_rows(members=200)
    table = regression(frame, outcome="visits", exposure="ever", model="negative_binomial")
    mean = frame.groupby("ever")["visits"].mean()
    assert table.estimate[0] == pytest.approx(mean[1] / mean[0], rel=1e-6)


@pytest.mark.parametrize("correlation", ["independent", "exchangeable"])
def test_estimating_equations_of_a_balanced_panel(correlation: str) -> None:
    # With as many months for everyone and an exposure that does not change, any of these weighs
    # members alike: the difference of means, with the sandwich over members (no factor).
    frame = visit_rows()
    table = regression(
        frame,
        outcome="paid",
        exposure="ever",
        model="gee_linear",
        working_correlation=correlation,
    )
    means = frame.groupby(["ever", "member_id"])["paid"].mean()
    side = means.groupby("ever")
    assert table.estimate[0] == pytest.approx(side.mean()[1] - side.mean()[0])
    variance = (side.var(ddof=0) / side.size()).sum()
    assert table.std_error[0] == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_random_intercepts_of_a_balanced_panel() -> None:
    # Balanced one-way analysis of variance: pooled variance of member means.
    frame = visit_rows()
    table = regression(frame, outcome="paid", exposure="ever", model="mixed")
    side = frame.groupby(["ever", "member_id"])["paid"].mean().groupby("ever")
    assert table.estimate[0] == pytest.approx(side.mean()[1] - side.mean()[0])
    pooled = (side.var() * (side.size() - 1)).sum() / (side.size().sum() - 2)
    assert table.std_error[0] == pytest.approx(np.sqrt(pooled * (1 / side.size()).sum()), rel=1e-5)


def test_random_intercepts_against_the_profiled_likelihood() -> None:
    frame = visit_rows().sample(frac=0.8, random_state=3)
    table = regression(frame, outcome="paid", exposure="served", covariates=["risk"], model="mixed")
    x = np.column_stack([np.ones(len(frame)), frame["served"], frame["risk"]])
    y = frame["paid"].to_numpy()
    same = frame["member_id"].to_numpy()[:, None] == frame["member_id"].to_numpy()[None, :]

    def solved(ratio: float) -> tuple[float, np.ndarray, np.ndarray]:
        v = np.eye(len(y)) + ratio * same
        inverse = np.linalg.inv(v)
        information = x.T @ inverse @ x
        coef = np.linalg.solve(information, x.T @ inverse @ y)
        left = y - x @ coef
        freedom = len(y) - 3
        scale = float(left @ inverse @ left) / freedom
        minus_two = (
            freedom * np.log(scale) + np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
        )
        return minus_two, coef, scale * np.linalg.inv(information)

    best = minimize_scalar(
        lambda r: solved(np.exp(r))[0], bounds=(-6, 3), method="bounded", options={"xatol": 1e-8}
    )
    _, coef, covariance = solved(np.exp(best.x))
    assert table.estimate[0] == pytest.approx(coef[1], abs=1e-4)
    assert table.std_error[0] == pytest.approx(np.sqrt(covariance[1, 1]), abs=1e-4)


def test_two_months_with_absorbed_effects_are_the_difference_in_differences() -> None:
    frame = visit_rows()
    frame = frame[frame["month"].isin([1, 2])]
    table = regression(frame, outcome="paid", exposure="served", model="fixed_effects")
    wide = frame.pivot_table(index=["ever", "member_id"], columns="month", values="paid")
    change = (wide[2] - wide[1]).groupby("ever").mean()
    assert table.estimate[0] == pytest.approx(change[1] - change[0])


def test_singletons_are_set_aside_and_counted() -> None:
    frame = visit_rows()
    alone = frame[(frame["month"] > 0) | (frame["member_id"] >= 25)]
    alone = alone[(alone["member_id"] >= 25) | (alone["month"] == 3)]
    table = regression(alone, outcome="paid", exposure="served", model="fixed_effects")
    kept = regression(
        frame[frame["member_id"] >= 25], outcome="paid", exposure="served", model="fixed_effects"
    )
    assert table.estimate[0] == pytest.approx(kept.estimate[0])
    assert table.std_error[0] == pytest.approx(kept.std_error[0])
    assert "Set aside as the only row of its member or month: about 20 member-months." in (
        table.notes
    )


def test_singletons_are_dropped_until_none_is_left() -> None:
    # Dropping row 0 leaves row 1 alone in its second group, and so on.
    first = np.array([0, 1, 1, 2, 2, 2])
    second = np.array([0, 0, 1, 1, 2, 2])
    assert without_singletons([first, second]).tolist() == [4, 5]


@pytest.mark.parametrize("model", ["linear", "fixed_effects", "poisson", "negative_binomial"])
def test_units_of_covariates_and_order_of_rows_do_not_matter(model: str) -> None:
    frame = visit_rows(members=120)
    options = {"outcome": "visits", "exposure": "served", "model": model}
    frame["age"] = frame["risk"] + 0.1 * frame["month"] * frame["level"]
    one = regression(frame, covariates=["age"], **options)
    moved = frame.sample(frac=1, random_state=4).assign(age=lambda f: 5e4 * f["age"] + 3e6)
    other = regression(moved, covariates=["age"], **options)
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=1e-7)
    np.testing.assert_allclose(one.std_error, other.std_error, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"model": "gee_linear", "working_correlation": "autoregressive"},
        {"model": "gee_poisson", "at_risk": "covered"},
        {"model": "mixed"},
    ],
)
def test_order_of_rows_does_not_matter_to_repeated_measures(options: dict[str, str]) -> None:
    frame = visit_rows()
    given = {"outcome": "visits", "exposure": "served", "covariates": ["risk"], **options}
    one = regression(frame, **given)
    other = regression(frame.sample(frac=1, random_state=8), **given)
    assert one.estimate[0] == pytest.approx(other.estimate[0], rel=1e-4)
    assert one.std_error[0] == pytest.approx(other.std_error[0], rel=1e-4)


def test_few_members_have_bias_reduced_errors() -> None:
    frame = visit_rows()
    options = {"outcome": "paid", "exposure": "ever", "model": "gee_linear"}
    few = regression(frame[frame["member_id"] < 20], **options)
    assert any("bias-reduced" in note for note in few.notes)
    # Mancl and DeRouen: a member's residual over 1 - 1/n of its side.
    means = frame[frame["member_id"] < 20].groupby(["ever", "member_id"])["paid"].mean()
    side = means.groupby("ever")
    variance = (side.var(ddof=0) / side.size() / (1 - 1 / side.size()) ** 2).sum()
    assert few.std_error[0] == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_few_members_are_said() -> None:
    frame = visit_rows()
    options = {"outcome": "paid", "exposure": "served", "model": "linear"}
    few = regression(frame[frame["member_id"] < 40], **options)
    assert any("clustered by member, and there are under 50" in note for note in few.notes)
    assert not any("under 50" in note for note in regression(frame, **options).notes)


def test_without_a_design_it_is_an_association() -> None:
    frame = visit_rows()
    options = {"outcome": "visits", "exposure": "served", "model": "poisson"}
    plain = regression(frame, **options)
    assert not plain.estimand.is_causal
    assert plain.estimand.name == "Association"
    assert "No design was stated" in plain.notes[0]
    designed = regression(frame, design="served by lottery", **options)
    assert designed.estimand.is_causal
    assert "served by lottery" in designed.estimand.contrast
    assert not any("No design" in note for note in designed.notes)


def test_rows_without_a_covariate_are_set_aside_and_counted() -> None:
    frame = visit_rows()
    options = {"outcome": "visits", "exposure": "served", "covariates": ["risk"], "model": "linear"}
    kept = regression(frame[frame["member_id"] >= 10], **options)
    frame.loc[frame["member_id"] < 10, "risk"] = np.nan
    found = regression(frame, **options)
    assert found.estimate[0] == pytest.approx(kept.estimate[0])
    assert "Set aside for a missing exposure or covariate: about 40 member-months." in found.notes


def test_a_level_that_only_rows_set_aside_have_is_none() -> None:
    frame = visit_rows()
    lost = frame["member_id"] < 3
    other = frame.assign(group=frame["group"].mask(lost, "a"), risk=frame["risk"].mask(lost))
    options = {
        "outcome": "visits",
        "exposure": "served",
        "covariates": ["risk"],
        "categorical": ["group"],
        "model": "poisson",
        "terms": "all",
    }
    found, rest = regression(other, **options), regression(frame[~lost], **options)
    assert found.keys.to_numpy().tolist() == rest.keys.to_numpy().tolist()
    np.testing.assert_allclose(found.estimate, rest.estimate, rtol=1e-9)


def test_an_outcome_that_columns_explain_has_no_standard_error() -> None:
    frame = visit_rows()
    frame["paid"] = 0.1 + 0.7 * frame["served"]
    for model in ("linear", "fixed_effects"):
        table = regression(frame, outcome="paid", exposure="served", model=model)
        assert table.estimate[0] == pytest.approx(0.7)
        assert np.isnan(table.std_error[0])


def test_one_exposed_member_has_no_standard_error() -> None:
    frame = visit_rows()
    frame["served"] = ((frame["member_id"] == 1) & (frame["month"] >= 2)).astype(int)
    table = regression(frame, outcome="paid", exposure="served", model="linear")
    assert np.isnan(table.std_error[0])
    assert table.support["n_members"].iloc[0] == 1


REFUSED = {
    "a constant outcome": (
        lambda f: f.assign(visits=2),
        {},
        EstimationError,
        "`visits` is the same in all",
    ),
    "a missing outcome": (
        lambda f: f.assign(visits=f["visits"].where(f["month"] > 0)),
        {},
        TableError,
        "missing or infinite",
    ),
    "negative counts": (
        lambda f: f.assign(visits=f["visits"] - 1),
        {"model": "poisson"},
        EstimationError,
        "are negative",
    ),
    "fractions of counts": (
        lambda f: f.assign(visits=f["visits"] / 2),
        {"model": "negative_binomial"},
        EstimationError,
        "needs whole counts",
    ),
    "counts that do not vary enough": (
        lambda f: f.assign(visits=1 + (f["member_id"] + f["month"]) % 2),
        {"model": "negative_binomial"},
        EstimationError,
        "no more than a Poisson's",
    ),
    "no events on a side": (
        lambda f: f.assign(visits=f["visits"].where(f["served"] == 0, 0)),
        {"model": "poisson"},
        EstimationError,
        r"no row with `served` has any event.*\(separation\)",
    ),
    "covariates that tell who has none": (
        lambda f: f.assign(visits=f["visits"].where(f["risk"] > 0, 0)),
        {"model": "poisson", "covariates": ["risk", "steep"]},
        EstimationError,
        r"\(separation\)",
    ),
    "negative counts of estimating equations": (
        lambda f: f.assign(visits=f["visits"] - 1),
        {"model": "gee_poisson"},
        EstimationError,
        "are negative",
    ),
    "no events on a side of estimating equations": (
        lambda f: f.assign(visits=f["visits"].where(f["served"] == 0, 0)),
        {"model": "gee_poisson"},
        EstimationError,
        r"no row with `served` has any event.*\(separation\)",
    ),
    "no events in a category of estimating equations": (
        lambda f: f.assign(visits=f["visits"].where(f["group"] == "x", 0)),
        {"model": "gee_poisson", "categorical": ["group"]},
        EstimationError,
        r"no row with `group=y` has any event.*\(separation\)",
    ),
    "covariates that tell estimating equations who has none": (
        lambda f: f.assign(visits=f["visits"].where(f["risk"] > 0, 0)),
        {"model": "gee_poisson", "covariates": ["risk", "steep"]},
        EstimationError,
        r"\(separation\)",
    ),
    "a number that tells estimating equations who has none": (
        lambda f: f.assign(visits=f["visits"].where(f["served"] == 0, 0), served=3 * f["served"]),
        {"model": "gee_poisson"},
        EstimationError,
        r"\(separation\)",
    ),
    "collinear covariates": (
        lambda f: f.assign(twice=2 * f["risk"]),
        {"covariates": ["risk", "twice"]},
        EstimationError,
        "`twice` follows exactly",
    ),
    "an exposure that follows from a covariate": (
        lambda f: f.assign(same=1 - f["served"]),
        {"covariates": ["same"]},
        EstimationError,
        "`same` follows exactly from `served`",
    ),
    "an exposure that does not vary": (
        lambda f: f.assign(served=1),
        {},
        EstimationError,
        "`served` does not vary",
    ),
    "an absorbed covariate": (
        lambda f: f,
        {"model": "fixed_effects", "covariates": ["risk"]},
        EstimationError,
        "`risk` follows from the absorbed effects of member and month",
    ),
    "a repeated row": (
        lambda f: pd.concat([f, f.head(2)]),
        {},
        TableError,
        "repeat the key",
    ),
    "months that are no whole periods": (
        lambda f: f.assign(month=f["month"] + 0.5),
        {},
        TableError,
        "not whole periods",
    ),
    "an absent column": (lambda f: f.drop(columns="visits"), {}, TableError, "lacks `visits`"),
    "an absent exposure": (lambda f: f.drop(columns="served"), {}, TableError, "lacks `served`"),
    "an infinite covariate": (
        lambda f: f.assign(risk=np.inf),
        {"covariates": ["risk"]},
        TableError,
        "is infinite",
    ),
    "a negative time at risk": (
        lambda f: f.assign(covered=-1.0),
        {"at_risk": "covered"},
        TableError,
        "missing, infinite or negative",
    ),
    "one cluster": (
        lambda f: f.assign(county="only"),
        {"cluster": "county"},
        EstimationError,
        "one cluster only",
    ),
    "a missing cluster": (
        lambda f: f.assign(county=f["county"].where(f["county"] != "a")),
        {"cluster": "county"},
        TableError,
        "`county` is missing in",
    ),
    "three clusters": (
        lambda f: f,
        {"cluster": ("county", "plan", "group")},
        EstimationError,
        "takes one column, or two",
    ),
    "an unknown model": (lambda f: f, {"model": "ols"}, EstimationError, "model='ols' is not one"),
    "an average of a linear model": (
        lambda f: f,
        {"quantity": "average_effect"},
        EstimationError,
        "is for count models",
    ),
    "a ratio per thousand": (
        lambda f: f,
        {"model": "poisson", "per": 1000},
        EstimationError,
        "means nothing for a rate ratio",
    ),
    "the exposed of a number": (
        lambda f: f,
        {"model": "poisson", "exposure": "risk", "quantity": "average_effect_on_exposed"},
        EstimationError,
        "is no indicator",
    ),
    "other clusters of a mixed model": (
        lambda f: f,
        {"model": "mixed", "cluster": "county"},
        EstimationError,
        "cluster='member' only",
    ),
    "parts of months in a mixed model": (
        lambda f: f,
        {"model": "mixed", "at_risk": "covered"},
        EstimationError,
        "has no weights",
    ),
    "members with one row in a mixed model": (
        lambda f: f[f["month"] == 2],
        {"model": "mixed"},
        EstimationError,
        "no member has two rows",
    ),
    "members that do not differ": (
        lambda f: f.assign(visits=(f["month"] + f["member_id"] // 2) % 4),
        {"model": "mixed"},
        EstimationError,
        "do not differ by more",
    ),
    "only singletons": (
        lambda f: f[f["month"] == 2],
        {"model": "fixed_effects"},
        EstimationError,
        "every row is the only one",
    ),
    "month effects without months": (
        lambda f: f,
        {"model": "fixed_effects", "month": None},
        EstimationError,
        "`month` is None",
    ),
    "no exposure": (lambda f: f, {"exposure": []}, EstimationError, "`exposure` is empty"),
}


def _rows(n: int) -> np.ndarray:
    """The first n of the 240 rows."""
    return np.arange(240) < n


COUNTED = {
    "negative": lambda f, n: (
        f.assign(visits=f["visits"].mask(_rows(n), -1)),
        {"model": "poisson"},
    ),
    "negative, estimating equations": lambda f, n: (
        f.assign(visits=f["visits"].mask(_rows(n), -1)),
        {"model": "gee_poisson"},
    ),
    "without outcome": lambda f, n: (f.assign(visits=f["visits"].mask(_rows(n))), {}),
    "time at risk": lambda f, n: (
        f.assign(covered=f["covered"].mask(_rows(n))),
        {"at_risk": "covered"},
    ),
    "part of a month": lambda f, n: (
        f.assign(part=np.where(_rows(n), 0.5, 1.0)),
        {"model": "mixed", "at_risk": "part"},
    ),
    "covariate": lambda f, n: (
        f.assign(risk=f["risk"].mask(_rows(n), np.inf)),
        {"covariates": ["risk"]},
    ),
    "cluster": lambda f, n: (
        f.assign(county=f["county"].mask(_rows(n))),
        {"cluster": "county"},
    ),
    "month": lambda f, n: (f.assign(month=pd.Series(f["month"], dtype="Int64").mask(_rows(n))), {}),
}


@pytest.mark.parametrize("what", COUNTED)
@pytest.mark.parametrize(
    ("n", "words"),
    [
        (1, "fewer than 11 of 240 rows"),
        (10, "fewer than 11 of 240 rows"),
        (11, "11 of 240 rows"),
        (229, "229 of 240 rows"),
        (230, "all but fewer than 11 of 240 rows"),
    ],
)
def test_small_counts_are_in_no_message(what: str, n: int, words: str) -> None:
    frame, options = COUNTED[what](visit_rows(), n)
    given = {"outcome": "visits", "exposure": "served", "model": "linear", **options}
    with pytest.raises((EstimationError, TableError)) as error:
        regression(frame, **given)
    assert f" {words}" in str(error.value)
    assert f" {n} of" not in str(error.value) or n in (11, 229)


def test_small_counts_of_separated_rows_are_in_no_message() -> None:
    frame = visit_rows()
    rows = regression_rows(
        frame,
        outcome="visits",
        exposure=["served"],
        covariates=[],
        categorical=[],
        stratum=None,
        at_risk=None,
        member_id="member_id",
        month="month",
        groups=[],
    )
    for n, words in ((3, "fewer than 11 of 240 rows"), (20, "20 of 240 rows")):
        with pytest.raises(EstimationError, match=f"runs to 0 in {words}"):
            require_no_separation(rows, np.where(_rows(n), 1e-12, 1.0))


@pytest.mark.parametrize(("n", "words"), [(3, "fewer than 11 of 243 rows"), (20, "20 of 260 rows")])
def test_small_counts_of_repeats_are_in_no_message(n: int, words: str) -> None:
    frame = visit_rows()
    with pytest.raises(TableError, match=f" {words} repeat the key"):
        regression(
            pd.concat([frame, frame.head(n)]), outcome="visits", exposure="served", model="linear"
        )


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str) -> None:
    spoil, options, error, message = REFUSED[what]
    frame = visit_rows()
    frame["steep"] = 2.0 * (frame["risk"] > 0)
    given = {"outcome": "visits", "exposure": "served", "model": "linear", **options}
    with pytest.raises(error, match=message):
        regression(spoil(frame), **given)
