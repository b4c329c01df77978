"""Tables of cumulative incidence and of mean time in each state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate.time_to_event.incidence_table import incidence_table, mean_time_table
from calaim_eval.results import Estimand

ESTIMAND = Estimand("time", "time in each state", "months", is_causal=False)
OUTCOMES = ("reached", "left")


def sample(n: int = 60, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "duration_months": rng.integers(0, 9, n).astype(float),
            "cause": rng.integers(0, 3, n),
            "group": rng.choice(["a", "b"], n),
        }
    )


def mean_time(spells: pd.DataFrame, horizon: float = 6.0, cluster=None):
    return mean_time_table(
        spells,
        cluster=cluster,
        group=spells["group"],
        groups=("a", "b"),
        by="group",
        horizon=horizon,
        outcomes=OUTCOMES,
        estimand=ESTIMAND,
        options={},
        unit="months",
    )


def incidence(spells: pd.DataFrame, cluster=None):
    return incidence_table(
        spells,
        cluster=cluster,
        group=spells["group"],
        groups=("a", "b"),
        by="group",
        times=np.array([2.0, 5.0]),
        outcomes=OUTCOMES,
        estimand=ESTIMAND,
        options={},
        unit="months",
    )


def test_without_censoring_they_are_plain_means_with_their_plain_errors():
    """Reached after 1 and 3 months, left after 2, still waiting at 4: of 4 months, by hand."""
    spells = pd.DataFrame({"duration_months": [1.0, 3, 2, 7], "cause": [1, 1, 2, 0], "group": "a"})
    table = mean_time(spells, horizon=4.0).to_frame().set_index(["group", "component"])
    own = {
        "waiting": np.array([1.0, 3, 2, 4]),
        "reached": np.array([3.0, 1, 0, 0]),
        "left": np.array([0.0, 0, 2, 0]),
    }
    for component, times in own.items():
        row = table.loc[("a", component)]
        assert row["estimate"] == pytest.approx(times.mean())
        assert row["std_error"] == pytest.approx(times.std() / np.sqrt(4))
    assert table.loc[("a", "reached"), "n_events"] == 2
    assert table.loc[("a", "waiting"), "n_events"] == 1
    assert table.loc["b", "estimate"].isna().all()


def test_the_states_add_up_to_the_horizon():
    frame = mean_time(sample()).to_frame()
    np.testing.assert_allclose(frame.groupby("group")["estimate"].sum(), 6.0)


def test_the_mean_is_the_area_under_the_curves():
    spells = sample()
    reached = incidence_table(
        spells,
        cluster=None,
        group=None,
        groups=(),
        by=None,
        times=np.arange(6.0),
        outcomes=OUTCOMES,
        estimand=ESTIMAND,
        options={},
        unit="months",
    )
    area = reached.combine(
        np.kron(np.eye(2), np.ones(6)), keys=pd.DataFrame({"component": OUTCOMES})
    )
    table = mean_time(spells)
    ours = table.select((table.keys["group"] == "all") & (table.keys["component"] != "waiting"))
    np.testing.assert_allclose(ours.estimate, area.estimate)
    np.testing.assert_allclose(ours.covariance, area.covariance)


def test_nothing_is_said_beyond_the_last_follow_up():
    spells = sample().assign(duration_months=lambda f: f["duration_months"].clip(upper=4))
    spells.loc[spells["duration_months"] == 4, "cause"] = 0
    assert np.isnan(mean_time(spells, horizon=6.0).estimate).all()
    assert np.isfinite(mean_time(spells, horizon=4.0).estimate).all()


@pytest.mark.parametrize("table", [incidence, mean_time])
def test_rows_of_subjects_alike_give_what_the_subjects_give(table):
    spells = sample()
    counted = spells.value_counts().rename("n_alike").reset_index()
    one, other = table(spells), table(counted)
    np.testing.assert_allclose(one.estimate, other.estimate)
    np.testing.assert_allclose(one.covariance, other.covariance)
    np.testing.assert_allclose(one.support.to_numpy(float), other.support.to_numpy(float))


def test_intervals_hold_the_truth_under_censoring():
    """500 samples of 150: chances of .12 and .05 a month, .04 lost to follow-up, after 5 months."""
    rng = np.random.default_rng(20)
    chance, months = np.array([0.12, 0.05]), 5
    truth = chance[0] / chance.sum() * (1 - (1 - chance.sum()) ** months)
    area = sum(chance[0] / chance.sum() * (1 - (1 - chance.sum()) ** t) for t in range(1, months))
    held = []
    for _ in range(500):
        event = rng.geometric(chance.sum(), 150)
        cause = np.where(rng.random(150) < chance[0] / chance.sum(), 1, 2)
        # Lost after the events of the month, so never at risk of those of the next.
        lost = np.minimum(rng.geometric(0.04, 150), 8)
        spells = pd.DataFrame(
            {
                "duration_months": np.minimum(event, lost).astype(float),
                "cause": np.where(event <= lost, cause, 0),
                "group": "a",
            }
        )
        curve = incidence(spells).to_frame().query("group == 'all'")
        mean = mean_time(spells, horizon=5.0).to_frame().query("group == 'all'")
        rows = (
            (curve[(curve["outcome"] == "reached") & (curve["months"] == 5)].iloc[0], truth),
            (mean[mean["component"] == "reached"].iloc[0], area),
        )
        held.append([r["conf_low"] <= true <= r["conf_high"] for r, true in rows])
    share = np.mean(held, axis=0)
    assert ((share >= 0.92) & (share <= 0.98)).all(), share
