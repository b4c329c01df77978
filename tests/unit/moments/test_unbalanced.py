"""An unbalanced panel is refused until somebody chooses, and each choice says what it loses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import DesignError
from calaim_eval.moments import CellMoments, reduce_panel

N, T = 200, 6


def panel(seed: int = 3) -> pd.DataFrame:
    """Three in ten members have a gap."""
    rng = np.random.default_rng(seed)
    who, month = np.repeat(np.arange(N), T), np.tile(np.arange(2010, 2010 + T), N)
    frame = pd.DataFrame(
        {
            "member_id": who,
            "month": month,
            "cohort": np.where(who % 2, 2013.0, np.nan),
            "county": np.array(["x", "y", "z"])[who % 3],
            "visits": rng.poisson(0.3, len(who)),
            "paid_usd": rng.gamma(1.0, 90.0, len(who)),
        }
    )
    return frame[(who % 10 >= 3) | (month != 2010 + who % T)]


def throughout(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame.groupby("member_id")["month"].transform("size") == T]


def assert_same(ours: CellMoments, theirs: CellMoments, outcome: str) -> None:
    pd.testing.assert_frame_equal(ours.cells, theirs.cells)
    rows = np.arange(len(theirs))
    np.testing.assert_allclose(
        ours.matrices(outcome, rows), theirs.matrices(outcome, rows), rtol=1e-12
    )
    np.testing.assert_array_equal(ours.clusters.at_risk, theirs.clusters.at_risk)


@pytest.mark.parametrize("outcome", ["visits", "paid_usd"], ids=["sparse", "dense"])
@pytest.mark.parametrize("kind", ["frame", "parquet"])
def test_balanced_members_are_those_with_every_month(kind, outcome, tmp_path):
    frame = panel()
    data = frame
    if kind == "parquet":
        data = tmp_path / "panel.parquet"
        frame.sample(frac=1.0, random_state=1).to_parquet(data)
    options = {"outcomes": [outcome], "cluster": "county"}
    kept = reduce_panel(data, **options, unbalanced="balanced_members")
    assert_same(kept, reduce_panel(throughout(frame), **options), outcome)
    n_kept = len(throughout(frame))
    assert kept.provenance["rows"] == {
        "used": n_kept,
        "of members not covered in every month": len(frame) - n_kept,
    }
    (note,) = kept.provenance["notes"]
    assert note == (
        "Only members covered in all 6 months: about 70% of the members; about 30% of the "
        "member-months are left out."
    )


def test_without_a_choice_the_error_says_what_each_loses():
    with pytest.raises(DesignError) as error:
        reduce_panel(panel(), outcomes=["visits"])
    words = str(error.value)
    assert "about 70% of the members are covered in all 6 months" in words
    assert 'unbalanced="cell_means"' in words
    assert "loses about 30% of the member-months" in words


def test_cell_means_are_noted_and_keep_every_row():
    frame = panel()
    moments = reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")
    assert moments.provenance["rows"] == {"used": len(frame)}
    (note,) = moments.provenance["notes"]
    assert "less than 10% of the members' months are not covered" in note


def test_a_balanced_panel_asks_nothing():
    moments = reduce_panel(throughout(panel()), outcomes=["visits"])
    assert moments.provenance["notes"] == []


def test_counts_of_coverage_add_up_over_plans():
    frame = panel()
    halves = [
        reduce_panel(part, outcomes=["visits"], unbalanced="cell_means")
        for _, part in frame.groupby(frame["member_id"] < N // 2)
    ]
    whole = reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")
    assert (halves[0] + halves[1]).provenance["coverage"] == whole.provenance["coverage"]


def test_nobody_covered_throughout_is_refused():
    frame = panel()
    gaps = frame[frame["month"] != 2010 + frame["member_id"] % T]
    with pytest.raises(DesignError, match="no member is covered in every month"):
        reduce_panel(gaps, outcomes=["visits"], unbalanced="balanced_members")


def test_another_choice_is_refused():
    with pytest.raises(DesignError, match="'all' is not 'cell_means' or 'balanced_members'"):
        reduce_panel(panel(), outcomes=["visits"], unbalanced="all")
