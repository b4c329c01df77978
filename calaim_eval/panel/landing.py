"""Where rows land: a member's covered months as bits, so that most rows need no look-up.

A month of the panel is a bit of its member. Whether a claim falls into one is then a test of a
bit; only the few that do not are looked up for the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

UNKNOWN_MEMBER = "unknown member"
OUTSIDE_WINDOW = "outside the window"
OUTSIDE_COVERAGE = "outside coverage"
OUTSIDE_FEED = "outside what the feed covers"
IN_PANEL, NOBODY, BEYOND, LEFT_OUT, NOT_FED = range(5)
"""Landings: a month of the panel; a member nobody knows; outside the window; another month; a month
of the panel that the event's feed does not cover."""

WORD = 62
"""Months a word of bits holds."""


@dataclass(frozen=True)
class Landing:
    """Months that rows can land in.

    Attributes
    ----------
    bucket : Bucket
    covered : Table
        `member` and `word_0`, `word_1` ...: a bit for each of its months in the
        panel, 62 a word.
    months : Table
        `member` and `month` of every month in the panel.
    left_out : Table
        `member`, `month` and `month_reason` of months with coverage that stay out of the panel.
    """

    bucket: Bucket
    covered: Table
    months: Table
    left_out: Table

    @property
    def words(self) -> int:
        """Words that hold the window."""
        return -(-len(self.bucket.months) // WORD)


def landing(bucket: Bucket, candidates: Table) -> Landing:
    """Months of the bucket, from every month with coverage and the `reason` it stays out."""
    inside = candidates.filter(candidates["reason"].isnull())
    offset = inside["month"] - number_of(bucket.months[0])
    words = {
        f"word_{word}": ibis.ifelse(
            offset // WORD == word, ibis.literal(1, "int64") << (offset % WORD), 0
        )
        .sum()
        .cast("int64")
        for word in range(-(-len(bucket.months) // WORD))
    }
    covered = bucket.keep("covered", inside.group_by("member").agg(**words))
    outside = candidates.filter(candidates["reason"].notnull())
    left_out = outside.select("member", "month", month_reason="reason")
    return Landing(bucket, covered, inside.select("member", "month"), left_out)


def with_landing(rows: Table, land: Landing) -> Table:
    """Rows with `member` (missing for one nobody knows) and `month`, and where they land."""
    first, last = number_of(land.bucket.months[0]), number_of(land.bucket.months[-1])
    joined = rows.left_join(land.covered, "member")
    offset = ibis.greatest(ibis.least(joined["month"], last), first) - first
    bit: Value = (joined["word_0"] >> (offset % WORD)) & 1
    for word in range(1, land.words):
        this = (joined[f"word_{word}"] >> (offset % WORD)) & 1
        bit = ibis.ifelse(offset // WORD == word, this, bit)
    where = ibis.cases(
        (joined["member"].isnull(), NOBODY),
        (~joined["month"].between(first, last), BEYOND),
        (bit.fill_null(0) == 1, IN_PANEL),
        else_=LEFT_OUT,
    )
    return joined.mutate(landing=where.cast("int8")).select(*rows.columns, "landing")


def outcomes(landed: Table, land: Landing, *, by: Sequence[str], sums: Sequence[str]) -> Table:
    """Rows by what became of them: the columns `by`, `reason` and the sums.

    Parameters
    ----------
    landed : Table
        What `with_landing` returns, held: it is used twice.
    land : Landing
    by : sequence of str
        Further columns to count by.
    sums : sequence of str
        Columns to add up.
    """
    words = {
        IN_PANEL: USED,
        NOBODY: UNKNOWN_MEMBER,
        BEYOND: OUTSIDE_WINDOW,
        NOT_FED: OUTSIDE_FEED,
    }
    columns = [*by, "reason", *sums]
    near = landed.filter(landed["landing"] != LEFT_OUT)
    told = near.group_by(*by, "landing").agg(**{name: near[name].sum() for name in sums})
    told = told.mutate(reason=told["landing"].cases(*words.items(), else_=""))
    far = landed.filter(landed["landing"] == LEFT_OUT)
    known = far.left_join(land.left_out, ["member", "month"])
    known = known.mutate(reason=known["month_reason"].fill_null(OUTSIDE_COVERAGE))
    others = known.group_by(*by, "reason").agg(**{name: known[name].sum() for name in sums})
    return ibis.union(told.select(*columns), others.select(*columns))


def with_reason(rows: Table, land: Landing) -> Table:
    """Rows with `member` and `month`, and the `reason` they are used or not, in words."""
    landed = with_landing(rows, land)
    joined = landed.left_join(land.left_out, ["member", "month"])
    reason = ibis.cases(
        (joined["landing"] == IN_PANEL, USED),
        (joined["landing"] == NOBODY, UNKNOWN_MEMBER),
        (joined["landing"] == BEYOND, OUTSIDE_WINDOW),
        else_=joined["month_reason"].fill_null(OUTSIDE_COVERAGE),
    )
    return joined.mutate(reason=reason).select(*rows.columns, "reason")
