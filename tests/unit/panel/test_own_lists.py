"""Lists a study gives: what is refused as a whole, and ages at their limits."""

from __future__ import annotations

import ibis
import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import build_member_months
from calaim_eval.panel.own_lists import is_of_listed_age
from calaim_eval.tables import Tables

SHARES = ["non_emergent_share", "primary_care_treatable_share", "preventable_share"]


def build(shares, **chosen):
    weights = pd.DataFrame(shares, columns=SHARES)
    weights["diagnosis_code"] = [f"J{number:03d}" for number in range(len(weights))]
    frames = {
        "eligibility": pd.DataFrame(
            {"member_id": ["a"], "enrollment_start_date": "2024-01-01", "enrollment_end_date": None}
        ),
        "ed_avoidable_weight": weights,
    }
    tables = Tables.from_frames(frames)
    return build_member_months(tables, first_month="2024-01", last_month="2024-01", **chosen)


def test_percentages_are_no_probabilities():
    with pytest.raises(TableError, match=r"2 of 3 rows of `ed_avoidable_weight`.*more than 1"):
        build([(60.0, 25.0, 5.0), (0.6, 0.25, 0.05), (0.5, 0.5, 0.5)])


def test_shares_that_add_up_to_one_but_for_rounding_are_taken():
    assert build([(0.334, 0.334, 0.334), (1.0, 0.0, None)]).n_member_months == 1


def test_a_panel_without_the_measure_does_not_ask():
    assert build([(60.0, 25.0, 5.0)], measures=["ed_visits"]).n_member_months == 1


@pytest.mark.parametrize(
    ("birth", "youngest", "oldest", "counts"),
    [
        ("2006-03-05", 18, None, True),
        ("2006-03-06", 18, None, False),
        ("1949-03-05", None, 74, False),
        ("1949-03-06", None, 74, True),
        (None, 0, None, False),
        (None, None, None, True),
        ("2024-03-05", 0, 0, True),
    ],
)
def test_both_ages_are_within_the_limits(birth, youngest, oldest, counts):
    row = pd.DataFrame(
        {
            "birth_date": pd.Series([birth], dtype="datetime64[ns]"),
            "youngest_age_years": pd.Series([youngest], dtype="Int64"),
            "oldest_age_years": pd.Series([oldest], dtype="Int64"),
        }
    )
    rows = ibis.memtable(row)
    day = ibis.literal((pd.Timestamp("2024-03-05") - pd.Timestamp("1970-01-01")).days, "int64")
    told = rows.select(counts=is_of_listed_age(rows, day))
    assert told.to_pandas()["counts"].tolist() == [counts]
