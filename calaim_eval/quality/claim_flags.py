# ruff: noqa: FBT003  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""What can be wrong with a final claim line: every question about a line is asked in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.claim_lines import form_of
from calaim_eval.panel.claim_standing import FINAL
from calaim_eval.panel.spans import day_number, month_number

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket


@dataclass(frozen=True)
class Flag:
    """A problem a line may have: whether it has it, and whether it was looked at."""

    check: str
    has: Value
    among: Value


def final_lines(bucket: Bucket, claims: Table, covered: Table) -> Table:
    """Final lines with service in the window, with who the member is and what covers the month.

    Adds `form`, `birth_day`, `death_day`, `cover_plan` (missing where the month is not covered),
    `is_in_panel`, and `own_plan`: the line's plan, else the covering one, else empty.
    """
    first, last = number_of(bucket.months[0]), number_of(bucket.months[-1])
    inside = claims.filter((claims["standing"] == FINAL) & claims["month"].between(first, last))
    persons = bucket.read("person")
    lives = persons.select(
        "member",
        birth_day=day_number(persons["birth_date"]),
        death_day=day_number(persons["death_date"]),
    )
    months = covered.select("member", "month", "is_in_panel", cover_plan="plan")
    joined = inside.left_join(lives, "member").drop("member_right")
    joined = joined.left_join(months, ["member", "month"]).drop("member_right", "month_right")
    return joined.mutate(
        form=_form(joined),
        is_in_panel=joined["is_in_panel"].fill_null(False),
        own_plan=ibis.coalesce(joined["plan"], joined["cover_plan"], ""),
    )


def is_fills(lines: Table) -> bool:
    """Whether the lines are fills of prescriptions."""
    return "dispensing_date" in lines.columns


def _form(lines: Table) -> Value:
    """Kind of claim, told as the panel tells it."""
    if is_fills(lines):
        return ibis.literal("pharmacy")
    form = form_of(lines)
    return ibis.ifelse(form.isin(["institutional", "professional"]), form, "other")


def flags(lines: Table) -> list[Flag]:
    """Every flag of a claim table."""
    return [*_shared_flags(lines), *(_fill_flags(lines) if is_fills(lines) else _line_flags(lines))]


def _shared_flags(lines: Table) -> list[Flag]:
    """What may be wrong with a line and with a fill alike."""
    every = ibis.literal(value=True)
    amount, is_covered = lines["paid_amount"], lines["cover_plan"].notnull()
    return [
        Flag("claims_outside_coverage", ~is_covered, every),
        Flag("claim_plans_missing", lines["plan"].isnull(), every),
        Flag("claims_after_death", lines["day"] > lines["death_day"], every),
        Flag("claims_before_birth", lines["day"] < lines["birth_day"], every),
        Flag("amounts_negative", amount < 0, every),
        Flag("amounts_zero", amount == 0, every),
        Flag("amounts_missing", amount.isnull(), every),
        Flag("payment_dates_missing", lines["paid_date"].isnull(), every),
        Flag(
            "paid_before_service",
            day_number(lines["paid_date"]) < lines["day"],
            lines["paid_date"].notnull(),
        ),
    ]


def _line_flags(lines: Table) -> list[Flag]:
    """What may be wrong with a line of a medical claim."""
    is_institutional = lines["form"] == "institutional"
    is_professional = lines["form"] == "professional"
    own, start = lines["claim_line_start_date"], lines["claim_start_date"]
    end = ibis.coalesce(lines["claim_end_date"], start)
    # Not asked of fills: since 2022 the state pays them, whatever plan the member is in.
    has_plans = (lines["cover_plan"] != "") & lines["plan"].notnull()
    return [
        Flag("claims_of_other_plan", lines["plan"] != lines["cover_plan"], has_plans),
        Flag("lines_outside_claim_dates", (own < start) | (own > end), own.notnull()),
        Flag("bill_types_missing", lines["bill_type_code"].isnull(), is_institutional),
        Flag("revenue_codes_missing", lines["revenue_center_code"].isnull(), is_institutional),
        Flag("facility_npis_missing", lines["facility_npi"].isnull(), is_institutional),
        Flag("procedure_codes_missing", lines["hcpcs_code"].isnull(), is_professional),
        Flag("places_of_service_missing", lines["place_of_service_code"].isnull(), is_professional),
        Flag("rendering_npis_missing", lines["rendering_npi"].isnull(), is_professional),
        Flag(
            "diagnoses_missing",
            lines["diagnosis_code_1"].isnull(),
            is_institutional | is_professional,
        ),
    ]


def _fill_flags(lines: Table) -> list[Flag]:
    """What may be wrong with a fill."""
    return [Flag("drug_codes_missing", lines["ndc_code"].isnull(), ibis.literal(value=True))]


def flag_columns(lines: Table) -> dict[str, Value]:
    """For every flag `<check>`, whether the line has it, and `<check>__of`, whether it may."""
    columns = {}
    for each in flags(lines):
        among = each.among.fill_null(False)
        columns[each.check] = each.has.fill_null(False) & among
        columns[f"{each.check}__of"] = among
    return columns


def payment_lag(lines: Table) -> Value:
    """Months from the month of service to that of payment, 0 at least; missing without a date."""
    lag = month_number(lines["paid_date"]) - lines["month"]
    return lines["paid_date"].isnull().ifelse(ibis.null("int64"), ibis.greatest(lag, 0))
