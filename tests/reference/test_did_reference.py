"""Effects against R `did` 2.5.1 (analytic standard errors) on `mpdta`, balanced and with gaps.

Values: ../shared/reference/did/reference_values.csv, computed in R; its README names the version
and the known disagreements between packages. Rows with a continuous covariate are not reducible to
cell moments and are left out.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import (
    aggregate,
    group_time_att,
    pre_trend_test,
    simultaneous_bands,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

pytestmark = pytest.mark.shared

BY = {"dynamic": "event_time", "group": "cohort", "calendar": "month"}


@pytest.fixture(scope="module")
def panels(shared: Path) -> dict[str, CellMoments]:
    folder = shared / "reference" / "did" / "data"
    whole = pd.read_csv(folder / "mpdta.csv").rename(columns={"first.treat": "first_treat"})
    gaps = pd.read_csv(folder / "mpdta_unbal.csv")

    def reduced(frame: pd.DataFrame, member_id: str) -> CellMoments:
        frame = frame.assign(first_treat=frame["first_treat"].replace(0, np.nan))
        return reduce_panel(
            frame,
            outcomes=["lemp"],
            member_id=member_id,
            month="year",
            cohort="first_treat",
            unbalanced="cell_means",
        )

    return {
        "mpdta": reduced(whole, "countyreal"),
        "mpdta_unbal": reduced(gaps, "countyreal"),
        "cross-section": reduced(whole.assign(row=range(len(whole))), "row"),
    }


@pytest.fixture(scope="module")
def references(shared: Path) -> pd.DataFrame:
    values = pd.read_csv(shared / "reference" / "did" / "reference_values.csv")
    is_ours = values["dataset"].str.startswith("mpdta") & values["estimator"].str.startswith("CS_")
    return values[is_ours & ~values["options"].str.contains("lpop")]


def ours(panels: dict[str, CellMoments], row: pd.Series) -> EffectTable:
    """The one effect a reference row is about."""
    options = row["options"]
    panel = "cross-section" if "repeated cross-section" in options else row["dataset"]
    att_gt = group_time_att(
        panels[panel],
        outcome="lemp",
        comparison="not_yet_exposed" if "notyettreated" in options else "never_exposed",
        base_period="universal" if "universal" in options else "varying",
        anticipation_months=1 if "anticipation=1" in options else 0,
    )
    kind = row["estimator"].removeprefix("CS_")
    if kind == "attgt":
        cohort, month = map(int, re.findall(r"\d+", row["quantity"]))
        return att_gt.select((att_gt.keys["cohort"] == cohort) & (att_gt.keys["month"] == month))
    if row["quantity"] == "overall":
        return aggregate(att_gt, average_over=BY.get(kind, "cohort_month"))
    table = aggregate(att_gt, by=BY[kind])
    return table.select(table.keys[BY[kind]] == int(row["quantity"].split("=")[1]))


def test_every_reference_row_is_met(
    panels: dict[str, CellMoments], references: pd.DataFrame
) -> None:
    # 1e-6 is the tolerance the reference states; same formula, so differences are rounding only.
    assert len(references) == 74
    for _, row in references.iterrows():
        table = ours(panels, row)
        what = f"{row['dataset']} {row['options']} {row['quantity']}"
        assert len(table) == 1, what
        assert table.estimate[0] == pytest.approx(row["value"], abs=float(row["tolerance"])), what
        assert table.std_error[0] == pytest.approx(row["se"], abs=float(row["tolerance"])), what


def test_pre_trend_p_value_of_the_did_vignette(panels: dict[str, CellMoments]) -> None:
    # R `did` vignette, att_gt(..., xformla = ~1): "P-value for pre-test of parallel trends
    # assumption: 0.16812".
    att_gt = group_time_att(panels["mpdta"], outcome="lemp", comparison="never_exposed")
    assert round(float(pre_trend_test(att_gt)["p_value"].iloc[0]), 5) == 0.16812


def test_simultaneous_critical_value(panels: dict[str, CellMoments]) -> None:
    # The reference README gives 2.83 from the normal distribution for the 12 ATT(g, t).
    att_gt = group_time_att(panels["mpdta"], outcome="lemp", comparison="never_exposed")
    bands = simultaneous_bands(att_gt, rng=np.random.default_rng(20240101))
    assert float(bands["critical_value"].iloc[0]) == pytest.approx(2.83, abs=0.01)
