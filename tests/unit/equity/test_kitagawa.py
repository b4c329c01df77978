from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.equity import kitagawa, proportion_by_group, rate_by_group, rate_gap
from calaim_eval.errors import EstimationError, TableError

COUNTS = pd.DataFrame(
    {
        "group": ["a", "a", "b", "b"],
        "age": ["old", "young"] * 2,
        "events": [30, 10, 10, 20],
        "n": [100, 100, 50, 150],
    }
)
OPTIONS = {"by": "group", "within": "age", "reference": "b", "denominator": "n"}


def members(seed: int = 3, n: int = 40) -> pd.DataFrame:
    """Rows of members, some in both bands, several rows each, in five counties."""
    rng = np.random.default_rng(seed)
    person = rng.integers(0, n, 6 * n)
    return pd.DataFrame(
        {
            "person": person,
            "county": person % 5,
            "group": np.where(person % 3 == 0, "a", np.where(person % 3 == 1, "b", "c")),
            "age": rng.choice(["old", "young", "mid"], 6 * n),
            "events": rng.poisson(1 + person % 2).astype(float),
            "n": rng.uniform(1, 3, 6 * n),
        }
    )


def parts(table) -> dict[str, float]:
    return dict(zip(table.keys["component"], table.estimate, strict=True))


def test_two_parts_by_hand():
    # a: 1/2 old at .3, 1/2 young at .1 -> .2; b: 1/4 old at .2, 3/4 young at .1333 -> .15
    found = parts(kitagawa(COUNTS, kind="rate", **OPTIONS))
    young = 20 / 150
    assert found["gap"] == pytest.approx(0.05)
    assert found["composition"] == pytest.approx(0.25 * 0.25 - 0.25 * (0.1 + young) / 2)
    assert found["rates"] == pytest.approx(0.375 * 0.1 + 0.625 * (0.1 - young))


def test_three_parts_by_hand():
    found = parts(kitagawa(COUNTS, kind="rate", components="three", **OPTIONS))
    young = 20 / 150
    assert found["composition"] == pytest.approx(0.25 * 0.2 - 0.25 * young)
    assert found["rates"] == pytest.approx(0.25 * 0.1 + 0.75 * (0.1 - young))
    assert found["interaction"] == pytest.approx(0.25 * 0.1 - 0.25 * (0.1 - young))
    assert found["gap"] == pytest.approx(
        found["composition"] + found["rates"] + found["interaction"], abs=1e-15
    )


def test_ratio_multiplies_and_its_parts_are_ratios_at_averages_of_logarithms():
    found = parts(kitagawa(COUNTS, kind="rate", scale="ratio", **OPTIONS))
    young = 20 / 150
    at_a, at_b = 0.5 * 0.2 + 0.5 * young, 0.25 * 0.3 + 0.75 * 0.1
    assert found["gap"] == pytest.approx(0.2 / 0.15)
    assert found["composition"] == pytest.approx(np.sqrt((at_a / 0.15) * (0.2 / at_b)))
    assert found["gap"] == pytest.approx(found["composition"] * found["rates"])


def test_parts_of_strata_add_up_to_the_whole_with_their_covariance():
    table = kitagawa(members(), kind="rate", member_id="person", by_stratum=True, **OPTIONS)
    keys = table.keys
    whole = keys[keys["age"] == "all"]
    weights = np.zeros((len(whole), len(table)))
    for i, row in enumerate(whole.itertuples()):
        same = (keys["group"] == row.group) & (keys["component"] == row.component)
        weights[i] = same & (keys["age"] != "all")
    summed = table.combine(weights, keys=whole)
    assert summed.estimate == pytest.approx(table.estimate[whole.index], abs=1e-12)
    assert summed.std_error == pytest.approx(table.std_error[whole.index], rel=1e-9)


def derivative(frame: pd.DataFrame, column: str, **options) -> np.ndarray:
    """Change of every part when one cluster counts a little more, by differences."""
    base = kitagawa(frame, **options).estimate
    changes = []
    for _, own in frame.groupby(column):
        more = frame.copy()
        more.loc[own.index, ["events", "n"]] *= 1 + 1e-6
        changes.append((kitagawa(more, **options).estimate - base) / 1e-6)
    return np.array(changes)


@pytest.mark.parametrize("scale", ["difference", "ratio"])
@pytest.mark.parametrize("components", ["two", "three"])
def test_covariance_is_that_of_the_influence_of_members_by_brute_force(scale, components):
    frame = members(n=15)
    options = {**OPTIONS, "kind": "rate", "scale": scale, "components": components}
    changes = derivative(frame, "person", **options)
    table = kitagawa(frame, member_id="person", **options)
    persons = frame.drop_duplicates("person").sort_values("person")["group"]
    counts = persons.map(persons.value_counts()).to_numpy()
    changes = changes * np.sqrt(counts / (counts - 1))[:, None]
    assert table.covariance == pytest.approx(changes.T @ changes, rel=1e-4, abs=1e-9)
    assert table.cluster_influence is None


def test_named_clusters_keep_their_influence_and_students_t():
    frame = members()
    options = {**OPTIONS, "kind": "rate"}
    table = kitagawa(frame, member_id="person", cluster="county", **options)
    changes = derivative(frame, "county", **options) * np.sqrt(5 / 4)
    assert table.covariance == pytest.approx(changes.T @ changes, rel=1e-4, abs=1e-9)
    assert table.cluster_influence.index.name == "county"
    influence = table.cluster_influence.to_numpy()
    assert influence.T @ influence == pytest.approx(table.covariance)
    assert (table.degrees == 4).all()


def test_clusters_of_a_third_group_bear_on_no_other_gap():
    rng = np.random.default_rng(4)
    group = np.array(list("abc"))[rng.integers(0, 3, 900)]
    near, far = rng.integers(0, 4, 900), rng.integers(4, 44, 900)
    frame = pd.DataFrame({"group": group, "county": np.where(group == "c", far, near)}).assign(
        person=range(900), age=rng.choice(["old", "young"], 900), events=rng.poisson(1, 900), n=12.0
    )
    options = {**OPTIONS, "kind": "rate", "member_id": "person", "cluster": "county"}
    three = kitagawa(frame, **options)
    two = kitagawa(frame[frame["group"] != "c"], **options)
    own = three.select(three.keys["group"] == "a")
    assert own.degrees.tolist() == two.degrees.tolist() == [3] * 3
    assert own.covariance == pytest.approx(two.covariance)
    assert three.degrees.tolist() == [3] * 3 + [43] * 3
    influence = three.cluster_influence.to_numpy()
    assert influence.T @ influence == pytest.approx(three.covariance)


def test_two_groups_in_one_cluster_have_no_interval_and_leave_the_others_theirs():
    frame = members().assign(county=lambda d: np.where(d["group"] == "c", d["county"], 0))
    table = kitagawa(frame, member_id="person", cluster="county", kind="rate", **OPTIONS)
    is_alone = (table.keys["group"] == "a").to_numpy()
    assert np.isnan(table.std_error[is_alone]).all()
    assert np.isfinite(table.estimate).all()
    assert np.isfinite(table.std_error[~is_alone]).all()
    assert table.degrees[~is_alone].tolist() == [4] * 3


def test_the_gap_is_that_of_rate_gap_with_its_standard_error():
    frame = members().assign(n=1.0, member_id=lambda d: d["person"])
    rates = rate_by_group(frame, outcome="events", by="group", per=1)
    gap = rate_gap(rates, reference="b", stratum="group")
    table = kitagawa(frame, member_id="member_id", kind="rate", **OPTIONS)
    own = table.select(table.keys["component"] == "gap")
    assert own.estimate == pytest.approx(gap.estimate)
    assert own.std_error == pytest.approx(gap.std_error)
    assert own.covariance == pytest.approx(gap.covariance)


def test_a_proportions_counts_are_its_members():
    rows = COUNTS.loc[COUNTS.index.repeat(COUNTS["n"])].reset_index(drop=True)
    place = rows.groupby(["group", "age"]).cumcount()
    one_each = rows.assign(has=place < rows["events"], one=1, member_id=rows.index)
    counted = kitagawa(COUNTS, kind="proportion", **OPTIONS)
    listed = kitagawa(
        one_each.assign(has=one_each["has"].astype(int)),
        by="group",
        within="age",
        reference="b",
        kind="proportion",
        numerator="has",
        denominator="one",
        member_id="member_id",
    )
    assert listed.estimate == pytest.approx(counted.estimate)
    assert listed.covariance == pytest.approx(counted.covariance * 200 / 199)
    assert (
        listed.support["n_members"].tolist() == counted.support["n_members"].tolist() == [200] * 3
    )
    assert counted.std_error[0] == pytest.approx(np.sqrt(0.2 * 0.8 / 200 + 0.15 * 0.85 / 200))
    rates = proportion_by_group(one_each, has="has", by=["group", "age"], margins=("age",))
    tabled = kitagawa(rates, by="group", within="age", reference="b")
    assert tabled.covariance == pytest.approx(counted.covariance)


def test_a_table_of_poisson_rates_is_its_counts():
    frame = members().assign(n=1.0, member_id=lambda d: d["person"])
    rates = rate_by_group(
        frame, outcome="events", by=["group", "age"], per=1000, interval="byar", margins=("group",)
    )
    tabled = kitagawa(rates, by="group", within="age", reference="b")
    counted = kitagawa(frame, kind="rate", per=1000, **OPTIONS)
    assert tabled.estimate == pytest.approx(counted.estimate)
    assert tabled.covariance == pytest.approx(counted.covariance)
    assert tabled.estimand.unit == rates.unit
    y, n = frame.groupby("group")[["events", "n"]].sum().loc[["a", "b"]].to_numpy().T
    assert tabled.std_error[0] == pytest.approx(1000 * np.sqrt((y / n**2).sum()))


def test_a_group_of_one_member_has_a_gap_without_an_interval():
    frame = members()
    lonely = pd.DataFrame(
        {
            "person": 99,
            "county": 1,
            "group": "d",
            "age": ["old", "young", "mid"],
            "events": 1,
            "n": 1,
        }
    )
    table = kitagawa(pd.concat([frame, lonely]), kind="rate", member_id="person", **OPTIONS)
    is_lonely = table.keys["group"] == "d"
    assert np.isfinite(table.estimate).all()
    assert np.isnan(table.std_error[is_lonely]).all()
    assert np.isfinite(table.std_error[~is_lonely]).all()


def test_unknown_groups_and_strata_are_rows():
    frame = pd.concat([COUNTS, COUNTS[COUNTS["group"] == "a"].assign(group=None)])
    table = kitagawa(
        frame.assign(age=frame["age"].where(frame["age"] == "old")), kind="rate", **OPTIONS
    )
    assert table.keys["group"].unique().tolist() == ["a", "unknown"]
    assert table.estimate[:3] == pytest.approx(table.estimate[3:])


def test_the_words_claim_nothing():
    table = kitagawa(COUNTS, kind="rate", **OPTIONS)
    assert not table.estimand.is_causal
    assert any("Neither is a cause" in note for note in table.notes)
    assert "10.1080/01621459.1955.10501299" in table.method.reference


def test_a_gap_is_released_whole_or_not_at_all():
    """One small stratum hides every part: a hidden part would follow from the others."""
    small = COUNTS.assign(n=[100, 8, 50, 150], events=[30, 2, 10, 20])
    few = kitagawa(small, kind="proportion", by_stratum=True, **OPTIONS)
    many = kitagawa(small, kind="proportion", **OPTIONS)
    assert (few.support["n_members"] == 8).all()
    assert (many.support["n_members"] == 108).all()
    released = release({"few": few, "many": many}, policy="calhhs_ddg_2")
    assert released.tables["few"].frame["is_suppressed"].all()
    assert not released.tables["many"].frame["is_suppressed"].any()


@pytest.mark.parametrize(
    ("changes", "options", "error", "message"),
    [
        ({}, {"reference": "z"}, EstimationError, "groups in `group`: 'a', 'b'"),
        ({}, {"kind": None}, EstimationError, 'kind="rate"'),
        ({"age": ["old", "young", "old", "old"]}, {}, EstimationError, r"\('b'\) have nobody"),
        ({"n": [100, 0, 50, 150]}, {}, EstimationError, "have nobody"),
        ({"events": [30, 10, 10, 200]}, {"kind": "proportion"}, TableError, "no proportion"),
        ({"events": [30, -1, 10, 20]}, {}, TableError, "negative"),
        ({"events": [30, None, 10, 20]}, {}, TableError, "missing"),
        ({"events": list("abcd")}, {}, TableError, "not numbers"),
        ({"events": [0, 0, 10, 20]}, {"scale": "ratio"}, EstimationError, "not above 0"),
        ({}, {"scale": "ratio", "by_stratum": True}, EstimationError, "does not split"),
        ({"group": ["b"] * 4}, {}, EstimationError, "holds only the reference"),
        ({}, {"within": "sex"}, TableError, "lacks `sex`"),
        ({"county": ["x"] * 4}, {"cluster": "county"}, EstimationError, "one cluster only"),
        ({"county": ["x", None, "y", "y"]}, {"cluster": "county"}, TableError, "is missing in"),
    ],
)
def test_refusals(changes, options, error, message):
    with pytest.raises(error, match=message):
        kitagawa(COUNTS.assign(**changes), **{"kind": "rate", **OPTIONS, **options})
