"""Enrollment spans to covered months: one row per member and month, always.

Most members never have two spans in one month: their spans are cut into months and that is all.
The others' months are settled day by day (`contested_months`), which is slow per row and rare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.contested_months import settled_months
from calaim_eval.panel.custody import whole_months
from calaim_eval.panel.rules import PanelRules
from calaim_eval.panel.spans import cut_by_month, date_of, day_number, month_number
from calaim_eval.schema.dual_status import not_dual_spellings
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

DUAL = "month with Medicare (dual)"
IN_CUSTODY = "month wholly in custody"
_WINDOW_END_CUT = 10**6


def enrollment_spans(bucket: Bucket) -> Table:
    """Every enrollment span in whole days, with the `reason` it does not count, if any.

    Ends are cut at death and starts at birth; an open end runs to the end of the window.
    """
    spans, person = bucket.read("eligibility"), bucket.read("person")
    lives = person.select("member", "birth_date", "death_date")
    no_dual = not_dual_spellings(of_medicare="medicare" in bucket.rules.payer_types)
    joined = spans.join(lives, "member", how="left")
    recorded_end = day_number(joined["enrollment_end_date"]).fill_null(_WINDOW_END_CUT)
    death, birth = day_number(joined["death_date"]), day_number(joined["birth_date"])
    start = day_number(joined["enrollment_start_date"])
    days = joined.mutate(
        span=ibis.row_number(),
        plan=joined["plan"].fill_null(""),
        county=joined["county"].fill_null(""),
        aid_code=joined["aid_code"].fill_null(""),
        payer=joined["payer_type"].fill_null("medicaid"),
        is_full=joined["benefit_scope"].fill_null("full") == "full",
        is_dual_span=joined["dual_status_code"].fill_null("").notin(no_dual),
        start_day=ibis.greatest(start, birth.fill_null(start)),
        end_day=ibis.least(
            recorded_end, death.fill_null(_WINDOW_END_CUT), ibis.literal(bucket.last_day)
        ),
        starts_after_death=(start > death).fill_null(False),
        ends_before_birth=(recorded_end < birth).fill_null(False),
        is_cut_at_death=((recorded_end > death) & (start <= death)).fill_null(False),
        is_cut_at_birth=((start < birth) & (recorded_end >= birth)).fill_null(False),
    )
    return days.mutate(reason=_span_reason(days, bucket))


def _span_reason(spans: Table, bucket: Bucket) -> Value:
    """Why a span does not count; missing where it does. The first that applies."""
    rules = bucket.rules
    is_limited = ~spans["is_full"] if rules.benefit_scope == "full" else ibis.literal(False)
    return ibis.cases(
        (spans["payer"].notin(rules.payer_types), "payer type not in the study"),
        (is_limited, "limited benefits"),
        (spans["starts_after_death"], "begins after death"),
        (spans["ends_before_birth"], "ends before birth"),
        (
            (spans["end_day"] < bucket.first_day) | (spans["start_day"] > spans["end_day"]),
            "outside the window",
        ),
        else_=ibis.null("string"),
    )


def candidate_months(bucket: Bucket, spans: Table) -> Table:
    """One row per member and month with any counted day, with the `reason` it stays out, if any.

    `span` is the span the month is read off; missing where several touch the month: `settled` is
    then the row of `contested_months.settled_months` with its plan, county and aid code.
    """
    counted = bucket.keep("counted_spans", _mark_contested(spans))
    clear = cut_by_month(counted.filter(~counted["is_contested"]), bucket.calendar)
    contested = bucket.keep(
        "contested_pieces", cut_by_month(counted.filter(counted["is_contested"]), bucket.calendar)
    )
    columns = [*_KEPT, *_FACTS]
    months = ibis.union(
        clear.select(
            *_KEPT[:-1], *_FACTS[1:], covered_days="n_days", settled=ibis.null("int64")
        ).select(*columns),
        _grouped(contested, settled_months(bucket, contested)).select(*columns),
    )
    # Held, so that the engine knows how many there are before it joins the few others to them.
    months = bucket.keep("counted_months", months)
    marked = months.left_join(_medicare_months(bucket, spans), ["member", "month"])
    marked = marked.mutate(is_dual=marked["is_dual_span"] | marked["has_medicare"].fill_null(False))
    dated = marked.select(*_KEPT, "covered_days", "from_day", "is_full", "is_dual", "recorded_day")
    dated = _with_custody(bucket, dated).join(bucket.calendar, "month")
    return bucket.keep(
        "candidates",
        dated.mutate(
            reason=_month_reason(dated, bucket.rules),
            is_retroactive=dated["recorded_day"] > dated["last_day"],
        ).drop("first_day", "last_day", "days_in_month", "month_start", "from_day", "recorded_day"),
    )


_KEPT = ("member", "month", "span", "settled")
_FACTS = ("covered_days", "from_day", "is_full", "is_dual_span", "recorded_day")


def _mark_contested(spans: Table) -> Table:
    """Spans that count; contested are all of a member who has two in one month."""
    counted = spans.filter(spans["reason"].isnull()).select(
        "span",
        "member",
        "start_day",
        "end_day",
        "is_full",
        "is_dual_span",
        recorded_day=day_number(spans["recorded_date"]),
        first_month=month_number(date_of(spans["start_day"])),
        last_month=month_number(date_of(spans["end_day"])),
    )
    order = ["first_month", "last_month", "span"]
    before = ibis.window(group_by="member", order_by=order, preceding=(None, 1))
    reached = counted["last_month"].max().over(before)
    shares = counted.mutate(shares_month=(counted["first_month"] <= reached).fill_null(False))
    member = ibis.window(group_by="member")
    return shares.mutate(is_contested=shares["shares_month"].max().over(member)).drop(
        "shares_month", "first_month", "last_month"
    )


def _grouped(pieces: Table, settled: Table) -> Table:
    """One row per contested member and month: its span if it is alone, else the settled days."""
    grouped = pieces.group_by("member", "month").agg(
        n_spans=pieces.count(),
        only_span=pieces["span"].min(),
        only_days=pieces["n_days"].sum(),
        from_day=pieces["from_day"].min(),
        is_full=pieces["is_full"].max(),
        is_dual_span=pieces["is_dual_span"].max(),
        recorded_day=pieces["recorded_day"].min(),
    )
    joined = grouped.left_join(settled, ["member", "month"])
    is_alone = joined["n_spans"] == 1
    return joined.mutate(
        span=ibis.ifelse(is_alone, joined["only_span"], ibis.null("int64")),
        covered_days=ibis.ifelse(is_alone, joined["only_days"], joined["settled_days"]),
    )


def _with_custody(bucket: Bucket, months: Table) -> Table:
    """Months with `is_in_custody`: on every day of the month; missing without a custody feed."""
    if not bucket.has("custody"):
        return months.mutate(is_in_custody=ibis.null("boolean"))
    joined = months.left_join(whole_months(bucket), ["member", "month"])
    is_inside = joined["is_in_custody"].fill_null(False)
    return joined.mutate(is_in_custody=is_inside).drop("member_right", "month_right")


def _month_reason(months: Table, rules: PanelRules) -> Value:
    """Why a month with coverage stays out of the panel; missing where it is in."""
    kept = {
        "any_day": months["covered_days"] >= 1,
        "first_day": months["from_day"] == months["first_day"],
        "all_days": months["covered_days"] == months["days_in_month"],
    }[rules.month_rule]
    text = {
        "any_day": "no day covered",
        "first_day": "not covered on the first day of the month",
        "all_days": "not covered on all days of the month",
    }[rules.month_rule]
    no = ibis.literal(False)
    is_dual = months["is_dual"] if rules.exclude_duals else no
    is_held = months["is_in_custody"] if rules.custody_months == "leave_out" else no
    return ibis.cases(
        (~kept, text), (is_dual, DUAL), (is_held, IN_CUSTODY), else_=ibis.null("string")
    )


def places(bucket: Bucket) -> Table:
    """Where a span, or months settled among several, put a member.

    Returns
    -------
    Table
        `place` (`place_of`), `member`, `plan`, `county`, `aid_code`; the person's county stands in
        where no span names one.
    """
    names = ("plan", "county", "aid_code")
    spans, settled = bucket.kept("spans"), bucket.kept("settled_months")
    # A settled month is told from a span by a negative number.
    said = ibis.union(
        spans.select("member", *names, place="span"),
        settled.select("member", *names, place=-settled["settled"]),
    )
    known = said.mutate(**{name: said[name].nullif("") for name in names})
    homes = bucket.read("person").select("member", home_county="county")
    told = known.left_join(homes, "member")
    county = ibis.coalesce(told["county"], told["home_county"])
    return told.mutate(county=county).select("place", "member", *names)


def place_of(months: Table) -> Value:
    """Number of the place of a month of `candidate_months`."""
    return ibis.coalesce(months["span"], -months["settled"])


def with_place(bucket: Bucket, months: Table) -> Table:
    """Months with plan, county and aid code. `months` are of `candidate_months`, all or some."""
    placed = months.mutate(place=place_of(months)).drop("span", "settled")
    said = places(bucket).drop("member")
    return placed.left_join(said, "place").drop("place", "place_right")


def _medicare_months(bucket: Bucket, spans: Table) -> Table:
    """Months touched by a Medicare span, or by a span with a dual code that is no coverage itself.

    The member is dual in them whatever the span that covers them says. Where Medicare is itself a
    line of business of the study, a span of it says nothing.
    """
    is_other = "medicare" not in bucket.rules.payer_types
    tells = (spans["payer"] == "medicare") & is_other
    tells = tells | (spans["is_dual_span"] & spans["reason"].notnull())
    medicare = spans.filter(tells & (spans["start_day"] <= spans["end_day"]))
    cut = cut_by_month(medicare.select("member", "start_day", "end_day"), bucket.calendar)
    return cut.group_by("member", "month").agg(has_medicare=ibis.literal(True))


def span_outcomes(bucket: Bucket, spans: Table, candidates: Table) -> Table:
    """What became of each span: `reason` and `n_rows`; a span is used if a month of it is."""
    fates = candidates.select(
        "member", "month", "span", month_reason=candidates["reason"].fill_null(USED)
    )
    alone = fates.filter(fates["span"].notnull()).select("span", "month_reason")
    shared = fates.filter(fates["span"].isnull()).drop("span")
    pieces = bucket.kept("contested_pieces").select("span", "member", "month")
    landed = ibis.union(
        alone, pieces.join(shared, ["member", "month"]).select("span", "month_reason")
    )
    per_span = landed.group_by("span").agg(
        is_used=(landed["month_reason"] == USED).max(),
        month_reason=landed["month_reason"].min(),
    )
    joined = spans.select("span", "reason").left_join(per_span, "span")
    reason = ibis.cases(
        (joined["reason"].notnull(), joined["reason"]),
        (joined["is_used"], USED),
        else_=joined["month_reason"],
    )
    return joined.group_by(reason=reason).agg(n_rows=joined.count())
