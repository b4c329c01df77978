"""Index stays and thirty-day readmissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.inpatient_lines import STAY_LINES
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.observation_lines import (
    is_observation_facility,
    is_observation_professional,
)
from calaim_eval.panel.rules import ENROLLED_AFTER_DAYS, ENROLLED_BEFORE_DAYS

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.rules import PanelRules

SOURCE = (
    "Tuva Project claims preprocessing (commit 6be34c7), readmissions mart; HEDIS Plan All-Cause "
    "Readmissions, simplified; NCQA FAQ on planned readmissions; CMS Planned Readmission Algorithm "
    "(Horwitz and others 2015, doi:10.1002/jhm.2416)"
)
INDEX = (
    "Index stays are `inpatient_stays` (episodes across transfers) by month of discharge, other "
    "than: those within one day; those with a last discharge status of 02, 07, 20, 40-42 or 30; "
    "those of a member who died on or before the day of discharge. A stay is readmitted when the "
    "member's next stay, for any cause, begins 1 to 30 days after its discharge. Where the first "
    "readmission was planned, the stay is no index stay (rule `planned_readmissions`): principal "
    "diagnosis of chemotherapy (Z51.1), or by DRG where the rule `drg_system` names the system, "
    "rehabilitation, chemotherapy or transplant (code list `planned_readmission`). With the tables "
    "`claim_procedure` and `planned_readmission_code`, which the study fills, also a procedure on "
    "one of the stay's inpatient claims or a principal diagnosis that is always planned, and a "
    "potentially planned procedure where the principal diagnosis is known and not acute; codes are "
    "compared whole. Without them these are not looked for. Rules can take ages at discharge, "
    "leave out pregnancy and the perinatal period, ask for covered months from 365 "
    "days before to 30 after, and take in observation stays. No risk adjustment. Missing in "
    "months whose discharges cannot all be followed for 30 days before the claims end."
)


def _index_stays(care: Care) -> Table:
    """Discharge of each index stay."""
    return care.index_stays.select("member", "day")


def _readmissions(care: Care) -> Table:
    """Discharge of each index stay that was followed by an admission."""
    stays = care.index_stays
    return stays.filter(stays["is_readmitted"]).select("member", "day")


def _follow_up(rules: PanelRules) -> int:
    """Days a discharge is followed."""
    return rules.readmission_days


def _not_enrolled(rules: PanelRules, months: pd.PeriodIndex) -> pd.PeriodIndex:
    """Months of discharge for which the window does not hold the enrollment that is asked for."""
    import pandas as pd

    if rules.readmission_enrollment == "none":
        return months[:0]
    before = pd.Timedelta(days=ENROLLED_BEFORE_DAYS)
    after = pd.Timedelta(days=ENROLLED_AFTER_DAYS)
    first = (months.start_time - before).to_period("M")
    last = (months.end_time.normalize() + after).to_period("M")
    return months[(first < months[0]) | (last > months[-1])]


LINE_KINDS = (
    *STAY_LINES,
    is_observation_facility,
    is_observation_professional,
)

MEASURES = (
    Measure(
        name="index_stays_30d",
        label="Index stays",
        title="Index stays for readmission",
        definition=f"{INDEX} The number of index stays: the denominator of a readmission share.",
        version="2",
        code_lists=("readmission_30d",),
        source=SOURCE,
        confirmed="partial",
        line_kinds=LINE_KINDS,
        events=_index_stays,
        follow_up_days=_follow_up,
        unknown_months=_not_enrolled,
    ),
    Measure(
        name="readmissions_30d",
        label="30-day readmissions",
        title="Readmissions within 30 days",
        definition=f"Index stays discharged in the month that were readmitted. {INDEX}",
        version="3",
        code_lists=("readmission_30d",),
        source=SOURCE,
        confirmed="partial",
        line_kinds=LINE_KINDS,
        events=_readmissions,
        follow_up_days=_follow_up,
        unknown_months=_not_enrolled,
        fewer_is_better=True,
    ),
)
