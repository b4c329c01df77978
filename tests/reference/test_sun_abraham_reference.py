"""The interaction-weighted event study against R fixest `sunab` on `mpdta`.

Values: ../shared/reference/did/reference_values.csv, each at the tolerance stated there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import sun_abraham
from calaim_eval.moments import reduce_panel

pytestmark = pytest.mark.shared


def test_every_reference_row_is_met(shared: Path) -> None:
    folder = shared / "reference" / "did"
    values = pd.read_csv(folder / "reference_values.csv")
    rows = values[values["estimator"].str.startswith("Sun-Abraham")]
    assert len(rows) == 6
    frame = pd.read_csv(folder / "data" / "mpdta.csv")
    frame["cohort"] = frame["first.treat"].replace(0, np.nan)
    moments = reduce_panel(
        frame, outcomes=["lemp"], member_id="countyreal", month="year", unbalanced="cell_means"
    )
    for _, row in rows.iterrows():
        overall = row["quantity"] == "ATT"
        table = sun_abraham(
            moments,
            outcome="lemp",
            by="overall" if overall else "event_time",
            shares="fixed",
            small_sample="crv1",
        )
        if not overall:
            table = table.select(
                table.keys["event_time"] == int(row["quantity"].removeprefix("year::"))
            )
        tolerance = float(row["tolerance"])
        assert table.estimate[0] == pytest.approx(row["value"], abs=tolerance), row["quantity"]
        assert table.std_error[0] == pytest.approx(row["se"], abs=tolerance), row["quantity"]
