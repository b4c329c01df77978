"""Factors of units: coefficients and intervals against theory and statsmodels."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import integration_factors
from calaim_eval.integration.success.factors import _identified


@pytest.fixture
def units():
    """40 counties by 2 plans, with noise of the county."""
    rng = np.random.default_rng(5)
    county = np.repeat([f"c{i:02}" for i in range(40)], 2)
    frame = pd.DataFrame(
        {
            "county": county,
            "pilot": np.repeat(rng.integers(0, 2, 40), 2),
            "money": rng.normal(size=80),
            "plan_model": np.tile(["coop", "local"], 40),
        }
    )
    noise = np.repeat(rng.normal(size=40), 2) + rng.normal(size=80)
    frame["closure"] = 0.3 + 0.2 * frame["pilot"] - 0.1 * frame["money"] + 0.1 * noise
    return frame


def test_coefficients_are_those_of_least_squares(units):
    table = integration_factors(
        units, outcome="closure", factors=["pilot", "money"], categorical=["plan_model"]
    )
    x = sm.add_constant(
        np.column_stack([units["pilot"], units["money"], units["plan_model"] == "local"])
    )
    assert list(table.keys["term"]) == ["pilot", "money", "plan_model=local"]
    np.testing.assert_allclose(
        table.estimate, sm.OLS(units["closure"], x.astype(float)).fit().params[1:], rtol=1e-10
    )
    assert not table.estimand.is_causal
    assert "not an effect" in table.estimand.contrast


def test_without_clusters_the_jackknife_is_hc3_times_its_share(units):
    table = integration_factors(units, outcome="closure", factors=["pilot", "money"], cluster=None)
    x = sm.add_constant(units[["pilot", "money"]].to_numpy(dtype=float))
    hc3 = sm.OLS(units["closure"].to_numpy(), x).fit(cov_type="HC3").cov_params()[1:, 1:]
    np.testing.assert_allclose(table.covariance, hc3 * 79 / 80, rtol=1e-9)
    assert (table.degrees == 79).all()


def test_clusters_are_left_out_whole(units):
    table = integration_factors(units, outcome="closure", factors=["pilot", "money"])
    x = sm.add_constant(units[["pilot", "money"]].to_numpy(dtype=float))
    y = units["closure"].to_numpy()
    whole = np.linalg.lstsq(x, y, rcond=None)[0]
    kept = [(units["county"] != c).to_numpy() for c in units["county"].unique()]
    left = np.array([np.linalg.lstsq(x[k], y[k], rcond=None)[0] - whole for k in kept])
    np.testing.assert_allclose(table.covariance, (left.T @ left)[1:, 1:] * 39 / 40, rtol=1e-8)
    assert list(table.cluster_influence.index) == sorted(units["county"].unique())


def test_odds_ratio_of_one_factor_is_that_of_the_two_by_two_table():
    counts = {(1, 1): 30, (1, 0): 20, (0, 1): 15, (0, 0): 45}
    rows = [pair for pair, n in counts.items() for _ in range(n)]
    frame = pd.DataFrame(rows, columns=["prior_contract", "participates"])
    table = integration_factors(
        frame, outcome="participates", factors=["prior_contract"], model="logit", cluster=None
    )
    assert table.estimate[0] == pytest.approx(30 * 45 / (20 * 15), rel=1e-7)
    assert table.estimand.scale == "ratio"
    assert table.support["n_members"].tolist() == [50]
    # The jackknife is a little wider than Woolf's standard error, by a few units in a hundred.
    woolf = np.sqrt(1 / 30 + 1 / 20 + 1 / 15 + 1 / 45)
    assert woolf < table.std_error[0] / table.estimate[0] < 1.05 * woolf


def test_intervals_cover_with_twelve_counties():
    rng = np.random.default_rng(1)
    county = np.repeat(np.arange(12), 5)
    covered = 0
    for _ in range(300):
        pilot = np.repeat(rng.permutation(np.arange(12) % 2), 5)
        y = 0.5 * pilot + np.repeat(rng.normal(size=12), 5) + rng.normal(size=60)
        frame = pd.DataFrame({"county": county, "pilot": pilot, "y": y})
        row = integration_factors(frame, outcome="y", factors=["pilot"]).to_frame().iloc[0]
        covered += row["conf_low"] <= 0.5 <= row["conf_high"]
    # 95 % less three Monte Carlo errors at 300 draws; CRV3 may cover more, never much less.
    assert covered / 300 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300)


def test_a_factor_that_one_county_carries_has_no_interval(units):
    units["coordinator"] = (units["county"] == "c07").astype(int)
    table = integration_factors(units, outcome="closure", factors=["pilot", "coordinator"])
    assert np.isfinite(table.estimate).all()
    assert np.isfinite(table.std_error[0])
    assert np.isnan(table.std_error[1])
    assert any("no estimate of coordinator" in note for note in table.notes)


def test_support_counts_members_on_the_smaller_side(units):
    units["members"] = np.where(units["pilot"] == 1, 3, 10)
    table = integration_factors(
        units, outcome="closure", factors=["pilot", "money"], members="members"
    )
    by_side = units.groupby("pilot")["members"].sum()
    assert table.support["n_members"].tolist() == [by_side.min(), by_side.sum()]


def test_a_mixed_model_is_that_of_statsmodels_with_its_parts_told(units):
    table = integration_factors(units, outcome="closure", factors=["pilot", "money"], model="mixed")
    x = sm.add_constant(units[["pilot", "money"]].to_numpy(dtype=float))
    fit = sm.MixedLM(units["closure"].to_numpy(), x, groups=units["county"]).fit(reml=True)
    np.testing.assert_allclose(table.estimate, fit.fe_params[1:], rtol=1e-6)
    np.testing.assert_allclose(table.std_error, fit.bse_fe[1:], rtol=1e-6)
    assert table.method.options["sd_intercept"] == pytest.approx(np.sqrt(fit.cov_re[0, 0]))


@pytest.mark.parametrize("model", ["linear", "logit"])
def test_scale_and_order_do_not_matter(units, model):
    units["closes"] = units["closure"] > units["closure"].median()
    arguments = {"outcome": "closes", "model": model}
    table = integration_factors(units, factors=["pilot", "money"], **arguments)
    other = units.assign(money=1000 * units["money"]).sample(frac=1, random_state=1)
    again = integration_factors(other, factors=["money", "pilot"], **arguments)
    rescaled = again.estimate[0] ** 1000 if model == "logit" else 1000 * again.estimate[0]
    np.testing.assert_allclose([again.estimate[1], rescaled], table.estimate, rtol=1e-6)


def test_units_set_aside_are_counted(units):
    units.loc[[3, 9], "money"] = np.nan
    units.loc[5, "closure"] = np.nan
    table = integration_factors(units, outcome="closure", factors=["money"])
    assert "3 of 80" in table.notes[0]


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, {"factors": []}, "no factor is named"),
        ({"pilot": 1}, {"factors": ["pilot"]}, "not vary"),
        ({}, {"factors": ["pilot"], "slopes": ["pilot"]}, "`slopes` is for"),
        ({"closure": 0.5}, {"factors": ["pilot"]}, "one value in all 80 units"),
        ({"county": "one"}, {"factors": ["pilot"]}, "1 clusters; 6 are needed"),
        ({}, {"factors": ["pilot"], "model": "logit"}, "not 0 or 1"),
        ({}, {"factors": ["pilot"], "model": "mixed", "cluster": None}, "cluster of its own"),
        (
            {"closure": lambda f: f["pilot"]},
            {"factors": ["pilot"], "model": "logit"},
            "tell the 80 units",
        ),
        (
            {"twice": lambda f: 2 * f["pilot"]},
            {"factors": ["pilot", "twice"]},
            "follows exactly from",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(units, change, arguments, message):
    with pytest.raises(EstimationError, match=message):
        integration_factors(units.assign(**change), outcome="closure", **arguments)


def test_too_few_units_are_refused(units):
    with pytest.raises(EstimationError, match=r"8 units .* 2 terms; 5 a term are needed \(10\)"):
        integration_factors(
            units.head(8), outcome="closure", factors=["pilot", "money"], cluster=None
        )


def test_absent_and_negative_columns_are_named(units):
    with pytest.raises(TableError, match="lacks `rurality`"):
        integration_factors(units, outcome="closure", factors=["rurality"])
    with pytest.raises(TableError, match=r"`members` is missing or negative in 80 of 80 units"):
        integration_factors(
            units.assign(members=-1), outcome="closure", factors=["pilot"], members="members"
        )


@pytest.mark.parametrize("value", ["30 %", np.inf])
def test_an_outcome_that_cannot_be_read_is_not_a_missing_one(units, value):
    units["closure"] = units["closure"].astype(object)
    units.loc[3, "closure"] = value
    with pytest.raises(TableError, match="infinite or no number in 1 of 80"):
        integration_factors(units, outcome="closure", factors=["pilot"])


def test_a_slope_in_dollars_is_the_one_in_millions():
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(20), 10), rng.uniform(0, 10, 200)
    y = rng.normal(size=20)[g] + rng.normal(1, 0.5, 20)[g] * x + rng.normal(size=200)
    parts = [
        integration_factors(
            pd.DataFrame({"y": y, "x": k * x, "county": g}),
            outcome="y",
            factors=["x"],
            model="mixed",
            slopes=["x"],
        ).method.options
        for k in (1.0, 1e6)
    ]
    assert parts[1]["sd_x"] * 1e6 == pytest.approx(parts[0]["sd_x"], rel=1e-3)
    assert parts[1]["sd_intercept"] == pytest.approx(parts[0]["sd_intercept"], rel=1e-3)


def test_terms_are_told_apart_without_a_square_of_the_units():
    """Of 20,000 units the whole rotation would be 3 GB; three terms need a triangle of three."""
    x = np.column_stack([np.ones(20_000), np.arange(20_000) % 7, np.arange(20_000) % 7])
    np.testing.assert_array_equal(_identified(x), [True, False, False])


def test_a_category_that_only_units_set_aside_have_is_left_out(units):
    units["plan_model"] = units["plan_model"].astype(object)
    units.loc[[0, 1], "plan_model"] = "a regional one"
    units.loc[[0, 1], "closure"] = np.nan
    table = integration_factors(
        units, outcome="closure", factors=["pilot"], categorical=["plan_model"]
    )
    assert table.keys["term"].tolist() == ["pilot", "plan_model=local"]
    rest = integration_factors(
        units.iloc[2:], outcome="closure", factors=["pilot"], categorical=["plan_model"]
    )
    np.testing.assert_allclose(table.estimate, rest.estimate, rtol=1e-12)


def test_a_category_with_one_level_left_is_named(units):
    units.loc[units["plan_model"] == "coop", "closure"] = np.nan
    with pytest.raises(EstimationError, match="`plan_model=local` does not vary"):
        integration_factors(units, outcome="closure", factors=["money"], categorical=["plan_model"])


@pytest.fixture
def shares(units):
    """Units with referrals, 8 to 200 each, and the share of them closed."""
    rng = np.random.default_rng(2)
    n = rng.integers(8, 200, len(units))
    rate = 1 / (1 + np.exp(0.4 - 0.8 * units["pilot"] + 0.3 * units["money"]))
    return units.assign(n_referrals=n, closure=rng.binomial(n, rate) / n)


def test_a_share_counts_by_its_referrals(shares):
    """The same as one row a referral."""
    table = integration_factors(
        shares, outcome="closure", factors=["pilot", "money"], model="logit", trials="n_referrals"
    )
    closed = np.round(shares["closure"] * shares["n_referrals"]).astype(int)
    one_each = shares.loc[shares.index.repeat(shares["n_referrals"])].assign(
        closes=np.concatenate(
            [[1] * c + [0] * (n - c) for c, n in zip(closed, shares["n_referrals"], strict=True)]
        )
    )
    long = integration_factors(
        one_each, outcome="closes", factors=["pilot", "money"], model="logit"
    )
    np.testing.assert_allclose(table.estimate, long.estimate, rtol=1e-7)
    np.testing.assert_allclose(table.std_error, long.std_error, rtol=1e-5)
    assert table.estimand.scale == "ratio"
    assert table.method.options["trials"] == "n_referrals"


def test_shares_that_are_none_are_refused(shares):
    arguments = {"outcome": "closure", "factors": ["pilot"], "trials": "n_referrals"}
    with pytest.raises(EstimationError, match="`trials` is for model='logit'"):
        integration_factors(shares, **arguments)
    with pytest.raises(TableError, match="in 1 of 80 units"):
        integration_factors(
            shares.assign(n_referrals=shares["n_referrals"].mask(shares.index == 4, 0)),
            model="logit",
            **arguments,
        )
    apart = shares.assign(closure=shares["pilot"].astype(float))
    with pytest.raises(EstimationError, match="tell the 80 units"):
        integration_factors(apart, model="logit", **arguments)


@pytest.mark.parametrize("trials", [None, "n_referrals"])
def test_odds_ratios_do_not_depend_on_where_a_factor_is_counted_from(shares, trials):
    rng = np.random.default_rng(2)
    years = np.resize(np.arange(4.0), len(shares))
    chance = 1 / (1 + np.exp(-0.4 * (years - 1.5)))
    units = shares.assign(years=years, calendar=2022 + years)
    units["closes"] = (
        rng.random(len(units)) < chance
        if trials is None
        else rng.binomial(units["n_referrals"], chance) / units["n_referrals"]
    )
    later, calendar = (
        integration_factors(units, outcome="closes", factors=[f], model="logit", trials=trials)
        for f in ("years", "calendar")
    )
    np.testing.assert_allclose(calendar.estimate, later.estimate, rtol=1e-7)
    np.testing.assert_allclose(calendar.std_error, later.std_error, rtol=1e-6)


@pytest.mark.parametrize("trials", [None, "n_referrals"])
def test_a_rare_factor_of_units_that_all_close_has_no_odds_ratio(shares, trials):
    rare = np.arange(len(shares)) % 9 == 0
    closes = np.arange(len(shares)) % 2 if trials is None else 0.5
    units = shares.assign(
        rare=rare,
        money=np.random.default_rng(4).normal(size=len(shares)),
        closes=np.where(rare, 1.0, closes),
        n_referrals=1000 * shares["n_referrals"],
    )
    with pytest.raises(EstimationError, match="separation"):
        integration_factors(
            units, outcome="closes", factors=["rare", "money"], model="logit", trials=trials
        )


def test_random_slopes_do_not_depend_on_where_a_factor_is_counted_from():
    rng = np.random.default_rng(3)
    years = np.tile(np.arange(6.0), 40)
    own, slope = (np.repeat(rng.normal(0, sd, 40), 6) for sd in (0.1, 0.03))
    units = pd.DataFrame(
        {
            "county": np.repeat(np.arange(40), 6),
            "years": years,
            "calendar": 2019 + years,
            "closure": 0.3 + own + (0.03 + slope) * years + rng.normal(0, 0.1, 240),
        }
    )
    later, calendar = (
        integration_factors(units, outcome="closure", factors=[f], model="mixed", slopes=[f])
        for f in ("years", "calendar")
    )
    np.testing.assert_allclose(calendar.estimate, later.estimate, rtol=1e-5)
    np.testing.assert_allclose(calendar.std_error, later.std_error, rtol=1e-4)
    parts = later.method.options
    assert calendar.method.options["sd_calendar"] == pytest.approx(parts["sd_years"], rel=1e-3)
    # The intercept of the county is that where the factor is 0, as statsmodels has it.
    x = sm.add_constant(units[["years"]].to_numpy())
    fit = sm.MixedLM(units["closure"].to_numpy(), x, groups=units["county"], exog_re=x).fit()
    assert parts["sd_intercept"] == pytest.approx(np.sqrt(fit.cov_re[0, 0]), rel=1e-3)
    assert parts["sd_years"] == pytest.approx(np.sqrt(fit.cov_re[1, 1]), rel=1e-3)
    assert parts["reml_criterion"] == pytest.approx(-2 * fit.llf, abs=1e-3)
