"""The Goodman-Bacon decomposition against R `bacondecomp` 0.1.3.

Values: ../shared/reference/did/reference_values.csv, each at the tolerance stated there.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from calaim_eval.estimate import bacon_decomposition
from calaim_eval.moments import reduce_panel

pytestmark = pytest.mark.shared

KINDS = {
    "treated_vs_never": "exposed_vs_never",
    "earlier_vs_later": "earlier_vs_later",
    "later_vs_earlier": "later_vs_earlier",
}


def test_every_reference_row_is_met(shared: Path) -> None:
    folder = shared / "reference" / "did"
    values = pd.read_csv(folder / "reference_values.csv")
    rows = values[values["estimator"] == "Bacon"]
    assert len(rows) == 6
    frame = pd.read_csv(folder / "data" / "castle_bacon.csv")
    moments = reduce_panel(
        frame,
        outcomes=["l_homicide"],
        member_id="sid",
        month="year",
        cohort="effyear",
        unbalanced="cell_means",
    )
    found = bacon_decomposition(moments, outcome="l_homicide").by_comparison()
    found = found.set_index("comparison")
    for _, row in rows.iterrows():
        kind, quantity = row["quantity"].split(" ")
        ours = found.loc[KINDS[kind], "weight" if quantity == "weight" else "estimate"]
        assert ours == pytest.approx(row["value"], abs=float(row["tolerance"])), row["quantity"]
