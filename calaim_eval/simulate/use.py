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
from calaim_eval.simulate.events import Events, explode
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import HOMELESS_CODES, FocusList, People, in_focus
from calaim_eval.simulate.rates import Effects, acute_ed_visits, expected_without_ecm
from calaim_eval.simulate.spells import draw_jail, draw_stays

ED_GAP_DAYS = 3


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
    is_homeless = in_focus(people, focus_list, HOMELESS_CODES)
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
    stays, ed_of_stay = draw_stays(
        means["inpatient_stays"], ed, people, coverage, effects, parameters=parameters, rng=rng
    )
    outpatient = _draw_outpatient(means["outpatient_visits"], coverage, effects, rng)
    jail, jail_mean = draw_jail(
        people, effects, calendar=calendar, focus_list=focus_list, parameters=parameters, rng=rng
    )
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


def _with_ecm(mean: NDArray[np.float64], effects: Effects, outcome: str) -> NDArray[np.float64]:
    """Expected use with ECM."""
    changed = mean.copy()
    changed[effects.rows] *= effects.ratio(outcome)
    return changed


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
    days: NDArray[np.int32] = (first + gap * slot).astype(np.int32)
    return days


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
