"""Ratios from differences: by hand, by derivative in each member, beside the rates behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from weighted_members import att, awkward_panel, clustered, cohort_size, influence, mean

from calaim_eval.disclosure import release
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import (
    adjusted_group_time_att,
    aggregate,
    count_effects,
    group_time_att,
    group_time_rates,
    relative_effect,
)
from calaim_eval.moments import CellMoments, reduce_panel

MEMBERS = 80
LAST = 2
PAIRS = [(3, 3), (3, 4), (3, 5), (5, 5), (5, 6)]


def reduced(frame: pd.DataFrame, **options: object) -> CellMoments:
    return reduce_panel(
        frame,
        outcomes=["visits", "paid_usd"],
        cluster="county",
        unbalanced="cell_means",
        **options,
    )


def exposed_rate(
    frame: pd.DataFrame, weight: np.ndarray, cohort: int, month: int, outcome: str
) -> float:
    """Rate of a cohort in a month; every covariate cell has a comparison here."""
    return mean(frame, weight, (frame["cohort"] == cohort) & (frame["month"] == month), outcome)


def written_out(frame: pd.DataFrame, weight: np.ndarray, outcome: str) -> np.ndarray:
    """Observed over observed less effect: overall, then by event time."""
    size = {g: cohort_size(frame, weight, g) for g in (3, 5)}
    effect = {
        (g, t): att(frame, weight, cohort=g, month=t, base=g - 1, outcome=outcome, cells="risk")
        for g, t in PAIRS
    }
    rate = {(g, t): exposed_rate(frame, weight, g, t, outcome) for g, t in PAIRS}

    def ratio(pairs: list[tuple[int, int]]) -> float:
        observed = sum(size[g] * rate[g, t] for g, t in pairs)
        return float(observed / (observed - sum(size[g] * effect[g, t] for g, t in pairs)))

    return np.array(
        [ratio(PAIRS), *(ratio([(g, t) for g, t in PAIRS if t - g == e]) for e in range(LAST + 1))]
    )


@pytest.mark.parametrize("outcome", ["visits", "paid_usd"])
@pytest.mark.parametrize("cluster", ["member", "county"])
def test_ratio_and_error_are_the_derivative_in_each_member(outcome: str, cluster: str) -> None:
    frame = awkward_panel(seed=21, members=MEMBERS)
    att_gt = group_time_att(
        reduced(frame, covariate_cells="risk"), outcome=outcome, cluster=cluster, per=1000
    )
    expected = written_out(frame, np.ones(MEMBERS), outcome)
    psi = influence(lambda weight: written_out(frame, weight, outcome), MEMBERS)
    county = frame.groupby("member_id")["county"].first().reindex(range(MEMBERS)).to_numpy()
    covariance = clustered(psi, None if cluster == "member" else county)
    overall = relative_effect(att_gt, max_event_time=LAST)
    study = relative_effect(att_gt, by="event_time", min_event_time=0, max_event_time=LAST)
    np.testing.assert_allclose(overall.estimate, expected[:1], rtol=1e-10)
    np.testing.assert_allclose(study.estimate, expected[1:], rtol=1e-10)
    np.testing.assert_allclose(overall.std_error**2, covariance[0, 0], rtol=1e-5)
    np.testing.assert_allclose(study.covariance, covariance[1:, 1:], rtol=1e-4, atol=1e-9)
    assert study.keys["event_time"].tolist() == [0, 1, 2]
    if cluster == "county":
        assert study.cluster_influence is not None
        by_county = study.cluster_influence.to_numpy()
        np.testing.assert_allclose(by_county.T @ by_county, study.covariance, atol=1e-12)


def test_delta_method_of_the_four_rates_behind_the_average() -> None:
    att_gt = group_time_att(reduced(awkward_panel(seed=5), stratum="group"), outcome="visits")
    rates = group_time_rates(att_gt)
    found = relative_effect(att_gt)
    gradient = np.zeros((2, 8))
    for row in range(2):
        before, after, other_before, other_after = rates.estimate[4 * row : 4 * row + 4]
        without = before + other_after - other_before
        assert found.estimate[row] == pytest.approx(after / without, rel=1e-12)
        ratio = after / without**2
        gradient[row, 4 * row : 4 * row + 4] = [-ratio, 1 / without, ratio, -ratio]
    expected = gradient @ rates.covariance @ gradient.T
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-8, atol=1e-14)
    effect = aggregate(att_gt)
    observed = rates.estimate[1::4]
    assert found.estimate == pytest.approx(observed / (observed - effect.estimate))
    of_rate = rates.support[1::4].reset_index(drop=True)  # exposed, after
    expected = np.minimum(effect.support, of_rate)
    pd.testing.assert_frame_equal(found.support, expected, check_dtype=False)
    assert found.keys["group"].tolist() == ["x", "y"]
    assert found.estimand.scale == "ratio"


def two_sides(exposed: list[list[float]], comparison: list[list[float]]) -> CellMoments:
    rows = [
        (f"{side} {i}", month, cohort, visits)
        for side, cohort, members in (("e", 1.0, exposed), ("c", np.nan, comparison))
        for i, pair in enumerate(members)
        for month, visits in enumerate(pair)
    ]
    frame = pd.DataFrame(rows, columns=["member_id", "month", "cohort", "visits"])
    return reduce_panel(frame, outcomes=["visits"])


def test_by_hand() -> None:
    # Exposed 5 -> 4, comparison 2 -> 3: 6 without exposure.
    moments = two_sides([[4, 3], [6, 5]], [[1, 2], [3, 4]])
    table = relative_effect(group_time_att(moments, outcome="visits", per=1000))
    assert table.estimate == pytest.approx([4 / 6])
    # Halves of (after - ratio * before) of the exposed, of ratio * (after - before) of the others.
    exposed = [(y1 - 4) / 2 - (2 / 3) * (y0 - 5) / 2 for y0, y1 in ((4, 3), (6, 5))]
    comparison = [(2 / 3) * ((y1 - y0) - 1) / 2 for y0, y1 in ((1, 2), (3, 4))]
    error = np.sqrt(np.sum(np.square(exposed + comparison))) / 6
    assert table.std_error == pytest.approx([error])


def test_a_month_that_is_its_own_base_is_one_without_error() -> None:
    att_gt = group_time_att(
        reduced(awkward_panel(seed=7)), outcome="visits", base_period="universal"
    )
    study = relative_effect(att_gt, by="event_time")
    row = study.select(study.keys["event_time"] == -1)
    assert row.estimate.tolist() == [1.0]
    assert np.isnan(row.std_error).all()


def test_no_event_among_the_exposed_is_ratio_zero_without_error() -> None:
    moments = two_sides([[4, 0], [6, 0]], [[1, 2], [3, 4]])
    table = relative_effect(group_time_att(moments, outcome="visits"))
    assert table.estimate.tolist() == [0.0]
    assert np.isnan(table.std_error).all()


def test_amounts_without_any_are_ratio_zero_whatever_they_are_centred_by() -> None:
    others = [[120.37, 77.1], [33.3, 45.7], [9.87, 1.23]]
    rows = [
        (f"{side} {i}", month, cohort, paid)
        for side, cohort, members in (
            ("e", 1.0, [[88.8, 0.0], [61.7, 0.0]]),
            ("c", np.nan, others),
        )
        for i, pair in enumerate(members)
        for month, paid in enumerate(pair)
    ]
    frame = pd.DataFrame(rows, columns=["member_id", "month", "cohort", "paid_usd"])
    moments = reduce_panel(frame, outcomes=["paid_usd"])
    table = relative_effect(group_time_att(moments, outcome="paid_usd", per=1000))
    assert table.estimate.tolist() == [0.0]
    assert np.isnan(table.std_error).all()
    assert any("ratio 0" in note for note in table.notes)


def test_support_is_of_the_events_that_ratio_and_effect_tell() -> None:
    exposed = [[1, int(i < 5)] for i in range(40)]  # 40 events before, 5 after
    comparison = [[1, int(i % 3 > 0)] for i in range(60)]
    att_gt = group_time_att(two_sides(exposed, comparison), outcome="visits")
    effect, ratio = aggregate(att_gt), relative_effect(att_gt)
    told = effect.estimate * ratio.estimate / (ratio.estimate - 1) * len(exposed)
    assert told == pytest.approx([5])
    assert effect.support["n_events"].tolist() == [45]
    assert ratio.support[["n_members", "n_events"]].to_numpy().tolist() == [[40, 5]]
    released = release({"effect": effect, "ratio": ratio})
    shown = {name: t.frame["is_suppressed"].tolist() for name, t in released.tables.items()}
    assert shown == {"effect": [False], "ratio": [True]}


def test_a_rate_without_exposure_below_zero_has_no_ratio() -> None:
    moments = two_sides([[1, 1], [2, 3]], [[6, 1], [7, 2]])  # 1.5 - 5 without exposure
    with pytest.raises(DesignError, match="estimated to be 0 or less"):
        relative_effect(group_time_att(moments, outcome="visits"))


@pytest.mark.parametrize("less", [0.0, 0.25])
def test_outcomes_below_zero_have_no_ratio(less: float) -> None:
    """Reversals of claims: 4 becomes -2 while 7 without exposure would have been."""
    exposed = [[4 - less, -3 - less], [6 - less, -1 - less]]
    moments = two_sides(exposed, [[1, 2], [2, 5]])
    att_gt = group_time_att(moments, outcome="visits")
    assert aggregate(att_gt).estimate == pytest.approx([-9.0])
    with pytest.raises(EstimationError, match=r"`visits` has values below 0.* means nothing"):
        relative_effect(att_gt)


def test_the_words_are_those_of_the_other_ratios() -> None:
    moments = two_sides([[4, -3], [6, -1]], [[1, 2], [2, 5]])
    said = []
    for ratio in (
        lambda: relative_effect(group_time_att(moments, outcome="visits")),
        lambda: count_effects(moments, outcome="visits"),
    ):
        with pytest.raises(EstimationError) as refused:
            ratio()
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_small_cells_leave_no_bias() -> None:
    # Sixty cells of ten a side at 0.35 visits; use rises by 0.05 everywhere; 20 % fewer, as the
    # difference that makes.
    draws = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        cell, side, _, month = np.indices((60, 2, 10, 4))
        level = 0.35 * rng.gamma(4.0, 0.25, 60)[:, None, None, None] + 0.05 * month
        rate = level * np.where((side == 1) & (month >= 2), 0.8, 1.0)
        frame = pd.DataFrame(
            {
                "member_id": np.repeat(np.arange(1200), 4),
                "month": month.ravel(),
                "cohort": np.where(side == 1, 2.0, np.nan).ravel(),
                "cell": cell.ravel(),
                "visits": rng.poisson(rate).ravel(),
            }
        )
        moments = reduce_panel(frame, outcomes=["visits"], covariate_cells="cell")
        draws.append(relative_effect(group_time_att(moments, outcome="visits")).estimate[0])
    off = np.log(np.array(draws) / 0.8)
    # A log ratio of averages has a bias of the order of its variance.
    assert abs(off.mean()) < 3.5 * off.std(ddof=1) / np.sqrt(30) + off.var()


def test_what_is_refused() -> None:
    frame = awkward_panel(seed=3)
    att_gt = group_time_att(reduced(frame), outcome="visits")
    with pytest.raises(EstimationError, match="by: 'month' is not one of"):
        relative_effect(att_gt, by="month")
    with pytest.raises(EstimationError, match="no effect lies within"):
        relative_effect(att_gt, min_event_time=50)
    balanced = frame.groupby("member_id").filter(lambda months: len(months) == 7)
    members = adjusted_group_time_att(balanced, outcome="visits", covariates=["level"])
    with pytest.raises(EstimationError, match="takes the effects of `group_time_att`"):
        relative_effect(members)
