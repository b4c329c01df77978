"""Made-up tables that a study fills, for the members of `panel_people`."""

from __future__ import annotations

from datetime import date
from typing import Any

Row = dict[str, Any]
# Two of them cover a month together; the calls of ambulances have no limit.
FEED_COVERAGE = (
    ("custody", "Kern", None, date(2024, 4, 15)),
    ("custody", "Fresno", date(2024, 2, 2), None),
    ("police_contact", "Kern", date(2024, 1, 1), date(2024, 3, 14)),
    ("police_contact", None, date(2024, 3, 15), date(2024, 5, 31)),
    ("police_contact", "Kings", date(2024, 1, 15), date(2024, 2, 29)),
)
FEED_COLUMNS = ("feed", "county", "coverage_start_date", "coverage_end_date")
SENSITIVE = (("J449", None, None), ("I10", 18, None), ("E10.10", 0, 17), ("E1165", None, 64))
WEIGHTS = (
    ("J44.9", 0.25, 0.5, 0.0, None, None),
    ("I10", 0.0, 0.125, 0.25, 18, None),
    ("S0990", 0.0, 0.0, 0.0, None, None),
)
AGES = ("youngest_age_years", "oldest_age_years")
SHARES = ("non_emergent_share", "primary_care_treatable_share", "preventable_share")
PLANNED_CODES = (
    ("always_planned_procedure", "02YA0Z0"),
    ("potentially_planned_procedure", "0SRC0J9"),
    ("always_planned_diagnosis", "Z51.11"),
    ("always_planned_diagnosis", "E1165"),
    ("acute_diagnosis", "J449"),
)


def feed_coverage() -> list[Row]:
    """Where and when feeds reach."""
    return [dict(zip(FEED_COLUMNS, row, strict=True)) for row in FEED_COVERAGE]


def lists() -> dict[str, list[Row]]:
    """Tables that a study fills."""
    sensitive = [dict(zip(("diagnosis_code", *AGES), row, strict=True)) for row in SENSITIVE]
    weights = [dict(zip(("diagnosis_code", *SHARES, *AGES), row, strict=True)) for row in WEIGHTS]
    kinds = ("planned_code_kind", "planned_code")
    return {
        "acsc_diagnosis": [{**row, "condition": "made up"} for row in sensitive],
        "ed_avoidable_weight": weights,
        "planned_readmission_code": [dict(zip(kinds, row, strict=True)) for row in PLANNED_CODES],
    }
