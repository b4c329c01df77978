# ruff: noqa: FBT003  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""Enrollment spans to member months: one row per member and covered month, always."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.rules import PanelRules
from calaim_eval.panel.spans import completed_years, cut_by_month, day_number
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

NO_DUAL = ("", "00", "0", "99", "NA", "N")
"""Dual status codes that mean no Medicare, or that nobody knows."""
DUAL = "month with Medicare (dual)"
_WINDOW_END_CUT = 10**6


def enrollment_spans(bucket: Bucket) -> Table:
    """Every enrollment span in whole days, with the `reason` it does not count, if any.

    Ends are cut at death and starts at birth; an open end runs to the end of the window.
    """
    spans, person = bucket.read("eligibility"), bucket.read("person")
    lives = person.select("member_id", "birth_date", "death_date", home_county=person["county"])
    joined = spans.join(lives, "member_id", how="left")
    recorded_end = day_number(joined["enrollment_end_date"]).fill_null(_WINDOW_END_CUT)
    death, birth = day_number(joined["death_date"]), day_number(joined["birth_date"])
    start = day_number(joined["enrollment_start_date"])
    days = joined.mutate(
        span=ibis.row_number(),
        county=ibis.coalesce(joined["county"], joined["home_county"]),
        payer=joined["payer_type"].fill_null("medicaid"),
        is_full=joined["benefit_scope"].fill_null("full") == "full",
        is_dual_span=joined["dual_status_code"].fill_null("").notin(NO_DUAL),
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


def span_months(bucket: Bucket, spans: Table) -> Table:
    """Spans that count, cut into the months of the window."""
    counted = spans.filter(spans["reason"].isnull()).select(
        "span",
        "member_id",
        "start_day",
        "end_day",
        "is_full",
        "is_dual_span",
        "recorded_date",
        plan=spans["plan"].fill_null(""),
        county=spans["county"].fill_null(""),
        aid_code=spans["aid_code"].fill_null(""),
    )
    return cut_by_month(counted, bucket.calendar)


def candidate_months(bucket: Bucket, spans: Table, pieces: Table) -> Table:
    """One row per member and month with any counted day, with the `reason` it stays out, if any.

    Months that one span covers are read off it. Months that several touch are settled day by day
    (`_contested_months`), which is slow per row and rare.
    """
    once = pieces.group_by("member_id", "month").agg(
        n_spans=pieces.count(),
        covered_days=pieces["n_days"].sum(),
        from_day=pieces["from_day"].min(),
        is_full_scope=pieces["is_full"].max(),
        is_dual_span=pieces["is_dual_span"].max(),
        recorded_date=pieces["recorded_date"].min(),
        plan=pieces["plan"].arbitrary(),
        county=pieces["county"].arbitrary(),
        aid_code=pieces["aid_code"].arbitrary(),
    )
    once = bucket.keep("months_once", once)
    settled = _contested_months(bucket, pieces, once)
    both = once.left_join(settled, ["member_id", "month"], rname="{name}_settled")
    names = ("covered_days", "plan", "county", "aid_code")
    chosen = both.mutate(
        **{name: ibis.coalesce(both[f"{name}_settled"], both[name]) for name in names}
    ).select(*once.columns)
    dual = _medicare_months(bucket, spans)
    marked = chosen.left_join(dual, ["member_id", "month"]).drop("member_id_right", "month_right")
    marked = marked.mutate(is_dual=marked["is_dual_span"] | marked["has_medicare"].fill_null(False))
    dated = marked.join(bucket.calendar, "month")
    return dated.mutate(reason=_month_reason(dated, bucket.rules)).drop(
        "has_medicare", "is_dual_span"
    )


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
    is_left_out = months["is_dual"] if rules.exclude_duals else ibis.literal(False)
    return ibis.cases((~kept, text), (is_left_out, DUAL), else_=ibis.null("string"))


def _medicare_months(bucket: Bucket, spans: Table) -> Table:
    """Months touched by a Medicare span: the member is dual in them whatever the code says.

    Where Medicare is itself a line of business of the study, a span of it says nothing.
    """
    is_other = "medicare" not in bucket.rules.payer_types
    medicare = spans.filter(
        (spans["payer"] == "medicare") & (spans["start_day"] <= spans["end_day"]) & is_other
    )
    cut = cut_by_month(medicare.select("member_id", "start_day", "end_day"), bucket.calendar)
    return cut.group_by("member_id", "month").agg(has_medicare=ibis.literal(True))


def _contested_months(bucket: Bucket, pieces: Table, once: Table) -> Table:
    """Covered days, plan, county and aid code of months that several spans touch."""
    several = once.filter(once["n_spans"] > 1).select("member_id", "month")
    contested = pieces.semi_join(several, ["member_id", "month"])
    calendar = bucket.days
    by_day = contested.join(
        calendar,
        [
            contested["month"] == calendar["month"],
            contested["from_day"] <= calendar["day"],
            contested["to_day"] >= calendar["day"],
        ],
    ).select("member_id", "month", "day", "plan", "county", "aid_code", "recorded_date")
    by_day = bucket.keep("contested_days", by_day)
    key = ["member_id", "month"]
    days = by_day.group_by(key).agg(covered_days=by_day["day"].nunique())
    plan = bucket.keep("contested_plan", _settle(by_day, key, "plan", bucket.rules))
    mine, key_plan = by_day.semi_join(plan, [*key, "plan"]), [*key, "plan"]
    county = bucket.keep("contested_county", _settle(mine, key_plan, "county", bucket.rules))
    mine, key_county = by_day.semi_join(county, [*key_plan, "county"]), [*key_plan, "county"]
    aid = _settle(mine, key_county, "aid_code", bucket.rules)
    return aid.join(days, key)


def _settle(by_day: Table, key: list[str], value: str, rules: PanelRules) -> Table:
    """The one value of each key, by the plan rule."""
    weighed = by_day.group_by([*key, value]).agg(
        n_days=by_day["day"].nunique(), recorded_date=by_day["recorded_date"].max()
    )
    most = weighed["n_days"].desc()
    latest = weighed["recorded_date"].desc(nulls_first=False)
    first, second = (most, latest) if rules.plan_rule == "most_days" else (latest, most)
    order = [first, second, weighed[value] == "", weighed[value]]
    ranked = weighed.mutate(place=ibis.row_number().over(ibis.window(group_by=key, order_by=order)))
    return ranked.filter(ranked["place"] == 0).select(*key, value)


def panel_months(bucket: Bucket, candidates: Table) -> Table:
    """Member months of the panel with who the member is; measures come later."""
    person = bucket.read("person").select(
        "member_id", "birth_date", "sex", "race_ethnicity", "language"
    )
    months = candidates.filter(candidates["reason"].isnull()).left_join(person, "member_id")
    age = completed_years(months["birth_date"], months["month_start"])
    return months.select(
        "member_id",
        "month",
        "month_start",
        "covered_days",
        "is_dual",
        "is_full_scope",
        "language",
        plan=months["plan"].nullif(""),
        county=months["county"].nullif(""),
        aid_code=months["aid_code"].nullif(""),
        is_retroactive=day_number(months["recorded_date"]) > months["last_day"],
        age_years=ibis.ifelse(age < 0, 0, age),
        sex=months["sex"].fill_null("unknown"),
        race_ethnicity=months["race_ethnicity"].fill_null("unknown"),
    )


def span_outcomes(spans: Table, pieces: Table, candidates: Table) -> Table:
    """What became of each span: `reason` and `n_rows`; a span is used if a month of it is."""
    landed = pieces.select("span", "member_id", "month").join(
        candidates.select("member_id", "month", month_reason=candidates["reason"].fill_null(USED)),
        ["member_id", "month"],
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
