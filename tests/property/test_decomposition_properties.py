"""What must hold of any decomposition, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.equity import das_gupta, kitagawa, oaxaca_blinder

COUNT = {"by": "group", "within": "age", "kind": "rate"}
FEW = settings(max_examples=8, deadline=None)


@st.composite
def counts(draw) -> pd.DataFrame:
    """Events and member-months of two or three groups in one to four strata."""
    groups = list("abc"[: draw(st.integers(2, 3))])
    strata = list("wxyz"[: draw(st.integers(1, 4))])
    index = pd.MultiIndex.from_product([groups, strata], names=["group", "age"])
    k = len(index)
    months = draw(st.lists(st.integers(20, 4000), min_size=k, max_size=k))
    events = draw(st.lists(st.integers(1, 500), min_size=k, max_size=k))
    return pd.DataFrame({"events": events, "member_months": months}, index=index).reset_index()


def by_part(table) -> pd.DataFrame:
    frame = table.to_frame()
    return frame.pivot_table(index=frame.columns[0], columns="component", values="estimate")


@FEW
@given(counts(), st.sampled_from(["two", "three"]), st.sampled_from(["difference", "ratio"]))
def test_kitagawa_parts_make_up_the_gap_and_its_variance(frame, components, scale):
    table = kitagawa(frame, reference="a", components=components, scale=scale, **COUNT)
    wide = by_part(table)
    parts = wide.drop(columns="gap")
    whole = parts.prod(axis=1) if scale == "ratio" else parts.sum(axis=1)
    assert whole.to_numpy() == pytest.approx(wide["gap"].to_numpy(), rel=1e-9, abs=1e-12)
    if scale == "difference":
        is_gap = (table.keys["component"] == "gap").to_numpy()
        n = int(is_gap.sum())
        own = table.select(~is_gap)
        ones = np.kron(np.eye(n), np.ones((1, len(own) // n)))
        summed = ones @ own.covariance @ ones.T
        expected = table.select(is_gap).covariance
        assert summed == pytest.approx(expected, rel=1e-8, abs=1e-12)


@FEW
@given(counts(), st.integers(2, 1000))
def test_kitagawa_follows_the_unit(frame, factor):
    one = kitagawa(frame, reference="a", **COUNT)
    other = kitagawa(frame, reference="a", per=factor, **COUNT)
    assert other.estimate == pytest.approx(factor * one.estimate)
    assert other.covariance == pytest.approx(factor**2 * one.covariance)


@FEW
@given(counts(), st.randoms(use_true_random=False))
def test_kitagawa_does_not_see_the_order_of_rows_nor_names_of_strata(frame, random):
    order = list(range(len(frame)))
    random.shuffle(order)
    names = dict(zip("wxyz", random.sample("pqrs", 4), strict=True))
    other = frame.iloc[order].assign(age=lambda d: d["age"].map(names))
    one, two = (kitagawa(f, reference="a", **COUNT) for f in (frame, other))
    assert two.estimate == pytest.approx(one.estimate, abs=1e-12)
    assert two.covariance == pytest.approx(one.covariance, abs=1e-12)


@FEW
@given(counts())
def test_kitagawa_the_other_way_round_changes_signs(frame):
    frame = frame[frame["group"] != "c"]
    one, two = (kitagawa(frame, reference=r, **COUNT) for r in "ab")
    assert two.estimate == pytest.approx(-one.estimate, abs=1e-12)
    assert two.covariance == pytest.approx(one.covariance, abs=1e-12)


@FEW
@given(counts(), st.integers(1, 9))
def test_equal_groups_have_no_gap_and_no_parts(frame, factor):
    """Alike in composition and rates, though one is larger."""
    a = frame[frame["group"] == "a"]
    larger = a.assign(
        group="b", events=factor * a["events"], member_months=factor * a["member_months"]
    )
    same = pd.concat([a, larger])
    assert kitagawa(same, reference="a", **COUNT).estimate == pytest.approx(0, abs=1e-12)
    ratio = kitagawa(same, reference="a", scale="ratio", **COUNT)
    assert ratio.estimate == pytest.approx(1)


@FEW
@given(
    st.integers(2, 5).flatmap(
        lambda p: st.lists(
            st.lists(st.floats(0.05, 20), min_size=p, max_size=p), min_size=2, max_size=2
        )
    ),
    st.floats(0.1, 50),
)
def test_das_gupta_parts_make_up_the_gap_and_scale_with_a_factor(values, factor):
    names = [f"f{j}" for j in range(len(values[0]))]
    frame = pd.DataFrame(values, columns=names).assign(group=["a", "b"])
    options = {"by": "group", "factors": names, "reference": "b", "unit": "x"}
    table = das_gupta(frame, **options)
    size = np.prod(values, axis=1).max()
    assert table.estimate[1:].sum() == pytest.approx(table.estimate[0], abs=1e-10 * size)
    scaled = das_gupta(frame.assign(f0=factor * frame["f0"]), **options)
    assert scaled.estimate == pytest.approx(factor * table.estimate, abs=1e-9 * size * factor)
    ratio = das_gupta(frame, scale="ratio", **options)
    assert ratio.estimate[1:] == pytest.approx(np.array(values[0]) / np.array(values[1]), rel=1e-8)


def members(seed: int, shift: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = 60
    group = np.repeat(["a", "b"], n // 2)
    age = rng.normal(50, 8, n) + 4 * (group == "a")
    return pd.DataFrame(
        {
            "member_id": np.arange(n),
            "group": group,
            "age": age,
            "plan": np.tile(["p", "q", "r"], n // 3),
            "visits": 1 + 0.05 * age + shift * (group == "a") + rng.normal(0, 1, n),
        }
    )


MODEL = {
    "outcome": "visits",
    "by": "group",
    "covariates": ["age"],
    "categorical": ["plan"],
    "model": "linear",
}


@FEW
@given(
    st.integers(0, 10**6),
    st.sampled_from(["reference", "group", "half", "size", "pooled", "neumark"]),
    st.floats(0.01, 100),
    st.floats(-50, 50),
)
def test_oaxaca_follows_unit_and_level_of_the_outcome(seed, coefficients, factor, level):
    frame = members(seed, 0.5)
    options = {**MODEL, "reference": "b", "coefficients": coefficients}
    one = oaxaca_blinder(frame, **options)
    moved = frame.assign(visits=level + factor * frame["visits"])
    two = oaxaca_blinder(moved, **options)
    assert two.estimate == pytest.approx(factor * one.estimate, rel=1e-6, abs=1e-7 * factor)
    assert two.std_error == pytest.approx(factor * one.std_error, rel=1e-6)
    assert one.estimate[1:].sum() == pytest.approx(one.estimate[0], abs=1e-12)


@FEW
@given(st.integers(0, 10**6), st.floats(0.1, 10), st.floats(-100, 100))
def test_oaxaca_parts_of_all_covariates_do_not_see_their_units(seed, factor, zero):
    frame = members(seed, 0.5)
    options = {**MODEL, "reference": "b", "coefficients": "pooled"}
    one = oaxaca_blinder(frame, **options)
    two = oaxaca_blinder(frame.assign(age=zero + factor * frame["age"]), **options)
    assert two.estimate == pytest.approx(one.estimate, abs=1e-8)
    assert two.covariance == pytest.approx(one.covariance, abs=1e-8)


@FEW
@given(st.integers(0, 10**6), st.sampled_from(["half", "pooled", "neumark"]))
def test_oaxaca_the_other_way_round_changes_signs(seed, coefficients):
    frame = members(seed, 0.5)
    one, two = (
        oaxaca_blinder(frame, reference=r, coefficients=coefficients, detail="covariate", **MODEL)
        for r in "ab"
    )
    assert two.estimate == pytest.approx(-one.estimate, abs=1e-9)
    assert two.covariance == pytest.approx(one.covariance, abs=1e-9)


@FEW
@given(st.integers(0, 10**6), st.floats(-2, 2))
def test_oaxaca_gives_the_same_people_with_another_level_nothing_to_explain(seed, shift):
    frame = members(seed, 0.0).query("group == 'a'")
    twin = frame.assign(group="b", member_id=frame["member_id"] + 1000)
    both = pd.concat([frame.assign(visits=frame["visits"] + shift), twin])
    table = oaxaca_blinder(both, reference="b", coefficients="pooled", **MODEL)
    assert table.estimate == pytest.approx([shift, 0, shift], abs=1e-9)
