"""What ECM leaves behind: lists, outreach attempts, core contacts; records and claim lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.claim_context import ClaimContext
from calaim_eval.simulate.columns import MISSING
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.eligibility_and_enrollment import Program
from calaim_eval.simulate.events import explode
from calaim_eval.simulate.lines import MODIFIERS, Lines, make_lines
from calaim_eval.simulate.organizations import TYPES, Organizations
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import NEVER, FocusList
from calaim_eval.simulate.program_records import Records, make_records

CONTACT_CENTS, OUTREACH_CENTS = 8_500, 4_000
_SLOT_SHARES = (0.70, 0.10, 0.08, 0.06, 0.06)
_CLAIMS_ONLY_SHARE = 0.05
_LIST_REPEATS = 4


@dataclass(frozen=True, slots=True)
class EcmCourse:
    """ECM as the files show it.

    Attributes
    ----------
    organization : NDArray
        Organization that reaches or serves each member, -1 for none; (n,).
    listed_day, outreach_day, service_day : NDArray
        Day of the first record of each kind, -1 where there is none; (n,).
    outreach_lines, contact_lines : claim lines
    records : list of program records
    """

    organization: NDArray[np.int64]
    listed_day: NDArray[np.int64]
    outreach_day: NDArray[np.int64]
    service_day: NDArray[np.int64]
    outreach_lines: Lines
    contact_lines: Lines
    records: list[Records]

    @property
    def lines(self) -> tuple[Lines, Lines]:
        """All claim lines of ECM."""
        return self.outreach_lines, self.contact_lines


def draw_ecm_course(
    context: ClaimContext,
    coverage: Coverage,
    program: Program,
    organizations: Organizations,
    *,
    focus_list: FocusList,
    parameters: Parameters,
) -> EcmCourse:
    """Draw days and providers, and write the records and claim lines."""
    rng, calendar = context.rng, context.calendar
    n = context.people.n
    organization = _organizations(context, program, organizations, parameters)
    listed = np.flatnonzero(program.listed < calendar.n_months)
    listed_day = np.full(n, -1, dtype=np.int64)
    first = coverage.first_day[listed, program.listed[listed]]
    last = coverage.last_day[listed, program.listed[listed]]
    listed_day[listed] = np.minimum(first + rng.integers(0, 5, len(listed)), last)
    attempts = _attempts(context, coverage, program, listed_day)
    outreach_day = _first_days(n, attempts)
    contacts = _contacts(context, coverage, program, outreach_day, parameters)
    service_day = _first_days(n, contacts)
    records = [
        *_list_records(context, coverage, program, listed, listed_day, focus_list),
        _outreach_records(context, attempts, organization, outreach_day),
        _service_records(context, program, organization, service_day),
    ]
    return EcmCourse(
        organization=organization,
        listed_day=listed_day,
        outreach_day=outreach_day,
        service_day=service_day,
        outreach_lines=_outreach_lines(context, attempts, organization, organizations),
        contact_lines=_contact_lines(context, contacts, organization, organizations),
        records=records,
    )


def _organizations(
    context: ClaimContext, program: Program, organizations: Organizations, parameters: Parameters
) -> NDArray[np.int64]:
    """Organization of each member reached or served, of the kind the truth says.

    A county's coordinator takes its share of the members whom no CBO serves.
    """
    share = parameters.value("coordinator_ecm_share")
    found = np.full(context.people.n, -1, dtype=np.int64)
    is_cbo = organizations.kind == TYPES.index("cbo")
    month = np.minimum(program.outreached, program.served)
    reached = month < context.calendar.n_months
    wants_cbo = np.where(
        program.served < NEVER, program.is_cbo, context.rng.random(context.people.n) < 0.35
    )
    draw = context.rng.random(context.people.n)
    for kind in (False, True):
        rows = np.flatnonzero(reached & (wants_cbo == kind))
        table = organizations.candidates(0, is_cbo == kind)
        county = context.people.county_at(month)[rows]
        day = context.calendar.starts[month[rows]]
        coordinator = np.where(kind, -1, organizations.coordinator[county])
        own = np.where(coordinator >= 0, share, 0.0)
        others = (draw[rows] - own) / (1 - own)
        picked = table.pick(county, day, np.maximum(others, 0.0))
        found[rows] = np.where(others < 0, coordinator, picked)
    return found


Contacts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]


def _contacts(
    context: ClaimContext,
    coverage: Coverage,
    program: Program,
    outreach_day: NDArray[np.int64],
    parameters: Parameters,
) -> Contacts:
    """Core contacts: at least one in every covered month of ECM, none before the outreach."""
    rng, n_months = context.rng, context.calendar.n_months
    rows = np.flatnonzero(program.served < n_months)
    months = np.arange(n_months)
    served = (months >= program.served[rows][:, None]) & (
        months < program.served_until[rows][:, None]
    )
    served &= coverage.is_covered[rows]
    extra = rng.poisson(parameters.value("ecm_extra_contacts_per_month"), served.shape)
    row, month, order = explode((1 + extra) * served)
    day = np.maximum(_days(context, coverage, rows[row], month, order), outreach_day[rows[row]])
    return rows[row], month, day.astype(np.int32)


def _attempts(
    context: ClaimContext, coverage: Coverage, program: Program, listed_day: NDArray[np.int64]
) -> Contacts:
    """Outreach attempts, all in the month of the first one, none before the member is listed."""
    rows = np.flatnonzero(program.outreached < context.calendar.n_months)
    number = 1 + context.rng.poisson(1.0, len(rows))
    member = np.repeat(rows, number)
    order = np.arange(len(member)) - np.repeat(np.cumsum(number) - number, number)
    month = program.outreached[member].astype(np.int64)
    day = np.maximum(_days(context, coverage, member, month, order), listed_day[member])
    return member, month, day.astype(np.int32)


def _days(
    context: ClaimContext,
    coverage: Coverage,
    member: NDArray[np.int64],
    month: NDArray[np.int64],
    order: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Days in the covered part of the month, different for each contact while there is room."""
    first = coverage.first_day[member, month]
    room = coverage.last_day[member, month] - first + 1
    offset = context.rng.integers(0, 1 << 16, context.people.n)[member]
    days: NDArray[np.int32] = (first + (offset + month * 11 + order * 5) % room).astype(np.int32)
    return days


def _first_days(n: int, contacts: Contacts) -> NDArray[np.int64]:
    """Earliest day by member, -1 where there is none."""
    member, _, day = contacts
    earliest = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(earliest, member, day)
    return np.where(earliest == np.iinfo(np.int64).max, -1, earliest)


def _list_records(
    context: ClaimContext,
    coverage: Coverage,
    program: Program,
    listed: NDArray[np.int64],
    listed_day: NDArray[np.int64],
    focus_list: FocusList,
) -> list[Records]:
    """The plan's monthly list: members stay on it for months, some with a second population."""
    rng, calendar = context.rng, context.calendar
    blocks = []
    source, kind = "member_information_file", "identified"
    month = program.listed[listed].astype(np.int64)
    focus = program.focus[listed]
    blocks.append(
        make_records(
            listed, month, listed_day[listed], record_type=kind, source=source, focus=focus
        )
    )
    second = context.people.second_focus[listed]
    live = focus_list.go_live[second].max(axis=1) <= month
    rows = np.flatnonzero((second >= 0) & (second != focus) & live & ~program.is_carry_over[listed])
    blocks.append(
        make_records(
            listed[rows],
            month[rows],
            listed_day[listed[rows]],
            record_type=kind,
            source=source,
            focus=second[rows],
        )
    )
    for later in range(1, _LIST_REPEATS + 1):
        stays = rng.random(len(listed)) < 0.75**later
        ahead = month + later
        inside = ahead < calendar.n_months
        clipped = np.minimum(ahead, calendar.n_months - 1)
        rows = np.flatnonzero(stays & inside & coverage.is_covered[listed, clipped])
        day = coverage.first_day[listed[rows], clipped[rows]]
        blocks.append(
            make_records(
                listed[rows], clipped[rows], day, record_type=kind, source=source, focus=focus[rows]
            )
        )
    return blocks


def _outreach_records(
    context: ClaimContext,
    attempts: Contacts,
    organization: NDArray[np.int64],
    outreach_day: NDArray[np.int64],
) -> Records:
    """The outreach tracker: the first attempt always, later ones mostly."""
    member, month, day = attempts
    rows = np.flatnonzero((day == outreach_day[member]) | (context.rng.random(len(day)) < 0.9))
    return make_records(
        member[rows],
        month[rows],
        day[rows],
        record_type="outreach",
        source="outreach_tracker",
        organization=organization[member[rows]],
    )


def _service_records(
    context: ClaimContext,
    program: Program,
    organization: NDArray[np.int64],
    service_day: NDArray[np.int64],
) -> Records:
    """The return transmission file: first service; a few members are seen in claims only."""
    rows = np.flatnonzero(service_day >= 0)
    rows = rows[context.rng.random(len(rows)) >= _CLAIMS_ONLY_SHARE]
    return make_records(
        rows,
        program.served[rows],
        service_day[rows],
        record_type="service",
        source="return_transmission_file",
        organization=organization[rows],
        focus=program.focus[rows],
    )


def _outreach_lines(
    context: ClaimContext,
    attempts: Contacts,
    organization: NDArray[np.int64],
    organizations: Organizations,
) -> Lines:
    """Outreach claims: G9008 or G9012 with U8; never a service."""
    member, _, day = attempts
    is_clinical = context.rng.random(len(member)) < 0.4
    marks = np.full(len(member), context.codebook.code("hcpcs_modifier_1", "U8"), dtype=np.int32)
    npi = organizations.npi[organization[member]]
    return program_lines(
        context, member, day, npi, _ecm_code(context, is_clinical), marks, OUTREACH_CENTS
    )


def _contact_lines(
    context: ClaimContext,
    contacts: Contacts,
    organization: NDArray[np.int64],
    organizations: Organizations,
) -> Lines:
    """Core contacts: G9008 with U1 by clinical, G9012 with U2 by other staff."""
    member, _, day = contacts
    is_clinical = context.rng.random(len(member)) < 0.4
    clinical, other = context.codebook.codes("hcpcs_modifier_1", ["U1", "U2"])
    marks = np.where(is_clinical, clinical, other).astype(np.int32)
    npi = organizations.npi[organization[member]]
    return program_lines(
        context, member, day, npi, _ecm_code(context, is_clinical), marks, CONTACT_CENTS
    )


def _ecm_code(context: ClaimContext, is_clinical: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Procedure code by staff."""
    clinical, other = context.codebook.codes("hcpcs_code", ["G9008", "G9012"])
    codes: NDArray[np.int32] = np.where(is_clinical, clinical, other).astype(np.int32)
    return codes


def program_lines(
    context: ClaimContext,
    member: NDArray[np.int64],
    day: NDArray[Any],
    npi: NDArray[np.int32],
    hcpcs: NDArray[np.int32],
    marks: NDArray[np.int32],
    cents: NDArray[np.int64] | int,
) -> Lines:
    """Program claims of one line; the modifier sits in any slot, GQ (by phone) in the next."""
    rng, book = context.rng, context.codebook
    n = len(member)
    slot = rng.choice(len(MODIFIERS), size=n, p=_SLOT_SHARES)
    phone = rng.random(n) < 0.4
    gq, filler = book.codes("hcpcs_modifier_1", ["GQ", "SC"])
    modifiers = np.full((n, len(MODIFIERS)), MISSING, dtype=np.int32)
    modifiers[np.arange(n), slot] = marks
    rows = np.flatnonzero(phone)
    modifiers[rows, (slot[rows] + 1) % len(MODIFIERS)] = gq
    rows = np.flatnonzero((slot > 0) & (modifiers[:, 0] == MISSING))
    modifiers[rows, 0] = filler
    return make_lines(
        n,
        {
            **{name: modifiers[:, i] for i, name in enumerate(MODIFIERS)},
            "claim": context.numbers.take(n),
            "member": member,
            "start": day,
            "end": day,
            "paid": np.minimum(day + 20, context.calendar.extract_day),
            "claim_type": book.code("claim_type", "professional"),
            "place_of_service_code": book.code("place_of_service_code", "12"),
            "hcpcs_code": hcpcs,
            "facility": npi,
            "rendering": npi,
            "cents": cents,
            "is_program": True,
        },
    )
