"""Standardized rates against England's PHE tools and R's epitools.

Expected values come from the shared reference file, with 99.8 % intervals typed in its source
column. The tolerance is rounding: 1e-9 relative, or the row's own digits.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import (
    byar_half_interval,
    byar_interval,
    direct_standardized_rate,
    indirect_standardized_ratio,
)

pytestmark = pytest.mark.shared
RTOL = 1e-9


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "reference" / "equity"


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "reference_values.csv")


def one(rows: pd.DataFrame, dataset: str, options: str) -> pd.Series:
    found = rows[(rows["dataset"] == dataset) & rows["options"].str.contains(options, regex=False)]
    assert len(found) == 1, (dataset, options, len(found))
    return found.iloc[0]


def cells_of(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"count": "events", "pop": "member_months", "ageband": "age_band"})


@pytest.mark.parametrize("area", ["testdata_big", "testdata_small"])
def test_wider_intervals_of_directly_standardized_rates(rows, folder, area):
    cells = cells_of(pd.read_csv(folder / "data" / "phe" / "testdata_multiarea.csv"))
    weights = pd.read_csv(folder / "data" / "phe" / "esp2013.csv").set_index("ageband")["esp2013"]
    # The published file misspells a band (55-69 for 55-59); its rows are in the standard's order.
    cells = cells[cells["area"] == area].assign(age_band=weights.index)
    found = direct_standardized_rate(
        cells, by="area", weights=weights, per=100_000, conf_level=0.998
    ).iloc[0]
    source = one(rows, f"PHE {area}", "dsr per 100000; Dobson")["source"]
    low, high = re.search(r"99.8% CI ([0-9.]+)\.\.([0-9.]+)", source).groups()
    assert found["conf_low"] == pytest.approx(float(low), RTOL)
    assert found["conf_high"] == pytest.approx(float(high), RTOL)


def test_the_standard_population_of_1976(rows, folder):
    data = pd.read_csv(folder / "data" / "phe" / "testdata_1976.csv")
    cells = cells_of(data).rename(columns={"Age Band": "age_band"}).assign(area="one")
    weights = cells.set_index("age_band")["esp1976"]
    found = direct_standardized_rate(
        cells[["area", "age_band", "events", "member_months"]],
        by="area",
        weights=weights,
        per=100_000,
    ).iloc[0]
    row = one(rows, "PHE testdata_1976", "Dobson")
    assert found["rate"] == pytest.approx(row["value"], RTOL)
    assert found["conf_low"] == pytest.approx(row["ci_low"], RTOL)
    assert found["conf_high"] == pytest.approx(row["ci_high"], RTOL)


INDIRECT = [
    ("testdata_big", "rate per 100000; Byars", 100_000),
    ("testdata_tiny", "rate per 100000; Exact", 100_000),
    ("testdata_small", "rate per 1000; Byars", 1000),
]


@pytest.mark.parametrize(("area", "options", "per"), INDIRECT)
def test_indirectly_standardized_rates(rows, folder, area, options, per):
    data = pd.read_csv(folder / "data" / "phe" / "testdata_multiarea_isr.csv")
    # The published file leaves a band of one area blank, which the published tool takes as 0.
    data = data[data["area"] == area].fillna({"count": 0, "pop": 0, "refcount": 0})
    cells = cells_of(data)
    standard = data.rename(
        columns={"ageband": "age_band", "refcount": "events", "refpop": "member_months"}
    )
    found = indirect_standardized_ratio(
        cells[["area", "age_band", "events", "member_months"]],
        by="area",
        standard=standard[["age_band", "events", "member_months"]],
        per=per,
        interval="exact" if "Exact" in options else "byar",
    ).iloc[0]
    row = one(rows, f"PHE {area}", options)
    names = ("rate", "rate_conf_low", "rate_conf_high")
    for name, column in zip(names, ("value", "ci_low", "ci_high"), strict=True):
        assert found[name] == pytest.approx(row[column], RTOL)


@pytest.mark.parametrize("options", ["rate per 100000; Byars", "ratio x 100; Byars"])
def test_the_area_without_data_has_byars_interval_of_some_whole_number(rows, options):
    """Its counts are not in the shared folder: both bounds over the ratio say the same count."""
    row = one(rows, "PHE Area1", options)
    events = np.arange(100, 5000)
    low, high = byar_interval(events)
    fits = np.isclose(low / events, row["ci_low"] / row["value"], rtol=RTOL)
    assert fits.sum() == 1
    assert np.isclose(high / events, row["ci_high"] / row["value"], rtol=RTOL)[fits].all()


@pytest.mark.parametrize("order", ["1", "3", "5+"])
def test_gamma_intervals_of_down_syndrome_by_birth_order(rows, folder, order):
    """Fay and Feuer's own example: 92.3, 91.2, 85.1, 92.7, 75.5 in their Table I."""
    births = pd.read_csv(folder / "data" / "epitools" / "down_births.csv")
    cases = pd.read_csv(folder / "data" / "epitools" / "down_cases.csv")
    assert births[["Var1", "Var2"]].equals(cases[["Var1", "Var2"]])
    total = births["Var2"].eq("Total") | births["Var1"].eq("Total")
    cells = pd.DataFrame(
        {
            "birth_order": births["Var2"].astype(str),
            "mother_age": births["Var1"],
            "events": cases["Freq"],
            "member_months": births["Freq"],
        }
    )[~total]
    plain = cells[cells["birth_order"] != "total"]
    weights = plain.groupby("mother_age")["member_months"].sum()
    known = [o for o in plain["birth_order"].unique() if o.startswith(order)]
    found = direct_standardized_rate(
        plain[plain["birth_order"].isin(known)],
        by="birth_order",
        band="mother_age",
        weights=weights,
        per=100_000,
        interval="fay_feuer",
    ).iloc[0]
    row = one(
        rows, rows["dataset"][rows["dataset"].str.startswith("Down")].iloc[0], f"order {order};"
    )
    for name, column in (("rate", "value"), ("conf_low", "ci_low"), ("conf_high", "ci_high")):
        assert found[name] == pytest.approx(
            row[column], abs=5.1e-7 if column != "ci_low" else 5.1e-6
        )


def test_cancer_deaths_of_1960_by_the_rates_of_1940(rows, folder):
    data = pd.read_csv(folder / "data" / "epitools" / "selvin_cancer.csv")
    cells = pd.DataFrame(
        {"year": "1960", "age": data.index, "events": data["dth60"], "member_months": data["pop60"]}
    )
    standard = pd.DataFrame(
        {"age": data.index, "events": data["dth40"], "member_months": data["pop40"]}
    )
    found = indirect_standardized_ratio(
        cells, by="year", band="age", standard=standard, interval="log_normal"
    ).iloc[0]
    row = one(rows, "Selvin cancer 1960 vs 1940", "log-normal")
    assert found["ratio"] == pytest.approx(row["value"], RTOL)
    assert found["conf_low"] == pytest.approx(row["ci_low"], RTOL)
    assert found["conf_high"] == pytest.approx(row["ci_high"], RTOL)


def test_two_intervals_called_byar_differ():
    """One event: 0.091 to 4.66 in epitools, 0.013 to 5.56 in PHE's tools."""
    assert byar_half_interval(1) == (pytest.approx(0.091, abs=5e-4), pytest.approx(4.66, abs=5e-3))
    assert byar_interval(1) == (pytest.approx(0.013, abs=5e-4), pytest.approx(5.56, abs=5e-3))
