"""Hazard ratios of competing endings: against Cox regression, brute force and a known truth."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate import competing_hazards, joint_test
from calaim_eval.estimate.time_to_event.subdistribution_fit import fit_subdistribution


def competing(rng, n, *, beta=0.5, share=0.5, censor=3.0):
    """Fine and Gray's own simulation: cause 1 has a subdistribution hazard ratio of exp(beta)."""
    x = rng.normal(size=n)
    never = (1 - share) ** np.exp(beta * x)
    is_first = rng.random(n) > never
    u = rng.random(n)
    inside = 1 - (1 - u * (1 - never)) ** np.exp(-beta * x)
    first = -np.log(1 - inside / share)
    second = rng.exponential(1 / np.exp(-beta * x))
    time = np.where(is_first, first, second)
    end = rng.uniform(0, censor, n)
    return pd.DataFrame(
        {
            "time": np.minimum(time, end),
            "cause": np.where(time > end, 0, np.where(is_first, 1, 2)),
            "x": x,
        }
    )


def weighted_likelihood(frame, beta):
    """Log partial likelihood by its definition, subject by subject."""
    time, cause, x = (frame[c].to_numpy() for c in ("time", "cause", "x"))

    def stay(t):
        """Kaplan-Meier of being censored, just before t."""
        value = 1.0
        for u in np.unique(time[(cause == 0) & (time < t)]):
            value *= 1 - ((time == u) & (cause == 0)).sum() / (time >= u).sum()
        return value

    total = 0.0
    for i in np.flatnonzero(cause == 1):
        t = time[i]
        weight = np.where(time >= t, 1.0, 0.0)
        for j in np.flatnonzero((cause == 2) & (time < t)):
            weight[j] = stay(t) / stay(time[j])
        total += beta * x[i] - np.log((weight * np.exp(beta * x)).sum())
    return total


def test_the_fit_maximizes_the_weighted_likelihood_of_its_definition():
    frame = competing(np.random.default_rng(1), 60).round({"time": 1})  # with ties
    best = minimize(lambda b: -weighted_likelihood(frame, b[0]), [0.0], tol=1e-10).x[0]
    table = competing_hazards(frame, duration="time", cause="cause", factors=["x"])
    assert np.log(table.estimate[0]) == pytest.approx(best, abs=1e-5)


def test_without_other_endings_it_is_cox_regression():
    frame = competing(np.random.default_rng(2), 400)
    frame["cause"] = frame["cause"].where(frame["cause"] == 1, 0)
    arguments = {"duration": "time", "cause": "cause", "factors": ["x"]}
    one = competing_hazards(frame, model="subdistribution", **arguments)
    two = competing_hazards(frame, model="cause_specific", **arguments)
    np.testing.assert_allclose(one.estimate, two.estimate, rtol=1e-8)
    np.testing.assert_allclose(one.covariance, two.covariance, rtol=1e-6)


def test_influence_is_the_change_when_a_subject_leaves():
    frame = competing(np.random.default_rng(3), 300)
    time, cause, x = (frame[c].to_numpy() for c in ("time", "cause", "x"))
    same = np.zeros(300, dtype=int)
    whole = fit_subdistribution(time, cause, x[:, None], same)
    np.testing.assert_allclose(whole.influence.sum(axis=0), 0, atol=1e-8)
    gone = []
    for i in range(60):
        kept = np.arange(300) != i
        left = fit_subdistribution(time[kept], cause[kept], x[kept, None], same[kept])
        gone.append(whole.coef[0] - left.coef[0])
    # To first order, and with the censoring curve taken as known.
    assert np.corrcoef(gone, whole.influence[:60, 0])[0, 1] > 0.99


@pytest.mark.parametrize("model", ["subdistribution", "cause_specific"])
def test_errors_allow_for_many_endings_on_one_day(model):
    """Times in months: the error is that of the jackknife, subject by subject."""
    frame = competing(np.random.default_rng(10), 150)
    frame["time"] = np.ceil(frame["time"] * 4)
    arguments = {"duration": "time", "cause": "cause", "factors": ["x"], "model": model}
    whole = competing_hazards(frame, **arguments)
    left = [np.log(competing_hazards(frame.drop(i), **arguments).estimate[0]) for i in frame.index]
    jackknife = np.sqrt(149 / 150 * ((np.array(left) - np.mean(left)) ** 2).sum())
    assert whole.std_error[0] / whole.estimate[0] == pytest.approx(jackknife, rel=0.06)


@pytest.mark.parametrize("model", ["subdistribution", "cause_specific"])
@pytest.mark.parametrize("share", [0.02, 0.2])
def test_a_group_without_the_ending_has_no_ratio(model, share):
    """Its likelihood rises for ever: no ratio near 0 with a narrow interval."""
    rng = np.random.default_rng(11)
    frame = competing(rng, 1000).assign(few=rng.random(1000) < share)
    frame.loc[frame["few"] & (frame["cause"] == 1), "cause"] = 2
    with pytest.raises(EstimationError, match="no finite maximum"):
        competing_hazards(frame, duration="time", cause="cause", factors=["few", "x"], model=model)
    # One ending in the group is enough for a ratio, however uncertain.
    frame.loc[frame.index[frame["few"]][0], "cause"] = 1
    table = competing_hazards(
        frame, duration="time", cause="cause", factors=["few", "x"], model=model
    )
    assert 0 < table.estimate[0] < 1


def test_one_cluster_has_no_error():
    frame = competing(np.random.default_rng(12), 100).assign(member="same")
    with pytest.raises(EstimationError, match="1 cluster"):
        competing_hazards(frame, duration="time", cause="cause", factors=["x"], cluster="member")


def test_intervals_cover_a_known_ratio_and_clusters_count():
    rng = np.random.default_rng(4)
    covered = np.zeros(2)
    for _ in range(200):
        frame = competing(rng, 150)
        twice = pd.concat([frame.assign(member=range(150))] * 2, ignore_index=True)
        arguments = {"duration": "time", "cause": "cause", "factors": ["x"]}
        for k, cluster in enumerate([None, "member"]):
            row = competing_hazards(twice, cluster=cluster, **arguments).to_frame().iloc[0]
            covered[k] += row["conf_low"] <= np.exp(0.5) <= row["conf_high"]
    # Every row twice: as clusters it covers as one sample does, as independent rows it cannot.
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 200) <= covered[1] / 200
    assert covered[0] / 200 < 0.9


def test_scale_and_order_do_not_matter():
    frame = competing(np.random.default_rng(5), 200)
    arguments = {"duration": "time", "cause": "cause", "factors": ["x"]}
    for model in ("subdistribution", "cause_specific"):
        one = competing_hazards(frame, model=model, **arguments)
        shuffled = frame.sample(frac=1, random_state=0).assign(time=lambda f: 30 * f["time"])
        two = competing_hazards(shuffled, model=model, **arguments)
        np.testing.assert_allclose(two.estimate, one.estimate, rtol=1e-7)
        np.testing.assert_allclose(two.std_error, one.std_error, rtol=1e-6)


def test_support_is_that_of_the_smaller_side():
    frame = competing(np.random.default_rng(6), 200).assign(arm=lambda f: f.index < 30)
    table = competing_hazards(frame, duration="time", cause="cause", factors=["arm"])
    assert table.support["n_members"].tolist() == [30]
    by_side = frame[frame["cause"] == 1].groupby("arm").size()
    assert table.support["n_events"].tolist() == [by_side.min()]
    assert not table.estimand.is_causal


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({}, {"factors": []}, EstimationError, "no factor is named"),
        ({}, {"model": "other"}, EstimationError, "not one of"),
        ({"time": -1.0}, {}, TableError, "negative or infinite in 100 of 100"),
        ({"cause": 2}, {}, EstimationError, "fewer than 5 endings"),
        ({"x": 1.0}, {}, EstimationError, "does not vary"),
        ({}, {"cluster": "member"}, TableError, "lacks `member`"),
        (
            {"x": lambda f: (f["cause"] == 1).astype(float)},
            {},
            EstimationError,
            "no finite maximum",
        ),
    ],
)
def test_what_cannot_be_estimated_is_refused(change, arguments, error, message):
    frame = competing(np.random.default_rng(7), 100).assign(**change)
    with pytest.raises(error, match=message):
        competing_hazards(
            frame, **{"duration": "time", "cause": "cause", "factors": ["x"], **arguments}
        )


def test_rows_with_missing_values_are_counted():
    frame = competing(np.random.default_rng(8), 100)
    frame.loc[:3, "x"] = np.nan
    table = competing_hazards(frame, duration="time", cause="cause", factors=["x"])
    assert "4 of 100" in table.notes[0]


def test_groups_are_tested_together():
    """The joint test of three terms is the Wald statistic of their log ratios."""
    frame = competing(np.random.default_rng(9), 400, beta=0.0)
    frame["group"] = np.random.default_rng(1).choice(["a", "b", "c", "d"], 400)
    table = competing_hazards(frame, duration="time", cause="cause", categorical=["group"])
    log, error = np.log(table.estimate), table.covariance / np.outer(table.estimate, table.estimate)
    found = joint_test(table)
    assert found["df"].tolist() == [3]
    assert found["statistic"].iloc[0] == pytest.approx(log @ np.linalg.solve(error, log), rel=1e-9)


def test_a_fit_takes_memory_for_its_columns_not_their_square():
    """10,000 subjects by 30 factors are 2.4 MB; a square of factors for every time is 72 MB."""
    rng = np.random.default_rng(4)
    frame = competing(rng, 10_000)
    x = rng.normal(size=(10_000, 30))
    time, cause = frame["time"].to_numpy(), frame["cause"].to_numpy()
    tracemalloc.start()
    found = fit_subdistribution(time, cause, x, np.zeros(10_000, dtype=int))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is not None
    assert peak < 20 * x.nbytes


def test_few_clusters_have_wider_intervals_than_a_normal_curve():
    frame = competing(np.random.default_rng(9), 400).assign(county=np.arange(400) % 7)
    table = competing_hazards(
        frame, duration="time", cause="cause", factors=["x"], cluster="county"
    )
    row = table.to_frame().iloc[0]
    # Student's t of six degrees: 2.447 standard errors of the logarithm.
    width = np.log(row["conf_high"]) - np.log(row["conf_low"])
    assert width == pytest.approx(2 * 2.4469 * table.std_error[0] / table.estimate[0], rel=1e-4)
    alone = competing_hazards(frame, duration="time", cause="cause", factors=["x"])
    assert alone.degrees is None


@pytest.mark.parametrize(("rare", "kept"), [("c", ["plan=b"]), ("a", ["plan=c"])])
def test_a_level_only_in_rows_set_aside_is_no_level(rare, kept):
    """Whether it is the reference or another one: the others are compared without it."""
    rng = np.random.default_rng(3)
    frame = competing(rng, 300)
    others = [level for level in "abc" if level != rare]
    frame["plan"] = rng.choice(others, 300)
    extra = frame.head(2).assign(plan=rare, x=np.nan)
    whole = pd.concat([frame, extra], ignore_index=True)
    options = {"duration": "time", "cause": "cause", "factors": ["x"], "categorical": ["plan"]}
    found = competing_hazards(whole, **options)
    assert found.keys["term"].tolist() == ["x", *kept]
    np.testing.assert_allclose(
        found.estimate, competing_hazards(frame, **options).estimate, rtol=1e-12
    )
