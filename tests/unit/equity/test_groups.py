"""Order of groups in a table."""

import pandas as pd
import pytest

from calaim_eval.equity.groups import in_group_order


@pytest.mark.parametrize(
    "names",
    [
        ["0-4", "5-9", "10-17", "18-44", "45-64", "65+", "all"],
        ["district 2", "district 10", "district 10 south"],
        ["Kern", "Kings", "unknown", "all"],
    ],
)
def test_numbers_in_names_count_as_numbers(names):
    table = pd.DataFrame({"age_band": names[::-1], "rate": range(len(names))})
    assert in_group_order(table, ["age_band"])["age_band"].tolist() == names
