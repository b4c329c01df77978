"""Covariate-adjusted effects against csdid (all three methods) and diff-diff (with gaps).

diff-diff's doubly robust numbers differ from R `did`, csdid and these in the fourth digit, so its
regression and weighting are compared.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import adjusted_group_time_att

NAMES = {"member_id": "id", "month": "t", "cohort": "g", "outcome": "y"}
SHORT = {"doubly_robust": "dr", "regression": "reg", "weighting": "ipw"}


def random_panel(seed: int, *, gap: float = 0.0) -> pd.DataFrame:
    """Two cohorts and never exposed (0); risk and age drive exposure and trend."""
    rng = np.random.default_rng(seed)
    n, n_months = 160, 5
    risk, age = rng.normal(size=n), rng.uniform(20, 80, n)
    pull = np.column_stack([0.4 * risk, 0.2 * risk + 0.01 * (age - 50), np.zeros(n)])
    cohort = np.array([3.0, 4.0, 0.0])[np.argmax(pull + rng.gumbel(size=(n, 3)), axis=1)]
    one = pd.DataFrame({"id": np.arange(1, n + 1), "risk": risk, "age": age, "g": cohort})
    frame = one.loc[np.repeat(one.index, n_months)].reset_index(drop=True)
    frame["t"] = np.tile(np.arange(1, n_months + 1), n)
    effect = np.where((frame["g"] > 0) & (frame["t"] >= frame["g"]), 1 + frame["risk"], 0.0)
    frame["y"] = rng.normal(size=len(frame)) + 0.3 * frame["t"] * frame["risk"] + effect
    return frame[rng.random(len(frame)) >= gap].reset_index(drop=True)


def ours(frame: pd.DataFrame, **options: object) -> pd.DataFrame:
    table = adjusted_group_time_att(
        frame.assign(g=frame["g"].replace(0, np.nan)),
        covariates=["risk", "age"],
        **NAMES,
        **options,
    )
    return table.to_frame()


@pytest.mark.parametrize("method", list(SHORT))
@pytest.mark.parametrize("comparison", ["not_yet_exposed", "never_exposed"])
@pytest.mark.parametrize("seed", [1, 2])
def test_csdid_gives_the_same(method: str, comparison: str, seed: int) -> None:
    att_gt = pytest.importorskip("csdid.att_gt")
    frame = random_panel(seed)
    control = "notyettreated" if comparison == "not_yet_exposed" else "nevertreated"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = att_gt.ATTgt(
            yname="y",
            tname="t",
            idname="id",
            gname="g",
            data=frame.copy(),
            control_group=[control],
            xformla="y~risk+age",
        ).fit(est_method=SHORT[method], bstrap=False)
    theirs = pd.DataFrame({c: fit.results[c] for c in ("group", "year", "att", "se")})
    mine = ours(frame, method=method, comparison=comparison)
    assert (mine["cohort"].to_numpy() == theirs["group"].to_numpy()).all()
    assert (mine["month"].to_numpy() == theirs["year"].to_numpy()).all()
    # Both iterate a logistic regression to convergence; 1e-7 is what stopping may leave.
    np.testing.assert_allclose(mine["estimate"], theirs["att"].astype(float), atol=1e-7)
    np.testing.assert_allclose(mine["std_error"], theirs["se"].astype(float), atol=1e-7)


@pytest.mark.parametrize("method", ["regression", "weighting"])
@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_diff_diff_gives_the_same_with_gaps(method: str, gap: float) -> None:
    diff_diff = pytest.importorskip("diff_diff")
    frame = random_panel(7, gap=gap)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = diff_diff.CallawaySantAnna(
            control_group="not_yet_treated", estimation_method=SHORT[method]
        ).fit(
            frame,
            outcome="y",
            unit="id",
            time="t",
            first_treat="g",
            covariates=["risk", "age"],
        )
    mine = ours(frame, method=method, unbalanced="balanced_pairs").set_index(["cohort", "month"])
    assert len(mine) == len(fit.group_time_effects) == 8
    for (cohort, month), theirs in fit.group_time_effects.items():
        row = mine.loc[(int(cohort), int(month))]
        assert row["estimate"] == pytest.approx(theirs["effect"], abs=1e-7)
        assert row["std_error"] == pytest.approx(theirs["se"], abs=1e-7)
