"""Overlapping spans: every pair looked at by hand, and many spans of one member."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import ibis
import pandas as pd
import pytest

from calaim_eval.quality.enrollment import _overlaps

FIRST = date(2024, 1, 1)
COLUMNS = ["member", "span", "plan", "payer", "start_day", "end_day"]


def counted(spans: pd.DataFrame) -> dict[str, tuple[int, int, int]]:
    """Spans, those that overlap one of their plan, and those that overlap one of another."""
    table = ibis.duckdb.connect().create_table("spans", spans)
    found = _overlaps(table).execute()
    return {row.plan: (row.of, row.same, row.other) for row in found.itertuples()}


def by_hand(spans: pd.DataFrame) -> dict[str, tuple[int, int, int]]:
    """Each span against each other of the member and line of business."""
    rows = list(spans.itertuples())
    told: dict[str, list[int]] = {row.plan: [0, 0, 0] for row in rows}
    for row in rows:
        earlier = [
            other
            for other in rows
            if (other.member, other.payer) == (row.member, row.payer)
            and (other.start_day, other.span) < (row.start_day, row.span)
            and other.end_day >= row.start_day
        ]
        told[row.plan][0] += 1
        told[row.plan][1] += any(other.plan == row.plan for other in earlier)
        told[row.plan][2] += any(other.plan != row.plan for other in earlier)
    return {plan: tuple(numbers) for plan, numbers in told.items()}


@pytest.mark.parametrize("longest", [0, 3, 25])
def test_every_pair_is_looked_at(longest):
    rng = Random(longest)
    rows = []
    for span in range(900):
        start = rng.randrange(60)
        end = start + rng.randint(0, longest)
        member, payer = rng.randrange(120), rng.choice(["medicaid", "medicare"])
        rows.append((member, span, rng.choice(["", "A", "B", "C"]), payer, start, end))
    spans = pd.DataFrame(rows, columns=COLUMNS).sample(frac=1, random_state=longest)
    expected = by_hand(spans)
    assert counted(spans) == expected
    assert all(n > 0 for numbers in expected.values() for n in numbers)


def test_the_spans_of_one_identifier_for_all_newborns_are_not_paired():
    """A hundred thousand spans make five thousand million pairs."""
    n = 100_000
    start = pd.Series(range(n)) % 1_500
    spans = pd.DataFrame(
        {
            "member": 0,
            "span": range(n),
            "plan": (pd.Series(range(n)) % 7).map(str),
            "payer": "medicaid",
            "start_day": start,
            "end_day": start + 20,
        }
    )
    told = counted(spans)
    assert sum(of for of, _, _ in told.values()) == n
    # Of each plan all but its first begin within an earlier one; of all plans all but the first.
    assert sum(same for _, same, _ in told.values()) == n - 7
    assert sum(other for _, _, other in told.values()) > n - 7 * 7


def test_days_that_follow_one_another_do_not_overlap():
    day = (FIRST - date(1970, 1, 1)) // timedelta(days=1)
    rows = [
        (0, 0, "A", "medicaid", day, day + 30),
        (0, 1, "A", "medicaid", day + 31, day + 60),
        (0, 2, "B", "medicaid", day + 61, day + 61),
        (0, 3, "A", "medicaid", day + 61, day + 61),
    ]
    assert counted(pd.DataFrame(rows, columns=COLUMNS)) == {"A": (3, 0, 1), "B": (1, 0, 0)}
