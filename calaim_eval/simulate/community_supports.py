"""Community Supports: authorized, denied, received; no effect on use is simulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.claim_context import ClaimContext, cents
from calaim_eval.simulate.columns import MISSING
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.ecm_course import program_lines
from calaim_eval.simulate.eligibility_and_enrollment import Program
from calaim_eval.simulate.lines import Lines
from calaim_eval.simulate.organizations import Organizations
from calaim_eval.simulate.parameters import Parameters, read_codes
from calaim_eval.simulate.people import FocusList
from calaim_eval.simulate.program_records import Records, make_records

START = "2022-01-01"
_HOUSING = (
    "housing_transition_navigation",
    "housing_deposits",
    "housing_tenancy_sustaining",
    "recuperative_care",
    "day_habilitation",
    "sobering_centers",
)
_OTHER = (
    "medically_tailored_meals",
    "personal_care_homemaker",
    "respite_services",
    "asthma_remediation",
    "home_modifications",
    "community_transition_services",
    "assisted_living_transitions",
    "short_term_post_hospitalization_housing",
)
_DENIED_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class SupportCodes:
    """Billing codes in force when Community Supports began, by row."""

    service: NDArray[np.int64]
    hcpcs: tuple[str, ...]
    modifier: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SupportCourse:
    """Community Supports of one chunk, one row per request; -1 where it does not happen.

    Attributes
    ----------
    member, service, organization : NDArray
    requested_day, authorized_day, started_day : NDArray
    """

    member: NDArray[np.int64]
    service: NDArray[np.int64]
    organization: NDArray[np.int64]
    requested_day: NDArray[np.int64]
    authorized_day: NDArray[np.int64]
    started_day: NDArray[np.int64]
    lines: list[Lines]
    records: list[Records]


def load_support_codes(services: tuple[str, ...]) -> SupportCodes:
    """Read the Community Supports codes valid from the start, by service."""
    by_name = {row["name_in_code_list"]: row["service"] for row in read_codes("community_support")}
    rows = [
        row
        for row in read_codes("service_codes")
        if row["program"] == "cs"
        and row["counts_as_service"] == "1"
        and row["effective_from"] <= START
        and row["service"] in by_name
    ]
    return SupportCodes(
        np.array([services.index(by_name[row["service"]]) for row in rows]),
        tuple(row["hcpcs"] for row in rows),
        tuple(row["modifier"] for row in rows),
    )


def draw_support_course(
    context: ClaimContext,
    coverage: Coverage,
    program: Program,
    organizations: Organizations,
    codes: SupportCodes,
    *,
    focus_list: FocusList,
    parameters: Parameters,
) -> SupportCourse:
    """Draw requests, authorizations and services of listed members."""
    rng, calendar = context.rng, context.calendar
    listed = np.flatnonzero(program.listed < calendar.n_months)
    asks = rng.random(len(listed)) < parameters.value("community_support_given_identified")
    member = listed[asks]
    month = np.maximum(program.listed[member], calendar.index(START)) + rng.integers(
        0, 3, len(member)
    )
    inside = month < calendar.n_months
    member, month = member[inside], month[inside].astype(np.int64)
    inside = coverage.is_covered[member, month]
    member, month = member[inside], month[inside]
    service = _services(context, member, organizations)
    organization = _providers(context, member, month, service, organizations)
    offered = organization >= 0
    member, month, service, organization = (
        a[offered] for a in (member, month, service, organization)
    )
    n = len(member)
    requested = coverage.first_day[member, month].astype(np.int64)
    is_denied = rng.random(n) < _DENIED_SHARE
    decided = np.minimum(requested + rng.integers(1, 12, n), coverage.last_day[member, month])
    received = ~is_denied & (
        rng.random(n) < parameters.value("community_support_received_given_authorized")
    )
    rows, service_month, day = _service_days(context, coverage, member, month, decided, received)
    started = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(started, rows, day)
    started = np.where(started == np.iinfo(np.int64).max, -1, started)
    focus = program.focus[member]
    authorized, denied = np.flatnonzero(~is_denied), np.flatnonzero(is_denied)
    records = [
        make_records(
            member[which],
            month[which],
            decided[which],
            record_type=kind,
            source="authorization_file",
            service=service[which],
            organization=organization[which],
            focus=focus[which],
        )
        for which, kind in ((authorized, "authorization"), (denied, "denial"))
    ]
    seen = np.flatnonzero(rng.random(len(rows)) < 0.25)
    records.append(
        make_records(
            member[rows[seen]],
            service_month[seen],
            day[seen],
            record_type="service",
            source="return_transmission_file",
            service=service[rows[seen]],
            organization=organization[rows[seen]],
            focus=focus[rows[seen]],
        )
    )
    npi = organizations.npi[organization[rows]]
    lines = [_support_lines(context, member[rows], day, service[rows], npi, codes)]
    lines.append(
        _unclassified_lines(context, member[rows], day, service[rows], npi, codes, parameters)
    )
    return SupportCourse(
        member=member,
        service=service,
        organization=organization,
        requested_day=requested,
        authorized_day=np.where(is_denied, -1, decided),
        started_day=started,
        lines=lines,
        records=records,
    )


def _services(
    context: ClaimContext, member: NDArray[np.int64], organizations: Organizations
) -> NDArray[np.int64]:
    """Support asked for: mostly housing for members who are homeless."""
    rng = context.rng
    housing = np.array([organizations.services.index(name) for name in _HOUSING])
    other = np.array([organizations.services.index(name) for name in _OTHER])
    wants_housing = rng.random(len(member)) < np.where(context.is_homeless[member], 0.8, 0.2)
    return np.where(
        wants_housing,
        housing[rng.integers(0, len(housing), len(member))],
        other[rng.integers(0, len(other), len(member))],
    )


def _providers(
    context: ClaimContext,
    member: NDArray[np.int64],
    month: NDArray[np.int64],
    service: NDArray[np.int64],
    organizations: Organizations,
) -> NDArray[np.int64]:
    """Provider of each request; -1 where nobody in the county offers the support."""
    found = np.full(len(member), -1, dtype=np.int64)
    draw = context.rng.random(len(member))
    county = context.county(member, month)
    everyone = np.ones(organizations.n, dtype=bool)
    for one in np.unique(service):
        rows = np.flatnonzero(service == one)
        table = organizations.candidates(int(one), everyone)
        found[rows] = table.pick(county[rows], context.calendar.starts[month[rows]], draw[rows])
    return found


def _service_days(
    context: ClaimContext,
    coverage: Coverage,
    member: NDArray[np.int64],
    month: NDArray[np.int64],
    decided: NDArray[np.int64],
    received: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Request number, month and day of each service, in covered months after the authorization."""
    rng, n_months = context.rng, context.calendar.n_months
    number = np.where(received, 1 + rng.geometric(0.2, len(member)), 0)
    rows = np.repeat(np.arange(len(member)), number)
    order = np.arange(len(rows)) - np.repeat(np.cumsum(number) - number, number)
    later = month[rows] + (order + 1) // 2
    inside = later < n_months
    rows, later, order = rows[inside], later[inside], order[inside]
    covered = coverage.is_covered[member[rows], later]
    rows, later, order = rows[covered], later[covered], order[covered]
    first = np.maximum(
        coverage.first_day[member[rows], later], np.where(order == 0, decided[rows], 0)
    )
    room = np.maximum(coverage.last_day[member[rows], later] - first + 1, 1)
    day = first + (rng.random(len(rows)) * room).astype(np.int64)
    return rows, later, day


def _support_lines(
    context: ClaimContext,
    member: NDArray[np.int64],
    day: NDArray[np.int64],
    service: NDArray[np.int64],
    npi: NDArray[np.int32],
    codes: SupportCodes,
) -> Lines:
    """Claims with one of the support's code and modifier pairs."""
    book, rng = context.codebook, context.rng
    hcpcs = book.codes("hcpcs_code", codes.hcpcs)
    marks = book.codes("hcpcs_modifier_1", codes.modifier)
    row = _code_row(service, codes, rng)
    price = cents(140, 0.8, len(member), rng)
    return program_lines(context, member, day, npi, hcpcs[row], marks[row], price)


def _unclassified_lines(
    context: ClaimContext,
    member: NDArray[np.int64],
    day: NDArray[np.int64],
    service: NDArray[np.int64],
    npi: NDArray[np.int32],
    codes: SupportCodes,
    parameters: Parameters,
) -> Lines:
    """Support codes whose modifier is missing or belongs to no support: a report, not a service."""
    book, rng = context.codebook, context.rng
    share = parameters.value("messiness_share", "service_modifier_missing_or_wrong")
    rows = np.flatnonzero(rng.random(len(member)) < share)
    hcpcs = book.codes("hcpcs_code", codes.hcpcs)[_code_row(service[rows], codes, rng)]
    marks = np.where(rng.random(len(rows)) < 0.5, MISSING, book.code("hcpcs_modifier_1", "U9"))
    return program_lines(
        context, member[rows], day[rows], npi[rows], hcpcs, marks.astype(np.int32), 9_900
    )


def _code_row(
    service: NDArray[np.int64], codes: SupportCodes, rng: np.random.Generator
) -> NDArray[np.int64]:
    """One of the billing rows of each service."""
    order = np.argsort(codes.service, kind="stable")
    first = np.searchsorted(codes.service[order], service, side="left")
    number = np.searchsorted(codes.service[order], service, side="right") - first
    return order[first + (rng.random(len(service)) * number).astype(np.int64)]
