"""Regressions against published coefficients: statsmodels' RAND example, R `fixest` on castle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import regression

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def references(shared: Path) -> pd.DataFrame:
    return pd.read_csv(shared / "reference" / "did" / "reference_values.csv")


def test_poisson_of_the_rand_health_insurance_experiment(
    shared: Path, references: pd.DataFrame
) -> None:
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "randhie.csv")
    rows = references[(references["dataset"] == "randhie") & (references["estimator"] == "Poisson")]
    assert len(rows) == 10
    first, *others = [name for name in frame.columns if name != "mdvis"]
    table = regression(
        frame,
        outcome="mdvis",
        exposure=first,
        covariates=others,
        model="poisson",
        terms="all",
        cluster=None,
        member_id=None,
        month=None,
    )
    found = table.to_frame().set_index("term").rename(index={"intercept": "const"})
    for _, row in rows.iterrows():
        ours, tolerance = found.loc[row["quantity"]], float(row["tolerance"])
        assert np.log(ours["estimate"]) == pytest.approx(row["value"], abs=tolerance)
        # The table states ratios: the error of the logarithm is the relative error.
        relative = ours["std_error"] / ours["estimate"]
        assert relative == pytest.approx(row["se"], abs=tolerance)


def test_absorbed_effects_with_clusters_as_r_fixest(shared: Path, references: pd.DataFrame) -> None:
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "castle_bacon.csv")
    rows = references[
        (references["dataset"] == "castle_bacon")
        & (references["estimator"] == "TWFE")
        & (references["quantity"] == "post")
    ]
    assert len(rows) == 2
    table = regression(
        frame,
        outcome="l_homicide",
        exposure="post",
        model="fixed_effects",
        member_id="sid",
        month="year",
    )
    for _, row in rows.iterrows():
        tolerance = float(row["tolerance"])
        assert table.estimate[0] == pytest.approx(row["value"], abs=tolerance)
        assert table.std_error[0] == pytest.approx(row["se"], abs=tolerance)
