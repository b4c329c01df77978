"""The naive regression, imputation, Sun and Abraham and the decomposition against other packages.

The peers are for tests only. Known of them: `pyfixest` 0.60 finds nested effects by the order of a
set, so that its small-sample factor changes from process to process (here it is switched off; the
factor is tested against R's values); its `did2s` fails where rows are dropped; `linearmodels`
counts absorbed effects unless told not to.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel

from calaim_eval.estimate import (
    bacon_decomposition,
    imputation_att,
    imputation_att_from_members,
    sun_abraham,
    triple_difference,
    two_way_fixed_effects,
    two_way_fixed_effects_from_members,
)
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor
from calaim_eval.moments import CellMoments, reduce_panel

SEEDS = [1, 2, 3]
CASES = [(seed, gap) for seed in SEEDS for gap in (0.0, 0.25)]


def panel(seed: int, gap: float) -> pd.DataFrame:
    """A random panel whose exposed members each have a month before exposure."""
    frame = awkward_panel(seed, members=80, gap=gap)
    before = frame["member_id"][frame["month"] < frame["cohort"]]
    frame = frame[frame["cohort"].isna() | frame["member_id"].isin(before)]
    rng = np.random.default_rng(seed)
    return frame.reset_index(drop=True).assign(
        y=lambda f: f["visits"].astype(float),
        first=lambda f: f["cohort"].fillna(0).astype(int),
        exposed=lambda f: (f["month"] >= f["cohort"]).astype(float),
        age=lambda f: rng.normal(size=len(f)),
        share=lambda f: rng.uniform(1, 3, len(f)),
    )


def cells(frame: pd.DataFrame, **options) -> CellMoments:
    return reduce_panel(frame, outcomes=["visits"], **options, unbalanced="cell_means")


@pytest.mark.parametrize(("seed", "gap"), CASES)
def test_linearmodels(seed: int, gap: float) -> None:
    linearmodels = pytest.importorskip("linearmodels")
    frame = panel(seed, gap)
    indexed = frame.set_index(["member_id", "month"])
    fitted = linearmodels.PanelOLS(
        indexed["y"],
        indexed[["exposed", "age"]],
        entity_effects=True,
        time_effects=True,
        weights=indexed["share"],
    ).fit(
        cov_type="clustered",
        cluster_entity=True,
        auto_df=False,
        count_effects=False,
        debiased=False,
        group_debias=False,
    )
    table = two_way_fixed_effects_from_members(
        frame, outcome="y", covariates=["age"], weight="share", small_sample="none"
    )
    assert table.estimate[0] == pytest.approx(fitted.params["exposed"], abs=1e-9)
    assert table.std_error[0] == pytest.approx(fitted.std_errors["exposed"], abs=1e-9)


@pytest.mark.parametrize(("seed", "gap"), CASES)
def test_pyfixest(seed: int, gap: float) -> None:
    pyfixest = pytest.importorskip("pyfixest")
    frame = panel(seed, gap)
    since = (frame["month"] - frame["cohort"]).fillna(-1).astype(int)
    raw = pyfixest.ssc(k_adj=False, G_adj=False)
    study = pyfixest.feols(
        "y ~ i(since, ref=-1) | member_id + month",
        frame.assign(since=since),
        vcov={"CRV1": "county"},
        fixef_rm="none",
        ssc=raw,
    )
    table = two_way_fixed_effects_from_members(
        frame, outcome="y", by="event_time", cluster="county", small_sample="none"
    )
    assert table.estimate == pytest.approx(study.coef().to_numpy(), abs=1e-6)
    assert table.std_error == pytest.approx(study.se().to_numpy(), abs=1e-6)
    by_cohort = pyfixest.feols(
        "visits ~ exposed | first + month", frame, vcov={"CRV1": "member_id"}, ssc=raw
    )
    table = two_way_fixed_effects(
        cells(frame), outcome="visits", fixed_effects="cohort", small_sample="none"
    )
    assert table.estimate[0] == pytest.approx(by_cohort.coef().iloc[0], abs=1e-6)
    assert table.std_error[0] == pytest.approx(by_cohort.se().iloc[0], abs=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_stages_of_pyfixest(seed: int) -> None:
    pyfixest = pytest.importorskip("pyfixest")
    frame = panel(seed, 0.0)
    fitted = pyfixest.did2s(
        frame,
        yname="y",
        first_stage="~ 0 | member_id + month",
        second_stage="~ exposed",
        treatment="exposed",
        cluster="county",
    )
    table = imputation_att(
        cells(frame, cluster="county"), outcome="visits", variance="two_stage", cluster="county"
    )
    assert table.estimate[0] == pytest.approx(fitted.coef().iloc[0], abs=1e-6)
    assert table.std_error[0] == pytest.approx(fitted.se().iloc[0], abs=1e-6)


@pytest.fixture
def diff_diff():
    """The package, without its deprecation warnings."""
    module = pytest.importorskip("diff_diff")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield module


ROLES = {"outcome": "y", "unit": "member_id", "time": "month", "first_treat": "first"}


@pytest.mark.parametrize(("seed", "gap"), CASES)
@pytest.mark.parametrize("variance", ["conservative", "leave_one_out", "two_stage"])
def test_imputation_of_diff_diff(diff_diff, seed: int, gap: float, variance: str) -> None:
    frame = panel(seed, gap)
    if variance == "two_stage":
        fitted = diff_diff.TwoStageDiD().fit(frame, **ROLES)
    else:
        fitted = diff_diff.ImputationDiD(leave_one_out=variance == "leave_one_out").fit(
            frame, **ROLES
        )
    table = imputation_att_from_members(frame, outcome="y", variance=variance)
    assert table.estimate[0] == pytest.approx(fitted.overall_att, abs=1e-7)
    assert table.std_error[0] == pytest.approx(fitted.overall_se, abs=1e-7)
    if gap == 0:
        table = imputation_att(cells(frame), outcome="visits", variance=variance)
        assert table.std_error[0] == pytest.approx(fitted.overall_se, abs=1e-7)


@pytest.mark.parametrize(("seed", "gap"), CASES)
def test_event_study_and_leads_of_diff_diff(diff_diff, seed: int, gap: float) -> None:
    frame = panel(seed, gap)
    fitted = diff_diff.ImputationDiD(pretrends=True).fit(frame, aggregate="event_study", **ROLES)
    theirs = fitted.event_study_effects
    table = imputation_att_from_members(frame, outcome="y", by="event_time", leads=4)
    for row, event_time in enumerate(table.keys["event_time"]):
        if event_time >= 0:
            assert table.estimate[row] == pytest.approx(theirs[event_time]["effect"], abs=1e-7)
            assert table.std_error[row] == pytest.approx(theirs[event_time]["se"], abs=1e-7)
    # Its leads are against the last month before exposure, ours against the first, -5; and it
    # applies a small-sample factor to them.
    contrast = np.zeros((3, len(table)))
    contrast[[0, 1, 2], [0, 1, 2]] = 1
    contrast[:, 3] = -1
    leads = table.combine(contrast, keys=pd.DataFrame({"event_time": [-4, -3, -2]}))
    before = frame[frame["exposed"] == 0]
    n_months = before["month"].nunique()
    factor = crv1_factor(before["member_id"].nunique(), len(before), 4 + n_months)
    for row, event_time in enumerate(leads.keys["event_time"]):
        assert leads.estimate[row] == pytest.approx(theirs[event_time]["effect"], abs=1e-7)
        corrected = leads.std_error[row] * np.sqrt(factor)
        assert corrected == pytest.approx(theirs[event_time]["se"], abs=1e-7)


@pytest.mark.parametrize("seed", SEEDS)
def test_sun_abraham_of_diff_diff(diff_diff, seed: int) -> None:
    frame = panel(seed, 0.0)
    fitted = diff_diff.SunAbraham().fit(frame, **ROLES)
    options = {"outcome": "visits", "shares": "fixed", "small_sample": "crv1"}
    table = sun_abraham(cells(frame), **options)
    for row, event_time in enumerate(table.keys["event_time"]):
        if event_time != -1:
            theirs = fitted.event_study_effects[event_time]
            assert table.estimate[row] == pytest.approx(theirs["effect"], abs=1e-8)
            assert table.std_error[row] == pytest.approx(theirs["se"], abs=1e-8)
    overall = sun_abraham(cells(frame), by="overall", **options)
    assert overall.estimate[0] == pytest.approx(fitted.overall_att, abs=1e-8)
    assert overall.std_error[0] == pytest.approx(fitted.overall_se, abs=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("never", [True, False])
def test_decomposition_of_diff_diff(diff_diff, seed: int, never: bool) -> None:
    frame = panel(seed, 0.0)
    frame = frame if never else frame[frame["cohort"].notna()]
    theirs = diff_diff.BaconDecomposition().fit(frame, **ROLES).to_dataframe()
    ours = bacon_decomposition(cells(frame), outcome="visits").to_frame()
    assert len(ours) == len(theirs)
    for name, values in (("weight", ours["weight"]), ("estimate", ours["estimate"])):
        assert sorted(values) == pytest.approx(sorted(theirs[name]), abs=1e-8)
    assert (ours["weight"] * ours["estimate"]).sum() == pytest.approx(
        (theirs["weight"] * theirs["estimate"]).sum(), abs=1e-8
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_triple_difference_of_diff_diff(diff_diff, seed: int) -> None:
    frame = panel(seed, 0.0)
    frame = frame[(frame["cohort"] != 5) & frame["month"].isin([2, 3])]
    fitted = diff_diff.TripleDifference(estimation_method="reg").fit(
        frame.assign(
            ever=frame["cohort"].notna().astype(int),
            target=(frame["group"] == "x").astype(int),
            after=(frame["month"] == 3).astype(int),
        ),
        outcome="y",
        group="ever",
        partition="target",
        time="after",
    )
    table = triple_difference(
        cells(frame, stratum="group"),
        outcome="visits",
        stratum="group",
        target="x",
        reference="y",
    )
    assert table.estimate[0] == pytest.approx(fitted.att, abs=1e-8)


@pytest.mark.parametrize("seed", SEEDS)
def test_staggered_triple_difference_of_diff_diff(diff_diff, seed: int) -> None:
    frame = awkward_panel(seed, members=120, gap=0.0)
    fitted = diff_diff.StaggeredTripleDifference(
        estimation_method="reg", control_group="nevertreated", base_period="universal"
    ).fit(
        frame.assign(
            y=frame["visits"].astype(float),
            first=frame["cohort"].fillna(0).astype(int),
            target=(frame["group"] == "x").astype(int),
        ),
        **ROLES,
        eligibility="target",
        aggregate="all",
    )
    moments = cells(frame, stratum="group")
    options = {"outcome": "visits", "stratum": "group", "target": "x", "reference": "y"}
    overall = triple_difference(moments, **options)
    assert overall.estimate[0] == pytest.approx(fitted.overall_att, abs=1e-8)
    assert overall.std_error[0] == pytest.approx(fitted.overall_se, abs=1e-8)
    study = triple_difference(moments, by="event_time", **options)
    for row, event_time in enumerate(study.keys["event_time"]):
        if event_time != -1:
            theirs = fitted.event_study_effects[event_time]
            assert study.estimate[row] == pytest.approx(theirs["effect"], abs=1e-8)
            assert study.std_error[row] == pytest.approx(theirs["se"], abs=1e-8)
