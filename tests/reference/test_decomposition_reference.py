"""Decompositions published by others: Das Gupta's manual, R `oaxaca`.

The expected values are read from the shared reference folder; of a number printed with few digits
the last one counts, of the others 1e-9 relative. Das Gupta's populations are the manual's.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import das_gupta, oaxaca_blinder

pytestmark = pytest.mark.shared

MANUAL = {
    "eg2.1": ("black", {"avg_earnings": (10930, 16591), "earner_prop": (0.717892, 0.825974)}),
    "eg2.2": (
        "austria",
        {
            "birthsw1549": (51.78746, 84.90502),
            "propw1549": (0.45919, 0.75756),
            "propw": (0.52638, 0.51065),
        },
    ),
}
CHICAGO = ["age", "female", "LTHS", "some.college", "college", "advanced.degree"]
WEIGHT = {0: "reference", 1: "group", -1: "neumark", -2: "pooled"}


@pytest.fixture(scope="module")
def reference(shared) -> pd.DataFrame:
    return pd.read_csv(shared / "reference" / "equity" / "reference_values.csv", dtype=str)


def tolerance(value: str) -> float:
    """Half a unit of the last digit, or 1e-9 of a number with many."""
    digits = len(value.partition(".")[2])
    return max(0.5 * 10.0**-digits * 1.000001, 1e-9 * abs(float(value)))


@pytest.mark.parametrize("name", MANUAL)
def test_das_gupta_rows(reference, name):
    base, columns = MANUAL[name]
    frame = pd.DataFrame({"pop": [base, "other"], **columns})
    parts = das_gupta(frame, by="pop", factors=list(columns), reference=base, unit="of the manual")
    found = dict(zip(parts.keys["component"], parts.estimate, strict=True))
    rows = reference[reference["dataset"].str.startswith(f"DasGupta1993 {name}")]
    assert len(rows) == 2 * (1 + len(columns))
    for row in rows.itertuples():
        component = row.measure.removeprefix("row ").replace("crude", "gap")
        share = 100 / found["gap"] if row.options == "decomp" else 1.0
        assert share * found[component] == pytest.approx(float(row.value), abs=tolerance(row.value))


def test_das_gupta_example_2_1_by_hand():
    """The manual's first table, recomputed from its formula."""
    gap = das_gupta(
        pd.DataFrame({"pop": ["black", "white"], "a": [10930, 16591], "b": [0.717892, 0.825974]}),
        by="pop",
        factors=["a", "b"],
        reference="black",
        unit="dollars",
    )
    assert gap.estimate[1] == pytest.approx((16591 - 10930) * (0.717892 + 0.825974) / 2)
    assert gap.estimate[2] == pytest.approx((0.825974 - 0.717892) * (10930 + 16591) / 2)


@pytest.fixture(scope="module")
def chicago(shared) -> pd.DataFrame:
    data = pd.read_csv(shared / "reference" / "equity" / "data" / "oaxaca" / "chicago.csv").dropna()
    born = np.where(data["foreign.born"] == 1, "foreign", "native")
    assert ((born == "native").sum(), (born == "foreign").sum()) == (287, 379)
    return data.assign(born=born)


def split(chicago: pd.DataFrame, **options) -> dict[str, float]:
    parts = oaxaca_blinder(
        chicago,
        outcome="ln.real.wage",
        by="born",
        reference="foreign",
        model="linear",
        covariates=CHICAGO,
        member_id=None,
        **options,
    )
    return dict(zip(parts.keys["component"], parts.estimate, strict=True))


def test_oaxaca_threefold_rows(reference, chicago):
    rows = reference[
        (reference["dataset"] == "oaxaca::chicago") & (reference["measure"] == "threefold")
    ]
    assert len(rows) == 3
    found = split(chicago, components="threefold")
    for row in rows.itertuples():
        component = re.fullmatch(r"coef\((\w+)\)", row.options).group(1)
        assert found[component] == pytest.approx(float(row.value), rel=1e-9)


def test_oaxaca_twofold_rows(reference, chicago):
    rows = reference[
        (reference["dataset"] == "oaxaca::chicago") & reference["measure"].str.startswith("twofold")
    ]
    assert len(rows) == 6
    for row in rows.itertuples():
        weight = int(re.match(r"group\.weight=(-?\d)", row.options).group(1))
        found = split(chicago, coefficients=WEIGHT[weight])
        component = row.measure.removeprefix("twofold ")
        assert found[component] == pytest.approx(float(row.value), rel=1e-9)
