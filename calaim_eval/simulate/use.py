"""What members use: visits, stays, trips and custody, with and without ECM at once.

Every event is drawn once for the world without ECM. In the real world each event of a served
member is kept with the rate ratio as its chance (or events are added where ECM raises use), so the
true effect on these very members is known visit by visit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.eligibility_and_enrollment import Program
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import NO_NEED, FocusList, People
from calaim_eval.simulate.rates import Effects, acute_ed_visits, expected_without_ecm

ED_GAP_DAYS = 3
STAY_GAP_DAYS = 3
HOMELESS_CODES = ("1a", "1b")
BEHAVIORAL_CODES = ("3",)


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one kind; arrays of shape (n_events,).

    Attributes
    ----------
    member, month, day : NDArray
        Member of the chunk, month number and day number of the start.
    days : NDArray
        Length in days; 0 where it has none.
    in_real, in_counterfactual : NDArray
        Happens in the simulated world; would happen without ECM.
    """

    member: NDArray[np.int64]
    month: NDArray[np.int64]
    day: NDArray[np.int32]
    days: NDArray[np.int32]
    in_real: NDArray[np.bool_]
    in_counterfactual: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Use:
    """All use of one chunk.

    Attributes
    ----------
    ed, stays, outpatient, jail : Events
    by_ambulance_without, by_ambulance : NDArray
        ED visit came by emergency ambulance, without ECM and in the real world.
    ed_of_stay : NDArray
        ED visit that led to each stay, -1 for none.
    left_against_advice : NDArray
        Stay ended against medical advice.
    expected : dict[str, tuple[NDArray, NDArray]]
        Expected use without and with ECM by outcome; (n, n_months) each.
    """

    ed: Events
    stays: Events
    outpatient: Events
    jail: Events
    by_ambulance_without: NDArray[np.bool_]
    by_ambulance: NDArray[np.bool_]
    ed_of_stay: NDArray[np.int64]
    left_against_advice: NDArray[np.bool_]
    expected: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def draw_use(
    people: People,
    coverage: Coverage,
    program: Program,
    effects: Effects,
    *,
    calendar: Calendar,
    focus_list: FocusList,
    parameters: Parameters,
    rng: np.random.Generator,
) -> Use:
    """Draw all use of a chunk of members."""
    means = {
        outcome: expected_without_ecm(
            outcome, people, coverage, program, calendar=calendar, parameters=parameters
        )
        for outcome in ("ed_visits", "inpatient_stays", "outpatient_visits")
    }
    is_homeless = _in_focus(people, focus_list, HOMELESS_CODES)
    acute = acute_ed_visits(people, program, calendar=calendar, parameters=parameters, rng=rng)
    acute = acute * coverage.is_covered
    ed = _draw_ed(means["ed_visits"], acute, coverage, effects, rng)
    ambulance_share = np.where(
        is_homeless,
        parameters.value("ambulance_share_of_ed", "homeless"),
        parameters.value("ambulance_share_of_ed"),
    )
    by_ambulance_without = rng.random(len(ed.member)) < ambulance_share[ed.member]
    kept = rng.random(len(ed.member)) < effects.ratio_at(
        "ambulance_per_ed_visit", ed.member, ed.month
    )
    stays, ed_of_stay = _draw_stays(
        means["inpatient_stays"], ed, people, coverage, effects, calendar, parameters, rng
    )
    outpatient = _draw_outpatient(means["outpatient_visits"], coverage, effects, rng)
    jail, jail_mean = _draw_jail(people, focus_list, effects, calendar, parameters, rng)
    expected = {name: (mean, _with_ecm(mean, effects, name)) for name, mean in means.items()}
    ed_without = means["ed_visits"] + acute
    ed_with = _with_ecm(ed_without, effects, "ed_visits")
    trips = ambulance_share[:, None] * ed_with
    expected["ed_visits"] = (ed_without, ed_with)
    expected["ambulance_trips"] = (
        ambulance_share[:, None] * ed_without,
        _with_ecm(trips, effects, "ambulance_per_ed_visit"),
    )
    expected["jail_bookings"] = (jail_mean, _with_ecm(jail_mean, effects, "jail_bookings"))
    return Use(
        ed=ed,
        stays=stays,
        outpatient=outpatient,
        jail=jail,
        by_ambulance_without=by_ambulance_without,
        by_ambulance=by_ambulance_without & kept & ed.in_real,
        ed_of_stay=ed_of_stay,
        left_against_advice=rng.random(len(stays.member)) < 0.02,
        expected=expected,
    )


def _in_focus(people: People, focus_list: FocusList, codes: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether a member's first or second population of focus is one of `codes`."""
    rows = [row for row, code in enumerate(focus_list.codes) if code in codes]
    return np.isin(people.focus, rows) | np.isin(people.second_focus, rows)


def _with_ecm(mean: NDArray[np.float64], effects: Effects, outcome: str) -> NDArray[np.float64]:
    """Expected use with ECM."""
    changed = mean.copy()
    changed[effects.rows] *= effects.ratio(outcome)
    return changed


def explode(
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """One row per event of a (n, n_months) count matrix: member, month, order within the month."""
    flat = np.flatnonzero(counts)
    number = counts.ravel()[flat]
    cell = np.repeat(flat, number)
    order = np.arange(len(cell)) - np.repeat(np.cumsum(number) - number, number)
    member, month = np.divmod(cell, counts.shape[1])
    return member, month, order


def _spread_days(
    member: NDArray[np.int64],
    month: NDArray[np.int64],
    order: NDArray[np.int64],
    counts: NDArray[np.int64],
    coverage: Coverage,
    gap: int,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Distinct days at least `gap` apart within the covered days of the month."""
    first = coverage.first_day[member, month]
    slots = np.maximum((coverage.last_day[member, month] - first + 1) // gap, 1)
    number = np.minimum(counts[member, month], slots)
    offset = rng.integers(0, 1 << 20, counts.shape)[member, month]
    slot = (offset + order * np.maximum(slots // number, 1)) % slots
    return (first + gap * slot).astype(np.int32)


def _most_events(coverage: Coverage, gap: int) -> NDArray[np.int64]:
    """Largest number of events a member-month has room for."""
    return np.maximum(coverage.covered_days // gap, 1).astype(np.int64)


def _draw_ed(
    mean: NDArray[np.float64],
    acute: NDArray[np.int64],
    coverage: Coverage,
    effects: Effects,
    rng: np.random.Generator,
) -> Events:
    """ED visits, at least three days apart for a member so that each is told apart in claims."""
    counts = np.minimum(rng.poisson(mean) + acute, _most_events(coverage, ED_GAP_DAYS))
    member, month, order = explode(counts)
    day = _spread_days(member, month, order, counts, coverage, ED_GAP_DAYS, rng)
    kept = rng.random(len(member)) < effects.ratio_at("ed_visits", member, month)
    return Events(member, month, day, np.zeros_like(day), kept, np.ones(len(member), dtype=bool))


def _draw_outpatient(
    mean: NDArray[np.float64], coverage: Coverage, effects: Effects, rng: np.random.Generator
) -> Events:
    """Outpatient visits, one a day at most; ECM adds visits."""
    counts = rng.poisson(mean)
    added = np.zeros_like(counts)
    more = np.maximum(effects.ratio("outpatient_visits") - 1, 0.0) * mean[effects.rows]
    added[effects.rows] = rng.poisson(more)
    total = np.minimum(counts + added, _most_events(coverage, 1))
    member, month, order = explode(total)
    day = _spread_days(member, month, order, total, coverage, 1, rng)
    without = order < np.minimum(counts, total)[member, month]
    return Events(member, month, day, np.zeros_like(day), np.ones(len(member), dtype=bool), without)


def _draw_stays(
    mean: NDArray[np.float64],
    ed: Events,
    people: People,
    coverage: Coverage,
    effects: Effects,
    calendar: Calendar,
    parameters: Parameters,
    rng: np.random.Generator,
) -> tuple[Events, NDArray[np.int64]]:
    """Inpatient stays; most start at an ED visit of the month, none within three days of another."""
    counts = rng.poisson(mean)
    member, month, order = explode(counts)
    n_months = counts.shape[1]
    first_ed = np.searchsorted(ed.member * n_months + ed.month, member * n_months + month)
    in_range = np.minimum(first_ed, max(len(ed.member) - 1, 0))
    has_ed = np.zeros(len(member), dtype=bool)
    if len(ed.member):
        has_ed = (ed.member[in_range] == member) & (ed.month[in_range] == month)
    from_ed = has_ed & (order == 0) & (rng.random(len(member)) < 0.7)
    first = coverage.first_day[member, month]
    room = coverage.last_day[member, month] - first + 1
    day = first + (rng.random(len(member)) * room).astype(np.int32)
    if len(ed.member):
        day = np.where(from_ed, ed.day[in_range], day)
    length = rng.geometric(1 / parameters.value("length_of_stay_mean"), len(member))
    length = np.where(rng.random(len(member)) < 0.05, 0, length)
    length = np.minimum(length, np.maximum(people.death_day[member] - day, 0))
    order_in_time = np.lexsort((day, member))
    member, month, day, length = (a[order_in_time] for a in (member, month, day, length))
    link = np.where(from_ed, in_range, -1)[order_in_time]
    moved, kept = _without_overlap(
        member, day, length, coverage.last_day[member, month], STAY_GAP_DAYS
    )
    link = np.where(moved == day, link, -1)
    member, month, day, length, link = (a[kept] for a in (member, month, moved, length, link))
    length = np.minimum(length, np.maximum(people.death_day[member] - day, 0))
    real = rng.random(len(member)) < effects.ratio_at("inpatient_stays", member, month)
    stays = Events(
        member,
        month,
        day.astype(np.int32),
        length.astype(np.int32),
        real,
        np.ones(len(member), dtype=bool),
    )
    return stays, link


def _without_overlap(
    member: NDArray[np.int64],
    day: NDArray[np.int32],
    length: NDArray[np.int64],
    latest: NDArray[np.int32],
    gap: int,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Move events that start too soon after the member's previous one; drop those without room."""
    day = day.copy()
    kept = np.ones(len(day), dtype=bool)
    suspects = np.flatnonzero(np.r_[False, member[1:] == member[:-1]])
    for row in suspects:
        before = row - 1
        while before >= 0 and member[before] == member[row] and not kept[before]:
            before -= 1
        if before < 0 or member[before] != member[row]:
            continue
        earliest = day[before] + length[before] + gap
        if day[row] < earliest:
            day[row] = earliest
            kept[row] = earliest <= latest[row]
    return day, kept


def _draw_jail(
    people: People,
    focus_list: FocusList,
    effects: Effects,
    calendar: Calendar,
    parameters: Parameters,
    rng: np.random.Generator,
) -> tuple[Events, NDArray[np.float64]]:
    """Jail stays of adults, in covered months or not; ECM lowers bookings."""
    at_risk = _in_focus(people, focus_list, (*HOMELESS_CODES, *BEHAVIORAL_CODES))
    rate = np.where(
        at_risk & (people.need != NO_NEED),
        parameters.value("jail_bookings_per_1000", "homeless_or_smi_sud"),
        parameters.value("jail_bookings_per_1000"),
    )
    rate = rate / 1000 * people.is_adult
    alive = calendar.starts + calendar.lengths - 1 < people.death_day[:, None]
    mean = rate[:, None] * alive
    member, month, _ = explode(rng.poisson(mean))
    day = calendar.starts[month] + (rng.random(len(member)) * calendar.lengths[month]).astype(
        np.int32
    )
    length = rng.geometric(1 / parameters.value("jail_days_mean"), len(member))
    length = np.minimum(length, np.maximum(people.death_day[member] - day, 1))
    order = np.lexsort((day, member))
    member, month, day, length = (a[order] for a in (member, month, day, length))
    latest = (calendar.starts + calendar.lengths - 1)[month]
    moved, kept = _without_overlap(member, day, length, latest, 1)
    member, month, day, length = (a[kept] for a in (member, month, moved, length))
    real = rng.random(len(member)) < effects.ratio_at("jail_bookings", member, month)
    events = Events(
        member,
        month,
        day.astype(np.int32),
        length.astype(np.int32),
        real,
        np.ones(len(member), dtype=bool),
    )
    return events, mean
