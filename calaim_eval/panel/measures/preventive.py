"""Preventive visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.visit_lines import is_visit_form

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.claim_lines import ClaimLines

PROCEDURE = listed("preventive_visit", "E/M")


def is_preventive(lines: ClaimLines) -> Value:
    """Preventive code on a professional's claim or a health center's bill."""
    return is_visit_form(lines) & lines.has(PROCEDURE)


def _visits(care: Care) -> Table:
    """One row per member and day."""
    return care.lines_of(is_preventive).select("member", "day").distinct()


MEASURES = (
    Measure(
        name="preventive_visits",
        label="Preventive visits",
        title="Preventive visits",
        definition="Lines with procedure 99381-99387, 99391-99397, 99401-99404, 99411, 99412, "
        "G0402, G0438 or G0439 on a professional's claim or on an institutional bill of type 71x, "
        "73x or 77x (health centers list them there); one per member and day. Such a visit is "
        "counted beside `outpatient_visits`, not taken out of them.",
        code_lists=("preventive_visit",),
        source="code list of this study; unconfirmed",
        confirmed="no",
        line_kinds=(is_preventive,),
        events=_visits,
    ),
)
