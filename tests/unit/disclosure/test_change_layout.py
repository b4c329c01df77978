"""Another layout: tables without a column, or left out."""

from __future__ import annotations

import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table, two_way

from calaim_eval.disclosure import change_layout, release
from calaim_eval.errors import DisclosureError


@pytest.fixture
def results():
    _, by_county = two_way([[5, 30, 40], [60, 70, 80], [90, 200, 300]])
    effects = effect_table(
        pd.DataFrame({"outcome": "ed", "race_ethnicity": ["white", "nhpi", "overall"]}), [40, 6, 46]
    )
    return {"by_county": by_county, "effects": effects}


def test_without_a_column_the_rows_over_all_of_it_stay(results):
    changed = change_layout(results, without=[("by_county", "county")])
    table = changed["by_county"]
    assert table.keys.to_dict("list") == {"race_ethnicity": ["aian", "black", "white", "all"]}
    assert table.numerator.tolist() == [75, 210, 590, 875]
    assert table.margins == ("race_ethnicity",)
    assert list(results["by_county"].keys) == ["race_ethnicity", "county"]
    frame = release(changed).tables["by_county"].frame
    assert not frame["is_suppressed"].any()


def test_effects_and_shares_do_without_a_column_too(results):
    changed = change_layout(results, without=[("effects", "race_ethnicity")])
    assert changed["effects"].keys.to_dict("list") == {"outcome": ["ed"]}
    keys = pd.DataFrame(
        [{"race_ethnicity": r, "stage": s} for r in ("white", "all") for s in ("a", "b")]
    )
    funnel = rate_table(
        keys, [50, 40, 90, 60], [50, 50, 90, 90], kind="proportion",
        denominator_keys=("race_ethnicity",),
    )  # fmt: skip
    table = change_layout({"f": funnel}, without=[("f", "race_ethnicity")])["f"]
    assert table.denominator_keys == ()
    assert table.denominator.tolist() == [90, 90]


def test_a_table_left_out_is_not_there(results):
    assert list(change_layout(results, leave_out=["effects"])) == ["by_county"]


@pytest.mark.parametrize(
    ("without", "leave_out", "match"),
    [
        ([("by_state", "county")], [], r"(?s)no table `by_state`.*`by_county`, `effects`"),
        ([], ["nothing"], "no table `nothing`"),
        ([("effects", "county")], [], r"(?s)no such column.*without `race_ethnicity`"),
        ([("effects", "outcome")], [], "no rows over all of it"),
    ],
)
def test_what_is_not_there_is_said(results, without, leave_out, match):
    with pytest.raises(DisclosureError, match=match):
        change_layout(results, without=without, leave_out=leave_out)


def test_a_column_left_out_later_does_not_open_what_was_hidden(results, tmp_path):
    """The wide release hid the smallest county's row; the narrow one may not show its sum."""
    by_county = {"t": results["by_county"]}
    first = release(by_county, to=tmp_path, quarter="2024Q4")
    narrow = change_layout(by_county, without=[("t", "county")])
    second = release(narrow, to=tmp_path, quarter="2024Q4").tables["t"].frame
    wide = first.tables["t"].frame
    of_all = wide[wide["county"] == "all"].set_index("race_ethnicity")["is_suppressed"]
    later = second.set_index("race_ethnicity")["is_suppressed"]
    assert not (of_all & ~later[of_all.index]).any()
