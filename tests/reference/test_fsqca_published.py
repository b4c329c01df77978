"""Solutions of fuzzy sets against published ones: Lipset's democracies and Emmenegger's security.

Fuzzy memberships of 18 countries: Ragin CC (2009), in Rihoux and Ragin (eds.), Configurational
Comparative Methods, p. 112. Results: reference manual of the R package QCA (3.22), pages
`minimize`, `findRows` and `superSubset`; Duşa A (2019), doi:10.1007/978-3-319-75668-4.
"""

from io import StringIO

import numpy as np
import pandas as pd
import pytest

from calaim_eval.integration.qca import (
    fsqca,
    necessity,
    truth_table,
    untenable_assumptions,
)
from calaim_eval.integration.qca.counterfactuals import (
    corners_of,
    easy_counterfactuals,
    expected_states,
    read_term,
)
from calaim_eval.integration.qca.minimize import solutions_of

CONDITIONS = ("DEV", "URB", "LIT", "IND", "STB")
LF = pd.read_csv(
    StringIO("""
country,DEV,URB,LIT,IND,STB,SURV
AU,0.81,0.12,0.99,0.73,0.43,0.05
BE,0.99,0.89,0.98,1.00,0.98,0.95
CZ,0.58,0.98,0.98,0.90,0.91,0.89
EE,0.16,0.07,0.98,0.01,0.91,0.12
FI,0.58,0.03,0.99,0.08,0.58,0.77
FR,0.98,0.03,0.99,0.81,0.95,0.95
DE,0.89,0.79,0.99,0.96,0.31,0.05
GR,0.04,0.09,0.13,0.36,0.43,0.06
HU,0.07,0.16,0.88,0.07,0.13,0.42
IE,0.72,0.05,0.98,0.01,0.95,0.92
IT,0.34,0.10,0.41,0.47,0.58,0.05
NL,0.98,1.00,0.99,0.94,0.99,0.95
PL,0.02,0.17,0.59,0.00,0.00,0.12
PT,0.01,0.02,0.01,0.11,0.01,0.05
RO,0.01,0.03,0.17,0.00,0.84,0.21
ES,0.03,0.30,0.09,0.21,0.20,0.06
SE,0.95,0.13,0.99,0.67,0.91,0.95
UK,0.98,0.99,0.99,1.00,0.98,0.95
"""),
    index_col="country",
)
PRESENT = dict.fromkeys(CONDITIONS, "present")

# solution: {term: (inclS, PRI, covS, covU)} and of the whole (inclS, PRI, covS), three decimals.
PUBLISHED = {
    "conservative": (
        {
            "DEV*URB*LIT*IND*STB": (0.904, 0.886, 0.454, 0.393),
            "DEV*~URB*LIT*~IND*STB": (0.804, 0.719, 0.265, 0.204),
        },
        (0.870, 0.843, 0.658),
    ),
    "intermediate": (
        {
            "DEV*URB*LIT*STB": (0.901, 0.879, 0.468, 0.378),
            "DEV*LIT*~IND*STB": (0.814, 0.721, 0.282, 0.191),
        },
        (0.866, 0.839, 0.660),
    ),
    "parsimonious": (
        {
            "DEV*~IND": (0.815, 0.721, 0.284, 0.194),
            "URB*STB": (0.874, 0.845, 0.520, 0.430),
        },
        (0.850, 0.819, 0.714),
    ),
}


def table_of(data, outcome="SURV", **cutoffs):
    return truth_table(data, outcome=outcome, conditions=CONDITIONS, **cutoffs)


@pytest.mark.parametrize("solution", PUBLISHED)
def test_solutions_of_fuzzy_lipset_with_their_fit(solution):
    solved = fsqca(table_of(LF), expectations=PRESENT)
    terms, whole = PUBLISHED[solution]
    found = solved.terms[solved.terms["solution"] == solution].set_index("term")
    assert set(found.index) == set(terms)
    for term, fit in terms.items():
        row = found.loc[term, ["consistency", "pri", "coverage", "unique_coverage"]]
        np.testing.assert_allclose(row.astype(float), fit, atol=0.00051)
    model = solved.models[solved.models["solution"] == solution].iloc[0]
    np.testing.assert_allclose(
        model[["consistency", "pri", "coverage"]].astype(float), whole, atol=0.00051
    )


def test_one_assumption_of_twelve_is_easy():
    """DEV*URB*LIT*~IND*STB: Finland and Ireland, had they been urban."""
    solved = fsqca(table_of(LF), expectations=PRESENT)
    by_solution = solved.assumptions.groupby("solution")
    assert by_solution.size().to_dict() == {"intermediate": 1, "parsimonious": 12}
    assert by_solution["is_easy"].sum().to_dict() == {"intermediate": 1, "parsimonious": 1}
    row = solved.assumptions[solved.assumptions["solution"] == "intermediate"].iloc[0]
    assert row[list(CONDITIONS)].tolist() == [1, 1, 1, 0, 1]


def test_without_any_expectation_of_urb_it_stays():
    """What has no expectation is not dropped: the conservative terms remain."""
    solved = fsqca(table_of(LF), expectations={c: "present" for c in CONDITIONS if c != "URB"})
    assert solved.formula("intermediate") == solved.formula("conservative")


def test_crisp_lipset_supposes_the_five_published_combinations(shared):
    path = shared / "reference" / "integration" / "data" / "qca_lipset" / "LC.csv"
    solved = fsqca(table_of(pd.read_csv(path)), expectations=PRESENT)
    assert solved.formula("intermediate") == "DEV*LIT*STB"
    mine = solved.assumptions[solved.assumptions["solution"] == "parsimonious"]
    numbers = mine[list(CONDITIONS)].to_numpy() @ [16, 8, 4, 2, 1] + 1
    assert sorted(numbers) == [18, 20, 26, 28, 30]


def test_the_absence_of_crisp_survival(shared):
    path = shared / "reference" / "integration" / "data" / "qca_lipset" / "LC.csv"
    solved = fsqca(table_of(pd.read_csv(path), "~SURV"))
    assert solved.formula("conservative") == "DEV*LIT*IND*~STB + ~DEV*~URB*~IND"
    assert solved.formula("parsimonious") == "~DEV + ~STB"
    terms = solved.terms[solved.terms["solution"] == "parsimonious"].set_index("term")
    assert terms["coverage"].to_dict() == pytest.approx({"~DEV": 0.8, "~STB": 0.7})
    assert terms["unique_coverage"].to_dict() == pytest.approx({"~DEV": 0.3, "~STB": 0.2})


@pytest.mark.parametrize(
    ("absence", "published"),
    [
        ({}, [10, 12, 14, 16, 17, 21, 25, 29]),
        (
            {"absence_consistency_cutoff": 0.9, "absence_pri_cutoff": 0.7},
            [10, 12, 17, 18, 21, 25, 26, 28, 29],
        ),
    ],
)
def test_contradictory_assumptions_of_fuzzy_lipset(absence, published):
    found = untenable_assumptions(table_of(LF), **absence)
    numbers = found[list(CONDITIONS)].to_numpy() @ [16, 8, 4, 2, 1] + 1
    assert sorted(numbers) == published
    assert set(found["reason"]) == {"supposed for the outcome and for its absence"}
    assert not found["is_observed"].any()


def test_rows_inside_a_term(shared):
    """findRows("DEV*~IND*STB") without cases: 18, 26, 30."""
    path = shared / "reference" / "integration" / "data" / "qca_lipset" / "LC.csv"
    table = table_of(pd.read_csv(path))
    found = untenable_assumptions(table, impossible=["DEV*~IND*STB"])
    mine = found[found["reason"] == "impossible"]
    assert sorted(mine[list(CONDITIONS)].to_numpy() @ [16, 8, 4, 2, 1] + 1) == [18, 26, 30]


def test_needed_conditions_of_crisp_survival(shared):
    path = shared / "reference" / "integration" / "data" / "qca_lipset" / "LC.csv"
    found = necessity(
        pd.read_csv(path),
        outcome="SURV",
        conditions=CONDITIONS,
        unions_of=5,
        consistency_cutoff=1.0,
    )
    found = found[found["consistency"] == 1].set_index("condition")
    # superSubset: inclN 1 and RoN, covN; of unions there is this one.
    published = {
        "DEV": (0.8, 0.8),
        "LIT": (0.5, 0.615),
        "STB": (0.7, 0.727),
        "~URB + IND": (0.0, 0.444),
    }
    assert set(found.index) == set(published)
    for name, row in published.items():
        measures = found.loc[name, ["relevance", "coverage"]]
        np.testing.assert_allclose(measures.astype(float), row, atol=0.00051)


def test_job_security_drops_what_theory_does_not_ask_for():
    """Emmenegger P (2011), doi:10.1111/j.1475-6765.2010.01933.x: six combinations have it.

    Five conditions should help and V hinder. Published in the package's test record: the
    conservative rows, the parsimonious models, the intermediate terms and the eight easy
    counterfactuals.
    """
    names = ("S", "C", "L", "R", "P", "V")
    expected = expected_states(dict.fromkeys("SCLRP", "present") | {"V": "absent"}, names)
    observed = tuple(number - 1 for number in (27, 37, 47, 48, 56, 64))
    (conservative,) = solutions_of(observed, observed, 6)
    for other in ("L*P", "P*~V"):
        parsimonious = [read_term("S*R", names), read_term(other, names)]
        supposed = easy_counterfactuals(conservative, parsimonious, expected)
        easy = corners_of(supposed, 6) - set(observed)
        assert sorted(corner + 1 for corner in easy) == [31, 39, 45, 53, 55, 59, 61, 63]
        (model,) = solutions_of(observed, (*observed, *sorted(easy)), 6)
        published = ("S*R*~V", "S*C*R*P", "S*L*R*P", "C*L*P*~V")
        assert set(model) == {read_term(term, names) for term in published}
