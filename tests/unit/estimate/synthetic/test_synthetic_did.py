"""Synthetic difference-in-differences: by hand, by definition, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.estimate import synthetic_did
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

MONTHS = 8


def county_rates(
    seed: int, *, exposed: dict[int, int], comparison: int, months: int = MONTHS
) -> pd.DataFrame:
    """Rates with county levels and two common factors; `exposed` = counties by first month."""
    rng = np.random.default_rng(seed)
    cohorts = [c for c, n in exposed.items() for _ in range(n)] + [np.nan] * comparison
    n = len(cohorts)
    factor = np.cumsum(rng.normal(size=(2, months)), axis=1)
    rate = 10 + rng.normal(size=(n, 1)) + rng.random((n, 2)) @ factor
    rate += 0.4 * rng.normal(size=(n, months))
    rate += 2.0 * (np.arange(months) >= np.array(cohorts)[:, None])
    return pd.DataFrame(
        {
            "county": np.repeat([f"county {i:02d}" for i in range(n)], months),
            "month": np.tile(np.arange(months), n),
            "cohort": np.repeat(cohorts, months),
            "rate": rate.ravel(),
        }
    )


def wide(frame: pd.DataFrame) -> np.ndarray:
    return frame.pivot_table(index="county", columns="month", values="rate").to_numpy()


def member_panel(seed: int = 0) -> pd.DataFrame:
    """Members of nine counties, two exposed from month 5 on."""
    rng = np.random.default_rng(seed)
    members, months = 360, 8
    county = np.arange(members) % 9
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(members), months),
            "month": np.tile(np.arange(months), members),
            "county": np.repeat([f"county {c}" for c in county], months),
            "cohort": np.repeat(np.where(county < 2, 5.0, np.nan), months),
            "group": np.repeat(np.where(np.arange(members) // 9 % 2, "x", "y"), months),
        }
    )
    frame["visits"] = rng.poisson(1.0, len(frame))
    frame["paid_usd"] = frame["visits"] * 12.5
    return frame[rng.random(len(frame)) < 0.9].reset_index(drop=True)


def moments_of(frame: pd.DataFrame, **options: object) -> CellMoments:
    return reduce_panel(frame, outcomes=["visits", "paid_usd"], **options, unbalanced="cell_means")


def test_equal_weights_are_the_difference_in_differences_by_hand() -> None:
    frame = county_rates(1, exposed={5: 2}, comparison=6)
    y = wide(frame)
    by_hand = (y[:2, 5:].mean() - y[:2, :5].mean()) - (y[2:, 5:].mean() - y[2:, :5].mean())
    table = synthetic_did(frame, outcome="rate", weighting="uniform", std_error="jackknife")
    assert table.estimate[0] == pytest.approx(by_hand, abs=1e-12)


def test_an_exact_mixture_is_found() -> None:
    # The exposed county is 0.3 a + 0.7 b plus 5 throughout, plus 2 after: the effect is 2 exactly.
    rng = np.random.default_rng(4)
    months = 40
    others = np.cumsum(rng.normal(size=(4, months)), axis=1)
    exposed = 5 + 0.3 * others[0] + 0.7 * others[1] + 2.0 * (np.arange(months) >= 30)
    frame = pd.DataFrame(
        {
            "county": np.repeat(list("eabcd"), months),
            "month": np.tile(np.arange(months), 5),
            "cohort": np.repeat([30, np.nan, np.nan, np.nan, np.nan], months),
            "rate": np.vstack([exposed, others]).ravel(),
        }
    )
    shifted = frame.assign(rate=frame["rate"] - 5.0 * (frame["county"] == "e"))
    table = synthetic_did(shifted, outcome="rate", weighting="synthetic_control", solver="exact")
    # 1e-4: the ridge of a synthetic control, a millionth of the noise, pulls the weights a little.
    assert table.estimate[0] == pytest.approx(2, abs=1e-4)
    weights = table.unit_weights.set_index("county")["weight"]
    np.testing.assert_allclose(weights[list("abcd")], [0.3, 0.7, 0, 0], atol=1e-4)


@pytest.mark.parametrize("weighting", ["synthetic_did", "synthetic_control", "uniform"])
def test_invariances(weighting: str) -> None:
    frame = county_rates(2, exposed={5: 1}, comparison=7)
    options = {"outcome": "rate", "weighting": weighting, "solver": "exact"}
    table = synthetic_did(frame, **options)
    shuffled = frame.sample(frac=1, random_state=3).reset_index(drop=True)
    renamed = shuffled.assign(county=shuffled["county"].str[::-1])
    np.testing.assert_allclose(synthetic_did(renamed, **options).estimate, table.estimate)
    scaled = synthetic_did(frame, **options, per=1_000)
    np.testing.assert_allclose(scaled.estimate, 1_000 * table.estimate)
    np.testing.assert_allclose(scaled.std_error, 1_000 * table.std_error)
    moved = frame.assign(rate=frame["rate"] + 50)
    np.testing.assert_allclose(synthetic_did(moved, **options).estimate, table.estimate, atol=1e-7)


def test_time_weights_cancel_a_constant_difference_of_the_exposed_county() -> None:
    frame = county_rates(3, exposed={5: 1}, comparison=6)
    moved = frame.assign(rate=frame["rate"] + 9.0 * frame["cohort"].notna())
    both = [synthetic_did(f, outcome="rate", solver="exact").estimate for f in (frame, moved)]
    np.testing.assert_allclose(both[0], both[1], atol=1e-9)


def test_overall_is_the_mean_over_event_times_and_series_add_up() -> None:
    frame = county_rates(5, exposed={5: 1}, comparison=6)
    overall = synthetic_did(frame, outcome="rate")
    study = synthetic_did(frame, outcome="rate", by="event_time")
    assert study.keys["event_time"].tolist() == list(range(-5, 3))
    after = study.keys["event_time"].to_numpy() >= 0
    assert overall.estimate[0] == pytest.approx(study.estimate[after].mean(), abs=1e-12)
    mean = study.combine((after / after.sum())[None, :], keys=pd.DataFrame({"of": ["mean"]}))
    assert mean.std_error[0] == pytest.approx(overall.std_error[0], rel=1e-10)
    series = overall.series
    np.testing.assert_allclose(series["effect"], series["exposed"] - series["counterfactual"])
    np.testing.assert_allclose(series["effect"], study.estimate)
    np.testing.assert_allclose(series["exposed"], wide(frame)[0])


def test_cohorts_are_averaged_with_their_county_months() -> None:
    frame = county_rates(6, exposed={4: 2, 6: 1}, comparison=7)
    rng = np.random.default_rng
    by_cohort = synthetic_did(frame, outcome="rate", by="cohort", draws=20, rng=rng(1))
    overall = synthetic_did(frame, outcome="rate", draws=20, rng=rng(1))
    weights = np.array([2 * 4, 1 * 2]) / 10
    assert by_cohort.keys["cohort"].tolist() == [4, 6]
    assert overall.estimate[0] == pytest.approx(weights @ by_cohort.estimate, abs=1e-12)
    # The same placebo counties in both calls: the joint covariance gives the overall variance.
    expected = weights @ by_cohort.covariance @ weights
    assert overall.covariance[0, 0] == pytest.approx(expected, rel=1e-10)
    alone = frame[frame["cohort"].isna() | (frame["cohort"] == 6)]
    single = synthetic_did(alone, outcome="rate")
    assert by_cohort.estimate[1] == pytest.approx(single.estimate[0], abs=1e-12)
    assert any(note.startswith("Staggered exposure") for note in overall.notes)


def test_placebo_is_every_comparison_county_once() -> None:
    frame = county_rates(7, exposed={5: 1}, comparison=6)
    table = synthetic_did(frame, outcome="rate", solver="exact")
    # Penalties are those of the estimate: the same noise and number of months, as in `synthdid`.
    from calaim_eval.estimate.synthetic.simplex_weights import simplex_weights

    others = wide(frame)[1:]
    noise = np.diff(others[:, :5]).std(ddof=1)
    effects = []
    for row in range(6):
        rest, own = np.delete(others, row, axis=0), others[row]
        options = {"is_centred": True}
        units = simplex_weights(rest[:, :5].T, own[:5], ridge=(3**0.25 * noise) ** 2, **options)
        times = simplex_weights(
            rest[:, :5], rest[:, 5:].mean(axis=1), ridge=(1e-6 * noise) ** 2, **options
        )
        gap = own - units @ rest
        effects.append(gap[5:].mean() - times @ gap[:5])
    np.testing.assert_allclose(np.sort(table.draws[:, 0]), np.sort(effects), atol=1e-10)
    assert table.std_error[0] == pytest.approx(np.std(effects), rel=1e-10)
    as_large = sum(abs(e) >= abs(table.estimate[0]) for e in effects)
    assert table.placebo_p_values()["p_value"].tolist() == [(1 + as_large) / 7]


def test_jackknife_is_each_county_left_out_with_weights_kept() -> None:
    frame = county_rates(8, exposed={5: 3}, comparison=6)
    table = synthetic_did(frame, outcome="rate", std_error="jackknife")
    y = wide(frame)
    units = table.unit_weights["weight"].to_numpy()
    times = np.concatenate([-table.time_weights["weight"].to_numpy(), np.full(3, 1 / 3)])
    effects = []
    for out in range(9):
        side = np.concatenate([np.full(3, 1 / 3), -units])
        side[out] = 0.0
        side[:3] /= side[:3].sum()
        side[3:] /= -side[3:].sum()
        effects.append(side @ y @ times)
    expected = 8 / 9 * np.square(np.array(effects) - np.mean(effects)).sum()
    assert table.covariance[0, 0] == pytest.approx(expected, rel=1e-10)
    influence = table.cluster_influence
    assert influence is not None
    assert influence.index.tolist() == sorted(frame["county"].unique())
    assert float(np.square(influence.to_numpy()).sum()) == pytest.approx(expected, rel=1e-10)


def test_bootstrap_of_equal_weights_is_that_of_the_plain_difference() -> None:
    frame = county_rates(9, exposed={5: 3}, comparison=5)
    table = synthetic_did(
        frame,
        outcome="rate",
        weighting="uniform",
        std_error="bootstrap",
        draws=300,
        rng=np.random.default_rng(11),
    )
    y = wide(frame)
    change = y[:, 5:].mean(axis=1) - y[:, :5].mean(axis=1)
    rng, found = np.random.default_rng(11), []
    while len(found) < 300:
        sample = rng.choice(8, 8)
        if (sample < 3).any() and (sample >= 3).any():
            found.append(change[sample[sample < 3]].mean() - change[sample[sample >= 3]].mean())
    assert table.std_error[0] == pytest.approx(np.std(found), rel=1e-10)


@pytest.mark.parametrize("how", ["stratum", "cluster"])
def test_moments_are_the_frame_of_their_rates(how: str) -> None:
    panel = member_panel()
    sums = panel.groupby(["county", "month"], as_index=False).agg(
        visits=("visits", "sum"), months=("member_id", "size"), cohort=("cohort", "first")
    )
    options = {"outcome": "visits", "solver": "exact", "draws": 30, "per": 1_000.0}
    by_frame = synthetic_did(sums, **options, member_months="months", rng=np.random.default_rng(1))
    moments = moments_of(panel, **{how: "county"})
    by_moments = synthetic_did(moments, **options, rng=np.random.default_rng(1))
    np.testing.assert_allclose(by_moments.estimate, by_frame.estimate, atol=1e-9)
    np.testing.assert_allclose(by_moments.covariance, by_frame.covariance, rtol=1e-9)
    pd.testing.assert_frame_equal(by_moments.support, by_frame.support)
    exposed = sums[sums["cohort"].notna()]
    assert by_moments.support["n_events"].item() == exposed["visits"].sum()
    assert by_moments.support["member_months"].item() == exposed["months"].sum()
    fullest = exposed.groupby("county")["months"].max().sum()
    assert by_moments.support["n_members"].item() == fullest
    assert by_moments.estimand.unit == "visits per 1,000 member-periods"


def test_events_of_amounts_are_known_by_stratum_only() -> None:
    panel = member_panel()
    options = {"outcome": "paid_usd", "weighting": "uniform", "std_error": "jackknife"}
    by_stratum = synthetic_did(moments_of(panel, stratum="county"), **options)
    by_cluster = synthetic_did(moments_of(panel, cluster="county"), **options)
    np.testing.assert_allclose(by_cluster.estimate, by_stratum.estimate, atol=1e-9)
    exposed = panel[panel["cohort"].notna()]
    assert by_stratum.support["n_events"].item() == (exposed["paid_usd"] > 0).sum()
    assert by_cluster.support["n_events"].item() == 1


def test_strata_share_their_placebo_counties() -> None:
    moments = moments_of(member_panel(), stratum=["county", "group"])
    both = synthetic_did(
        moments, outcome="visits", solver="exact", draws=25, rng=np.random.default_rng(5)
    )
    assert both.keys["group"].tolist() == ["x", "y"]
    for position, group in enumerate("xy"):
        alone = synthetic_did(
            moments.select(moments.cells["group"] == group),
            outcome="visits",
            solver="exact",
            draws=25,
            rng=np.random.default_rng(5),
        )
        assert both.estimate[position] == pytest.approx(alone.estimate[0], abs=1e-12)
        np.testing.assert_allclose(both.draws[:, position], alone.draws[:, 0], atol=1e-12)
    expected = np.cov(both.draws.T, ddof=0)
    np.testing.assert_allclose(both.covariance, expected, rtol=1e-10)


def test_counties_without_members_in_some_month_are_set_aside() -> None:
    frame = county_rates(10, exposed={5: 1}, comparison=6)
    gap = frame[~((frame["county"] == "county 03") & (frame["month"] == 2))]
    table = synthetic_did(gap, outcome="rate")
    without = synthetic_did(frame[frame["county"] != "county 03"], outcome="rate")
    assert table.estimate[0] == without.estimate[0]
    assert any(note.endswith("month or stratum: 1.") for note in table.notes)
    rates_only = [note for note in table.notes if "disclosure control hides" in note]
    assert rates_only
    assert table.support["n_members"].item() == 0


@pytest.mark.parametrize("how", ["stratum", "cluster"])
@pytest.mark.parametrize(("unnamed", "words"), [(40, "about 40 members"), (3, "fewer than 11")])
def test_members_without_a_county_are_set_aside_and_said(
    how: str, unnamed: int, words: str
) -> None:
    panel = member_panel()
    lost = panel["county"].eq("county 8") & (panel["member_id"] // 9 < unnamed)
    lost_in_month = panel[lost].groupby("month").size().max()
    assert (lost_in_month < 11) == (unnamed < 11)
    missing = panel.assign(county=panel["county"].mask(lost))
    options = {"outcome": "visits", "solver": "exact"}
    table = synthetic_did(moments_of(missing, **{how: "county"}), **options)
    without = synthetic_did(moments_of(panel[~lost], **{how: "county"}), **options)
    assert table.estimate[0] == without.estimate[0]
    (said,) = [note for note in table.notes if "county is missing" in note]
    assert words in said
    assert not any("county is missing" in note for note in without.notes)


def test_a_stratum_of_members_without_a_county_takes_no_county_with_it() -> None:
    panel = member_panel()
    lost = panel["county"].eq("county 8")
    missing = panel.assign(county=panel["county"].mask(lost), group=panel["group"].mask(lost, "z"))
    options = {"outcome": "visits", "solver": "exact"}
    table = synthetic_did(moments_of(missing, stratum=["county", "group"]), **options)
    without = synthetic_did(moments_of(panel[~lost], stratum=["county", "group"]), **options)
    assert table.keys["group"].tolist() == ["x", "y"]
    np.testing.assert_array_equal(table.estimate, without.estimate)


def test_anticipation_leaves_months_out() -> None:
    frame = county_rates(12, exposed={5: 2}, comparison=6)
    y = wide(frame)
    table = synthetic_did(
        frame,
        outcome="rate",
        weighting="uniform",
        std_error="jackknife",
        anticipation_months=2,
    )
    change = y[:, 5:].mean(axis=1) - y[:, :3].mean(axis=1)
    assert table.estimate[0] == pytest.approx(change[:2].mean() - change[2:].mean(), abs=1e-12)


def test_cohorts_after_the_panel_are_comparison_and_early_ones_set_aside() -> None:
    frame = county_rates(13, exposed={5: 1, 1: 1, 20: 2}, comparison=4)
    table = synthetic_did(frame, outcome="rate", weighting="uniform")
    assert table.diagnostics["n_comparison"].item() == 6
    assert any(
        note.startswith("1 exposed counties set aside: fewer than 2") for note in table.notes
    )


def exposed_rows(frame: pd.DataFrame, cohort: float) -> pd.DataFrame:
    return frame.assign(cohort=cohort)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: f.drop(columns="rate"), TableError, "lacks `rate`"),
        (lambda f: f.iloc[:0], TableError, "no rows"),
        (lambda f: pd.concat([f, f.iloc[:3]]), TableError, "3 of 67 rows repeat"),
        (lambda f: f.assign(month=f["month"] + 0.5), TableError, "not whole periods"),
        (lambda f: f.assign(rate=np.where(f.index == 3, np.nan, 1)), TableError, "in 1 of 64"),
        (lambda f: f.assign(rate=np.where(f.index < 2, np.inf, 1)), TableError, "in 2 of 64"),
        (lambda f: f.assign(rate=2.0), EstimationError, "the same in every county"),
        (lambda f: exposed_rows(f, 5.0), DesignError, "0 of 8 counties are never exposed"),
        (lambda f: exposed_rows(f, np.nan), DesignError, "none of 8 counties is exposed"),
        (lambda f: exposed_rows(f, 9.0), DesignError, "none of 8 counties is exposed"),
        (
            lambda f: f.assign(cohort=f["cohort"] - 4),
            DesignError,
            "all 2 exposed counties have fewer than 2 months",
        ),
        (
            lambda f: f.assign(cohort=f["cohort"].where(f["month"] > 3)),
            TableError,
            "changes within 2 counties",
        ),
        (
            lambda f: f.assign(rate=f["month"] + f["county"].str[-1].astype(float)),
            EstimationError,
            "by the same amount",
        ),
        (lambda f: f.assign(month=None), TableError, "missing in 64 of 64"),
        (lambda f: f.assign(county=f["county"].where(f.index > 1)), TableError, "in 2 of 64"),
    ],
)
def test_bad_frames_are_refused(change, error, words) -> None:  # type: ignore[no-untyped-def]
    frame = county_rates(14, exposed={5: 2}, comparison=6)
    with pytest.raises(error, match=words):
        synthetic_did(change(frame), outcome="rate", draws=5, rng=np.random.default_rng(1))


def test_bad_options_are_refused() -> None:
    frame = county_rates(15, exposed={5: 2}, comparison=6)
    one = county_rates(16, exposed={5: 1}, comparison=6)
    many = county_rates(17, exposed={5: 4}, comparison=3)

    def run(data: pd.DataFrame, **options: object) -> EffectTable:
        return synthetic_did(data, outcome="rate", **options)

    for name, value in (
        ("weighting", "sdid"),
        ("by", "month"),
        ("std_error", "robust"),
        ("solver", "newton"),
    ):
        with pytest.raises(EstimationError, match=f"{name}='{value}' is not one of"):
            run(frame, **{name: value})
    with pytest.raises(EstimationError, match="anticipation_months=-1; give 0 or more"):
        run(frame, anticipation_months=-1)
    with pytest.raises(EstimationError, match=r"rng=np\.random\.default_rng"):
        run(frame, std_error="bootstrap")
    with pytest.raises(EstimationError, match=r"rng=np\.random\.default_rng"):
        run(frame, draws=4)
    for std_error in ("jackknife", "bootstrap"):
        with pytest.raises(DesignError, match="1 of 1 cohorts have one"):
            run(one, std_error=std_error)
    with pytest.raises(DesignError, match="there are 3 and 4"):
        run(many)
    with pytest.raises(DesignError, match="not valid for a synthetic control"):
        run(frame, weighting="synthetic_control", std_error="jackknife")
    with pytest.raises(EstimationError, match="has no placebo effects"):
        run(frame, std_error="jackknife").placebo_p_values()


def test_bad_moments_are_refused() -> None:
    panel = member_panel()
    with pytest.raises(EstimationError, match="neither a stratum nor the cluster"):
        synthetic_did(moments_of(panel), outcome="visits")
    with pytest.raises(EstimationError, match="leave out `member_months` and `stratum`"):
        synthetic_did(moments_of(panel, cluster="county"), outcome="visits", stratum="group")
    with pytest.raises(TableError, match="can't read a str"):
        synthetic_did("panel.parquet", outcome="visits")  # type: ignore[arg-type]
    with pytest.raises(EstimationError, match="no outcome `stays`"):
        synthetic_did(moments_of(panel, cluster="county"), outcome="stays")
    mixed = panel.assign(cohort=panel["cohort"].where(panel["member_id"] % 2 == 0))
    with pytest.raises(DesignError, match="2 of 9 counties hold members of more than one cohort"):
        synthetic_did(moments_of(mixed, cluster="county"), outcome="visits")


def test_single_member_counties_have_no_standard_error() -> None:
    panel = member_panel()
    one = panel[~((panel["cohort"].notna()) & (panel["member_id"] > 0))]
    month = pd.DataFrame({"month": range(8)})
    alone = month.assign(
        member_id=0, county="county 0", cohort=5.0, group="x", visits=[1, 0, 2, 1, 0, 3, 1, 2]
    )
    panel = pd.concat([one[one["member_id"] > 0], alone.assign(paid_usd=0.0)])
    table = synthetic_did(moments_of(panel, stratum="county"), outcome="visits", solver="exact")
    assert np.isfinite(table.estimate[0])
    assert np.isnan(table.std_error[0])


def test_months_as_dates_and_what_is_stored(tmp_path: Path) -> None:
    from calaim_eval.results import save_results
    from calaim_eval.results.store import load_results

    frame = county_rates(19, exposed={5: 1}, comparison=6)
    start = pd.Period("2022-01", freq="M")
    dated = frame.assign(
        month=[(start + int(m)).to_timestamp() for m in frame["month"]],
        cohort=[pd.NaT if pd.isna(c) else (start + int(c)).to_timestamp() for c in frame["cohort"]],
    )
    table = synthetic_did(dated, outcome="rate", by="cohort")
    plain = synthetic_did(frame, outcome="rate", by="cohort")
    np.testing.assert_array_equal(table.estimate, plain.estimate)
    assert table.keys["cohort"].tolist() == [pd.Timestamp("2022-06-01")]
    save_results({"effects": table}, tmp_path / "kept")
    back = load_results(tmp_path / "kept")["effects"]
    # Parquet keeps dates in milliseconds.
    pd.testing.assert_frame_equal(back.to_frame(), table.to_frame(), check_dtype=False)


def test_plots_are_returned() -> None:
    table = synthetic_did(county_rates(18, exposed={5: 1}, comparison=6), outcome="rate")
    assert table.plot_series() is not None
    assert table.plot_weights() is not None
