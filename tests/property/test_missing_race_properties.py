"""What must hold of missing-group methods whatever the data; and coverage with small groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.equity import (
    impute_groups,
    missing_race_bounds,
    probability_weighted_gap,
    proportion_by_group,
    rate_by_group,
    rate_gap,
    rubin_pool,
    tipping_point,
    weighted_by_group_probability,
)
from calaim_eval.results import RateTable

GROUPS = ("aian", "black", "white")
counts = st.tuples(st.integers(0, 40), st.integers(1, 40)).map(lambda p: (p[0], p[0] + p[1]))
positive = st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda p: (p[0], p[0] + p[1]))


def table(cells: dict[str, tuple[int, int]], per: float = 1.0) -> RateTable:
    members = pd.concat(
        pd.DataFrame({"race_ethnicity": g, "has": [True] * x + [False] * (n - x)})
        for g, (x, n) in cells.items()
    )
    members["member_id"] = range(len(members))
    return proportion_by_group(members, has="has", by="race_ethnicity", per=per)


@settings(max_examples=40, deadline=None)
@given(st.tuples(counts, counts, counts, counts), st.floats(0.05, 1.0))
def test_bounds_hold_the_reported_rate_nest_and_scale(cells, share):
    named = dict(zip((*GROUPS, "unknown"), cells, strict=True))
    bounds = missing_race_bounds(table(named), missing="unknown", largest_shares=[share, 1.0])
    low, high = bounds.set_low.reshape(3, 3), bounds.set_high.reshape(3, 3)
    assert (np.diff(low, axis=1) <= 1e-12).all()
    assert (np.diff(high, axis=1) >= -1e-12).all()
    assert (low >= 0).all()
    assert (high <= 1).all()
    percent = missing_race_bounds(
        table(named, per=100), missing="unknown", largest_shares=[share, 1]
    )
    for name in ("set_low", "set_high", "conf_low", "conf_high"):
        assert getattr(percent, name) == pytest.approx(100 * getattr(bounds, name))


@settings(max_examples=30, deadline=None)
@given(st.tuples(positive, positive, positive))
def test_gap_bounds_turn_round_with_the_reference(cells):
    named = dict(zip(("black", "white", "unknown"), cells, strict=True))
    one = missing_race_bounds(table(named), missing="unknown", reference="white")
    other = missing_race_bounds(table(named), missing="unknown", reference="black")
    assert one.set_low == pytest.approx(-other.set_high)
    assert one.conf_low == pytest.approx(-other.conf_high)
    # Whoever the members without a record are: here, all of them black, or none.
    (x, n), (y, m), (u, k) = cells
    for extra, rest in (((u, k), (0, 0)), ((0, 0), (u, k))):
        gap = (x + extra[0]) / (n + extra[1]) - (y + rest[0]) / (m + rest[1])
        assert one.set_low[1] - 1e-12 <= gap <= one.set_high[1] + 1e-12


@settings(max_examples=30, deadline=None)
@given(st.tuples(positive, positive), st.integers(1, 30), st.floats(0, 1), st.floats(-0.3, 0.3))
def test_tipping_gaps_are_linear_and_equal_groups_have_none(cells, k, share, delta):
    (x, n), (y, m) = cells
    named = {"black": (x, n), "white": (y, m), "unknown": (k, 2 * k)}
    shares = {"black": share, "white": 1 - share}
    found = tipping_point(
        table(named), reference="white", missing="unknown", shares=shares, deltas=[-delta, 0, delta]
    ).set_low
    assert found[1] + found[3] == pytest.approx(2 * found[2])
    same = {"black": (x, n), "white": (2 * x, 2 * n), "unknown": (k, 2 * k)}
    even = tipping_point(
        table(same),
        reference="white",
        missing="unknown",
        shares={"black": 0.5, "white": 0.5},
        deltas=[0],
    )
    level_only = abs(even.set_low[0])
    assert level_only == pytest.approx(0, abs=1e-12)


def test_pooling_does_not_depend_on_the_order_of_imputations():
    tables = [table({"black": (9 + d, 30), "white": (12 - d, 50)}) for d in (0, 1, 4)]
    gaps = [rate_gap(t, reference="white") for t in tables]
    one, other = rubin_pool(gaps), rubin_pool(gaps[::-1])
    assert one.estimate == pytest.approx(other.estimate)
    assert one.covariance == pytest.approx(other.covariance)
    rates, turned = rubin_pool(tables), rubin_pool(tables[::-1])
    assert rates.conf_low == pytest.approx(turned.conf_low)


def test_permuted_probabilities_permute_the_rates():
    rng = np.random.default_rng(0)
    members = pd.DataFrame({"member_id": range(80), "has": rng.random(80) < 0.4})
    p = pd.DataFrame(rng.dirichlet([1, 2, 3], 80), columns=GROUPS)
    options = {"outcome": "has", "unit": "share of members"}
    one = weighted_by_group_probability(members, probabilities=p, **options)
    other = weighted_by_group_probability(
        members.sample(frac=1, random_state=1), probabilities=p[list(GROUPS[::-1])], **options
    )
    assert one.rate == pytest.approx(other.rate[::-1])
    assert one.conf_high == pytest.approx(other.conf_high[::-1])
    same = probability_weighted_gap(
        members.assign(has=True), probabilities=p, reference="white", **options
    )
    assert same.estimate == pytest.approx(0)


def simulated(rng: np.random.Generator, n: int, *, at_random: bool) -> pd.DataFrame:
    """Members of two counties; the true rates are .45 (black) and .30 (white).

    At random: the record is lost with the county and the outcome. Not at random: it is lost with
    the outcome among black members alone.
    """
    county = rng.integers(0, 2, n)
    is_black = rng.random(n) < np.where(county == 0, 0.6, 0.2)
    y = rng.random(n) < np.where(is_black, 0.45, 0.30)
    chance = (
        np.where(y & (county == 0), 0.7, 0.15) if at_random else np.where(is_black & y, 0.6, 0.1)
    )
    group = np.where(is_black, "black", "white")
    return pd.DataFrame(
        {
            "member_id": range(n),
            "county": county.astype(str),
            "y": y.astype(int),
            "has": y,
            "true_group": group,
            "race_ethnicity": np.where(rng.random(n) < chance, "unknown", group),
        }
    )


def imputed_gap(frame: pd.DataFrame, rng: np.random.Generator, m: int):
    imputed = impute_groups(
        frame,
        missing="unknown",
        outcomes=["y"],
        covariates=["county"],
        interactions=[("y", "county")],
        rng=rng,
        n_imputations=m,
    )
    tables = [proportion_by_group(f, has="has", by="race_ethnicity") for f in imputed.frames(frame)]
    return rubin_pool(tables), rubin_pool([rate_gap(t, reference="white") for t in tables])


def reported_gap(frame: pd.DataFrame):
    gaps = rate_gap(proportion_by_group(frame, has="has", by="race_ethnicity"), reference="white")
    return gaps.select(gaps.keys["race_ethnicity"] == "black")


def test_missing_at_random_is_recovered_and_reported_only_is_not():
    rng = np.random.default_rng(20)
    frame = simulated(rng, 20_000, at_random=True)
    _, pooled = imputed_gap(frame, rng, 10)
    reported = reported_gap(frame)
    assert abs(pooled.estimate[0] - 0.15) < 3 * pooled.std_error[0]
    assert abs(reported.estimate[0] - 0.15) > 5 * reported.std_error[0]


def test_missing_not_at_random_bounds_hold_and_the_tipping_point_says_so():
    rng = np.random.default_rng(21)
    frame = simulated(rng, 20_000, at_random=False)
    rates = proportion_by_group(frame, has="has", by="race_ethnicity")
    reported = reported_gap(frame)
    _, pooled = imputed_gap(frame, rng, 5)
    # Both recorded members alone and imputation at random are wrong here.
    assert abs(reported.estimate[0] - 0.15) > 5 * reported.std_error[0]
    assert abs(pooled.estimate[0] - 0.15) > 5 * pooled.std_error[0]
    for reference, truth in ((None, 0.45), ("white", 0.15)):
        bounds = missing_race_bounds(rates, missing="unknown", reference=reference).to_frame()
        row = bounds[(bounds["race_ethnicity"] == "black") & (bounds["bound"] == 1)].iloc[0]
        assert row["set_low"] < truth < row["set_high"]
    lost = frame[frame["race_ethnicity"] == "unknown"]
    is_black = lost["true_group"] == "black"
    true_delta = (
        lost.loc[is_black, "y"].mean() - lost.loc[~is_black, "y"].mean() - reported.estimate[0]
    )
    shares = {"black": is_black.mean(), "white": (~is_black).mean()}
    tip = tipping_point(
        rates, reference="white", missing="unknown", shares=shares, deltas=[0.0, true_delta]
    )
    # The recorded say the rate is lower in the group; with those without a record at their own
    # level it is higher, and only a delta on the other side of 0 than the true one undoes that.
    assert reported.to_frame()["conf_high"].item() < 0
    assert tip.set_low[2] == pytest.approx(
        frame.loc[frame["true_group"] == "black", "y"].mean()
        - frame.loc[frame["true_group"] == "white", "y"].mean()
    )
    assert tip.conf_low[1] > 0
    assert tip.breakdown[0] < min(0.0, true_delta)
    assert tip.conf_low[2] > 0


def coverage(n: int, draws: int, m: int) -> dict[str, float]:
    """Share of intervals that hold the truth; groups of about 0.4 n and 0.6 n members."""
    hits: dict[str, list[bool]] = {
        "rate": [],
        "gap": [],
        "bounds": [],
        "gap_bounds": [],
        "weighted": [],
    }
    for seed in range(draws):
        rng = np.random.default_rng(1000 + seed)
        frame = simulated(rng, n, at_random=True)
        rates, gap = imputed_gap(frame, rng, m)
        hits["rate"].append(bool(rates.conf_low[0] <= 0.45 <= rates.conf_high[0]))
        row = gap.to_frame().iloc[0]
        hits["gap"].append(bool(row["conf_low"] <= 0.15 <= row["conf_high"]))
        recorded = proportion_by_group(frame, has="has", by="race_ethnicity")
        for name, reference, truth in (("bounds", None, 0.45), ("gap_bounds", "white", 0.15)):
            b = missing_race_bounds(recorded, missing="unknown", reference=reference)
            hits[name].append(bool(b.conf_low[1] <= truth <= b.conf_high[1]))
        p = pd.DataFrame({"black": np.where(frame["county"] == "0", 0.6, 0.2)})
        weighted = weighted_by_group_probability(
            frame, outcome="has", probabilities=p.assign(white=1 - p["black"]), unit="share"
        )
        # What it tends to: the rate weighted by the chances of the counties.
        target = (0.6 * (0.6 * 0.45 + 0.4 * 0.3) + 0.2 * (0.2 * 0.45 + 0.8 * 0.3)) / 0.8
        hits["weighted"].append(bool(weighted.conf_low[0] <= target <= weighted.conf_high[0]))
    return {name: float(np.mean(values)) for name, values in hits.items()}


def lowest(draws: int) -> float:
    """Coverage of 95 % less three Monte Carlo standard errors."""
    return 0.95 - 3 * np.sqrt(0.95 * 0.05 / draws)


def test_coverage_with_small_groups():
    found = coverage(n=120, draws=24, m=5)
    assert min(found.values()) >= lowest(24), found


@pytest.mark.slow
def test_coverage_with_small_groups_long():
    found = coverage(n=120, draws=400, m=10)
    # 0.01 for the normal approximation of a gap with groups of about 50 members.
    assert min(found.values()) >= lowest(400) - 0.01, found
    assert (
        max(found["rate"], found["gap"], found["weighted"])
        <= 0.95 + 3 * np.sqrt(0.95 * 0.05 / 400) + 0.01
    ), found


def rate_coverage(n: int, draws: int, m: int) -> dict[str, float]:
    """As `coverage`, for repeat events of members over member-months."""
    hits: dict[str, list[bool]] = {"rate": [], "gap": [], "bounds": []}
    for seed in range(draws):
        rng = np.random.default_rng(5000 + seed)
        members = simulated(rng, n, at_random=True)
        level = np.where(members["true_group"] == "black", 0.5, 0.3)
        total = rng.poisson(rng.gamma(2.0, level / 2) * 6)
        months = members.loc[members.index.repeat(6)].drop(columns=["y", "has"])
        first = np.tile([1, 0, 0, 0, 0, 0], n) == 1
        months["visits"] = np.where(first, np.repeat(total, 6), 0)
        lost = rng.random(n) < np.where(total > 2, 0.5, 0.15)
        group = members["true_group"].where(~lost, "unknown")
        members = members.assign(race_ethnicity=group, visits=total)
        months = months.assign(race_ethnicity=np.repeat(group.to_numpy(), 6))
        imputed = impute_groups(
            members,
            missing="unknown",
            outcomes=["visits"],
            covariates=["county"],
            rng=rng,
            n_imputations=m,
        )
        options = {"outcome": "visits", "by": "race_ethnicity", "per": 1}
        tables = [rate_by_group(f, **options) for f in imputed.frames(months)]
        pooled = rubin_pool(tables)
        hits["rate"].append(bool(pooled.conf_low[0] <= 0.5 <= pooled.conf_high[0]))
        gap = rubin_pool([rate_gap(t, reference="white") for t in tables]).to_frame().iloc[0]
        hits["gap"].append(bool(gap["conf_low"] <= 0.2 <= gap["conf_high"]))
        bounds = missing_race_bounds(months, missing="unknown", outcome="visits", per=1)
        hits["bounds"].append(bool(bounds.conf_low[1] <= 0.5 <= bounds.conf_high[1]))
    return {name: float(np.mean(values)) for name, values in hits.items()}


@pytest.mark.slow
def test_coverage_of_rates_with_small_groups_long():
    found = rate_coverage(n=120, draws=200, m=10)
    assert min(found.values()) >= lowest(200) - 0.01, found
