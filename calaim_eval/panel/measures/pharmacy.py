"""Outpatient pharmacy fills."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

CARVE_OUT = (
    "Outpatient pharmacy left the plans on 2022-01-01 (Medi-Cal Rx), the day ECM began: without "
    "the Medi-Cal Rx extract the series stops there."
)


def _fills(care: Care) -> Table:
    """One row per member, drug code and day."""
    return care.fill_days.select("member", "day")


def _days_supply(care: Care) -> Table:
    """Days of supply by month of the fill."""
    from calaim_eval.panel.spans import date_of, month_number

    each = care.fill_days
    dated = each.select("member", "n_days", month=month_number(date_of(each["day"])))
    return dated.group_by("member", "month").agg(value=dated["n_days"].sum().fill_null(0))


MEASURES = (
    Measure(
        name="pharmacy_fills",
        label="Pharmacy fills",
        title="Pharmacy fills",
        definition="Lines of `pharmacy_claim` that count (reversals, replaced and denied ones do "
        "not), one per member, `ndc_code` (a missing code is one code) and dispensing date. "
        f"{CARVE_OUT}",
        code_lists=("pharmacy_fill",),
        source="code list of this study; unconfirmed",
        confirmed="no",
        needs=("pharmacy_claim",),
        events=_fills,
    ),
    Measure(
        name="pharmacy_days_supply",
        label="Days of medicine supplied",
        title="Days of medicine supplied",
        definition="Days of supply of `pharmacy_fills`, all in the month of the fill; of several "
        "lines that are one fill the largest, a missing supply counts 0. Divided by 30 it is the "
        f"number of 30-day fills. {CARVE_OUT}",
        code_lists=("pharmacy_fill",),
        source="code list of this study; unconfirmed",
        confirmed="no",
        needs=("pharmacy_claim",),
        events=_days_supply,
    ),
)
