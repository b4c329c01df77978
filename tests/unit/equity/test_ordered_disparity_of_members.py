from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.equity import ordered_disparity, ordered_disparity_of_members
from calaim_eval.errors import DesignError, EstimationError, TableError

ORDER = ["q1", "q2", "q3", "q4"]
DESIGN = {"weight": "weight", "cluster": "site", "sampling_stratum": "region"}


def survey(n_sites: int = 12, size: int = 8, seed: int = 5) -> pd.DataFrame:
    """Members of sites in three regions; sites differ in quartile and outcome."""
    rng = np.random.default_rng(seed)
    site = np.repeat(np.arange(n_sites), size)
    level = rng.normal(0, 0.7, n_sites)[site]
    place = np.clip(np.round(1.5 + level + rng.normal(0, 1, len(site))), 0, 3).astype(int)
    chance = 1 / (1 + np.exp(0.8 - 0.4 * place - 0.5 * level))
    return pd.DataFrame(
        {
            "seen": (rng.random(len(site)) < chance).astype(float),
            "hpi": np.array(ORDER)[place],
            "weight": rng.uniform(0.5, 3, len(site)),
            "site": site,
            "region": site % 3,
        }
    )


def measured(frame, *, model="logit", **options):
    return ordered_disparity_of_members(
        frame,
        **{
            "outcome": "seen",
            "rank": "hpi",
            "order": ORDER,
            "favourable": True,
            "unit": "share",
            "limits": (0, 1),
            **DESIGN,
            **options,
        },
        model=model,
    )


def errors(found) -> pd.Series:
    return found.to_frame().set_index("measure")["std_error"]


def values(frame: pd.DataFrame, model: str = "logit") -> pd.Series:
    """The measures from the weighted rates of quartiles, by the estimator for groups."""
    sums = frame.assign(y=frame["seen"] * frame["weight"]).groupby("hpi")[["y", "weight"]].sum()
    rates = pd.DataFrame(
        {
            "hpi": sums.index,
            "rate": (sums["y"] / sums["weight"]).to_numpy(),
            "std_error": 0.01,
            "population": sums["weight"].to_numpy(),
        }
    )
    found = ordered_disparity(
        rates,
        order=ORDER,
        stratum="hpi",
        favourable=True,
        unit="share",
        model=model,
        limits=(0, 1),
        draws=2,
    )
    return found.to_frame().set_index("measure")["estimate"]


def by_hand(influence: np.ndarray, frame: pd.DataFrame) -> np.ndarray:
    """Variance of sums of clusters within strata; shape (m,)."""
    totals = pd.DataFrame(influence).groupby([frame["region"], frame["site"]]).sum()
    variance = 0.0
    for _, rows in totals.groupby(level=0):
        n = len(rows)
        variance = variance + n / (n - 1) * ((rows - rows.mean()) ** 2).sum().to_numpy()
    return variance


@pytest.mark.parametrize("model", ["linear", "logit", "log"])
def test_errors_are_those_of_small_changes_of_each_weight(model):
    frame = survey(size=4)
    found = measured(frame, model=model)
    names = errors(found).index
    step, slopes = 1e-4, []
    for i in frame.index:
        up, down = frame["weight"].copy(), frame["weight"].copy()
        up[i] *= 1 + step
        down[i] *= 1 - step
        change = values(frame.assign(weight=up), model) - values(frame.assign(weight=down), model)
        slopes.append(change[names].to_numpy() / (2 * step))
    expected = np.sqrt(by_hand(np.array(slopes), frame))
    np.testing.assert_allclose(errors(found).to_numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(
        found.to_frame().set_index("measure")["estimate"], values(frame, model)[names], rtol=1e-10
    )


def test_errors_are_near_those_of_leaving_out_each_cluster():
    frame = survey(n_sites=90)
    found = errors(measured(frame))
    variance = 0.0
    for _, region in frame.groupby("region"):
        sites = region["site"].unique()
        n = len(sites)
        left = []
        for site in sites:
            inside = (frame["region"] == region["region"].iloc[0]) & (frame["site"] != site)
            factor = np.where(inside, n / (n - 1), 1.0)
            rest = frame.assign(weight=frame["weight"] * factor)[frame["site"] != site]
            left.append(values(rest)[found.index].to_numpy())
        away = np.array(left) - np.mean(left, axis=0)
        variance = variance + (n - 1) / n * (away**2).sum(axis=0)
    np.testing.assert_allclose(found.to_numpy(), np.sqrt(variance), rtol=0.02)


@pytest.mark.filterwarnings("ignore:cov_type not fully supported")
def test_known_ranks_are_a_regression_on_them_with_clustered_errors():
    frame = survey()
    share = frame.groupby("hpi")["weight"].sum() / frame["weight"].sum()
    x = frame["hpi"].map(share.cumsum() - share / 2).to_numpy()
    design = sm.add_constant(x)
    y, w = frame["seen"].to_numpy(), frame["weight"].to_numpy()
    clustered = {"groups": frame["site"], "use_correction": False}
    few = np.sqrt(12 / 11)
    found = measured(frame, ranks="known", sampling_stratum=None)
    spread = np.average((x - 0.5) ** 2, weights=w)
    line = sm.WLS(2 * spread * y, design, weights=w).fit(cov_type="cluster", cov_kwds=clustered)
    assert errors(found)["absolute_concentration"] == pytest.approx(few * line.bse[1], rel=1e-9)
    mean = np.average(y, weights=w)
    assert errors(found)["relative_concentration"] == pytest.approx(
        few * line.bse[1] / mean, rel=1e-9
    )
    curve = sm.GLM(y, design, family=sm.families.Binomial(), var_weights=w)
    fit = curve.fit(tol=1e-14, cov_type="cluster", cov_kwds=clustered)
    low, high = (1 / (1 + np.exp(-e)) for e in (fit.params[0], fit.params.sum()))
    low_slope = low * (1 - low) * np.array([1, 0])
    slope = high * (1 - high) * np.array([1, 1]) - low_slope
    expected = few * np.sqrt(slope @ fit.cov_params() @ slope)
    assert errors(found)["slope_index"] == pytest.approx(expected, rel=1e-7)


def test_errors_hold_that_ranks_and_the_mean_are_estimated():
    """300 samples of 200 members: the spread of the indices is what their error says."""
    rng = np.random.default_rng(11)
    names = ["relative_concentration", "wagstaff_concentration"]
    found, sampled, known = [], [], []
    for i in range(300):
        income = rng.normal(0, 1, 200)
        chance = np.clip(0.8 + 0.3 * income, 0.05, 1)
        frame = pd.DataFrame({"income": income, "seen": (rng.random(200) < chance).astype(float)})
        options = {
            "rank": "income",
            "order": None,
            "model": "linear",
            "measures": names,
            **dict.fromkeys(DESIGN),
        }
        table = measured(frame, **options).differences
        found.append(table.estimate)
        sampled.append(np.sqrt(np.diag(table.covariance)))
        if i < 60:
            held = measured(frame, ranks="known", **options).differences.covariance
            known.append(np.sqrt(np.diag(held)))
    spread = np.std(found, axis=0)
    # The standard deviation of 300 values is within 10 % in 99 of 100 simulations.
    np.testing.assert_allclose(np.mean(sampled, axis=0), spread, rtol=0.1)
    low, high = np.mean(known, axis=0) / spread
    assert low < 0.8
    assert high > 1.25


def test_whole_weights_are_repeated_rows_of_a_cluster():
    frame = survey().assign(weight=lambda d: np.ceil(d["weight"]))
    often = frame.loc[frame.index.repeat(frame["weight"].astype(int))].assign(weight=1.0)
    pd.testing.assert_series_equal(errors(measured(frame)), errors(measured(often)))


def test_scaled_weights_reordered_rows_and_new_names_change_nothing():
    frame = survey()
    other = frame.sample(frac=1, random_state=2).assign(
        weight=lambda d: 7 * d["weight"], site=lambda d: "s" + d["site"].astype(str)
    )
    one, two = measured(frame), measured(other)
    np.testing.assert_allclose(one.differences.estimate, two.differences.estimate)
    np.testing.assert_allclose(one.differences.covariance, two.differences.covariance)


@pytest.mark.parametrize("model", ["linear", "logit", "log"])
def test_percent_are_a_hundred_times_shares(model):
    frame = survey()
    shares = measured(frame, model=model).to_frame().set_index("measure")
    percent = measured(frame.assign(seen=100 * frame["seen"]), model=model, limits=(0, 100))
    scaled = percent.to_frame().set_index("measure")
    for name, factor in (
        ("slope_index", 100),
        ("relative_index", 1),
        ("wagstaff_concentration", 1),
    ):
        for column in ("estimate", "std_error"):
            assert scaled.loc[name, column] == pytest.approx(factor * shares.loc[name, column])


def test_numbers_rank_as_an_order_does():
    frame = survey().assign(quartile=lambda d: d["hpi"].str[1].astype(int))
    numbers = measured(frame, rank="quartile", order=None)
    assert errors(numbers).to_dict() == errors(measured(frame)).to_dict()


def test_groups_share_clusters():
    frame = survey()
    both = pd.concat([frame.assign(half="a"), frame.assign(half="b")], ignore_index=True)
    table = measured(both, group="half").differences
    whole = measured(frame).differences
    k = len(whole)
    assert table.keys["half"].tolist() == ["a"] * k + ["b"] * k
    np.testing.assert_allclose(table.covariance[:k, k:], whole.covariance)
    apart = both.assign(site=both["site"] + 100 * (both["half"] == "b"))
    apart = apart.assign(region=apart["region"] + 10 * (apart["half"] == "b"))
    table = measured(apart, group="half").differences
    np.testing.assert_allclose(table.covariance[:k, :k], whole.covariance)
    assert not table.covariance[:k, k:].any()


def test_rows_without_outcome_or_rank_are_left_out_and_keep_the_design():
    frame = survey()
    more = frame.assign(seen=frame["seen"].where(frame.index % 9 != 0))
    more.loc[3, "hpi"] = "unknown"
    found = measured(more)
    inside = more["seen"].notna() & (more["hpi"] != "unknown")
    kept = measured(frame[inside])
    pd.testing.assert_series_equal(errors(found), errors(kept))
    assert sum("left out" in note for note in found.notes) == 2
    # A site without anybody left still counts as drawn.
    gone = frame.assign(seen=frame["seen"].where(frame["site"] != 0))
    assert measured(gone).differences.degrees[0] == 9
    assert measured(gone[gone["seen"].notna()]).differences.degrees[0] == 8


def test_rows_without_weight_are_counted_and_support_nothing():
    frame = survey()
    more = frame.assign(weight=frame["weight"].where(frame.index % 4 != 0, 0.0))
    found = measured(more)
    assert "`weight` is 0: left out (about 25 % of rows)." in found.notes
    smallest = more[more["weight"] > 0]["hpi"].value_counts().min()
    assert (found.to_frame()["n_members"] == smallest).all()


def test_measures_without_a_value_are_named():
    found = measured(survey().assign(seen=0.0), model="linear")
    frame = found.to_frame().set_index("measure")
    assert frame.loc["absolute_concentration", "estimate"] == 0
    assert frame["std_error"].isna().all()
    assert frame.loc[["relative_concentration", "relative_index"], "estimate"].isna().all()
    assert any("`relative_index`" in n and "not defined" in n for n in found.notes)


def test_a_line_that_falls_below_zero_has_no_ratio_of_its_ends():
    frame = survey().assign(seen=lambda d: (d["hpi"] == "q4").astype(float))
    found = measured(frame, model="linear").to_frame().set_index("measure")
    assert found.loc["slope_index", "estimate"] > 0.5
    assert np.isnan(found.loc["relative_index", "estimate"])


def test_a_stratum_of_one_cluster_counts_from_the_mean_of_all():
    frame = survey().assign(region=lambda d: (d["site"] == 0).astype(int))
    found = measured(frame)
    assert any("one cluster" in note for note in found.notes)
    assert found.differences.degrees[0] == 10


def test_support_is_that_of_the_smallest_rank_and_of_all_where_ranks_are_many():
    frame = survey().assign(income=lambda d: d.index.to_numpy())
    few = measured(frame).to_frame()
    sizes = frame["hpi"].value_counts()
    assert (few["n_members"] == sizes.min()).all()
    many = measured(frame, rank="income", order=None).to_frame()
    assert (many["n_members"] == len(frame)).all()
    assert (many["n_events"] == frame["seen"].sum()).all()


@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        ({}, {"rank": "race_ethnicity"}, EstimationError, "ranks nobody"),
        ({"hpi": "white"}, {"order": None}, EstimationError, "ranks nobody"),
        ({}, {"order": ["black", "white", "asian"]}, EstimationError, "ranks nobody"),
        ({}, {"order": None}, EstimationError, "not ranked by spelling"),
        ({}, {"order": ORDER[:3]}, EstimationError, "rows have a value that is not in it"),
        ({}, {"order": [*ORDER, "q5"]}, EstimationError, "on no row .q5."),
        ({"hpi": 1}, {"order": None}, EstimationError, "1 different ranks"),
        ({"seen": 2.0}, {}, EstimationError, "96 of 96 members lie outside"),
        ({"seen": -1.0}, {"model": "log", "limits": None}, EstimationError, "below 0"),
        ({"seen": "yes"}, {}, TableError, "is no number"),
        ({"seen": np.inf}, {}, TableError, "infinite in 96 of 96"),
        ({"weight": -1.0}, {}, TableError, "96 of 96 rows are missing or below 0"),
        ({"weight": 0.0}, {}, TableError, "must be above 0"),
        ({"site": None}, {}, TableError, "`site` is missing in 96 of 96"),
        ({"region": range(96)}, {}, TableError, "12 clusters .* more than one stratum"),
        ({"region": lambda d: d["site"]}, {}, EstimationError, "no degree of freedom"),
        ({}, {"ranks": "fixed"}, DesignError, "not one of 'sampled', 'known'"),
        ({}, {"measures": ["gini"]}, EstimationError, "gini"),
        ({}, {"weight": "wt"}, TableError, "lacks `wt`"),
    ],
)
def test_what_is_refused(change, options, error, words):
    frame = survey().assign(race_ethnicity=1).assign(**change)
    with pytest.raises(error, match=words):
        measured(frame, **options)


@pytest.mark.parametrize(
    ("column", "value", "options"),
    [
        ("seen", 2.0, {"limits": (0, 1)}),
        ("seen", np.inf, {}),
        ("weight", -1.0, {}),
        ("site", np.nan, {}),
        ("region", np.nan, {}),
        ("hpi", "q9", {}),
    ],
)
def test_no_message_counts_few_members(column, value, options):
    frame = survey().astype({"site": float, "region": float})
    frame.loc[3, column] = value
    with pytest.raises((EstimationError, TableError), match="fewer than 11 of 96"):
        measured(frame, **DESIGN, **options)


def test_a_frame_without_rows_is_refused():
    with pytest.raises(EstimationError, match="no rows"):
        measured(survey().iloc[:0])
