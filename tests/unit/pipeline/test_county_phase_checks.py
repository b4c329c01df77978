"""The county-phase effect beside other errors and methods: every row against its own function."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import (
    aggregate,
    cluster_intervals,
    cluster_jackknife,
    group_time_att,
    leave_one_cluster_out,
    randomization_test,
    synthetic_did,
)
from calaim_eval.moments import load_moments, reduce_panel
from calaim_eval.pipeline.county_phase import DRAWS, SEED, check_county_phase
from calaim_eval.results import load_results
from calaim_eval.study import init_study, read_study

MONTHS = pd.period_range("2021-01", "2022-06", freq="M")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return read_study(init_study(tmp_path_factory.mktemp("study")))


def counties(sizes: dict[str, int], *, seed: int = 3, visits: dict[str, float] | None = None):
    """Members of counties over 18 months; the first half of the counties begins in January 2022."""
    rng = np.random.default_rng(seed)
    early = list(sizes)[: len(sizes) // 2]
    rows = []
    for county, size in sizes.items():
        rate = (visits or {}).get(county, 0.4)
        use = rng.poisson(rate, (size, len(MONTHS)))
        cohort = pd.Timestamp("2022-01-01") if county in early else pd.NaT
        rows += [
            (f"{county}{i}", month.start_time, cohort, county, use[i, t])
            for i in range(size)
            for t, month in enumerate(MONTHS)
        ]
    return pd.DataFrame(rows, columns=["member_id", "month", "cohort", "county", "ed_visits"])


def checked(study, frame, folder):
    moments = reduce_panel(frame, outcomes=["ed_visits"], cluster="county", unbalanced="cell_means")
    path = moments.save(folder / "county_phase.moments")
    results, left_out = check_county_phase(study, {"county_phase": (path,)})
    return moments, results, left_out


def effect(moments, outcome: str = "ed_visits"):
    att_gt = group_time_att(
        moments, outcome=outcome, comparison="never_exposed", cluster="county", per=1000
    )
    return aggregate(att_gt, by="overall")


def places_of(std_error: float) -> int:
    """Decimal places of the second significant digit: what is released of an estimate."""
    return 1 - math.floor(math.log10(std_error))


def rows_of(table) -> pd.DataFrame:
    return table.to_frame().set_index("check")


def test_every_row_is_what_its_own_function_says(study, tmp_path):
    sizes = {f"c{i}": 15 + 3 * i for i in range(10)}
    moments, results, left_out = checked(study, counties(sizes), tmp_path)
    rows = rows_of(results["county_phase_checks"])
    clustered = effect(moments).to_frame().iloc[0]
    jackknife = cluster_intervals(cluster_jackknife(moments, effect)).iloc[0]
    synthetic = synthetic_did(moments, outcome="ed_visits", std_error="jackknife", per=1000)
    for check, expected in (
        ("county_clustered", clustered),
        ("county_jackknife", jackknife),
        ("synthetic_did", synthetic.to_frame().iloc[0]),
    ):
        for column in ("estimate", "std_error", "conf_low", "conf_high", "p_value"):
            assert rows.loc[check, column] == pytest.approx(expected[column]), (check, column)
    without = leave_one_cluster_out(moments, effect).estimates[:, 0]
    places = places_of(jackknife["std_error"])
    assert rows.loc["lowest_without_a_county", "estimate"] == round(without.min(), places)
    assert rows.loc["highest_without_a_county", "estimate"] == round(without.max(), places)
    dealt = randomization_test(moments, effect, rng=np.random.default_rng(SEED), draws=DRAWS).iloc[
        0
    ]
    found = results["county_phase_randomization"].to_frame().iloc[0]
    assert found["rate"] == pytest.approx(dealt["p_value"])
    assert found["denominator"] == dealt["n_assignments"] + 1
    assert not left_out


def test_six_months_after_are_too_few_for_a_series_and_a_note_says_so(study, tmp_path):
    sizes = {f"c{i}": 20 for i in range(8)}
    _, results, _ = checked(study, counties(sizes), tmp_path)
    table = results["county_phase_checks"]
    assert "segmented_series" not in set(table.keys["check"])
    (note,) = [n for n in table.notes if n.startswith("Segmented series left out")]
    assert "too few months" in note


@pytest.mark.parametrize("few", ["members", "events"])
def test_an_end_of_the_range_is_never_that_of_a_small_county(study, tmp_path, few):
    """c0 drives the effect: few members of high use, or many members of almost none."""
    sizes = {"c0": 9 if few == "members" else 200, **{f"c{i}": 60 for i in range(1, 10)}}
    visits = {"c0": 9.0 if few == "members" else 0.0}
    frame = counties(sizes, visits=visits)
    is_c0 = (frame["county"] == "c0").to_numpy()
    after = is_c0 & (frame["month"] >= "2022-01-01").to_numpy()
    if few == "members":
        frame.loc[after, "ed_visits"] += 40
    else:
        frame.loc[np.flatnonzero(after)[:5], "ed_visits"] = 1
        rises = frame["cohort"].notna() & (frame["month"] >= "2022-01-01") & ~is_c0
        frame.loc[rises, "ed_visits"] += 1
    moments, results, _ = checked(study, frame, tmp_path)
    left_out = leave_one_cluster_out(moments, effect)
    at = list(left_out.clusters).index("c0")
    others = np.delete(left_out.estimates[:, 0], at)
    assert not others.min() <= left_out.estimates[at, 0] <= others.max()
    rows = rows_of(results["county_phase_checks"])
    places = places_of(rows.loc["county_jackknife", "std_error"])
    assert rows.loc["lowest_without_a_county", "estimate"] == round(others.min(), places)
    assert rows.loc["highest_without_a_county", "estimate"] == round(others.max(), places)


@pytest.mark.parametrize("few", ["members", "events", "events after"])
def test_an_end_of_the_range_does_not_rest_on_a_small_county_alone(study, tmp_path, few):
    """Two exposed counties: without c0 the estimate is that of c1, who are few."""
    sizes = {"c0": 100, "c1": 9 if few == "members" else 200, **{f"c{i}": 60 for i in range(2, 8)}}
    frame = counties(sizes, visits={"c1": 0.0 if few == "events" else 0.5})
    frame.loc[~frame["county"].isin(["c0", "c1"]), "cohort"] = pd.NaT
    is_c1 = (frame["county"] == "c1").to_numpy()
    after = (frame["month"] >= "2022-01-01").to_numpy()
    used = np.flatnonzero(is_c1 & (frame["month"] >= "2021-12-01").to_numpy())
    if few == "members":
        frame.loc[is_c1 & after, "ed_visits"] += 8
    else:
        frame.loc[used, "ed_visits"] = 0
        frame.loc[used[:5], "ed_visits"] = 1
    frame.loc[after & (frame["county"] == "c0").to_numpy(), "ed_visits"] += 2
    moments, results, _ = checked(study, frame, tmp_path)
    left_out = leave_one_cluster_out(moments, effect)
    without = pd.Series(left_out.estimates[:, 0], index=left_out.clusters)
    others = without.drop(["c0", "c1"])
    assert not others.min() <= without["c0"] <= others.max()
    rows = rows_of(results["county_phase_checks"])
    places = places_of(rows.loc["county_jackknife", "std_error"])
    assert rows.loc["lowest_without_a_county", "estimate"] == round(others.min(), places)
    assert rows.loc["highest_without_a_county", "estimate"] == round(others.max(), places)


def test_nothing_is_told_of_the_deals_where_the_effect_is_of_few_members(study, tmp_path):
    sizes = {f"c{i}": 2 if i < 4 else 30 for i in range(8)}
    _, results, _ = checked(study, counties(sizes), tmp_path)
    assert "county_phase_randomization" not in results
    assert (results["county_phase_checks"].support["n_members"] < 11).all()


def test_without_moments_there_is_nothing_to_check(study):
    assert check_county_phase(study, {}) == ({}, {})


def test_one_exposed_county_leaves_the_reason(study, tmp_path):
    frame = counties({f"c{i}": 20 for i in range(6)})
    frame.loc[frame["county"].isin(["c1", "c2"]), "cohort"] = pd.NaT
    _, results, _ = checked(study, frame, tmp_path)
    table = results["county_phase_checks"]
    assert "county_jackknife" not in set(table.keys["check"])
    assert any(n.startswith("County jackknife left out") for n in table.notes)


def test_the_study_keeps_and_releases_the_checks(small_run):
    effects = load_results(small_run.study.restricted / "results" / "effects")
    table = effects["county_phase_checks"]
    phase = effects["county_phase"]
    overall = phase.select(phase.keys["event_time"].astype(str) == "overall").to_frame()
    clustered = table.select(table.keys["check"] == "county_clustered").to_frame()
    merged = overall.merge(clustered, on="outcome", suffixes=("", "_checked"))
    assert len(merged) == len(overall)
    np.testing.assert_allclose(merged["estimate"], merged["estimate_checked"])
    np.testing.assert_allclose(merged["std_error"], merged["std_error_checked"])
    released = small_run.released.tables
    shown = released["county_phase_checks"].frame
    few = table.support["n_members"].to_numpy() < 11
    assert shown.loc[few, "is_suppressed"].all()
    moments = load_moments(small_run.study.restricted / "moments" / "county_phase.moments")
    names = set(moments.clusters.labels)
    assert not names & set(shown.astype(str).to_numpy().ravel())
