"""Routes by which a hidden count could be read off something else; each is tried."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table, two_way

from calaim_eval.disclosure import load_policy, release
from calaim_eval.disclosure.effects import DIFFERENCES, hide_effects
from calaim_eval.disclosure.round_numbers import round_bounds
from calaim_eval.equity import intersect_groups
from calaim_eval.results import BoundsTable, Estimand, Method


def hidden(released, name="t"):
    return released.tables[name].frame["is_suppressed"].tolist()


def everything(released):
    """All numbers a reader gets of a release, hidden rows included."""
    return json.dumps(
        {n: [t.frame.to_csv(index=False), t.meta] for n, t in released.tables.items()}
    )


# A rate with a known denominator, its interval, a mean, a share: each is the count.


@pytest.mark.parametrize("kind", ["rate", "proportion"])
def test_no_number_of_a_hidden_rate_is_left(kind):
    keys = pd.DataFrame({"county": ["Alpine", "Kern", "all"]})
    table = rate_table(
        keys, [4, 60, 64], [120, 900, 1020], kind=kind, n_members=[4, 60, 64],
        names=("served", "members"), margins=("county",),
    )  # fmt: skip
    frame = release({"t": table}).tables["t"].frame
    numbers = frame.select_dtypes("float")
    assert hidden(release({"t": table}))[0]
    assert numbers[frame["is_suppressed"]].isna().all(axis=None)


def test_a_mean_goes_with_the_few_members_it_is_of():
    """9,100 dollars of 7 members: the mean is a rate whose members are few."""
    keys = pd.DataFrame({"service": ["meals", "housing"]})
    table = rate_table(
        keys, [9100.0, 52_000.0], [7, 400], n_members=[7, 400], kind="rate",
        names=("paid_usd", "members_paid_for"),
    )  # fmt: skip
    assert hidden(release({"t": table})) == [True, False]


def test_a_share_and_what_it_leaves_over_go_together():
    table = rate_table(
        pd.DataFrame({"county": ["Kern"]}), [893], [900], kind="proportion", names=("served", "m")
    )
    assert hidden(release({"t": table})) == [True]


def test_an_effect_of_few_members_or_few_events_goes():
    keys = pd.DataFrame({"race_ethnicity": ["white", "black", "nhpi"]})
    table = effect_table(keys, [400, 400, 10], [300, 10, 300])
    assert hidden(release({"t": table})) == [False, True, True]


def test_a_difference_of_two_released_tables_is_no_small_count():
    """All members by county and those 65 and over by county: what is left is those under 65."""
    keys = pd.DataFrame({"county": ["Kern", "Yolo"]})
    older = rate_table(
        keys, [94, 300], [100, 700], kind="proportion", names=("members_65", "members"),
        denominator_keys=("county",),
    )  # fmt: skip
    assert hidden(release({"t": older}))[0]


# The same cell under other keys.


def by_both():
    keys = pd.DataFrame(
        [
            {"race_ethnicity": r, "sex": s}
            for r, s in itertools.product(["white", "black", "nhpi", "all"], ["f", "m", "all"])
        ]
    )
    inner = np.array([[300, 280], [80, 90], [7, 60]])
    wide = np.hstack([inner, inner.sum(axis=1, keepdims=True)])
    counts = np.vstack([wide, wide.sum(axis=0, keepdims=True)]).ravel()
    return rate_table(keys, counts, margins=("race_ethnicity", "sex"))


def test_a_crossed_table_is_the_cells_of_the_table_by_both_columns():
    """The count hidden beside a small one may not stand in the crossed table."""
    both = by_both()
    crossed = intersect_groups(both, ["race_ethnicity", "sex"], name="race_by_sex")
    # Alone, the crossed table has no total by race, and hides nothing but the small one.
    released = release({"both": both, "crossed": crossed})
    frame = released.tables["both"].frame
    wide = {
        (r, s): h
        for r, s, h in frame[["race_ethnicity", "sex", "is_suppressed"]].itertuples(index=False)
    }
    narrow = released.tables["crossed"].frame
    for label, is_hidden in narrow[["race_by_sex", "is_suppressed"]].itertuples(index=False):
        if label != "all":
            assert is_hidden >= wide[tuple(label.split(" & "))]
    assert sum(wide.values()) >= 4


def test_a_crossed_table_released_later_shows_nothing_hidden_before(tmp_path):
    both = by_both()
    crossed = intersect_groups(both, ["race_ethnicity", "sex"], name="race_by_sex")
    first = release({"both": both}, to=tmp_path, quarter="2024Q4").tables["both"].frame
    second = release({"crossed": crossed}, to=tmp_path, quarter="2024Q4").tables["crossed"].frame
    gone = {
        f"{r} & {s}"
        for r, s, h in first[["race_ethnicity", "sex", "is_suppressed"]].itertuples(index=False)
        if h
    }
    shown = set(second.loc[~second["is_suppressed"], "race_by_sex"])
    assert not gone & shown


# One estimate in two tables.


OUTCOME = {"outcome": "ed_visits", "unit": "visits"}


def stated_twice(n_members):
    months = effect_table(
        pd.DataFrame({**OUTCOME, "event_time": ["0", "1", "overall"]}), [400, 400, n_members]
    )
    checks = effect_table(
        pd.DataFrame({**OUTCOME, "check": ["county_clustered", "synthetic_did"]}), [400, 400]
    )
    checks = replace(checks, estimate=np.array([months.estimate[2], 2.9]))
    return {"county_phase": months, "county_phase_checks": checks}


def test_an_estimate_hidden_in_one_table_is_not_stated_in_another():
    released = release(stated_twice(6))
    assert hidden(released, "county_phase")[2]
    assert hidden(released, "county_phase_checks") == [True, True]
    assert not any(hidden(release(stated_twice(400)), "county_phase_checks"))


def test_checks_go_with_the_effect_after_a_restatement(tmp_path):
    """Hidden in the first release of the quarter, the effect stays hidden, and so do its checks."""
    first = {"county_phase": stated_twice(6)["county_phase"]}
    release(first, to=tmp_path, quarter="2024Q4")
    later = release(stated_twice(400), to=tmp_path, quarter="2024Q4")
    assert hidden(later, "county_phase")[2]
    assert hidden(later, "county_phase_checks") == [True, True]


def test_one_number_of_two_outcomes_or_groups_is_no_repetition():
    keys = pd.DataFrame({"outcome": ["ed", "stays"], "race_ethnicity": ["nhpi", "white"]})
    one = effect_table(keys.iloc[[0]], [6])
    other = replace(effect_table(keys.iloc[[1]], [400]), estimate=one.estimate.copy())
    assert hidden(release({"one": one, "other": other}), "other") == [False]


def test_a_group_hidden_with_its_false_dates_does_not_follow_from_the_average():
    """False dates are hidden before what protects an average is looked for."""
    groups = ["white", "black", "nhpi", "overall"]
    keys = pd.DataFrame({**OUTCOME, "race_ethnicity": groups, "months_earlier": "3"})
    dates = effect_table(keys, [400, 300, 200, 900])
    study = effect_table(
        pd.DataFrame({**OUTCOME, "race_ethnicity": groups, "event_time": ["-2"] * 4}),
        [400, 300, 6, 906],
    )
    found = hide_effects({"dates": dates, "study": study}, policy=load_policy("calhhs_ddg_2"))
    assert found["dates"][2]
    parts = found["dates"][:3]
    assert found["dates"][3] or parts.sum() >= 2


# Ratios: with the effect of the same group, the rate of the exposed.


def as_ratio(table):
    return replace(table, estimand=replace(table.estimand, name="Rate ratio", scale="ratio"))


def test_a_ratio_goes_with_the_hidden_effect_of_its_group():
    groups = pd.DataFrame({**OUTCOME, "race_ethnicity": ["white", "black", "nhpi"]})
    effects = effect_table(groups, [400, 300, 6])
    ratios = as_ratio(effect_table(groups.iloc[::-1], [60, 300, 400]))
    found = release({"effects": effects, "ratios": ratios})
    assert hidden(found, "effects") == [False, False, True]
    assert hidden(found, "ratios") == [True, False, False]
    alone = release({"ratios": ratios})
    assert hidden(alone, "ratios") == [False, False, False]


def test_what_is_no_effect_does_not_hide_a_ratio():
    groups = pd.DataFrame({**OUTCOME, "race_ethnicity": ["white", "nhpi"]})
    ratios = as_ratio(effect_table(groups, [400, 60]))
    changes = effect_table(groups, [400, 6])
    changes = replace(changes, estimand=replace(changes.estimand, is_causal=False))
    assert hidden(release({"changes": changes, "ratios": ratios}), "ratios") == [False, False]


def test_hidden_ratios_of_a_stratum_are_not_of_a_small_count_together():
    """All less the groups shown are the events of those hidden: 3 + 4 are as few as each."""
    groups = pd.DataFrame(
        {**OUTCOME, "race_ethnicity": ["white", "asian", "other", "mixed", "all"]}
    )
    table = effect_table(groups, [400, 300, 40, 30, 770], n_events=[900, 800, 3, 4, 1707])
    assert hidden(release({"t": table})) == [False, False, True, True, False]
    shown = hidden(release({"t": as_ratio(table)}))
    assert shown == [False, True, True, True, False]


# Digits.


def bounds(low, breakdown):
    grid = np.array([0.5, 1.0, 2.0])
    keys = pd.DataFrame({**OUTCOME, "restriction": "relative", "bound": grid})
    ends = low - 1.7 * grid
    return BoundsTable(
        keys=keys,
        set_low=ends + 1,
        set_high=ends + 5,
        conf_low=ends,
        conf_high=ends + 6,
        conf_level=0.95,
        support=pd.DataFrame({"n_members": [50] * 3, "n_events": [60] * 3, "member_months": 600}),
        estimand=Estimand("ATT", "exposed minus comparison", "visits"),
        method=Method("honest"),
        bound_words="times",
        breakdown=np.full(3, breakdown),
    )


def test_a_breakdown_value_tells_no_more_than_the_ends_of_the_intervals():
    """`low - 1.7 * breakdown = 0`: a finer breakdown would give the end to more digits."""
    shown = {}
    for low in np.arange(2.0, 4.0, 0.01):
        frame = release({"t": bounds(low, low / 1.7)}).tables["t"].frame
        ends = tuple(frame[["set_low", "set_high", "conf_low", "conf_high"]].to_numpy().ravel())
        shown.setdefault(ends, set()).add(frame["breakdown"].iloc[0])
    # The ends have one decimal place; steps of 0.1 are steps of 0.06 in the breakdown.
    steps = np.diff(sorted({value for values in shown.values() for value in values}))
    assert 1.7 * steps.min() >= 0.1 - 1e-9


def test_without_the_bounds_a_breakdown_keeps_one_digit():
    numbers = release({"t": bounds(3.0, 3.0 / 1.7)}).tables["t"].frame
    one = numbers[["set_low", "set_high", "conf_low", "conf_high"]].assign(breakdown=1.7647)
    rounded = round_bounds(one, np.zeros(3, dtype=int), 0.95)
    assert rounded["breakdown"].tolist() == [2.0] * 3


# Two sides and their difference.


@pytest.mark.parametrize(
    ("column", "rows"),
    [
        ("side", ["exposed", "comparison", "difference"]),
        ("integration", ["lower", "higher", "higher minus lower"]),
    ],
)
@pytest.mark.parametrize("small", [0, 1, 2])
def test_a_hidden_side_does_not_follow_from_the_other_and_the_difference(column, rows, small):
    keys = pd.DataFrame(
        {"outcome": np.repeat(["ed_visits", "stays"], 3), "unit": "visits", column: rows * 2}
    )
    members = np.full(6, 400.0)
    members[small] = 5
    for order in itertools.permutations(range(3)):
        at = [*order, 3, 4, 5]
        table = effect_table(keys.iloc[at], members[at])
        gone = pd.Series(hidden(release({"t": table})), index=at).sort_index()
        assert gone[small]
        assert gone[:3].sum() == 2
        assert gone[2]
        assert not gone[3:].any()


@pytest.mark.parametrize(
    "module",
    [
        "estimate.pre_post_windows",
        "estimate.sensitivity.anticipation_scan",
        "estimate.series.monthly_series",
        "integration.success.effect_by_integration",
    ],
)
def test_the_rule_knows_the_differences_by_the_names_their_results_give_them(module):
    assert import_module(f"calaim_eval.{module}").DIFFERENCE in DIFFERENCES


# Words.


@pytest.mark.parametrize("text", ["4 members", "7 of 58 members", "1 referral", "10 events"])
def test_words_carry_no_small_count(text):
    table = replace(
        effect_table(pd.DataFrame({"event_time": [0]}), [400]), notes=(f"Left out: {text}.",)
    )
    released = release({"t": table}, provenance={"left_out": {"x": f"only {text} there"}})
    small = re.compile(r"(?<![\d.,-])(?:10|[1-9]) (?:of|members?|referrals?|events?)\b")
    assert not small.search(everything(released))
    assert not small.search(json.dumps(released.provenance))
    assert text not in released.summary()


def test_a_share_in_words_stands_for_eleven_counts_or_more():
    from calaim_eval.results.share_words import share_words

    for whole in (12, 30, 44, 60, 100, 300, 800, 1099, 1100, 5000):
        meant: dict[str, list[int]] = {}
        for part in range(whole + 1):
            meant.setdefault(share_words(part, whole), []).append(part)
        for words, parts in meant.items():
            inside = parts[0] > 0 and parts[-1] < whole
            at_an_end = parts[0] <= 11 or parts[-1] >= whole - 11
            if inside and not at_an_end:
                assert len(parts) >= 10, (whole, words, parts)
        small = {share_words(part, whole) for part in range(1, min(11, whole))}
        left_out = {share_words(whole - part, whole) for part in range(1, min(11, whole))}
        assert len(small) == 1
        assert small == left_out


# Margins, complements and tables together are attacked in test_disclosure_attacker.py.


def test_the_number_of_hidden_rows_by_reason_is_not_released():
    _, table = two_way([[5, 30, 40], [60, 70, 80], [90, 200, 300]])
    text = everything(release({"t": table})) + release({"t": table}).summary()
    assert "protects another row" not in text


# Months of anticipation: effects with 0, 1, 2 months, and what each is more than the first.


def scan(n_members, **keys):
    rows = [(0, "effect"), (1, "effect"), (2, "effect"), (1, "difference"), (2, "difference")]
    frame = pd.DataFrame(rows, columns=["anticipation_months", "row"]).assign(**OUTCOME, **keys)
    table = effect_table(frame, n_members)
    return replace(table, estimate=np.array([4.0, 4.5, 5.5, 0.5, 1.5]))


EQUATIONS = np.array([[-1, 1, 0, -1, 0], [-1, 0, 1, 0, -1]])
"""An effect less the first is the difference; columns as the rows of `scan`."""


def solved(gone):
    """Hidden rows of a scan that follow from those shown."""
    at = np.flatnonzero(gone)
    unknown = EQUATIONS[:, at]
    rank = np.linalg.matrix_rank(unknown)
    others = [np.delete(unknown, i, axis=1) for i in range(len(at))]
    return [
        int(each)
        for each, left in zip(at, others, strict=True)
        if left.size == 0 or np.linalg.matrix_rank(left) == rank - 1
    ]


@pytest.mark.parametrize(
    "small", [each for n in (1, 2) for each in itertools.combinations(range(5), n)]
)
def test_no_effect_of_a_scan_follows_from_the_others_and_the_differences(small):
    members = np.full(5, 400.0)
    members[list(small)] = 6
    gone = np.array(hidden(release({"t": scan(members)})))
    assert gone[list(small)].all()
    assert solved(gone) == []


def test_the_attack_on_a_scan_finds_what_one_hidden_row_gives_away():
    assert solved(np.array([True, False, False, False, False])) == [0]
    assert solved(np.array([True, True, False, True, False])) == [0]
    assert solved(np.array([True, True, False, False, True])) == []


def test_an_effect_hidden_elsewhere_is_not_stated_by_a_scan(tmp_path):
    first = effect_table(pd.DataFrame({**OUTCOME, "event_time": ["overall"]}), [6])
    first = replace(first, estimate=np.array([4.0]))
    found = release({"overall": first, "t": scan(np.full(5, 400.0))})
    gone = np.array(hidden(found))
    assert gone[0]
    assert solved(gone) == []


def test_a_scan_without_its_effects_is_released():
    table = scan([400, 400, 400, 6, 400])
    for rows in ([3, 4], [1, 2, 3, 4], [0, 3]):
        part = table.select(np.isin(np.arange(5), rows))
        assert hidden(release({"t": part}))[rows.index(3)]


@pytest.mark.parametrize(("month", "told"), [("-1", [3, 4]), ("-2", [3, 4]), ("-3", [4])])
def test_the_difference_of_a_scan_is_the_month_before_that_is_hidden(month, told):
    times = ["-4", "-3", "-2", "-1", "0"]
    members = [6 if each == month else 400 for each in times]
    study = effect_table(pd.DataFrame({**OUTCOME, "event_time": times}), members)
    study = replace(study, estimate=np.array([7.0, 7.1, 7.2, 7.3, 7.4]))
    found = release({"study": study, "t": scan(np.full(5, 400.0))})
    gone = np.array(hidden(found))
    assert gone[told].all()
    assert solved(gone) == []
    assert not any(hidden(release({"t": scan(np.full(5, 400.0))})))
    other = scan(np.full(5, 400.0))
    other = replace(other, keys=other.keys.assign(outcome="stays"))
    assert not any(hidden(release({"study": study, "t": other})))
