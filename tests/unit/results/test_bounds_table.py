"""A table of intervals without estimates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError
from calaim_eval.results import (
    SUPPORT_COLUMNS,
    BoundsTable,
    Estimand,
    Method,
    load_results,
    save_results,
    stack_bounds,
)


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


def with_breakdown() -> BoundsTable:
    return table(breakdown=np.array([0.7, np.nan]), rests_on=("effect_overall",))


def test_a_breakdown_value_goes_with_its_rows():
    chosen = with_breakdown().select(np.array([True, False]))
    assert chosen.breakdown.tolist() == [0.7]
    assert "breakdown" in chosen.to_frame()
    assert "breakdown" not in table().to_frame()
    with pytest.raises(EstimationError, match=r"`breakdown` has shape \(1,\), expected \(2,\)"):
        table(breakdown=np.zeros(1))


def test_rows_of_a_group_differ_in_the_bound_alone():
    keys = pd.DataFrame({"race_ethnicity": ["white", "black", "white"], "bound": [0.0, 0.0, 1.0]})
    three = {name: np.zeros(3) for name in ("set_low", "set_high", "conf_low", "conf_high")}
    support = pd.DataFrame({c: [50] * 3 for c in SUPPORT_COLUMNS})
    both = table(keys=keys, support=support, **three)
    assert both.groups.tolist() == [0, 1, 0]
    alone = table(keys=keys[["bound"]], support=support, **three)
    assert alone.groups.tolist() == [0, 0, 0]


def test_stacked_tables_keep_their_units_and_rows():
    dollars = table(estimand=Estimand("ATT under bounded trends", "exposed", "USD"), notes=("two",))
    both = stack_bounds([table(notes=("one",)), dollars], key="outcome", labels=["visits", "paid"])
    assert list(both.keys.columns[:2]) == ["outcome", "unit"]
    assert both.keys["unit"].tolist() == ["visits", "visits", "USD", "USD"]
    assert both.estimand.unit == "see `unit`"
    assert both.bound_words == "change of slope"
    assert both.notes == ("one", "two")
    np.testing.assert_array_equal(both.set_low, [1.0, np.nan, 1.0, np.nan])


def test_tables_that_do_not_go_together_are_not_stacked():
    with pytest.raises(EstimationError, match="0 tables"):
        stack_bounds([])
    with pytest.raises(EstimationError, match="1 tables and 2 labels"):
        stack_bounds([table()], key="outcome", labels=["a", "b"])
    with pytest.raises(EstimationError, match="`conf_level`, or some lack `breakdown`"):
        stack_bounds([table(), table(conf_level=0.9)], key="outcome", labels=["a", "b"])
    with pytest.raises(EstimationError, match="some lack `breakdown`"):
        stack_bounds([table(), with_breakdown()], key="outcome", labels=["a", "b"])


@pytest.mark.parametrize("made", [table, with_breakdown])
def test_what_is_saved_is_read_back(made, tmp_path):
    saved = made()
    back = load_results(save_results({"effect_bounds": saved}, tmp_path / "kept"))["effect_bounds"]
    assert isinstance(back, BoundsTable)
    pd.testing.assert_frame_equal(back.to_frame(), saved.to_frame())
    assert (back.estimand, back.conf_level) == (saved.estimand, saved.conf_level)
    assert (back.bound_words, back.notes) == (saved.bound_words, saved.notes)
    assert back.method.estimator == saved.method.estimator
    assert (back.breakdown is None) == (saved.breakdown is None)
    assert back.rests_on == saved.rests_on
