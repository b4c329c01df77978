from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table, two_way

from calaim_eval.disclosure import explain, release
from calaim_eval.errors import DisclosureError


@pytest.fixture
def table():
    return rate_table(pd.DataFrame({"service": ["meals", "housing"]}), [40, 50])


@pytest.mark.parametrize("name", ["../escape", "Upper", "with space", "", "1st"])
def test_names_that_are_not_file_names_are_refused(name, table):
    with pytest.raises(DisclosureError, match="lower-case letters"):
        release({name: table})


@pytest.mark.parametrize("quarter", ["2024", "2024Q5", "../2024Q4", "2024Q4/.."])
def test_quarters_that_are_not_quarters_are_refused(quarter, table, tmp_path):
    with pytest.raises(DisclosureError, match="expected a form like"):
        release({"t": table}, to=tmp_path, quarter=quarter)
    assert not list(tmp_path.iterdir())


def test_a_folder_needs_a_quarter(table, tmp_path):
    with pytest.raises(DisclosureError, match="`to` needs a quarter"):
        release({"t": table}, to=tmp_path)


def test_a_frame_is_refused(table):
    with pytest.raises(DisclosureError, match="`t` is a `DataFrame`"):
        release({"t": table.to_frame()})


def test_a_margin_that_does_not_add_up_is_refused_without_its_numbers():
    keys = pd.DataFrame({"race_ethnicity": ["white", "black", "all"]})
    wrong = rate_table(keys, [100, 50, 154], margins=("race_ethnicity",))
    with pytest.raises(DisclosureError, match="1 of 1 `all` rows of `race_ethnicity`") as caught:
        release({"t": wrong})
    assert "154" not in str(caught.value)
    assert "4" not in str(caught.value)


def test_two_values_of_one_quantity_are_refused():
    keys = pd.DataFrame({"race_ethnicity": ["white", "black"]})
    tables = {"a": rate_table(keys, [100, 50]), "b": rate_table(keys, [100, 52])}
    with pytest.raises(DisclosureError, match="`b` and `a` give `members`"):
        release(tables)


def test_denominators_of_one_name_and_two_values_are_told_apart():
    keys = pd.DataFrame({"service": ["meals", "housing"]})
    tables = {
        "a": rate_table(keys, [100, 50], [200, 200], kind="proportion", names=("x", "members")),
        "b": rate_table(keys, [90, 40], [300, 300], kind="proportion", names=("y", "members")),
    }
    released = release(tables)
    assert released.certificate["n_suppressed_rows"] == 0


def test_rows_that_should_share_a_denominator_must():
    keys = pd.DataFrame({"race_ethnicity": ["white", "white"], "stage": ["a", "b"]})
    table = rate_table(
        keys, [50, 40], [100, 99], kind="proportion", denominator_keys=("race_ethnicity",)
    )
    with pytest.raises(DisclosureError, match="`denominator_keys`"):
        release({"t": table})


def test_missing_and_impossible_counts_are_refused():
    keys = pd.DataFrame({"service": ["meals", "housing"]})
    with pytest.raises(DisclosureError, match="1 of 2 rows have a missing or negative"):
        release({"t": rate_table(keys, [np.nan, 40])})
    with pytest.raises(DisclosureError, match="1 of 2 rows have a numerator above"):
        release({"t": rate_table(keys, [50, 40], [40, 50], kind="proportion")})


def test_amounts_from_few_members_are_hidden_with_a_cheap_neighbour():
    keys = pd.DataFrame({"race_ethnicity": ["white", "black", "nhpi", "all"]})
    paid = np.array([9.1e6, 2.4e6, 123_456.78])
    table = rate_table(
        keys,
        [*paid, paid.sum()],
        [8000.0, 3000.0, 96.0, 11_096.0],
        n_members=[700, 200, 8, 908],
        kind="rate",
        names=("paid_usd", "member_months"),
        margins=("race_ethnicity",),
    )
    frame = release({"t": table}).tables["t"].frame
    # Black members are kept readable, so white members' row protects.
    assert frame["is_suppressed"].tolist() == [True, False, True, False]


def test_an_amount_beside_a_tiny_one_is_not_pinned_by_it():
    """Beside a hidden 20 dollars, 123,456 would still be known to be 123,476 at most."""
    keys = pd.DataFrame({"race_ethnicity": ["white", "black", "other", "nhpi", "all"]})
    paid = np.array([900_000.0, 500_000.0, 20.0, 123_456.0])
    table = rate_table(
        keys,
        [*paid, paid.sum()],
        n_members=[700, 200, 12, 8, 920],
        names=("paid_usd", "none"),
        margins=("race_ethnicity",),
    )
    hidden = release({"t": table}).tables["t"].frame["is_suppressed"].tolist()
    assert hidden[3]
    assert hidden[0] or hidden[1] or hidden[4]


def test_undefined_is_not_suppressed():
    effects = effect_table(pd.DataFrame({"event_time": [0, 1]}), [50, 60])
    effects.estimate[1] = np.nan
    frame = release({"t": effects}).tables["t"].frame
    assert frame["is_suppressed"].tolist() == [False, False]
    assert np.isnan(frame["estimate"].iloc[1])


def test_meta_says_what_the_numbers_mean():
    effects = effect_table(pd.DataFrame({"event_time": [0, 1]}), [50, 60], notes=("Note.",))
    meta = release({"t": effects}).tables["t"].meta
    assert meta["unit"] == "visits per 1,000 member-months"
    assert meta["contrast"] == "exposed minus comparison"
    assert meta["is_causal"] is True
    assert meta["notes"] == ["Note."]


def test_the_log_says_why_and_never_which():
    _, table = two_way([[5, 30, 40], [60, 70, 80], [90, 200, 300]])
    released = release({"by_county": table})
    text = explain(released)
    n = released.certificate["n_suppressed_rows"]
    assert f"1 table released under calhhs_ddg_2 version 1: {n} of 16 rows suppressed." in text
    assert f"by_county: {n} of 16 rows" in text


def test_the_log_on_disk(tmp_path):
    _, table = two_way([[5, 30, 40], [60, 70, 80], [90, 200, 300]])
    released = release({"by_county": table}, to=tmp_path, quarter="2024Q4")
    log = (tmp_path / "2024Q4" / "log.md").read_text(encoding="utf-8")
    assert "without `county`, by `race_ethnicity` only, 0 of 4 rows are hidden" in log
    assert f"| by_county | 16 | {released.tables['by_county'].n_suppressed} |" in log
    assert "complementary" not in log


def test_an_empty_release_is_a_release(tmp_path):
    released = release({}, to=tmp_path, quarter="2024Q4")
    assert released.tables == {}
    assert released.certificate["narrowest_range"] is None


def test_twelve_groups_by_58_counties_take_less_than_half_a_minute():
    import time

    rng = np.random.default_rng(7)
    groups = np.array([0.01, 0.1, 0.02, 0.08, 0.45, 0.01, 0.03, 0.005, 0.05, 0.175, 0.02, 0.05])
    counties = rng.pareto(1.1, 58) + 0.05
    share = np.outer(groups / groups.sum(), counties / counties.sum())
    inner = rng.multinomial(20_000, share.ravel()).reshape(12, 58)
    _, table = two_way(
        inner,
        rows=tuple(f"group {i}" for i in range(12)),
        columns=tuple(f"county {j}" for j in range(58)),
    )
    start = time.monotonic()
    released = release({"t": table})
    assert time.monotonic() - start < 30
    assert released.certificate["search"] == "fewest rows proved"
    assert released.certificate["narrowest_range"] >= 10


def test_an_effect_of_everybody_is_released_beside_a_gap():
    whole = effect_table(pd.DataFrame({"unit": ["visits"]}), [500])
    none = effect_table(pd.DataFrame({"county": pd.Series([], dtype=str)}), [])
    gap = effect_table(
        pd.DataFrame({"race_ethnicity": ["aian", "nhpi"], "reference": ["white", "white"]}),
        [40, 50],
    )
    released = release({"whole": whole, "none": none, "gap": gap})
    assert released.certificate["n_suppressed_rows"] == 0


def test_a_proportion_without_rows_is_released():
    keys = pd.DataFrame({"service": pd.Series([], dtype=str)})
    table = rate_table(keys, [], [], kind="proportion", denominator_keys=())
    assert len(release({"t": table}).tables["t"]) == 0


def test_rows_without_a_key_value_are_a_group_like_any_other():
    """54 minus 50 gives the four women of no county."""
    keys = pd.MultiIndex.from_product([[None, "Kern"], ["f", "m", "all"]])
    frame = pd.DataFrame(keys.to_list(), columns=["county", "sex"], dtype=object)
    table = rate_table(frame, [4, 50, 54, 60, 70, 130], margins=("sex",))
    hidden = release({"t": table}).tables["t"].frame["is_suppressed"].tolist()
    assert hidden[0]
    assert hidden[1] or hidden[2]
    assert not any(hidden[3:])

    few = replace(table, numerator=np.array([40.0, 50, 91, 60, 70, 130]))
    with pytest.raises(DisclosureError, match="are not the sum"):
        release({"t": few})


def test_an_effect_of_few_without_a_county_is_hidden_beside_its_average():
    keys = pd.MultiIndex.from_product([[None, "Kern"], ["aian", "white", "all"]])
    frame = pd.DataFrame(keys.to_list(), columns=["county", "race_ethnicity"], dtype=object)
    table = effect_table(frame, [4, 400, 404, 500, 600, 1100])
    hidden = release({"e": table}).tables["e"].frame["is_suppressed"].tolist()
    assert hidden[0]
    assert hidden[1] or hidden[2]
    assert not any(hidden[3:])
