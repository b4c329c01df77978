"""Triple difference: the three-way interaction, one covariance, and a drift it takes out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dummy_regressions import dummies, ols
from weighted_members import awkward_panel, clustered, influence

from calaim_eval.equity import effect_gap
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import (
    aggregate,
    group_time_att,
    triple_difference,
    two_way_fixed_effects,
)
from calaim_eval.moments import CellMoments, reduce_panel

OF = {"outcome": "visits", "stratum": "group", "target": "x", "reference": "y"}


def cells(frame: pd.DataFrame, **options) -> CellMoments:
    return reduce_panel(
        frame, outcomes=["visits"], stratum="group", **options, unbalanced="cell_means"
    )


def two_by_two_by_two(seed: int) -> pd.DataFrame:
    frame = awkward_panel(seed=seed, members=90, gap=0.0)
    return frame[(frame["cohort"] != 5) & frame["month"].isin([2, 3])].reset_index(drop=True)


def test_three_way_interaction() -> None:
    frame = two_by_two_by_two(seed=1)
    exposed = (frame["month"] >= frame["cohort"]).to_numpy(dtype=float)
    target = (frame["group"] == "x").to_numpy(dtype=float)
    estimate, covariance, _ = ols(
        frame["visits"].to_numpy(),
        np.column_stack([exposed * target, exposed]),
        dummies(frame["member_id"], frame["group"] + frame["month"].astype(str)),
        frame["member_id"].to_numpy(),
    )
    table = triple_difference(cells(frame), **OF)
    assert table.estimate == pytest.approx(estimate[:1])
    assert table.covariance == pytest.approx(covariance[:1, :1])


def test_one_cohort_is_a_gap_between_effects() -> None:
    frame = awkward_panel(seed=1, members=90)
    frame = frame[frame["cohort"] != 5]
    moments = cells(frame)
    table = triple_difference(moments, by="event_time", **OF)
    effects = group_time_att(
        moments, outcome="visits", comparison="never_exposed", base_period="universal"
    )
    gap = effect_gap(aggregate(effects, by="event_time"), reference="y", stratum="group")
    assert table.estimate == pytest.approx(gap.estimate)
    assert table.covariance == pytest.approx(gap.covariance, nan_ok=True)
    naive = two_by_two_by_two(seed=1)
    regression = two_way_fixed_effects(cells(naive), outcome="visits", small_sample="none")
    gap = effect_gap(regression, reference="y", stratum="group")
    table = triple_difference(cells(naive), **OF)
    assert table.estimate == pytest.approx(gap.estimate)
    assert table.std_error == pytest.approx(gap.std_error)


def test_written_out_with_the_targets_sizes_on_both_sides() -> None:
    frame = awkward_panel(seed=2, members=80)
    wide = frame.pivot_table(index="member_id", columns="month", values="visits")
    one = frame.drop_duplicates("member_id").set_index("member_id").loc[wide.index]
    y, covered = wide.fillna(0).to_numpy(), wide.notna().to_numpy(dtype=float)

    def change(weight: np.ndarray, rows: pd.Series, month: int, base: int) -> float:
        w = weight * rows.to_numpy()
        later, before = (w @ y[:, t] / (w @ covered[:, t]) for t in (month, base))
        return float(later - before)

    def by_hand(weight: np.ndarray) -> np.ndarray:
        total, mass = 0.0, 0.0
        for cohort, month in [(c, t) for c in (3, 5) for t in range(c, 7)]:
            both = []
            for value in ("x", "y"):
                own = one["group"] == value
                exposed = change(weight, own & (one["cohort"] == cohort), month, cohort - 1)
                both.append(exposed - change(weight, own & one["cohort"].isna(), month, cohort - 1))
            size = weight[((one["group"] == "x") & (one["cohort"] == cohort)).to_numpy()].sum()
            total += size * (both[0] - both[1])
            mass += size
        return np.array([total / mass])

    table = triple_difference(cells(frame, cluster="county"), per=10, **OF)
    assert table.estimate == pytest.approx(10 * by_hand(np.ones(80)))
    psi = influence(by_hand, 80)
    assert table.covariance == pytest.approx(100 * clustered(psi), rel=1e-5)
    by_county = triple_difference(cells(frame, cluster="county"), cluster="county", **OF)
    sums = pd.DataFrame(psi).groupby(one["county"].to_numpy()).sum().to_numpy()
    assert by_county.covariance == pytest.approx(sums.T @ sums, rel=1e-5)
    kept = by_county.cluster_influence.to_numpy()
    assert kept.T @ kept == pytest.approx(by_county.covariance)


def test_a_drift_that_differs_by_cohort_is_taken_out() -> None:
    # The exposed drift by cohort, alike in both strata; only the target gains 2 from exposure.
    rng = np.random.default_rng(0)
    rows = []
    sizes = {"x": {3.0: 30, 5.0: 10, np.nan: 20}, "y": {3.0: 10, 5.0: 30, np.nan: 20}}
    for group, cohorts in sizes.items():
        for cohort, n in cohorts.items():
            for _ in range(n):
                member, level = len(rows) // 7, rng.integers(0, 5)
                drift = 0 if np.isnan(cohort) else cohort**2
                gain = 2 if group == "x" else 0
                rows += [
                    (member, group, cohort, t, level + drift * t + gain * (t >= cohort))
                    for t in range(7)
                ]
    frame = pd.DataFrame(rows, columns=["member_id", "group", "cohort", "month", "visits"])
    table = triple_difference(cells(frame), **OF)
    assert table.estimate == pytest.approx([2.0])
    effects = group_time_att(cells(frame), outcome="visits", comparison="never_exposed")
    gap = effect_gap(aggregate(effects), reference="y", stratum="group")
    assert abs(gap.estimate[0] - 2.0) > 0.5


def test_strata_and_support() -> None:
    frame = awkward_panel(seed=2, members=80)
    table = triple_difference(cells(frame), **OF)
    parts = group_time_att(cells(frame), outcome="visits", comparison="never_exposed")
    assert (table.support <= aggregate(parts).support.max()).all(axis=None)
    assert table.support.dtypes["n_members"] == np.int64
    assert any("cohort by cohort" in note for note in table.notes)


def test_cohort_months_without_a_counterpart_are_said() -> None:
    frame = awkward_panel(seed=2, members=80)
    frame = frame[~((frame["group"] == "y") & (frame["cohort"] == 5))]
    table = triple_difference(cells(frame), **OF)
    assert any("without a counterpart in the reference" in note for note in table.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": "cohort"}, "by: 'cohort'"),
        ({"anticipation_months": -1}, "anticipation_months: -1"),
        ({"stratum": "race"}, "these moments have the strata `group`"),
        ({"target": "z"}, "`group` has no value 'z'; it has 'x', 'y'"),
        ({"cluster": "county"}, "keep cluster sums for none"),
    ],
)
def test_options_that_mean_nothing(change: dict[str, object], message: str) -> None:
    with pytest.raises(EstimationError, match=message):
        triple_difference(cells(awkward_panel(seed=2, members=40)), **{**OF, **change})


def test_what_is_not_identified() -> None:
    frame = awkward_panel(seed=2, members=80)
    in_target = frame["cohort"].where(frame["group"] == "x")
    with pytest.raises(DesignError, match="must be known in the reference stratum too"):
        triple_difference(cells(frame.assign(cohort=in_target)), **OF)
    with pytest.raises(EstimationError, match="the same in all"):
        triple_difference(cells(frame.assign(visits=4)), **OF)
