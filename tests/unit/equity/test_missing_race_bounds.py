from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.disclosure import release
from calaim_eval.equity import missing_race_bounds, proportion_by_group, rate_by_group, rate_gap
from calaim_eval.equity.assignment_bounds import MemberPatterns, bound_quantile, extreme_rate
from calaim_eval.errors import EstimationError


def shares(**counts: tuple[int, int]):
    """Table of proportions from (with, of) by group."""
    members = pd.concat(
        pd.DataFrame({"race_ethnicity": name, "is_served": [True] * x + [False] * (n - x)})
        for name, (x, n) in counts.items()
    )
    members["member_id"] = range(len(members))
    return proportion_by_group(members, has="is_served", by="race_ethnicity")


TABLE = shares(aian=(6, 20), black=(30, 80), white=(40, 200), unknown=(12, 40), declined=(3, 20))
GONE = ("unknown", "declined")


def one(bounds, **keys) -> pd.Series:
    frame = bounds.to_frame()
    for name, value in keys.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_worst_case_of_a_proportion_by_hand():
    row = one(
        missing_race_bounds(TABLE, missing=GONE), race_ethnicity="black", restriction="worst_case"
    )
    # 15 of the 60 without a record are served.
    assert row["set_high"] == pytest.approx((30 + 15) / (80 + 15))
    assert row["set_low"] == pytest.approx(30 / (80 + 45))


def test_reported_only_stands_beside_with_its_own_interval():
    bounds = missing_race_bounds(TABLE, missing=GONE)
    reported = bounds.select(bounds.keys["restriction"] == "reported_only")
    known = TABLE.select(~TABLE.keys["race_ethnicity"].isin(GONE))
    assert reported.keys["race_ethnicity"].tolist() == ["aian", "black", "white"]
    assert reported.set_low == pytest.approx(known.rate)
    assert reported.set_high == pytest.approx(known.rate)
    # Wilson's at n - 1 in place of n members.
    assert reported.conf_low == pytest.approx(known.conf_low, rel=0.02)
    assert reported.conf_high == pytest.approx(known.conf_high, rel=0.02)
    assert (bounds.keys.loc[bounds.keys["restriction"] == "reported_only", "bound"] == 0).all()


def test_bounds_are_the_extremes_over_every_assignment():
    rng = np.random.default_rng(8)
    own = pd.DataFrame(
        {"g": ["a"] * 3 + ["b"] * 4, "y": rng.poisson(1.0, 7), "r": [3, 1, 2] * 2 + [4]}
    )
    lost = pd.DataFrame({"y": rng.poisson(1.0, 7), "r": rng.integers(1, 5, 7)})
    sums = own.groupby("g")[["y", "r"]].sum().T.to_dict("list")
    y, r = lost.y.to_numpy(), lost.r.to_numpy()
    found = []
    for choice in product("abc", repeat=7):
        who = np.array(choice)
        found.append(
            [(sums[g][0] + y[who == g].sum()) / (sums[g][1] + r[who == g].sum()) for g in "ab"]
        )
    rates = np.array(found)
    months = pd.concat([own, lost.assign(g="unknown")], ignore_index=True)
    frame = pd.DataFrame(
        [
            {"member_id": i, "race_ethnicity": row.g, "visits": row.y if month == 0 else 0}
            for i, row in enumerate(months.itertuples())
            for month in range(row.r)
        ]
    )
    bounds = missing_race_bounds(frame, missing="unknown", outcome="visits", per=1)
    for i, g in enumerate("ab"):
        row = one(bounds, race_ethnicity=g, restriction="worst_case")
        assert row["set_low"] == pytest.approx(rates[:, i].min())
        assert row["set_high"] == pytest.approx(rates[:, i].max())
    gap = missing_race_bounds(frame, missing="unknown", outcome="visits", per=1, reference="b")
    row = one(gap, restriction="worst_case")
    differences = rates[:, 0] - rates[:, 1]
    assert row["set_low"] <= differences.min() + 1e-12
    assert row["set_high"] >= differences.max() - 1e-12


def test_gap_bounds_of_proportions_are_attained_at_once():
    for scale in ("difference", "ratio"):
        row = one(
            missing_race_bounds(TABLE, missing=GONE, reference="white", scale=scale),
            race_ethnicity="black",
            restriction="worst_case",
        )
        # All 15 served to one side and all 45 others to the other, at the same time.
        low, high = (30 / 125, 55 / 215), (45 / 95, 40 / 245)
        between = (lambda a, b: a - b) if scale == "difference" else (lambda a, b: a / b)
        assert row["set_low"] == pytest.approx(between(*low))
        assert row["set_high"] == pytest.approx(between(*high))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.6])
def test_largest_share_limits_who_may_be_added(share):
    row = one(
        missing_race_bounds(TABLE, missing=GONE, largest_shares=[share]),
        race_ethnicity="aian",
        restriction="worst_case",
    )
    room = 60 * share
    assert row["set_high"] == pytest.approx((6 + min(15, room)) / (20 + min(15, room)))
    assert row["set_low"] == pytest.approx(6 / (20 + min(45, room)))


def test_each_group_may_have_a_largest_share_of_its_own():
    caps = {"aian": 0.05, "black": 0.5, "white": 1.0}
    found = missing_race_bounds(TABLE, missing=GONE, largest_shares=[caps]).to_frame()
    for group, share in caps.items():
        row = one(
            missing_race_bounds(TABLE, missing=GONE, largest_shares=[share]),
            race_ethnicity=group,
            restriction="worst_case",
        )
        same = found[(found["race_ethnicity"] == group) & (found["bound"] == share)].iloc[0]
        assert same["set_high"] == row["set_high"]
        assert same["conf_low"] == row["conf_low"]
    gap = one(
        missing_race_bounds(TABLE, missing=GONE, largest_shares=[caps], reference="white"),
        race_ethnicity="aian",
        restriction="worst_case",
    )
    assert gap["set_high"] == pytest.approx((6 + 3) / (20 + 3) - 40 / 245)
    with pytest.raises(EstimationError, match="white"):
        missing_race_bounds(TABLE, missing=GONE, largest_shares=[{"aian": 0.1, "black": 0.1}])


def test_support_holds_who_could_be_worked_out_from_the_bounds():
    # 3 of the 12 without a record are served: bounds and recorded rates together say so.
    table = shares(black=(40, 90), white=(50, 120), unknown=(3, 12))
    frame = missing_race_bounds(table, missing="unknown").to_frame()
    assert (frame["n_members"] == 3).all()
    assert (frame["n_events"] == 3).all()
    released = release({"rates": table, "bounds": missing_race_bounds(table, missing="unknown")})
    assert released.tables["bounds"].frame["is_suppressed"].all()
    others = missing_race_bounds(shares(black=(40, 90), unknown=(30, 34)), missing="unknown")
    assert others.support["n_events"].tolist() == [4, 4]


def test_monotone_restrictions_cut_at_the_reported_rate():
    bounds = missing_race_bounds(
        TABLE, missing=GONE, restrictions=("worst_case", "missing_no_lower", "missing_no_higher")
    )
    worst, lower, higher = (
        one(bounds, race_ethnicity="white", restriction=name)
        for name in ("worst_case", "missing_no_lower", "missing_no_higher")
    )
    assert lower["set_low"] == pytest.approx(0.2)
    assert higher["set_high"] == pytest.approx(0.2)
    assert lower["set_high"] == worst["set_high"]
    assert higher["set_low"] == worst["set_low"]


def test_reported_gap_is_rate_gap_of_the_same_months():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(range(400), 6),
            "race_ethnicity": np.repeat(rng.choice(["black", "white", "unknown"], 400), 6),
            "ed_visits": rng.poisson(np.repeat(rng.gamma(1, 0.2, 400), 6)),
        }
    )
    rates = rate_by_group(frame, outcome="ed_visits", by="race_ethnicity")
    for scale in ("difference", "ratio"):
        gap = rate_gap(rates, reference="white", scale=scale).to_frame()
        expected = gap[gap["race_ethnicity"] == "black"].iloc[0]
        row = one(
            missing_race_bounds(
                frame, missing="unknown", outcome="ed_visits", reference="white", scale=scale
            ),
            restriction="reported_only",
        )
        assert row["set_low"] == row["set_high"] == pytest.approx(expected["estimate"])
        assert row["conf_low"] == pytest.approx(expected["conf_low"])
        assert row["conf_high"] == pytest.approx(expected["conf_high"])


def bootstrap_error(value, patterns, *, draws: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    n = np.concatenate([p.n for p in patterns])
    cuts = np.cumsum([len(p.n) for p in patterns])[:-1]
    values = []
    for _ in range(draws):
        drawn = np.split(rng.multinomial(int(n.sum()), n / n.sum()).astype(float), cuts)
        again = [MemberPatterns(p.events, p.time, m) for p, m in zip(patterns, drawn, strict=True)]
        values.append(value(*again))
    return float(np.std(values))


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_error_of_a_bound_is_that_of_resampled_members(share):
    rng = np.random.default_rng(4)
    time = rng.integers(1, 12, 300).astype(float)
    own, lost = (
        MemberPatterns(rng.poisson(0.2 * time[s]).astype(float), time[s], np.ones(s.stop - s.start))
        for s in (slice(0, 180), slice(180, 300))
    )

    def highest(group, missing):
        return extreme_rate(group, missing, largest_share=share, highest=True).rate

    end = extreme_rate(own, lost, largest_share=share, highest=True)
    error = np.sqrt(end.own**2 @ own.n + end.others**2 @ lost.n)
    spread = bootstrap_error(highest, (own, lost), draws=1500, seed=1)
    # 1,500 draws know a standard error to 1.8 %; three of these, and the order 1/n of the method.
    assert error == pytest.approx(spread, rel=3 * 0.018 + 0.03)
    assert float(end.own @ own.n + end.others @ lost.n) == pytest.approx(0, abs=1e-9)


def test_quantile_runs_from_two_sided_to_one_sided():
    assert bound_quantile(0.0, 1.0, 0.95) == pytest.approx(1.959964, abs=1e-5)
    assert bound_quantile(50.0, 1.0, 0.95) == pytest.approx(1.644854, abs=1e-5)
    assert 1.645 < bound_quantile(1.0, 1.0, 0.95) < 1.96


def test_quantile_of_students_t_with_few_clusters():
    assert bound_quantile(0.0, 1.0, 0.95, 4) == pytest.approx(stats.t.ppf(0.975, 4), abs=1e-8)
    assert bound_quantile(500.0, 1.0, 0.95, 4) == pytest.approx(stats.t.ppf(0.95, 4), rel=1e-3)
    c = bound_quantile(1.0, 1.0, 0.95, 4)
    assert stats.t.cdf(c + 1, 4) - stats.t.cdf(-c, 4) == pytest.approx(0.95)


def test_intervals_hold_the_sets():
    for reference, scale in ((None, "difference"), ("white", "difference"), ("white", "ratio")):
        frame = missing_race_bounds(
            TABLE, missing=GONE, reference=reference, scale=scale
        ).to_frame()
        assert (frame["conf_low"] <= frame["set_low"] + 1e-12).all()
        assert (frame["conf_high"] >= frame["set_high"] - 1e-12).all()


def test_no_event_and_everybody():
    table = shares(a=(0, 30), b=(30, 30), unknown=(0, 10))
    frame = missing_race_bounds(table, missing="unknown").to_frame()
    assert frame["set_low"].tolist() == pytest.approx([0, 0, 1, 30 / 40])
    assert frame["set_high"].tolist() == pytest.approx([0, 0, 1, 1])
    assert frame["conf_high"].between(0, 1).all()
    assert frame["conf_low"].between(0, 1).all()
    ratio = missing_race_bounds(table, missing="unknown", reference="a", scale="ratio").to_frame()
    assert ratio["set_high"].isna().all()


def test_a_gap_at_a_rate_of_0_or_everybody_has_no_interval_there():
    table = shares(none=(0, 30), black=(12, 30), every=(30, 30), white=(20, 80), unknown=(5, 20))
    bounds = missing_race_bounds(table, missing="unknown", reference="white")
    frame = bounds.to_frame().set_index(["race_ethnicity", "restriction"])
    blank = frame[["conf_low", "conf_high"]].isna()
    assert not blank.loc["black"].any(axis=None)
    assert blank.loc["none"].to_numpy().tolist() == [[True, True], [True, False]]
    assert blank.loc["every"].to_numpy().tolist() == [[True, True], [False, True]]
    assert any("4 of 6 rows" in note for note in bounds.notes)
    ratio = missing_race_bounds(table, missing="unknown", reference="white", scale="ratio")
    frame = ratio.to_frame().set_index(["race_ethnicity", "restriction"])
    assert np.isnan(frame.loc[("every", "reported_only"), "conf_low"])
    assert frame.loc[("none", "worst_case"), "conf_low"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": "blank"}, "`missing` names"),
        ({"missing": GONE, "reference": "asian"}, "'asian'"),
        ({"missing": GONE, "largest_shares": [1.2]}, "largest_shares"),
        ({"missing": GONE, "restrictions": ["monotone"]}, "monotone"),
        ({"missing": GONE, "outcome": "y"}, "member-months"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(Exception, match=message):
        missing_race_bounds(TABLE, **options)


def test_a_table_of_rates_is_refused_with_the_next_step():
    frame = pd.DataFrame(
        {"member_id": [1, 2], "race_ethnicity": ["a", "unknown"], "visits": [1, 0]}
    )
    rates = rate_by_group(frame, outcome="visits", by="race_ethnicity")
    with pytest.raises(EstimationError, match="member-months"):
        missing_race_bounds(rates, missing="unknown")


def test_members_who_change_groups_are_refused():
    frame = pd.DataFrame(
        {"member_id": [1, 1, 2], "race_ethnicity": ["a", "unknown", "b"], "visits": [1, 0, 1]}
    )
    with pytest.raises(EstimationError, match="several groups"):
        missing_race_bounds(frame, missing="unknown", outcome="visits")
