"""What must hold of changes in gaps and of shrunken estimates, whatever the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.disclosure.effects import hide_effects
from calaim_eval.disclosure.policy import load_policy
from calaim_eval.equity import disparity_change, shrink_estimates
from calaim_eval.results import EffectTable, Estimand, Method

GROUPS = ["white", "black", "aian", "asian", "nhpi"]
CELLS = [(s, p) for s in ("exposed", "comparison") for p in ("before", "after")]
RATE = st.floats(1.0, 200.0)


def table_of(values, root, *, members=50) -> EffectTable:
    keys = pd.DataFrame(
        [(g, s, p) for g in GROUPS for s, p in CELLS], columns=["race_ethnicity", "side", "period"]
    )
    n = np.broadcast_to(members, len(keys))
    return EffectTable(
        keys=keys,
        estimate=np.asarray(values, dtype=float),
        covariance=root @ root.T,
        support=pd.DataFrame({"n_members": n, "n_events": 60, "member_months": 500.0}),
        estimand=Estimand("rates", "rate", "visits per 1,000 member-months", is_causal=False),
        method=Method("drawn"),
    )


ROOT = np.random.default_rng(9).normal(size=(20, 20))
DRAWN = st.lists(RATE, min_size=20, max_size=20)


def by_part(table: EffectTable) -> pd.DataFrame:
    frame = table.keys.assign(value=table.estimate)
    return frame.set_index(["race_ethnicity", "part"])["value"].unstack()  # noqa: PD010


@settings(max_examples=40, deadline=None)
@given(values=DRAWN, parallel=st.sampled_from(["difference", "ratio"]))
def test_parts_add_up_in_one_scale_and_multiply_in_the_other(values, parallel):
    found = disparity_change(table_of(values, ROOT), reference="white", parallel=parallel)
    d, r = by_part(found.differences), by_part(found.ratios)
    pd.testing.assert_series_equal(
        d["change"], d["change_without_program"] + d["effect_gap"], check_names=False, atol=1e-9
    )
    pd.testing.assert_series_equal(
        d["change"], d["gap_after"] - d["gap_before"], check_names=False, atol=1e-9
    )
    whole = r["effect_gap"].notna()
    product = r["change_without_program"] * r["effect_gap"]
    pd.testing.assert_series_equal(r["change"][whole], product[whole], check_names=False, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(values=DRAWN, factor=st.floats(0.01, 100.0), order=st.permutations(range(20)))
def test_unit_and_order_of_rows_carry_through(values, factor, order):
    plain = table_of(values, ROOT)
    order = np.array(order)
    turned = replace(
        plain,
        keys=plain.keys.iloc[order].reset_index(drop=True),
        estimate=factor * plain.estimate[order],
        covariance=factor**2 * plain.covariance[np.ix_(order, order)],
    )
    base, other = (disparity_change(t, reference="white").to_frame() for t in (plain, turned))
    names = ["race_ethnicity", "part", "scale"]
    base, other = (f.set_index(names).sort_index() for f in (base, other))
    scale = np.where(base.index.get_level_values("scale") == "difference", factor, 1.0)
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(other[column], scale * base[column], rtol=1e-6, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(rates=st.lists(RATE, min_size=4, max_size=4))
def test_groups_alike_have_no_gap_before_or_after(rates):
    found = disparity_change(table_of(rates * 5, ROOT), reference="white")
    assert (found.differences.estimate == 0).all()
    known = ~np.isnan(found.ratios.estimate)
    assert (found.ratios.estimate[known] == 1).all()


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.floats(-50, 50), min_size=6, max_size=12),
    rule=st.sampled_from(["morris", "eblup"]),
    seed=st.integers(0, 50),
)
def test_shrunken_estimates_lie_between_the_raw_and_the_mean(values, rule, seed):
    """Groups are independent; the weights lie between 0 and 1."""
    variance = np.random.default_rng(seed).uniform(0.5, 20, len(values))
    table = EffectTable(
        keys=pd.DataFrame({"race_ethnicity": [f"g{i}" for i in range(len(values))]}),
        estimate=np.array(values),
        covariance=np.diag(variance),
        support=pd.DataFrame(
            {"n_members": 50, "n_events": 60, "member_months": 1.0}, index=range(len(values))
        ),
        estimand=Estimand("ATT", "c", "visits"),
        method=Method("drawn"),
    )
    frame = shrink_estimates(table, rule=rule).to_frame()
    assert frame["weight"].between(-1e-12, 1 + 1e-12).all()
    low = np.minimum(frame["raw"], frame["mean"]) - 1e-9
    high = np.maximum(frame["raw"], frame["mean"]) + 1e-9
    assert ((low <= frame["shrunken"]) & (frame["shrunken"] <= high)).all()
    more = np.argsort(variance)
    assert (np.diff(frame["weight"].to_numpy()[more]) <= 1e-12).all()


@pytest.mark.parametrize("small", [5, 10])
def test_release_hides_all_parts_of_a_gap_and_both_versions_of_an_estimate(small):
    members = np.where(np.repeat(GROUPS, 4) == "nhpi", small, 50)
    found = disparity_change(
        table_of(np.linspace(20, 80, 20), ROOT, members=members), reference="white"
    )
    k = len(GROUPS)
    effects = EffectTable(
        keys=pd.DataFrame({"race_ethnicity": GROUPS}),
        estimate=np.arange(k, dtype=float),
        covariance=np.eye(k),
        support=pd.DataFrame({"n_members": members[::4], "n_events": 60, "member_months": 1.0}),
        estimand=Estimand("ATT", "c", "visits"),
        method=Method("drawn"),
    )
    tables = {**found.tables(), **shrink_estimates(effects).tables()}
    hidden = hide_effects(tables, policy=load_policy("calhhs_ddg_2"))
    for name, table in tables.items():
        of_small = (table.keys["race_ethnicity"] == "nhpi").to_numpy()
        assert hidden[name][of_small].all()
        assert not hidden[name][~of_small].all()
