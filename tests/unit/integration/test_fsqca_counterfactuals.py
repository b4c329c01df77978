"""Intermediate solutions and untenable assumptions: by hand and as sets that contain each other."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.qca import fsqca, truth_table, untenable_assumptions
from calaim_eval.integration.qca.counterfactuals import corners_of, read_term

NAMES = ["a", "b", "c", "d"]


def crisp(outcomes, names=NAMES):
    """One case for each combination with a known outcome: {"1010": 1}."""
    rows = [[*map(int, corner), outcome] for corner, outcome in outcomes.items()]
    return pd.DataFrame(rows, columns=[*names, "y"])


def table_of(outcomes, names=NAMES, **cutoffs):
    return truth_table(crisp(outcomes, names), outcome="y", conditions=names, **cutoffs)


def test_only_what_helps_is_supposed():
    """The textbook case: the outcome without b, and nobody with a*b*c."""
    table = table_of({"101": 1, "001": 0, "000": 0, "100": 0}, names=["a", "b", "c"])
    helps = fsqca(table, expectations={"b": "present"})
    assert helps.formula("conservative") == "a*~b*c"
    assert helps.formula("intermediate") == "a*c"
    hinders = fsqca(table, expectations={"b": "absent"})
    assert hinders.formula("intermediate") == "a*~b*c"
    assert hinders.assumptions[hinders.assumptions["solution"] == "intermediate"].empty


def test_one_positive_combination_and_every_expectation():
    """One of eight has the outcome; c alone is enough in the parsimonious solution."""
    table = table_of({"111": 1, "000": 0, "010": 0, "100": 0, "110": 0}, names=["a", "b", "c"])
    assert fsqca(table).formula("parsimonious") == "c"
    for expectations, formula in (
        ({"a": "absent", "b": "present", "c": "present"}, "b*c"),
        ({"a": "absent", "b": "absent", "c": "absent"}, "c"),
        ({"a": "present", "b": "present", "c": "present"}, "a*b*c"),
    ):
        assert fsqca(table, expectations=expectations).formula("intermediate") == formula


def test_an_assumption_easy_for_one_term_serves_another():
    """c*d supposes a*b*c*d, and so the term of a*b*c*~d needs no ~d."""
    table = table_of(
        {"1110": 1, "0011": 1, "0111": 1, "1011": 1, "0000": 0, "1010": 0, "0110": 0, "1100": 0}
    )
    solved = fsqca(table, expectations={"a": "present", "b": "absent", "d": "absent"})
    assert "a*b*c*~d" in solved.formula("conservative")
    easy = solved.assumptions[solved.assumptions["solution"] == "intermediate"]
    assert easy[NAMES].to_numpy().tolist() == [[1, 1, 1, 1]]
    assert set(solved.formula("intermediate").split(" + ")) == {"a*b*c", "c*d"}


@pytest.mark.parametrize("seed", range(30))
def test_the_intermediate_solution_lies_between_the_others(seed):
    rng = np.random.default_rng(seed)
    corners = ["".join(bits) for bits in product("01", repeat=4)]
    fate = rng.choice(["yes", "no", "open"], 16, p=[0.3, 0.3, 0.4])
    known = {c: int(f == "yes") for c, f in zip(corners, fate, strict=True) if f != "open"}
    if len(set(known.values())) < 2:
        return
    states = rng.choice(["present", "absent", "none"], 4)
    expectations = {n: s for n, s in zip(NAMES, states, strict=True) if s != "none"}
    if not expectations:
        return
    table = table_of(known)
    solved = fsqca(table, expectations=expectations)
    inside = {}
    for (solution, number), terms in solved.terms.groupby(["solution", "model"])["term"]:
        corners_in = corners_of([read_term(term, NAMES) for term in terms], 4)
        inside.setdefault(solution, []).append((number, corners_in))
    positive = set(table.corners(is_outcome=True))
    conservative = set.union(*(set(held) for _, held in inside["conservative"]))
    assert conservative == positive
    for _, held in inside["intermediate"]:
        assert positive <= held
        assert held <= set.union(*(set(other) for _, other in inside["parsimonious"]))
    supposed = solved.assumptions[solved.assumptions["solution"] == "intermediate"]
    assert supposed["is_easy"].all()


def test_combinations_without_cases_that_cannot_be():
    table = table_of({"101": 1, "000": 0, "001": 0, "011": 0}, names=["a", "b", "c"])
    assert fsqca(table).formula("parsimonious") == "a"
    found = untenable_assumptions(table, necessary=["c"], impossible=["a*b"])
    by_reason = found.groupby("reason")[["a", "b", "c"]].apply(lambda f: f.to_numpy().tolist())
    # Without cases: 010, 100, 110, 111. The absence is ~a: no combination serves both.
    assert by_reason.to_dict() == {
        "lacks a necessary condition": [[0, 1, 0], [1, 0, 0], [1, 1, 0]],
        "impossible": [[1, 1, 0], [1, 1, 1]],
    }
    solved = fsqca(table, untenable=found)
    assert solved.method.options["untenable"] == 4
    assert solved.formula("parsimonious") == "a*~b*c"
    only_one = fsqca(table, untenable=found[found["reason"] == "impossible"])
    assert only_one.formula("parsimonious") == "a*~b"


def test_a_union_is_necessary_where_neither_part_is():
    table = table_of({"101": 1, "000": 0}, names=["a", "b", "c"])
    found = untenable_assumptions(table, necessary=["a + ~b"])
    mine = found[found["reason"] == "lacks a necessary condition"]
    assert mine[["a", "b", "c"]].to_numpy().tolist() == [[0, 1, 0], [0, 1, 1]]


def test_a_row_that_goes_with_both_is_found_and_can_be_left_out():
    """Memberships near one half are a subset of the outcome and of its absence."""
    sets = pd.DataFrame(
        {"a": [0.6, 0.6, 0.9, 0.1], "b": [0.6, 0.6, 0.1, 0.1], "y": [0.5, 0.5, 0.95, 0.05]}
    )
    table = truth_table(sets, outcome="y", conditions=["a", "b"])
    found = untenable_assumptions(table)
    row = found[found["is_observed"]].iloc[0]
    assert row["reason"] == "goes with the outcome and with its absence"
    assert row[["a", "b"]].tolist() == [1, 1]
    assert "a*b" not in fsqca(table, untenable=found).formula("conservative").split(" + ")
    assert fsqca(table, untenable=found).formula("conservative") == "a*~b"


def test_the_absence_is_the_outcome_turned_round():
    outcomes = {"101": 1, "000": 0, "011": 0, "110": 1}
    turned = crisp({k: 1 - v for k, v in outcomes.items()}, ["a", "b", "c"])
    absent = truth_table(crisp(outcomes, ["a", "b", "c"]), outcome="~y", conditions=["a", "b", "c"])
    same = truth_table(turned, outcome="y", conditions=["a", "b", "c"])
    pd.testing.assert_frame_equal(absent.rows, same.rows)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"expectations": {}}, EstimationError, "names nothing"),
        ({"expectations": {"x": "present"}}, EstimationError, "names `x`"),
        ({"expectations": {"a": "yes"}}, EstimationError, "none of `present`, `absent`"),
        ({"untenable": pd.DataFrame({"a": [1]})}, TableError, "lacks `b`, `c`"),
        (
            {"untenable": pd.DataFrame({"a": [1], "b": [0], "c": [1]})},
            EstimationError,
            "no combination goes",
        ),
    ],
)
def test_what_is_no_expectation_is_refused(arguments, error, message):
    table = table_of({"101": 1, "000": 0}, names=["a", "b", "c"])
    with pytest.raises(error, match=message):
        fsqca(table, **arguments)


@pytest.mark.parametrize("term", ["x", "a*~a", "a*a", ""])
def test_terms_that_are_none_are_refused(term):
    table = table_of({"101": 1, "000": 0}, names=["a", "b", "c"])
    with pytest.raises(EstimationError, match="no condition or is named twice"):
        untenable_assumptions(table, impossible=[term])
