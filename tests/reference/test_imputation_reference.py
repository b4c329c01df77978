"""Imputation against Stata-equivalent and R values: Borusyak et al., and Gardner's two stages.

Values: ../shared/reference/did/reference_values.csv, each at the tolerance stated there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import imputation_att, imputation_att_from_members
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable

pytestmark = pytest.mark.shared

COLUMNS = {
    "mpdta": ("countyreal", "first.treat", "lemp"),
    "df_het": ("unit", "g", "dep_var"),
    "df_hom": ("unit", "g", "dep_var"),
}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "reference" / "did"


@pytest.fixture(scope="module")
def references(folder: Path) -> pd.DataFrame:
    values = pd.read_csv(folder / "reference_values.csv")
    return values[values["estimator"].str.contains("imputation|did2s")]


@pytest.fixture(scope="module")
def panels(folder: Path) -> dict[str, pd.DataFrame]:
    found = {}
    for dataset, (_, cohort, _) in COLUMNS.items():
        frame = pd.read_csv(folder / "data" / f"{dataset}.csv")
        found[dataset] = frame.assign(cohort=frame[cohort].replace(0, np.nan))
    return found


def ours(frame: pd.DataFrame, row: pd.Series) -> list[EffectTable]:
    """The overall effect of a reference row, from cells and from members."""
    member_id, _, outcome = COLUMNS[row["dataset"]]
    columns = {"member_id": member_id, "month": "year"}
    cluster = "member" if row["dataset"] == "mpdta" else "state"
    variance = "conservative" if "BJS" in row["estimator"] else "two_stage"
    if "state+year" in row["options"]:
        return [
            imputation_att_from_members(
                frame,
                outcome=outcome,
                effects_of="state",
                cluster=cluster,
                variance=variance,
                **columns,
            )
        ]
    moments = reduce_panel(
        frame,
        outcomes=[outcome],
        cluster=None if cluster == "member" else cluster,
        **columns,
        unbalanced="cell_means",
    )
    return [
        imputation_att(moments, outcome=outcome, variance=variance, cluster=cluster),
        imputation_att_from_members(
            frame, outcome=outcome, variance=variance, cluster=cluster, **columns
        ),
    ]


def test_every_reference_row_is_met(
    panels: dict[str, pd.DataFrame], references: pd.DataFrame
) -> None:
    assert len(references) == 6
    for _, row in references.iterrows():
        what = f"{row['dataset']} {row['estimator']} {row['options']}"
        for table in ours(panels[row["dataset"]], row):
            tolerance = float(row["tolerance"])
            assert table.estimate[0] == pytest.approx(row["value"], abs=tolerance), what
            if np.isfinite(row["se"]):
                assert table.std_error[0] == pytest.approx(row["se"], abs=tolerance), what
