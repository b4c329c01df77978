from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.equity import direct_standardized_rate, indirect_standardized_ratio
from calaim_eval.errors import EstimationError

CELLS = pd.DataFrame(
    {
        "race_ethnicity": ["black", "black", "white", "white"],
        "age_band": ["child", "adult"] * 2,
        "events": [10, 90, 40, 60],
        "member_months": [1000, 3000, 4000, 2000],
    }
)
WEIGHTS = pd.Series({"child": 1, "adult": 1})


def test_weights_equal_to_a_groups_own_mix_give_its_crude_rate():
    own = CELLS[CELLS["race_ethnicity"] == "black"].set_index("age_band")["member_months"]
    table = direct_standardized_rate(CELLS, by="race_ethnicity", weights=own)
    assert table["rate"].iloc[0] == pytest.approx(table["crude_rate"].iloc[0])
    assert table["rate"].iloc[1] == pytest.approx(1000 * (0.25 * 0.01 + 0.75 * 0.03))


def test_a_clustered_variance_widens_the_interval():
    plain = direct_standardized_rate(CELLS, by="race_ethnicity", weights=WEIGHTS)
    wide = direct_standardized_rate(
        CELLS.assign(variance=4 * CELLS["events"]), by="race_ethnicity", weights=WEIGHTS
    )
    assert wide["std_error"].to_numpy() == pytest.approx(2 * plain["std_error"].to_numpy())


def test_the_standard_itself_has_ratio_one():
    standard = CELLS[CELLS["race_ethnicity"] == "white"]
    table = indirect_standardized_ratio(CELLS, by="race_ethnicity", standard=standard)
    assert table["ratio"].iloc[1] == pytest.approx(1)
    assert table["ratio"].iloc[0] == pytest.approx(100 / (1000 * 0.01 + 3000 * 0.03))


def test_what_is_refused():
    with pytest.raises(EstimationError, match="1 bands the standard lacks: `adult`"):
        direct_standardized_rate(CELLS, by="race_ethnicity", weights=WEIGHTS[["child"]])
    with pytest.raises(EstimationError, match="1 of 2 groups have no member-month"):
        direct_standardized_rate(CELLS.iloc[1:], by="race_ethnicity", weights=WEIGHTS)
    empty = CELLS[CELLS["race_ethnicity"] == "white"].assign(events=0)
    with pytest.raises(EstimationError, match="no event is expected in 2 of 2 groups"):
        indirect_standardized_ratio(CELLS, by="race_ethnicity", standard=empty)
