from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.equity import proportion_by_group, rate_by_group, rate_gap
from calaim_eval.errors import EstimationError
from calaim_eval.results import stack_rates


def months(seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat([f"m{i}" for i in range(90)], 6),
            "race_ethnicity": np.repeat(["aian", "black", "white"], 180),
        }
    )
    level = np.repeat(rng.gamma(1, 0.3, 90), 6)
    return frame.assign(ed_visits=rng.poisson(level), paid_usd=rng.gamma(1, 50, len(frame)))


@pytest.mark.parametrize("outcome", ["ed_visits", "paid_usd"])
def test_standard_errors_are_those_of_a_joint_regression_clustered_by_member(outcome):
    frame = months()
    table = rate_by_group(frame, outcome=outcome, by="race_ethnicity", per=1)
    gap = rate_gap(table, reference="white")
    for i, group in enumerate(("aian", "black")):
        error = 0.0
        for name in (group, "white"):
            own = frame[frame["race_ethnicity"] == name]
            fit = sm.OLS(own[outcome], np.ones(len(own))).fit(
                cov_type="cluster", cov_kwds={"groups": pd.factorize(own["member_id"])[0]}
            )
            error += fit.bse.iloc[0] ** 2
        assert gap.std_error[i] == pytest.approx(np.sqrt(error))
    assert not gap.estimand.is_causal
    assert gap.keys["race_ethnicity"].tolist() == ["aian", "black"]


@pytest.mark.parametrize("interval", ["byar", "exact_poisson"])
def test_independent_events_have_the_poisson_standard_error(interval):
    table = rate_by_group(
        months(), outcome="ed_visits", by="race_ethnicity", per=1, interval=interval
    )
    gap = rate_gap(table, reference="white", scale="ratio")
    n = table.numerator
    assert gap.std_error / gap.estimate == pytest.approx(np.sqrt(1 / n[:2] + 1 / n[2]))


def test_gap_of_proportions():
    members = pd.DataFrame(
        {
            "member_id": [f"m{i}" for i in range(150)],
            "race_ethnicity": ["black"] * 50 + ["white"] * 100,
            "is_served": [True] * 10 + [False] * 40 + [True] * 40 + [False] * 60,
        }
    )
    table = proportion_by_group(
        members, has="is_served", by="race_ethnicity", margins=("race_ethnicity",), per=100
    )
    gap = rate_gap(table, reference="white")
    assert gap.estimate == pytest.approx([-20])
    assert gap.std_error == pytest.approx([100 * np.sqrt(0.2 * 0.8 / 50 + 0.4 * 0.6 / 100)])
    ratio = rate_gap(table, reference="white", scale="ratio")
    assert ratio.estimate == pytest.approx([0.5])
    log_error = np.sqrt((1 / 10 - 1 / 50) + (1 / 40 - 1 / 100))
    assert ratio.to_frame()["conf_high"].item() == pytest.approx(
        0.5 * np.exp(1.959963985 * log_error)
    )


def test_a_group_without_events_has_a_gap_but_no_standard_error():
    frame = months().assign(
        ed_visits=lambda d: d["ed_visits"].where(d["race_ethnicity"] != "aian", 0)
    )
    gap = rate_gap(
        rate_by_group(frame, outcome="ed_visits", by="race_ethnicity"), reference="white"
    )
    assert gap.estimate[0] < 0
    assert np.isnan(gap.std_error[0])
    assert gap.std_error[1] > 0
    assert any("standard error in one of the two groups" in note for note in gap.notes)


def test_stacked_measures_are_refused():
    table = rate_by_group(months(), outcome="ed_visits", by="race_ethnicity")
    stacked = stack_rates([table], key="outcome", labels=["ed_visits"])
    with pytest.raises(EstimationError, match="stacks several measures"):
        rate_gap(stacked, reference="white")


def test_a_ratio_to_a_rate_of_zero_is_undefined_and_of_zero_is_zero():
    frame = pd.DataFrame(
        {"member_id": list("abcd"), "race_ethnicity": ["aian", "aian", "white", "white"]}
    ).assign(ed_visits=[0, 0, 1, 2])
    table = rate_by_group(frame, outcome="ed_visits", by="race_ethnicity")
    assert rate_gap(table, reference="white", scale="ratio").estimate[0] == 0
    undefined = rate_gap(table, reference="aian", scale="ratio")
    assert np.isnan(undefined.estimate[0])
    assert any("the value in 'aian' is 0" in note for note in undefined.notes)
