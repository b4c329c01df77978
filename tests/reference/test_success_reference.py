"""What goes with success: mixed models, dominance and fsQCA against R."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.integration import general_dominance, integration_factors
from calaim_eval.integration.qca import fsqca, truth_table


@pytest.fixture
def expected(shared):
    """Reference values of a data set: measure to (value, tolerance)."""
    table = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv")
    return lambda name: table[table["dataset"] == name].set_index("measure")[["value", "tol"]]


@pytest.fixture
def data(shared):
    folder = shared / "reference" / "integration" / "data"
    return lambda name: pd.read_csv(next((folder / name).glob("*.csv")))


def near(found, row):
    return abs(found - float(row["value"])) <= float(row["tol"])


def test_dominance_of_swiss_fertility(data, expected):
    names = ["Agriculture", "Examination", "Education", "Catholic", "Infant.Mortality"]
    table = general_dominance(
        data("r_swiss"), outcome="Fertility", factors=names, cluster=None, n_draws=10
    )
    rows, shares = expected("r_swiss"), table.shares.set_index("factor")["share"]
    for name in names:
        label = name.replace(".", "_")
        assert near(shares[name], rows.loc[f"general_dominance/LMG R2 Fertility[{label}]"])
    assert near(table.r_squared, rows.loc["R2_total"])


def test_mixed_model_of_sleep(data, expected):
    table = integration_factors(
        data("lme4_sleepstudy"),
        outcome="Reaction",
        factors=["Days"],
        model="mixed",
        cluster="Subject",
        slopes=["Days"],
    )
    rows, parts = expected("lme4_sleepstudy"), table.method.options
    assert near(table.estimate[0], rows.loc["REML fixed Days"])
    assert near(table.std_error[0], rows.loc["REML SE Days"])
    for part, measure in {
        "intercept": "REML fixed intercept",
        "sd_intercept": "REML sd(Intercept|Subject)",
        "sd_Days": "REML sd(Days|Subject)",
        "sd_within": "REML sigma",
        "reml_criterion": "REML criterion",
    }.items():
        assert near(parts[part], rows.loc[measure])


def test_solutions_of_lipset(data, expected):
    sets = data("qca_lipset").set_index("country")
    table = truth_table(sets, outcome="SURV", conditions=["DEV", "URB", "LIT", "IND", "STB"])
    solved, rows = fsqca(table), expected("qca_lipset")

    def terms(text):
        return {frozenset(term.strip().split("*")) for term in text.split("+")}

    for kind in ("conservative", "parsimonious"):
        told = rows.loc[f"LC {kind} solution SURV", "value"]
        assert terms(solved.formula(kind)) == terms(told)
    assert np.isclose(solved.models["coverage"], 1).all()


# Motor Trend 1974 (Henderson and Velleman 1981): miles per gallon, cylinders, engine, gearbox.
MPG = (
    "21.0 21.0 22.8 21.4 18.7 18.1 14.3 24.4 22.8 19.2 17.8 16.4 17.3 15.2 10.4 10.4 14.7 32.4 "
    "30.4 33.9 21.5 15.5 15.2 13.3 19.2 27.3 26.0 30.4 15.8 19.7 15.0 21.4"
)
CYL = "66468684466888888444488884448684"
VS = "00110101111000000111100001010001"
AM = "11100000000000000111000001111111"


def test_dominance_of_miles_per_gallon():
    """The first example of the R package domir (manual of `domir` and `domin`), seven digits."""
    cars = pd.DataFrame({"mpg": [float(v) for v in MPG.split()]}).assign(
        **{name: [int(v) for v in text] for name, text in {"cyl": CYL, "vs": VS, "am": AM}.items()}
    )
    table = general_dominance(
        cars, outcome="mpg", factors=["am", "vs", "cyl"], cluster=None, n_draws=10
    )
    published = {"am": 0.1774892, "vs": 0.2027032, "cyl": 0.3817849}
    found = table.shares.set_index("factor")["share"]
    assert found.to_dict() == pytest.approx(published, abs=5.1e-8)
    assert table.r_squared == pytest.approx(0.7619773, abs=5.1e-8)
