from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.equity import proportion_by_group, rate_gap, tipping_point
from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable, Estimand, Method

SHARES = {"black": 0.5, "white": 0.3, "aian": 0.2}


def shares(**counts: tuple[int, int]):
    members = pd.concat(
        pd.DataFrame({"race_ethnicity": name, "is_served": [True] * x + [False] * (n - x)})
        for name, (x, n) in counts.items()
    )
    members["member_id"] = range(len(members))
    return proportion_by_group(members, has="is_served", by="race_ethnicity")


TABLE = shares(aian=(30, 100), black=(90, 200), white=(80, 400), unknown=(30, 100))


def tip(table=TABLE, **options):
    given = {"reference": "white", "missing": "unknown", "shares": SHARES, "deltas": [-0.2, 0, 0.1]}
    return tipping_point(table, **(given | options))


def by_hand(delta: float) -> tuple[float, float]:
    """Rates of black and white members, members put together group by group."""
    theta = {"black": 0.45, "white": 0.2, "aian": 0.3}
    level = 0.3 - sum(SHARES[g] * theta[g] for g in theta)
    lost = {g: theta[g] + level - SHARES["black"] * delta for g in theta}
    lost["black"] += delta
    assert sum(SHARES[g] * lost[g] for g in lost) == pytest.approx(0.3)
    return (90 + 50 * lost["black"]) / 250, (80 + 30 * lost["white"]) / 430


@pytest.mark.parametrize("scale", ["difference", "ratio"])
def test_gap_at_each_delta_by_hand(scale):
    frame = tip(scale=scale).to_frame()
    own = frame[(frame["race_ethnicity"] == "black") & (frame["restriction"] != "reported_only")]
    for delta, found in zip(own["bound"], own["set_low"], strict=True):
        a, b = by_hand(delta)
        assert found == pytest.approx(a - b if scale == "difference" else a / b)
    alone = frame[(frame["race_ethnicity"] == "black") & (frame["restriction"] == "reported_only")]
    gap = rate_gap(TABLE, reference="white", scale=scale).to_frame()
    gap = gap[gap["race_ethnicity"] == "black"].iloc[0]
    assert alone["set_low"].item() == pytest.approx(gap["estimate"])
    assert alone["conf_low"].item() == pytest.approx(gap["conf_low"])


@pytest.mark.parametrize("scale", ["difference", "ratio"])
def test_at_the_tipping_point_the_interval_just_reaches_no_gap(scale):
    # Records lost for most, so that the members without one can turn the finding.
    table = shares(black=(45, 100), white=(60, 200), unknown=(160, 400))
    options = {"table": table, "shares": {"black": 0.4, "white": 0.6}, "scale": scale}
    point = tip(**options).breakdown[0]
    assert np.isfinite(point)
    assert point < 0
    null = 0.0 if scale == "difference" else 1.0
    at = tip(**options, deltas=[point, 1.02 * point, 0.98 * point])
    assert at.conf_low[1] == pytest.approx(null, abs=1e-9)
    assert at.conf_low[2] < null < at.conf_low[3]


def test_few_without_a_record_cannot_turn_the_finding():
    table = shares(black=(90, 200), white=(80, 400), unknown=(5, 10))
    assert tip(table, shares={"black": 0.5, "white": 0.5}).breakdown.tolist() == [np.inf] * 4


def test_a_gap_not_told_from_none_has_no_tipping_point():
    table = shares(black=(42, 200), white=(80, 400), unknown=(30, 100))
    assert np.isnan(tip(table, shares={"black": 0.5, "white": 0.5}).breakdown).all()


def test_the_other_sign_tips_upwards():
    table = shares(black=(60, 200), white=(90, 200), unknown=(160, 400))
    point = tip(table, shares={"black": 0.5, "white": 0.5}).breakdown[0]
    assert 0 < point < np.inf
    assert tip(table, shares={"black": 0.5, "white": 0.5}, deltas=[point]).conf_high[1] == (
        pytest.approx(0, abs=1e-9)
    )


def test_values_nobody_can_have_do_not_tip():
    # Wider limits than a proportion has make a tipping point of what was none.
    table = shares(black=(90, 200), white=(80, 400), unknown=(25, 50))
    options = {"table": table, "shares": {"black": 0.5, "white": 0.5}}
    assert tip(**options).breakdown[0] == np.inf
    assert np.isfinite(tip(**options, value_range=(-9, 9)).breakdown[0])


def test_a_group_without_an_event_has_no_interval_and_half_an_event_in_others():
    table = shares(aian=(0, 100), black=(90, 200), white=(80, 400), unknown=(30, 100))
    found = tip(table, deltas=[0.0])
    frame = found.to_frame().set_index(["race_ethnicity", "restriction"])
    assert frame.loc["aian", ["conf_low", "conf_high", "breakdown"]].isna().all(axis=None)
    assert any("1 of 4 groups" in note for note in found.notes)
    # Loads of aian, black, white, unknown in the gap of all members.
    lost = np.array([-0.2, -0.5, -0.3, 1.0])
    black = (200 * np.eye(4)[1] + 50 * (lost + np.eye(4)[1])) / 250
    white = (400 * np.eye(4)[2] + 30 * (lost + np.eye(4)[2])) / 430
    half = 0.5 / 101
    variance = [half * (1 - half) / 100, 0.45 * 0.55 / 200, 0.2 * 0.8 / 400, 0.3 * 0.7 / 100]
    error = np.sqrt((black - white) ** 2 @ variance)
    row = frame.loc[("black", "members_without_record_differ")]
    assert row["conf_high"] - row["set_high"] == pytest.approx(1.959964 * error, rel=1e-6)


def test_a_ratio_tips_before_it_is_undefined():
    # Delta so far down that the rate of the group would be below 0.
    table = shares(black=(90, 200), white=(80, 400), unknown=(150, 300))
    options = {"table": table, "shares": {"black": 0.5, "white": 0.5}, "scale": "ratio"}
    point = tip(**options, value_range=(-9, 9)).breakdown[0]
    assert tip(**options, value_range=(-9, 9), deltas=[point]).conf_low[1] == pytest.approx(1)


def effects(covariance: np.ndarray) -> EffectTable:
    return EffectTable(
        keys=pd.DataFrame({"race_ethnicity": ["black", "white", "unknown"]}),
        estimate=np.array([-3.0, -1.0, -2.0]),
        covariance=covariance,
        support=pd.DataFrame(
            {"n_members": [90] * 3, "n_events": [90] * 3, "member_months": [9] * 3}
        ),
        estimand=Estimand("ATT", "exposed minus comparison", "visits"),
        method=Method("fit"),
    )


def test_effects_use_their_joint_covariance_and_the_exposed_members():
    v = np.array([[0.2, 0.05, 0.0], [0.05, 0.1, 0.02], [0.0, 0.02, 0.3]])
    members = {"black": 100, "white": 200, "unknown": 100}
    options = {"shares": {"black": 0.5, "white": 0.5}, "members": members, "deltas": [1.0]}
    row = tip(effects(v), **options).to_frame().iloc[1]
    # Members without a record: mean -2, recorded mean by shares -2, so -3 and -1, then +-1/2.
    assert row["set_low"] == pytest.approx((-300 - 50 * 2.5) / 150 - (-200 - 50 * 1.5) / 250)
    lost_black, lost_white = np.array([0.5, -0.5, 1]), np.array([-0.5, 0.5, 1])
    black = (100 * np.array([1, 0, 0]) + 50 * lost_black) / 150
    white = (200 * np.array([0, 1, 0]) + 50 * lost_white) / 250
    error = np.sqrt((black - white) @ v @ (black - white))
    assert row["conf_high"] - row["set_high"] == pytest.approx(1.959964 * error, rel=1e-6)
    assert np.isfinite(tip(effects(v / 10), **options).breakdown).all()
    with pytest.raises(EstimationError, match="`members`"):
        tip(effects(v), **(options | {"members": None}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": {"black": 0.5, "white": 0.4}}, "sum to 0.9"),
        ({"shares": {"black": 1.5, "white": -0.5}}, "outside 0 to 1: black, white"),
        ({"shares": {"asian": 1.0}}, "not recorded: asian"),
        ({"reference": "asian"}, "'asian'"),
        ({"missing": "blank"}, "`missing` names"),
        ({"stratum": "county"}, "county"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(EstimationError, match=message):
        tip(**options)


def test_it_is_released():
    frame = release({"tip": tip()}).tables["tip"].frame
    assert frame["breakdown"].notna().any()
    assert not frame["is_suppressed"].any()
