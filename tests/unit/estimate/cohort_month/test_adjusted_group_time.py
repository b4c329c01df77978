"""Covariate-adjusted ATT(g, t): influence by numerical derivative, identities, what is refused."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import effect_gap
from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.estimate import (
    adjusted_group_time_att,
    aggregate,
    group_time_att,
    pre_trend_test,
)
from calaim_eval.estimate.cohort_month import adjusted_effects
from calaim_eval.moments import reduce_panel

METHODS = ("doubly_robust", "regression", "weighting")


def risk_panel(seed: int = 3, *, members: int = 150, gap: float = 0.0) -> pd.DataFrame:
    """Months 0 to 4; cohorts 2, 3 and never; risk drives exposure and trend."""
    rng = np.random.default_rng(seed)
    n_months = 5
    risk = rng.normal(size=members)
    pull = np.column_stack([0.4 * risk, 0.2 * risk, np.zeros(members)])
    one = pd.DataFrame(
        {
            "member_id": range(members),
            "risk": risk,
            "band": np.where(risk < -0.5, "low", np.where(risk < 0.5, "middle", "high")),
            "group": rng.choice(["x", "y"], members),
            "county": rng.choice([f"county {i}" for i in range(9)], members),
            "cohort": np.array([2.0, 3.0, np.nan])[
                np.argmax(pull + rng.gumbel(size=(members, 3)), axis=1)
            ],
        }
    )
    frame = one.loc[np.repeat(one.index, n_months)].reset_index(drop=True)
    frame["month"] = np.tile(np.arange(n_months), members)
    frame["visits"] = rng.poisson(
        np.exp(0.2 * frame["risk"] + 0.1 * frame["month"] * (frame["risk"] > 0))
        + 0.5 * (frame["month"] >= frame["cohort"])
    )
    frame["risk_now"] = np.round(frame["risk"] + rng.normal(scale=0.3, size=len(frame)), 2)
    return frame[rng.random(len(frame)) >= gap].reset_index(drop=True)


def weighted_att(
    x: np.ndarray, change: np.ndarray, exposed: np.ndarray, weight: np.ndarray, method: str
) -> float:
    """The three estimators of Sant'Anna and Zhao (2020), written out with member weights."""
    beta = np.zeros(x.shape[1])
    if method != "weighting":
        own = ~exposed
        wx = x[own] * weight[own, None]
        beta = np.linalg.solve(wx.T @ x[own], wx.T @ change[own])
    left = change - x @ beta
    first = np.average(left[exposed], weights=weight[exposed])
    if method == "regression":
        return float(first)
    gamma = np.zeros(x.shape[1])
    for _ in range(40):
        p = 1 / (1 + np.exp(-x @ gamma))
        gamma = gamma + np.linalg.solve(
            (x * (weight * p * (1 - p))[:, None]).T @ x, x.T @ (weight * (exposed - p))
        )
    odds = weight[~exposed] * np.exp(x[~exposed] @ gamma)
    return float(first - np.average(left[~exposed], weights=odds))


def pair_of(
    frame: pd.DataFrame, *, cohort: int, month: int, base: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates, change and who is exposed of one pair against the not yet exposed."""
    later = frame[frame["month"] == month].set_index("member_id")
    earlier = frame[frame["month"] == base].set_index("member_id")
    both = later.index.intersection(earlier.index)
    later, earlier = later.loc[both], earlier.loc[both]
    exposed = later["cohort"] == cohort
    enters = exposed | later["cohort"].isna() | (later["cohort"] > max(month, base))
    x = np.column_stack([np.ones(len(both)), earlier["risk_now"], earlier["group"] == "y"])
    change = (later["visits"] - earlier["visits"]).to_numpy(dtype=float)
    return x[enters].astype(float), change[enters], exposed[enters].to_numpy()


@pytest.mark.parametrize("method", METHODS)
def test_estimate_and_influence_against_a_numerical_derivative(method: str) -> None:
    frame = risk_panel(gap=0.1)
    att_gt = adjusted_group_time_att(
        frame,
        outcome="visits",
        covariates=["risk_now"],
        categorical=["group"],
        method=method,
        unbalanced="balanced_pairs",
    )
    for cohort, month, base in ((2, 3, 1), (3, 1, 0), (3, 4, 2)):
        row = att_gt.to_frame().query(f"cohort == {cohort} and month == {month}").iloc[0]
        x, change, exposed = pair_of(frame, cohort=cohort, month=month, base=base)
        one = np.ones(len(x))
        step = 1e-4
        influence = [
            (
                weighted_att(x, change, exposed, one + step * e, method)
                - weighted_att(x, change, exposed, one - step * e, method)
            )
            / (2 * step)
            for e in np.eye(len(x))
        ]
        assert row["estimate"] == pytest.approx(
            weighted_att(x, change, exposed, one, method), abs=1e-9
        )
        assert row["std_error"] == pytest.approx(np.linalg.norm(influence), rel=1e-6)
        assert row["n_members"] == min(exposed.sum(), (~exposed).sum())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cells", [(), ("band",)])
def test_saturated_covariates_are_the_cells_of_the_moments(
    method: str, cells: tuple[str, ...]
) -> None:
    frame = risk_panel(members=300)
    moments = reduce_panel(
        frame, outcomes="visits", covariate_cells=cells, stratum="group", unbalanced="cell_means"
    )
    from_cells = group_time_att(moments, outcome="visits", per=1000)
    adjusted = adjusted_group_time_att(
        frame, outcome="visits", categorical=cells, stratum="group", method=method, per=1000
    )
    pd.testing.assert_frame_equal(adjusted.keys, from_cells.keys)
    np.testing.assert_allclose(adjusted.estimate, from_cells.estimate, rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(adjusted.covariance, from_cells.covariance, rtol=1e-6, atol=1e-4)
    pd.testing.assert_frame_equal(adjusted.support, from_cells.support)
    assert adjusted.estimand.unit == from_cells.estimand.unit
    for by in ("event_time", "cohort", "month", "overall"):
        one, other = aggregate(adjusted, by=by), aggregate(from_cells, by=by)
        pd.testing.assert_frame_equal(one.keys, other.keys)
        np.testing.assert_allclose(one.estimate, other.estimate, rtol=1e-8, atol=1e-7)
        np.testing.assert_allclose(one.covariance, other.covariance, rtol=1e-6, atol=1e-4)


def test_clusters_are_sums_of_members() -> None:
    frame = risk_panel()
    options = {"outcome": "visits", "covariates": ["risk"]}
    by_county = adjusted_group_time_att(frame, cluster="county", **options)
    counties = by_county.cluster_influence
    assert counties is not None
    assert len(counties) == frame["county"].nunique()
    np.testing.assert_allclose(
        by_county.covariance, counties.to_numpy().T @ counties.to_numpy(), atol=1e-12
    )
    # A county for every member is clustering by member.
    frame["alone"] = frame["member_id"].astype(str)
    alone = adjusted_group_time_att(frame, cluster="alone", **options)
    plain = adjusted_group_time_att(frame, **options)
    np.testing.assert_allclose(alone.covariance, plain.covariance, atol=1e-14)
    np.testing.assert_allclose(
        aggregate(alone, by="event_time").covariance,
        aggregate(plain, by="event_time").covariance,
        atol=1e-14,
    )
    assert "9 clusters" in " ".join(by_county.notes)
    # No result holds a member's id.
    named = adjusted_group_time_att(frame, cluster="member_id", **options)
    assert named.cluster_influence is None
    np.testing.assert_allclose(named.covariance, plain.covariance)


def test_members_taken_in_parts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = risk_panel()
    options = {"outcome": "visits", "covariates": ["risk"], "cluster": "county"}
    whole = adjusted_group_time_att(frame, **options).covariance
    monkeypatch.setattr(adjusted_effects, "CHUNK_NUMBERS", 50)
    np.testing.assert_allclose(
        adjusted_group_time_att(frame, **options).covariance, whole, atol=1e-14
    )


@pytest.mark.parametrize("method", METHODS)
def test_units_of_covariates_and_order_of_rows_do_not_matter(method: str) -> None:
    frame = risk_panel(gap=0.1)
    options = {"outcome": "visits", "method": method, "unbalanced": "balanced_pairs"}
    one = adjusted_group_time_att(frame, covariates=["risk"], **options)
    shuffled = frame.sample(frac=1, random_state=5).assign(risk=lambda f: 7e4 * f["risk"] - 3e6)
    other = adjusted_group_time_att(shuffled, covariates=["risk"], **options)
    np.testing.assert_allclose(one.estimate, other.estimate, atol=1e-8)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-8)


def test_strata_are_joint_and_what_each_gives_alone() -> None:
    frame = risk_panel(members=300)
    options = {"outcome": "visits", "covariates": ["risk"]}
    both = aggregate(adjusted_group_time_att(frame, stratum="group", **options))
    for row, label in enumerate(both.keys["group"]):
        alone = aggregate(adjusted_group_time_att(frame[frame["group"] == label], **options))
        assert both.estimate[row] == pytest.approx(alone.estimate[0], abs=1e-9)
        assert both.std_error[row] == pytest.approx(alone.std_error[0], abs=1e-9)
    gap = effect_gap(both, stratum="group", reference="x", scale="difference").to_frame().iloc[0]
    assert gap["estimate"] == pytest.approx(both.estimate[1] - both.estimate[0])
    assert gap["std_error"] == pytest.approx(np.hypot(*both.std_error))


def test_selected_rows_aggregate_like_the_whole() -> None:
    att_gt = adjusted_group_time_att(risk_panel(), outcome="visits", covariates=["risk"])
    chosen = att_gt.select(att_gt.keys["cohort"] == 2)
    whole = aggregate(att_gt, by="cohort")
    alone = aggregate(chosen, by="cohort")
    assert alone.estimate[0] == pytest.approx(whole.estimate[0])
    assert alone.std_error[0] == pytest.approx(whole.std_error[0])
    assert pre_trend_test(att_gt)["n_terms"].tolist() == [3]


def test_universal_base_has_a_reference_row_without_error() -> None:
    att_gt = adjusted_group_time_att(
        risk_panel(), outcome="visits", covariates=["risk"], base_period="universal"
    )
    rows = att_gt.event_time == -1
    assert rows.sum() == 2
    assert (att_gt.estimate[rows] == 0).all()
    assert np.isnan(att_gt.std_error[rows]).all()
    assert np.isfinite(att_gt.std_error[~rows]).all()


def test_unbalanced_panels_need_a_choice_and_each_says_what_it_loses() -> None:
    frame = risk_panel(gap=0.1)
    options = {"outcome": "visits", "covariates": ["risk"]}
    with pytest.raises(DesignError, match=r"unbalanced='balanced_pairs'.*'balanced_members'"):
        adjusted_group_time_att(frame, **options)
    pairs = adjusted_group_time_att(frame, unbalanced="balanced_pairs", **options)
    whole = adjusted_group_time_att(frame, unbalanced="balanced_members", **options)
    complete = frame.groupby("member_id").filter(lambda rows: len(rows) == 5)
    by_hand = adjusted_group_time_att(complete, **options)
    np.testing.assert_allclose(whole.estimate, by_hand.estimate)
    np.testing.assert_allclose(whole.covariance, by_hand.covariance)
    assert (pairs.support["n_members"] >= whole.support["n_members"]).all()
    assert "not covered in all 5 months" in pairs.notes[0]
    assert "were set aside" in whole.notes[0]
    assert not by_hand.notes


def test_rows_without_a_covariate_are_set_aside_and_counted() -> None:
    frame = risk_panel()
    frame.loc[frame["member_id"] < 20, "risk"] = np.nan
    options = {"outcome": "visits", "covariates": ["risk"]}
    found = adjusted_group_time_att(frame, **options)
    without = adjusted_group_time_att(frame[frame["member_id"] >= 20], **options)
    np.testing.assert_allclose(found.estimate, without.estimate)
    assert "Set aside for a missing covariate: about 100 member-months." in found.notes


def test_pairs_that_covariates_separate_are_not_identified_and_counted() -> None:
    frame = risk_panel()
    frame.loc[frame["cohort"] == 2, "risk"] += 100
    found = adjusted_group_time_att(frame, outcome="visits", covariates=["risk"])
    assert set(found.keys["cohort"]) == {3}
    assert any("no overlap" in note for note in found.notes)
    # The regression extrapolates, as it always does.
    by_regression = adjusted_group_time_att(
        frame, outcome="visits", covariates=["risk"], method="regression"
    )
    assert set(by_regression.keys["cohort"]) == {2, 3}


def test_one_exposed_member_has_no_standard_error() -> None:
    frame = risk_panel()
    first = frame.loc[frame["cohort"] == 2, "member_id"].iloc[0]
    frame = frame[(frame["cohort"] != 2) | (frame["member_id"] == first)]
    found = adjusted_group_time_att(frame, outcome="visits", method="regression")
    alone = (found.keys["cohort"] == 2).to_numpy(dtype=bool)
    assert np.isnan(found.std_error[alone]).all()
    assert np.isfinite(found.std_error[~alone]).all()


def test_an_effect_without_variation_has_no_standard_error() -> None:
    frame = risk_panel()
    frame["visits"] = 0.1 + 0.7 * (frame["month"] >= frame["cohort"])
    found = adjusted_group_time_att(frame, outcome="visits", covariates=["risk"])
    after = found.event_time >= 0
    np.testing.assert_allclose(found.estimate[after], 0.7)
    assert np.isnan(found.std_error).all()
    assert np.isnan(aggregate(found, by="event_time").std_error).all()


def test_notes_and_errors_never_tell_few_members() -> None:
    frame = risk_panel(gap=0.01)
    found = adjusted_group_time_att(frame, outcome="visits", unbalanced="balanced_pairs")
    assert not re.search(r"\b([1-9]|10) members", " ".join(found.notes))


REFUSED = {
    "a constant outcome": (
        lambda f: f.assign(visits=1.0),
        {},
        EstimationError,
        "`visits` is the same in all",
    ),
    "a missing outcome": (
        lambda f: f.assign(visits=f["visits"].where(f["month"] > 0)),
        {},
        TableError,
        "missing or infinite in",
    ),
    "an infinite outcome": (
        lambda f: f.assign(visits=f["visits"].replace(0, np.inf)),
        {},
        TableError,
        "missing or infinite in",
    ),
    "a repeated row": (
        lambda f: pd.concat([f, f.head(3)]),
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
    "everybody exposed before the panel": (
        lambda f: f.assign(cohort=0.0),
        {},
        DesignError,
        "no month before exposure",
    ),
    "everybody exposed at once": (
        lambda f: f.assign(cohort=2.0),
        {},
        DesignError,
        "no effect against members not yet exposed is identified",
    ),
    "nobody exposed": (
        lambda f: f.assign(cohort=np.nan),
        {},
        DesignError,
        "nobody to estimate an effect on",
    ),
    "nobody never exposed": (
        lambda f: f.assign(cohort=f["cohort"].fillna(4.0)),
        {"comparison": "never_exposed"},
        DesignError,
        "has no members",
    ),
    "collinear covariates": (
        lambda f: f.assign(twice=2 * f["risk"] + 1),
        {"covariates": ["risk", "twice"]},
        EstimationError,
        r"`twice` follows exactly from `risk` \(rank 1 of 2\)",
    ),
    "a constant covariate": (
        lambda f: f.assign(one=1.0),
        {"covariates": ["risk", "one"]},
        EstimationError,
        "`one` does not vary",
    ),
    "a covariate of words": (
        lambda f: f,
        {"covariates": ["band"]},
        TableError,
        "Name it in `categorical`",
    ),
    "an infinite covariate": (
        lambda f: f.assign(risk=f["risk"].where(f["member_id"] > 3, np.inf)),
        {},
        TableError,
        "covariate `risk` is infinite",
    ),
    "an absent column": (
        lambda f: f.drop(columns="cohort"),
        {},
        TableError,
        "lacks `cohort`",
    ),
    "an absent covariate": (lambda f: f, {"covariates": ["age"]}, TableError, "lacks `age`"),
    "an unknown method": (
        lambda f: f,
        {"method": "dr"},
        EstimationError,
        "method='dr' is not one of 'doubly_robust'",
    ),
    "an unknown choice": (
        lambda f: f,
        {"unbalanced": "drop"},
        EstimationError,
        "is not one of 'balanced_pairs', 'balanced_members'",
    ),
    "a fraction at risk": (
        lambda f: f.assign(covered=0.5),
        {"at_risk": "covered"},
        TableError,
        "is a fraction in",
    ),
    "a few fractions at risk": (
        lambda f: f.assign(covered=np.where(np.arange(len(f)) < 4, 0.5, 1.0)),
        {"at_risk": "covered"},
        TableError,
        "is a fraction in fewer than 11 of",
    ),
    "one cluster": (
        lambda f: f.assign(county="only"),
        {"cluster": "county"},
        EstimationError,
        "one cluster only",
    ),
    "a cohort that changes": (
        lambda f: f.assign(cohort=f["cohort"].where(f["month"] < 3)),
        {},
        TableError,
        "not constant within",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(what: str) -> None:
    spoil, options, error, message = REFUSED[what]
    given = {"outcome": "visits", "covariates": ["risk"], **options}
    with pytest.raises(error, match=message):
        adjusted_group_time_att(spoil(risk_panel()), **given)


def test_a_level_that_only_members_without_a_covariate_have_is_no_covariate():
    frame = risk_panel()
    lost = frame["member_id"].isin([0, 1])
    with_level = frame.assign(
        band=frame["band"].mask(lost, "another"), risk=frame["risk"].mask(lost)
    )
    arguments = {"outcome": "visits", "covariates": ["risk"], "categorical": ["band"]}
    found = adjusted_group_time_att(with_level, **arguments)
    rest = adjusted_group_time_att(frame[~lost], **arguments)
    np.testing.assert_allclose(found.estimate, rest.estimate, rtol=1e-9)
