"""A solution under other anchors and cutoffs."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError
from calaim_eval.integration.qca import Calibration, Cutoffs, fsqca_robustness
from calaim_eval.integration.qca.fsqca_robustness import _summary

SETS = (
    Calibration("funded", "dollars", 0, 5, 20, "awards"),
    Calibration("pilot", "pilot", 0.5, 0.5, 0.5, "in a pilot or not"),
    Calibration("closes", "closure", 0.2, 0.5, 0.8, "most referrals closed"),
)


@pytest.fixture
def counties():
    """Funded pilots close; one funded county that is no pilot lies near the crossover."""
    return pd.DataFrame(
        {
            "dollars": [18, 20, 15, 25, 5.3, 1, 0, 2, 1],
            "pilot": [1, 1, 1, 1, 0, 0, 0, 1, 1],
            "closure": [0.85, 0.9, 0.8, 0.95, 0.7, 0.2, 0.1, 0.2, 0.15],
        }
    )


def run(counties, **options):
    return fsqca_robustness(
        counties, SETS, outcome="closes", conditions=["funded", "pilot"], **options
    )


def test_the_first_row_is_the_solution_itself(counties):
    rows = run(counties).alternatives
    first = rows.iloc[0]
    assert (first["change"], first["overlap"], first["n_gained"], first["n_lost"]) == (
        "none",
        1,
        0,
        0,
    )
    # Three other consistency cutoffs, one frequency, six moved anchors of two sets; pilot stays.
    assert len(rows) == 1 + 3 + 1 + 12
    assert rows["change"].is_unique


def test_two_cases_a_combination_lose_the_county_alone(counties):
    rows = run(counties).alternatives.set_index("change")
    assert rows.loc["none", "formula"] == "funded"
    alone = rows.loc["at least 2 cases"]
    assert alone["formula"] == "funded*pilot"
    assert not alone["is_same"]
    assert (alone["n_gained"], alone["n_lost"]) == (0, 1)


def test_a_crossover_above_the_county_moves_it_out(counties):
    rows = run(counties, anchor_shift=0.1).alternatives.set_index("change")
    # 5 + 0.1 * 5 = 5.5 dollars: the county with 5.3 is no longer more in than out.
    assert rows.loc["funded: crossover higher", "n_lost"] == 1
    assert rows.loc["funded: crossover lower", "n_lost"] == 0


def test_the_core_is_what_every_alternative_holds(counties):
    found = run(counties, consistency_cutoffs=(), anchor_shift=0.0001)
    # Of the alternatives only "at least 2 cases" matters: funded*pilot, crisp pilot.
    funded = 1 / (
        1
        + np.exp(
            -np.log(19)
            * np.where(
                counties["dollars"] > 5,
                (counties["dollars"] - 5) / 15,
                (counties["dollars"] - 5) / 5,
            )
        )
    )
    y = 1 / (1 + np.exp(-np.log(19) * (counties["closure"] - 0.5) / 0.3))
    core = funded * counties["pilot"]
    cover = np.minimum(core, y).sum() / np.minimum(funded, y).sum()
    fit = (np.minimum(funded, y).sum() / funded.sum()) / (np.minimum(core, y).sum() / core.sum())
    assert found.coverage_fit == pytest.approx(cover, abs=1e-3)
    assert found.consistency_fit == pytest.approx(fit, abs=1e-3)
    assert found.overlap_of_all == pytest.approx(core.sum() / funded.sum(), abs=1e-3)
    assert found.overlap_of_any == pytest.approx(1, abs=1e-3)


def test_alternatives_without_a_solution_are_told(counties):
    found = run(counties, frequency_cutoffs=(8,))
    row = found.alternatives.set_index("change").loc["at least 8 cases"]
    assert row["formula"] == ""
    assert "no combination goes with" in row["why_not"]
    assert "1 of 16 alternatives have no solution" in found.notes[1]


def test_a_threshold_of_more_than_two_values_moves(counties):
    sets = (SETS[0], Calibration("pilot", "years", 2, 2, 2, "two years of a pilot"), SETS[2])
    found = fsqca_robustness(
        counties.assign(years=2 * counties["pilot"] + (counties["dollars"] > 19)),
        sets,
        outcome="closes",
        conditions=["funded", "pilot"],
    )
    rows = found.alternatives.set_index("change")
    # 1.8 years take in the same counties; 2.2 only the two with three years.
    assert rows.loc["pilot: threshold lower", "is_same"]
    assert "pilot: threshold higher" in rows.index


def test_intermediate_solutions_need_expectations(counties):
    with pytest.raises(EstimationError, match="needs `expectations`"):
        run(counties, solution="intermediate")
    found = run(
        counties, solution="intermediate", expectations={"pilot": "present", "funded": "present"}
    )
    assert found.alternatives.iloc[0]["formula"] == "funded"


@pytest.mark.parametrize("share", [0, 1])
def test_anchors_keep_their_order(counties, share):
    with pytest.raises(EstimationError, match="above 0 and below 1"):
        run(counties, anchor_shift=share)


def test_the_cutoffs_of_the_solution_are_not_an_alternative(counties):
    found = run(counties, cutoffs=Cutoffs(0.9, 0.0, 2))
    changes = set(found.alternatives["change"])
    assert "consistency cutoff 0.9" not in changes
    assert "at least 2 cases" not in changes


def test_a_core_without_the_outcome_has_no_consistency_to_divide_by():
    held, other = np.array([1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    rows = pd.DataFrame({"change": ["none", "another"], "formula": ["a", "a*b"]})
    found = _summary(rows, held, [other], np.array([0.0, 1.0, 1.0]), "conservative")
    assert np.isnan(found.consistency_fit)
    assert found.coverage_fit == 0
    assert "nothing of the outcome" in found.notes[-1]
