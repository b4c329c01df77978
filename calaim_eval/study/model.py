"""What a study file says: one class per section, every key declared."""

from __future__ import annotations

import difflib
import re
from datetime import date
from itertools import pairwise
from typing import Annotated, Literal

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from calaim_eval.design.age_bands import FIRST_AGES
from calaim_eval.design.match_groups import SameEligibility
from calaim_eval.design.match_metric import Distance
from calaim_eval.design.matched_candidates import UseIn
from calaim_eval.design.matched_sets import Censoring, Replacement
from calaim_eval.engine import MEMORY_LIMIT_GB
from calaim_eval.errors import EstimationError, TableError, quoted
from calaim_eval.integration import INDEX_COMPONENTS, IndexRule
from calaim_eval.moments.unbalanced import Unbalanced
from calaim_eval.panel.measures import MEASURES
from calaim_eval.panel.rules import (
    BenefitScope,
    DrgSystem,
    EdAdmission,
    EdDefinition,
    EdOnInpatientClaims,
    PaidClaims,
    PlannedReadmissions,
    PlanRule,
    ReadmissionEnrollment,
    ReadmissionPregnancy,
    ReadmissionStays,
    StayEvidence,
    TransferRule,
)
from calaim_eval.quality.checks import CHECKS
from calaim_eval.schema import RaceRule, race_schemas
from calaim_eval.tables.database import check_address
from calaim_eval.tables.formats import FORMATS
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.partners.read import PARTNER_FORMATS


def _month(value: str) -> str:
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", value):
        raise ValueError(f"'{value}' is not a month; write it as 2024-07")
    return value


def _outcome(value: str) -> str:
    if value not in MEASURES:
        raise ValueError(f"'{value}' is not a measure; the measures are {', '.join(MEASURES)}")
    return value


def _format(value: str) -> str:
    if value not in FORMATS:
        raise ValueError(f"'{value}' is not one of {', '.join(FORMATS)}")
    return value


def _partners(value: dict[str, str | list[str]]) -> dict[str, list[str]]:
    for name in value:
        if name not in PARTNER_FORMATS:
            raise ValueError(f"'{name}' is not one of {', '.join(PARTNER_FORMATS)}")
    return {name: [each] if isinstance(each, str) else each for name, each in value.items()}


def _ages(value: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= value[0] <= value[1]:
        raise ValueError(f"{list(value)} is not a youngest and an oldest age; write [18, 64]")
    return value


def _study_id(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,40}", value):
        raise ValueError("use lower-case letters, digits and underscores, starting with a letter")
    return value


Month = Annotated[str, AfterValidator(_month)]
Outcome = Annotated[str, AfterValidator(_outcome)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Window(_Section):
    """Months the study looks at."""

    first_month: Month
    last_month: Month
    extract_date: date
    run_out_months: int = Field(ge=0, le=12)

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if self.first_month >= self.last_month:
            raise ValueError("`last_month` must be after `first_month`")
        if f"{self.extract_date:%Y-%m}" < self.last_month:
            raise ValueError(
                "`extract_date` is before the end of `last_month`: the data cannot hold it"
            )
        return self


class Input(_Section):
    """Where the raw files or tables are, and what they and their columns and codes are called."""

    folder: str = ""
    database: str = ""
    format: Annotated[str, AfterValidator(_format)]
    extraction: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    rename: dict[str, dict[str, str]] = Field(default_factory=dict)
    constants: dict[str, dict[str, str | int | float | bool | date]] = Field(default_factory=dict)
    values: dict[str, dict[str, dict[str, str]]] = Field(default_factory=dict)
    sheets: dict[str, str] = Field(default_factory=dict)
    partners: Annotated[dict[str, str | list[str]], AfterValidator(_partners)] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _one_place(self) -> Input:
        if bool(self.folder) == bool(self.database):
            raise ValueError("name either `folder` or `database`")
        if self.extraction and not self.database:
            raise ValueError("`extraction` names an extraction of a `database`; files need none")
        try:
            check_address(self.database)
            self.input_map.check()
        except TableError as problem:
            raise ValueError(str(problem)) from None
        return self

    @property
    def input_map(self) -> InputMap:
        """What files, columns and codes are called."""
        return InputMap(self.files, self.rename, self.constants, self.values, self.sheets)


class Coverage(_Section):
    """What a covered month is."""

    payer_types: tuple[Literal["medicaid", "medicare", "commercial", "self_pay", "other"], ...] = (
        Field(min_length=1)
    )
    month_rule: Literal["any_day", "first_day", "all_days"]
    max_gap_months: int = Field(ge=0, le=3)
    unbalanced: Unbalanced
    exclude_duals: bool
    custody_months: Literal["keep", "leave_out"] = "keep"


class Rules(_Section):
    """How stays, visits and readmissions are told; every key has the default of `PanelRules`."""

    benefit_scope: BenefitScope = "full"
    plan_rule: PlanRule = "most_days"
    ed_definition: EdDefinition = "without_urgent_care"
    ed_join_days: int = Field(default=1, ge=0, le=1)
    ed_admission: EdAdmission = "same_facility_or_transfer"
    ed_on_inpatient_claims: EdOnInpatientClaims = "part_of_stay"
    stay_evidence: StayEvidence = "accommodation_or_drg"
    transfer_days: int = Field(default=1, ge=0)
    transfer_rule: TransferRule = "dates"
    readmission_days: int = Field(default=30, ge=1)
    readmission_ages: Annotated[tuple[int, int], AfterValidator(_ages)] | None = None
    planned_readmissions: PlannedReadmissions = "leave_out"
    drg_system: DrgSystem = "unknown"
    readmission_pregnancy: ReadmissionPregnancy = "count"
    readmission_enrollment: ReadmissionEnrollment = "none"
    readmission_stays: ReadmissionStays = "inpatient"
    paid_claims: PaidClaims = "medical"


class Exposure(_Section):
    """Who is exposed to what, since when, compared with whom."""

    service: str
    eligibility: Literal["listed", "high_ed_use"]
    comparison: Literal["never_exposed", "not_yet_exposed"]
    lookback_months: int = Field(ge=1, le=24)
    follow_up_months: int = Field(ge=1, le=36)
    anticipation_months: int = Field(ge=0, le=6)
    eligibility_cell: Literal["month", "quarter"]
    base_period: Literal["varying", "universal"] = "varying"
    rate_ratio: Literal["same_number", "same_percentage"] = "same_number"


def _matched_on(value: str) -> str:
    if value not in (*MEASURES, "age_years", "months_since_eligibility"):
        raise ValueError(
            f"'{value}' is neither a measure nor `age_years` or `months_since_eligibility`"
        )
    return value


class Matched(_Section):
    """Members alike before exposure as a second comparison; every key has a default."""

    match_on: Annotated[
        tuple[Annotated[str, AfterValidator(_matched_on)], ...], Field(min_length=1)
    ] = ("ed_visits", "inpatient_stays")
    use_in: UseIn = "lookback"
    exact: tuple[str, ...] = ("race_ethnicity",)
    same_eligibility: SameEligibility = "month"
    distance: Distance = "mahalanobis"
    caliper: float | None = Field(default=None, gt=0)
    ratio: int = Field(default=1, ge=1, le=10)
    replacement: Replacement = "across_months"
    censor: Censoring = "set"
    lookback_months: int | None = Field(default=None, ge=1, le=24)
    seed: int = Field(default=2024, ge=0)


class CountyPhase(_Section):
    """The county-phase comparison, January to June 2022 only."""

    lookback_months: int = Field(ge=2, le=24)


class StatewideSeries(_Section):
    """The rate of all members before and after a declared month; every key but it has a default."""

    break_month: Month
    phase_in_months: int = Field(default=0, ge=0, le=24)
    seasonality: Literal["none", "months", "harmonic"] = "none"


def _race_schema(value: str) -> str:
    if value not in race_schemas():
        raise ValueError(f"'{value}' is not one of {', '.join(race_schemas())}")
    return value


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < len(value):
        raise ValueError(f"{list(value)} has a column twice")
    return value


def _rising_ages(value: tuple[int, ...]) -> tuple[int, ...]:
    if not value or any(b <= a for a, b in pairwise((0, *value))):
        raise ValueError(f"{list(value)} are not rising first ages above 0; write [18, 65]")
    return value


CrossedWith = Literal["language", "sex", "age_band", "county", "plan", "population_of_focus"]


class Equity(_Section):
    """Groups compared, the one the others are compared with, and how groups are shown."""

    reference: str
    race_schema: Annotated[str, AfterValidator(_race_schema)] = "as_recorded"
    race_display: Literal["hispanic_first", "alone", "primary"] = "hispanic_first"
    race_priority: tuple[str, ...] = ()
    race_in_combination: bool = False
    crossed_with: Annotated[tuple[CrossedWith, ...], AfterValidator(_each_once)] = ()
    age_bands: Annotated[tuple[int, ...], AfterValidator(_rising_ages)] = FIRST_AGES

    @model_validator(mode="after")
    def _one_group_each(self) -> Equity:
        try:
            _ = self.race_rule
        except TableError as problem:
            raise ValueError(str(problem)) from None
        return self

    @property
    def race_rule(self) -> RaceRule:
        """By which standard and in which display members get their one group."""
        return RaceRule(self.race_schema, self.race_display, self.race_priority)

    access_months: tuple[Annotated[int, Field(ge=0, le=60)], ...] = (1, 6)
    standard_ages: tuple[Annotated[int, Field(ge=1, le=110)], ...] = (45,)


class Combinations(_Section):
    """Sets whose combinations are held against an outcome (fsQCA), with their calibration file."""

    calibration: str
    outcome: str
    conditions: Annotated[tuple[str, ...], AfterValidator(_each_once)] = Field(min_length=1)
    consistency: float = Field(default=0.8, gt=0.5, le=1)
    cases: int = Field(default=3, ge=3)
    expectations: dict[str, Literal["present", "absent"]] = {}
    necessary: tuple[str, ...] = ()
    impossible: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _expects_of_conditions(self) -> Combinations:
        unknown = [name for name in self.expectations if name not in self.conditions]
        if unknown:
            raise ValueError(f"`expectations`: {quoted(unknown)} are not among the conditions")
        return self

    @property
    def rests_on_theory(self) -> bool:
        """Whether it says what may and what must not be supposed of combinations without cases."""
        return bool(self.expectations or self.necessary or self.impossible)


class Success(_Section):
    """Factors set against the share of referrals closed; none is chosen for the study."""

    factors: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    units: Annotated[tuple[Literal["county", "plan", "service"], ...], Field(min_length=1)] = (
        "county",
        "plan",
        "service",
    )
    county_factors: str | None = None
    combinations: Combinations | None = None

    @model_validator(mode="after")
    def _names_a_factor(self) -> Success:
        if not self.factors and not self.categorical:
            raise ValueError("name at least one factor in `factors` or `categorical`")
        return self


class EffectByLevel(_Section):
    """Counties by their share of referrals closed before a month; members served from it on."""

    cut: float = Field(gt=0, lt=1)
    before: Month


class CaseFinding(_Section):
    """A local question of homeless services, and the answer from which a person is referred."""

    question: str
    threshold: float
    days: int = Field(default=90, ge=1, le=730)


class CaseConference(_Section):
    """How homeless services record that a person was discussed: a service, or a question."""

    service: str | None = None
    question: str | None = None
    days: int = Field(default=30, ge=0, le=365)

    @model_validator(mode="after")
    def _is_recorded_one_way(self) -> CaseConference:
        if (self.service is None) == (self.question is None):
            raise ValueError("name the `service` or the `question` that records a case conference")
        return self


def _index_weights(value: dict[str, float]) -> dict[str, float]:
    unknown = [name for name in value if name not in INDEX_COMPONENTS]
    if unknown:
        raise ValueError(f"{unknown} are not among {', '.join(INDEX_COMPONENTS)}")
    if value:
        try:
            IndexRule(weights=value)
        except EstimationError as problem:
            raise ValueError(str(problem)) from None
    return value


class Integration(_Section):
    """How referrals are followed, and what an index of counties is made of."""

    maturation_days: int = Field(ge=1, le=365)
    coordinator: str | None = None
    success: Success | None = None
    index_weights: Annotated[dict[str, float], AfterValidator(_index_weights)] = {}
    eligible: str | None = None
    case_finding: CaseFinding | None = None
    case_conference: CaseConference | None = None
    effect_by_level: EffectByLevel | None = None

    @property
    def index_rule(self) -> IndexRule | None:
        """Weights of the index of counties; None where the study declares none."""
        return IndexRule(weights=self.index_weights) if self.index_weights else None


class Disclosure(_Section):
    """Rules for what may leave."""

    policy: str
    residents: str | None = None


def _findings(values: dict[str, object]) -> dict[str, object]:
    unknown = [name for name in values if name not in CHECKS]
    if unknown:
        close = difflib.get_close_matches(unknown[0], CHECKS, n=1)
        hint = f"did you mean `{close[0]}`?" if close else "docs/data_quality.md lists them"
        raise ValueError(f"'{unknown[0]}' is no check of data quality; {hint}")
    return values


def _reason(value: str) -> str:
    if not value.strip():
        raise ValueError("say why the finding is accepted, by whom and when")
    return value.strip()


Share = Annotated[float, Field(ge=0, le=1)]
Limits = Annotated[dict[str, Share], AfterValidator(_findings)]


class Quality(_Section):
    """What the data are held against; every key has a default (docs/data_quality.md)."""

    accepted: Annotated[
        dict[str, Annotated[str, AfterValidator(_reason)]], AfterValidator(_findings)
    ] = Field(default_factory=dict)
    warn_above: Limits = Field(default_factory=dict)
    stop_above: Limits = Field(default_factory=dict)
    drop_share: float = Field(default=0.5, gt=0, lt=1)
    surge_share: float = Field(default=2.0, gt=1)
    min_expected_lines: int = Field(default=50, ge=1)
    complete_share: float = Field(default=0.95, gt=0, lt=1)
    max_stay_days: int = Field(default=365, ge=1)
    max_ed_days: int = Field(default=15, ge=1, le=31)


def _out_of_reach(value: str) -> str:
    if not value.strip():
        raise ValueError("say why the service cannot change this outcome")
    return value.strip()


def _no_repeats(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(value)) < len(value):
        raise ValueError(f"{list(value)} has a number twice")
    return value


class Sensitivity(_Section):
    """What the effects are put to; every key has a default (docs/methods/honest_did.md)."""

    trends_differ: tuple[Annotated[float, Field(gt=0, le=100)], ...] = (0.5, 1.0, 2.0)
    months_before: int = Field(default=12, ge=2, le=60)
    first_months: int = Field(default=6, ge=1, le=36)
    months_per_period: int = Field(default=3, ge=1, le=12)
    placebo_months: Annotated[
        tuple[Annotated[int, Field(ge=1, le=60)], ...], AfterValidator(_no_repeats)
    ] = (3, 6, 12)
    negative_control: dict[Outcome, Annotated[str, AfterValidator(_out_of_reach)]] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _whole_periods(self) -> Sensitivity:
        if self.first_months % self.months_per_period:
            raise ValueError(
                f"`first_months` is {self.first_months}, no multiple of `months_per_period`, "
                f"{self.months_per_period}"
            )
        return self


class Report(_Section):
    """What is rendered."""

    formats: tuple[Literal["html", "pdf", "docx"], ...] = Field(min_length=1)
    engine: Literal["auto", "quarto", "embedded"] = "auto"


class Computing(_Section):
    """What works on the data; no number of the study depends on it (docs/scale.md)."""

    engine: Literal["duckdb", "spark"] = "duckdb"
    memory_limit_gb: float = Field(default=MEMORY_LIMIT_GB, gt=0)


class StudyFile(_Section):
    """The whole file."""

    format_version: Literal[1]
    study_id: Annotated[str, AfterValidator(_study_id)]
    title: str
    question: str
    outcomes: tuple[Outcome, ...] = Field(min_length=1)
    window: Window
    input: Input
    coverage: Coverage
    rules: Rules = Field(default_factory=Rules)
    computing: Computing = Field(default_factory=Computing)
    exposure: Exposure | None = None
    matched: Matched | None = None
    county_phase: CountyPhase | None = None
    statewide_series: StatewideSeries | None = None
    equity: Equity
    integration: Integration
    disclosure: Disclosure
    quality: Quality = Field(default_factory=Quality)
    sensitivity: Sensitivity = Field(default_factory=Sensitivity)
    report: Report

    @model_validator(mode="after")
    def _matched_has_exposure(self) -> StudyFile:
        if self.matched is not None and self.exposure is None:
            raise ValueError("`matched` says how the exposed are matched; it needs `exposure`")
        return self

    @model_validator(mode="after")
    def _controls_are_no_outcomes(self) -> StudyFile:
        both = [name for name in self.sensitivity.negative_control if name in self.outcomes]
        if both:
            raise ValueError(
                f"`sensitivity.negative_control` names {', '.join(f'`{name}`' for name in both)}, "
                "which `outcomes` names too: what the service may change is no negative control"
            )
        return self

    @property
    def months(self) -> pd.PeriodIndex:
        """Months analysed: the window less the run-out."""
        last = pd.Period(self.window.last_month, "M") - self.window.run_out_months
        return pd.period_range(self.window.first_month, last, freq="M")
