"""Equity numbers published by others: England's PHE indicator tools, WHO's healthequal, R.

The expected values are read from the shared reference folder. Formulas are the same, so the
tolerance is rounding: 1e-9 relative.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import (
    adjust_p_values,
    byar_interval,
    direct_standardized_rate,
    effect_gap,
    exact_poisson_interval,
    indirect_standardized_ratio,
    wilson_interval,
)
from calaim_eval.results import EffectTable, Estimand, Method

pytestmark = pytest.mark.shared
RTOL = 1e-9


@pytest.fixture(scope="module")
def reference(shared) -> pd.DataFrame:
    return pd.read_csv(shared / "reference" / "equity" / "reference_values.csv")


def number(name: str, options: str) -> float:
    return float(re.search(rf"\b{name}=([0-9.]+)", options).group(1))


def test_byar_and_wilson_rows(reference):
    rows = reference[reference["dataset"] == "PHE Byars_Wilson"]
    assert len(rows) == 6
    for row in rows.itertuples():
        level = number("conf", row.options)
        x = number("x", row.options)
        if row.measure == "Byars":
            low, high = byar_interval(x, conf_level=level)
        else:
            low, high = wilson_interval(x, number("n", row.options), conf_level=level)
        assert (low, high) == (pytest.approx(row.ci_low, RTOL), pytest.approx(row.ci_high, RTOL))


def test_rate_and_proportion_rows(reference):
    rows = reference[reference["dataset"].str.contains("PHE rate|PHE proportion")]
    assert len(rows) == 5
    for row in rows.itertuples():
        x, n = number("x", row.options), number("n", row.options)
        if "Wilson" in row.options:
            bounds = wilson_interval(x, n)
        else:
            exact = "Exact" in row.options
            bounds = exact_poisson_interval(x) if exact else byar_interval(x)
            bounds = tuple(100 * each / n for each in bounds)
        assert bounds == (pytest.approx(row.ci_low, RTOL), pytest.approx(row.ci_high, RTOL))


def one(reference: pd.DataFrame, dataset: str, options: str) -> pd.Series:
    is_row = (reference["dataset"] == dataset) & reference["options"].str.contains(options)
    return reference[is_row].iloc[0]


@pytest.mark.parametrize("area", ["testdata_big", "testdata_small"])
def test_direct_standardization_rows(reference, shared, area):
    folder = shared / "reference" / "equity" / "data" / "phe"
    cells = pd.read_csv(folder / "testdata_multiarea.csv")
    cells = cells.rename(columns={"count": "events", "pop": "member_months", "ageband": "age_band"})
    weights = pd.read_csv(folder / "esp2013.csv").set_index("ageband")["esp2013"]
    # The published file misspells a band (55-69 for 55-59); its rows are in the standard's order.
    cells = cells[cells["area"] == area].assign(age_band=weights.index)
    found = direct_standardized_rate(cells, by="area", weights=weights, per=100_000).iloc[0]
    row = one(reference, f"PHE {area}", "Dobson")
    assert found["rate"] == pytest.approx(row["value"], RTOL)
    assert found["conf_low"] == pytest.approx(row["ci_low"], RTOL)
    assert found["conf_high"] == pytest.approx(row["ci_high"], RTOL)


@pytest.mark.parametrize(
    ("area", "options", "scale"),
    [
        ("testdata_big", "ratio x 1; Byars", 1),
        ("testdata_tiny", "ratio x 1; Exact", 1),
        ("testdata_small", "ratio x 100; Byars", 100),
    ],
)
def test_indirect_standardization_rows(reference, shared, area, options, scale):
    data = pd.read_csv(
        shared / "reference" / "equity" / "data" / "phe" / "testdata_multiarea_isr.csv"
    )
    # The published file leaves a band of one area blank, which the published tool takes as 0.
    data = data[data["area"] == area].fillna({"count": 0, "pop": 0, "refcount": 0})
    names = {"ageband": "age_band"}
    cells = data.rename(columns={**names, "count": "events", "pop": "member_months"})
    standard = data.rename(columns={**names, "refcount": "events", "refpop": "member_months"})
    found = indirect_standardized_ratio(
        cells[["area", "age_band", "events", "member_months"]],
        by="area",
        standard=standard[["age_band", "events", "member_months"]],
    ).iloc[0]
    row = one(reference, f"PHE {area}", options)
    assert scale * found["ratio"] == pytest.approx(row["value"], RTOL)
    assert scale * found["conf_low"] == pytest.approx(row["ci_low"], RTOL)
    assert scale * found["conf_high"] == pytest.approx(row["ci_high"], RTOL)


def test_gap_of_independent_groups_is_healthequals_difference_and_ratio(reference, shared):
    """healthequal's D and R: the reference region against the region with the lowest value."""
    data = pd.read_csv(
        shared / "reference" / "equity" / "data" / "healthequal" / "NonorderedSample.csv"
    )
    k = len(data)
    effects = EffectTable(
        keys=data[["subgroup"]],
        estimate=data["estimate"].to_numpy(dtype=float),
        covariance=np.diag(data["se"].to_numpy(dtype=float) ** 2),
        support=pd.DataFrame({"n_members": [99] * k, "n_events": 99, "member_months": 99.0}),
        estimand=Estimand("coverage", "share covered", "percent"),
        method=Method("survey mean"),
    )
    lowest = data.loc[data["estimate"].idxmin(), "subgroup"]
    region = data.loc[data["reference_subgroup"] == 1, "subgroup"].item()
    rows = reference[
        (reference["dataset"] == "NonorderedSample SBA")
        & (reference["options"] == "nonordered, ref subgroup")
    ].set_index("measure")

    gap = effect_gap(effects, reference=lowest, stratum="subgroup").to_frame()
    found = gap[gap["subgroup"] == region].iloc[0]
    assert found["estimate"] == pytest.approx(rows.loc["d", "value"], RTOL)
    assert found["std_error"] == pytest.approx(rows.loc["d", "se"], RTOL)
    assert found["conf_high"] == pytest.approx(rows.loc["d", "ci_high"], RTOL)

    ratio = effect_gap(effects, reference=lowest, stratum="subgroup", scale="ratio").to_frame()
    found = ratio[ratio["subgroup"] == region].iloc[0]
    assert found["estimate"] == pytest.approx(rows.loc["r", "value"], RTOL)
    assert found["std_error"] / found["estimate"] == pytest.approx(rows.loc["r", "se"], RTOL)
    assert found["conf_low"] == pytest.approx(rows.loc["r", "ci_low"], RTOL)


@pytest.mark.parametrize(
    ("method", "label"),
    [("holm", "holm"), ("bonferroni", "bonferroni"), ("benjamini_hochberg", "BH")],
)
def test_adjusted_p_values_of_benjamini_and_hochberg(reference, method, label):
    rows = reference[reference["dataset"].str.startswith("Benjamini&Hochberg 1995")]
    inline = rows["data_file"].iloc[0].removeprefix("inline ")
    p_values = np.array([float(p) for p in inline.split(",")])
    adjusted = adjust_p_values(p_values, method=method)
    rows = rows[rows["measure"].str.endswith(f" {label}")].set_index("options")["value"]
    assert adjusted[3] == pytest.approx(rows["4th p"], RTOL)
    assert (adjusted <= 0.05).sum() == rows["alpha .05"]
