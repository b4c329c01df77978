from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import disparity_measures
from calaim_eval.equity.group_rates import by_group
from calaim_eval.errors import EstimationError

NAMES = ["aian", "black", "white"]
COUNTS = pd.DataFrame(
    {"race_ethnicity": NAMES, "events": [50, 60, 80], "member_months": [1000, 200, 900]}
)


def measured(**options):
    words = {"reference": "white", "favourable": False, "weights": "equal", **options}
    return disparity_measures(COUNTS, per=1000, unit="visits", draws=200, **words)


def test_values_come_in_the_order_of_the_groups():
    given = pd.Series([3, 1, 9, 2], index=["white", "aian", "other", "black"])
    assert by_group(given, NAMES, what="population").tolist() == [1, 2, 3]


@pytest.mark.parametrize("what", ["weights", "population"])
@pytest.mark.parametrize("value", [np.nan, None, pd.NA, np.inf])
def test_an_unknown_value_of_a_group_is_refused(what, value):
    given = pd.Series([0.5, value, 0.5], index=NAMES, dtype=object)
    with pytest.raises(EstimationError, match=f"`{what}` is not known for 1 of 3 groups: `black`"):
        measured(**{what: given})


@pytest.mark.parametrize("what", ["weights", "population"])
def test_a_group_given_twice_is_refused(what):
    given = pd.Series([0.25, 0.25, 0.25, 0.25], index=["aian", "aian", "black", "white"])
    with pytest.raises(EstimationError, match=f"`{what}` gives 1 of 3 groups more than once: `ai"):
        measured(**{what: given})
