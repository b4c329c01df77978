from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from calaim_eval.design import entropy_balance
from calaim_eval.errors import DesignError


def sides(seed: int, n_exposed: int = 60, n_comparison: int = 150) -> list[pd.DataFrame]:
    """Exposed members with more visits, older, and more of one group."""
    rng = np.random.default_rng(seed)
    drawn = []
    for n, shift in ((n_exposed, 0.4), (n_comparison, 0.0)):
        drawn.append(
            pd.DataFrame(
                {
                    "visits": rng.poisson(1 + shift, n).astype(float),
                    "age_years": rng.normal(45 + 5 * shift, 12, n),
                    "sex": np.where(rng.random(n) < 0.4 + 0.3 * shift, "female", "male"),
                },
                index=[f"{n}-{i}" for i in range(n)],
            )
        )
    return drawn


def comparison_weights(found, comparison: pd.DataFrame) -> np.ndarray:
    """Weights of the comparison members, summing to 1."""
    w = found.weights.loc[comparison.index, "weight"].to_numpy()
    return w / w.sum()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_means_and_squares_are_exactly_those_of_the_exposed(seed):
    exposed, comparison = sides(seed)
    found = entropy_balance(exposed, comparison, squares=["age_years"])
    w = comparison_weights(found, comparison)
    for column in ("visits", "age_years"):
        assert w @ comparison[column] == pytest.approx(exposed[column].mean(), abs=1e-8)
    assert w @ comparison["age_years"] ** 2 == pytest.approx(
        (exposed["age_years"] ** 2).mean(), rel=1e-9
    )
    assert w @ (comparison["sex"] == "male") == pytest.approx((exposed["sex"] == "male").mean())
    assert (w > 0).all()
    assert found.weights.loc[comparison.index, "weight"].sum() == pytest.approx(len(exposed))
    assert (found.weights.loc[exposed.index, "weight"] == 1).all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weights_are_those_of_a_direct_search_for_the_least_entropy(seed):
    exposed, comparison = (f[["visits", "age_years"]] for f in sides(seed, 8, 12))
    x, target = comparison.to_numpy(), exposed.to_numpy().mean(axis=0)
    direct = minimize(
        lambda w: (w * np.log(np.maximum(w, 1e-300))).sum(),
        np.full(len(x), 1 / len(x)),
        jac=lambda w: np.log(np.maximum(w, 1e-300)) + 1,
        bounds=[(1e-12, 1)] * len(x),
        constraints=[
            {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(len(w))},
            {
                "type": "eq",
                "fun": lambda w: (x - target).T @ w / x.std(axis=0),
                "jac": lambda w: ((x - target) / x.std(axis=0)).T,
            },
        ],
        options={"maxiter": 500, "ftol": 1e-14},
    )
    assert direct.success
    w = comparison_weights(entropy_balance(exposed, comparison), comparison)
    np.testing.assert_allclose(w, direct.x, atol=1e-6)
    assert (w * np.log(w)).sum() <= direct.fun + 1e-9


def test_the_log_weights_are_linear_in_the_covariates():
    """What makes the entropy least, whatever the program that found it."""
    exposed, comparison = (f[["visits", "age_years"]] for f in sides(5))
    w = comparison_weights(entropy_balance(exposed, comparison), comparison)
    X = np.column_stack([np.ones(len(comparison)), comparison])
    fitted = X @ np.linalg.lstsq(X, np.log(w), rcond=None)[0]
    np.testing.assert_allclose(np.log(w), fitted, atol=1e-9)


def test_two_members_by_hand():
    """Weights 3/4 on 0 and 1/4 on 4 give a mean of 1."""
    exposed = pd.DataFrame({"visits": [0.0, 2.0]})
    comparison = pd.DataFrame({"visits": [0.0, 4.0]}, index=[7, 8])
    found = entropy_balance(exposed, comparison)
    assert found.weights.loc[[7, 8], "weight"].tolist() == pytest.approx([1.5, 0.5])
    row = found.diagnostics.loc["comparison"]
    assert row["effective_sample_size"] == pytest.approx(1 / (0.75**2 + 0.25**2))
    assert row["largest_share"] == pytest.approx(0.75)
    assert found.diagnostics.loc["exposed", "effective_sample_size"] == 2


def test_ids_units_and_order_do_not_matter():
    exposed, comparison = sides(6)
    one = entropy_balance(exposed, comparison).weights["weight"]
    turned = comparison.sample(frac=1, random_state=1)
    other = entropy_balance(
        exposed.assign(age_years=lambda f: f["age_years"] * 12 - 5),
        turned.assign(age_years=lambda f: f["age_years"] * 12 - 5),
    ).weights["weight"]
    np.testing.assert_allclose(one, other.reindex(one.index), rtol=1e-7)


def test_a_frame_of_weights_can_be_merged_and_shows_no_member_when_printed():
    exposed, comparison = sides(7)
    found = entropy_balance(exposed, comparison)
    frame = found.to_frame()
    assert list(frame.columns) == ["member_id", "is_exposed", "weight"]
    assert len(frame) == len(exposed) + len(comparison)
    assert "60-" not in repr(found)


def both(values: list[float], others: list[float], **more: list) -> list[pd.DataFrame]:
    """Two frames of one column and others."""
    first = pd.DataFrame({"visits": values, **{k: v[: len(values)] for k, v in more.items()}})
    second = pd.DataFrame({"visits": others, **{k: v[len(values) :] for k, v in more.items()}})
    return [first, second.set_index(np.arange(100, 100 + len(others)))]


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (both([5.0, 6.0], [1.0, 2.0, 3.0]), "mean of `visits` lies outside the range"),
        (both([1.0, 1.0], [1.0, 2.0, 3.0]), "mean of `visits` lies at the very end"),
        (
            both([1.0, 2.0], [1.0, np.nan, 3.0]),
            "`visits` is missing or infinite in some or all of fewer than 11",
        ),
        (
            both([1.0, np.inf], [1.0, 2.0, 3.0]),
            "`visits` is missing or infinite in some or all of fewer than 11",
        ),
        (both([1.0, 1.0], [1.0, 1.0]), "`visits` is the same for every member"),
        (both([1.0, 2.0], [0.0, 2.0, 3.0], sex=list("fffff")), "`sex` is the same for every"),
        (both([1.0, 2.0], [0.0, 2.0, 3.0], twice=[2, 4, 0, 4, 6]), "collinear .rank 1 of 2."),
        (both([1.0, 2.0], []), "there are no comparison members"),
        (both([], [1.0, 2.0]), "there are no exposed members"),
    ],
)
def test_what_is_refused(frames, words):
    with pytest.raises(DesignError, match=words):
        entropy_balance(*frames)


def test_means_that_cannot_be_reached_together_are_blamed():
    """Each mean is inside its range; both at once lie outside the triangle of the comparison."""
    exposed = pd.DataFrame({"a": [0.9, 0.9], "b": [0.8, 1.0]})
    comparison = pd.DataFrame({"a": [0.0, 1.0, 0.0], "b": [0.0, 0.0, 1.0]}, index=[7, 8, 9])
    with pytest.raises(DesignError, match=r"(?s)no weights balance .*`(a|b)` \(still"):
        entropy_balance(exposed, comparison)


@pytest.mark.parametrize(
    ("n", "words"),
    [(3, "fewer than 11 of 50"), (40, "all but fewer than 11 of 50"), (20, "20 of 50")],
)
def test_small_counts_of_members_are_in_no_message(n, words):
    values = np.arange(50.0)
    one, other = both(list(values[:25]), list(values[25:]))
    gaps = pd.concat([one, other])
    gaps.iloc[:n] = np.nan
    with pytest.raises(DesignError, match=f"missing or infinite in {words} members"):
        entropy_balance(gaps[:25], gaps[25:])
    repeated = other.set_index(np.r_[np.arange(min(n, 25)), np.arange(200, 225 - min(n, 25))])
    with pytest.raises(DesignError) as error:
        entropy_balance(one, repeated)
    said = {3: "fewer than 11 of 50 rows", 20: "20 of 50 rows", 40: "25 of 50 rows"}[n]
    assert f": {said} repeat a member" in str(error.value)


def test_repeated_members_and_differing_columns_are_refused():
    exposed, comparison = sides(8)
    with pytest.raises(DesignError, match="60 of 210 rows repeat a member"):
        entropy_balance(exposed, comparison.set_index(pd.Index([*exposed.index, *range(90)])))
    with pytest.raises(DesignError, match="they differ in `sex`"):
        entropy_balance(exposed, comparison.drop(columns="sex"))
    with pytest.raises(DesignError, match="`squares` names `sex`"):
        entropy_balance(exposed, comparison, squares=["sex"])
