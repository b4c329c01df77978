"""The study's designs find the effects written beside a simulated Medi-Cal, or fail as told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from medi_cal_recovery import LAST_MONTH, OF_LISTED, one_draw, print_table, replicate, summary

MEMBERS, DRAWS = 10_000, 24

pytestmark = pytest.mark.slow

KEYS = ["design", "outcome", "estimator", "group"]
VISITS = "first service, same month, visits"
EXPECTED_USE = "first service, same month, expected use"
QUARTER = "first service, same quarter, expected use"


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    """Estimates and truths of `DRAWS` draws from the truth beside the files."""
    rows = replicate(DRAWS, members=MEMBERS, parts=OF_LISTED, path="from truth")
    return rows.set_index(KEYS).sort_index()


def bias_in_errors(found: pd.DataFrame, *key: str) -> float:
    """Mean of estimate minus truth over its own standard error.

    The error is the larger of what the estimator says and what the draws show: either alone is
    unsure with few draws.
    """
    rows = found.loc[key]
    off = rows["estimate"] - rows["truth"]
    said = np.sqrt((rows["std_error"] ** 2).mean())
    return float(off.mean() / (max(said, off.std(ddof=1)) / np.sqrt(len(rows))))


def covered(found: pd.DataFrame, *key: str) -> int:
    """How many intervals hold the truth."""
    rows = found.loc[key]
    return int(rows["truth"].between(rows["conf_low"], rows["conf_high"]).sum())


@pytest.mark.parametrize("outcome", ["ed_visits", "outpatient_visits"])
@pytest.mark.parametrize(
    ("design", "estimator", "group"),
    [
        (VISITS, "group_time_att", "all"),
        (EXPECTED_USE, "group_time_att", "all"),
        (VISITS, "relative_effect", "all"),
        (EXPECTED_USE, "relative_effect", "all"),
        (EXPECTED_USE, LAST_MONTH, "all"),
        ("by race, visits", "group_time_att", "hispanic"),
        ("by race, visits", "group_time_att", "white"),
        ("by race, visits", "gap to white, group_time_att", "hispanic"),
    ],
)
def test_the_truth_is_found(found, design, outcome, estimator, group):
    key = (design, outcome, estimator, group)
    assert abs(bias_in_errors(found, *key)) < 3.5  # a false alarm in 2,000
    # Binomial(24, 0.95) is below 19 with probability 0.001.
    assert covered(found, *key) >= 19


def test_matching_on_ed_visits_leaves_other_outcomes_alone(found):
    key = ("matched", "outpatient_visits", "group_time_att", "all")
    assert abs(bias_in_errors(found, *key)) < 3.5
    assert covered(found, *key) >= 19


def test_the_effect_is_there_to_be_found(found):
    # Otherwise an estimator that always says 0 would pass: ED visits fall, outpatient visits rise.
    for outcome, sign in (("ed_visits", -1), ("outpatient_visits", 1)):
        rows = found.loc[VISITS, outcome, "group_time_att", "all"]
        error = np.sqrt((rows["std_error"] ** 2).mean() / len(rows))
        assert sign * rows["estimate"].mean() > 5 * error


def test_comparisons_that_fail_are_seen_to_fail(found):
    # The spike before listing is no part of the effect.
    assert bias_in_errors(found, VISITS, "ed_visits", "pre_post (not causal)", "all") < -5
    # Members listed up to two months later are still in their spike in the base month.
    assert bias_in_errors(found, QUARTER, "ed_visits", "group_time_att", "all") > 5
    # Before listing, use of those served later grew by a smaller percentage.
    assert bias_in_errors(found, EXPECTED_USE, "outpatient_visits", "count_effects", "all") < -5


def test_rates_of_those_whose_race_is_reported_are_too_high(found):
    rows = found.loc["race a third unknown, expected use", "ed_visits", "use without the program"]
    off = (rows["estimate"] - rows["truth"]).loc["hispanic"]
    assert off.mean() > 5 * off.std(ddof=1) / np.sqrt(len(off))


def test_the_share_recorded_is_printed_where_it_is_known(capsys):
    rows = pd.DataFrame(
        {"draw": [0, 1], "design": "race", "outcome": "ed_visits", "group": "white"}
    )
    rates = rows.assign(
        estimator="use", estimate=[450.0, 460.0], truth=[440.0, 442.0], share=[0.88, 0.92]
    )
    effects = rows.assign(
        estimator="effect", estimate=[1.0, 3.0], truth=2.0, std_error=1.0, conf_low=0, conf_high=4
    )
    print_table(summary(pd.concat([rates, effects])))
    *_, of_rates, of_effects = capsys.readouterr().out.splitlines()
    # By hand: (10 + 18) / 2 with error |18 - 10| / 2, and 1 over the spread of -1 and 1.
    assert of_rates == "| race | ed_visits | `use` | white | 441.0 | +14.0 (4.0) |  |  | 90% | 2 |"
    assert of_effects.endswith("| 100% (0%) | 0.71 |  | 2 |")
    print_table(summary(effects))
    assert capsys.readouterr().out.splitlines()[-1] == of_effects


def test_from_raw_files_the_same_is_found():
    parts = ("first service", "matched", "race")
    frames = [
        one_draw(3, members=MEMBERS, parts=parts, path=path).set_index(KEYS)
        for path in ("from files", "from truth")
    ]
    files, truth = (frame[frame["std_error"].notna()] for frame in frames)
    assert files.index.equals(truth.index)
    assert len(files) > 30
    # Claims paid after the extract are the difference: a share of an error.
    off = (files["estimate"] - truth["estimate"]).abs() / truth["std_error"]
    assert off.max() < 0.1
    # The same member-months, added up in the order of the panel's rows: rounding is the difference.
    np.testing.assert_allclose(files["truth"], truth["truth"], rtol=1e-14)
