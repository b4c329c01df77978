"""Every rule of the member-month panel by name, so that a panel says how it was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from calaim_eval.errors import TableError, require_choice

MonthRule = Literal["any_day", "first_day", "all_days"]
PlanRule = Literal["most_days", "latest_recorded"]
BenefitScope = Literal["full", "any"]
EdDefinition = Literal["without_urgent_care", "with_urgent_care"]
StayEvidence = Literal["accommodation_or_drg", "bill_type"]
TransferRule = Literal["dates", "dates_and_status"]
PaidClaims = Literal["medical", "medical_and_pharmacy"]
EdAdmission = Literal["same_facility_or_transfer", "any_facility"]
EdOnInpatientClaims = Literal["part_of_stay", "count"]
PlannedReadmissions = Literal["leave_out", "count"]
DrgSystem = Literal["unknown", "ms_drg", "apr_drg"]
ReadmissionPregnancy = Literal["count", "leave_out"]
ReadmissionEnrollment = Literal["none", "hedis"]
ReadmissionStays = Literal["inpatient", "inpatient_or_observation"]
CustodyMonths = Literal["keep", "leave_out"]

RULES_VERSION = "1"
"""Raised whenever the meaning of a rule changes: a panel built under another is built again."""

ENROLLED_BEFORE_DAYS, ENROLLED_AFTER_DAYS = 365, 30
"""Days around the discharge of an index stay that `readmission_enrollment` asks to be covered."""

_PAYERS = ("medicaid", "medicare", "commercial", "self_pay", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelRules:
    """How member months, visits and stays are built.

    Attributes
    ----------
    month_rule : {"any_day", "first_day", "all_days"}
        A month is in the panel when the member was covered on any day of it, on its first day,
        or on every calendar day (a month of death is then left out).
    max_gap_months : int
        Gaps of up to this many months do not break *continuous* enrollment
        (`is_continuously_enrolled`, `continuous_enrollment`). A gap month is never added to the
        panel: nobody is at risk of a claim in it.
    payer_types : tuple[str, ...]
        Lines of business that count as coverage. A missing payer is ``"medicaid"``.
    benefit_scope : {"full", "any"}
        Whether limited-scope coverage counts. A missing scope is full.
    exclude_duals : bool
        Leave out months in which the member also has Medicare (a code that the list `dual_status`
        says is dual, or a Medicare span): their use is mostly in claims a Medicaid plan does not
        have. Keep them (False) only when Medicare claims are joined.
    custody_months : {"keep", "leave_out"}
        Whether months in which the member was in custody on every day stay in the panel: nobody in
        custody is at risk of community care. ``"leave_out"`` needs the custody feed.
    plan_rule : {"most_days", "latest_recorded"}
        Plan, then county within it, then aid code within it, of a month with several: most covered
        days, then latest `recorded_date`; or the other way round. What is still tied goes to the
        first in alphabetical order; a known value goes before a missing one.
    run_out_months : int
        The window must end this many months before the data do (the extract date, else the last
        payment, else the last claim), because late claims are still missing; else `TableError`.
    ed_definition : {"without_urgent_care", "with_urgent_care"}
        Whether revenue code 0456 (urgent care) is an emergency department visit.
    ed_join_days : {0, 1}
        Emergency department claims of one facility that start within this many days of a visit's
        first day are the same visit.
    ed_admission : {"same_facility_or_transfer", "any_facility"}
        A visit ended in admission when a stay begins in time (`emergency.ed_visits`) at the
        visit's own facility, or at another to which its claim says the patient was transferred; or
        at any facility.
    ed_on_inpatient_claims : {"part_of_stay", "count"}
        Emergency lines billed with an inpatient stay are part of the stay, or a visit that ended
        in admission.
    stay_evidence : {"accommodation_or_drg", "bill_type"}
        An inpatient claim (bill type 11x) also needs a room-and-board line or a DRG, or does not.
    transfer_days : int
        An admission to another facility within this many days of a discharge continues the stay.
    transfer_rule : {"dates", "dates_and_status"}
        Whether the dates make a transfer, or the discharge must be coded as one as well.
    readmission_days : int
        Days after a discharge in which the next admission is a readmission.
    readmission_ages : tuple[int, int] | None
        Ages in years, both included, at discharge of an index stay; None for all ages. HEDIS Plan
        All-Cause Readmissions takes (18, 64).
    planned_readmissions : {"leave_out", "count"}
        An index stay whose first readmission was planned (code list `planned_readmission`) is
        neither an index stay nor readmitted, as in HEDIS; or is like any other.
    drg_system : {"unknown", "ms_drg", "apr_drg"}
        System of `drg_code`. One number means different things in the two, so that planned
        readmissions are told by DRG only where the system is named.
    readmission_pregnancy : {"count", "leave_out"}
        Whether stays with a principal diagnosis of pregnancy, delivery or the perinatal period are
        index stays.
    readmission_enrollment : {"none", "hedis"}
        ``"hedis"``: an index stay also needs covered months from 365 days before the discharge,
        one missing at most, to 30 days after, none missing.
    readmission_stays : {"inpatient", "inpatient_or_observation"}
        Stays that can be an index stay and a readmission.
    paid_claims : {"medical", "medical_and_pharmacy"}
        Claims whose amounts make `paid_usd`. Outpatient pharmacy left the plans (Medi-Cal Rx) on
        2022-01-01, the day ECM began in the first counties: with it, a fall in cost shows at that
        date whatever the program does.

    Raises
    ------
    TableError
        A value is not one of those allowed; the message lists them.

    Examples
    --------
    >>> PanelRules(month_rule="first_day").payer_types
    ('medicaid',)
    """

    month_rule: MonthRule = "any_day"
    max_gap_months: int = 0
    payer_types: tuple[str, ...] = ("medicaid",)
    benefit_scope: BenefitScope = "full"
    exclude_duals: bool = True
    custody_months: CustodyMonths = "keep"
    plan_rule: PlanRule = "most_days"
    run_out_months: int = 0
    ed_definition: EdDefinition = "without_urgent_care"
    ed_join_days: int = 1
    ed_admission: EdAdmission = "same_facility_or_transfer"
    ed_on_inpatient_claims: EdOnInpatientClaims = "part_of_stay"
    stay_evidence: StayEvidence = "accommodation_or_drg"
    transfer_days: int = 1
    transfer_rule: TransferRule = "dates"
    readmission_days: int = 30
    readmission_ages: tuple[int, int] | None = None
    planned_readmissions: PlannedReadmissions = "leave_out"
    drg_system: DrgSystem = "unknown"
    readmission_pregnancy: ReadmissionPregnancy = "count"
    readmission_enrollment: ReadmissionEnrollment = "none"
    readmission_stays: ReadmissionStays = "inpatient"
    paid_claims: PaidClaims = "medical"

    def __post_init__(self) -> None:
        for name in ("payer_types", "readmission_ages"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, allowed in _CHOICES.items():
            _require_choice(name, getattr(self, name), allowed)
        _require_choice("ed_join_days", self.ed_join_days, (0, 1))
        for name in ("max_gap_months", "run_out_months", "transfer_days", "readmission_days"):
            require_count(f"panel rule `{name}`", getattr(self, name))
        _require_payers(self.payer_types)
        _require_ages(self.readmission_ages)

    def to_dict(self) -> dict[str, Any]:
        """Rules and their version as plain values, for a manifest."""
        return {"rules_version": RULES_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> PanelRules:
        """Rules from what `to_dict` wrote."""
        named = {field.name for field in fields(cls)}
        values = {name: value for name, value in given.items() if name in named}
        values["payer_types"] = tuple(values["payer_types"])
        ages = values.get("readmission_ages")
        values["readmission_ages"] = None if ages is None else tuple(ages)
        return cls(**values)


_CHOICES: dict[str, tuple[str, ...]] = {
    "month_rule": get_args(MonthRule),
    "plan_rule": get_args(PlanRule),
    "benefit_scope": get_args(BenefitScope),
    "ed_definition": get_args(EdDefinition),
    "stay_evidence": get_args(StayEvidence),
    "transfer_rule": get_args(TransferRule),
    "paid_claims": get_args(PaidClaims),
    "ed_admission": get_args(EdAdmission),
    "ed_on_inpatient_claims": get_args(EdOnInpatientClaims),
    "planned_readmissions": get_args(PlannedReadmissions),
    "drg_system": get_args(DrgSystem),
    "readmission_pregnancy": get_args(ReadmissionPregnancy),
    "readmission_enrollment": get_args(ReadmissionEnrollment),
    "readmission_stays": get_args(ReadmissionStays),
    "custody_months": get_args(CustodyMonths),
}


def _require_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raise unless the rule has an allowed value."""
    require_choice(f"panel rule `{name}`", value, allowed, error=TableError)


def require_count(named: str, value: object) -> None:
    """Raise unless the number is a whole one of 0 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TableError(f"{named}: {value!r} is not a whole number of 0 or more.")


def _require_ages(ages: tuple[int, int] | None) -> None:
    """Raise unless the ages are a youngest and an oldest."""
    if ages is not None and not (len(ages) == 2 and 0 <= ages[0] <= ages[1]):
        raise TableError(
            f"panel rule `readmission_ages`: {list(ages)!r} is not a youngest and an oldest age.\n"
            "  Write them in order, such as [18, 64]."
        )


def _require_payers(payer_types: tuple[str, ...]) -> None:
    """Raise unless at least one known line of business counts."""
    is_text = isinstance(payer_types, str)
    if is_text or not payer_types or not set(payer_types) <= set(_PAYERS):
        listed = ", ".join(f"'{each}'" for each in _PAYERS)
        given = payer_types if is_text else list(payer_types)
        raise TableError(
            f"panel rule `payer_types`: {given!r}; give one or more of {listed}, as a list."
        )
