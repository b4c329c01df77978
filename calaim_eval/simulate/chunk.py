"""One chunk of members: drawn in the order life has, then written table by table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from calaim_eval.simulate.claim_context import ClaimContext
from calaim_eval.simulate.claims import (
    Prices,
    claim_columns,
    draw_prices,
    lines_outside,
    paid_cents,
    recorded_lines,
    true_lines,
)
from calaim_eval.simulate.community_supports import SupportCourse, draw_support_course
from calaim_eval.simulate.coverage import Coverage, draw_coverage
from calaim_eval.simulate.ecm_course import EcmCourse, draw_ecm_course
from calaim_eval.simulate.eligibility_and_enrollment import Program, draw_program
from calaim_eval.simulate.feeds import custody_columns, ems_columns
from calaim_eval.simulate.lines import ClaimNumbers, Codebook, Lines, n_lines, take_lines
from calaim_eval.simulate.people import HOMELESS_CODES, People, draw_people, in_focus
from calaim_eval.simulate.person_table import person_columns
from calaim_eval.simulate.pharmacy import Fills, draw_fills, fill_cents, fill_columns
from calaim_eval.simulate.program_records import record_columns, stack_records
from calaim_eval.simulate.race_codes import RecordedRace, record_race
from calaim_eval.simulate.rates import draw_effects
from calaim_eval.simulate.referrals import referral_columns
from calaim_eval.simulate.spans import recorded_spans, spans_columns
from calaim_eval.simulate.truth import ChunkTruth
from calaim_eval.simulate.use import Use, draw_use
from calaim_eval.simulate.world import World
from calaim_eval.simulate.write import StudyWriter

CHUNK_MEMBERS = 20_000
_CHUNK_NUMBERS = 10_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """The life of one chunk of members, before any file shows it."""

    number: int
    people: People
    race: RecordedRace
    coverage: Coverage
    program: Program
    use: Use
    prices: Prices
    course: EcmCourse
    supports: SupportCourse
    fills: Fills
    context: ClaimContext

    @property
    def first_number(self) -> int:
        """First of the identifiers of this chunk."""
        return self.number * _CHUNK_NUMBERS


def draw_chunk(world: World, number: int, size: int, *, rng: np.random.Generator) -> Chunk:
    """Draw people, coverage, program, use and the program's course, in this order."""
    calendar, counties, parameters = world.calendar, world.counties, world.parameters
    people = draw_people(
        number * CHUNK_MEMBERS,
        size,
        calendar=calendar,
        counties=counties,
        focus_list=world.focus_list,
        parameters=parameters,
        rng=rng,
    )
    race = record_race(people, parameters=parameters, rng=rng)
    coverage = draw_coverage(
        people, calendar=calendar, counties=counties, parameters=parameters, rng=rng
    )
    program = draw_program(
        people,
        coverage,
        calendar=calendar,
        counties=counties,
        focus_list=world.focus_list,
        parameters=parameters,
        rng=rng,
    )
    use = draw_use(
        people,
        coverage,
        program,
        draw_effects(people, program, calendar=calendar, parameters=parameters),
        calendar=calendar,
        focus_list=world.focus_list,
        parameters=parameters,
        rng=rng,
    )
    context = ClaimContext(
        people=people,
        calendar=calendar,
        facilities=world.facilities,
        codebook=Codebook(),
        numbers=ClaimNumbers(number * _CHUNK_NUMBERS),
        is_homeless=in_focus(people, world.focus_list, HOMELESS_CODES),
        rng=rng,
    )
    return Chunk(
        number=number,
        people=people,
        race=race,
        coverage=coverage,
        program=program,
        use=use,
        prices=draw_prices(use, parameters=parameters, rng=rng),
        course=_draw_course(world, context, coverage, program),
        supports=_draw_supports(world, context, coverage, program),
        fills=draw_fills(context, coverage, parameters=parameters),
        context=context,
    )


def _draw_course(
    world: World, context: ClaimContext, coverage: Coverage, program: Program
) -> EcmCourse:
    """Draw the ECM course."""
    return draw_ecm_course(
        context,
        coverage,
        program,
        world.organizations,
        focus_list=world.focus_list,
        parameters=world.parameters,
    )


def _draw_supports(
    world: World, context: ClaimContext, coverage: Coverage, program: Program
) -> SupportCourse:
    """Draw Community Supports."""
    return draw_support_course(
        context,
        coverage,
        program,
        world.organizations,
        world.support_codes,
        parameters=world.parameters,
    )


def write_chunk(
    chunk: Chunk, world: World, writer: StudyWriter, *, injected: Counter[str]
) -> ChunkTruth:
    """Write every table of the chunk; return what its truth is worked out from."""
    truth = _write_claims(chunk, world, writer, injected)
    _write_members(chunk, world, writer, injected)
    _write_program(chunk, world, writer, injected)
    counties, context = world.counties, chunk.context
    writer.table("custody", custody_columns(context, chunk.use, counties, injected=injected))
    writer.table("ems_call", ems_columns(context, chunk.use, counties))
    pharmacy = fill_columns(chunk.fills, context, chunk.coverage, counties, injected=injected)
    writer.table("pharmacy_claim", pharmacy)
    return truth


def _write_claims(
    chunk: Chunk, world: World, writer: StudyWriter, injected: Counter[str]
) -> ChunkTruth:
    """Write the claim lines, and keep what was truly paid."""
    context, coverage, parameters = chunk.context, chunk.coverage, world.parameters
    blocks = [*chunk.course.lines, *chunk.supports.lines]
    lines = true_lines(context, coverage, chunk.use, chunk.prices, blocks, parameters=parameters)
    in_extract = take_lines(lines, np.flatnonzero(lines["paid"] <= world.calendar.extract_day))
    _count_program_lines(chunk, injected)
    injected["claim_lines_true_in_extract_outside_coverage"] += lines_outside(
        in_extract, coverage, context
    )
    shape = coverage.segment.shape
    truth = ChunkTruth(
        world=world,
        people=chunk.people,
        coverage=coverage,
        program=chunk.program,
        use=chunk.use,
        prices=chunk.prices,
        course=chunk.course,
        recorded_group=chunk.race.group,
        paid_cents=paid_cents(lines, coverage, context),
        paid_cents_in_extract=paid_cents(in_extract, coverage, context),
        fill_cents=fill_cents(chunk.fills, shape),
        fill_cents_in_extract=fill_cents(chunk.fills, shape, paid_by=world.calendar.extract_day),
        ecm_cents=paid_cents(chunk.course.contact_lines, coverage, context),
    )
    recorded = recorded_lines(lines, context, coverage, parameters=parameters, injected=injected)
    columns = claim_columns(recorded, context, coverage, world.counties)
    writer.table("medical_claim", columns, part=chunk.number)
    return truth


def _count_program_lines(chunk: Chunk, injected: Counter[str]) -> None:
    """Count program lines by kind, so that a classifier can be checked."""
    kinds: dict[str, Lines] = {
        "ecm_service_lines_true": chunk.course.contact_lines,
        "ecm_outreach_lines_true": chunk.course.outreach_lines,
        "community_support_lines_true": chunk.supports.service_lines,
        "community_support_lines_unclassified": chunk.supports.unclassified_lines,
    }
    for name, lines in kinds.items():
        injected[name] += n_lines(lines)


def _write_members(chunk: Chunk, world: World, writer: StudyWriter, injected: Counter[str]) -> None:
    """Write eligibility spans and demographics."""
    calendar, counties, parameters = world.calendar, world.counties, world.parameters
    rng = chunk.context.rng
    spans = recorded_spans(
        chunk.people,
        chunk.coverage,
        calendar=calendar,
        counties=counties,
        parameters=parameters,
        injected=injected,
        rng=rng,
    )
    writer.table("eligibility", spans_columns(spans, chunk.people, counties))
    person = person_columns(
        chunk.people,
        chunk.race,
        counties,
        calendar=calendar,
        parameters=parameters,
        injected=injected,
        rng=rng,
    )
    writer.table("person", person)


def _write_program(chunk: Chunk, world: World, writer: StudyWriter, injected: Counter[str]) -> None:
    """Write program records and referrals."""
    records = record_columns(
        stack_records([*chunk.course.records, *chunk.supports.records]),
        first_number=chunk.first_number,
        people=chunk.people,
        coverage=chunk.coverage,
        counties=world.counties,
        organizations=world.organizations,
        focus_list=world.focus_list,
    )
    writer.table("program_service", records)
    referrals = referral_columns(
        chunk.context,
        chunk.coverage,
        chunk.course,
        chunk.supports,
        world.organizations,
        world.counties,
        parameters=world.parameters,
        first_number=chunk.first_number,
        injected=injected,
    )
    writer.table("referral", referrals)
