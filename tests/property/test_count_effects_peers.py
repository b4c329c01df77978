"""Count effects against pyfixest (`fepois`) and diff-diff (`WooldridgeDiD`) on random panels."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import count_effects, two_way_poisson
from calaim_eval.moments import reduce_panel

RAW = {"k_adj": False, "G_adj": False}


def random_panel(seed: int, *, gap: float = 0.0) -> pd.DataFrame:
    """Three cohorts and never exposed; overdispersed counts whose level differs by member."""
    rng = np.random.default_rng(seed)
    n, n_months = 150, 6
    cohort = rng.choice([2.0, 4.0, 5.0, np.nan], n, p=[0.2, 0.2, 0.2, 0.4])
    one = pd.DataFrame({"member_id": np.arange(n), "cohort": cohort, "level": rng.gamma(2, 1, n)})
    frame = one.loc[np.repeat(one.index, n_months)].reset_index(drop=True)
    frame["month"] = np.tile(np.arange(n_months), n)
    frame["exposed"] = (frame["month"] >= frame["cohort"]).astype(int)
    rate = frame["level"] * np.exp(0.1 * frame["month"] + 0.3 * frame["exposed"])
    frame["visits"] = rng.poisson(rate)
    frame["group"] = frame["cohort"].fillna(0)
    label = "g" + frame["group"].astype(int).astype(str) + "t" + frame["month"].astype(str)
    for name in label[frame["exposed"] == 1].unique():
        frame[name] = (label == name).astype(int)
    return frame[rng.random(len(frame)) >= gap].reset_index(drop=True)


def fepois(frame: pd.DataFrame, right: str) -> pd.DataFrame:
    """Coefficients and raw member-clustered errors."""
    pyfixest = pytest.importorskip("pyfixest")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = pyfixest.fepois(
            f"visits ~ {right}",
            data=frame,
            vcov={"CRV1": "member_id"},
            ssc=pyfixest.ssc(**RAW),
            iwls_tol=1e-12,
            fixef_tol=1e-12,
            iwls_maxiter=100,
        )
    return fit.tidy()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_member_effects_on_a_balanced_panel(seed: int) -> None:
    frame = random_panel(seed)
    terms = sorted(c for c in frame if c.startswith("g") and c != "group")
    theirs = fepois(frame, f"{' + '.join(terms)} | member_id + month").loc[terms]
    effects = count_effects(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        by="cohort_month",
    )
    # Member effects and cohort effects agree where every member is covered in every month;
    # 1e-6 is what pyfixest's demeaning leaves.
    np.testing.assert_allclose(np.log(effects.estimate), theirs["Estimate"], atol=1e-6)
    np.testing.assert_allclose(
        effects.std_error / effects.estimate, theirs["Std. Error"], atol=1e-6
    )


@pytest.mark.parametrize("seed", [4, 5])
def test_cohort_effects_with_gaps(seed: int) -> None:
    frame = random_panel(seed, gap=0.25)
    terms = sorted(c for c in frame if c.startswith("g") and c != "group")
    theirs = fepois(frame, f"{' + '.join(terms)} | group + month").loc[terms]
    effects = count_effects(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        by="cohort_month",
    )
    np.testing.assert_allclose(np.log(effects.estimate), theirs["Estimate"], atol=1e-6)
    np.testing.assert_allclose(
        effects.std_error / effects.estimate, theirs["Std. Error"], atol=1e-6
    )


@pytest.mark.parametrize(
    ("fixed_effects", "right", "gap"),
    [
        ("member", "member_id + month", 0.0),
        ("cohort", "group + month", 0.0),
        ("cohort", "group + month", 0.3),
    ],
)
def test_naive_ratio(fixed_effects: str, right: str, gap: float) -> None:
    frame = random_panel(6, gap=gap)
    theirs = fepois(frame, f"exposed | {right}").loc["exposed"]
    effect = two_way_poisson(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        fixed_effects=fixed_effects,
        small_sample="none",
    )
    assert np.log(effect.estimate[0]) == pytest.approx(theirs["Estimate"], abs=1e-7)
    error = effect.std_error[0] / effect.estimate[0]
    assert error == pytest.approx(theirs["Std. Error"], abs=1e-7)


@pytest.mark.parametrize("gap", [0.0, 0.2])
def test_never_exposed_comparison_shows_the_months_before(gap: float) -> None:
    frame = random_panel(7, gap=gap)
    since = frame["month"] - frame["cohort"]
    label = "b" + frame["group"].astype(int).astype(str) + "t" + frame["month"].astype(str)
    terms = sorted(label[since.notna() & (since != -1)].unique())
    frame = frame.assign(**{term: (label == term).astype(int) for term in terms})
    theirs = fepois(frame, f"{' + '.join(terms)} | group + month").loc[terms]
    effects = count_effects(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        comparison="never_exposed",
        by="cohort_month",
    )
    np.testing.assert_allclose(np.log(effects.estimate), theirs["Estimate"], atol=1e-6)
    np.testing.assert_allclose(
        effects.std_error / effects.estimate, theirs["Std. Error"], atol=1e-6
    )


# With Poisson and never-treated controls diff-diff keeps the months before exposure in the
# baseline (its own words), which is another model; R etwfe and the test above leave one.
@pytest.mark.parametrize(
    ("method", "comparison"),
    [
        ("poisson", "not_yet_exposed"),
        ("ols", "not_yet_exposed"),
        ("ols", "never_exposed"),
    ],
)
def test_diff_diff_gives_the_same_average(method: str, comparison: str) -> None:
    diff_diff = pytest.importorskip("diff_diff")
    frame = random_panel(8)
    side = "not_yet_treated" if comparison == "not_yet_exposed" else "never_treated"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = diff_diff.WooldridgeDiD(method=method, control_group=side).fit(
            frame, outcome="visits", unit="member_id", time="month", first_treat="group"
        )
    effect = count_effects(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        scale="difference",
        link="log" if method == "poisson" else "identity",
        comparison=comparison,
    )
    assert effect.estimate[0] == pytest.approx(fit.overall_att, abs=1e-6)
    # diff-diff multiplies by G/(G-1) (N-1)/(N-K); K stays between the months and all terms.
    n, g = len(frame), frame["member_id"].nunique()
    ratio = (fit.overall_se / effect.std_error[0]) ** 2 / (g / (g - 1))
    assert (n - 1) / n <= ratio <= (n - 1) / (n - 40)
