"""How an estimate is written into a cell."""

import pandas as pd
import pytest

from calaim_eval.report.access_counts import StageCounts
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK
from calaim_eval.report.tables.cells import count_cell, cumulative_cells, ratio_cell


def row(estimate, low, high, *, is_suppressed=False):
    return pd.Series(
        {
            "estimate": estimate,
            "conf_low": low,
            "conf_high": high,
            "is_suppressed": is_suppressed,
        }
    )


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (row(0.913, 0.84, 0.99), "0.91 (0.84 to 0.99)"),
        (row(0.0, 0.0, 2e19), "0.00 (0.00 to over 100)"),
        (row(1.2, float("nan"), float("nan")), UNDEFINED_MARK),
        (row(float("nan"), float("nan"), float("nan"), is_suppressed=True), SUPPRESSED_MARK),
        (None, UNDEFINED_MARK),
    ],
)
def test_a_ratio_with_an_interval_that_ends_nowhere_says_so(given, written):
    assert ratio_cell(given).replace("\xa0", " ") == written


def test_a_count_is_withheld_or_written():
    row = pd.Series({"numerator": 1234.0, "denominator": 20.0, "is_suppressed": False})
    assert (count_cell(row), count_cell(row, "denominator")) == ("1,234", "20")
    row["is_suppressed"] = True
    assert count_cell(row) == count_cell(row, "denominator") == SUPPRESSED_MARK


def test_shares_by_the_end_of_each_stretch_add_up_and_the_last_has_its_interval():
    counts = StageCounts(200.0, {"0-30": 50.0, "31-90": 30.0}, 80.0, 0.33, 0.47, {})
    cells = {k: v.replace("\xa0", " ") for k, v in cumulative_cells(counts, unit="day").items()}
    assert cells == {"By day 30": "25%", "By day 90": "40% (33 to 47)"}


def test_a_withheld_stretch_hides_its_share_but_not_the_whole():
    counts = StageCounts(200.0, {"0-30": float("nan"), "31-90": 30.0}, 80.0, 0.33, 0.47, {})
    assert cumulative_cells(counts, unit="day")["By day 30"] == SUPPRESSED_MARK
    assert cumulative_cells(counts, unit="day")["By day 90"].startswith("40%")
