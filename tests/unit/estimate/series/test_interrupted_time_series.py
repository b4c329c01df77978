"""Segmented regression: against least squares written out, identities, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel

from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.estimate import InterruptedSeriesEffects, interrupted_time_series
from calaim_eval.moments import reduce_panel

N, BREAK = 48, "2022-01"


def series(seed: int = 0, *, months: int = N) -> pd.DataFrame:
    """Monthly counts from 2020 on with a step and a bend in 2022, autocorrelated."""
    rng = np.random.default_rng(seed)
    t = np.arange(months)
    member_months = rng.integers(900, 1_400, months)
    noise = np.zeros(months)
    for month in range(1, months):
        noise[month] = 0.5 * noise[month - 1] + 0.03 * rng.normal()
    mean = np.exp(-2 + 0.01 * t + (t >= 24) * (0.3 - 0.02 * (t - 24)) + noise)
    return pd.DataFrame(
        {
            "month": pd.period_range("2020-01", periods=months, freq="M"),
            "visits": rng.poisson(member_months * mean),
            "member_months": member_months,
            "rate": mean,
        }
    )


def design(months: int = N, first: int = 24) -> np.ndarray:
    t = np.arange(months)
    after = t >= first
    return np.column_stack([np.ones(months), t - first, after, np.where(after, t - first, 0)])


def by_term(table: InterruptedSeriesEffects, side: str = "exposed") -> pd.DataFrame:
    frame = table.to_frame()
    return frame[frame["series"] == side].set_index("term")


def newey_west(x: np.ndarray, residual: np.ndarray, lag: int) -> np.ndarray:
    """Newey and West (1987) written out, times n/(n-k)."""
    scores = x * residual[:, None]
    meat = sum(np.outer(s, s) for s in scores)
    for step in range(1, lag + 1):
        for t in range(step, len(x)):
            pair = np.outer(scores[t], scores[t - step])
            meat = meat + (1 - step / (lag + 1)) * (pair + pair.T)
    bread = np.linalg.inv(x.T @ x)
    return bread @ meat @ bread * len(x) / (len(x) - x.shape[1])


def test_level_slope_and_error_by_hand() -> None:
    frame = series(1)
    x, y = design(), frame["rate"].to_numpy()
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    covariance = newey_west(x, y - x @ beta, 3)
    table = interrupted_time_series(
        frame, outcome="rate", break_month=BREAK, lag=3, months_after=[0, 6, 23]
    )
    loads = {
        "level_change": [0, 0, 1, 0],
        "slope_change": [0, 0, 0, 1],
        "effect_after_0": [0, 0, 1, 0],
        "effect_after_6": [0, 0, 1, 6],
        "effect_after_23": [0, 0, 1, 23],
        "average_effect": [0, 0, 1, 11.5],
    }
    assert table.keys["term"].tolist() == list(loads)
    w = np.array(list(loads.values()), dtype=float)
    np.testing.assert_allclose(table.estimate, w @ beta, atol=1e-12)
    np.testing.assert_allclose(table.covariance, w @ covariance @ w.T, rtol=1e-9, atol=1e-18)
    assert table.keys["break_month"].unique().tolist() == [pd.Timestamp("2022-01-01")]


def test_a_step_alone_by_hand_with_one_break_and_with_two() -> None:
    frame = series(2)
    y, month = frame["rate"].to_numpy(), np.arange(N)
    breaks = {"break_month": BREAK, "second_break_month": "2023-01"}
    for n_breaks in (1, 2):
        steps = [month >= first for first in (24, 36)[:n_breaks]]
        x = np.column_stack([np.ones(N), month - 24, *steps])
        beta = np.linalg.lstsq(x, y, rcond=None)[0]
        covariance = newey_west(x, y - x @ beta, 3)
        table = interrupted_time_series(
            frame, outcome="rate", change="level", lag=3, **dict([*breaks.items()][:n_breaks])
        )
        assert table.keys["term"].tolist() == ["level_change", "average_effect"] * n_breaks
        # A step is the same in all months, so its average is itself.
        w = np.repeat(np.eye(2 + n_breaks)[2:], 2, axis=0)
        np.testing.assert_allclose(table.estimate, w @ beta, atol=1e-12)
        np.testing.assert_allclose(table.covariance, w @ covariance @ w.T, rtol=1e-9, atol=1e-18)


def test_default_lag_is_the_rule_of_thumb() -> None:
    options = {"outcome": "rate", "break_month": BREAK, "errors": "independent"}
    table = interrupted_time_series(series(1), **options)
    same = interrupted_time_series(series(1), **options, lag=3)
    assert table.method.options["lag"] == 3  # 4 (48/100)^(2/9) = 3.4
    np.testing.assert_array_equal(table.covariance, same.covariance)


@pytest.mark.parametrize(
    ("options", "errors", "std_error"),
    [
        ({}, "ar1", "model"),
        ({"std_error": "model"}, "ar1", "model"),
        ({"errors": "ar1"}, "ar1", "model"),
        ({"errors": "independent"}, "independent", "newey_west"),
        ({"std_error": "newey_west"}, "independent", "newey_west"),
        ({"lag": 2}, "independent", "newey_west"),
        ({"errors": "ar1", "lag": 2}, "ar1", "newey_west"),
        ({"model": "quasi_poisson"}, "independent", "newey_west"),
        ({"model": "quasi_poisson", "std_error": "model"}, "independent", "model"),
    ],
)
def test_one_answer_to_autocorrelation_where_none_is_named(options, errors, std_error) -> None:
    given = {"outcome": "visits", "member_months": "member_months", "break_month": BREAK}
    used = interrupted_time_series(series(1), **given, **options).method.options
    assert (used["errors"], used["std_error"]) == (errors, std_error)


def test_difference_to_the_comparison_is_the_series_of_differences() -> None:
    arms = pd.concat([series(2).assign(arm="a"), series(3).assign(arm="b")])
    options = {"outcome": "rate", "break_month": BREAK, "lag": 4}
    table = interrupted_time_series(arms, **options, stratum="arm", comparison={"arm": "b"})
    apart = series(2)
    apart["rate"] -= series(3)["rate"]
    alone = interrupted_time_series(apart, **options)
    rows = table.keys["series"] == "difference"
    np.testing.assert_allclose(table.select(rows).estimate, alone.estimate, atol=1e-12)
    np.testing.assert_allclose(table.select(rows).covariance, alone.covariance, rtol=1e-9)
    assert table.keys["arm"].unique().tolist() == ["a"]
    for side, seed in (("exposed", 2), ("comparison", 3)):
        single = interrupted_time_series(series(seed), **options)
        own = table.select(table.keys["series"] == side)
        np.testing.assert_allclose(own.estimate, single.estimate, atol=1e-12)
        np.testing.assert_allclose(own.covariance, single.covariance, rtol=1e-9)


def test_strata_are_joint_and_equal_strata_give_no_difference() -> None:
    arms = pd.concat([series(4).assign(arm=a) for a in "ab"])
    table = interrupted_time_series(arms, outcome="rate", break_month=BREAK, stratum="arm")
    gap = table.combine(np.array([[1, 0, 0, 0, -1, 0, 0, 0.0]]), keys=pd.DataFrame({"of": ["gap"]}))
    assert gap.estimate[0] == pytest.approx(0, abs=1e-12)
    assert gap.covariance[0, 0] == pytest.approx(0, abs=1e-18)


def test_quasi_poisson_ratios_against_their_definition() -> None:
    import statsmodels.api as sm

    frame = series(5)
    x = design()
    fit = sm.GLM(
        frame["visits"].to_numpy(),
        x,
        family=sm.families.Poisson(),
        offset=np.log(frame["member_months"].to_numpy()),
    ).fit(scale="X2", tol=1e-12)
    table = interrupted_time_series(
        frame,
        outcome="visits",
        member_months="member_months",
        break_month=BREAK,
        model="quasi_poisson",
        std_error="model",
        months_after=[12],
    )

    def log_ratios(beta: np.ndarray) -> np.ndarray:
        after = np.arange(24, N)
        exposure = frame["member_months"].to_numpy()[after]
        line = np.exp(x[after] @ beta)
        otherwise = np.exp(x[after, :2] @ beta[:2])
        average = np.log((exposure * line).sum() / (exposure * otherwise).sum())
        return np.array([beta[2], beta[3], beta[2] + 12 * beta[3], average])

    beta = fit.params
    np.testing.assert_allclose(table.estimate, np.exp(log_ratios(beta)), rtol=1e-8)
    step = 1e-6
    gradient = np.array(
        [
            (log_ratios(beta + step * e) - log_ratios(beta - step * e)) / (2 * step)
            for e in np.eye(4)
        ]
    ).T
    expected = gradient @ fit.cov_params() @ gradient.T
    found = table.covariance / np.outer(table.estimate, table.estimate)
    # 1e-6: the numerical derivative.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-10)
    assert table.estimand.scale == "ratio"
    assert table.diagnostics["dispersion"].item() == pytest.approx(fit.scale, rel=1e-8)


def test_comparison_of_ratios_is_a_ratio_of_ratios() -> None:
    arms = pd.concat([series(6).assign(arm="a"), series(7).assign(arm="b")])
    table = interrupted_time_series(
        arms,
        outcome="visits",
        member_months="member_months",
        break_month=BREAK,
        model="quasi_poisson",
        stratum="arm",
        comparison={"arm": "b"},
    )
    sides = [by_term(table, s)["estimate"] for s in ("exposed", "comparison", "difference")]
    np.testing.assert_allclose(sides[2], sides[0] / sides[1], rtol=1e-12)


def test_phase_in_months_do_not_bear_on_anything() -> None:
    frame = series(8)
    options = {"outcome": "rate", "break_month": BREAK, "phase_in_months": 3, "lag": 0}
    table = interrupted_time_series(frame, **options)
    wild = frame.copy()
    wild.loc[24:26, "rate"] = 99.0
    again = interrupted_time_series(wild, **options)
    np.testing.assert_allclose(again.estimate, table.estimate, atol=1e-9)
    np.testing.assert_allclose(again.covariance, table.covariance, rtol=1e-7)
    used = np.r_[:24, 27:N]
    x = design(first=27)[used]
    beta = np.linalg.lstsq(x, frame["rate"].to_numpy()[used], rcond=None)[0]
    assert table.estimate[0] == pytest.approx(beta[2], abs=1e-12)
    # The effect 23 months after the break is 20 months along the new line.
    assert table.estimate[2] == pytest.approx(beta[2] + 20 * beta[3], abs=1e-12)
    assert "Months left out (phase-in and named months): 3 of 48." in table.notes
    by_name = interrupted_time_series(
        frame,
        outcome="rate",
        break_month="2022-04",
        left_out_months=["2022-01", "2022-02", "2022-03"],
        lag=0,
    )
    np.testing.assert_allclose(by_name.estimate[:2], table.estimate[:2], atol=1e-12)


def test_a_second_break_is_added_to_the_first() -> None:
    frame = series(9, months=60)
    t = np.arange(60)
    x = np.column_stack([design(60), t >= 40, np.where(t >= 40, t - 40, 0)])
    beta = np.linalg.lstsq(x, frame["rate"].to_numpy(), rcond=None)[0]
    table = interrupted_time_series(
        frame,
        outcome="rate",
        break_month=BREAK,
        second_break_month="2023-05",
        months_after=[4],
        errors="independent",
    )
    assert table.keys["term"].tolist() == 2 * [
        "level_change",
        "slope_change",
        "effect_after_4",
        "average_effect",
    ]
    expected = [
        *(beta[2], beta[3], beta[2] + 4 * beta[3], beta[2] + 7.5 * beta[3]),
        *(beta[4], beta[5], beta[4] + 4 * beta[5], beta[4] + 9.5 * beta[5]),
    ]
    np.testing.assert_allclose(table.estimate, expected, atol=1e-11)
    line = table.counterfactual["counterfactual"].to_numpy()
    assert np.isnan(line[:24]).all()
    np.testing.assert_allclose(line[24:], x[24:, :2] @ beta[:2], atol=1e-12)


def test_season_of_months_is_one_level_a_month() -> None:
    frame = series(10)
    month = np.arange(N) % 12
    wave = 0.2 * np.sin(2 * np.pi * month / 12) + 0.05 * (month == 7)
    shifted = frame.assign(rate=frame["rate"] + wave)
    options = {"outcome": "rate", "break_month": BREAK, "seasonality": "months"}
    both = [interrupted_time_series(f, **options) for f in (frame, shifted)]
    np.testing.assert_allclose(both[0].estimate, both[1].estimate, atol=1e-10)
    np.testing.assert_allclose(both[0].covariance, both[1].covariance, rtol=1e-6)
    # Six harmonics span the same twelve levels.
    waves = interrupted_time_series(
        shifted, outcome="rate", break_month=BREAK, seasonality="harmonic", harmonics=6
    )
    np.testing.assert_allclose(waves.estimate, both[0].estimate, atol=1e-10)
    one = interrupted_time_series(
        shifted, outcome="rate", break_month=BREAK, seasonality="harmonic", harmonics=1
    )
    assert one.coefficients["name"].tolist()[-2:] == ["sine_1", "cosine_1"]


def test_moments_are_the_frame_of_their_sums() -> None:
    panel = long_panel()
    moments = reduce_panel(panel, outcomes=["visits"], stratum="group", unbalanced="cell_means")
    sums = panel.groupby(["group", "month"], as_index=False).agg(
        visits=("visits", "sum"), member_months=("member_id", "size")
    )
    options = {"outcome": "visits", "break_month": 12, "per": 1_000.0}
    for more in (
        {},
        {"weights": "member_months"},
        {"model": "quasi_poisson", "std_error": "model"},
    ):
        by_moments = interrupted_time_series(moments, **options, **more)
        by_frame = interrupted_time_series(
            sums, **options, **more, member_months="member_months", stratum="group"
        )
        np.testing.assert_allclose(by_moments.estimate, by_frame.estimate, rtol=1e-9)
        np.testing.assert_allclose(by_moments.covariance, by_frame.covariance, rtol=1e-8)
    group = sums[sums["group"] == "x"]
    before, after = group[group["month"] < 12], group[group["month"] >= 12]
    row = by_moments.support.iloc[0]
    assert row["member_months"] == min(x["member_months"].sum() for x in (before, after))
    assert row["n_events"] == min(x["visits"].sum() for x in (before, after))
    assert by_moments.keys["group"].tolist() == 4 * ["x"] + 4 * ["y"]


def test_amounts_of_moments_are_put_back_on_their_level() -> None:
    panel = long_panel()
    panel["paid_usd"] = 5_000 + 12.34 * panel["visits"]
    panel.loc[panel["member_id"] % 4 == 0, "paid_usd"] = 0.0
    sums = panel.groupby("month", as_index=False).agg(
        paid_usd=("paid_usd", "sum"), member_months=("member_id", "size")
    )
    moments = reduce_panel(panel, outcomes=["paid_usd"], unbalanced="cell_means")
    options = {"outcome": "paid_usd", "break_month": 12, "errors": "independent"}
    by_moments = interrupted_time_series(moments, **options)
    by_frame = interrupted_time_series(sums, **options, member_months="member_months")
    np.testing.assert_allclose(by_moments.estimate, by_frame.estimate, rtol=1e-7)
    np.testing.assert_allclose(by_moments.covariance, by_frame.covariance, rtol=1e-7)
    paid = panel[panel["paid_usd"] > 0].groupby(panel["month"] >= 12).size()
    assert by_moments.support["n_events"].tolist() == 4 * [paid.min()]
    # How many amounts are not 0 a frame of sums does not say: one, which disclosure hides.
    assert by_frame.support["n_events"].tolist() == 4 * [1]


def long_panel(members: int = 90, months: int = 24) -> pd.DataFrame:
    """Members of two groups in 24 months, a third exposed from month 12 on."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(members), months),
            "month": np.tile(np.arange(months), members),
            "group": np.repeat(np.where(np.arange(members) % 2, "x", "y"), months),
            "cohort": np.repeat(np.where(np.arange(members) % 3 == 0, 12.0, np.nan), months),
        }
    )
    frame["visits"] = rng.poisson(0.5, len(frame))
    return frame[rng.random(len(frame)) < 0.9].reset_index(drop=True)


def test_exposed_against_never_exposed_and_one_cohort() -> None:
    panel = long_panel()
    moments = reduce_panel(panel, outcomes=["visits"], unbalanced="cell_means")
    table = interrupted_time_series(
        moments, outcome="visits", break_month=12, comparison="never_exposed"
    )
    for side, rows in (
        ("exposed", panel["cohort"].notna()),
        ("comparison", panel["cohort"].isna()),
    ):
        sums = (
            panel[rows]
            .groupby("month", as_index=False)
            .agg(visits=("visits", "sum"), member_months=("member_id", "size"))
        )
        alone = interrupted_time_series(
            sums, outcome="visits", member_months="member_months", break_month=12
        )
        own = table.select(table.keys["series"] == side)
        np.testing.assert_allclose(own.estimate, alone.estimate, atol=1e-12)
        np.testing.assert_allclose(own.covariance, alone.covariance, rtol=1e-9)
    cohort = interrupted_time_series(moments, outcome="visits", break_month=12, cohort=12)
    exposed = table.select(table.keys["series"] == "exposed")
    np.testing.assert_allclose(cohort.estimate, exposed.estimate, atol=1e-12)
    assert not any("several months" in note for note in (*table.notes, *cohort.notes))
    staggered = panel.assign(cohort=panel["cohort"] + (panel["member_id"] % 2))
    mixed = interrupted_time_series(
        reduce_panel(staggered, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        break_month=12,
        comparison="never_exposed",
    )
    assert any("first exposed in several months" in note for note in mixed.notes)
    with pytest.raises(DesignError, match="no member-months in the cohort asked for"):
        interrupted_time_series(moments, outcome="visits", break_month=12, cohort=7)


def test_missing_months_are_counted_and_bear_on_the_lags_only() -> None:
    frame = series(11)
    gap = frame.drop(index=[5, 30])
    options = {"outcome": "rate", "break_month": BREAK, "lag": 2}
    table = interrupted_time_series(gap, **options)
    named = interrupted_time_series(frame, **options, left_out_months=["2020-06", "2022-07"])
    np.testing.assert_allclose(table.estimate, named.estimate, atol=1e-12)
    np.testing.assert_allclose(table.covariance, named.covariance, rtol=1e-9)
    assert any(note.startswith("Months without observation: up to 2 of 48") for note in table.notes)


def test_diagnostics_are_those_of_statsmodels() -> None:
    from statsmodels.stats.diagnostic import acorr_ljungbox
    from statsmodels.stats.stattools import durbin_watson
    from statsmodels.tsa.stattools import acf

    frame = series(12)
    x, y = design(), frame["rate"].to_numpy()
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    table = interrupted_time_series(frame, outcome="rate", break_month=BREAK, errors="independent")
    row = table.diagnostics.iloc[0]
    assert row["durbin_watson"] == pytest.approx(durbin_watson(residual), rel=1e-10)
    expected = acorr_ljungbox(residual, lags=[row["ljung_box_lags"]]).iloc[0]
    assert row["ljung_box"] == pytest.approx(expected["lb_stat"], rel=1e-10)
    assert row["ljung_box_p_value"] == pytest.approx(expected["lb_pvalue"], rel=1e-8)
    found = table.autocorrelation["autocorrelation"]
    np.testing.assert_allclose(found, acf(residual, nlags=len(found))[1:], atol=1e-10)
    assert any(note.startswith("Fewer than 50 months") for note in table.notes)


def test_autocorrelated_residuals_are_said() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"month": range(120), "rate": np.cumsum(rng.normal(size=120))})
    options = {"outcome": "rate", "break_month": 60, "errors": "independent"}
    robust = interrupted_time_series(frame, **options)
    model = interrupted_time_series(frame, **options, std_error="model")
    assert any("Newey-West intervals still run too narrow" in note for note in robust.notes)
    assert any("model-based errors are too small" in note for note in model.notes)
    assert not any(note.startswith("Fewer than") for note in robust.notes)


def test_breaks_on_the_policy_calendar_are_named() -> None:
    frame = series(13).rename(columns={"rate": "pharmacy_fills"})
    table = interrupted_time_series(frame, outcome="pharmacy_fills", break_month="2022-01")
    assert table.estimand.is_causal is False
    assert any(
        note.startswith("Falls on a break") and "Medi-Cal Rx" in note for note in table.notes
    )
    visits = series(13).rename(columns={"rate": "ed_visits"})
    table = interrupted_time_series(visits, outcome="ed_visits", break_month="2022-01")
    assert table.estimand.is_causal is True
    assert any("COVID" in note for note in table.notes)
    phased = interrupted_time_series(
        visits, outcome="ed_visits", break_month="2022-02", phase_in_months=4
    )
    assert phased.estimand.is_causal is False
    assert any(note.startswith("Falls on a break") and "50+" in note for note in phased.notes)
    unknown = interrupted_time_series(series(13), outcome="rate", break_month="2022-01")
    assert any("the month of treatment" in note for note in unknown.notes)


def test_a_perfect_line_has_no_standard_error() -> None:
    frame = pd.DataFrame({"month": range(24), "rate": 3.0 + 0.25 * np.arange(24)})
    frame.loc[12:, "rate"] += 2
    table = interrupted_time_series(frame, outcome="rate", break_month=12)
    np.testing.assert_allclose(table.estimate[:2], [2, 0], atol=1e-12)
    assert np.isnan(table.std_error).all()
    np.testing.assert_allclose(table.coefficients["estimate"], [6, 0.25, 2, 0], atol=1e-12)
    assert table.coefficients["std_error"].isna().all()
    noisy = interrupted_time_series(series(1), outcome="rate", break_month=BREAK)
    assert (noisy.coefficients["std_error"] > 0).all()


def test_single_members_have_no_standard_error() -> None:
    panel = long_panel(members=6)
    moments = reduce_panel(
        panel[panel["member_id"] == 1], outcomes=["visits"], unbalanced="cell_means"
    )
    table = interrupted_time_series(moments, outcome="visits", break_month=12)
    assert np.isfinite(table.estimate).all()
    assert np.isnan(table.std_error).all()


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda f: f.iloc[[0, 40]], {}, DesignError, "too few months"),
        (lambda f: f.iloc[23:25], {}, DesignError, "2 time points are no time series"),
        (lambda f: f.iloc[18:], {}, DesignError, r"exposed: 6 before the break"),
        (lambda f: f.iloc[:30], {}, DesignError, r"exposed: 6 after the break"),
        (lambda f: f.iloc[14:], {"seasonality": "harmonic"}, DesignError, "10 before the break"),
        (
            lambda f: f,
            {"second_break_month": "2022-06"},
            DesignError,
            "exposed: 5 between the breaks",
        ),
        (lambda f: f, {"phase_in_months": 20}, DesignError, "exposed: 4 after the break"),
        (lambda f: f, {"break_month": "2019-01"}, DesignError, "must lie after 2020-01"),
        (lambda f: f, {"break_month": "2024-01"}, DesignError, "must lie after"),
        (lambda f: f, {"second_break_month": "2021-01"}, DesignError, "must come after the first"),
        (lambda f: f, {"break_month": 24}, EstimationError, "is not a month such as"),
        (lambda f: f, {"break_month": "soon"}, EstimationError, "is not a month such as"),
        (lambda f: f, {"months_after": [24]}, EstimationError, "between 0 .* and 23"),
        (lambda f: f, {"months_after": []}, EstimationError, "empty"),
        (lambda f: f, {"change": "slope"}, EstimationError, "is not one of"),
        (lambda f: f, {"change": "level", "months_after": [3]}, EstimationError, "a step alone"),
        (lambda f: f, {"cohort": "2022-01"}, EstimationError, "goes with cell moments"),
        (
            lambda f: f,
            {"left_out_months": ["2022-01", "2029-01"]},
            EstimationError,
            "1 of 2 are outside",
        ),
        (lambda f: f.to_dict(), {}, TableError, "can't read a dict"),
        (lambda f: f, {"lag": 48}, EstimationError, "give fewer"),
        (lambda f: f, {"lag": -1}, EstimationError, "give 0 or more"),
        (lambda f: f, {"min_months": 2}, EstimationError, "give 3 or more"),
        (lambda f: f, {"model": "arima"}, EstimationError, "is not one of"),
        (lambda f: f, {"weights": "rate"}, EstimationError, "is not one of"),
        (lambda f: f, {"weights": "member_months"}, EstimationError, "needs the column"),
        (lambda f: f, {"std_error": "hc3"}, EstimationError, "is not one of"),
        (lambda f: f, {"seasonality": "yes"}, EstimationError, "is not one of"),
        (
            lambda f: f,
            {"seasonality": "harmonic", "harmonics": 7},
            EstimationError,
            "give 1 to 6",
        ),
        (lambda f: f, {"model": "quasi_poisson"}, EstimationError, "needs member-months"),
        (
            lambda f: f,
            {"model": "quasi_poisson", "member_months": "member_months"},
            EstimationError,
            "needs counts",
        ),
        (lambda f: f, {"comparison": "never_exposed"}, EstimationError, "needs cell moments"),
        (lambda f: f, {"comparison": {"arm": "b"}}, EstimationError, "names 0 of 1 strata"),
        (lambda f: f, {"comparison": "b"}, EstimationError, "neither None"),
        (lambda f: f.assign(rate=1.5), {}, EstimationError, "the same in all 48 months"),
        (lambda f: f.drop(columns="rate"), {}, TableError, "lacks `rate`"),
        (lambda f: f.iloc[:0], {}, TableError, "no rows"),
        (lambda f: pd.concat([f, f.iloc[:2]]), {}, TableError, "2 of 50 rows repeat"),
        (
            lambda f: f.assign(rate=f["rate"].where(f.index != 7, np.inf)),
            {},
            TableError,
            "in 1 of 48",
        ),
        (lambda f: f.assign(rate=f["rate"].where(f.index > 1)), {}, TableError, "in 2 of 48"),
        (
            lambda f: f.assign(member_months=-1),
            {"member_months": "member_months"},
            TableError,
            "negative in 48",
        ),
    ],
)
def test_bad_input_is_refused(change, options, error, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=words):
        interrupted_time_series(
            change(series(14)), **{"outcome": "rate", "break_month": BREAK, **options}
        )


@pytest.mark.parametrize(
    ("no_events", "options"),
    [
        (lambda t: t >= 24, {}),
        (lambda t: t < 24, {}),
        (lambda t: t > 24, {}),  # events in the first month after the break alone
        (lambda t: (t >= 24) & (t < 36), {"second_break_month": "2023-01"}),
        (lambda t: t >= 26, {"phase_in_months": 2}),
        (lambda t: t % 12 == 2, {"seasonality": "months"}),
        (lambda t: t % 12 == 0, {"seasonality": "months"}),
    ],
)
def test_ratios_against_months_without_events_are_refused(no_events, options) -> None:  # type: ignore[no-untyped-def]
    frame = series(17)
    rest = frame.assign(visits=frame["visits"].mask(no_events(np.arange(N)), 0))
    given = {"outcome": "visits", "break_month": BREAK, "member_months": "member_months", **options}
    interrupted_time_series(frame, **given, model="quasi_poisson")
    with pytest.raises(EstimationError, match="no events"):
        interrupted_time_series(rest, **given, model="quasi_poisson")
    table = by_term(interrupted_time_series(rest, **given, model="ols"))
    assert table["std_error"].notna().all()


def test_few_events_in_a_segment_are_no_reason_to_refuse() -> None:
    frame = series(17)
    month = np.arange(N)
    few = frame.assign(visits=frame["visits"].where(month < 24, np.isin(month, [24, 35, 47]) * 1))
    table = interrupted_time_series(
        few,
        outcome="visits",
        break_month=BREAK,
        member_months="member_months",
        model="quasi_poisson",
    )
    assert np.isfinite(table.estimate).all()
    assert (table.estimate > 1e-4).all()


def test_collinear_terms_and_whole_number_seasons_are_refused() -> None:
    years = pd.DataFrame({"month": range(30), "rate": np.random.default_rng(1).normal(size=30)})
    options = {"outcome": "rate", "break_month": 15}
    with pytest.raises(EstimationError, match="Give season_length"):
        interrupted_time_series(years, **options, seasonality="months")
    with pytest.raises(EstimationError, match="6 months for 4 coefficients"):
        interrupted_time_series(years[:6], outcome="rate", break_month=3, min_months=3)
    with pytest.raises(EstimationError, match="season_length=1; give 2 or more"):
        interrupted_time_series(years, **options, seasonality="months", season_length=1)
    # Without January to June of any year, these months' levels are not known.
    half = series(15)
    half = half[half["month"].dt.month > 6]
    with pytest.raises(EstimationError, match=r"collinear \(rank 9 of 15\)"):
        interrupted_time_series(
            half, outcome="rate", break_month=BREAK, seasonality="months", min_months=8
        )


def test_moments_are_refused_like_frames() -> None:
    moments = reduce_panel(awkward_panel(1), outcomes=["visits"], unbalanced="cell_means")
    with pytest.raises(DesignError, match="exposed: 4 before the break"):
        interrupted_time_series(moments, outcome="visits", break_month=4)
    with pytest.raises(EstimationError, match="no outcome `stays`"):
        interrupted_time_series(moments, outcome="stays", break_month=4)
    with pytest.raises(EstimationError, match="leave out `member_months` and `stratum`"):
        interrupted_time_series(moments, outcome="visits", break_month=4, stratum="group")
    with pytest.raises(EstimationError, match="is not a whole number"):
        interrupted_time_series(moments, outcome="visits", break_month="2022-01")


def test_repr_and_plot() -> None:
    table = interrupted_time_series(series(16), outcome="rate", break_month=BREAK)
    assert repr(table).startswith("<EffectTable Interrupted time series: 4 rows by series")
    assert table.plot_series() is not None
