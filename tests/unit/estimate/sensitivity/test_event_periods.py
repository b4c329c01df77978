"""An event study by periods: averages of months less the average of the base period."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from event_study_tables import event_study, random_covariance

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import breakdown_value, event_periods, honest_did
from calaim_eval.results import EffectTable


def study_of(before: int, after: int, **options: object) -> EffectTable:
    """Effects 1, 2, 4, 8 ... so that every month shows in a sum."""
    size = before + after
    effects = 2.0 ** np.arange(size)
    covariance = random_covariance(np.random.default_rng(size), size)
    return event_study(effects[:before], effects[before:], covariance, **options)


def test_periods_by_hand():
    """Months -6 to -2 and 0 to 5; the base month -1 is 0 and belongs to the base period."""
    study = study_of(5, 6)
    found = event_periods(study, months=3)
    assert found.keys["event_time"].tolist() == [-2, 0, 1]
    base = (8 + 16 + 0) / 3
    expected = [(1 + 2 + 4) / 3 - base, (32 + 64 + 128) / 3 - base, (256 + 512 + 1024) / 3 - base]
    np.testing.assert_allclose(found.estimate, expected)
    weights = np.zeros((3, 11))
    for row, months in enumerate(([0, 1, 2], [5, 6, 7], [8, 9, 10])):
        weights[row, months] = 1 / 3
    weights[:, [3, 4]] -= 1 / 3
    np.testing.assert_allclose(found.covariance, weights @ study.covariance @ weights.T)
    # Support of a period: the smallest of its months and of the base period's.
    assert found.support["n_members"].tolist() == [100, 103, 103]


def test_periods_that_are_not_whole_are_left_out():
    found = event_periods(study_of(7, 5), months=3)
    assert found.keys["event_time"].tolist() == [-2, 0]
    whole = event_periods(study_of(5, 3), months=3)
    np.testing.assert_allclose(np.diff(found.estimate) / 4, np.diff(whole.estimate))


def test_periods_of_a_month_are_the_study():
    study = study_of(4, 3)
    found = event_periods(study, months=1)
    np.testing.assert_allclose(found.estimate, study.estimate)
    np.testing.assert_allclose(found.covariance, study.covariance)
    assert found.keys["event_time"].tolist() == study.keys["event_time"].tolist()
    options = {"bounds": [0, 1], "effect": "average"}
    np.testing.assert_allclose(
        honest_did(found, **options).conf_low, honest_did(study, **options).conf_low
    )


@pytest.mark.parametrize(("early", "periods"), [(2, [-3, -1, 0]), (3, [-3, -1, 0])])
def test_months_of_anticipation_are_periods_of_their_own(early, periods):
    """Neither in the base period nor in the average from exposure on."""
    study = study_of(5, early + 3, anticipation_months=early)
    found = event_periods(study, months=3)
    assert found.keys["event_time"].tolist() == periods
    base = (8 + 16 + 0) / 3
    anticipating = 2.0 ** np.arange(5, 5 + early)
    np.testing.assert_allclose(found.estimate[1], anticipating.mean() - base)
    exposed = 2.0 ** np.arange(5 + early, 8 + early)
    np.testing.assert_allclose(found.estimate[2], exposed.mean() - base)
    bounds = honest_did(found, bounds=[0.0], effect="average")
    np.testing.assert_allclose(bounds.set_low, exposed.mean() - base)


def test_four_months_of_anticipation_are_a_short_period_and_a_whole_one():
    study = study_of(5, 4 + 3, anticipation_months=4)
    found = event_periods(study, months=3)
    assert found.keys["event_time"].tolist() == [-4, -2, -1, 0]
    base = (8 + 16 + 0) / 3
    np.testing.assert_allclose(found.estimate[1:3], [32 - base, (64 + 128 + 256) / 3 - base])


def test_a_row_of_the_base_month_changes_nothing():
    study = study_of(5, 3)
    with_base = EffectTable(
        keys=pd.DataFrame({"event_time": [-6, -5, -4, -3, -2, -1, 0, 1, 2]}),
        estimate=np.insert(study.estimate, 5, 0.0),
        covariance=np.insert(np.insert(study.covariance, 5, np.nan, axis=0), 5, np.nan, axis=1),
        support=pd.concat([study.support, study.support.iloc[[0]]], ignore_index=True),
        estimand=study.estimand,
        method=study.method,
    )
    np.testing.assert_allclose(event_periods(with_base).estimate, event_periods(study).estimate)
    with_base.estimate[5] = 0.3
    with pytest.raises(EstimationError, match="the base month -1 has an estimate other than 0"):
        event_periods(with_base)


def test_strata_are_apart_and_joint():
    one, size = study_of(5, 6), 11
    covariance = random_covariance(np.random.default_rng(3), 2 * size)
    keys = pd.concat(
        [one.keys.assign(race_ethnicity=group) for group in ("white", "black")], ignore_index=True
    )
    both = EffectTable(
        keys=keys[["race_ethnicity", "event_time"]],
        estimate=np.concatenate([one.estimate, 3 * one.estimate]),
        covariance=covariance,
        support=pd.concat([one.support] * 2, ignore_index=True),
        estimand=one.estimand,
        method=one.method,
    )
    found = event_periods(both, months=3)
    alone = event_periods(one, months=3)
    np.testing.assert_allclose(found.estimate, [*alone.estimate, *(3 * alone.estimate)])
    assert found.keys["race_ethnicity"].tolist() == ["white"] * 3 + ["black"] * 3
    assert (found.covariance[:3, 3:] != 0).all()


def test_bounds_say_what_a_step_is():
    found = honest_did(event_periods(study_of(8, 6), months=3), bounds=[1.0], effect="average")
    assert found.bound_words == (
        "times the largest change from one period of 3 months to the next before exposure"
    )


def test_noise_of_months_hides_what_quarters_show():
    """An effect of 1 without any difference in trends, errors of 0.3 a month, independent."""
    rng = np.random.default_rng(8)
    months, quarters = [], []
    for _ in range(20):
        noise = 0.3 * rng.normal(size=18)
        path = np.concatenate([np.zeros(12), np.ones(6)]) + noise
        path -= path[11]
        covariance = 0.09 * (np.eye(18) + 1)
        keep = np.arange(18) != 11
        study = event_study(path[:11], path[12:], covariance[np.ix_(keep, keep)])
        for table, found in ((study, months), (event_periods(study, months=3), quarters)):
            found.append(breakdown_value(table, effect="average")["breakdown"].item())
    assert np.nanmedian(quarters) > 3 * np.nanmedian(months)


@pytest.mark.parametrize(("before", "after"), [(4, 6), (1, 6), (5, 2)])
def test_studies_without_a_whole_period_on_a_side_are_refused(before, after):
    with pytest.raises(EstimationError, match="hold no whole period of 3 months on either side"):
        event_periods(study_of(before, after), months=3)


def test_wrong_lengths_and_other_tables_are_refused():
    with pytest.raises(EstimationError, match="months=0; give 1 or more"):
        event_periods(study_of(5, 6), months=0)
    with pytest.raises(EstimationError, match="base_period='varying'"):
        event_periods(study_of(5, 6, base_period="varying"))
