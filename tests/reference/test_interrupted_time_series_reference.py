"""Interrupted time series of cigarette sales in California against published Stata output.

Values: ../shared/reference/did/reference_values.csv (Linden 2015, Stata Journal 15(2)).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from calaim_eval.estimate import InterruptedSeriesEffects, interrupted_time_series

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def california(shared: Path) -> InterruptedSeriesEffects:
    data = pd.read_csv(shared / "reference" / "did" / "data" / "california_prop99.csv", sep=";")
    return interrupted_time_series(
        data[data["State"] == "California"],
        outcome="PacksPerCapita",
        month="Year",
        break_month=1989,
        lag=1,
    )


def test_every_reference_row_is_met(shared: Path, california: InterruptedSeriesEffects) -> None:
    values = pd.read_csv(shared / "reference" / "did" / "reference_values.csv")
    rows = values[values["estimator"].str.startswith("ITSA")]
    assert len(rows) == 2
    ours = california.coefficients.set_index("name")
    names = {"t": "slope_before", "trend change 1989": "slope_change"}
    for _, row in rows.iterrows():
        found = ours.loc[names[row["quantity"]]]
        assert found["estimate"] == pytest.approx(row["value"], abs=float(row["tolerance"]))
        assert found["std_error"] == pytest.approx(row["se"], abs=float(row["tolerance"]))


def test_terms_of_the_table_are_the_coefficients(california: InterruptedSeriesEffects) -> None:
    frame = california.to_frame().set_index("term")
    ours = california.coefficients.set_index("name")
    for name in ("level_change", "slope_change"):
        assert frame.loc[name, "estimate"] == ours.loc[name, "estimate"]
        assert frame.loc[name, "std_error"] == pytest.approx(ours.loc[name, "std_error"])
