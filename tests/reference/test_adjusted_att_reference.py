"""Covariate-adjusted effects against R `did` 2.5.1 with `xformla = ~lpop` on `mpdta`.

Values: ../shared/reference/did/reference_values.csv, computed in R (`DRDID` estimators, analytic
standard errors). The tolerance is the file's: R stops its logistic regression earlier.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import adjusted_group_time_att, aggregate
from calaim_eval.results import EffectTable

pytestmark = pytest.mark.shared

BY = {"dynamic": "event_time", "group": "cohort", "calendar": "month"}
METHOD = {"dr": "doubly_robust", "reg": "regression", "ipw": "weighting"}
COLUMNS = {"member_id": "countyreal", "month": "year", "cohort": "first_treat", "outcome": "lemp"}


@pytest.fixture(scope="module")
def mpdta(shared: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "mpdta.csv")
    return frame.assign(first_treat=frame["first.treat"].replace(0, np.nan))


@pytest.fixture(scope="module")
def gaps(shared: Path) -> pd.DataFrame:
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "mpdta_unbal.csv")
    return frame.assign(first_treat=frame["first_treat"].replace(0, np.nan))


@pytest.fixture(scope="module")
def references(shared: Path) -> pd.DataFrame:
    values = pd.read_csv(shared / "reference" / "did" / "reference_values.csv")
    is_ours = values["estimator"].str.startswith("CS_") & values["options"].str.contains("~lpop")
    return values[is_ours]


def one(att_gt: EffectTable, kind: str, quantity: str) -> EffectTable:
    """The one effect a reference row is about."""
    if kind == "attgt":
        cohort, month = map(int, re.findall(r"\d+", quantity))
        return att_gt.select((att_gt.keys["cohort"] == cohort) & (att_gt.keys["month"] == month))
    if quantity == "overall":
        return aggregate(att_gt, average_over=BY.get(kind, "cohort_month"))
    table = aggregate(att_gt, by=BY[kind])
    return table.select(table.keys[BY[kind]] == int(quantity.split("=")[1]))


def test_every_reference_row_is_met(mpdta: pd.DataFrame, references: pd.DataFrame) -> None:
    assert len(references) == 134
    for options, rows in references.groupby("options"):
        att_gt = adjusted_group_time_att(
            mpdta,
            covariates=["lpop"],
            method=METHOD[re.search(r"est=(\w+)", options).group(1)],
            comparison="not_yet_exposed" if "notyettreated" in options else "never_exposed",
            **COLUMNS,
        )
        for _, row in rows.iterrows():
            table = one(att_gt, row["estimator"].removeprefix("CS_"), row["quantity"])
            what, tolerance = f"{options} {row['quantity']}", float(row["tolerance"])
            assert len(table) == 1, what
            assert table.estimate[0] == pytest.approx(row["value"], abs=tolerance), what
            assert table.std_error[0] == pytest.approx(row["se"], abs=tolerance), what


def test_balanced_subset_of_the_panel_with_gaps(gaps: pd.DataFrame) -> None:
    # The reference README: simple ATT of packages whose default is the balanced subset, -0.0115.
    att_gt = adjusted_group_time_att(
        gaps,
        method="regression",
        comparison="never_exposed",
        unbalanced="balanced_members",
        **COLUMNS,
    )
    assert round(float(aggregate(att_gt).estimate[0]), 4) == -0.0115
