"""Kinds of claim lines as bits: more of them than a number has bits, and kinds without a code."""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.panel import Measure, build_member_months
from calaim_eval.tables import Tables

N_KINDS = 70
WINDOW = {"first_month": "2022-01", "last_month": "2022-01"}


def _tables(places, bills=None):
    spans = pd.DataFrame(
        {
            "member_id": ["a"],
            "enrollment_start_date": ["2022-01-01"],
            "enrollment_end_date": ["2022-01-31"],
        }
    )
    claims = pd.DataFrame(
        {
            "member_id": "a",
            "claim_id": [f"c{number}" for number in range(len(places))],
            "claim_line_number": 1,
            "claim_type": "professional",
            "claim_start_date": "2022-01-05",
            "place_of_service_code": places,
            "bill_type_code": bills,
        }
    )
    return Tables.from_frames({"eligibility": spans, "medical_claim": claims})


def _lines_at(number):
    """A measure of the lines with one place of service, told without a pattern of codes."""
    place = f"{number:02d}"

    def is_there(lines):
        return (lines["place_of_service_code"] == place).fill_null(False)

    is_there.__name__ = f"is_at_{place}"

    def events(care):
        return care.lines_of(is_there).select("member", "day")

    return Measure(
        name=f"lines_at_{place}",
        label="lines",
        title="Lines",
        definition="Lines at a place.",
        source="this test",
        confirmed="no",
        line_kinds=(is_there,),
        events=events,
    )


@pytest.fixture(scope="module")
def counted():
    measures = [_lines_at(number) for number in range(N_KINDS)]
    places = ["00", "61", "62", "63", "69", "69", "98"]
    panel = build_member_months(_tables(places), **WINDOW, measures=measures)
    frame = panel.to_frame([measure.name for measure in measures])
    return {name.removeprefix("lines_at_"): int(frame[name].iloc[0]) for name in frame}


def test_each_of_more_kinds_than_bits_is_told(counted):
    assert len(counted) == N_KINDS
    assert {place for place, n in counted.items() if n} == {"00", "61", "62", "63", "69"}


def test_a_line_is_counted_though_no_code_of_it_matches_a_pattern(counted):
    assert counted["69"] == 2


BILLS = ("131", "0131", "13", "113", "0113", "0013", "311", None)


def _lines_on_bills(*types):
    """A measure of the lines on bills of some types, told by nothing else."""

    def is_there(lines):
        return lines.is_on_bill(*types)

    is_there.__name__ = "is_on_bill_" + "_".join(types)

    def events(care):
        return care.lines_of(is_there).select("member", "day")

    return Measure(
        name="lines_on_bill_" + "_".join(types),
        label="lines",
        title="Lines",
        definition="Lines on a bill.",
        source="this test",
        confirmed="no",
        line_kinds=(is_there,),
        events=events,
    )


@pytest.mark.parametrize(("types", "n"), [(("13",), 3), (("11",), 2), (("11", "31"), 3)])
def test_the_type_of_a_bill_is_its_first_digits_but_for_one_leading_zero(types, n):
    measure = _lines_on_bills(*types)
    tables = _tables(["11"] * len(BILLS), list(BILLS))
    panel = build_member_months(tables, **WINDOW, measures=[measure])
    assert panel.to_frame([measure.name])[measure.name].tolist() == [n]
