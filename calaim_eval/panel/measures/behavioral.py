"""Mental health and substance use visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.behavioral_lines import is_mental_health_visit, is_substance_use_visit
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.measure import LineKind

FORM = (
    "on a professional's claim or on an institutional bill of type 71x, 73x or 77x; one per "
    "member, provider (rendering NPI, else facility NPI, else none) and day"
)
CODES = (
    "(90791, 90792, 90832-90834, 90836-90840, 90845-90847, 90849, 90853, 90870, 99492-99494, "
    "99484, H0004, H0031, H0032, H0034, H0036, H0037, H2010, H2011, H2015, H2017, H2019, H2021, "
    "T1017)"
)


def _per_provider(care: Care, kind: LineKind) -> Table:
    """One row per member, provider and day."""
    import ibis

    lines = care.lines_of(kind)
    provider = ibis.coalesce(lines["rendering_npi"], lines["facility_npi"], "")
    return lines.select("member", "day", provider=provider).distinct().select("member", "day")


def _mental_health(care: Care) -> Table:
    """Mental health visits."""
    return _per_provider(care, is_mental_health_visit)


def _substance_use(care: Care) -> Table:
    """Substance use visits."""
    return _per_provider(care, is_substance_use_visit)


MEASURES = (
    Measure(
        name="behavioral_health_visits",
        label="Mental health visits",
        title="Mental health visits",
        definition=f"Lines with a mental health code {CODES} and a principal diagnosis of F01-F09 "
        f"or F20-F99 (`diagnosis_code_1`) {FORM}. No code of ECM or a Community Support is among "
        "them. Office visits with such a diagnosis are not. Care that a county pays is not in "
        "plan encounters, and county codes changed on 2023-07-01.",
        code_lists=("bh_visit",),
        source="code list of this study; unconfirmed",
        confirmed="no",
        line_kinds=(is_mental_health_visit,),
        events=_mental_health,
    ),
    Measure(
        name="substance_use_visits",
        label="Substance use visits",
        title="Substance use visits",
        definition="Lines with a substance use code (H0001, H0005, H0007, H0015, H0020, H2036, "
        "G2067-G2080, 99408, 99409) whatever the diagnosis, or with a mental health code "
        f"{CODES} and a principal diagnosis of F10-F16, F18 or F19, {FORM}. H0014 with U6 is a "
        "sobering center, a Community Support, and no code of a program is among them.",
        code_lists=("sud_visit", "bh_visit"),
        source="code list of this study; unconfirmed",
        confirmed="no",
        line_kinds=(is_substance_use_visit,),
        events=_substance_use,
    ),
)
