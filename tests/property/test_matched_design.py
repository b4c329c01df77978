"""Risk sets rebuilt member by member; what comes after an index month must not matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.design import Design, design_matched
from calaim_eval.errors import DesignError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel
from calaim_eval.panel import MemberMonths

MONTHS = pd.date_range("2022-01-01", periods=12, freq="MS")
BACK, AHEAD = 2, 2
seeds = st.integers(0, 10_000)


def world(seed: int, n: int = 40) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Members with gaps, listed and served at random; use is a number no two members share."""
    rng = np.random.default_rng(seed)
    ids = [f"m{i:02d}" for i in range(n)]
    grid = pd.MultiIndex.from_product([ids, MONTHS], names=["member_id", "month"])
    months = pd.DataFrame(index=grid).reset_index()
    months = months.assign(
        covered_days=28,
        paid_usd=np.round(rng.gamma(1.0, 100, len(months)), 6),
        age_years=30,
        race_ethnicity=np.repeat(rng.choice(["black", "white"], n), len(MONTHS)),
    )
    months = months[rng.random(len(months)) < 0.95]
    eligible = rng.integers(2, 4, n)
    served = eligible + rng.integers(-1, 9, n)
    exposures = pd.DataFrame(
        {
            "member_id": ids,
            "service": "ecm",
            "identified_month": MONTHS[eligible],
            "service_month": pd.Series(MONTHS[np.minimum(served, 11)]).where(rng.random(n) < 0.6),
        }
    )
    return months, exposures


def build(months: pd.DataFrame, exposures: pd.DataFrame, **options: object) -> Design | None:
    """The design, None where it is refused."""
    chosen = {
        "rng": np.random.default_rng(1),
        "match_on": ["paid_usd"],
        "lookback_months": BACK,
        "follow_up_months": AHEAD,
        **options,
    }
    try:
        return design_matched(MemberMonths.from_frames(months, exposures), **chosen)
    except DesignError:
        return None


def pairs(design: Design) -> list[tuple[str, str, int]]:
    """Exposed member, match and index month of every pair."""
    members = design.members.assign(month=design.members["index_month"].dt.month)
    exposed = members[members["cohort"].notna()]
    both = exposed.merge(members[members["cohort"].isna()], on="matched_set")
    return sorted(
        zip(both["panel_member_id_x"], both["panel_member_id_y"], both["month_x"], strict=True)
    )


def brute_force(
    months: pd.DataFrame, exposures: pd.DataFrame, *, caliper: float | None, again: bool
) -> list[tuple[str, str, int]]:
    """Greedy closest pairs, month after month, from the risk sets as the words define them."""
    use = {(m, t.month): u for m, t, u in months[["member_id", "month", "paid_usd"]].to_numpy()}
    race = months.groupby("member_id")["race_ethnicity"].first()
    listed = exposures.set_index("member_id")["identified_month"].dt.month
    served = exposures.set_index("member_id")["service_month"].dt.month.fillna(99)
    may_enter = [m for m in listed.index if served[m] >= listed[m] and (m, listed[m]) in use]
    at_risk = {
        t: [
            m
            for m in may_enter
            if listed[m] <= t <= served[m] and all((m, t - b) in use for b in range(BACK + 1))
        ]
        for t in range(1 + BACK, 12 - AHEAD + 2)
        if (served == t).any()
    }
    mean = {(m, t): np.mean([use[m, t - b] for b in (1, 2)]) for t in at_risk for m in at_risk[t]}
    both = [t for t in at_risk if len({served[m] == t for m in at_risk[t]}) == 2]
    residuals = [
        mean[m, t] - np.mean([mean[o, t] for o in at_risk[t]]) for t in both for m in at_risk[t]
    ]
    spread = np.sqrt(np.sum(np.square(residuals)) / sum(len(at_risk[t]) - 1 for t in both))
    found, used = [], set()
    for t in at_risk:
        possible = sorted(
            (abs(mean[e, t] - mean[c, t]), e, c)
            for e in at_risk[t]
            for c in at_risk[t]
            if served[e] == t < served[c] and race[e] == race[c] and listed[e] == listed[c]
        )
        done: set[str] = set()
        used = set() if again else used
        for gap, e, c in possible:
            if e not in done and c not in used and (caliper is None or gap <= caliper * spread):
                found.append((e, c, t))
                done.add(e)
                used.add(c)
    return sorted(found)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, caliper=st.sampled_from([None, 0.1, 0.5]), again=st.booleans())
def test_matches_are_those_of_brute_force(seed, caliper, again):
    months, exposures = world(seed)
    replacement = "across_months" if again else "without"
    design = build(months, exposures, caliper=caliper, replacement=replacement)
    expected = brute_force(months, exposures, caliper=caliper, again=again)
    assert (pairs(design) if design else []) == expected


@settings(max_examples=10, deadline=None)
@given(seed=seeds, cut=st.integers(5, 9))
def test_what_comes_after_an_index_month_changes_no_earlier_set(seed, cut):
    """No immortal time: later use, coverage and exposure are drawn anew, or end."""
    months, exposures = world(seed)
    other_months, other_exposures = world(seed + 1)
    late, known = months["month"].dt.month > cut, exposures["service_month"].dt.month <= cut
    changed = pd.concat([months[~late], other_months[other_months["month"].dt.month > cut]])
    race = months.groupby("member_id")["race_ethnicity"].first()
    changed["race_ethnicity"] = changed["member_id"].map(race)
    changed = changed.dropna(subset="race_ethnicity")
    again = other_exposures["service_month"]
    is_after = again.dt.month > cut
    drawn = exposures.assign(
        service_month=exposures["service_month"].where(known, again.where(is_after))
    )
    designs = [build(months, exposures), build(changed, drawn)]
    early = [[p for p in pairs(d) if p[2] <= cut] if d else None for d in designs]
    if early[0] is not None and early[1] is not None:
        assert early[0] == early[1]


@settings(max_examples=8, deadline=None)
@given(seed=seeds, ratio=st.integers(1, 3), replacement=st.sampled_from(["with", "across_months"]))
def test_row_order_changes_nothing_and_the_ledger_adds_up(seed, ratio, replacement):
    months, exposures = world(seed)
    options = {"ratio": ratio, "replacement": replacement}
    design = build(months, exposures, **options)
    turned = [f.sample(frac=1, random_state=seed) for f in (months, exposures)]
    if design is None:
        assert build(*turned, **options) is None
        return
    assert pairs(design) == pairs(build(*turned, **options))
    assert design.ledger["n_members"].sum() == months["member_id"].nunique()
    exposed, others = (set(side) for side in list(zip(*pairs(design), strict=True))[:2])
    kept = design.ledger[design.ledger["is_kept"]].set_index("reason")["n_members"]
    assert kept["kept, exposed"] == len(exposed)
    assert kept["kept, comparison only"] == len(others - exposed)


@pytest.mark.parametrize("ratio", [1, 3])
@pytest.mark.parametrize("censor", ["set", "none"])
def test_effects_are_those_of_the_sets_by_hand(ratio, censor):
    """Complete coverage. Within cells: sets followed that far, less all sets in the base month."""
    months, exposures = world(11, n=150)
    keys = ["member_id", "month"]
    full = pd.MultiIndex.from_product([exposures["member_id"], MONTHS], names=keys)
    months = months.set_index(keys).reindex(full).ffill().bfill().reset_index()
    design = build(months, exposures, ratio=ratio, censor=censor, exact=[])
    use = months.set_index(keys)["paid_usd"]
    served = exposures.set_index("member_id")["service_month"]
    rows = []
    for _, members in design.members.groupby("matched_set"):
        index = members["index_month"].iloc[0]
        own = members.loc[members["cohort"].notna(), "panel_member_id"].item()
        others = members.loc[members["cohort"].isna(), "panel_member_id"]
        base, later = (index + pd.DateOffset(months=m) for m in (-1, 1))
        gaps = [use[own, t] - np.mean([use[m, t] for m in others]) for t in (base, later)]
        followed = censor == "none" or not (served[others] <= later).any()
        rows.append((index, len(others), gaps[0], gaps[1] if followed else np.nan))
    sets = pd.DataFrame(rows, columns=["index", "n", "base", "later"])
    cells = sets.groupby(["index", "n"]).agg(
        base=("base", "mean"), later=("later", "mean"), weight=("later", "count")
    )
    cells = cells[cells["weight"] > 0]
    expected = np.average(cells["later"] - cells["base"], weights=cells["weight"])
    moments = reduce_panel(design, outcomes=["paid_usd"], unbalanced="cell_means")
    both = [
        aggregate(
            group_time_att(moments, outcome="paid_usd", comparison=rule, cluster="matched_group"),
            by="event_time",
        )
        for rule in ("not_yet_exposed", "never_exposed")
    ]
    row = both[0].to_frame().set_index("event_time").loc[1]
    np.testing.assert_allclose(both[0].estimate, both[1].estimate)
    if censor == "none":
        assert row["estimate"] == pytest.approx(sets["later"].mean() - sets["base"].mean())
        assert row["estimate"] == pytest.approx(expected)
    else:
        assert sets["later"].isna().any()
        by_cohort = group_time_att(moments, outcome="paid_usd", cluster="matched_group").to_frame()
        found = by_cohort[by_cohort["month"] == by_cohort["cohort"] + pd.DateOffset(months=1)]
        totals = cells.assign(total=(cells["later"] - cells["base"]) * cells["weight"])
        hand = totals.groupby("index")[["total", "weight"]].sum()
        np.testing.assert_allclose(found["estimate"], hand["total"] / hand["weight"])


@pytest.mark.parametrize("replacement", ["across_months", "with", "without"])
@pytest.mark.parametrize("ratio", [1, 3])
def test_members_behind_an_effect_are_never_more_than_the_different_ones(ratio, replacement):
    """Disclosure control reads them. Overall, with every set, they are all of them."""
    months, exposures = world(11, n=150)
    design = build(months, exposures, ratio=ratio, replacement=replacement, exact=[])
    moments = reduce_panel(design, outcomes=["paid_usd"], unbalanced="cell_means")
    effects = group_time_att(moments, outcome="paid_usd", cluster="matched_group")
    others = design.members[design.members["cohort"].isna()]
    for _, row in pd.concat([effects.keys, effects.support], axis=1).iterrows():
        own = others.loc[others["index_month"] == row["cohort"], "panel_member_id"]
        assert row["n_members"] <= own.nunique()
    overall = aggregate(effects, by="overall").support["n_members"].item()
    exposed = design.members["cohort"].notna().sum()
    assert overall == min(exposed, others["panel_member_id"].nunique())
