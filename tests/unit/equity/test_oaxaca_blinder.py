from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.oaxaca import OaxacaBlinder

from calaim_eval.equity import oaxaca_blinder
from calaim_eval.errors import EstimationError, TableError

OPTIONS = {
    "by": "language",
    "reference": "en",
    "covariates": ["age"],
    "categorical": ["plan"],
}
KINDS = ["reference", "group", "half", "size", "pooled", "neumark"]


def members(seed: int = 4, n: int = 90) -> pd.DataFrame:
    """Members of three languages, two rows each, with a yes-no and a number to explain."""
    rng = np.random.default_rng(seed)
    language = rng.choice(["en", "es", "zh"], n, p=[0.4, 0.35, 0.25])
    age = rng.normal(45, 9, n) + 5 * (language == "es")
    plan = rng.choice(["a", "b", "c"], n)
    frame = pd.DataFrame(
        {"member_id": np.arange(n), "language": language, "age": age, "plan": plan}
    )
    frame = frame.loc[frame.index.repeat(2)].reset_index(drop=True)
    score = (
        0.04 * (frame["age"] - 45)
        + 0.5 * (frame["plan"] == "b")
        - 0.4 * (frame["language"] == "es")
    )
    return frame.assign(
        county=frame["member_id"] % 6,
        visits=2 + score + rng.normal(0, 1, 2 * n),
        served=(rng.uniform(size=2 * n) < 1 / (1 + np.exp(-score))).astype(int),
        weight=rng.uniform(0.5, 2, 2 * n),
    )


def whole(table, group: str = "es") -> dict[str, float]:
    frame = table.to_frame()
    own = frame[(frame["language"] == group) & (frame["covariate"] == "all")]
    return dict(zip(own["component"], own["estimate"], strict=True))


def run(frame: pd.DataFrame, outcome: str = "visits", **options):
    model = "logit" if outcome == "served" else "linear"
    if options.get("components") != "threefold":
        options = {"coefficients": "pooled", **options}
    return oaxaca_blinder(frame, outcome=outcome, **{"model": model, **OPTIONS, **options})


@pytest.mark.parametrize(
    ("coefficients", "name"),
    [("pooled", "pooled"), ("neumark", "nuemark"), ("size", "cotton"), ("half", "reimers")],
)
def test_two_parts_are_those_of_statsmodels(coefficients, name):
    frame = members()
    pair = frame[frame["language"] != "zh"]
    dummies = pd.get_dummies(pair["plan"], drop_first=True, dtype=float)
    x = pd.concat([pair[["age"]], dummies], axis=1).assign(es=(pair["language"] == "es") * 1.0)
    # Statsmodels writes "nuemark", and takes any other word for "pooled".
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = OaxacaBlinder(
            pair["visits"].to_numpy(), sm.add_constant(x).to_numpy(), 4, hasconst=True, swap=False
        ).two_fold(two_fold_type=name)
    unexplained, explained, gap = (float(each) for each in other.params)
    found = whole(run(frame, coefficients=coefficients))
    sign = np.sign(found["gap"] * gap)
    assert found["gap"] == pytest.approx(sign * gap)
    assert found["explained"] == pytest.approx(sign * explained)
    assert found["unexplained"] == pytest.approx(sign * unexplained)


@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize("outcome", ["visits", "served"])
@pytest.mark.parametrize("coefficients", KINDS)
def test_the_gap_is_that_in_means_and_the_parts_add_up_to_it(coefficients, outcome, weights):
    frame = members()
    table = run(frame, outcome, coefficients=coefficients, weights=weights, detail="covariate")
    w = frame[weights] if weights else pd.Series(1.0, index=frame.index)
    for group in ("es", "zh"):
        level = {
            g: np.average(
                frame.loc[frame["language"] == g, outcome], weights=w[frame["language"] == g]
            )
            for g in (group, "en")
        }
        parts = table.to_frame().query("language == @group")
        of_all = whole(table, group)
        assert of_all["gap"] == pytest.approx(level[group] - level["en"], abs=1e-10)
        assert of_all["explained"] + of_all["unexplained"] == pytest.approx(
            of_all["gap"], abs=1e-12
        )
        for component in ("explained", "unexplained"):
            own = parts.query("component == @component and covariate != 'all'")["estimate"]
            assert own.sum() == pytest.approx(of_all[component], abs=1e-10)


def test_a_logit_by_hand():
    frame = members()
    x = {}
    fits = {}
    for group in ("es", "en"):
        own = frame[frame["language"] == group]
        x[group] = sm.add_constant(
            np.column_stack([own["age"], own["plan"] == "b", own["plan"] == "c"]).astype(float)
        )
        fits[group] = sm.Logit(own["served"].to_numpy(), x[group]).fit(disp=0, tol=1e-12)
    explained = fits["en"].predict(x["es"]).mean() - fits["en"].predict(x["en"]).mean()
    found = whole(run(frame, "served", coefficients="reference"))
    assert found["explained"] == pytest.approx(explained, rel=1e-8)
    three = whole(run(frame, "served", components="threefold"))
    assert three["endowments"] == pytest.approx(explained, rel=1e-8)
    other = fits["es"].predict(x["en"]).mean() - fits["en"].predict(x["en"]).mean()
    assert three["coefficients"] == pytest.approx(other, rel=1e-8)
    parts = three["endowments"] + three["coefficients"] + three["interaction"]
    assert parts == pytest.approx(three["gap"], abs=1e-12)


def test_a_logits_parts_by_covariate_are_in_proportion_to_the_linear_pieces():
    frame = members()
    table = run(frame, "served", coefficients="reference", detail="level", categories="first_level")
    own = frame[frame["language"] == "en"]
    x = np.column_stack([own["age"], own["plan"] == "b", own["plan"] == "c"]).astype(float)
    slopes = (
        sm.Logit(own["served"].to_numpy(), sm.add_constant(x)).fit(disp=0, tol=1e-12).params[1:]
    )
    other = frame[frame["language"] == "es"]
    apart = np.column_stack([other["age"], other["plan"] == "b", other["plan"] == "c"]).astype(
        float
    ).mean(axis=0) - x.mean(axis=0)
    share = apart * slopes / (apart * slopes).sum()
    parts = table.to_frame().query("language == 'es' and component == 'explained'")
    found = parts.set_index("covariate")["estimate"]
    assert found["plan=a"] == 0
    assert found[["age", "plan=b", "plan=c"]].to_numpy() == pytest.approx(
        found["all"] * share, rel=1e-7
    )


def test_ratio_multiplies_to_the_ratio_of_means():
    frame = members()
    table = run(frame, scale="ratio", detail="covariate")
    means = frame.groupby("language")["visits"].mean()
    found = whole(table)
    assert found["gap"] == pytest.approx(means["es"] / means["en"])
    assert found["explained"] * found["unexplained"] == pytest.approx(found["gap"])
    parts = table.to_frame().query("language == 'es' and covariate != 'all'")
    assert parts["estimate"].prod() == pytest.approx(found["gap"])


@pytest.mark.parametrize("outcome", ["visits", "served"])
def test_normalized_categories_do_not_depend_on_the_first_level(outcome):
    frame = members()
    renamed = frame.assign(plan=frame["plan"].map({"a": "z", "b": "b", "c": "c"}))
    plain, other = (
        run(f, outcome, detail="level").to_frame().set_index(["language", "component", "covariate"])
        for f in (frame, renamed)
    )
    names = [
        (language, component, covariate.replace("=a", "=z"))
        for language, component, covariate in plain.index
    ]
    for column in ("estimate", "std_error"):
        assert other.loc[names, column].to_numpy() == pytest.approx(
            plain[column].to_numpy(), rel=1e-7, nan_ok=True
        )
    first = run(frame, outcome, detail="covariate", categories="first_level").to_frame()
    normal = run(frame, outcome, detail="covariate").to_frame()
    is_explained = first["component"] == "explained"
    assert first.loc[is_explained, "estimate"].to_numpy() == pytest.approx(
        normal.loc[is_explained, "estimate"].to_numpy(), abs=1e-9
    )
    constant = first["covariate"] == "intercept"
    assert first.loc[constant, "estimate"].to_numpy() != pytest.approx(
        normal.loc[constant, "estimate"].to_numpy(), abs=1e-3
    )


CASES = [
    {"coefficients": "reference"},
    {"coefficients": "pooled", "detail": "level"},
    {"coefficients": "neumark", "scale": "ratio", "detail": "covariate"},
    {"components": "threefold", "detail": "covariate"},
    {"coefficients": "half", "outcome": "served", "detail": "covariate"},
    {"coefficients": "pooled", "outcome": "served", "scale": "ratio"},
    {"components": "threefold", "outcome": "served"},
]


@pytest.mark.parametrize("options", CASES)
def test_covariance_is_that_of_the_influence_of_counties_by_brute_force(options):
    """The influence of a county is what changes when its rows weigh a little more."""
    frame = members()
    step = 1e-5

    def at(factor: dict[int, float]) -> np.ndarray:
        weight = frame["weight"] * frame["county"].map(factor).fillna(1.0)
        return run(frame.assign(weight=weight), **options, weights="weight").estimate

    changes = np.array(
        [(at({c: 1 + step}) - at({c: 1 - step})) / (2 * step) for c in range(6)]
    ) * np.sqrt(6 / 5)
    table = run(frame, **options, weights="weight", cluster="county")
    assert table.covariance == pytest.approx(changes.T @ changes, rel=1e-4, abs=1e-7)
    assert (table.degrees == 5).all()
    influence = table.cluster_influence.to_numpy()
    assert influence.T @ influence == pytest.approx(table.covariance)


def test_intervals_cluster_by_member_and_ids_are_not_kept():
    frame = members()
    table = run(frame)
    assert table.cluster_influence is None
    assert table.degrees is None
    by_name = run(frame.assign(person=frame["member_id"]), cluster="person")
    assert by_name.cluster_influence is None
    assert by_name.std_error == pytest.approx(table.std_error)
    once = run(frame.drop_duplicates("member_id"), member_id=None)
    twice = run(
        pd.concat([frame.drop_duplicates("member_id")] * 2, ignore_index=True),
        coefficients="pooled",
    )
    assert twice.std_error == pytest.approx(once.std_error)


def test_a_pair_does_not_depend_on_other_groups():
    frame = members()
    together = run(frame, detail="covariate")
    alone = run(frame[frame["language"] != "zh"], detail="covariate")
    own = together.select(together.keys["language"] == "es")
    assert own.estimate == pytest.approx(alone.estimate)
    assert own.covariance == pytest.approx(alone.covariance)
    gaps = together.select(together.keys["component"] == "gap")
    reference = frame[frame["language"] == "en"].groupby("member_id")["visits"].sum()
    n = len(frame[frame["language"] == "en"])
    centred = reference - 2 * frame.loc[frame["language"] == "en", "visits"].mean()
    sizes = [
        frame.loc[frame["language"].isin(["en", g]), "member_id"].nunique() for g in ("es", "zh")
    ]
    factor = np.prod([np.sqrt(s / (s - 1)) for s in sizes])
    assert gaps.covariance[0, 1] == pytest.approx(factor * (centred**2).sum() / n**2)


def test_unit_and_scale_of_the_outcome():
    frame = members()
    table = run(frame, per=1000, unit="visits per 1,000 member-months", detail="covariate")
    assert table.estimate == pytest.approx(1000 * run(frame, detail="covariate").estimate)
    assert table.estimand.unit == "visits per 1,000 member-months"


def test_missing_covariates_are_counted_and_missing_groups_are_a_group():
    frame = members()
    frame.loc[:29, "age"] = np.nan
    frame.loc[frame["language"] == "zh", "language"] = None
    table = run(frame)
    assert table.keys["language"].unique().tolist() == ["es", "unknown"]
    assert any("not known in about 30 rows" in note for note in table.notes)
    assert table.estimate == pytest.approx(run(frame.dropna(subset="age")).estimate)


def test_the_words_of_the_unexplained():
    table = run(members())
    note = next(n for n in table.notes if n.startswith("`unexplained`"))
    assert "no measure of discrimination" in note
    assert "no evidence that there is none" in note
    assert not table.estimand.is_causal
    three = run(members(), components="threefold")
    assert any(n.startswith("`coefficients`") for n in three.notes)


def test_support_is_the_rarest_level_where_levels_are_told_apart():
    frame = members()
    both = frame[frame["language"] != "zh"]
    assert (
        run(frame).support["n_members"].iloc[0]
        == both.groupby("language")["member_id"].nunique().min()
    )
    fewest = both.groupby(["language", "plan"])["member_id"].nunique().min()
    table = run(frame, detail="level")
    own = table.support[table.keys["language"] == "es"]
    assert (own["n_members"] == fewest).all()


@pytest.mark.parametrize(
    ("changes", "options", "error", "message"),
    [
        ({}, {"reference": "xx"}, EstimationError, "groups in `language`"),
        ({}, {"coefficients": None}, EstimationError, "Name `coefficients`"),
        ({}, {"components": "threefold", "coefficients": "half"}, EstimationError, "Leave it out"),
        ({}, {"covariates": [], "categorical": []}, EstimationError, "at least one"),
        ({"weight": 0.0}, {"weights": "weight"}, TableError, "not above 0"),
        ({"visits": np.nan}, {}, TableError, "missing or infinite"),
        ({}, {"model": "logit"}, TableError, "outcome of 0 to 1"),
        ({"county": 1}, {"cluster": "county"}, EstimationError, "one cluster"),
        ({}, {"cluster": "region"}, TableError, "lacks `region`"),
        ({"visits": lambda d: d["visits"] - 50}, {"scale": "ratio"}, EstimationError, "above 0"),
        (
            {"plan": lambda d: d["plan"].where(d["language"] != "zh", "a")},
            {},
            EstimationError,
            "regression in 'zh'",
        ),
    ],
)
def test_refusals(changes, options, error, message):
    with pytest.raises(error, match=message):
        run(members().assign(**changes), **options)


def test_a_logit_without_variation_or_with_separation_is_refused():
    frame = members()
    same = frame.assign(served=frame["served"].where(frame["language"] != "zh", 1))
    with pytest.raises(EstimationError, match="'zh': the outcome is the same"):
        run(same, "served")
    apart = frame.assign(served=(frame["age"] > 45).astype(int))
    with pytest.raises(EstimationError, match="separation"):
        run(apart, "served")
    rare = frame.assign(served=frame["served"].where(frame["plan"] != "c", 1))
    with pytest.raises(EstimationError, match="separation"):
        run(rare, "served")
