"""ATT(g, t): by hand, against brute force, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from weighted_members import att, awkward_panel, clustered, influence

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import GroupTimeEffects, aggregate, group_time_att
from calaim_eval.moments import CellMoments, reduce_panel

MEMBERS = 70


def two_by_two(values: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Members with a before and an after value; "exposed" are first exposed in the second."""
    rows = [
        {"member_id": f"{side}{i}", "month": month, "cohort": 1.0 if side == "exposed" else None}
        | {"visits": value}
        for side, members in values.items()
        for i, pair in enumerate(members)
        for month, value in enumerate(pair)
    ]
    return pd.DataFrame(rows)


def row_of(table: GroupTimeEffects, cohort: int, month: int) -> int:
    found = np.flatnonzero((table.keys["cohort"] == cohort) & (table.keys["month"] == month))
    assert len(found) == 1
    return int(found[0])


def test_two_by_two_by_hand() -> None:
    frame = two_by_two({"exposed": [[1, 3], [2, 5]], "comparison": [[1, 1], [0, 1]]})
    effects = group_time_att(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"), outcome="visits"
    )
    # Changes 2 and 3 against 0 and 1: 2.5 - 0.5; each side has variance sum((d - mean)^2) / n^2.
    assert effects.estimate == pytest.approx([2.0])
    assert effects.std_error == pytest.approx([np.sqrt(0.5 / 4 + 0.5 / 4)])
    assert effects.support.to_dict("records") == [
        {"n_members": 2, "n_events": 3, "member_months": 4.0}
    ]


def test_one_cohort_two_months_is_the_ols_interaction() -> None:
    import statsmodels.formula.api as smf

    rng = np.random.default_rng(5)
    frame = two_by_two(
        {side: rng.poisson(2.0, (n, 2)).tolist() for side, n in (("exposed", 40), ("other", 60))}
    )
    effects = group_time_att(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"), outcome="visits"
    )
    data = frame.assign(is_exposed=frame["cohort"].notna().astype(int))
    fit = smf.ols("visits ~ is_exposed * month", data).fit(
        cov_type="cluster",
        cov_kwds={"groups": pd.factorize(data["member_id"])[0], "use_correction": False},
    )
    assert effects.estimate[0] == pytest.approx(fit.params["is_exposed:month"], abs=1e-12)
    assert effects.std_error[0] == pytest.approx(fit.bse["is_exposed:month"], abs=1e-12)


@pytest.mark.parametrize("outcome", ["visits", "paid_usd"])
@pytest.mark.parametrize("cells", [None, "risk"])
def test_covariance_is_brute_force_influence(cells: str | None, outcome: str) -> None:
    frame = awkward_panel(seed=11, members=MEMBERS)
    pairs = [(3, 3, 2), (3, 4, 2), (3, 6, 2), (5, 6, 4), (5, 2, 1)]

    def estimator(weight: np.ndarray) -> np.ndarray:
        return np.array(
            [
                att(frame, weight, cohort=g, month=t, base=b, outcome=outcome, cells=cells)
                for g, t, b in pairs
            ]
        )

    moments = reduce_panel(
        frame, outcomes=[outcome], covariate_cells=cells, cluster="county", unbalanced="cell_means"
    )
    effects = group_time_att(moments, outcome=outcome)
    rows = [row_of(effects, g, t) for g, t, _ in pairs]
    psi = influence(estimator, MEMBERS)
    county = frame.groupby("member_id")["county"].first().reindex(range(MEMBERS)).to_numpy()
    scale = np.abs(estimator(np.ones(MEMBERS))).max()
    assert effects.estimate[rows] == pytest.approx(estimator(np.ones(MEMBERS)), abs=1e-9 * scale)
    # 1e-6 relative is the error of a central difference with step 1e-5.
    expected = clustered(psi)
    np.testing.assert_allclose(
        effects.covariance[np.ix_(rows, rows)], expected, rtol=1e-6, atol=1e-6 * expected.max()
    )
    by_county = group_time_att(moments, outcome=outcome, cluster="county")
    expected = clustered(psi, county)
    np.testing.assert_allclose(
        by_county.covariance[np.ix_(rows, rows)], expected, rtol=1e-6, atol=1e-6 * expected.max()
    )
    np.testing.assert_allclose(
        by_county.cluster_influence.to_numpy().T @ by_county.cluster_influence.to_numpy(),
        by_county.covariance,
    )


def test_strata_jointly_equal_each_alone() -> None:
    frame = awkward_panel(seed=3)
    jointly = group_time_att(
        reduce_panel(
            frame,
            outcomes=["visits"],
            stratum="group",
            covariate_cells="risk",
            unbalanced="cell_means",
        ),
        outcome="visits",
    )
    for label, own in frame.groupby("group"):
        alone = group_time_att(
            reduce_panel(own, outcomes=["visits"], covariate_cells="risk", unbalanced="cell_means"),
            outcome="visits",
        )
        of_label = jointly.select(jointly.keys["group"] == label)
        np.testing.assert_allclose(of_label.estimate, alone.estimate, atol=1e-12)
        np.testing.assert_allclose(of_label.covariance, alone.covariance, atol=1e-12)
        assert (of_label.support == alone.support).to_numpy().all()
    # Strata share no member, so they are uncorrelated.
    is_x = (jointly.keys["group"] == "x").to_numpy()
    assert not jointly.covariance[np.ix_(is_x, ~is_x)].any()


def test_exposed_without_comparison_in_their_cell_are_set_aside() -> None:
    frame = awkward_panel(seed=8)
    lonely = frame[frame["cohort"] == 3].assign(risk="c", visits=99)
    lonely["member_id"] += 1_000
    with_lonely = pd.concat([frame, lonely], ignore_index=True)
    effects, expected = (
        group_time_att(
            reduce_panel(f, outcomes=["visits"], covariate_cells="risk", unbalanced="cell_means"),
            outcome="visits",
        )
        for f in (with_lonely, frame)
    )
    np.testing.assert_allclose(effects.estimate, expected.estimate, atol=1e-12)
    np.testing.assert_allclose(effects.std_error, expected.std_error, atol=1e-12)
    assert any("without comparison members, set aside" in note for note in effects.notes)
    overall, overall_expected = aggregate(effects), aggregate(expected)
    assert overall.estimate == pytest.approx(overall_expected.estimate, abs=1e-12)
    assert overall.std_error == pytest.approx(overall_expected.std_error, abs=1e-12)


def test_per_scales_estimate_and_error() -> None:
    moments = reduce_panel(awkward_panel(seed=2), outcomes=["visits"], unbalanced="cell_means")
    one = group_time_att(moments, outcome="visits")
    thousand = group_time_att(moments, outcome="visits", per=1_000)
    np.testing.assert_allclose(thousand.estimate, 1_000 * one.estimate)
    np.testing.assert_allclose(thousand.std_error, 1_000 * one.std_error)
    assert thousand.estimand.unit == "visits per 1,000 member-periods"


def test_universal_base_month_is_zero_without_standard_error() -> None:
    moments = reduce_panel(awkward_panel(seed=2), outcomes=["visits"], unbalanced="cell_means")
    effects = group_time_att(moments, outcome="visits", base_period="universal")
    is_base = effects.event_time == -1
    assert is_base.sum() == 2
    assert (effects.estimate[is_base] == 0).all()
    assert np.isnan(effects.std_error[is_base]).all()
    assert np.isfinite(effects.std_error[~is_base]).all()


def test_months_may_be_dates() -> None:
    frame = awkward_panel(seed=4)
    numbers = group_time_att(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"), outcome="visits"
    )
    start = pd.Timestamp("2023-10-01")

    def dated(values: pd.Series) -> pd.Series:
        return values.map(lambda n: start + pd.DateOffset(months=int(n)), na_action="ignore")

    frame = frame.assign(
        month=pd.to_datetime(dated(frame["month"])), cohort=pd.to_datetime(dated(frame["cohort"]))
    )
    dates = group_time_att(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"), outcome="visits"
    )
    np.testing.assert_array_equal(dates.estimate, numbers.estimate)
    np.testing.assert_array_equal(dates.event_time, numbers.event_time)
    assert dates.keys["cohort"].iloc[0] == pd.Timestamp("2024-01-01")


def test_single_member_side_has_no_standard_error() -> None:
    frame = two_by_two({"exposed": [[1, 3]], "comparison": [[1, 1], [0, 1], [2, 0]]})
    effects = group_time_att(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"), outcome="visits"
    )
    assert np.isfinite(effects.estimate).all()
    assert np.isnan(effects.std_error).all()
    assert np.isnan(aggregate(effects).std_error).all()


@pytest.mark.parametrize("value", [0, 3, 0.1, 1234.56])
def test_constant_outcome_has_no_standard_error(value: float) -> None:
    moving = awkward_panel(seed=6)
    flat = moving.assign(visits=value, member_id=moving["member_id"] + 10_000)
    frame = pd.concat([moving.assign(side="moving"), flat.assign(side="flat")], ignore_index=True)
    effects = group_time_att(
        reduce_panel(frame, outcomes=["visits"], stratum="side", unbalanced="cell_means"),
        outcome="visits",
    )
    is_flat = (effects.keys["side"] == "flat").to_numpy()
    assert 0 < is_flat.sum() < len(effects)
    assert effects.estimate[is_flat] == pytest.approx(np.zeros(is_flat.sum()), abs=1e-9)
    assert np.isnan(effects.std_error[is_flat]).all()


def changed(**columns: object) -> CellMoments:
    return reduce_panel(
        awkward_panel(seed=1).assign(**columns), outcomes=["visits"], unbalanced="cell_means"
    )


def test_refuses_when_nobody_is_exposed() -> None:
    with pytest.raises(DesignError, match=r"no member is first exposed by 6"):
        group_time_att(changed(cohort=None), outcome="visits")


def test_refuses_without_a_month_before() -> None:
    frame = awkward_panel(seed=1)
    moments = changed(cohort=frame["cohort"].where(frame["cohort"].isna(), 0))
    with pytest.raises(DesignError, match="no month before exposure is observed"):
        group_time_att(moments, outcome="visits")


def test_refuses_when_everybody_is_exposed() -> None:
    frame = awkward_panel(seed=1)
    moments = reduce_panel(
        frame[frame["cohort"].notna()], outcomes=["visits"], unbalanced="cell_means"
    )
    with pytest.raises(DesignError, match="every member is exposed by 6: comparison='never_expo"):
        group_time_att(moments, outcome="visits", comparison="never_exposed")
    effects = group_time_att(moments, outcome="visits")
    assert effects.keys["month"].max() == 4
    assert any("last identified 4" in note for note in effects.notes)


def test_refuses_when_all_are_exposed_at_once() -> None:
    frame = awkward_panel(seed=1)
    moments = reduce_panel(
        frame[frame["cohort"] == 3], outcomes=["visits"], unbalanced="cell_means"
    )
    with pytest.raises(DesignError, match="cohorts 3: no month has exposed and members not yet"):
        group_time_att(moments, outcome="visits")


def test_refuses_unknown_names() -> None:
    moments = changed()
    with pytest.raises(EstimationError, match="no outcome `deaths`; they have `visits`"):
        group_time_att(moments, outcome="deaths")
    with pytest.raises(EstimationError, match="keep cluster sums for none"):
        group_time_att(moments, outcome="visits", cluster="county")
    with pytest.raises(EstimationError, match="'controls' is not one of 'not_yet_exposed'"):
        group_time_att(moments, outcome="visits", comparison="controls")  # type: ignore[arg-type]


def test_few_clusters_are_named_in_the_notes() -> None:
    moments = reduce_panel(
        awkward_panel(seed=1), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )
    notes = group_time_att(moments, outcome="visits", cluster="county").notes
    assert any("12 clusters, 12 with exposed members. That is few" in note for note in notes)


@pytest.mark.parametrize("base_period", ["varying", "universal"])
def test_standard_errors_agree_with_the_covariance(base_period: str) -> None:
    moments = reduce_panel(
        awkward_panel(seed=9),
        outcomes=["visits"],
        stratum="group",
        covariate_cells="risk",
        unbalanced="cell_means",
    )
    effects = group_time_att(moments, outcome="visits", base_period=base_period)
    variance = np.diag(effects.covariance)
    expected = np.sqrt(np.where(variance > 0, variance, np.nan))
    np.testing.assert_allclose(effects.std_error, expected, rtol=1e-10)
