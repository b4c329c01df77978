"""Bounds leave only where the estimate in the middle of their sets may be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table

from calaim_eval.disclosure import Released, release
from calaim_eval.disclosure.round_numbers import round_bounds
from calaim_eval.results import SUPPORT_COLUMNS, BoundsTable, EffectTable, Estimand, Method

GROUPS = ["white", "hispanic", "asian", "nhpi", "all"]
BOUNDS = [0.0, 0.5, 1.0]
OUTCOME = {"outcome": "ed_visits", "unit": "visits per 1,000 member-months"}


def bounds_table(
    n_members: list[float], *, groups: list[str] | None = None, n_events: float = 90.0
) -> BoundsTable:
    """Sets of half width 10 times the bound around the estimates 1.23456, 2.23456 ..."""
    names = groups or GROUPS
    middle = np.repeat(1.23456 + np.arange(len(names)), len(BOUNDS))
    bound = np.tile(BOUNDS, len(names))
    members = np.repeat(np.asarray(n_members, dtype=float), len(BOUNDS))
    return BoundsTable(
        keys=pd.DataFrame(
            {
                **OUTCOME,
                "race_ethnicity": np.repeat(names, len(BOUNDS)),
                "restriction": "relative_magnitudes",
                "bound": bound,
            }
        ),
        set_low=middle - 10 * bound,
        set_high=middle + 10 * bound,
        conf_low=middle - 10 * bound - 1.96,
        conf_high=middle + 10 * bound + 1.96,
        conf_level=0.95,
        support=pd.DataFrame(
            {"n_members": members, "n_events": n_events, "member_months": members * 2}
        ),
        estimand=Estimand("ATT under bounded trends", "exposed", OUTCOME["unit"]),
        method=Method("Robust confidence set"),
        bound_words="times the largest change before exposure",
        breakdown=np.repeat(0.123456 * np.arange(len(names)), len(BOUNDS)),
    )


def hidden_groups(released: Released, name: str = "effect_bounds") -> set[str]:
    """Groups hidden; every row of a group or none."""
    frame = released.tables[name].frame
    by_group = frame.groupby("race_ethnicity")["is_suppressed"]
    assert (by_group.min() == by_group.max()).all()
    numbers = frame.drop(columns=["bound"]).select_dtypes("float")
    assert numbers[frame["is_suppressed"]].isna().all(axis=None)
    return set(frame.loc[frame["is_suppressed"], "race_ethnicity"])


def by_race(n_members: list[float], groups: list[str] | None = None) -> EffectTable:
    names = groups or GROUPS[:-1]
    return effect_table(pd.DataFrame({**OUTCOME, "race_ethnicity": names}), n_members)


def event_study(hidden_month: int | None = None) -> EffectTable:
    months = list(range(-4, 4))
    members = [5.0 if month == hidden_month else 400.0 for month in months]
    return effect_table(pd.DataFrame({**OUTCOME, "event_time": months}, index=months), members)


def test_large_groups_are_shown_with_their_breakdown():
    released = release({"effect_bounds": bounds_table([400, 300, 200, 100, 1000])})
    table = released.tables["effect_bounds"]
    assert table.kind == "bounds"
    assert hidden_groups(released) == set()
    assert list(table.frame.columns) == [
        "outcome",
        "unit",
        "race_ethnicity",
        "restriction",
        "bound",
        "set_low",
        "set_high",
        "conf_low",
        "conf_high",
        "breakdown",
        "is_suppressed",
    ]
    assert table.meta["bound_words"] == "times the largest change before exposure"
    assert table.meta["conf_level"] == 0.95
    assert not set(SUPPORT_COLUMNS) & set(table.frame)


def test_a_group_of_few_members_or_events_is_hidden_with_another():
    """Nhpi alone would follow from everybody and the other groups."""
    few = release({"effect_bounds": bounds_table([400, 300, 200, 8, 908])})
    assert hidden_groups(few) == {"nhpi", "asian"}
    scarce = release({"effect_bounds": bounds_table([400] * 5, n_events=4.0)})
    assert hidden_groups(scarce) == set(GROUPS)


def test_bounds_go_where_the_effect_goes():
    """Members of a single month are enough for the bounds, yet the effect is hidden."""
    released = release(
        {
            "effect_bounds": bounds_table([400, 300, 200, 100, 1000]),
            "effect_by_race": by_race([400, 300, 200, 7]),
            "effect_overall": effect_table(pd.DataFrame([{**OUTCOME, "anchor": "x"}]), [1000]),
        }
    )
    effects = released.tables["effect_by_race"].frame
    assert set(effects.loc[effects["is_suppressed"], "race_ethnicity"]) == {"nhpi", "asian"}
    assert hidden_groups(released) == {"nhpi", "asian"}


@pytest.mark.parametrize("month", [-3, 2])
def test_a_hidden_month_does_not_follow_from_an_average_over_months(month):
    """Everybody's set has the average of the months in its middle, its width a month before."""
    tables = {"effect_bounds": bounds_table([400] * 5), "effect_event_study": event_study(month)}
    assert hidden_groups(release(tables)) == {"all"}
    tables["effect_event_study"] = event_study()
    assert hidden_groups(release(tables)) == set()


def test_bounds_that_say_what_they_rest_on_do_not_go_with_other_designs():
    """A comparison with matched members is another effect; without the names it might be this."""
    tables = {"effect_bounds": bounds_table([400] * 5), "matched_event_study": event_study(2)}
    assert hidden_groups(release(tables)) == {"all"}
    named = replace(tables["effect_bounds"], rests_on=("effect_event_study",))
    assert hidden_groups(release({**tables, "effect_bounds": named})) == set()
    own = {"effect_bounds": named, "effect_event_study": event_study(2)}
    assert hidden_groups(release(own)) == {"all"}


def test_another_outcome_another_group_and_other_kinds_of_estimate_hide_nothing():
    keys = pd.DataFrame({"outcome": ["jail_days"], "unit": ["days"], "event_time": [1]})
    change = effect_table(pd.DataFrame([{**OUTCOME, "side": "exposed"}]), [6])
    about = Estimand("Change", "after minus before", "visits", is_causal=False)
    released = release(
        {
            "effect_bounds": bounds_table([400] * 4, groups=GROUPS[:4]),
            "effect_event_study": effect_table(keys, [5]),
            "pre_post": EffectTable(
                change.keys, change.estimate, change.covariance, change.support, about, Method("x")
            ),
        }
    )
    assert hidden_groups(released) == set()


def middles(released: Released) -> pd.Series:
    """What an attacker reads off the shown sets: their middles, by group."""
    frame = released.tables["effect_bounds"].frame
    middle = (frame["set_low"] + frame["set_high"]) / 2
    return middle.groupby(frame["race_ethnicity"]).agg(lambda values: list(values.dropna()))


def test_no_hidden_estimate_is_in_the_middle_of_a_set():
    """Any pattern of small groups: no set is shown of a group whose effect is hidden."""
    rng = np.random.default_rng(5)
    n_checked = 0
    for _ in range(40):
        sizes = rng.choice([4, 15, 200], size=4)
        own = rng.choice([4, 15, 200], size=5)
        released = release(
            {
                "effect_bounds": bounds_table(own.tolist()),
                "effect_by_race": by_race(sizes.tolist()),
            }
        )
        effects = released.tables["effect_by_race"].frame.set_index("race_ethnicity")
        for group, found in middles(released).items():
            if group in effects.index and effects.loc[group, "is_suppressed"]:
                n_checked += 1
                assert found == []
        shown = ~released.tables["effect_bounds"].frame["is_suppressed"].to_numpy()
        assert (np.repeat(own, len(BOUNDS))[shown] >= 11).all()
        hidden = hidden_groups(released)
        if "all" not in hidden:
            assert len(hidden) != 1
    assert n_checked > 20


def test_rows_of_a_group_say_no_more_of_the_estimate_than_one():
    """Standard error 1: one decimal of 1.23456, whichever row it is read from."""
    released = release({"effect_bounds": bounds_table([400, 300, 200, 100, 1000])})
    of_white = middles(released)["white"]
    assert len(of_white) == len(BOUNDS)
    np.testing.assert_allclose(of_white, 1.2)
    frame = released.tables["effect_bounds"].frame
    numbers = frame[["set_low", "set_high", "conf_low", "conf_high"]].to_numpy() * 10
    np.testing.assert_allclose(numbers, np.round(numbers), atol=1e-9)
    assert sorted(set(frame["breakdown"])) == [0.0, 0.12, 0.25, 0.37, 0.49]


def test_open_ends_and_missing_sets_are_written_and_read(tmp_path):
    table = bounds_table([400, 300, 200, 100, 1000])
    table.conf_low[:3] = -np.inf
    table.set_low[3:6] = table.set_high[3:6] = np.nan
    table.breakdown[6:9] = np.inf
    released = release({"effect_bounds": table}, to=tmp_path, quarter="2024Q4")
    loaded = Released.load(tmp_path / "2024Q4").tables["effect_bounds"]
    pd.testing.assert_frame_equal(loaded.frame, released.tables["effect_bounds"].frame)
    assert np.isneginf(loaded.frame["conf_low"][:3]).all()
    assert np.isposinf(loaded.frame["breakdown"][6:9]).all()
    assert not loaded.frame["is_suppressed"].any()


def test_bounds_hidden_before_stay_hidden(tmp_path):
    small = {"effect_bounds": bounds_table([400, 300, 200, 8, 908])}
    grown = {"effect_bounds": bounds_table([400, 300, 200, 80, 980])}
    release(small, to=tmp_path, quarter="2024Q4")
    again = release(grown, to=tmp_path, quarter="2024Q4")
    assert hidden_groups(again) == {"nhpi", "asian"}


def test_a_hidden_month_before_exposure_takes_the_false_dates_with_it():
    """An effect at a false date is an average of months of the event study."""
    keys = pd.DataFrame(
        [
            {**OUTCOME, "race_ethnicity": group, "months_earlier": months}
            for group in ("all", "white")
            for months in (3, 6)
        ]
    )
    placebo = effect_table(keys, [400] * 4)
    other = Method("matched", {"covariate_cells": ["n_matches"]})
    here = replace(placebo, method=Method("false dates", {"covariate_cells": ["month"]}))
    apart = {"placebo_dates": here, "matched": replace(event_study(-2), method=other)}
    assert not release(apart).tables["placebo_dates"].frame["is_suppressed"].any()
    for month, expected in (
        (-2, [True, True, False, False]),
        (2, [False] * 4),
        (None, [False] * 4),
    ):
        tables = {"placebo_dates": placebo, "effect_event_study": event_study(month)}
        frame = release(tables).tables["placebo_dates"].frame
        assert frame["is_suppressed"].tolist() == expected


def test_one_small_row_hides_its_whole_group():
    """The other rows have the same middle."""
    table = bounds_table([400, 300, 200, 100, 1000], groups=GROUPS)
    table.support.loc[table.keys["race_ethnicity"].eq("all") & table.keys["bound"].eq(1.0)] = 3
    assert hidden_groups(release({"effect_bounds": table})) == {"all"}


# Policies that round counts.


def sets(middle, half, error, n_events):
    """One group a middle, three bounds each, before rounding."""
    middle = np.repeat(np.asarray(middle, dtype=float), len(BOUNDS))
    wide = np.tile(BOUNDS, len(middle) // len(BOUNDS)) * half
    sigma = np.repeat(np.broadcast_to(error, len(middle) // len(BOUNDS)), len(BOUNDS))
    numbers = pd.DataFrame({"set_low": middle - wide, "set_high": middle + wide})
    numbers["conf_low"] = middle - wide - 1.96 * sigma
    numbers["conf_high"] = middle + wide + 1.7 * sigma
    groups = np.arange(len(middle)) // len(BOUNDS)
    return numbers, groups, np.full(len(middle), float(n_events))


ENDS = [("set_low", -1), ("set_high", 1), ("conf_low", -1), ("conf_high", 1)]


@pytest.mark.parametrize("base", [5, 6])
@pytest.mark.parametrize("events", [0, 12, 400, 1e6])
def test_rounded_sets_and_intervals_hold_the_true_ones(base, events):
    rng = np.random.default_rng(6)
    error = rng.lognormal(1, 1.5, 100)
    true, groups, n_events = sets(rng.normal(0, 40, 100), 3.0, error, events)
    shown = round_bounds(true, groups, 0.95, n_events=n_events, base=base)
    for column, side in ENDS:
        assert (side * (shown[column] - true[column]) >= -1e-9).all()
    assert (shown["conf_low"] <= shown["set_low"]).all()
    assert (shown["conf_high"] >= shown["set_high"]).all()


def test_middles_that_round_to_one_number_have_one_set_and_interval():
    true, groups, n_events = sets([29.0, 31.0, 34.0], 7.3, 9.0, 30)
    shown = round_bounds(true, groups, 0.95, n_events=n_events, base=6)
    rows = shown.to_numpy().reshape(3, len(BOUNDS), -1)
    assert (rows == rows[0]).all()


def test_ends_that_the_data_do_not_set_stay_open_and_the_others_hold_the_true_ones():
    true, groups, n_events = sets([31.0], 7.3, 9.0, 30)
    true.loc[1, ["set_low", "set_high"]] = np.nan
    true.loc[2, ["conf_low", "set_low"]] = -np.inf
    shown = round_bounds(true, groups, 0.95, n_events=n_events, base=6)
    assert shown.loc[1, ["set_low", "set_high"]].isna().all()
    assert shown.loc[1, "conf_low"] <= true.loc[1, "conf_low"]
    assert shown.loc[1, "conf_high"] >= true.loc[1, "conf_high"]
    assert (shown.loc[2, ["set_low", "conf_low"]] == -np.inf).all()
    for column in ("set_high", "conf_high"):
        assert true.loc[2, column] <= shown.loc[2, column] < np.inf


def test_sets_do_not_go_below_what_there_is():
    true, groups, n_events = sets([0.4], 0.3, 0.1, 20)
    shown = round_bounds(true, groups, 0.95, n_events=n_events, base=6, lowest=0.0)
    assert (shown[["set_low", "conf_low"]] >= 0).all(axis=None)
    assert (shown["set_high"] >= true["set_high"]).all()


def test_sets_that_no_count_stands_behind_keep_their_digits():
    true, groups, _ = sets([31.234, 12.77], 7.3, 9.0, 0)
    plain = round_bounds(true, groups, 0.95)
    shown = round_bounds(true, groups, 0.95, n_events=np.full(6, np.inf), base=6)
    pd.testing.assert_frame_equal(shown, plain)
    some = np.where(groups == 0, np.inf, 20.0)
    both = round_bounds(true, groups, 0.95, n_events=some, base=6)
    pd.testing.assert_frame_equal(both[groups == 0], plain[groups == 0])
    assert (both["conf_low"] <= true["conf_low"])[groups == 1].all()


@pytest.mark.parametrize("policy", ["opensafely_round_5", "opensafely_midpoint_6"])
def test_released_sets_hold_the_true_ones_under_policies_that_round(policy):
    table = bounds_table([400, 300, 200, 100, 1000])
    frame = release({"effect_bounds": table}, policy=policy).tables["effect_bounds"].frame
    shown = ~frame["is_suppressed"].to_numpy()
    assert shown.any()
    for column, side in ENDS:
        assert (side * (frame[column] - getattr(table, column))[shown] >= -1e-9).all()


@pytest.mark.parametrize(("scale", "unit", "least"), [("ratio", "rates", 0), ("", "rank", 1)])
def test_released_ratios_and_ranks_are_possible_ones(scale, unit, least):
    table = bounds_table([400, 300, 200, 100, 1000], n_events=30)
    low, high = table.set_low.clip(least), table.set_high.clip(least)
    about = replace(table.estimand, scale=scale or "difference", unit=unit)
    ends = {"set_low": low, "conf_low": low, "set_high": high, "conf_high": high + 1}
    table = replace(table, **ends, estimand=about, breakdown=None)
    frame = release({"t": table}, policy="opensafely_midpoint_6").tables["t"].frame
    assert frame["set_low"].notna().any()
    assert (frame[["set_low", "conf_low"]].dropna() >= least).all(axis=None)
