from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import disparity_measures
from calaim_eval.equity.equal_groups import rates_if_equal
from calaim_eval.equity.group_rate_sources import group_rates

COUNTS = pd.DataFrame(
    {"race_ethnicity": ["aian", "black", "white"], "events": [50, 60, 80], "n_members": [90] * 3}
)
PERSONS = pd.Series({"aian": 80.0, "black": 90.0, "white": 75.0})


def null_of(frame: pd.DataFrame, population: pd.Series | None, *, per: float = 1000) -> np.ndarray:
    [(_, groups)] = group_rates(
        frame, stratum="race_ethnicity", population=population, per=per, unit="unit"
    )
    return rates_if_equal(groups, draws=400, rng=np.random.default_rng(1))


@pytest.mark.parametrize("variance", [None, [100.0, 120.0, 160.0]])
def test_what_chance_gives_hangs_on_what_was_counted_and_not_on_whom_shares_are_of(variance):
    frame = COUNTS.assign(member_months=[1000, 1000, 900])
    if variance is not None:
        frame = frame.assign(variance=variance)
    null = null_of(frame, None)
    assert np.array_equal(null, null_of(frame, PERSONS))
    assert np.array_equal(null, null_of(frame, PERSONS / PERSONS.sum()))
    # Poisson, or twice that, around 190 events in 2,900 member-months.
    common, effect = 1000 * 190 / 2900, 1 if variance is None else 2
    assert null[:, 0].std() == pytest.approx(np.sqrt(effect * 1000 * common / 1000), rel=0.15)


def test_shares_of_members_vary_as_the_members_counted():
    frame = COUNTS.rename(columns={"events": "count"}).assign(members=[100, 100, 90])
    null = null_of(frame.drop(columns="n_members"), None, per=1)
    assert np.array_equal(null, null_of(frame.drop(columns="n_members"), PERSONS / 245, per=1))


def test_a_population_given_keeps_the_p_value_of_the_same_counts():
    frame = COUNTS.assign(member_months=[1000, 1000, 900])
    found = [
        disparity_measures(
            frame,
            reference="aian",
            favourable=False,
            weights="equal",
            per=1000,
            unit="visits per 1,000 member-months",
            population=population,
            measures=["range_difference", "between_group_sd"],
        ).to_frame()
        for population in (None, PERSONS)
    ]
    assert found[0]["p_value_if_equal"].tolist() == found[1]["p_value_if_equal"].tolist()


def test_groups_without_a_rank_leave_the_others_denominators_in_place():
    frame = COUNTS.assign(member_months=[1000, 1100, 900])
    [(_, groups)] = group_rates(
        frame, stratum="race_ethnicity", population=PERSONS, per=1000, unit="unit"
    )
    kept = groups.select([2, 0])
    assert kept.denominator.tolist() == [900, 1000]
    assert kept.population.tolist() == [75, 80]
