"""Averages of effects: which exposed rows each holds, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate.exposure_terms import averages

ROWS = {
    "cohort": np.array([2, 2, 2, 3, 3]),
    "month": np.array([2, 3, 3, 3, 4]),
    "event_time": np.array([0, 1, 1, 0, 1]),
}
HELD = {
    "event_time": ([(0,), (1,)], [[0, 3], [1, 2, 4]]),
    "cohort": ([(2,), (3,)], [[0, 1, 2], [3, 4]]),
    "month": ([(2,), (3,), (4,)], [[0], [1, 2, 3], [4]]),
    "cohort_month": ([(2, 2), (2, 3), (3, 3), (3, 4)], [[0], [1, 2], [3], [4]]),
}


@pytest.mark.parametrize("by", HELD)
def test_each_average_holds_its_rows(by: str) -> None:
    keys, held = averages(by, **ROWS, frequency="integer")
    labels, rows = HELD[by]
    assert list(keys.itertuples(index=False, name=None)) == labels
    assert [np.flatnonzero(column).tolist() for column in held.T] == rows


def test_the_overall_average_holds_every_row_and_has_no_key() -> None:
    keys, held = averages("overall", **ROWS, frequency="integer")
    assert keys.shape == (1, 0)
    assert held.tolist() == [[True]] * 5


def test_months_are_labelled_as_those_of_the_panel() -> None:
    months = ROWS | {"month": np.array([624, 625, 625, 625, 626])}
    keys, _ = averages("month", **months, frequency="M")
    assert (keys["month"] == pd.to_datetime(["2022-01-01", "2022-02-01", "2022-03-01"])).all()
