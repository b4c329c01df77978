from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.equity import (
    byar_interval,
    direct_standardized_rate,
    exact_poisson_interval,
    indirect_standardized_ratio,
)
from calaim_eval.errors import DesignError, EstimationError

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


def test_several_bands_are_one_band_of_pairs():
    rng = np.random.default_rng(2)
    cells = pd.DataFrame(
        [
            {"group": g, "age": a, "sex": x, "events": 5 + e, "member_months": 900 + 50 * e}
            for (g, a, x), e in zip(
                product("ab", ["child", "adult"], ["f", "m"]), rng.integers(0, 30, 8), strict=True
            )
        ]
    )
    pairs = cells.assign(band=cells["age"] + " " + cells["sex"])
    index = pd.MultiIndex.from_product([["child", "adult"], ["f", "m"]])
    several = pd.Series([3, 1, 2, 4], index=index)
    single = pd.Series([3, 1, 2, 4], index=[" ".join(each) for each in index])
    first = direct_standardized_rate(cells, by="group", band=["age", "sex"], weights=several)
    second = direct_standardized_rate(pairs, by="group", band="band", weights=single)
    pd.testing.assert_frame_equal(first, second)
    standard = cells[cells["group"] == "a"]
    ratio = indirect_standardized_ratio(
        cells, by="group", band=["age", "sex"], standard=standard.drop(columns="group")
    )
    assert ratio["ratio"][0] == pytest.approx(1)
    own = (
        standard.set_index(["age", "sex"])["events"]
        / standard.set_index(["age", "sex"])["member_months"]
    )
    other = cells[cells["group"] == "b"].set_index(["age", "sex"])["member_months"]
    assert ratio["expected"][1] == pytest.approx((own * other).sum())


def test_gamma_interval_of_one_band_is_the_exact_poisson_interval():
    cells = pd.DataFrame(
        {"group": ["a", "b"], "age_band": "all", "events": [7, 0], "member_months": [500, 800]}
    )
    found = direct_standardized_rate(
        cells, by="group", weights=pd.Series({"all": 1.0}), interval="fay_feuer"
    )
    low, high = exact_poisson_interval([7, 0])
    assert found["conf_low"].to_numpy() == pytest.approx(1000 * low / [500, 800])
    assert found["conf_high"].to_numpy() == pytest.approx(1000 * high / [500, 800])
    dobson = direct_standardized_rate(cells, by="group", weights=pd.Series({"all": 1.0}))
    assert dobson["conf_high"].isna().tolist() == [False, True]


@pytest.mark.parametrize("interval", ["byar", "exact", "log_normal", "dobson"])
def test_intervals_of_a_ratio_are_those_of_the_count(interval):
    standard = CELLS[CELLS["race_ethnicity"] == "white"]
    table = indirect_standardized_ratio(
        CELLS.assign(variance=2.0 * CELLS["events"]),
        by="race_ethnicity",
        standard=standard,
        interval=interval,
        per=1000,
        conf_level=0.9,
    )
    low, high = {
        "byar": lambda: byar_interval(100, conf_level=0.9),
        "exact": lambda: exact_poisson_interval(100, conf_level=0.9),
        "log_normal": lambda: (
            100 * np.exp(-stats.norm.ppf(0.95) / 10),
            100 * np.exp(stats.norm.ppf(0.95) / 10),
        ),
        "dobson": lambda: (
            100 - np.sqrt(2) * (100 - byar_interval(100, conf_level=0.9)[0]),
            100 + np.sqrt(2) * (byar_interval(100, conf_level=0.9)[1] - 100),
        ),
    }[interval]()
    assert table["conf_low"].to_numpy() == pytest.approx(low / table["expected"])
    assert table["conf_high"].to_numpy() == pytest.approx(high / table["expected"])
    crude = 1000 * 100 / 6000
    assert table["rate_conf_high"].to_numpy() == pytest.approx(crude * table["conf_high"])


def test_more_that_is_refused():
    with pytest.raises(EstimationError, match='interval="dobson" needs `variance`'):
        indirect_standardized_ratio(
            CELLS,
            by="race_ethnicity",
            standard=CELLS[CELLS["race_ethnicity"] == "white"],
            interval="dobson",
        )
    with pytest.raises(EstimationError, match="2 of 4 bands of the standard repeat"):
        indirect_standardized_ratio(CELLS, by="race_ethnicity", standard=CELLS)
    with pytest.raises(EstimationError, match="4 of 8 rows repeat a group and band"):
        direct_standardized_rate(pd.concat([CELLS, CELLS]), by="race_ethnicity", weights=WEIGHTS)
    with pytest.raises(EstimationError, match="`weights` must be 0 or more"):
        direct_standardized_rate(CELLS, by="race_ethnicity", weights=-WEIGHTS)
    with pytest.raises(DesignError, match="`interval` is 'wald'"):
        direct_standardized_rate(CELLS, by="race_ethnicity", weights=WEIGHTS, interval="wald")


WITH_VARIANCE = CELLS.assign(variance=2.0 * CELLS["events"])


@pytest.mark.parametrize("column", ["events", "member_months", "variance"])
@pytest.mark.parametrize("value", [np.nan, None, np.inf])
def test_an_unknown_number_of_a_band_is_no_zero(column, value):
    cells = WITH_VARIANCE.astype({column: object})
    cells.loc[1, column] = value
    message = rf"`{column}` is not known in 1 of 4 rows"
    with pytest.raises(EstimationError, match=message):
        direct_standardized_rate(cells, by="race_ethnicity", weights=WEIGHTS)
    standard = CELLS[CELLS["race_ethnicity"] == "white"]
    with pytest.raises(EstimationError, match=message):
        indirect_standardized_ratio(
            cells, by="race_ethnicity", standard=standard, interval="dobson"
        )


@pytest.mark.parametrize("column", ["events", "member_months"])
def test_an_unknown_number_of_the_standard_is_no_zero(column):
    standard = CELLS[CELLS["race_ethnicity"] == "white"].astype({column: float})
    standard.loc[2, column] = np.nan
    message = rf"standard: `{column}` is not known in 1 of 2 rows"
    with pytest.raises(EstimationError, match=message):
        indirect_standardized_ratio(CELLS, by="race_ethnicity", standard=standard)


def test_a_band_of_the_standard_without_member_months_has_no_rate_to_expect():
    standard = CELLS[CELLS["race_ethnicity"] == "white"].assign(
        events=[0, 60], member_months=[0, 2000]
    )
    with pytest.raises(EstimationError, match="no member-month in a band of 2 of 4 rows"):
        indirect_standardized_ratio(CELLS, by="race_ethnicity", standard=standard)
    adults = CELLS[CELLS["age_band"] == "adult"]
    table = indirect_standardized_ratio(adults, by="race_ethnicity", standard=standard)
    assert table["ratio"].tolist() == pytest.approx([90 / (3000 * 0.03), 1])


def test_a_variance_that_no_interval_reads_may_be_unknown():
    standard = CELLS[CELLS["race_ethnicity"] == "white"]
    found = [
        indirect_standardized_ratio(cells, by="race_ethnicity", standard=standard)
        for cells in (CELLS, CELLS.assign(variance=np.nan))
    ]
    pd.testing.assert_frame_equal(*found)
