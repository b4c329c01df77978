from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import (
    effect_gap,
    missing_race_bounds,
    missing_race_effect_bounds,
    proportion_by_group,
)
from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable, Estimand, Method

MEMBERS = {"black": 100.0, "white": 200.0, "unknown": 50.0}


def effects(estimate=(-3.0, -1.0, -2.0), covariance=None, scale="difference") -> EffectTable:
    return EffectTable(
        keys=pd.DataFrame({"race_ethnicity": ["black", "white", "unknown"]}),
        estimate=np.array(estimate),
        covariance=np.diag([0.2, 0.1, 0.3]) if covariance is None else covariance,
        support=pd.DataFrame(
            {"n_members": [90, 80, 40], "n_events": [9] * 3, "member_months": [9] * 3}
        ),
        estimand=Estimand("ATT", "exposed minus comparison", "visits", scale=scale),
        method=Method("fit"),
    )


def bound(table=None, **options):
    given = {"missing": "unknown", "members": MEMBERS, "effect_range": (-6.0, 2.0)}
    return missing_race_effect_bounds(effects() if table is None else table, **(given | options))


def by_grid(n: float, theta: float, share: float, *, sign: int) -> float:
    """Best value over shares and effects of the part, the rest within the range too."""
    best = sign * theta
    for s in np.linspace(0, share, 4001)[1:]:
        parts = [-2.0] if s == 1 else [-6.0, 2.0, *((-2 - (1 - s) * rest) / s for rest in (-6, 2))]
        for part in parts:
            rest = -2.0 if s == 1 else (-2 - s * part) / (1 - s)
            if -6 - 1e-9 <= part <= 2 + 1e-9 and -6 - 1e-9 <= rest <= 2 + 1e-9:
                best = max(best, sign * (n * theta + 50 * s * part) / (n + 50 * s))
    return sign * best


@pytest.mark.parametrize("share", [0.2, 0.7, 1.0])
def test_bounds_are_the_extremes_over_shares_and_effects(share):
    frame = bound(largest_shares=[share]).to_frame()
    frame = frame[frame["restriction"] == "effect_range"].set_index("race_ethnicity")
    for group, n, theta in (("black", 100, -3.0), ("white", 200, -1.0)):
        row = frame.loc[group]
        assert row["set_high"] == pytest.approx(by_grid(n, theta, share, sign=1), abs=2e-3)
        assert row["set_low"] == pytest.approx(by_grid(n, theta, share, sign=-1), abs=2e-3)


def test_a_range_of_0_to_1_gives_the_bounds_of_a_proportion():
    counts = {"black": (30, 80), "white": (40, 200), "unknown": (12, 60)}
    members = pd.concat(
        pd.DataFrame({"race_ethnicity": g, "has": [True] * x + [False] * (n - x)})
        for g, (x, n) in counts.items()
    ).reset_index(names="row")
    members["member_id"] = range(len(members))
    table = proportion_by_group(members, has="has", by="race_ethnicity")
    levels = effects(estimate=[x / n for x, n in counts.values()])
    for share in (0.1, 0.6, 1.0):
        for reference in (None, "white"):
            options = {"missing": "unknown", "reference": reference, "largest_shares": [share]}
            expected = missing_race_bounds(table, **options)
            found = missing_race_effect_bounds(
                levels,
                members={g: n for g, (_, n) in counts.items()},
                effect_range=(0, 1),
                **options,
            )
            assert found.set_low == pytest.approx(expected.set_low)
            assert found.set_high == pytest.approx(expected.set_high)


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_error_follows_the_gradient_of_the_bound(share):
    v = np.array([[0.2, 0.05, 0.01], [0.05, 0.1, 0.02], [0.01, 0.02, 0.3]]) / 1e4
    start = np.array([-3.0, -1.0, -2.0])
    options = {"reference": "white", "largest_shares": [share]}
    row = bound(effects(start, v), **options).to_frame().iloc[1]
    step, gradient = 1e-6, []
    for i in range(3):
        up, down = (
            bound(effects(start + sign * step * np.eye(3)[i], v), **options).set_high[1]
            for sign in (1, -1)
        )
        gradient.append((up - down) / (2 * step))
    error = np.sqrt(np.array(gradient) @ v @ np.array(gradient))
    assert row["conf_high"] - row["set_high"] == pytest.approx(1.644854 * error, rel=1e-4)


def test_reported_only_is_the_effect_gap():
    bounds = bound(reference="white")
    gap = effect_gap(effects(), reference="white").to_frame().iloc[0]
    row = bounds.to_frame().iloc[0]
    assert row["restriction"] == "reported_only"
    assert row["set_low"] == gap["estimate"]
    assert row["conf_low"] == pytest.approx(gap["conf_low"])
    # The members without a record are behind it too.
    assert row["n_members"] == 40


def test_each_month_has_its_own_bounds():
    one = effects()
    k = 2
    table = EffectTable(
        keys=pd.concat([one.keys.assign(event_time=t) for t in (0, 1)], ignore_index=True),
        estimate=np.concatenate([one.estimate, one.estimate + 1]),
        covariance=np.kron(np.eye(k), one.covariance),
        support=pd.concat([one.support] * k, ignore_index=True),
        estimand=one.estimand,
        method=one.method,
    )
    bounds = bound(table)
    alone = bound()
    assert bounds.set_high[bounds.keys["event_time"] == 0] == pytest.approx(alone.set_high)
    assert len(bounds) == 2 * len(alone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effect_range": (-1.0, 1.0)}, "does not hold"),
        ({"effect_range": (1.0, -1.0)}, "low end"),
        ({"members": {"black": 1, "white": 2}}, "1 of 3 groups: unknown"),
        ({"reference": "aian"}, "'aian'"),
        ({"largest_shares": [0.0]}, "above 0"),
        ({"stratum": "county"}, "county"),
        ({"table": effects(scale="ratio")}, "ratios do not average"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(EstimationError, match=message):
        bound(**options)
