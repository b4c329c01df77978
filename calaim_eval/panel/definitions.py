"""The measures by name: label, unit, definition, source; and the code patterns behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes


@dataclass(frozen=True, slots=True)
class Measure:
    """One monthly measure of the panel.

    Attributes
    ----------
    name : str
        Column of the member-month table.
    label : str
        Short name for a table or an axis.
    unit : str
        What a rate of it is in, such as "ED visits per 1,000 member-months".
    per : float
        Member months a rate refers to: 1,000, or 1 for amounts.
    definition : str
        What counts, in words a reader can check against the code list.
    code_lists : tuple[str, ...]
        Entries of the code list `utilization_definitions` (or `service_codes`) it rests on.
    source : str
        Where the definition comes from.
    confirmed : {"yes", "partial", "no"}
        Whether public pages confirm every part of it.
    """

    name: str
    label: str
    unit: str
    per: float
    definition: str
    code_lists: tuple[str, ...]
    source: str
    confirmed: str


ED_BILL_TYPES = ("13", "14", "85")
"""Bill types an emergency facility line may be on (notes of `ed_visit`, facility revenue)."""

CLINIC_BILL_TYPES = ("13", "71", "73", "77")
"""Bill types on which clinic revenue is a visit (event rule of `outpatient_visit`)."""

NOT_OFFICE_PLACES = ("21", "23")
"""Places of service, hospital ward and emergency room, where an office code is no office visit."""

CLINIC_PLACES = ("19", "22", "49", "50", "71", "72")
"""Places of service where the clinic sends a bill of its own besides the professional's."""

_TUVA = "Tuva Project claims preprocessing (commit 6be34c7)"
_PER_1000 = "per 1,000 member-months"


def _count(
    name: str, label: str, definition: str, lists: tuple[str, ...], source: str, confirmed: str
) -> Measure:
    """Measure that counts events per 1,000 member months."""
    unit = f"{label} {_PER_1000}"
    return Measure(name, label, unit, 1000.0, definition, lists, source, confirmed)


_OUTCOMES = (
    _count(
        "ed_visits",
        "ED visits",
        "Facility visits (revenue codes 0450-0452, 0454, 0455, 0459, 0981, or procedures "
        "99281-99285 and G0380-G0384, on outpatient hospital bills 13x, 14x, 85x), one per member, "
        "facility and start; claims of a facility that start within a day of the visit's first day "
        "join it. Professional claims (place of service 23 or the same procedures) count only "
        "where no facility visit is within a day and no inpatient stay covers the day or the day "
        "after. A visit billed on an inpatient claim is part of the stay, not a visit.",
        ("ed_visit",),
        f"{_TUVA}; public SQL of a San Diego plan",
        "partial",
    ),
    _count(
        "inpatient_stays",
        "Inpatient stays",
        "Acute stays (bill type 11x with a room-and-board line or a DRG) by month of admission; "
        "interim bills and overlapping claims of a facility are one stay, and an admission to "
        "another facility on the day of discharge or the day after continues it.",
        ("ip_admission", "ip_stay"),
        f"{_TUVA}; direct-transfer rule of HEDIS Plan All-Cause Readmissions",
        "partial",
    ),
    _count(
        "inpatient_days",
        "Inpatient days",
        "Nights of inpatient stays, each in its own month; at least one a stay.",
        ("ip_days",),
        f"{_TUVA}, readmissions mart",
        "partial",
    ),
    _count(
        "readmissions_30d",
        "30-day readmissions",
        "Index stays discharged in the month that were followed by an admission for any cause "
        "within 30 days. Not index stays: same-day stays, deaths, transfers out, departures "
        "against advice, patients not yet discharged. Observed only: planned readmissions are not "
        "taken out and there is no risk adjustment. Missing in months whose discharges cannot all "
        "be followed for 30 days before the claims end.",
        ("readmission_30d",),
        f"{_TUVA}, readmissions mart; HEDIS Plan All-Cause Readmissions, simplified",
        "partial",
    ),
    _count(
        "outpatient_visits",
        "Outpatient visits",
        "Office and clinic visits (99202-99205, 99211-99215), health center encounters (T1015) "
        "and clinic revenue (051x, 052x on bill types 13x, 71x, 73x, 77x), one per member, "
        "provider and day; the professional half of a clinic's own bill is not a second visit.",
        ("outpatient_visit",),
        f"{_TUVA} for bill types; procedure list unconfirmed",
        "no",
    ),
    _count(
        "ambulance_trips",
        "Ambulance trips",
        "Emergency transports by base-rate code (A0427, A0429, A0433; air A0430, A0431), one per "
        "member and day; mileage lines are not trips.",
        ("ambulance_transport",),
        f"{_TUVA}; emergency subset unconfirmed",
        "partial",
    ),
    Measure(
        "paid_usd",
        "Paid",
        "USD per member-month",
        1.0,
        "Amount the plan paid on final medical claim lines with service in the month; missing "
        "where no claim carries an amount. Fills are left out unless the rule `paid_claims` takes "
        "them in: outpatient pharmacy left the plans on 2022-01-01, the day ECM began.",
        (),
        "plan claims; capitated encounters may carry no price",
        "partial",
    ),
    _count(
        "jail_days",
        "Jail days",
        "Days of the month with any time in custody, overlapping spells merged; the days of "
        "booking and release count. Missing without a custody feed.",
        ("jail_days",),
        "county sheriff match; exposure rule unconfirmed",
        "partial",
    ),
)

_EXPOSURES = (
    _count(
        "ecm_services",
        "ECM services",
        "ECM core services (G9008, G9012 with U1 or U2 in any modifier slot, or a service record), "
        "one per member and day; outreach apart.",
        ("ecm_enrolled_month",),
        "public SQL of a San Diego plan",
        "partial",
    ),
    _count(
        "ecm_outreach",
        "ECM outreach attempts",
        "ECM outreach (G9008, G9012 with U8 in any modifier slot, or an outreach record), reached "
        "or not, one per member and day.",
        ("ecm_enrolled_month",),
        "public SQL of a San Diego plan",
        "partial",
    ),
    _count(
        "community_support_services",
        "Community Support services",
        "Community Supports received, one per member, support and day; authorizations and outreach "
        "are not services.",
        (),
        "public SQL of a San Diego plan citing the DHCS HCPCS coding guidance",
        "partial",
    ),
)

MEASURES: Mapping[str, Measure] = MappingProxyType({each.name: each for each in _OUTCOMES})
"""Outcome measures of the panel, in the order of its columns."""

EXPOSURES: Mapping[str, Measure] = MappingProxyType({each.name: each for each in _EXPOSURES})
"""Program measures of the panel: what exposes a member, never an outcome."""


@cache
def code_pattern(measure: str, component: str) -> str:
    """Regular expression of one component of a measure, from the code list.

    Raises
    ------
    TableError
        The code list `utilization_definitions` has no such component.
    """
    codes = load_codes("utilization_definitions")
    row = codes[(codes["measure"] == measure) & (codes["component"] == component)]
    if len(row) != 1 or not row["codes_regex"].iloc[0]:
        raise TableError(
            f"code list `utilization_definitions`: {len(row)} rows for measure `{measure}`, "
            f"component `{component}`, where one with a pattern is needed.\n"
            "  Restore the row, or change `panel.definitions`."
        )
    return str(row["codes_regex"].iloc[0])
