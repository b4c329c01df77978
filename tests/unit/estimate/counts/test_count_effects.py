"""Effects on counts: by hand, against member-level regressions, by derivative, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from weighted_members import awkward_panel, clustered, influence

from calaim_eval.equity import effect_gap
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import count_effects, pre_trend_test
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

MEMBERS = 60


def panel(seed: int = 3, *, members: int = MEMBERS, gap: float = 0.15) -> pd.DataFrame:
    """The awkward panel with a level, so that no cell is empty, and a fraction at risk."""
    frame = awkward_panel(seed, members=members, gap=gap)
    rng = np.random.default_rng(seed)
    return frame.assign(
        visits=frame["visits"] + rng.poisson(1.0, len(frame)),
        share=rng.choice([0.25, 0.5, 1.0], len(frame)),
    )


def is_exposed(frame: pd.DataFrame) -> pd.Series:
    return frame["month"] >= frame["cohort"]


def regressors(frame: pd.DataFrame) -> pd.DataFrame:
    """Cohort and month dummies, and one for each exposed cohort-month, written out."""
    columns = {"constant": np.ones(len(frame))}
    for g in (3.0, 5.0):
        columns[f"cohort {g}"] = (frame["cohort"] == g).astype(float)
    for t in range(1, 7):
        columns[f"month {t}"] = (frame["month"] == t).astype(float)
    for g in (3.0, 5.0):
        for t in range(int(g), 7):
            columns[f"exposed {g} {t}"] = ((frame["cohort"] == g) & (frame["month"] == t)) * 1.0
    return pd.DataFrame(columns, index=frame.index)


def poisson(
    frame: pd.DataFrame, x: pd.DataFrame, weight: np.ndarray | None = None, outcome: str = "visits"
) -> np.ndarray:
    """Poisson coefficients by Newton's method, members weighted."""
    w = np.ones(len(frame)) if weight is None else weight[frame["member_id"]]
    y, at_risk, design = frame[outcome].to_numpy(), frame["share"].to_numpy(), x.to_numpy()
    beta = np.zeros(design.shape[1])
    beta[0] = np.log((w * y).sum() / (w * at_risk).sum())
    for _ in range(50):
        mu = w * at_risk * np.exp(design @ beta)
        step = np.linalg.solve(design.T @ (mu[:, None] * design), design.T @ (w * y - mu))
        beta = beta + step
        if np.abs(step).max() < 1e-13:
            break
    return beta


def overall(frame: pd.DataFrame, weight: np.ndarray, outcome: str = "visits") -> np.ndarray:
    """Observed over expected events of the exposed, and the difference of rates, from members."""
    x = regressors(frame)
    beta = poisson(frame, x, weight, outcome)
    untouched = x.assign(**{c: 0.0 for c in x if c.startswith("exposed")})
    rows = is_exposed(frame).to_numpy()
    w = weight[frame["member_id"]][rows]
    at_risk = (frame["share"].to_numpy()[rows] * w).sum()
    expected = w * frame["share"].to_numpy()[rows] * np.exp(untouched.to_numpy()[rows] @ beta)
    observed = (w * frame[outcome].to_numpy()[rows]).sum()
    return np.array([observed / expected.sum(), (observed - expected.sum()) / at_risk])


def reduced(frame: pd.DataFrame, **options: object) -> CellMoments:
    return reduce_panel(
        frame,
        outcomes=["visits", "paid_usd"],
        at_risk="share",
        cluster="county",
        **options,
        unbalanced="cell_means",
    )


def test_ratio_of_ratios_by_hand() -> None:
    values = {"exposed": [[1, 3], [2, 6]], "comparison": [[4, 1], [1, 4], [1, 4]]}
    frame = pd.DataFrame(
        {"member_id": f"{side} {i}", "month": t, "visits": y}
        | {"cohort": 1.0 if side == "exposed" else None}
        for side, members in values.items()
        for i, pair in enumerate(members)
        for t, y in enumerate(pair)
    )
    moments = reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")
    # Exposed 3 -> 9, comparison 6 -> 9: expected 3 * 9/6 = 4.5 events in 2 member-months.
    ratio = count_effects(moments, outcome="visits")
    difference = count_effects(moments, outcome="visits", scale="difference", per=100)
    assert ratio.estimate == pytest.approx([2.0])
    assert difference.estimate == pytest.approx([100 * (9 - 4.5) / 2])
    # log ratio: each side's log change has influence y1/Y1 - y0/Y0.
    exposed = [3 / 9 - 1 / 3, 6 / 9 - 2 / 3]
    comparison = [1 / 9 - 4 / 6, 4 / 9 - 1 / 6, 4 / 9 - 1 / 6]
    error = np.sqrt(np.sum(np.square(exposed + comparison)))
    assert ratio.std_error / ratio.estimate == pytest.approx([error])
    assert ratio.support.to_dict("records") == [
        {"n_members": 2, "n_events": 9, "member_months": 2.0}
    ]
    assert ratio.estimand.scale == "ratio"
    assert ratio.to_frame()["conf_low"][0] == pytest.approx(2 * np.exp(-1.959963985 * error))


@pytest.mark.parametrize("outcome", ["visits", "paid_usd"])
@pytest.mark.parametrize("cluster", ["member", "county"])
def test_equals_a_member_level_poisson_regression(outcome: str, cluster: str) -> None:
    frame = panel()
    x = regressors(frame)
    model = sm.GLM(frame[outcome], x, family=sm.families.Poisson(), offset=np.log(frame["share"]))
    groups = pd.factorize(frame["member_id" if cluster == "member" else "county"])[0]
    fit = model.fit(
        tol=1e-14, cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    terms = [c for c in x if c.startswith("exposed")]
    effects = count_effects(reduced(frame), outcome=outcome, by="cohort_month", cluster=cluster)
    labels = [
        f"exposed {float(g)} {t}"
        for g, t in zip(effects.keys["cohort"], effects.keys["month"], strict=True)
    ]
    assert labels == terms
    # Same formula on the same data: both stop iterating at rounding error.
    log_ratio = np.log(effects.estimate)
    covariance = effects.covariance / np.outer(effects.estimate, effects.estimate)
    theirs = fit.cov_params().loc[terms, terms].to_numpy()
    np.testing.assert_allclose(log_ratio, fit.params[terms], atol=1e-9)
    np.testing.assert_allclose(covariance, theirs, atol=1e-9 * np.abs(theirs).max())
    if cluster == "county":
        assert effects.cluster_influence is not None
        psi = effects.cluster_influence.to_numpy()
        np.testing.assert_allclose(psi.T @ psi, effects.covariance, atol=1e-15)


@pytest.mark.parametrize("scale", ["ratio", "difference"])
def test_average_error_is_the_delta_method_with_weights_given(scale: str) -> None:
    frame = panel(seed=4)
    x = regressors(frame)
    model = sm.GLM(frame["visits"], x, family=sm.families.Poisson(), offset=np.log(frame["share"]))
    groups = pd.factorize(frame["member_id"])[0]
    fit = model.fit(
        tol=1e-14, cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    rows = is_exposed(frame).to_numpy()
    with_terms = x.to_numpy()[rows]
    is_term = np.array([c.startswith("exposed") for c in x])
    without = np.where(is_term, 0.0, with_terms)
    at_risk = frame["share"].to_numpy()[rows]
    beta = fit.params.to_numpy()
    mu1, mu0 = at_risk * np.exp(with_terms @ beta), at_risk * np.exp(without @ beta)
    if scale == "difference":
        expected = (mu1 - mu0).sum() / at_risk.sum()
        gradient = (mu1 @ with_terms - mu0 @ without) / at_risk.sum()
    else:
        expected = mu1.sum() / mu0.sum()
        gradient = mu1 @ with_terms / mu0.sum() - expected * (mu0 @ without) / mu0.sum()
    error = np.sqrt(gradient @ fit.cov_params().to_numpy() @ gradient)
    effect = count_effects(reduced(frame), outcome="visits", scale=scale, weights="given")
    assert effect.estimate == pytest.approx([expected], abs=1e-9)
    assert effect.std_error == pytest.approx([error], abs=1e-9)


@pytest.mark.parametrize("cluster", ["member", "county"])
def test_error_with_estimated_weights_is_the_derivative_in_each_member(cluster: str) -> None:
    frame = panel(seed=5)
    psi = influence(lambda weight: overall(frame, weight), MEMBERS)
    county = frame.groupby("member_id")["county"].first().to_numpy()
    expected = clustered(psi, None if cluster == "member" else county)
    for position, scale in enumerate(("ratio", "difference")):
        effect = count_effects(
            reduced(frame), outcome="visits", scale=scale, weights="estimated", cluster=cluster
        )
        value = overall(frame, np.ones(MEMBERS))[position]
        assert effect.estimate == pytest.approx([value], abs=1e-10)
        # 1e-6 relative is the error of a central difference with step 1e-5.
        assert effect.covariance[0, 0] == pytest.approx(expected[position, position], rel=1e-6)


def test_covariate_cells_are_fitted_apart_and_standardized_to_the_exposed() -> None:
    frame = panel(seed=6, members=120)
    weight = np.ones(120)
    observed, expected, at_risk = 0.0, 0.0, 0.0
    for _, cell in frame.groupby("risk"):
        ratio, difference = overall(cell, weight)
        rows = is_exposed(cell)
        y, r = cell.loc[rows, "visits"].sum(), cell.loc[rows, "share"].sum()
        observed, expected, at_risk = observed + y, expected + y / ratio, at_risk + r
        assert difference == pytest.approx((y - y / ratio) / r)
    moments = reduced(frame, covariate_cells="risk")
    ratio = count_effects(moments, outcome="visits")
    difference = count_effects(moments, outcome="visits", scale="difference")
    assert ratio.estimate == pytest.approx([observed / expected], abs=1e-10)
    assert difference.estimate == pytest.approx([(observed - expected) / at_risk], abs=1e-10)


def test_identity_link_is_weighted_least_squares_of_members() -> None:
    frame = panel(seed=7)
    x = regressors(frame)
    rate = frame["visits"] / frame["share"]
    groups = pd.factorize(frame["member_id"])[0]
    fit = sm.WLS(rate, x, weights=frame["share"]).fit(
        cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    terms = [c for c in x if c.startswith("exposed")]
    effects = count_effects(
        reduced(frame), outcome="visits", link="identity", scale="difference", by="cohort_month"
    )
    np.testing.assert_allclose(effects.estimate, fit.params[terms], atol=1e-9)
    theirs = fit.cov_params().loc[terms, terms].to_numpy()
    np.testing.assert_allclose(effects.covariance, theirs, atol=1e-9)


def test_amounts_keep_their_centre_apart() -> None:
    frame = panel(seed=7)
    ratios = [
        count_effects(reduced(f), outcome="paid_usd", link=link, by="cohort")
        for link in ("identity", "log")
        for f in (frame, frame.assign(paid_usd=frame["paid_usd"] * 100))
    ]
    for one, hundred in (ratios[:2], ratios[2:]):
        np.testing.assert_allclose(one.estimate, hundred.estimate, rtol=1e-9)
        np.testing.assert_allclose(one.std_error, hundred.std_error, rtol=1e-9)


def test_never_exposed_comparison_is_a_ratio_of_four_rates() -> None:
    frame = panel(seed=8)

    def rate(cohort: float | None, month: int) -> float:
        own = frame["cohort"].isna() if cohort is None else frame["cohort"] == cohort
        rows = frame[own & (frame["month"] == month)]
        return float(rows["visits"].sum() / rows["share"].sum())

    effects = count_effects(
        reduced(frame), outcome="visits", comparison="never_exposed", by="cohort_month"
    )
    assert len(effects) == 12  # two cohorts, seven months, less their last month before
    for (g, t), ratio in zip(effects.keys.to_numpy(), effects.estimate, strict=True):
        expected = rate(g, t) / rate(g, g - 1) / (rate(None, t) / rate(None, g - 1))
        assert ratio == pytest.approx(expected, abs=1e-9)


def test_pre_trend_of_ratios_is_a_test_against_one() -> None:
    study = count_effects(
        reduced(panel(seed=8)), outcome="visits", comparison="never_exposed", by="event_time"
    )
    before = study.select(study.keys["event_time"] < 0)
    log_ratio = np.log(before.estimate)
    inverse = np.linalg.inv(before.covariance / np.outer(before.estimate, before.estimate))
    assert len(before) == 4
    assert pre_trend_test(study)["statistic"][0] == pytest.approx(log_ratio @ inverse @ log_ratio)


def test_anticipating_months_are_left_out_of_the_fit() -> None:
    frame = panel(seed=9)
    left_out = frame[~(frame["month"] == frame["cohort"] - 1)]
    expected = count_effects(reduced(left_out), outcome="visits")
    found = count_effects(reduced(frame), outcome="visits", anticipation_months=1)
    assert found.estimate == pytest.approx(expected.estimate, abs=1e-12)
    assert found.std_error == pytest.approx(expected.std_error, abs=1e-12)
    study = count_effects(reduced(frame), outcome="visits", anticipation_months=1, by="event_time")
    assert study.keys["event_time"].tolist() == [-1, 0, 1, 2, 3]


def test_strata_jointly_equal_each_alone() -> None:
    frame = panel(seed=10, members=120)
    jointly = count_effects(reduced(frame, stratum="group"), outcome="visits", by="event_time")
    for label, own in frame.groupby("group"):
        alone = count_effects(reduced(own), outcome="visits", by="event_time")
        of_label = jointly.select(jointly.keys["group"] == label)
        np.testing.assert_allclose(of_label.estimate, alone.estimate, atol=1e-12)
        np.testing.assert_allclose(of_label.covariance, alone.covariance, atol=1e-12)
        assert (of_label.support == alone.support).to_numpy().all()


def test_gap_between_groups_is_a_ratio_of_ratios() -> None:
    frame = panel(seed=10, members=120)
    effects = count_effects(reduced(frame, stratum="group"), outcome="visits")
    gap = effect_gap(effects, reference="x", stratum="group", scale="ratio")
    of = dict(zip(effects.keys["group"], effects.estimate, strict=True))
    assert gap.estimate == pytest.approx([of["y"] / of["x"]])
    # Strata share no member: squared errors of the logarithms add up.
    log_error = np.sqrt(((effects.std_error / effects.estimate) ** 2).sum())
    assert gap.std_error / gap.estimate == pytest.approx([log_error])


def test_windows_choose_event_times() -> None:
    moments = reduced(panel(seed=11))
    each = count_effects(moments, outcome="visits", by="cohort_month")
    since = (each.keys["month"] - each.keys["cohort"]).to_numpy()
    windowed = count_effects(
        moments, outcome="visits", by="cohort_month", min_event_time=1, max_event_time=2
    )
    assert len(windowed) == ((since >= 1) & (since <= 2)).sum()
    one = count_effects(moments, outcome="visits", min_event_time=2, max_event_time=2)
    by_time = count_effects(moments, outcome="visits", by="event_time")
    row = by_time.select(by_time.keys["event_time"] == 2)
    assert one.estimate == pytest.approx(row.estimate, abs=1e-12)
    assert one.std_error == pytest.approx(row.std_error, abs=1e-12)


def test_crv1_factor_counts_terms_and_effects() -> None:
    frame = panel(seed=12)
    raw, corrected = (
        count_effects(
            reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
            outcome="visits",
            small_sample=small_sample,
        )
        for small_sample in ("none", "crv1")
    )
    n, k, g = len(frame), 1 + 2 + 6 + 6, frame["member_id"].nunique()
    factor = g / (g - 1) * (n - 1) / (n - k)
    assert corrected.std_error == pytest.approx(raw.std_error * np.sqrt(factor), rel=1e-12)


def test_a_month_without_events_in_the_comparison_is_set_aside() -> None:
    frame = panel(seed=13)
    # Nobody unexposed has an event in month 6: 6 gives no expected rate, the rest stays.
    emptied = frame.assign(
        visits=frame["visits"].where((frame["month"] != 6) | is_exposed(frame), 0)
    )
    found = count_effects(reduced(emptied), outcome="visits", by="cohort_month")
    expected = count_effects(
        reduced(frame[frame["month"] < 6]), outcome="visits", by="cohort_month"
    )
    assert 6 not in found.keys["month"].tolist()
    np.testing.assert_allclose(found.estimate, expected.estimate, atol=1e-10)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-10)
    assert any("no ratio can be taken" in note for note in found.notes)


@pytest.mark.parametrize("empty", ["before exposure", "in the comparison"])
def test_where_no_event_is_expected_those_that_happen_count(empty: str) -> None:
    # Two members on each side of each cell, two months; by hand: 10 x 2 / 4 = 5 events expected
    # in cell b and none in cell a, 3 + 4 happen.
    before, change = (0, (4, 2)) if empty == "before exposure" else (6, (4, 0))
    events = {"a": ((before, 3), change), "b": ((10, 4), (4, 2))}
    frame = pd.DataFrame(
        [
            (f"{cell}{side}{member}", month, 1.0 if side == 0 else np.nan, cell, total[month] / 2)
            for cell, sides in events.items()
            for side, total in enumerate(sides)
            for member in range(2)
            for month in range(2)
        ],
        columns=["member_id", "month", "cohort", "cell", "visits"],
    )
    moments = reduce_panel(
        frame, outcomes=["visits"], covariate_cells="cell", unbalanced="cell_means"
    )
    ratio = count_effects(moments, outcome="visits")
    assert ratio.estimate[0] == pytest.approx(7 / 5, rel=1e-12)
    assert ratio.support["member_months"].iloc[0] == 4
    lower = count_effects(moments, outcome="visits", scale="difference")
    assert lower.estimate[0] == pytest.approx((7 - 5) / 4, rel=1e-12)
    assert any("with an expected rate of 0" in note for note in ratio.notes)


def test_a_cohort_without_events_before_exposure_is_set_aside() -> None:
    frame = panel(seed=13)
    emptied = frame.assign(
        visits=frame["visits"].where((frame["cohort"] != 3) | is_exposed(frame), 0)
    )
    found = count_effects(reduced(emptied), outcome="visits", by="cohort")
    expected = count_effects(reduced(frame[frame["cohort"] != 3]), outcome="visits", by="cohort")
    assert found.keys["cohort"].tolist() == [5]
    assert found.estimate == pytest.approx(expected.estimate, abs=1e-10)
    assert found.std_error == pytest.approx(expected.std_error, abs=1e-10)


def test_no_event_among_the_exposed_is_ratio_zero_without_error() -> None:
    frame = panel(seed=14)
    emptied = frame.assign(visits=frame["visits"].where(~is_exposed(frame), 0))
    effects = count_effects(reduced(emptied), outcome="visits", by="cohort")
    assert effects.estimate.tolist() == [0.0, 0.0]
    assert np.isnan(effects.std_error).all()
    assert effects.to_frame()[["conf_low", "conf_high", "p_value"]].isna().to_numpy().all()
    assert any("without any event among the exposed" in note for note in effects.notes)
    lower = count_effects(reduced(emptied), outcome="visits", scale="difference")
    assert lower.estimate[0] < 0
    assert np.isnan(lower.std_error).all()


def test_a_stratum_without_events_is_left_out_and_named() -> None:
    frame = panel(seed=10, members=120)
    emptied = frame.assign(visits=frame["visits"].where(frame["group"] != "y", 0))
    found = count_effects(reduced(emptied, stratum="group"), outcome="visits")
    expected = count_effects(reduced(frame, stratum="group"), outcome="visits")
    assert found.keys["group"].tolist() == ["x"]
    assert found.estimate == pytest.approx(expected.estimate[:1], abs=1e-12)
    assert any("left out: y" in note for note in found.notes)


def test_single_member_side_has_no_standard_error() -> None:
    frame = panel(seed=15)
    keep = frame["cohort"].isna() | (frame["member_id"] == frame[frame["cohort"] == 3].iloc[0, 0])
    effects = count_effects(reduced(frame[keep]), outcome="visits")
    assert np.isfinite(effects.estimate).all()
    assert np.isnan(effects.std_error).all()


def test_notes_give_shares_as_bands_not_counts() -> None:
    frame = panel(seed=13)
    emptied = frame.assign(
        visits=frame["visits"].where((frame["month"] != 6) | is_exposed(frame), 0)
    )
    moments = reduced(emptied)
    effects = count_effects(moments, outcome="visits")
    own = [note for note in effects.notes if note not in moments.provenance["notes"]]
    # Two of the six exposed cohort-months are in month 6.
    (note,) = own
    assert note.startswith("Share of the exposed member-months with no event before exposure")
    assert note.endswith("a quarter to a half.")


def changed(**columns: object) -> CellMoments:
    return reduced(panel(seed=1).assign(**columns))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"cohort": None}, "no member is first exposed"),
        ({"cohort": 0}, "no month before exposure"),
        ({"cohort": 9}, "no member is first exposed"),
    ],
)
def test_refuses_what_is_not_identified(columns: dict[str, object], message: str) -> None:
    with pytest.raises(DesignError, match=message):
        count_effects(changed(**columns), outcome="visits")


def test_refuses_when_all_are_exposed_together() -> None:
    with pytest.raises(DesignError, match="no exposed member-month has an expected rate"):
        count_effects(changed(cohort=3), outcome="visits")
    with pytest.raises(DesignError, match="comparison='never_exposed' has no members"):
        count_effects(changed(cohort=3), outcome="visits", comparison="never_exposed")


def test_refuses_months_of_the_panel_without_exposure() -> None:
    with pytest.raises(DesignError, match="no exposed member-month lies within"):
        count_effects(changed(), outcome="visits", min_event_time=9)


@pytest.mark.parametrize("value", [0, 3, 1234.56])
def test_refuses_a_constant_outcome(value: float) -> None:
    frame = panel(seed=1).assign(share=1.0, visits=value)
    with pytest.raises(EstimationError, match="is the same in all member-months"):
        count_effects(reduced(frame), outcome="visits")


def test_refuses_negative_outcomes_under_the_log_link() -> None:
    frame = panel(seed=1)
    frame.loc[0, "visits"] = -1
    with pytest.raises(EstimationError, match="`visits` has values below 0"):
        count_effects(reduced(frame.assign(share=1.0)), outcome="visits")
    amounts = panel(seed=1)
    amounts["paid_usd"] -= 20_000.5
    with pytest.raises(EstimationError, match=r"`paid_usd` has values below 0 \(\d+ cell-months"):
        count_effects(reduced(amounts), outcome="paid_usd")
    linear = count_effects(
        reduced(amounts), outcome="paid_usd", link="identity", scale="difference"
    )
    assert np.isfinite(linear.estimate).all()
    with pytest.raises(EstimationError, match="expected to be 0 or less"):
        count_effects(reduced(amounts), outcome="paid_usd", link="identity")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("by", "year"),
        ("scale", "log"),
        ("link", "logit"),
        ("comparison", "controls"),
        ("weights", "none"),
        ("small_sample", "hc1"),
        ("anticipation_months", -1),
        ("cluster", "plan"),
    ],
)
def test_refuses_unknown_options(option: str, value: object) -> None:
    with pytest.raises(EstimationError, match=option):
        count_effects(changed(), outcome="visits", **{option: value})


def test_refuses_an_unknown_outcome() -> None:
    with pytest.raises(EstimationError, match="no outcome `stays`"):
        count_effects(changed(), outcome="stays")


def test_row_order_ids_and_never_covered_members_move_nothing() -> None:
    frame = panel(seed=16)
    rng = np.random.default_rng(1)
    renamed = frame.assign(member_id=rng.permutation(10_000)[frame["member_id"]])
    tables: list[EffectTable] = [
        count_effects(reduced(f), outcome="visits", by="event_time")
        for f in (frame, renamed.sample(frac=1, random_state=1))
    ]
    np.testing.assert_allclose(tables[0].estimate, tables[1].estimate, atol=1e-12)
    np.testing.assert_allclose(tables[0].covariance, tables[1].covariance, atol=1e-12)
