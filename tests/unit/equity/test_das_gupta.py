from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import das_gupta
from calaim_eval.errors import EstimationError, TableError

FRAME = pd.DataFrame(
    {"group": ["a", "b"], "x": [2.0, 3.0], "y": [5.0, 7.0], "z": [11.0, 13.0], "w": [0.5, 0.25]}
)
OPTIONS = {"by": "group", "reference": "b", "unit": "units"}


def parts(table) -> dict[str, float]:
    return dict(zip(table.keys["component"], table.estimate, strict=True))


def test_three_factors_by_the_formula_of_the_manual():
    found = parts(das_gupta(FRAME, factors=["x", "y", "z"], **OPTIONS))
    b, B, c, C = 5, 7, 11, 13
    assert found["x"] == pytest.approx((2 - 3) * ((b * c + B * C) / 3 + (b * C + B * c) / 6))
    assert found["gap"] == pytest.approx(2 * 5 * 11 - 3 * 7 * 13)


def test_four_factors_by_the_formula_of_the_manual():
    found = parts(das_gupta(FRAME, factors=["x", "y", "z", "w"], **OPTIONS))
    b, B, c, C, d, D = 5, 7, 11, 13, 0.5, 0.25
    once = b * c * D + b * C * d + B * c * d + B * C * d + B * c * D + b * C * D
    assert found["x"] == pytest.approx((2 - 3) * ((b * c * d + B * C * D) / 4 + once / 12))


@pytest.mark.parametrize("n_factors", [2, 3, 4, 5])
@pytest.mark.parametrize("scale", ["difference", "ratio"])
def test_parts_are_averages_over_all_orders_of_exchange(n_factors, scale):
    rng = np.random.default_rng(n_factors)
    names = list("abcde"[:n_factors])
    frame = pd.DataFrame(rng.uniform(0.2, 2, (6, n_factors)), columns=names).assign(
        group=["a"] * 3 + ["b"] * 3, age=["1", "2", "3"] * 2
    )
    link = np.log if scale == "ratio" else lambda v: v
    own, base = (frame.loc[frame["group"] == g, names] for g in "ab")
    expected = dict.fromkeys(names, 0.0)
    orders = list(permutations(names))
    for order in orders:
        mixed = base.reset_index(drop=True).copy()
        for name in order:
            before = link(mixed.prod(axis=1).sum())
            mixed[name] = own[name].to_numpy()
            expected[name] += (link(mixed.prod(axis=1).sum()) - before) / len(orders)
    found = parts(das_gupta(frame, factors=names, within="age", scale=scale, **OPTIONS))
    for name in names:
        value = np.exp(expected[name]) if scale == "ratio" else expected[name]
        assert found[name] == pytest.approx(value)
    together = [found[n] for n in names]
    whole = np.prod(together) if scale == "ratio" else np.sum(together)
    assert found["gap"] == pytest.approx(whole, abs=1e-12)


def test_standardized_rates_differ_by_the_parts():
    names = ["x", "y", "z"]
    effects = parts(das_gupta(FRAME, factors=names, **OPTIONS))
    rates = das_gupta(FRAME, factors=names, quantity="standardized_rate", **OPTIONS).to_frame()
    wide = rates.pivot_table(index="component", columns="population", values="estimate")
    for name in names:
        assert wide.loc[name, "group"] - wide.loc[name, "reference"] == pytest.approx(effects[name])
    b, B, c, C = 5, 7, 11, 13
    assert wide.loc["x", "group"] == pytest.approx(2 * ((b * c + B * C) / 3 + (b * C + B * c) / 6))


def test_a_function_of_the_factors_with_its_errors():
    frame = FRAME.assign(sx=0.1, sy=0.2)
    errors = {"x": "sx", "y": "sy"}
    product = das_gupta(frame, factors=["x", "y"], std_errors=errors, **OPTIONS)
    called = das_gupta(
        frame,
        factors=["x", "y"],
        std_errors=errors,
        rate=lambda f: float((f["x"] * f["y"]).sum()),
        **OPTIONS,
    )
    assert called.estimate == pytest.approx(product.estimate)
    assert called.covariance == pytest.approx(product.covariance, rel=1e-6, abs=1e-8)
    ratio = das_gupta(
        frame, factors=["x", "y"], rate=lambda f: float((f["x"] / f["y"]).iloc[0]), **OPTIONS
    )
    assert parts(ratio)["x"] == pytest.approx((2 - 3) * (1 / 5 + 1 / 7) / 2)
    assert parts(ratio)["gap"] == pytest.approx(2 / 5 - 3 / 7)


def test_standard_errors_by_hand():
    frame = FRAME.assign(sx=[0.1, 0.3], sy=[0.2, 0.5])
    table = das_gupta(frame, factors=["x", "y"], std_errors={"x": "sx", "y": "sy"}, **OPTIONS)
    # gap = x1 y1 - x0 y0; part of x = (x1 - x0)(y1 + y0)/2
    gap = 5**2 * 0.1**2 + 2**2 * 0.2**2 + 7**2 * 0.3**2 + 3**2 * 0.5**2
    of_x = 6**2 * (0.1**2 + 0.3**2) + 0.5**2 * (0.2**2 + 0.5**2)
    assert table.std_error[:2] == pytest.approx([np.sqrt(gap), np.sqrt(of_x)])
    partial = das_gupta(frame, factors=["x", "y"], std_errors={"x": "sx"}, **OPTIONS)
    assert any("`y` as known" in note for note in partial.notes)
    none = das_gupta(frame, factors=["x", "y"], **OPTIONS)
    assert np.isnan(none.std_error).all()
    assert any("no intervals" in note for note in none.notes)


def test_groups_compared_with_one_reference_share_its_error():
    frame = pd.concat([FRAME, FRAME.iloc[:1].assign(group="c")]).assign(sx=0.1)
    table = das_gupta(frame, factors=["x", "y"], std_errors={"x": "sx"}, **OPTIONS)
    assert table.keys["group"].tolist() == ["a"] * 3 + ["c"] * 3
    assert table.covariance[0, 3] == pytest.approx(7**2 * 0.1**2)


def test_support_is_the_smaller_side_and_unknown_without_it():
    frame = FRAME.assign(n_members=[40, 25], n_events=[0, 12], member_months=[90.0, 80.0])
    table = das_gupta(frame, factors=["x", "y"], **OPTIONS)
    assert table.support.iloc[0].tolist() == [25, 12, 80]
    bare = das_gupta(FRAME, factors=["x", "y"], **OPTIONS)
    assert bare.support["n_members"].isna().all()


@pytest.mark.parametrize(
    ("changes", "options", "error", "message"),
    [
        ({}, {"factors": ["x"]}, EstimationError, "2 to 5"),
        ({}, {"factors": ["x", "x"]}, EstimationError, "2 to 5"),
        ({}, {"reference": "z"}, EstimationError, "groups in `group`"),
        ({}, {"std_errors": {"w": "x"}}, EstimationError, "not among the factors"),
        ({"x": [None, 1]}, {}, TableError, "missing"),
        ({"x": ["u", "v"]}, {}, TableError, "not numbers"),
        ({"s": [-1.0, 1.0]}, {"std_errors": {"x": "s"}}, TableError, "negative standard error"),
        ({"group": ["b", "b"]}, {}, TableError, "repeat `group`"),
        ({"x": [-2.0, 3.0]}, {"scale": "ratio"}, EstimationError, "not above 0"),
        ({"age": ["1", "2"]}, {"within": "age"}, TableError, "lack one of"),
        (
            {"y": [0.0, 1.0]},
            {"rate": lambda f: float((f["x"] / f["y"]).iloc[0])},
            EstimationError,
            "not a finite number",
        ),
        (
            {},
            {"quantity": "standardized_rate", "scale": "ratio"},
            EstimationError,
            "scale of the rate",
        ),
    ],
)
def test_refusals(changes, options, error, message):
    with pytest.raises(error, match=message):
        das_gupta(FRAME.assign(**changes), **{"factors": ["x", "y"], **OPTIONS, **options})


def test_the_stratum_of_all_is_no_stratum():
    frame = pd.DataFrame({"group": list("aabb"), "age": ["young", "old"] * 2}).assign(
        x=[0.1, 0.2, 0.3, 0.1], y=[1.0, 2, 3, 4]
    )
    totals = pd.DataFrame({"group": list("ab"), "age": "all", "x": [0.15, np.nan], "y": [3.0, 7]})
    options = {"factors": ["x", "y"], "within": "age", **OPTIONS}
    found = parts(das_gupta(pd.concat([frame, totals]), **options))
    assert found == parts(das_gupta(frame, **options))
    assert found["gap"] == pytest.approx(0.1 * 1 + 0.2 * 2 - 0.3 * 3 - 0.1 * 4)
