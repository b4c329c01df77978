"""Cells of few members, or few events, stay with the plan."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import moments_to_share
from calaim_eval.errors import DisclosureError
from calaim_eval.estimate import group_time_att
from calaim_eval.moments import load_moments, reduce_panel

POLICY = "calhhs_ddg_2"  # smallest count 11


def panel(sizes: dict[str, int], *, visits: int = 1) -> pd.DataFrame:
    """Members of groups over four months, half of them exposed in the third."""
    parts = []
    for group, size in sizes.items():
        who = np.repeat([f"{group}{n}" for n in range(size)], 4)
        cohort = np.repeat(np.where(np.arange(size) % 2, 3.0, np.nan), 4)
        parts.append(
            pd.DataFrame(
                {
                    "member_id": who,
                    "month": np.tile([1, 2, 3, 4], size),
                    "cohort": cohort,
                    "group": group,
                    "county": np.where(np.arange(4 * size) // 4 % 4 < 2, "x", "y"),
                    "visits": visits,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def test_a_cell_is_shared_whole_or_not_at_all():
    frame = panel({"many": 60, "few": 20})
    frame["visits"] = frame["month"] % 2
    moments = reduce_panel(frame, outcomes="visits", stratum="group", unbalanced="cell_means")
    shared = moments_to_share(moments, policy=POLICY)
    assert set(shared.cells["group"]) == {"many"}
    rows = np.flatnonzero(moments.cells["group"] == "many")
    np.testing.assert_array_equal(
        shared.matrices("visits", np.arange(2)), moments.matrices("visits", rows)
    )
    (note,) = group_time_att(shared, outcome="visits").notes[:1]
    assert note.startswith("Cells with fewer than 11 members")
    assert "at most 25% of the plan's members" in note


def test_few_covered_in_a_month_keep_a_cell_back() -> None:
    frame = panel({"gap": 60, "many": 60})
    is_late = (frame["group"] == "gap") & (frame["month"] == 4)
    frame = frame[~is_late | frame["member_id"].isin([f"gap{n}" for n in range(10)])]
    whole = reduce_panel(
        frame, outcomes="visits", stratum="group", cluster="county", unbalanced="cell_means"
    )
    shared = moments_to_share(whole, policy=POLICY)
    assert set(shared.cells["group"]) == {"many"}


def test_events_do_not_decide() -> None:
    frame = panel({"rare": 60, "never": 60, "many": 60})
    with_use = frame["member_id"].isin(["rare1", "rare2"]) | (frame["group"] == "many")
    frame["visits"] = frame["visits"].where(with_use, 0)
    whole = reduce_panel(frame, outcomes="visits", stratum="group")
    assert len(moments_to_share(whole, policy=POLICY)) == len(whole)


def test_nothing_that_is_shared_was_counted_over_cells_left_out(tmp_path) -> None:
    # The same large group, alone and beside a small one of other amounts.
    frame = panel({"many": 60, "few": 20})
    frame["paid"] = np.where(frame["group"] == "few", 777.77, 1.5 * frame.index + 0.25)
    options = {"outcomes": ["visits", "paid"], "stratum": "group", "cluster": "county"}
    beside = moments_to_share(reduce_panel(frame, **options), policy=POLICY)
    alone = moments_to_share(
        reduce_panel(frame[frame["group"] == "many"], **options), policy=POLICY
    )
    saved = [load_moments(m.save(tmp_path / f"{i}.moments")) for i, m in enumerate((beside, alone))]
    rows = np.arange(2)
    for outcome in ("visits", "paid"):
        ours, theirs = (m.by_outcome[outcome] for m in saved)
        assert ours.shift == pytest.approx(theirs.shift, rel=1e-12)
        np.testing.assert_allclose(
            saved[0].matrices(outcome, rows), saved[1].matrices(outcome, rows), rtol=1e-9, atol=1e-6
        )
    told = [{k: v for k, v in m.provenance.items() if k != "notes"} for m in saved]
    assert told[0] == told[1]


def test_county_sums_of_few_members_stay():
    frame = panel({"many": 60})
    whole = reduce_panel(frame, outcomes="visits", cluster="county", unbalanced="cell_means")
    assert moments_to_share(whole, policy=POLICY).clusters is not None
    small = frame.assign(county=frame["county"].mask(frame["member_id"].isin(["many2"]), "z"))
    shared = moments_to_share(
        reduce_panel(small, outcomes="visits", cluster="county", unbalanced="cell_means"),
        policy=POLICY,
    )
    assert shared.clusters is None
    assert "Sums by county were not shared" in shared.provenance["notes"][-1]


def test_nothing_to_share_is_refused():
    moments = reduce_panel(
        panel({"few": 20}), outcomes="visits", stratum="group", unbalanced="cell_means"
    )
    with pytest.raises(DisclosureError, match="none of the 2 cells has 11 members"):
        moments_to_share(moments, policy=POLICY)


def test_a_policy_that_rounds_small_counts_shares_no_cell_of_few():
    """Moments are not rounded, so the fewest members of an estimate decide: 8."""
    moments = reduce_panel(
        panel({"many": 60, "few": 14}), outcomes="visits", stratum="group", unbalanced="cell_means"
    )
    shared = moments_to_share(moments, policy="opensafely_midpoint_6")
    assert set(shared.cells["group"]) == {"many"}
    assert "fewer than 8 members" in shared.provenance["notes"][-1]
    least = reduce_panel(panel({"many": 60, "few": 16}), outcomes="visits", stratum="group")
    assert len(moments_to_share(least, policy="opensafely_midpoint_6")) == 4


def test_every_month_of_a_cell_needs_its_members_under_any_policy():
    frame = panel({"many": 60, "gap": 60})
    is_last = (frame["group"] == "gap") & (frame["month"] == 4)
    for left, is_shared in ((20, False), (22, True)):
        kept = frame[~is_last | frame["member_id"].isin([f"gap{n}" for n in range(left)])]
        moments = reduce_panel(kept, outcomes="visits", stratum="group", unbalanced="cell_means")
        shared = moments_to_share(moments, policy=POLICY)
        assert ("gap" in set(shared.cells["group"])) is is_shared
        left_out = len(moments) - len(shared)
        assert is_shared or f"{left_out} of {len(moments)} cells" in shared.provenance["notes"][-1]


def test_a_policy_of_ones_own_is_read_from_its_path(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(
        'based_on = "calhhs_ddg_2"\nname = "own"\nversion = "1"\ntitle = "t"\nsource = "s"\n'
        "min_count = 16\n"
    )
    moments = reduce_panel(panel({"many": 60, "few": 24}), outcomes="visits", stratum="group")
    shared = moments_to_share(moments, policy=path)
    assert set(shared.cells["group"]) == {"many"}
    assert set(moments_to_share(moments, policy=str(path)).cells["group"]) == {"many"}
