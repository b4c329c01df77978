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
_DENIED_SHARE, _REPORTED_SHARE = 0.12, 0.25


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
    service_lines: Lines
    unclassified_lines: Lines
    records: list[Records]

    @property
    def lines(self) -> tuple[Lines, Lines]:
        """All claim lines of Community Supports."""
        return self.service_lines, self.unclassified_lines


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


@dataclass(frozen=True, slots=True)
class _Requests:
    """Requests with a provider, and the decision; one row each."""

    member: NDArray[np.int64]
    month: NDArray[np.int64]
    service: NDArray[np.int64]
    organization: NDArray[np.int64]
    requested_day: NDArray[np.int64]
    decided_day: NDArray[np.int64]
    is_denied: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Received:
    """Services received: position of the request, month and day."""

    request: NDArray[np.int64]
    month: NDArray[np.int64]
    day: NDArray[np.int64]


def draw_support_course(
    context: ClaimContext,
    coverage: Coverage,
    program: Program,
    organizations: Organizations,
    codes: SupportCodes,
    *,
    parameters: Parameters,
) -> SupportCourse:
    """Draw requests, authorizations and services of listed members."""
    requests = _draw_requests(context, coverage, program, organizations, parameters)
    received = _draw_received(context, coverage, requests, parameters)
    n = len(requests.member)
    started = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(started, received.request, received.day)
    started = np.where(started == np.iinfo(np.int64).max, -1, started)
    member, service = requests.member[received.request], requests.service[received.request]
    npi = organizations.npi[requests.organization[received.request]]
    return SupportCourse(
        member=requests.member,
        service=requests.service,
        organization=requests.organization,
        requested_day=requests.requested_day,
        authorized_day=np.where(requests.is_denied, -1, requests.decided_day),
        started_day=started,
        service_lines=_support_lines(context, member, received.day, service, npi, codes),
        unclassified_lines=_unclassified_lines(
            context, member, received.day, service, npi, codes, parameters
        ),
        records=_records(context, program, requests, received),
    )


def _draw_requests(
    context: ClaimContext,
    coverage: Coverage,
    program: Program,
    organizations: Organizations,
    parameters: Parameters,
) -> _Requests:
    """Requests within three months of listing and later, where the county has a provider."""
    rng, calendar = context.rng, context.calendar
    listed = np.flatnonzero(program.listed < calendar.n_months)
    asks = rng.random(len(listed)) < parameters.value("community_support_given_identified")
    earliest = np.maximum(program.listed[listed[asks]], calendar.index(START))
    month = earliest + rng.integers(0, 3, len(earliest))
    later, later_month = _later_requests(context, program, listed, parameters)
    member = np.concatenate([listed[asks], later])
    month = np.concatenate([month, later_month]).astype(np.int64)
    clipped = np.minimum(month, calendar.n_months - 1)
    possible = (month < calendar.n_months) & coverage.is_covered[member, clipped]
    member, month = member[possible], month[possible]
    service = _services(context, member, organizations)
    organization = _providers(context, member, month, service, organizations)
    rows = np.flatnonzero(organization >= 0)
    member, month = member[rows], month[rows]
    requested = coverage.first_day[member, month].astype(np.int64)
    decided = requested + rng.integers(1, 12, len(rows))
    return _Requests(
        member=member,
        month=month,
        service=service[rows],
        organization=organization[rows],
        requested_day=requested,
        decided_day=np.minimum(decided, coverage.last_day[member, month]),
        is_denied=rng.random(len(rows)) < _DENIED_SHARE,
    )


def _later_requests(
    context: ClaimContext,
    program: Program,
    listed: NDArray[np.int64],
    parameters: Parameters,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Members and months of further requests: at any time from three months after listing on."""
    rng, calendar = context.rng.spawn(1)[0], context.calendar
    first = np.maximum(program.listed[listed], calendar.index(START)) + 3
    n_months = np.maximum(calendar.n_months - first, 0)
    per_month = parameters.value("community_support_later_requests_per_year") / 12
    number = rng.poisson(per_month * n_months)
    month = np.repeat(first, number) + rng.integers(0, np.repeat(np.maximum(n_months, 1), number))
    return np.repeat(listed, number), month.astype(np.int64)


def _draw_received(
    context: ClaimContext, coverage: Coverage, requests: _Requests, parameters: Parameters
) -> _Received:
    """Services in covered months after the authorization; authorized is not received."""
    rng, n_months = context.rng, context.calendar.n_months
    n = len(requests.member)
    share = parameters.value("community_support_received_given_authorized")
    is_received = ~requests.is_denied & (rng.random(n) < share)
    number = np.where(is_received, 1 + rng.geometric(0.2, n), 0)
    request = np.repeat(np.arange(n), number)
    order = np.arange(len(request)) - np.repeat(np.cumsum(number) - number, number)
    month = requests.month[request] + (order + 1) // 2
    clipped = np.minimum(month, n_months - 1)
    member = requests.member[request]
    rows = np.flatnonzero((month < n_months) & coverage.is_covered[member, clipped])
    request, month, order, member = (a[rows] for a in (request, month, order, member))
    after = np.where(order == 0, requests.decided_day[request], 0)
    first = np.maximum(coverage.first_day[member, month], after)
    room = np.maximum(coverage.last_day[member, month] - first + 1, 1)
    day = first + (rng.random(len(rows)) * room).astype(np.int64)
    return _Received(request, month, day)


def _records(
    context: ClaimContext, program: Program, requests: _Requests, received: _Received
) -> list[Records]:
    """Authorizations and denials, and the part of the services that is reported back."""
    seen = np.flatnonzero(context.rng.random(len(received.day)) < _REPORTED_SHARE)
    shown = received.request[seen]
    blocks = [
        (np.flatnonzero(~requests.is_denied), "authorization", "authorization_file"),
        (np.flatnonzero(requests.is_denied), "denial", "authorization_file"),
        (shown, "service", "return_transmission_file"),
    ]
    records = []
    for rows, record_type, source in blocks:
        is_service = record_type == "service"
        records.append(
            make_records(
                requests.member[rows],
                received.month[seen] if is_service else requests.month[rows],
                received.day[seen] if is_service else requests.decided_day[rows],
                record_type=record_type,
                source=source,
                service=requests.service[rows],
                organization=requests.organization[rows],
                focus=program.focus[requests.member[rows]],
            )
        )
    return records


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
