"""Sets, truth tables and their solutions: by hand and against exhaustive search."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.qca import (
    Calibration,
    calibrate,
    fsqca,
    necessity,
    read_calibration,
    truth_table,
)
from calaim_eval.integration.qca.minimize import covers, minimal_covers, prime_implicants

RISING = Calibration("funded", "dollars", 0, 5, 20, "awards")


def all_implicants(k):
    """Every value and mask of k conditions: 3^k."""
    for states in product((0, 1, None), repeat=k):
        mask = sum(1 << j for j, s in enumerate(states) if s is not None)
        yield sum(1 << j for j, s in enumerate(states) if s), mask


def inside(implicant, k):
    return {corner for corner in range(2**k) if covers(implicant, corner)}


@pytest.mark.parametrize("seed", range(40))
def test_minimization_equals_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 5))
    fate = rng.choice(["yes", "no", "open"], 2**k, p=[0.35, 0.35, 0.3])
    required = tuple(np.flatnonzero(fate == "yes").tolist())
    if not required:
        return
    allowed = {*required, *np.flatnonzero(fate == "open").tolist()}
    within = [p for p in all_implicants(k) if inside(p, k) <= allowed]
    largest = {p for p in within if not any(inside(p, k) < inside(q, k) for q in within)}
    primes = prime_implicants(allowed, k)
    assert set(primes) == largest
    useful = [p for p in primes if any(covers(p, c) for c in required)]
    found = minimal_covers(required, useful)
    for n in range(1, len(useful) + 1):
        best = {
            frozenset(chosen)
            for chosen in combinations(useful, n)
            if set(required) <= set().union(*(inside(p, k) for p in chosen))
        }
        if best:
            break
    assert {frozenset(cover) for cover in found} == best


def test_anchors_have_the_memberships_they_are_named_for():
    data = pd.DataFrame({"dollars": [0, 5, 20, 12.5, np.nan]})
    falling = Calibration("poor", "dollars", 20, 5, 0, "the opposite")
    crisp = Calibration("some", "dollars", 5, 5, 5, "any at all")
    sets = calibrate(data, [RISING, falling, crisp])
    np.testing.assert_allclose(sets["funded"][:3], [0.05, 0.5, 0.95])
    np.testing.assert_allclose(sets["poor"][:3], [0.95, 0.5, 0.05])
    # Half way above the crossover: log odds 2.944 / 2.
    assert sets["funded"][3] == pytest.approx(1 / (1 + np.exp(-np.log(19) / 2)))
    assert sets["some"].tolist()[:4] == [0, 1, 1, 1]
    assert sets.iloc[4].isna().all()


def test_a_calibration_file_is_read_and_its_faults_are_named(tmp_path):
    path = tmp_path / "sets.toml"
    anchors = "column = 'dollars'\nnon_member = 0\ncrossover = 5\nfull_member = 20\n"
    path.write_text(f"[funded]\n{anchors}reason = 'awards'\n", encoding="utf-8")
    assert read_calibration(path) == (RISING,)
    path.write_text(f"[funded]\n{anchors}", encoding="utf-8")
    with pytest.raises(TableError, match="absent: `reason`"):
        read_calibration(path)
    path.write_text(f"[funded]\n{anchors}reason = ' '\n", encoding="utf-8")
    with pytest.raises(TableError, match="has no `reason`"):
        read_calibration(path)
    path.write_text("[funded", encoding="utf-8")
    with pytest.raises(TableError, match="cannot be read"):
        read_calibration(path)
    with pytest.raises(TableError, match="neither rise nor fall"):
        Calibration("funded", "dollars", 0, 30, 20, "awards")


@pytest.mark.parametrize("line", ['non_member = "0"', "non_member = true", "reason = 3"])
def test_an_anchor_that_is_no_number_is_named(tmp_path, line):
    entries = {"column": '"v"', "non_member": "0", "crossover": "5", "full_member": "9"}
    key, value = line.split(" = ")
    entries |= {"reason": '"awards"', key: value}
    path = tmp_path / "sets.toml"
    path.write_text("[funded]\n" + "\n".join(f"{k} = {v}" for k, v in entries.items()), "utf-8")
    with pytest.raises(TableError, match="set `funded`: non_member, crossover and full_member"):
        read_calibration(path)


def test_two_sets_of_one_name_are_refused():
    with pytest.raises(TableError, match="two sets have one name"):
        calibrate(pd.DataFrame({"dollars": [1.0]}), [RISING, RISING])


def test_a_fuzzy_truth_table_by_hand():
    sets = pd.DataFrame({"a": [0.9, 0.8, 0.2], "b": [0.7, 0.1, 0.4], "y": [0.8, 0.6, 0.3]})
    table = truth_table(sets, outcome="y", conditions=["a", "b"], consistency_cutoff=0.7)
    # In a*b: min = 0.7, 0.1, 0.2; with y: 0.7, 0.1, 0.2. In a*~b: 0.3, 0.8, 0.2 -> 0.3, 0.6, 0.2.
    rows = table.rows.set_index(["a", "b"])
    assert rows.loc[(1, 1), "consistency"] == pytest.approx(1)
    assert rows.loc[(1, 0), "consistency"] == pytest.approx(1.1 / 1.3)
    assert rows["n_cases"].to_dict() == {(0, 0): 1, (0, 1): 0, (1, 0): 1, (1, 1): 1}
    # ~a~b: 0.1, 0.2, 0.6 against y 0.1, 0.2, 0.3; taken out as shared: 0.1, 0.2, 0.3.
    assert rows.loc[(0, 0), "consistency"] == pytest.approx(0.6 / 0.9)
    assert rows.loc[(0, 0), "pri"] == pytest.approx(0)
    assert rows["is_outcome"].isna().to_dict()[(0, 1)]
    solved = fsqca(table)
    assert solved.formula("conservative") == "a"
    assert solved.formula("parsimonious") in {"a", "a or b"}
    term = solved.terms.iloc[0]
    assert term["consistency"] == pytest.approx((0.8 + 0.6 + 0.2) / 1.9)
    assert term["coverage"] == pytest.approx((0.8 + 0.6 + 0.2) / 1.7)


def test_all_equally_short_models_are_given():
    sets = pd.DataFrame(
        [(a, b, c, int(a + b + c not in (0, 3))) for a, b, c in product((0, 1), repeat=3)],
        columns=["a", "b", "c", "y"],
    )
    table = truth_table(sets, outcome="y", conditions=["a", "b", "c"])
    models = fsqca(table).models
    # Some but not all of three: the two cycles of three terms, a textbook ambiguity.
    conservative = models[models["solution"] == "conservative"]
    assert set(conservative["formula"]) == {
        "a*~b + b*~c + ~a*c",
        "a*~c + ~a*b + ~b*c",
    }
    assert (conservative["consistency"] == 1).all()


def test_what_is_needed_by_hand():
    sets = pd.DataFrame({"a": [0.9, 0.8, 0.2], "y": [0.8, 0.6, 0.3]})
    found = necessity(sets, outcome="y", conditions=["a"]).set_index("condition")
    assert found.loc["a", "consistency"] == pytest.approx(1.6 / 1.7)
    assert found.loc["a", "coverage"] == pytest.approx(1.6 / 1.9)
    assert found.loc["a", "relevance"] == pytest.approx(1.1 / (0.2 + 0.4 + 0.8))
    assert found.loc["~a", "consistency"] == pytest.approx((0.1 + 0.2 + 0.3) / 1.7)


def test_cases_on_a_crossover_and_incomplete_ones_are_told():
    sets = pd.DataFrame({"a": [0.5, 0.9, 0.1, np.nan], "y": [0.5, 0.9, 0.1, 1]})
    notes = " ".join(truth_table(sets, outcome="y", conditions=["a"]).notes)
    assert "missing membership: 1" in notes
    assert "on a crossover, in no combination: 1" in notes


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({"a": 2}, {}, TableError, "outside 0 to 1"),
        ({}, {"consistency_cutoff": 0.5}, EstimationError, "above 0.5"),
        ({}, {"frequency_cutoff": 0}, EstimationError, "at least 1 case"),
        ({}, {"conditions": ["x"]}, TableError, "lacks `x`"),
        ({}, {"conditions": []}, EstimationError, "1 to 10"),
        ({"a": np.nan}, {}, EstimationError, "no case has"),
        ({"a": "high"}, {}, TableError, "`a` hold no numbers"),
        ({}, {"conditions": ["a", "a"]}, EstimationError, "named twice"),
        ({}, {"conditions": ["a", "y"]}, EstimationError, "named twice"),
    ],
)
def test_sets_that_are_none_are_refused(change, arguments, error, message):
    sets = pd.DataFrame({"a": [0.1, 0.9], "y": [0.2, 0.8]}).assign(**change)
    with pytest.raises(error, match=message):
        truth_table(sets, **{"outcome": "y", "conditions": ["a"], **arguments})


def test_a_table_that_explains_nothing_is_refused():
    sets = pd.DataFrame({"a": [0.9, 0.1], "y": [0.9, 0.95]})
    with pytest.raises(EstimationError, match="nothing to explain"):
        fsqca(truth_table(sets, outcome="y", conditions=["a"]))
    with pytest.raises(EstimationError, match="no combination goes"):
        fsqca(truth_table(sets.assign(y=0.05), outcome="y", conditions=["a"]))


@pytest.mark.parametrize("unions_of", [0, 3])
def test_unions_of_more_sets_than_there_are_are_refused(unions_of):
    sets = pd.DataFrame({"a": [0.9, 0.1], "b": [0.9, 0.2], "y": [0.9, 0.95]})
    with pytest.raises(EstimationError, match="unions of 1 to 2 conditions"):
        necessity(sets, outcome="y", conditions=["a", "b"], unions_of=unions_of)


def test_a_union_is_needed_where_neither_part_is_enough():
    sets = pd.DataFrame({"a": [1, 0, 1, 0], "b": [0, 1, 0, 0], "y": [1, 1, 1, 0]})
    found = necessity(sets, outcome="y", conditions=["a", "b"], unions_of=2, consistency_cutoff=1)
    found = found.set_index("condition")
    assert list(found.index) == ["a", "~a", "b", "~b", "a + b", "~a + ~b"]
    assert found.loc["a + b"].tolist() == [1, 1, 1]
    # All four cases lack a or b: needed, and worth nothing.
    assert found.loc["~a + ~b"].tolist() == [1, 0.75, 0]


def test_a_consistency_on_the_cutoff_reaches_it():
    """(0.3 + 0.9) / (0.6 + 0.9) is 0.8, though not to the last digit of a float."""
    sets = pd.DataFrame({"a": [0.6, 0.9, 0.1, 0.2], "y": [0.3, 0.9, 0.0, 0.0]})
    inside = np.minimum(sets["a"], sets["y"])[:2].sum() / sets["a"][:2].sum()
    assert inside < 0.8
    crisp = sets.assign(a=[0.6, 0.9, 0.0, 0.0])
    table = truth_table(crisp, outcome="y", conditions=["a"], consistency_cutoff=0.8)
    assert table.rows.set_index("a").loc[1, "is_outcome"]
    needs = crisp.rename(columns={"a": "y", "y": "a"})
    found = necessity(
        needs.assign(b=[0.4, 0.6, 1.0, 1.0]),
        outcome="y",
        conditions=["a", "b"],
        unions_of=2,
        consistency_cutoff=0.8,
    )
    # `a` alone reaches it, so that no union with it is told.
    assert not found["condition"].str.startswith("a + ").any()
