"""Did the gap close: worked by hand, exact sums, and errors by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel

from calaim_eval.equity import DisparityChange, disparity_change, effect_gap
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import aggregate, group_time_att, pre_post, pre_post_rates
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable, Estimand, Method

CELLS = [(s, p) for s in ("exposed", "comparison") for p in ("before", "after")]


def rates(cells: dict[str, list[float]], *, covariance=None, n_members=40, **more) -> EffectTable:
    """Exposed before, after; comparison before, after, by group; a missing rate is None."""
    rows = [
        (group, side, period, value)
        for group, values in cells.items()
        for (side, period), value in zip(CELLS, values, strict=True)
        if value is not None
    ]
    frame = pd.DataFrame(rows, columns=["race_ethnicity", "side", "period", "rate"])
    k = len(frame)
    n = np.full(k, n_members) + np.arange(k)
    return EffectTable(
        keys=frame[["race_ethnicity", "side", "period"]],
        estimate=frame["rate"].to_numpy(dtype=float),
        covariance=np.eye(k) if covariance is None else covariance,
        support=pd.DataFrame({"n_members": n, "n_events": 2 * n, "member_months": 9.0 * n}),
        estimand=Estimand("rates", "rate", "visits per 1,000 member-months", is_causal=False),
        method=Method("by hand"),
        **more,
    )


def values(table: EffectTable, group: str = "black") -> dict[str, float]:
    own = (table.keys["race_ethnicity"] == group).to_numpy()
    return dict(zip(table.keys["part"][own], table.estimate[own], strict=True))


EIGHTY_FIFTY = {"black": [80, 60, 100, 95], "white": [50, 33, 60, 50]}


def test_a_gap_that_narrows_in_one_scale_and_widens_in_the_other():
    """80 against 50 becomes 60 against 33: 30 to 27, and 1.60 to 1.82."""
    found = disparity_change(rates(EIGHTY_FIFTY), reference="white")
    # Without the program: 80 - 5 = 75 and 50 - 10 = 40.
    assert values(found.differences) == {
        "gap_before": 30,
        "gap_without_program": 35,
        "gap_after": 27,
        "change": -3,
        "change_without_program": 5,
        "effect_gap": -8,
    }
    assert values(found.ratios) == pytest.approx(
        {
            "gap_before": 1.6,
            "gap_without_program": 75 / 40,
            "gap_after": 60 / 33,
            "change": 60 / 33 / 1.6,
            "change_without_program": 75 / 40 / 1.6,
            "effect_gap": (60 / 33) / (75 / 40),
        }
    )
    frame = found.to_frame().set_index(["part", "scale"])["direction"]
    assert frame.loc["change"].to_dict() == {"difference": "narrower", "ratio": "wider"}
    assert set(frame.drop("change", level="part")) == {""}
    note = "1 of 1 gaps ('black') are narrower as a difference and wider as a ratio"
    assert any(note in each for each in found.notes)
    assert not found.differences.estimand.is_causal


def test_small_groups_go_unnamed_in_the_notes():
    found = disparity_change(rates(EIGHTY_FIFTY, n_members=2), reference="white")
    assert any("1 of 1 gaps are narrower" in note for note in found.notes)
    assert not any("black" in note for note in found.notes)


def test_percentage_change_of_the_comparison():
    found = disparity_change(rates(EIGHTY_FIFTY), reference="white", parallel="ratio")
    black, white = 80 * 95 / 100, 50 * 50 / 60
    assert values(found.differences)["gap_without_program"] == pytest.approx(black - white)
    assert values(found.ratios)["change_without_program"] == pytest.approx(0.95 / (5 / 6))
    assert values(found.ratios)["effect_gap"] == pytest.approx((60 / 33) / (black / white))


@pytest.mark.parametrize("parallel", ["difference", "ratio"])
def test_errors_are_those_of_the_derivatives(parallel):
    rng = np.random.default_rng(4)
    root = rng.normal(size=(8, 8))
    table = rates(EIGHTY_FIFTY, covariance=root @ root.T)

    def at(shift: np.ndarray) -> np.ndarray:
        moved = replace(table, estimate=table.estimate + shift)
        found = disparity_change(moved, reference="white", parallel=parallel)
        return np.concatenate([found.differences.estimate, found.ratios.estimate])

    step = 1e-4
    slopes = np.array([(at(step * e) - at(-step * e)) / (2 * step) for e in np.eye(8)]).T
    found = disparity_change(table, reference="white", parallel=parallel)
    expected = slopes @ table.covariance @ slopes.T
    np.testing.assert_allclose(found.differences.covariance, expected[:6, :6], rtol=1e-6)
    np.testing.assert_allclose(found.ratios.covariance, expected[6:, 6:], rtol=1e-6)


@pytest.mark.parametrize("cluster", ["member", "county"])
def test_effect_gap_is_the_gap_in_effects_whatever_the_way(cluster):
    moments = reduce_panel(
        awkward_panel(seed=8),
        outcomes=["visits"],
        stratum="group",
        cluster="county",
        unbalanced="cell_means",
    )
    options = {"outcome": "visits", "cluster": cluster, "per": 1000}
    window = {**options, "months_before": 2, "months_after": 2}
    change = pre_post(moments, **window)
    att_gt = group_time_att(moments, **options)
    for source, effects in (
        (pre_post_rates(moments, **window), change.select(change.keys["side"] == "difference")),
        (att_gt, aggregate(att_gt)),
    ):
        found = disparity_change(source, reference="x", stratum="group").differences
        part = found.select(found.keys["part"] == "effect_gap")
        gap = effect_gap(effects, reference="x", stratum="group")
        assert part.estimate == pytest.approx(gap.estimate, rel=1e-8)
        assert part.std_error == pytest.approx(gap.std_error, rel=1e-6)
        assert (found.cluster_influence is None) == (cluster == "member")


def test_rates_missing_or_zero_leave_nan_where_they_enter_and_nowhere_else():
    cells = {
        "aian": [80, 60, None, None],
        "nhpi": [20, 0, 30, 30],
        "asian": [20, 10, 90, 60],
        "white": [50, 33, 60, 50],
    }
    found = disparity_change(rates(cells), reference="white")
    aian, nhpi, asian = (values(found.differences, g) for g in ("aian", "nhpi", "asian"))
    assert [aian[p] for p in ("gap_before", "gap_after", "change")] == [30, 27, -3]
    assert np.isnan([aian[p] for p in ("gap_without_program", "effect_gap")]).all()
    assert not np.isnan(list(nhpi.values())).any()
    assert not np.isnan(list(asian.values())).any()
    nhpi, asian = (values(found.ratios, g) for g in ("nhpi", "asian"))
    assert nhpi["gap_before"] == pytest.approx(0.4)
    assert nhpi["gap_without_program"] == pytest.approx(0.5)
    assert np.isnan([nhpi[p] for p in ("gap_after", "change", "effect_gap")]).all()
    # 20 + 60 - 90 is below 0: no ratio without the program.
    assert np.isnan([asian[p] for p in ("gap_without_program", "effect_gap")]).all()
    assert asian["change"] == pytest.approx((10 / 33) / (20 / 50))
    assert np.isnan(found.ratios.std_error).sum() == np.isnan(found.ratios.estimate).sum() == 9
    assert any("3 of 18 differences are undefined" in note for note in found.notes)
    frame = found.differences.to_frame().set_index("part").loc["change"]
    assert frame["std_error"].tolist() == pytest.approx([2, 2, 2])


def test_all_parts_of_a_gap_have_the_support_of_the_smallest_rate():
    found = disparity_change(rates(EIGHTY_FIFTY), reference="white")
    assert found.differences.support["n_members"].tolist() == [40] * 6
    cells = {"black": [1, 2, None, None], "aian": [1, 2, 3, 4], "white": [None] * 3 + [4]}
    support = disparity_change(rates(cells), reference="white").ratios.support
    assert support["n_members"].tolist() == [40] * 6 + [42] * 6


def test_gaps_that_change_sides_are_reversed():
    found = disparity_change(
        rates({"black": [80, 30, 1, 1], "white": [50, 50, 1, 1]}), reference="white"
    )
    frame = found.to_frame()
    assert frame.loc[frame["part"] == "change", "direction"].tolist() == ["reversed"] * 2
    assert isinstance(found, DisparityChange)
    assert set(found.tables()) == {"differences", "ratios"}


def test_other_keys_stay_apart_and_all_is_no_group():
    one = rates({**EIGHTY_FIFTY, "all": [70, 50, 80, 75]})
    two = replace(one, estimate=one.estimate * 2, keys=one.keys.assign(outcome="stays"))
    one = replace(one, keys=one.keys.assign(outcome="visits"))
    both = replace(
        one,
        keys=pd.concat([one.keys, two.keys], ignore_index=True),
        estimate=np.concatenate([one.estimate, two.estimate]),
        covariance=np.eye(24),
        support=pd.concat([one.support] * 2, ignore_index=True),
    )
    found = disparity_change(both, reference="white").differences
    assert found.keys["outcome"].tolist() == ["visits"] * 6 + ["stays"] * 6
    assert found.estimate[[3, 9]].tolist() == [-3, -6]


def test_what_is_refused():
    table = rates(EIGHTY_FIFTY)
    with pytest.raises(EstimationError, match="lack the keys `language`"):
        disparity_change(table, reference="white", stratum="language")
    with pytest.raises(EstimationError, match="'black', 'white'"):
        disparity_change(table, reference="best")
    with pytest.raises(EstimationError, match="another group"):
        disparity_change(rates({"white": [1, 2, 3, 4]}), reference="white")
    with pytest.raises(DesignError, match="'difference', 'ratio'"):
        disparity_change(table, reference="white", parallel="log")
    twice = replace(table, keys=table.keys.assign(race_ethnicity="white"))
    with pytest.raises(EstimationError, match="4 of 8 rows repeat"):
        disparity_change(twice, reference="white")
