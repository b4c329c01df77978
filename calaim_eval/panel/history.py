"""What a member's earlier months in the panel say of a month: plan moves, months looked back on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.landing import WORD, Landing

if TYPE_CHECKING:
    from ibis import Table, Value

LOOKBACK_MONTHS = 12
"""Calendar months before a month that `lookback_covered_months` looks at."""


_YEAR = 2**LOOKBACK_MONTHS - 1


def with_history(months: Table, land: Landing) -> Table:
    """Months of the panel with what the member's earlier months say.

    `is_plan_move`: the plan is another than in the previous month of the panel, however long ago;
    missing in the first month, and where either plan is.
    `lookback_covered_months`: months of the panel among the 12 calendar months before; missing in
    the first 12 months of the window.

    Parameters
    ----------
    months : Table
        `member`, `month`, `plan` and `cell`, its place; held, for it is used twice.
    land : Landing
    """
    moves = land.bucket.keep("plan_moves", _moves_of_movers(months))
    joined = months.left_join(moves, "cell").drop("cell_right")
    joined = joined.left_join(land.covered, "member").drop("member_right")
    offset = joined["month"] - number_of(land.bucket.months[0])
    recent = _months_before(joined, offset, land)
    is_plain_known = joined["plan"].notnull() & (joined["month"] > joined["first_month"])
    plain = ibis.ifelse(is_plain_known, ibis.literal(False), ibis.null("boolean"))
    told = joined.mutate(
        is_plan_move=ibis.ifelse(joined["is_mover"].fill_null(False), joined["moved"], plain),
        lookback_covered_months=ibis.ifelse(
            offset >= LOOKBACK_MONTHS, _count_bits(recent), ibis.null("int64")
        ),
    )
    words = [f"word_{word}" for word in range(land.words)]
    return told.drop("is_mover", "moved", "first_month", *words)


def _moves_of_movers(months: Table) -> Table:
    """Months of members with more than one plan, by `cell`: whether the plan is another."""
    plan = months["plan"].fill_null("")
    plans = months.group_by("member").agg(first=plan.min(), last=plan.max())
    movers = plans.filter(plans["first"] != plans["last"]).select("member")
    theirs = months.select("member", "month", "plan", "cell").semi_join(movers, "member")
    before = ibis.window(group_by="member", order_by="month")
    return theirs.select(
        "cell",
        is_mover=ibis.literal(True),
        moved=theirs["plan"] != theirs["plan"].lag().over(before),
    )


def _months_before(months: Table, offset: Value, land: Landing) -> Value:
    """Bits of the calendar months looked back on, the earliest lowest."""
    start = ibis.greatest(offset - LOOKBACK_MONTHS, 0)
    place = start % WORD
    recent: Value = ibis.literal(0, "int64")
    for word in range(land.words):
        bits = months[f"word_{word}"] >> place
        if word + 1 < land.words:
            reaches = place > WORD - LOOKBACK_MONTHS
            spare = ibis.least(WORD - place, LOOKBACK_MONTHS)
            rest = (months[f"word_{word + 1}"] & _YEAR) << spare
            bits = bits | ibis.ifelse(reaches, rest, 0)
        recent = ibis.ifelse(start // WORD == word, bits, recent)
    return recent & _YEAR


def _count_bits(bits: Value) -> Value:
    """Number of ones among twelve bits."""
    pairs = (bits & 0x555) + ((bits >> 1) & 0x555)
    fours = (pairs & 0x333) + ((pairs >> 2) & 0x333)
    return (fours & 0xF) + ((fours >> 4) & 0xF) + ((fours >> 8) & 0xF)
