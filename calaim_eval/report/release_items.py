"""Opening a release, and finding in it what a page needs or saying that it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.report.errors import ReportError

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released
    from calaim_eval.disclosure.released import ReleasedTable

_NEEDS_PROGRAM = "the panel found no Enhanced Care Management or Community Supports records"
_NEEDS_EXPOSURE = "the study file has no `exposure` section, or its design was refused"
_NOT_TESTED = (
    f"{_NEEDS_EXPOSURE}, there are too few months before it, or `sensitivity` switches it off"
)
_NEEDS_ORGANIZATIONS = "the tables `organization` and `contract` were not provided"
_NEEDS_REFERRALS = "the table `referral` was not provided"

EXPECTED_ITEMS: dict[str, tuple[str, str]] = {
    "members_by_group": ("Members by race and ethnicity", "the panel step did not run"),
    "row_ledger": ("Input rows used and set aside", "the panel step did not run"),
    "baseline_utilization": ("Use before eligibility", _NEEDS_EXPOSURE),
    "utilization_trend": ("Utilization over time", _NEEDS_EXPOSURE),
    "access_funnel": ("From identified to served", _NEEDS_PROGRAM),
    "delivery_organizations": ("Contracted organizations by type", _NEEDS_ORGANIZATIONS),
    "delivery_contracts": ("Contracts by type of organization", _NEEDS_ORGANIZATIONS),
    "delivery_members": ("Members served by type of organization", _NEEDS_ORGANIZATIONS),
    "coverage": ("Active organizations by county and service", _NEEDS_ORGANIZATIONS),
    "coverage_summary": ("Counties with an active organization", _NEEDS_ORGANIZATIONS),
    "referral_funnel": ("Referrals step by step", _NEEDS_REFERRALS),
    "referral_closure": ("Referral loops closed", _NEEDS_REFERRALS),
    "referral_closure_by_service": ("Referral loops closed, by service", _NEEDS_REFERRALS),
    "referral_network": (
        "The referral network, with and without its coordinator",
        "the tables `referral` and `organization` were not provided, or no two organizations "
        "share enough members",
    ),
    "requirement_standardization": (
        "How alike plans' requirements are",
        "the table `plan_requirement` was not provided",
    ),
    "survey_scores_by_role": (
        "What partners answer, by role",
        "the tables `survey_response` and `survey_item` were not provided",
    ),
    "effect_event_study": ("Effects month by month", _NEEDS_EXPOSURE),
    "effect_overall": ("Overall effects", _NEEDS_EXPOSURE),
    "effect_by_race": ("Effects by race and ethnicity", _NEEDS_EXPOSURE),
    "effect_gap": ("Gaps in effects", _NEEDS_EXPOSURE),
    "effect_ratio": ("Effects as rate ratios", _NEEDS_EXPOSURE),
    "effect_bounds": ("Effects if trends differ", _NOT_TESTED),
    "placebo_dates": ("Effects at false dates", _NOT_TESTED),
    "pre_post": ("Change among members served (not causal)", _NEEDS_EXPOSURE),
    "county_phase": (
        "County-phase comparison, January to June 2022",
        "the study file has no `county_phase` section, or its design was refused",
    ),
}
"""Every item a quarterly release may hold: its title, and the usual reason it is absent."""


FURTHER_ITEMS: dict[str, str] = {
    "members_in_combination": "Members by race and ethnicity, alone or in combination",
    "use_in_combination": "Use of care by race and ethnicity, alone or in combination",
    "access_in_combination": "From identified to served, alone or in combination",
    "use_disparity": "How unequal use of care is between groups",
    "access_gap": "Where gaps in access arise",
    "access_gap_ratio": "Where gaps in access arise, as ratios",
    "access_times": "How long access takes",
    "access_waiting": "Mean months in the stages of access",
    "access_standardized": "Access had the groups the ages and sexes of all",
    "access_standardized_gap": "Gaps in access had the groups the ages and sexes of all",
    "coverage_summary_two_or_more": "Counties with two or more active organizations",
    "contracted_but_idle": "Contracted organizations without a member served",
    "local_cbo_share": "Local community-based organizations",
    "single_plan_dependence": "Organizations that contract with one plan only",
    "payment_timeliness": "Invoices paid in time",
    "payment_denials": "Invoices denied",
    "referral_network_ties": "Ties of the referral network",
    "referral_network_organizations": "Organizations of the referral network",
    "referral_network_roles": "Brokerage between types of organization",
    "referral_network_mixing": "Ties to another type, or another leadership, of organization",
    "referral_network_by_race": "Referral networks of each group's members",
    "referral_network_stability": "Ties kept, created and dissolved since the year before",
    "partner_network": "Networks that organizations report",
    "partner_network_multiplexity": "Kinds of tie between two organizations",
    "partner_network_stability": "Reported ties kept, created and dissolved since the wave before",
    "contract_concentration": "Concentration of contracts",
    "plan_network_cohesion": "Cohesion of the plan-organization network",
    "referral_losses": "Where referrals stop, and why",
    "referral_times": "How soon services start after referral",
    "referral_times_by_organization_type": "How soon services start, by type of organization",
    "referral_closure_by_organization_type": "Referral loops closed, by type of organization",
    "referral_findings": "Findings in the referral records",
    "plan_similarity": "How alike every two plans' requirements are",
    "requirement_burden": "Further versions of requirements by organization",
    "distinct_layouts": "Distinct layouts by type of organization",
    "distinct_layouts_by_leadership": "Distinct layouts by leadership of organization",
    "data_sharing_level": "Members served by level of data sharing",
    "data_sharing_by_leadership": "Members served by level of data sharing, by leadership",
    "capacity_use": "Members served per stated place",
    "capacity_adequacy": "Places stated per member eligible",
    "asset_map_organizations": "Organizations that appeared, stayed and left, by county",
    "asset_map_coverage": "Counties in which a service appeared, stayed and was lost",
    "survey_response_rate": "Organizations that answered the survey",
    "survey_respondents": "Respondents of the survey by role",
    "survey_reliability": "Reliability of the survey's scales",
    "survey_factor_fit": "Fit of the survey's scales",
    "survey_aggregation": "Agreement inside organizations",
    "survey_scores_by_organization_type": "What partners answer, by type of organization",
    "survey_scores_by_leadership": "What partners answer, by leadership of organization",
    "survey_agreement": "Respondents who agree",
    "integration_rank": "Ranges of ranks on the composite index",
    "case_finding": "Yield of case finding",
    "case_finding_by_race": "Yield of case finding by race and ethnicity",
    "case_conferences": "Referrals after case conferences",
    "case_conferences_by_race": "Referrals after case conferences by race and ethnicity",
    "case_conferences_by_month": "Referrals after case conferences by month",
    "outside_referrals": "Referrals outside the program, and what became of them",
    "directory_use": "Services the resource directory lists, by whether they serve members",
    "success_factors": "What goes with referrals that are closed",
    "success_mixed": "What goes with referrals that are closed, with a random county",
    "success_dominance": "How much goes with each factor",
    "success_selection": "Factors chosen in halves of the counties",
    "success_combinations": "Combinations that go with success",
    "success_untenable": "Combinations that must not be supposed to go with success",
    "effect_by_integration": "Effects in counties of lower and higher integration",
    "negative_control": "Effects on outcomes out of reach",
    "matched_balance": "Members served and their matches before the first service",
    "matched_overall": "Overall effects against matched members",
    "matched_event_study": "Effects month by month against matched members",
    "matched_by_race": "Effects by race and ethnicity against matched members",
    "matched_gap": "Gaps in effects against matched members",
    "statewide_series": "Use of care of all members before and after a month",
    "statewide_series_lines": "Monthly use of care of all members",
    "county_phase_checks": "County-phase comparison under other errors and methods",
    "county_phase_randomization": "County-phase comparison, counties dealt anew",
    "data_quality": "Findings on data quality",
    "encounter_completeness": "Completeness of each plan's claims",
    "restatement": "What this extract changed about the months of the one before",
}
"""Items a page shows where the release holds them; a release without them is complete."""


_CROSSED = {"members": "Members", "use": "Use of care"}


def lower_first(text: str) -> str:
    """The text as it stands inside a sentence: names in it keep their capitals."""
    return f"{text[:1].lower()}{text[1:]}"


def item_title(name: str) -> str:
    """What an item is, for a reader."""
    if name in EXPECTED_ITEMS:
        return EXPECTED_ITEMS[name][0]
    what, crossed, column = name.partition("_by_race_and_")
    if crossed:
        return f"{_CROSSED.get(what, what)} by race and ethnicity and {column.replace('_', ' ')}"
    return FURTHER_ITEMS.get(name, name.replace("_", " ").capitalize())


@dataclass(frozen=True, slots=True)
class Absent:
    """An item that is not in the release, and the words that say so."""

    name: str
    reason: str = ""

    @property
    def title(self) -> str:
        """What the item is, for a reader."""
        return item_title(self.name)

    @property
    def why(self) -> str:
        """The reason the release states, else the usual one; a sentence."""
        usual = EXPECTED_ITEMS.get(self.name, ("", "it was not released"))[1]
        if not self.reason:
            return f"The usual reason is that {usual}."
        return f"Reason: {self.reason.rstrip('.')}."

    @property
    def words(self) -> str:
        """One plain sentence for the page: the reason the release states, else the usual one."""
        why = self.why
        return f"**Not in this release: {lower_first(self.title)}.** {why}"


def open_release(folder: str | Path) -> Released:
    """Open a release folder; the only way numbers reach a report.

    Parameters
    ----------
    folder : path
        A folder that `release` wrote, such as ``release/2024Q4``.

    Returns
    -------
    Released

    Raises
    ------
    DisclosureError
        The folder is not a release, or a file in it was changed after it was released.
    """
    from calaim_eval.disclosure import Released

    return Released.load(Path(folder))


def require_released(released: object) -> Released:
    """The argument itself if it is a release.

    Raises
    ------
    TypeError
        For anything else: an estimate or a rate table may hold small numbers.
    """
    from calaim_eval.disclosure import Released

    if not isinstance(released, Released):
        raise TypeError(
            f"a report takes a `Released`, not a `{type(released).__name__}`: unreleased numbers "
            "may describe a few people. Pass them through `release(...)`, or open a release "
            "folder with `open_release(folder)`."
        )
    return released


def find_item(released: Released, name: str) -> ReleasedTable | Absent:
    """The released table `name`, or `Absent` where the release does not hold it."""
    tables = require_released(released).tables
    return tables[name] if name in tables else Absent(name, reason_left_out(released, name))


def reason_left_out(released: Released, name: str) -> str:
    """Why the item is not in the release, where its provenance says so; else empty."""
    left_out = released.provenance.get("left_out")
    return str(left_out.get(name, "")) if isinstance(left_out, Mapping) else ""


def is_simulated(released: Released) -> bool:
    """Whether the release says (provenance key `is_simulated`) that no row of its data is a person.

    A release that does not say counts as not simulated.
    """
    return require_released(released).provenance.get("is_simulated") is True


def need_columns(item: ReleasedTable, columns: tuple[str, ...]) -> None:
    """Refuse a released table that lacks the keys its page is built from."""
    missing = [c for c in columns if c not in item.frame.columns]
    if missing:
        raise ReportError(
            f"released table `{item.name}` lacks {', '.join(f'`{c}`' for c in missing)}; it has "
            f"{', '.join(f'`{c}`' for c in item.frame.columns)}. Release it with the keys the "
            "report documents (reports/README.md)."
        )
