from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError
from calaim_eval.integration.composite.composite_index import (
    IndexRule,
    composite_index,
    normalize,
    ranks_of,
    spearman,
    weighted_mean,
)
from calaim_eval.integration.composite.index_components import (
    IndexComponents,
    components_from_rates,
)
from calaim_eval.integration.composite.missing_components import ranks_whatever_is_missing
from calaim_eval.integration.composite.principal_components import principal_components
from calaim_eval.results import Method, RateTable
from calaim_eval.results.intervals import wilson_interval

HALVES = {"a": 0.5, "b": 0.5}


def _components(values, std_error: float = 0.0, support: float = 500.0) -> IndexComponents:
    values = np.asarray(values, dtype=float)
    n, k = values.shape
    return IndexComponents(
        unit_name="county",
        units=np.array([f"u{i}" for i in range(n)], dtype=object),
        names=np.array(list("abcdef")[:k], dtype=object),
        values=values,
        std_errors=np.full((n, k), std_error),
        support=np.full((n, k), support),
    )


def _index(components: IndexComponents, seed: int = 1, n_draws: int = 400, **rule):
    rule = IndexRule(**({"weights": HALVES} | rule))
    return composite_index(components, rule=rule, rng=np.random.default_rng(seed), n_draws=n_draws)


def _ranks(found) -> dict[str, int]:
    return dict(zip(found.units, found.rank.tolist(), strict=True))


def test_by_hand():
    found = _index(_components([[0, 10], [5, 0], [10, 5]]), weights={"a": 0.75, "b": 0.25})
    values = dict(zip(found.units, found.index, strict=True))
    assert values == pytest.approx({"u0": 0.25, "u1": 0.375, "u2": 0.875})
    assert found.units == ("u2", "u1", "u0")
    turned = _index(
        _components([[0, 10], [5, 0], [10, 5]]),
        weights={"a": 0.75, "b": 0.25},
        lower_is_better=("a",),
    )
    assert turned.units == ("u0", "u1", "u2")
    np.testing.assert_allclose(turned.index, [1.0, 0.375, 0.125])


def test_equal_units_share_a_rank():
    found = _index(_components([[1, 1], [2, 2], [2, 2], [3, 3]]))
    assert _ranks(found) == {"u3": 1, "u1": 2, "u2": 2, "u0": 4}


def test_normalizations_by_hand():
    column = np.array([[1.0], [3.0], [3.0], [9.0], [np.nan]])
    np.testing.assert_allclose(normalize(column, "min_max")[:4, 0], [0, 0.25, 0.25, 1])
    np.testing.assert_allclose(normalize(column, "rank")[:4, 0], [0, 0.5, 0.5, 1])
    z = normalize(column, "z")[:4, 0]
    assert z.mean() == pytest.approx(0)
    assert z.std(ddof=1) == pytest.approx(1)
    for how in ("min_max", "rank", "z"):
        assert np.isnan(normalize(column, how)[4, 0])
        constant = np.ones((4, 1))
        assert len(set(normalize(constant, how).ravel())) == 1


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 9999), n=st.integers(3, 9), k=st.integers(2, 4))
def test_what_may_not_move_ranks(seed, n, k):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, k))
    weights = rng.dirichlet(np.ones(k))
    names = list("abcd")[:k]
    declared = dict(zip(names, weights / weights.sum(), strict=True))
    base = {how: _ranks(_index(_components(values), weights=declared, normalization=how))
            for how in ("min_max", "z", "rank")}  # fmt: skip
    scaled = values * rng.uniform(0.1, 9, k) + rng.normal(size=k)
    for how, expected in base.items():
        found = _index(_components(scaled), weights=declared, normalization=how)
        assert _ranks(found) == expected, f"units of measurement, {how}"
    bent = _index(_components(np.exp(values)), weights=declared, normalization="rank")
    assert _ranks(bent) == base["rank"], "a monotone change of scale, ranks"
    order = rng.permutation(k)
    shuffled = IndexComponents(
        unit_name="county",
        units=np.array([f"u{i}" for i in range(n)], dtype=object),
        names=np.array(names, dtype=object)[order],
        values=values[:, order],
        std_errors=np.zeros((n, k)),
        support=np.full((n, k), 99.0),
    )
    assert _ranks(_index(shuffled, weights=declared)) == base["min_max"], "order of columns"
    low = _index(_components(-values), weights=declared, lower_is_better=tuple(names))
    assert _ranks(low) == base["min_max"], "turned twice"


def test_a_unit_better_in_everything_is_first_under_any_weights():
    rng = np.random.default_rng(3)
    values = rng.normal(size=(8, 3))
    values[4] = values.max(axis=0) + 0.5
    thirds = dict.fromkeys("abc", 1 / 3)
    found = _index(_components(values), weights=thirds, concentration=2.0)
    assert found.units[0] == "u4"
    assert found.rank_low["weights"][0] == found.rank_high["weights"][0] == 1


def test_ranges_hold_the_rank_and_grow_with_doubt():
    rng = np.random.default_rng(4)
    values = rng.normal(size=(20, 2))
    narrow = _index(_components(values, std_error=0.02), concentration=2000.0)
    wide = _index(_components(values, std_error=0.6), concentration=5.0)
    for found in (narrow, wide):
        for source in ("weights", "sampling", "both"):
            assert (found.rank_low[source] <= found.rank).all()
            assert (found.rank <= found.rank_high[source]).all()
    for source in ("weights", "sampling", "both"):
        assert (wide.rank_high[source] - wide.rank_low[source]).sum() > 3 * (
            narrow.rank_high[source] - narrow.rank_low[source]
        ).sum()
    exact = _index(_components(values))
    np.testing.assert_array_equal(exact.rank_low["sampling"], exact.rank)
    np.testing.assert_array_equal(exact.rank_high["sampling"], exact.rank)


def test_sampling_ranges_hold_the_true_rank():
    """Truth 1 to 12 in steps of one, error 0.7: the range holds the true rank 95 % or more."""
    rng = np.random.default_rng(5)
    truth = np.column_stack([np.arange(12.0)] * 2)
    held = []
    for seed in range(60):
        seen = truth + rng.normal(0, 0.7, truth.shape)
        found = _index(_components(seen, std_error=0.7), seed=seed)
        true_rank = {f"u{i}": 12 - i for i in range(12)}
        for unit, low, high in zip(
            found.units, found.rank_low["sampling"], found.rank_high["sampling"], strict=True
        ):
            held.append(low <= true_rank[unit] <= high)
    assert np.mean(held) > 0.93


def test_draws_of_the_caller_replace_normal_ones():
    values = np.array([[1.0, 1], [2, 2], [3, 3]])
    base = _components(values)
    fields = {n: getattr(base, n) for n in
              ("unit_name", "units", "names", "values", "std_errors", "support")}  # fmt: skip
    swapped = IndexComponents(**fields, draws=np.array([values, values[[1, 0, 2]]]))
    found = _index(swapped)
    low = dict(zip(found.units, found.rank_low["sampling"], strict=True))
    high = dict(zip(found.units, found.rank_high["sampling"], strict=True))
    assert low == {"u2": 1, "u1": 2, "u0": 2}
    assert high == {"u2": 1, "u1": 3, "u0": 3}


def test_what_lacks_support_or_a_component_has_no_rank():
    values = np.array([[1.0, 1], [2, 2], [3, 3], [4, np.nan], [5, 5]])
    components = _components(values)
    components.support[4, 1] = 10
    found = _index(components)
    assert dict(found.not_ranked) == {
        "u3": "a component is missing",
        "u4": "too few members or events behind a component",
    }
    assert set(found.units) == {"u0", "u1", "u2"}
    assert found.index.max() == 1.0  # the unit that is not ranked does not set the scale
    again = _index(components, missing="reweight", min_weight_known=0.5)
    assert again.reweighted == ("u3",)
    assert again.units[0] == "u3"
    assert "u4" in again.not_ranked
    assert np.isnan(again.without.loc["u3", "a"])
    assert again.without["b"].to_dict() == {"u3": 1, "u2": 2, "u1": 3, "u0": 4}
    assert "u3" in _index(components, missing="reweight", min_weight_known=0.6).not_ranked
    components.support[0, 0] = np.nan
    with pytest.raises(EstimationError, match="2 of 5 units can be ranked"):
        _index(components)


def test_rules_that_are_not_rules():
    for weights in ({"a": 0.5, "b": 0.4}, {"a": 1.0}, {"a": 1.5, "b": -0.5}):
        with pytest.raises(EstimationError, match="`weights`"):
            IndexRule(weights=weights)
    with pytest.raises(EstimationError, match="have no weight"):
        IndexRule(weights=HALVES, lower_is_better=("c",))
    with pytest.raises(EstimationError, match="`normalization`"):
        IndexRule(weights=HALVES, normalization="log")
    with pytest.raises(EstimationError, match="`missing`"):
        IndexRule(weights=HALVES, missing="impute")
    with pytest.raises(EstimationError, match="`concentration`"):
        IndexRule(weights=HALVES, concentration=0)
    values = np.arange(9.0).reshape(3, 3)
    with pytest.raises(EstimationError, match=r"components without a weight: \['c'\]"):
        _index(_components(values))
    with pytest.raises(EstimationError, match=r"weights without a component: \['c'\]"):
        _index(_components(values[:, :2]), weights={"a": 0.5, "b": 0.3, "c": 0.2})
    with pytest.raises(EstimationError, match="`n_draws`"):
        _index(_components(values[:, :2]), n_draws=10)
    with pytest.raises(EstimationError, match="standard error is missing"):
        _components(values, std_error=-1.0)


def test_weights_drawn_have_the_declared_mean_and_the_spread_the_rule_says():
    rng = np.random.default_rng(6)
    w = np.array([0.25, 0.75])
    drawn = rng.dirichlet(50 * w, size=20_000)
    np.testing.assert_allclose(drawn.mean(axis=0), w, atol=0.003)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    assert drawn[:, 0].std() == pytest.approx(np.sqrt(0.25 * 0.75 / 51), rel=0.03)


def test_leaving_out_components_and_principal_components():
    rng = np.random.default_rng(7)
    common = rng.normal(size=(30, 1))
    values = np.hstack([common + rng.normal(0, 0.5, (30, 2)), rng.normal(size=(30, 1))])
    thirds = dict.fromkeys("abc", 1 / 3)
    found = _index(_components(values), weights=thirds)
    alone = ranks_of(weighted_mean(normalize(values, "min_max"), np.array([1.0, 1.0, 0.0])))
    expected = dict(zip([f"u{i}" for i in range(30)], alone, strict=True))
    assert found.without["c"].to_dict() == expected
    parts = found.components
    assert parts.explained.sum() == pytest.approx(1)
    assert abs(parts.loadings[2, 0]) < abs(parts.loadings[0, 0])
    assert spearman(found.pca_rank, alone[[int(u[1:]) for u in found.units]]) > 0.9


def test_principal_components_against_the_eigenvalues():
    rng = np.random.default_rng(8)
    values = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 3))
    found = principal_components(values)
    z = (values - values.mean(0)) / values.std(0)
    scores = z @ found.loadings
    np.testing.assert_allclose(scores.var(axis=0) / 3, found.explained, atol=1e-12)
    np.testing.assert_allclose(found.loadings.T @ found.loadings, np.eye(3), atol=1e-12)
    with pytest.raises(EstimationError, match="does not vary"):
        principal_components(values * [1, 1, 0])
    with pytest.raises(EstimationError, match="linearly dependent"):
        principal_components(values[:, [0, 1, 1]])
    with pytest.raises(EstimationError, match="3 units of 3 columns"):
        principal_components(values[:3])


def _rates(numerator: list[float], denominator: list[float], **fields) -> RateTable:
    x, n = np.array(numerator, dtype=float), np.array(denominator, dtype=float)
    low, high = wilson_interval(x, n)
    base = {
        "measure": "Closure",
        "keys": pd.DataFrame({"county": ["all", *(f"c{i}" for i in range(len(x) - 1))]}),
        "numerator": x,
        "denominator": n,
        "conf_low": low,
        "conf_high": high,
        "n_members": x,
        "numerator_name": "closed",
        "denominator_name": "referrals",
        "unit": "share",
        "kind": "proportion",
        "method": Method("share"),
    }
    return RateTable(**(base | fields))


def test_components_come_from_rates_with_the_smallest_count_behind_them():
    closure = _rates([90, 40, 45, 5], [160, 60, 50, 50])
    coverage = _rates(
        [9, 2, 3, 4], [12, 4, 4, 4], about="organizations", n_members=np.full(4, np.nan)
    )
    found = components_from_rates({"closure": closure, "coverage": coverage}, unit="county")
    assert list(found.units) == ["c0", "c1", "c2"]
    np.testing.assert_allclose(found.values[:, 0], [40 / 60, 0.9, 0.1])
    np.testing.assert_array_equal(found.support[:, 0], [20, 5, 5])
    assert np.isinf(found.support[:, 1]).all()
    half = (closure.conf_high - closure.conf_low)[1:] / (2 * 1.959964)
    np.testing.assert_allclose(found.std_errors[:, 0], half, rtol=1e-6)
    with pytest.raises(EstimationError, match="has no key `plan`"):
        components_from_rates({"closure": closure}, unit="plan")
    with pytest.raises(EstimationError, match="no table was given"):
        components_from_rates({}, unit="county")
    unknown = pd.DataFrame({"county": ["all", "c0", "unknown", "c2"]})
    left = components_from_rates(
        {"closure": _rates([90, 40, 45, 5], [160, 60, 50, 50], keys=unknown)}, unit="county"
    )
    assert list(left.units) == ["c0", "c2"]
    keys = pd.DataFrame({"county": ["c0"] * 4, "service": list("abcd")})
    with pytest.raises(EstimationError, match="3 units have several rows"):
        components_from_rates({"closure": _rates([9] * 4, [20] * 4, keys=keys)}, unit="county")


def test_only_ranges_of_ranks_leave_and_small_units_are_hidden():
    rng = np.random.default_rng(9)
    components = _components(rng.normal(size=(6, 2)), std_error=0.3)
    components.support[2] = 12
    components.support[3] = 8
    found = _index(components, min_support=5)
    bounds = found.to_bounds()
    released = release({"integration_rank": bounds}).tables["integration_rank"].frame
    hidden = released.set_index("county")["is_suppressed"]
    assert hidden["u3"]
    assert not hidden["u2"]
    assert not any("index" in column for column in released.columns)
    shown = released[~released["is_suppressed"]]
    assert (shown[["set_low", "set_high", "conf_low", "conf_high"]] % 1 == 0).all(axis=None)
    assert (shown["conf_low"] <= shown["set_low"]).all()
    assert "Not ranked" not in " ".join(bounds.notes)
    assert "Not ranked: too few members or events behind a component: 1." in " ".join(
        _index(components).to_bounds().notes
    )


def test_the_order_of_rows_does_not_tell_the_rank_of_a_hidden_unit():
    values = np.random.default_rng(9).normal(size=(6, 2))
    found = _index(_components(values, std_error=0.3))
    bounds = found.to_bounds()
    assert list(found.units) != sorted(found.units)
    assert list(bounds.keys["county"]) == sorted(found.units)
    frame = found.to_frame().set_index("county").loc[list(bounds.keys["county"])]
    assert bounds.set_low.tolist() == frame["rank_low_weights"].tolist()
    assert bounds.set_high.tolist() == frame["rank_high_weights"].tolist()
    assert bounds.support["n_members"].tolist() == frame["support"].tolist()


def test_values_and_support_of_units_are_not_printed():
    components = _components(np.random.default_rng(9).normal(size=(6, 2)), std_error=0.3)
    components.support[3] = 8
    assert repr(components) == "<IndexComponents 6 units by county: a, b>"
    assert repr(_index(components)) == "<CompositeIndex 5 ranked, 1 not, by county>"


def test_a_missing_component_widens_the_ranks_to_all_it_could_give():
    """Against every value of the missing component on a grid, from worst to best measured."""
    values = np.array([[0.9, np.nan], [0.8, 1.0], [0.5, 0.6], [0.4, 0.0], [0.0, 0.9]])
    found = _index(_components(values), missing="reweight", min_weight_known=0.5)
    tried = []
    for guess in np.linspace(0, 1, 101):
        whole = values.copy()
        whole[0, 1] = guess
        scaled = whole / [0.9, 1.0]
        tried.append(ranks_of(scaled @ [0.5, 0.5]))
    low, high = np.min(tried, axis=0), np.max(tried, axis=0)
    own = dict(zip(_ranks(found), range(5), strict=True))
    for unit in range(5):
        at = own[f"u{unit}"]
        assert found.rank_low["missing"][at] == low[unit]
        assert found.rank_high["missing"][at] == high[unit]
    assert high[0] > low[0]
    bounds = found.to_bounds()
    first = bounds.keys["county"].tolist().index("u0")
    assert bounds.conf_low[first] <= low[0]
    assert bounds.conf_high[first] >= high[0]


@pytest.mark.parametrize("normalization", ["min_max", "z", "rank"])
@pytest.mark.parametrize("seed", range(5))
def test_ranges_of_missing_components_hold_every_rank(normalization, seed):
    """The index made anew with every pair of values two units lack, from worst to best."""
    values = np.random.default_rng(seed).random((7, 2))
    values[[0, 1], 1] = np.nan
    low, high = ranks_whatever_is_missing(values, np.array([0.5, 0.5]), normalization)
    guesses = np.linspace(np.nanmin(values[:, 1]), np.nanmax(values[:, 1]), 25)
    whole = np.repeat(values[None], 25 * 25, axis=0)
    whole[:, 0, 1], whole[:, 1, 1] = np.repeat(guesses, 25), np.tile(guesses, 25)
    ranks = ranks_of(weighted_mean(normalize(whole, normalization), np.array([0.5, 0.5])))
    assert (low <= ranks.min(axis=0)).all()
    assert (high >= ranks.max(axis=0)).all()
    assert (high - low).sum() < 7 * 6


@pytest.mark.parametrize("normalization", ["min_max", "z", "rank"])
def test_complete_units_have_one_rank_whatever_is_missing(normalization):
    values = np.random.default_rng(3).integers(0, 4, (8, 3)).astype(float)
    weights = np.array([0.5, 0.25, 0.25])
    low, high = ranks_whatever_is_missing(values, weights, normalization)
    own = ranks_of(weighted_mean(normalize(values, normalization), weights))
    assert low.tolist() == high.tolist() == own.tolist()


def test_a_component_nobody_has_is_refused():
    values = np.array([[0.9, 0.1, np.nan], [0.8, 1.0, np.nan], [0.5, 0.6, np.nan]])
    with pytest.raises(EstimationError, match="`c`: no unit that can be ranked has a value"):
        _index(
            _components(values),
            weights={"a": 0.4, "b": 0.4, "c": 0.2},
            missing="reweight",
        )


def test_where_nothing_is_missing_no_range_says_so():
    found = _index(_components([[0, 10], [5, 0], [10, 5]]))
    assert set(found.rank_low) == {"weights", "sampling", "both"}


def test_drawn_weights_of_nothing_rank_all_the_same():
    """Dirichlet weights of concentration .01 are 0 and 1: a unit may have only what weighs 0."""
    values = np.array([[0.9, np.nan], [0.8, 1.0], [0.5, 0.6], [0.4, 0.0]])
    found = _index(
        _components(values), missing="reweight", min_weight_known=0.5, concentration=0.01
    )
    for source in found.rank_low:
        assert (found.rank_low[source] >= 1).all()
        assert (found.rank_high[source] <= 4).all()
