"""Probabilities of the group from surname and place, against surgeo 1.1.2.

The expected values are read from the shared reference folder. The formula is the same, so the
tolerance is rounding: 1e-9 relative; zeros are exact.
"""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.equity import bisg_probabilities

pytestmark = pytest.mark.shared


def test_bisg_rows(shared):
    folder = shared / "reference" / "equity"
    rows = pd.read_csv(folder / "reference_values.csv")
    rows = rows[rows["dataset"].str.startswith("BISG")]
    # ZCTA codes keep their leading zeros.
    inputs = pd.read_csv(
        folder / "data" / "surgeo" / "bisg_inputs.csv", dtype={1: str, "Unnamed: 1": str}
    )
    inputs = inputs.rename(columns=dict(zip(inputs.columns[:2], ("surname", "zcta"), strict=True)))
    by_name, by_place = (
        inputs.set_index(key)
        .filter(like=prefix)
        .rename(columns=lambda c, p=prefix: c.removeprefix(p))
        for key, prefix in (("surname", "p_race_given_surname_"), ("zcta", "p_zcta_given_race_"))
    )
    members = inputs[["surname", "zcta"]].assign(
        member_id=inputs["surname"] + " x " + inputs["zcta"]
    )
    found = bisg_probabilities(
        members,
        surname="surname",
        geography="zcta",
        group_given_surname=by_name,
        geography_given_group=by_place,
    ).values
    assert len(rows) == 18
    for row in rows.itertuples():
        group = row.measure.removeprefix("P(").removesuffix("|surname,zcta)")
        assert found.loc[row.options, group] == pytest.approx(row.value, rel=1e-9, abs=0)
