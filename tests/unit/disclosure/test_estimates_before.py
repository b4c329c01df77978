"""Two quarters' estimates: what their difference tells of the few members who came in between."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table

from calaim_eval.disclosure import load_policy, release
from calaim_eval.disclosure.estimates_before import (
    MEMORY,
    ShownEstimates,
    changed_by_few,
    read_shown_estimates,
)
from calaim_eval.errors import DisclosureError
from calaim_eval.results import BoundsTable

KEYS = pd.DataFrame({"outcome": ["ed_visits", "stays", "ed_visits"], "side": list("aab")})
POLICY = load_policy("calhhs_ddg_2")


def quarter(tmp_path, name, table, policy="calhhs_ddg_2", **others):
    released = release(
        {"t": table, **others},
        policy=policy,
        to=tmp_path / "release",
        quarter=name,
        custody=tmp_path / "restricted" / f"{name}.json",
    )
    return released.tables["t"].frame


def gone(*arguments, **options):
    return quarter(*arguments, **options)["is_suppressed"].tolist()


# What a reader can do.


def change_of(visits):
    """Visits per member after less before, as `pre_post` has it: one row, its members' own."""
    table = effect_table(pd.DataFrame({"outcome": ["ed_visits"]}), [len(visits)], [len(visits) * 2])
    error = visits.std(ddof=1) / np.sqrt(len(visits))
    return replace(table, estimate=np.array([visits.mean()]), covariance=np.array([[error**2]]))


def told(first, second, n_before, n_new):
    """Visits of the newcomers by the two estimates that are shown."""
    return (n_before + n_new) * second - n_before * first


def test_two_estimates_as_rounded_give_the_visits_of_four_newcomers(tmp_path):
    """The attack: without a memory of the members both are shown, and tell 27 visits of four."""
    rng = np.random.default_rng(11)
    before = rng.poisson(2.0, size=100).astype(float)
    now = np.append(before, [4.0, 9.0, 8.0, 6.0])
    shown = [
        release({"t": change_of(each)}).tables["t"].frame["estimate"].iloc[0]
        for each in (before, now)
    ]
    assert np.isfinite(shown).all()
    assert told(*shown, 100, 4) == pytest.approx(27.0, abs=2.0)


def test_the_second_of_them_is_hidden(tmp_path):
    rng = np.random.default_rng(11)
    before = rng.poisson(2.0, size=100).astype(float)
    assert gone(tmp_path, "2024Q3", change_of(before)) == [False]
    frame = quarter(tmp_path, "2024Q4", change_of(np.append(before, [4.0, 9.0, 8.0, 6.0])))
    assert frame["is_suppressed"].tolist() == [True]
    assert (
        frame[["estimate", "std_error", "conf_low", "conf_high", "p_value"]].isna().all(axis=None)
    )


# When it is.


@pytest.mark.parametrize(
    ("members", "events", "is_hidden"),
    [
        (100, 300, False),
        (101, 303, True),
        (110, 330, True),
        (111, 333, False),
        (90, 270, True),
        (89, 267, False),
        (100, 301, False),
        (100, 310, False),
        (120, 303, False),
    ],
)
def test_few_members_more_or_fewer_than_a_quarter_before(tmp_path, members, events, is_hidden):
    first = effect_table(KEYS, [100, 200, 300], [300, 600, 900])
    assert gone(tmp_path, "2024Q3", first) == [False] * 3
    later = effect_table(KEYS, [members, 300, 400], [events, 900, 1200])
    assert gone(tmp_path, "2024Q4", later) == [is_hidden, False, False]


@pytest.mark.parametrize(
    ("members", "events", "is_hidden"),
    [(101, 303, True), (100, 301, True), (100, 310, True), (100, 311, False), (120, 303, False)],
)
def test_the_same_quarter_again_with_few_events_of_the_same_members(members, events, is_hidden):
    shown = remembered(effect_table(KEYS, [100, 200, 300], [300, 600, 900]))
    again = effect_table(KEYS, [members, 300, 400], [events, 900, 1200])
    found = changed_by_few({"t": again}, shown, policy=POLICY, quarter="2024Q3")
    assert found["t"].tolist() == [is_hidden, False, False]


def test_every_earlier_release_counts_and_only_what_it_showed(tmp_path):
    sizes = {"2024Q1": 100, "2024Q2": 106, "2024Q3": 109, "2024Q4": 111}
    found = [gone(tmp_path, q, effect_table(KEYS, [n, 400, 400]))[0] for q, n in sizes.items()]
    # 106 and 109 were never shown, so 111 is compared with 100 alone.
    assert found == [False, True, True, False]
    assert gone(tmp_path, "2025Q1", effect_table(KEYS, [121, 400, 400]))[0]


def test_rows_of_other_tables_and_keys_are_not_compared(tmp_path):
    quarter(tmp_path, "2024Q3", effect_table(KEYS, [100, 200, 300]))
    swapped = effect_table(KEYS.iloc[[2, 1, 0]], [104, 200, 400])
    assert gone(tmp_path, "2024Q4", swapped) == [False] * 3
    other = effect_table(KEYS, [104, 204, 304])
    content = release(
        {"another": other}, to=tmp_path / "release", quarter="2025Q1",
        custody=tmp_path / "restricted" / "2025Q1.json",
    )  # fmt: skip
    assert not content.tables["another"].frame["is_suppressed"].any()


def test_a_digit_worth_ten_events_blurs_a_few():
    """Of 40,000 events one moves the estimate by 1/200 of its error or less: a tenth is 20."""
    table = effect_table(KEYS, [104, 104, 104], [40_000, 400, 40_000])
    table = replace(table, covariance=np.diag([1.0, 1.0, 9.9**2]))
    shown = replace(table, support=table.support.assign(n_members=100.0))
    found = changed_by_few({"t": table}, remembered(shown), policy=POLICY, quarter="2024Q4")
    # 9.9 is shown to one decimal place: a hundredth of it, and two events.
    assert found["t"].tolist() == [False, True, True]


def test_policies_that_round_or_do_not_ask_compare_less():
    table = effect_table(KEYS, [104, 200, 300])
    shown = remembered(effect_table(KEYS, [100, 200, 300]))
    one = {"t": table}
    rounding = load_policy("opensafely_midpoint_6")
    assert not changed_by_few(one, shown, policy=rounding, quarter="2024Q3")["t"].any()
    free = replace(POLICY, protect_changes=False)
    assert not changed_by_few(one, shown, policy=free, quarter="2024Q4")["t"].any()
    assert changed_by_few(one, shown, policy=free, quarter="2024Q3")["t"].tolist()[0]


def remembered(table):
    support = table.support[["n_members", "n_events"]].to_numpy()
    keys = [("t", tuple(row)) for row in table.keys.astype(str).to_numpy()]
    return [ShownEstimates("2024Q3", dict(zip(keys, map(tuple, support), strict=True)))]


def test_a_hidden_group_does_not_follow_from_the_average_either(tmp_path):
    groups = pd.DataFrame({"outcome": "ed", "race_ethnicity": ["white", "black", "nhpi", "all"]})
    quarter(tmp_path, "2024Q3", effect_table(groups, [400, 300, 40, 740]))
    found = gone(tmp_path, "2024Q4", effect_table(groups, [450, 330, 44, 824]))
    assert found[2]
    assert sum(found[:3]) >= 2 or found[3]


def test_bounds_are_compared_too(tmp_path):
    def bounds(members):
        return BoundsTable(
            keys=pd.DataFrame({"outcome": "ed", "restriction": "relative", "bound": [0.5, 1.0]}),
            set_low=np.array([1.0, 0.0]),
            set_high=np.array([2.0, 3.0]),
            conf_low=np.array([0.5, -0.5]),
            conf_high=np.array([2.5, 3.5]),
            conf_level=0.95,
            support=pd.DataFrame({"n_members": [members] * 2, "n_events": 900, "member_months": 1}),
            estimand=effect_table(KEYS, [1, 1, 1]).estimand,
            method=effect_table(KEYS, [1, 1, 1]).method,
            bound_words="times",
        )

    assert gone(tmp_path, "2024Q3", bounds(100)) == [False, False]
    assert gone(tmp_path, "2024Q4", bounds(105)) == [True, True]


# The file.


def test_the_memory_is_restricted_and_holds_what_was_shown_once(tmp_path):
    table = effect_table(KEYS, [100, 6, 300], [300, 18, np.inf])
    for _ in range(2):
        quarter(tmp_path, "2024Q3", table)
    lines = (tmp_path / "restricted" / MEMORY).read_text().splitlines()
    assert len(lines) == 1
    shown = json.loads(lines[0])["tables"]["t"]
    assert shown == [[["ed_visits", "a"], 100.0, 300.0], [["ed_visits", "b"], 300.0, None]]
    for path in (tmp_path / "release").rglob("*"):
        if path.is_file():
            assert "n_members" not in path.read_text(encoding="utf-8")
            assert path.name != MEMORY
    read = read_shown_estimates(tmp_path / "restricted" / MEMORY)
    assert read[0].rows["t", ("ed_visits", "b")] == (300.0, np.inf)


def test_a_damaged_memory_stops_the_release(tmp_path):
    quarter(tmp_path, "2024Q3", effect_table(KEYS, [100, 200, 300]))
    path = tmp_path / "restricted" / MEMORY
    path.write_text(path.read_text()[:-9])
    with pytest.raises(DisclosureError, match="cannot be read"):
        quarter(tmp_path, "2024Q4", effect_table(KEYS, [104, 200, 300]))
    assert not (tmp_path / "release" / "2024Q4").exists()


def test_a_memory_that_is_gone_is_said(tmp_path, caplog):
    quarter(tmp_path, "2024Q3", effect_table(KEYS, [100, 200, 300]))
    assert "not compared" not in caplog.text
    (tmp_path / "restricted" / MEMORY).unlink()
    assert gone(tmp_path, "2024Q4", effect_table(KEYS, [104, 200, 300])) == [False] * 3
    assert f"{MEMORY} is not there: estimates are not compared" in caplog.text


def test_the_person_who_signs_is_told(tmp_path):
    quarter(tmp_path, "2024Q3", effect_table(KEYS, [100, 200, 300]))
    quarter(tmp_path, "2024Q4", effect_table(KEYS, [104, 200, 300]))
    rows = json.loads((tmp_path / "restricted" / "2024Q4.json").read_text())["hidden_rows"]
    assert rows == [{"table": "t", "reason": "hidden before, or changed by few since", "n_rows": 1}]
