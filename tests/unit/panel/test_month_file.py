"""The file of member months against rows written down by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import month_file
from calaim_eval.panel.month_file import MeasureColumn, MonthFile

JANUARY = 2021 * 12
VISITS = MeasureColumn("visits", is_whole=True, number=0, hidden=(13,))
PAID = MeasureColumn("paid", is_whole=False, number=1)
CALLS = MeasureColumn("calls", is_whole=True, number=2, outside="outside_calls")
NOBODY_KNOWS = MeasureColumn("unseen", is_whole=True, number=None)
LAYOUT = MonthFile(JANUARY, 14, (VISITS, NOBODY_KNOWS, PAID, CALLS), custody_outside="outside_jail")

# Members 7 and 30: their numbers do not follow one another, as on an engine of many machines.
MONTHS = (
    # member, month, place, days, dual, full, retroactive, in custody, calls unfed, jail unfed
    (30, 12, -1, 31, True, True, False, False, True, False),
    (7, 13, 5, 28, False, True, False, False, False, False),
    (7, 0, 9, 31, False, True, True, True, False, True),
    (30, 0, 5, 15, False, False, False, False, False, False),
    (7, 12, 5, 31, False, True, False, True, False, False),
)
FLAGS = ("is_dual", "is_full_scope", "is_retroactive", "is_in_custody")


def pieces(months=MONTHS, events=()):
    names = ("member", "month", "place", "covered_days", *FLAGS, "outside_calls", "outside_jail")
    told = [dict(zip(names, row, strict=True)) for row in months]
    for row in told:
        row["month"] += JANUARY
    places = [
        {"place": -1, "plan": None, "county": "Kern", "aid_code": None},
        {"place": 5, "plan": "B", "county": None, "aid_code": "M1"},
        {"place": 9, "plan": "A", "county": "Yolo", "aid_code": "M1"},
    ]
    people = [
        {"member": 30, "member_id": "z", "born": None, "sex": "female", "language": None},
        {"member": 7, "member_id": "k", "born": JANUARY - 120 + 1, "sex": "male", "language": "es"},
    ]
    happened = pa.table(
        {
            "member": pa.array([each[0] for each in events], pa.int64()),
            "month": pa.array([each[1] + JANUARY for each in events], pa.int64()),
            "measure": pa.array([each[2] for each in events], pa.int16()),
            "value": pa.array([each[3] for each in events], pa.float64()),
        }
    )
    return {
        "panel_months": pa.Table.from_pylist(told, _months_schema(names)),
        "panel_places": pa.Table.from_pylist(places),
        "panel_people": pa.Table.from_pylist([{**row, "race_ethnicity": "x"} for row in people]),
        "panel_events": happened,
    }


def _months_schema(names):
    whole = ("member", "month", "place", "covered_days")
    return pa.schema([(name, pa.int64() if name in whole else pa.bool_()) for name in names])


EVENTS = ((7, 12, 0, 1.0), (7, 12, 0, 1.0), (30, 0, 1, 2.5), (7, 13, 0, 1.0), (30, 12, 2, 1.0))


@pytest.fixture
def rows(tmp_path):
    LAYOUT(pieces(events=EVENTS), tmp_path / "part.parquet")
    return pq.read_table(tmp_path / "part.parquet")


def column(rows, name):
    return rows[name].to_pylist()


def test_rows_are_in_the_order_of_members_and_months(rows):
    assert column(rows, "member_id") == ["k", "k", "k", "z", "z"]
    found = [f"{day:%Y-%m-%d}" for day in column(rows, "month")]
    assert found == ["2021-01-01", "2022-01-01", "2022-02-01", "2021-01-01", "2022-01-01"]


def test_each_month_has_its_place_and_its_person(rows):
    assert column(rows, "plan") == ["A", "B", "B", "B", None]
    assert column(rows, "county") == ["Yolo", None, None, None, "Kern"]
    assert column(rows, "language") == ["es"] * 3 + [None] * 2
    # Age 0 is counted from February 2011: 9 in January 2021, 10 a year later, 11 in its February.
    assert column(rows, "age_years") == [9, 10, 11, None, None]


def test_history_is_of_the_member_alone(rows):
    assert column(rows, "is_plan_move") == [None, True, False, None, None]
    assert column(rows, "lookback_covered_months") == [None, 1, 1, None, 1]
    # The eleven months from February to December are a gap before each month of 2022.
    assert column(rows, "is_continuously_enrolled") == [None, False, False, None, False]


def test_a_gap_of_the_length_the_study_allows_does_not_break_enrollment(tmp_path):
    replace(LAYOUT, max_gap_months=11)(pieces(), tmp_path / "part.parquet")
    found = column(pq.read_table(tmp_path / "part.parquet"), "is_continuously_enrolled")
    assert found == [None, True, True, None, True]
    replace(LAYOUT, max_gap_months=10)(pieces(), tmp_path / "part.parquet")
    found = column(pq.read_table(tmp_path / "part.parquet"), "is_continuously_enrolled")
    assert found == [None, False, False, None, False]


def test_events_are_added_up_and_what_cannot_be_known_is_missing(rows):
    assert column(rows, "visits") == [0, 2, None, 0, 0]
    assert column(rows, "unseen") == [None] * 5
    assert column(rows, "paid") == [0.0, 0.0, 0.0, 2.5, 0.0]
    assert column(rows, "calls") == [0, 0, 0, 0, None]
    assert column(rows, "is_in_custody") == [None, True, False, False, False]


def test_text_is_read_back_as_text(rows):
    assert rows.schema.field("member_id").type == pa.string()
    assert rows.schema.field("plan").type == pa.string()
    assert rows.schema.field("month").type == pa.date32()


def test_it_makes_no_difference_how_many_rows_are_written_at_once(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(month_file, "ROWS_AT_ONCE", 2)
    LAYOUT(pieces(events=EVENTS), tmp_path / "small.parquet")
    assert pq.read_table(tmp_path / "small.parquet").equals(rows)


def test_the_order_of_the_pieces_makes_no_difference(rows, tmp_path):
    rng = np.random.default_rng(1)
    mixed = {
        name: piece.take(rng.permutation(len(piece)))
        for name, piece in pieces(events=EVENTS).items()
    }
    LAYOUT(mixed, tmp_path / "mixed.parquet")
    LAYOUT(pieces(events=EVENTS), tmp_path / "again.parquet")
    written = [(tmp_path / f"{name}.parquet").read_bytes() for name in ("mixed", "again")]
    assert written[0] == written[1]


def test_a_part_without_months_has_the_columns(rows, tmp_path):
    empty = {name: piece.slice(0, 0) for name, piece in pieces().items()}
    LAYOUT(empty, tmp_path / "empty.parquet")
    found = pq.read_table(tmp_path / "empty.parquet")
    assert (found.num_rows, found.schema) == (0, rows.schema)


def test_a_month_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(TableError, match="1 member-months are there twice"):
        LAYOUT(pieces(months=(*MONTHS, MONTHS[1])), tmp_path / "part.parquet")


@pytest.mark.parametrize(("member", "month"), [(30, 1), (30, 13), (30, -1), (7, 14), (30, 20)])
def test_an_event_in_a_month_outside_the_panel_is_refused(tmp_path, member, month):
    """Member 30 has rows for months 0 and 12; the window is months 0 to 13."""
    with pytest.raises(TableError, match=r"measure `paid`: 1 events are in months that are not in"):
        LAYOUT(pieces(events=(*EVENTS, (member, month, 1, 9.0))), tmp_path / "part.parquet")


@pytest.mark.parametrize("number", [0, 1])
def test_an_event_without_a_value_is_refused(tmp_path, number):
    name = {0: "visits", 1: "paid"}[number]
    with pytest.raises(TableError, match=f"measure `{name}`: 2 events have no value"):
        LAYOUT(
            pieces(events=(*EVENTS, (30, 0, number, None), (7, 12, number, float("nan")))),
            tmp_path / "part.parquet",
        )
