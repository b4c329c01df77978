"""Rounded counts: everything that leaves is made from them, and nothing undoes the rounding."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table

from calaim_eval.disclosure import Released, load_policy, release
from calaim_eval.disclosure.round_counts import range_of_rounded, round_counts, round_rate_table
from calaim_eval.errors import DisclosureError
from calaim_eval.results.intervals import byar_interval, wilson_interval

MIDPOINT = "opensafely_midpoint_6"
NEAREST = "opensafely_round_5"


def test_midpoint_6_is_the_published_table():
    """docs/releasing-files.md of OpenSAFELY: 0 to 0, 1-6 to 3, 7-12 to 9, 13-18 to 15."""
    shown = round_counts(np.arange(19), policy=load_policy(MIDPOINT))
    assert shown.tolist() == [0, *[3] * 6, *[9] * 6, *[15] * 6]


def test_nearest_5_after_redacting_7_leaves_no_count_that_stands_for_few():
    """The note of the same page: 8 to 12 become 10."""
    assert round_counts(np.arange(8, 18), policy=load_policy(NEAREST)).tolist() == [
        *[10] * 5,
        *[15] * 5,
    ]


@pytest.mark.parametrize("name", [MIDPOINT, NEAREST])
def test_the_range_of_a_rounded_count_is_that_of_all_counts_so_rounded(name):
    policy = load_policy(name)
    allowed = np.array([x for x in range(200) if x == 0 or x >= policy.min_count])
    shown = round_counts(allowed, policy=policy)
    low, high = range_of_rounded(shown, policy=policy)
    for each, lowest, highest in zip(shown, low, high, strict=True):
        same = allowed[shown == each]
        assert lowest <= same.min()
        assert highest >= same.max()
        assert highest - lowest <= policy.rounding_base


def shares(counts, totals, **options):
    keys = pd.DataFrame({"county": [f"c{i}" for i in range(len(counts))]})
    low, high = wilson_interval(counts, totals)
    table = rate_table(keys, counts, totals, kind="proportion", **options)
    return replace(table, conf_low=low, conf_high=high)


@pytest.mark.parametrize("name", [MIDPOINT, NEAREST])
def test_counts_of_one_rounded_value_look_the_same_throughout(name):
    """Whatever the true count, every number that leaves is that of the rounded one."""
    policy = load_policy(name)
    seen: dict[tuple[float, float], set[tuple[float, ...]]] = {}
    for count, total in itertools.product(range(8, 40), range(60, 76)):
        frame = release({"t": shares([count], [total])}, policy=name).tables["t"].frame
        row = tuple(frame.loc[0, ["numerator", "denominator", "rate", "conf_low", "conf_high"]])
        rounded = round_counts([count, total], policy=policy)
        seen.setdefault(tuple(rounded), set()).add(row)
    for (count, total), rows in seen.items():
        assert len(rows) == 1
        (row,) = rows
        low, high = (float(end) for end in wilson_interval(count, total))
        assert row[:3] == (count, total, count / total)
        assert row[3:] == pytest.approx((low, high), rel=1e-3)


def test_rates_of_events_have_the_interval_of_the_rounded_events():
    keys = pd.DataFrame({"county": ["a", "b"]})
    events, months = np.array([23.0, 47.0]), np.array([1003.0, 2004.0])
    low, high = (1000 * end / months for end in byar_interval(events))
    table = rate_table(
        keys,
        events,
        months,
        kind="rate",
        n_members=[20, 40],
        names=("ed_visits", "months"),
        per=1000.0,
    )
    table = replace(table, conf_low=low, conf_high=high)
    shown = round_rate_table(table, policy=load_policy(NEAREST))
    assert shown.numerator.tolist() == [25, 45]
    assert shown.denominator.tolist() == [1005, 2005]
    assert shown.rate == pytest.approx(1000 * np.array([25 / 1005, 45 / 2005]))
    expected = [1000 * end / shown.denominator for end in byar_interval(shown.numerator)]
    assert shown.conf_low == pytest.approx(expected[0])
    assert shown.conf_high == pytest.approx(expected[1])
    # Visits of the same members: an interval 1.7 times as wide is shown 2 times as wide.
    wide = replace(
        table,
        conf_low=table.rate - 1.7 * (table.rate - low),
        conf_high=table.rate + 1.7 * (high - table.rate),
    )
    again = round_rate_table(wide, policy=load_policy(NEAREST))
    assert again.conf_high - again.rate == pytest.approx(2 * (expected[1] - shown.rate))


def test_amounts_keep_three_digits_and_organizations_their_counts():
    keys = pd.DataFrame({"county": ["a", "b"]})
    paid = rate_table(keys, [123_456.78, 98_765.43], names=("paid_usd", "none"), n_members=[80, 90])
    assert round_rate_table(paid, policy=load_policy(NEAREST)).numerator.tolist() == [
        123_000.0,
        98_800.0,
    ]
    cbos = rate_table(keys, [3, 17], about="organizations")
    assert round_rate_table(cbos, policy=load_policy(NEAREST)).numerator.tolist() == [3, 17]


def test_an_amount_of_few_members_is_hidden_where_small_counts_are_rounded():
    """Three digits of the dollars of one member are that member's; 8 are the fewest."""
    keys = pd.DataFrame({"service": ["a", "b", "c", "all"]})
    members = [1, 8, 40, 49]
    paid = [1234.56, 9_000.5, 70_000.25, 80_235.31]
    table = rate_table(keys, paid, n_members=members, names=("paid", "none"), margins=("service",))
    hidden = release({"t": table}, policy=MIDPOINT).tables["t"].frame["is_suppressed"]
    assert hidden[0]
    assert hidden.sum() == 2
    counts = rate_table(keys, members, margins=("service",))
    assert not release({"t": counts}, policy=MIDPOINT).tables["t"].frame["is_suppressed"][0]


def test_the_table_says_that_it_is_rounded_and_other_policies_do_not_round():
    table = shares([23], [61])
    shown = release({"t": table}, policy=MIDPOINT)
    assert shown.tables["t"].meta["rounding"] == "to midpoint 6"
    assert "rounded to midpoint 6" in shown.tables["t"].meta["notes"][-1]
    assert shown.certificate["rounding"] == "to midpoint 6"
    exact = release({"t": table})
    assert exact.certificate["rounding"] == "none"
    assert exact.tables["t"].frame["numerator"].tolist() == [23]
    assert "rounding" not in exact.tables["t"].meta


def possible_worlds(shown, total, base=6):
    """Counts a reader must take to be possible, by trying them all."""
    ranges = [range(int(s) - 2, int(s) + 4) if s else range(1) for s in shown]
    return [w for w in itertools.product(*ranges) if int(total) - 2 <= sum(w) <= int(total) + 3]


@pytest.mark.parametrize(
    "counts", [(1, 1, 1, 1, 1, 1), (1, 1, 1), (6, 6, 6), (2, 1, 3), (5, 6), (6, 6, 6, 6, 6, 6)]
)
def test_sums_do_not_narrow_a_small_count_down(counts):
    """Six threes with a total of three are six ones: then the total is hidden."""
    keys = pd.DataFrame({"county": [*[f"c{i}" for i in range(len(counts))], "all"]})
    table = rate_table(keys, [*counts, sum(counts)], margins=("county",))
    frame = release({"t": table}, policy=MIDPOINT).tables["t"].frame
    shown = frame.loc[~frame["is_suppressed"]].set_index("county")["numerator"]
    parts = shown.drop("all", errors="ignore")
    assert len(parts) >= len(counts) - 1
    if "all" not in shown or len(parts) < len(counts):
        return
    worlds = possible_worlds(parts, shown["all"])
    assert tuple(counts) in worlds
    for at in range(len(counts)):
        values = {world[at] for world in worlds}
        assert max(values) - min(values) >= 3


def test_six_ones_and_their_total_are_not_shown_together():
    keys = pd.DataFrame({"county": [*"abcdef", "all"]})
    table = rate_table(keys, [*[1] * 6, 6], margins=("county",))
    worlds = possible_worlds([3] * 6, 3)
    assert worlds == [(1,) * 6]
    assert release({"t": table}, policy=MIDPOINT).tables["t"].n_suppressed > 0


def test_estimates_are_rounded_to_steps_worth_as_many_events():
    """A difference of two rates moves by a step or more when 6 events come or go."""
    step_of = {}
    for events in (24, 400, 10_000):
        months = 20_000.0
        error = 1000 * np.sqrt(2 * events) / months
        table = effect_table(pd.DataFrame({"outcome": ["ed_visits"]}), [300], [events])
        table = replace(table, estimate=np.array([1.23456789]), covariance=np.array([[error**2]]))
        shown = release({"t": table}, policy=MIDPOINT).tables["t"].frame.iloc[0]
        worth = 1000 * 6 / months
        digits = str(shown["estimate"]).rstrip("0").split(".")
        step = 10.0 ** -len(digits[1]) if len(digits) > 1 and digits[1] else 1.0
        assert step >= worth
        step_of[events] = step
        assert shown["conf_low"] <= shown["estimate"] <= shown["conf_high"]


def test_a_rounded_estimate_has_the_p_value_of_what_is_shown():
    from scipy import stats

    table = effect_table(pd.DataFrame({"outcome": ["ed_visits"]}), [300], [400])
    table = replace(table, estimate=np.array([31.7]), covariance=np.array([[11.3**2]]))
    shown = release({"t": table}, policy=NEAREST).tables["t"].frame.iloc[0]
    expected = 2 * stats.norm.sf(abs(shown["estimate"] / shown["std_error"]))
    assert shown["p_value"] == pytest.approx(expected, rel=0.05)


def test_the_same_numbers_again_and_grown_ones_are_released_again(tmp_path):
    keys = pd.DataFrame({"service": ["meals", "housing", "all"]})
    for quarter, numbers in (("2024Q3", [82, 40, 122]), ("2024Q4", [83, 41, 124])):
        table = rate_table(keys, numbers, margins=("service",))
        made = release({"t": table}, policy=NEAREST, to=tmp_path, quarter=quarter)
        assert made.tables["t"].n_suppressed == 0
    again = rate_table(keys, [82, 40, 122], margins=("service",))
    assert release({"t": again}, policy=NEAREST, to=tmp_path, quarter="2024Q4").tables


@pytest.mark.parametrize(("first", "then"), [(NEAREST, MIDPOINT), (MIDPOINT, "calhhs_ddg_2")])
def test_one_number_is_not_rounded_in_two_ways(first, then, tmp_path):
    """20 to the nearest 5 is 18 to 22, 15 to midpoint 6 is 13 to 18: both together are 18."""
    table = rate_table(pd.DataFrame({"service": ["meals"]}), [18])
    release({"t": table}, policy=first, to=tmp_path, quarter="2024Q4")
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(DisclosureError, match=r"rounded .* too, they could be narrowed down"):
        release({"t": table}, policy=then, to=tmp_path, quarter="2024Q4")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    other = release({"other": table}, policy=then, to=tmp_path, quarter="2025Q1")
    assert not other.tables["other"].n_suppressed


def test_one_number_is_not_rounded_in_two_ways_in_tables_of_other_names(tmp_path):
    """The members of a county are a row of one table and the denominator of another."""
    county = pd.DataFrame({"county": ["a", "b"]})
    members = rate_table(county, [60, 80], names=("members", "none"))
    release({"members": members}, policy=NEAREST, to=tmp_path, quarter="2024Q4")
    served = rate_table(
        county, [20, 30], [60, 80], kind="proportion", names=("served", "members"), per=1
    )
    with pytest.raises(DisclosureError, match=r"2 rows .*`served`.*rounded .* narrowed down"):
        release({"served": served}, policy=MIDPOINT, to=tmp_path, quarter="2024Q4")
    assert release({"served": served}, policy=MIDPOINT, to=tmp_path, quarter="2025Q1").tables


def test_dollars_are_no_counts_even_where_all_are_whole():
    keys = pd.DataFrame({"service": ["a", "b"]})
    paid = rate_table(keys, [123_456, 98_765], names=("paid_usd", "none"), n_members=[80, 90])
    assert round_rate_table(paid, policy=load_policy(MIDPOINT)).numerator.tolist() == [
        123_000.0,
        98_800.0,
    ]
    few = rate_table(keys, [1234, 98_765], names=("paid_usd", "none"), n_members=[3, 90])
    assert release({"t": few}, policy=MIDPOINT).tables["t"].frame["is_suppressed"][0]


def test_an_exact_total_released_before_does_not_narrow_rounded_counts_down(tmp_path):
    """Two threes (1 to 6 each) of a total known to be 12 are two sixes."""
    race = pd.DataFrame({"race_ethnicity": ["aian", "white"]})
    release({"by_race": rate_table(race, [12, 400])}, to=tmp_path, quarter="2024Q4")
    keys = pd.DataFrame({"race_ethnicity": ["aian"] * 2 + ["white"] * 2, "county": ["x", "y"] * 2})
    table = rate_table(keys, [6, 6, 200, 200])
    made = release({"t": table}, policy=MIDPOINT, to=tmp_path, quarter="2024Q4")
    shown = made.tables["t"].frame.set_index(["race_ethnicity", "county"])["numerator"]
    assert shown["aian"].isna().any()
    assert shown["white"].notna().all()


@pytest.mark.parametrize(
    ("rounding", "base", "count"), [("nearest", 5, 12), ("nearest", 20, 25), ("midpoint", 6, 11)]
)
def test_a_count_rounded_to_less_than_the_smallest_shown_is_loaded(rounding, base, count, tmp_path):
    """A 12 to the nearest 5 is shown as 10 and stands for 11 or 12 where 1 to 10 are hidden."""
    path = tmp_path / "own.toml"
    path.write_text(
        f'based_on = "calhhs_ddg_2"\nname = "own"\nversion = "1"\ntitle = "t"\nsource = "s"\n'
        f'rounding = "{rounding}"\nrounding_base = {base}\n'
    )
    table = rate_table(pd.DataFrame({"service": ["meals", "housing"]}), [count, 400])
    made = release({"t": table}, policy=path, to=tmp_path / "release", quarter="2024Q4")
    loaded = Released.load(tmp_path / "release" / "2024Q4")
    pd.testing.assert_frame_equal(loaded.tables["t"].frame, made.tables["t"].frame)


@pytest.mark.parametrize("rounding", ["nearest", "midpoint"])
def test_a_shown_zero_is_a_zero_where_all_else_that_rounds_to_it_is_hidden(rounding):
    for base, least in itertools.product(range(3, 13), range(2, 13)):
        policy = replace(
            load_policy("calhhs_ddg_2"), rounding=rounding, rounding_base=base, min_count=least
        )
        allowed = np.array([x for x in range(50) if x == 0 or x >= least])
        stands_for = allowed[round_counts(allowed, policy=policy) == 0]
        _, high = range_of_rounded([0.0], policy=policy)
        if len(stands_for) == 1:
            assert high[0] == 0
        assert high[0] >= stands_for.max()
