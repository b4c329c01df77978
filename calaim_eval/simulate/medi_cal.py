"""Simulate a Medi-Cal: every input table of the contract, and the truth behind it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calaim_eval import __version__
from calaim_eval.errors import StudyFileError
from calaim_eval.simulate.calendar import Calendar, make_calendar
from calaim_eval.simulate.claim_context import ClaimContext
from calaim_eval.simulate.claims import (
    claim_columns,
    draw_prices,
    lines_outside,
    paid_cents,
    recorded_lines,
    true_lines,
)
from calaim_eval.simulate.community_supports import (
    SupportCodes,
    draw_support_course,
    load_support_codes,
)
from calaim_eval.simulate.counties import Counties, load_counties
from calaim_eval.simulate.coverage import draw_coverage, recorded_spans, spans_columns
from calaim_eval.simulate.ecm_course import draw_ecm_course
from calaim_eval.simulate.eligibility_and_enrollment import draw_program
from calaim_eval.simulate.facilities import Facilities, make_facilities
from calaim_eval.simulate.feeds import custody_columns, ems_columns
from calaim_eval.simulate.lines import ClaimNumbers, Codebook, Lines, take_lines
from calaim_eval.simulate.organizations import (
    Organizations,
    contract_columns,
    draw_organizations,
    organization_columns,
)
from calaim_eval.simulate.parameters import Parameters, load_parameters
from calaim_eval.simulate.partner_feeds import (
    payment_columns,
    requirement_columns,
    survey_columns,
    tie_columns,
)
from calaim_eval.simulate.people import FocusList, draw_people, load_focus_list
from calaim_eval.simulate.person_table import person_columns
from calaim_eval.simulate.pharmacy import pharmacy_columns
from calaim_eval.simulate.program_records import record_columns, stack_records
from calaim_eval.simulate.race_codes import record_race
from calaim_eval.simulate.rates import draw_effects
from calaim_eval.simulate.referrals import referral_columns
from calaim_eval.simulate.truth import (
    ChunkTruth,
    TruthTotals,
    collect,
    count_worlds,
    identified_member_months,
    member_truth,
)
from calaim_eval.simulate.truth_tables import (
    IDENTIFICATION,
    county_phase_table,
    effects_table,
    funnel_table,
    injected_table,
    use_by_month_table,
)
from calaim_eval.simulate.use import HOMELESS_CODES, draw_use
from calaim_eval.simulate.write import MARKER, FileFormat, StudyWriter

if TYPE_CHECKING:
    from collections.abc import Iterable

CHUNK_MEMBERS = 20_000
_CHUNK_NUMBERS = 10_000_000


@dataclass(frozen=True)
class SimulatedStudy:
    """Where a simulated study is, and how large.

    Attributes
    ----------
    folder : Path
        Holds `raw/` (the input tables) and `truth/`.
    members, seed : int
    n_rows : dict[str, int]
        Rows written by table.
    injected : dict[str, int]
        Counts of defects and of what was left out, by name.
    """

    folder: Path
    members: int
    seed: int
    n_rows: dict[str, int]
    injected: dict[str, int]

    @property
    def raw(self) -> Path:
        """Folder of the input tables."""
        return self.folder / "raw"

    @property
    def truth(self) -> Path:
        """Folder of the truth."""
        return self.folder / "truth"

    def truth_frame(self, name: str) -> pd.DataFrame:
        """Read one table of the truth, such as "effects" or "use_by_month"."""
        return pd.read_parquet(self.truth / f"{name}.parquet")

    def __repr__(self) -> str:
        """Counts only."""
        lines = self.n_rows.get("medical_claim", 0)
        return f"SimulatedStudy({self.members:,} members, {lines:,} claim lines, seed {self.seed})"


@dataclass(frozen=True, slots=True)
class World:
    """What all chunks of a study share."""

    calendar: Calendar
    parameters: Parameters
    counties: Counties
    focus_list: FocusList
    facilities: Facilities
    organizations: Organizations
    support_codes: SupportCodes


def simulate_medi_cal(
    folder: str | Path,
    *,
    members: int = 20_000,
    seed: int = 20260101,
    first_month: str = "2021-01",
    last_month: str = "2024-12",
    extract_date: str = "2025-06-30",
    file_format: FileFormat = "parquet",
) -> SimulatedStudy:
    """Simulate a Medi-Cal study with known effects, disparities and messiness.

    Use to learn the package, to test an analysis before real data arrive, and to measure bias and
    coverage of estimators. Every table of the contract is written as a plan would send it; the
    truth is written beside. Runs in chunks of 20,000 members, so memory stays flat.

    Parameters
    ----------
    folder : str or Path
        Gets `raw/<table>.parquet` (`raw/medical_claim/part-0000.parquet` ...) and `truth/`.
        An earlier simulation there is replaced; other files are never overwritten.
    members : int
        Members to simulate, at least 1. High-need members are oversampled about four times.
    seed : int
        Same seed, same content.
    first_month, last_month : str
        Window, such as "2021-01"; at least 12 months.
    extract_date : str
        Claims paid later are not in the files.
    file_format : {"parquet", "csv"}
        Format of the raw tables. The truth is always Parquet, JSON and CSV.

    Returns
    -------
    SimulatedStudy
        Paths, rows by table, counts of what was injected.

    Raises
    ------
    StudyFileError
        The window, the number of members or the format makes no sense.
    OutputError
        The folder cannot be written, or holds files that no simulation wrote.

    Notes
    -----
    What the truth assumes, and when a design identifies it, is stated in `truth/simulation.json`;
    every assumed number is in `truth/parameters.csv` with its source and status.

    Examples
    --------
    >>> import tempfile
    >>> study = simulate_medi_cal(Path(tempfile.mkdtemp()) / "demo", members=200, seed=1)
    >>> study.members
    200
    """
    _check_size(members, seed)
    calendar = make_calendar(first_month, last_month, extract_date)
    n_chunks = -(-members // CHUNK_MEMBERS)
    shared_seed, *chunk_seeds = np.random.SeedSequence(seed).spawn(n_chunks + 1)
    rng = np.random.default_rng(shared_seed)
    world = _make_world(calendar, rng)
    totals = TruthTotals()
    with StudyWriter(Path(folder), file_format=file_format) as writer:
        _write_shared_tables(world, writer, rng)
        for number in _progress(range(n_chunks)):
            first = number * CHUNK_MEMBERS
            size = min(CHUNK_MEMBERS, members - first)
            chunk_rng = np.random.default_rng(chunk_seeds[number])
            _write_chunk(world, number, first, size, writer, totals, chunk_rng)
        _write_truth(world, writer, totals, members=members, seed=seed, extract_date=extract_date)
    return SimulatedStudy(
        folder=Path(folder),
        members=members,
        seed=seed,
        n_rows=dict(sorted(writer.n_rows.items())),
        injected=injected_table(totals),
    )


def _check_size(members: int, seed: int) -> None:
    """Refuse sizes and seeds that make no sense."""
    if members < 1 or members > 100_000_000:
        raise StudyFileError(f"`members` is {members}; it must be between 1 and 100,000,000.")
    if seed < 0:
        raise StudyFileError(f"`seed` is {seed}; it must be 0 or larger.")


def _progress(chunks: range) -> Iterable[int]:
    """Show a bar on long runs only."""
    from tqdm import tqdm

    bar: Iterable[int] = tqdm(
        chunks, desc="simulate", unit="chunk", delay=5, disable=len(chunks) < 2
    )
    return bar


def _make_world(calendar: Calendar, rng: np.random.Generator) -> World:
    """Load the facts and draw facilities and organizations."""
    parameters = load_parameters()
    counties = load_counties(parameters)
    facilities = make_facilities(len(counties.names))
    organizations = draw_organizations(counties, facilities, rng=rng)
    return World(
        calendar=calendar,
        parameters=parameters,
        counties=counties,
        focus_list=load_focus_list(calendar),
        facilities=facilities,
        organizations=organizations,
        support_codes=load_support_codes(organizations.services),
    )


def _write_shared_tables(world: World, writer: StudyWriter, rng: np.random.Generator) -> None:
    """Write the tables about organizations and plans."""
    organizations, counties, calendar = world.organizations, world.counties, world.calendar
    writer.table("organization", organization_columns(organizations, counties))
    writer.table("contract", contract_columns(organizations, counties, calendar=calendar, rng=rng))
    writer.table("tie", tie_columns(organizations, rng=rng))
    writer.table("survey_response", survey_columns(organizations, rng=rng))
    writer.table("plan_requirement", requirement_columns(counties, rng=rng))
    writer.table("payment", payment_columns(organizations, counties, calendar=calendar, rng=rng))


def _write_chunk(
    world: World,
    number: int,
    first: int,
    size: int,
    writer: StudyWriter,
    totals: TruthTotals,
    rng: np.random.Generator,
) -> None:
    """Simulate and write one chunk of members."""
    calendar, counties, parameters = world.calendar, world.counties, world.parameters
    focus_list, organizations = world.focus_list, world.organizations
    injected: Counter[str] = totals.injected
    shared = {"calendar": calendar, "parameters": parameters}
    people = draw_people(first, size, counties=counties, focus_list=focus_list, rng=rng, **shared)
    race = record_race(people, parameters=parameters, rng=rng)
    coverage = draw_coverage(people, counties=counties, rng=rng, **shared)
    program = draw_program(
        people, coverage, counties=counties, focus_list=focus_list, rng=rng, **shared
    )
    effects = draw_effects(people, program, **shared)
    use = draw_use(people, coverage, program, effects, focus_list=focus_list, rng=rng, **shared)
    prices = draw_prices(use, parameters=parameters, rng=rng)
    homeless = [row for row, code in enumerate(focus_list.codes) if code in HOMELESS_CODES]
    context = ClaimContext(
        people=people,
        calendar=calendar,
        facilities=world.facilities,
        codebook=Codebook(),
        numbers=ClaimNumbers(number * _CHUNK_NUMBERS),
        is_homeless=np.isin(program.focus, homeless) | np.isin(people.second_focus, homeless),
        rng=rng,
    )
    course = draw_ecm_course(
        context, coverage, program, organizations, focus_list=focus_list, parameters=parameters
    )
    supports = draw_support_course(
        context,
        coverage,
        program,
        organizations,
        world.support_codes,
        focus_list=focus_list,
        parameters=parameters,
    )
    blocks = [*course.lines, *supports.lines]
    lines = true_lines(context, coverage, use, prices, blocks, parameters=parameters)
    paid = paid_cents(lines, coverage, context)
    in_extract = _in_extract(lines, calendar)
    paid_in_extract = paid_cents(in_extract, coverage, context)
    injected["claim_lines_true_in_extract_outside_coverage"] += lines_outside(
        in_extract, coverage, context
    )
    ecm = paid_cents(course.lines[1], coverage, context)
    lines = recorded_lines(lines, context, coverage, parameters=parameters, injected=injected)
    writer.table("medical_claim", claim_columns(lines, context, coverage, counties), part=number)
    spans = recorded_spans(
        people, coverage, counties=counties, injected=injected, rng=rng, **shared
    )
    writer.table("eligibility", spans_columns(spans, people, counties))
    person = person_columns(people, race, world.counties, injected=injected, rng=rng, **shared)
    writer.table("person", person)
    pharmacy = pharmacy_columns(
        context, coverage, counties, parameters=parameters, injected=injected
    )
    writer.table("pharmacy_claim", pharmacy)
    records = record_columns(
        stack_records([*course.records, *supports.records]),
        first_number=number * _CHUNK_NUMBERS,
        people=people,
        coverage=coverage,
        counties=counties,
        organizations=organizations,
        focus_list=focus_list,
    )
    writer.table("program_service", records)
    referrals = referral_columns(
        context,
        coverage,
        course,
        supports,
        organizations,
        counties,
        first_number=number * _CHUNK_NUMBERS,
        injected=injected,
    )
    writer.table("referral", referrals)
    writer.table("custody", custody_columns(context, use, counties, injected=injected))
    writer.table("ems_call", ems_columns(context, use, counties))
    chunk = ChunkTruth(
        people=people,
        coverage=coverage,
        program=program,
        use=use,
        prices=prices,
        course=course,
        recorded_group=race.group,
        paid_cents=paid,
        paid_cents_in_extract=paid_in_extract,
        ecm_cents=ecm,
        calendar=calendar,
        counties=counties,
        organizations=organizations,
        focus_list=focus_list,
        parameters=parameters,
    )
    worlds = count_worlds(chunk)
    writer.truth_rows("member", member_truth(chunk))
    writer.truth_rows("identified_member_month", identified_member_months(chunk, worlds))
    collect(totals, chunk, worlds)


def _in_extract(lines: Lines, calendar: Calendar) -> Lines:
    """True lines paid by the day of the extract."""
    return take_lines(lines, np.flatnonzero(lines["paid"] <= calendar.extract_day))


def _write_truth(
    world: World,
    writer: StudyWriter,
    totals: TruthTotals,
    *,
    members: int,
    seed: int,
    extract_date: str,
) -> None:
    """Write the totals of the truth and the file that says what they mean."""
    writer.truth_rows("effects", effects_table(totals))
    writer.truth_rows("county_phase_effect", county_phase_table(totals))
    writer.truth_rows("use_by_month", use_by_month_table(totals))
    writer.truth_rows("funnel", funnel_table(totals, world.parameters))
    writer.truth_csv("parameters.csv", world.parameters.rows)
    writer.truth_json("injected.json", injected_table(totals))
    calendar = world.calendar
    about: dict[str, Any] = {
        "about": "Simulated data. No row is a person. Numbers marked assumption in parameters.csv must not be cited.",
        "members": members,
        "seed": seed,
        "first_month": str(calendar.first_month),
        "last_month": str(calendar.first_month + calendar.n_months - 1),
        "extract_date": extract_date,
        "package_version": __version__,
        "identification": list(IDENTIFICATION),
        "rows": dict(sorted(writer.n_rows.items())),
    }
    writer.truth_json(MARKER, about)
