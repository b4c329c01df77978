"""Adding, pooling, choosing and keeping moments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import CellMoments, load_moments, reduce_panel

OPTIONS = {"outcomes": ["visits", "paid_usd"], "covariate_cells": "risk", "cluster": "county"}


def reduced(frame: pd.DataFrame, **options: object) -> CellMoments:
    return reduce_panel(frame, **{**OPTIONS, **options}, unbalanced="cell_means")


def assert_same_moments(left: CellMoments, right: CellMoments) -> None:
    """Whole numbers equal, amounts to rounding, whatever they are centred by."""
    pd.testing.assert_frame_equal(left.cells, right.cells)
    np.testing.assert_array_equal(left.rr, right.rr)
    rows = np.arange(len(left))
    np.testing.assert_array_equal(left.matrices("visits", rows), right.matrices("visits", rows))
    for cluster in ("member", "county"):
        ours, theirs = (
            group_time_att(m, outcome="paid_usd", cluster=cluster) for m in (left, right)
        )
        np.testing.assert_allclose(ours.estimate, theirs.estimate, rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(
            ours.covariance, theirs.covariance, rtol=1e-9, atol=1e-9 * theirs.covariance.max()
        )


def test_disjoint_member_sets_add_up_to_the_whole() -> None:
    frame = awkward_panel(seed=4)
    is_plan_a = frame["member_id"] % 3 == 0
    for plan_b in (frame[~is_plan_a], frame[~is_plan_a].astype({"risk": "category"})):
        both = reduced(frame[is_plan_a]) + reduced(plan_b)
        assert_same_moments(both, reduced(frame))
        assert both.provenance["rows"]["used"] == len(frame)


def test_a_cell_that_only_one_part_has_is_kept() -> None:
    frame = awkward_panel(seed=4)
    is_first = frame["cohort"] == 3
    assert_same_moments(reduced(frame[is_first]) + reduced(frame[~is_first]), reduced(frame))


def test_amounts_and_whole_numbers_of_one_outcome_add_up() -> None:
    frame = awkward_panel(seed=4)
    part = frame["member_id"] < 60
    frame["paid_usd"] = np.where(part, np.round(frame["paid_usd"]), frame["paid_usd"])
    left, right = reduced(frame[part]), reduced(frame[~part])
    assert left.by_outcome["paid_usd"].shift == 0 != right.by_outcome["paid_usd"].shift
    assert_same_moments(left + right, reduced(frame))
    assert_same_moments(right + left, reduced(frame))


def test_pooled_strata_are_the_whole() -> None:
    frame = awkward_panel(seed=4)
    by_group = reduced(frame, stratum="group")
    assert_same_moments(by_group.pooled(), reduced(frame))
    parts = [by_group.select(by_group.cells["group"] == label) for label in ("x", "y")]
    assert_same_moments(parts[0].pooled() + parts[1].pooled(), reduced(frame))
    assert_same_moments(parts[0].pooled(), reduced(frame[frame["group"] == "x"]))
    whole = reduced(frame, covariate_cells=None, stratum="group")
    assert_same_moments(by_group.pooled("risk"), whole)


def test_pooled_refuses_other_columns() -> None:
    with pytest.raises(EstimationError, match="`cohort` is not a stratum or covariate cell"):
        reduced(awkward_panel(seed=4)).pooled("cohort")


def test_refuses_to_add_what_differs() -> None:
    frame = awkward_panel(seed=4)
    with pytest.raises(EstimationError, match=r"months 0 to 6 \(7\) and 0 to 5 \(6\)"):
        reduced(frame) + reduced(frame[frame["month"] < 6])
    with pytest.raises(EstimationError, match="outcomes"):
        reduced(frame) + reduced(frame, outcomes=["visits"])
    with pytest.raises(EstimationError, match="clusters 'county' and None"):
        reduced(frame) + reduced(frame, cluster=None)


@pytest.mark.parametrize("frequency", [None, "M", "Q-DEC"])
def test_a_saved_file_gives_back_the_same(tmp_path: Path, frequency: str | None) -> None:
    frame = awkward_panel(seed=4).assign(group=lambda f: f["group"] == "x")
    if frequency is not None:
        for column in ("month", "cohort"):
            frame[column] = pd.arrays.PeriodArray._from_sequence(
                [
                    pd.NaT if np.isnan(n) else pd.Period("2022-03", frequency) + int(n)
                    for n in frame[column]
                ],
                dtype=f"period[{frequency}]",
            )
    frame.loc[frame["member_id"] < 9, "risk"] = None
    moments = reduced(frame, stratum="group")
    loaded = load_moments(moments.save(tmp_path / "plan_a.npz"))
    assert repr(loaded) == repr(moments)
    assert loaded.months.equals(moments.months)
    assert loaded.provenance == moments.provenance
    assert_same_moments(loaded, moments)
    doubled = loaded + moments
    np.testing.assert_array_equal(doubled.n_members, 2 * moments.n_members)
    table = aggregate(group_time_att(loaded, outcome="visits"), by="cohort")
    assert len(table) == 4


def test_refuses_files_that_are_not_moments(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there is no file of moments at"):
        load_moments(tmp_path / "absent.npz")
    other = tmp_path / "other.npz"
    other.write_bytes(b"not a zip")
    with pytest.raises(TableError, match=r"other\.npz is not a file of moments"):
        load_moments(other)
    np.savez(other, a=np.arange(3))
    with pytest.raises(TableError, match=r"other\.npz is not a file of moments"):
        load_moments(other)


def test_repr_has_counts_only() -> None:
    assert repr(reduced(awkward_panel(seed=4), stratum="group")) == (
        "<CellMoments: 120 members in 12 cells (2 strata, 2 cohorts), 7 months 0 to 6; "
        "12 clusters; outcomes visits, paid_usd>"
    )


def test_notes_of_one_part_are_said_to_be_of_a_part() -> None:
    moments = reduced(awkward_panel(seed=4))
    plans = [
        replace(moments, provenance={**moments.provenance, "notes": ["Counties as of 2022.", note]})
        for note in ("About 20% of months.", "About 30% of months.", "About 20% of months.")
    ]
    told = (plans[0] + plans[1] + plans[2]).provenance["notes"]
    assert told == [
        "Counties as of 2022.",
        "Of a part of the members: About 20% of months.",
        "Of a part of the members: About 30% of months.",
    ]
    assert (plans[0] + plans[2]).provenance["notes"] == plans[0].provenance["notes"]
