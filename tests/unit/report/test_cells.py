"""How an estimate is written into a cell."""

import pandas as pd
import pytest

from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK
from calaim_eval.report.tables.cells import ratio_cell


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
