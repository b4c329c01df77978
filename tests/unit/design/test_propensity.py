from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize

from calaim_eval.design import balance_plots, overlap_plot, propensity_weights
from calaim_eval.errors import DesignError


def sides(seed: int, n: int = 400) -> list[pd.DataFrame]:
    """Exposed and comparison members told by a logit of two columns and a group."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "visits": rng.poisson(1.0, n).astype(float),
            "age_years": rng.normal(45, 12, n),
            "sex": rng.choice(["female", "male"], n),
        },
        index=[f"m{i:03d}" for i in range(n)],
    )
    logit = (
        -1.5 + 0.6 * frame["visits"] + 0.02 * frame["age_years"] - 0.3 * (frame["sex"] == "male")
    )
    is_exposed = rng.random(n) < 1 / (1 + np.exp(-logit))
    return [frame[is_exposed], frame[~is_exposed]]


def by_hand(exposed: pd.DataFrame, comparison: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Scores by maximizing the likelihood directly, and who is exposed."""
    both = pd.concat([exposed, comparison])
    X = np.column_stack(
        [np.ones(len(both)), both["visits"], both["age_years"] / 10, both["sex"] == "male"]
    ).astype(float)
    y = np.arange(len(both)) < len(exposed)
    sign = np.where(y, 1, -1)
    best = minimize(
        lambda b: np.logaddexp(0, -sign * (X @ b)).sum(),
        np.zeros(X.shape[1]),
        jac=lambda b: -X.T @ (sign / (1 + np.exp(sign * (X @ b)))),
        method="BFGS",
        options={"gtol": 1e-9},
    )
    return 1 / (1 + np.exp(-X @ best.x)), y


def test_scores_are_those_of_the_likelihood_maximized_directly_and_of_statsmodels():
    exposed, comparison = sides(1)
    score, y = by_hand(exposed, comparison)
    found = propensity_weights(exposed, comparison).weights["score"]
    np.testing.assert_allclose(found, score, atol=1e-6)
    both = pd.concat([exposed, comparison]).assign(sex=lambda f: (f["sex"] == "male") * 1.0)
    fit = sm.GLM(y * 1.0, sm.add_constant(both), family=sm.families.Binomial()).fit()
    np.testing.assert_allclose(found, fit.fittedvalues, atol=1e-7)


def test_weights_for_the_exposed_are_odds_that_sum_to_their_number():
    exposed, comparison = sides(2)
    score, y = by_hand(exposed, comparison)
    odds = (score / (1 - score))[~y]
    found = propensity_weights(exposed, comparison).weights["weight"].to_numpy()
    assert (found[y] == 1).all()
    np.testing.assert_allclose(found[~y], odds * y.sum() / odds.sum(), rtol=1e-5)


def test_overlap_weights_balance_every_mean_exactly():
    """Likelihood equations of the logit (Li, Morgan and Zaslavsky 2018, theorem 3)."""
    exposed, comparison = sides(3)
    found = propensity_weights(exposed, comparison, target="overlap").weights["weight"]
    a, b = found[exposed.index], found[comparison.index]
    assert a.sum() == pytest.approx(b.sum())
    for column in ("visits", "age_years"):
        assert np.average(exposed[column], weights=a) == pytest.approx(
            np.average(comparison[column], weights=b), rel=1e-8
        )
    assert found.between(0, 1).all()


def test_trimmed_members_weigh_nothing_and_the_rest_are_fitted_again():
    exposed, comparison = sides(4)
    first = propensity_weights(exposed, comparison).weights["score"]
    found = propensity_weights(exposed, comparison, target="overlap", trim=0.25)
    kept = first.between(0.25, 0.75)
    assert 0 < (~kept).sum() < len(kept)
    assert (found.weights.loc[~kept, "weight"] == 0).all()
    alone = propensity_weights(
        exposed[kept[exposed.index]], comparison[kept[comparison.index]], target="overlap"
    )
    np.testing.assert_allclose(
        found.weights.loc[kept, "weight"], alone.weights["weight"], rtol=1e-8
    )
    assert "Set aside for a score below 0.25" in found.notes[0]
    assert found.diagnostics["n_weighted"].sum() == kept.sum()


def test_a_weighted_difference_recovers_the_effect_where_the_plain_one_does_not():
    rng = np.random.default_rng(5)
    exposed, comparison = sides(5, n=20_000)
    outcome = {
        side: frame["visits"] + 0.5 * (side == "exposed") + rng.normal(0, 1, len(frame))
        for side, frame in (("exposed", exposed), ("comparison", comparison))
    }
    plain = outcome["exposed"].mean() - outcome["comparison"].mean()
    w = propensity_weights(exposed, comparison).weights["weight"]
    weighted = outcome["exposed"].mean() - np.average(
        outcome["comparison"], weights=w[comparison.index]
    )
    assert plain > 0.9
    assert weighted == pytest.approx(0.5, abs=0.06)  # 3 standard errors


def test_outside_the_common_support_is_counted_by_side():
    exposed = pd.DataFrame({"visits": [1.0, 2.0, 3.0, 9.0]})
    comparison = pd.DataFrame({"visits": [0.0, 1.0, 2.0, 3.0, 4.0]}, index=range(10, 15))
    found = propensity_weights(exposed, comparison).diagnostics["share_outside_support"]
    assert found.to_dict() == {"exposed": 0.25, "comparison": 0.2}


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (lambda f, s: f, {"target": "ate"}, "`target` is 'ate'"),
        (lambda f, s: f, {"trim": 0.5}, "`trim` is 0.5"),
        (lambda f, s: f.assign(visits=s * 5.0 + f["visits"] / 10), {}, "completely.*`visits`"),
        (lambda f, s: f.assign(sex="a" if s else f["sex"]), {}, "completely"),
        (lambda f, s: f.assign(visits=1.0), {}, "`visits` is the same"),
        (lambda f, s: f.assign(visits=np.nan), {}, "missing or infinite in 400 of 400"),
        (lambda f, s: f.iloc[: len(f) * s], {}, "there are no comparison members"),
    ],
)
def test_what_is_refused(change, options, words):
    exposed, comparison = sides(6)
    with pytest.raises(DesignError, match=words):
        propensity_weights(change(exposed, 1), change(comparison, 0), **options)


def test_trimming_everybody_of_a_side_is_refused():
    exposed, comparison = sides(7)
    few = exposed.iloc[:8]
    with pytest.raises(DesignError, match="no exposed member has a score"):
        propensity_weights(few, comparison, trim=0.4)


def test_the_overlap_picture_holds_no_bin_of_few_members():
    exposed, comparison = sides(8)
    found = propensity_weights(exposed, comparison)
    bars, n_absent = balance_plots._overlap_bars(found, 20)
    scores = found.weights["score"]
    n_small = 0
    for side, members in (("exposed", exposed.index), ("comparison", comparison.index)):
        counts = np.histogram(scores[members], bins=20, range=(0, 1))[0]
        drawn = bars[bars["side"] == side]
        np.testing.assert_allclose(drawn["score"], (np.flatnonzero(counts >= 11) + 0.5) / 20)
        np.testing.assert_allclose(
            drawn["height"], counts[counts >= 11] / counts[counts >= 11].sum()
        )
        n_small += int(((counts > 0) & (counts < 11)).sum())
    assert n_absent == n_small > 0
    plot = overlap_plot(found)
    assert plot.labels.caption == f"Not shown: {n_small} bins of fewer than 11 members."
    with pytest.raises(DesignError, match="no bin holds 11 members"):
        overlap_plot(propensity_weights(exposed.iloc[:9], comparison.iloc[:10]))
    with pytest.raises(DesignError, match="`n_bins` is 1"):
        overlap_plot(found, n_bins=1)
