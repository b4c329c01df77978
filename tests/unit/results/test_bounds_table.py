"""A table of intervals without estimates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError
from calaim_eval.results import SUPPORT_COLUMNS, BoundsTable, Estimand, Method


def table(**changes: object) -> BoundsTable:
    fields: dict[str, object] = {
        "keys": pd.DataFrame(
            {"race_ethnicity": ["white", "black"], "restriction": "smoothness", "bound": [0.5, 0.5]}
        ),
        "set_low": np.array([1.0, np.nan]),
        "set_high": np.array([2.0, np.nan]),
        "conf_low": np.array([0.5, -np.inf]),
        "conf_high": np.array([2.5, 3.0]),
        "conf_level": 0.95,
        "support": pd.DataFrame({c: [50, 60] for c in SUPPORT_COLUMNS}),
        "estimand": Estimand("ATT under bounded trends", "exposed <-> comparison", "visits"),
        "method": Method("Robust interval"),
        "bound_words": "change of slope",
    }
    return BoundsTable(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_frame_has_no_estimate_and_no_standard_error():
    frame = table().to_frame()
    assert list(frame.columns) == [
        "race_ethnicity",
        "restriction",
        "bound",
        "set_low",
        "set_high",
        "conf_low",
        "conf_high",
        *SUPPORT_COLUMNS,
    ]


def test_select_keeps_rows_and_their_support():
    chosen = table().select(np.array([False, True]))
    assert len(chosen) == 1
    assert chosen.conf_high.tolist() == [3.0]
    assert chosen.support["n_members"].tolist() == [60]


def test_shapes_are_checked():
    with pytest.raises(EstimationError, match=r"`conf_low` has shape \(1,\), expected \(2,\)"):
        table(conf_low=np.zeros(1))
    with pytest.raises(EstimationError, match="`support` needs 2 rows"):
        table(support=pd.DataFrame({"n_members": [1, 2]}))


def test_words_and_picture():
    html = table()._repr_html_()
    assert "exposed &lt;-&gt; comparison" in html
    assert "95% intervals" in html
    assert "BoundsTable" in repr(table())
    plot = table().plot()
    assert plot.labels.y == "visits"
    assert "change of slope" in plot.labels.x
