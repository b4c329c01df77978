"""Standardized rates as results: the numbers of the tables, and what may leave."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.equity import (
    direct_standardized_rate_by_group,
    effect_gap,
    indirect_standardized_ratio_by_group,
    rate_by_group,
    standardized_rates,
    standardized_ratios,
)
from calaim_eval.errors import DesignError

RACE = "race_ethnicity"
BAND = "age_band"


def months(old_events: int = 30, n: int = 60) -> pd.DataFrame:
    """Members by race and age for 4 months; visits of the old of one group are given."""
    rows = []
    for race, age, count in (
        ("black", "adult", n), ("black", "older", n), ("white", "adult", 2 * n),
        ("white", "older", n),
    ):  # fmt: skip
        total = old_events if (race, age) == ("black", "older") else count
        for i in range(count):
            visits = int(i < total) + int(age == "older" and race == "white" and i % 2 == 0)
            rows += [(f"{race}{age}{i}", race, age, visits if k == 0 else 0) for k in range(4)]
    return pd.DataFrame(rows, columns=["member_id", RACE, BAND, "ed_visits"])


def test_rates_are_those_of_the_table_with_their_errors():
    frame = months()
    found = standardized_rates(frame, outcome="ed_visits", band=BAND).to_frame().set_index(RACE)
    weights = frame.groupby(BAND).size()
    table = direct_standardized_rate_by_group(
        frame, outcome="ed_visits", by=RACE, weights=weights
    ).set_index(RACE)
    for race in ("black", "white"):
        assert found.loc[race, "estimate"] == pytest.approx(table.loc[race, "rate"])
        assert found.loc[race, "std_error"] == pytest.approx(table.loc[race, "std_error"])
    # By hand: of 5 parts 3 are adult; 60 of 60 with a visit, and 30 of 60, in 240 months.
    assert found.loc["black", "estimate"] == pytest.approx(1000 * (0.6 * 60 + 0.4 * 30) / 240)
    assert (
        "per 1,000 member-months"
        in standardized_rates(frame, outcome="ed_visits", band=BAND).estimand.unit
    )


def test_one_group_is_its_own_standard():
    frame = months().query(f"{RACE} == 'black'")
    crude = rate_by_group(frame, outcome="ed_visits", by=RACE)
    assert standardized_rates(frame, outcome="ed_visits", band=BAND).estimate == pytest.approx(
        crude.rate
    )
    assert standardized_ratios(frame, outcome="ed_visits", band=BAND).estimate == pytest.approx(1)


def test_ratios_are_those_of_the_table_and_their_error_makes_its_interval():
    frame = months()
    standard = frame.groupby(BAND)["ed_visits"].agg(events="sum", member_months="size")
    table = indirect_standardized_ratio_by_group(
        frame, outcome="ed_visits", by=RACE, standard=standard.reset_index()
    ).set_index(RACE)
    found = standardized_ratios(frame, outcome="ed_visits", band=BAND).to_frame().set_index(RACE)
    for race in ("black", "white"):
        assert found.loc[race, "estimate"] == pytest.approx(table.loc[race, "ratio"])
        # Dobson's interval is the same width but for its skew.
        width = table.loc[race, "conf_high"] - table.loc[race, "conf_low"]
        assert 2 * 1.96 * found.loc[race, "std_error"] == pytest.approx(width, rel=0.05)


def test_groups_compare_with_the_sum_of_their_variances():
    table = standardized_rates(months(), outcome="ed_visits", band=BAND)
    gap = effect_gap(table, reference="white").to_frame().iloc[0]
    assert gap["std_error"] == pytest.approx(np.sqrt((table.std_error**2).sum()))


@pytest.mark.parametrize(("old_events", "is_hidden"), [(30, False), (7, True), (0, False)])
def test_a_rate_that_rests_on_a_small_band_is_hidden(old_events, is_hidden):
    frame = months(old_events)
    crude = rate_by_group(frame, outcome="ed_visits", by=RACE)
    tables = release(
        {"crude": crude, "standardized": standardized_rates(frame, outcome="ed_visits", band=BAND)}
    ).tables
    assert not tables["crude"].frame["is_suppressed"].any()
    found = tables["standardized"].frame.set_index(RACE)["is_suppressed"]
    assert found["black"] == is_hidden
    assert not found["white"]


def test_where_the_crude_rate_is_hidden_so_is_the_standardized_one():
    frame = months()
    small = rate_by_group(frame.iloc[: 4 * 5], outcome="ed_visits", by=RACE)
    tables = release(
        {"crude": small, "standardized": standardized_rates(frame, outcome="ed_visits", band=BAND)}
    ).tables
    assert tables["crude"].frame["is_suppressed"].all()
    assert tables["standardized"].frame.set_index(RACE).loc["black", "is_suppressed"]


def test_groups_that_overlap_are_refused():
    with pytest.raises(DesignError, match="overlap"):
        standardized_rates(months(), outcome="ed_visits", by="population_of_focus", band=BAND)
