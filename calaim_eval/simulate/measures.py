"""Measures by member and month, straight from the events: what the panel should read back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.claims import Prices, ed_price
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.events import Events
from calaim_eval.simulate.people import People
from calaim_eval.simulate.use import Use

MEASURES = (
    "ed_visits",
    "inpatient_stays",
    "inpatient_days",
    "readmissions_30d",
    "outpatient_visits",
    "ambulance_trips",
    "paid_usd",
    "jail_days",
)
COUNTED_FROM_EVENTS = tuple(name for name in MEASURES if name != "paid_usd")
_READMISSION_DAYS = 30


@dataclass(frozen=True, slots=True)
class World:
    """Which events count: of the simulated world, of the world without ECM, or of the files."""

    ed: NDArray[np.bool_]
    stays: NDArray[np.bool_]
    outpatient: NDArray[np.bool_]
    trips: NDArray[np.bool_]
    jail: NDArray[np.bool_]


def real_world(use: Use) -> World:
    """Everything that happens."""
    return World(
        use.ed.in_real,
        use.stays.in_real,
        use.outpatient.in_real,
        use.by_ambulance,
        use.jail.in_real,
    )


def world_without_ecm(use: Use) -> World:
    """Everything that would happen without ECM."""
    return World(
        use.ed.in_counterfactual,
        use.stays.in_counterfactual,
        use.outpatient.in_counterfactual,
        use.by_ambulance_without,
        use.jail.in_counterfactual,
    )


def world_in_extract(use: Use, prices: Prices, calendar: Calendar) -> World:
    """What happens and is paid by the day of the extract."""

    def is_paid(events: Events, lag: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether an event's claims are paid by the extract."""
        last = events.day + events.days
        paid = (last + 1 + np.minimum(lag, 2000.0)).astype(np.int32)
        return events.in_real & (paid <= calendar.extract_day)

    ed = is_paid(use.ed, prices.ed_lag)
    return World(
        ed,
        is_paid(use.stays, prices.stay_lag),
        is_paid(use.outpatient, prices.outpatient_lag),
        use.by_ambulance & ed,
        use.jail.in_real,
    )


def count_measures(
    use: Use, world: World, people: People, coverage: Coverage, calendar: Calendar
) -> dict[str, NDArray[np.int64]]:
    """Counts in covered months by measure; (n, n_months) each, paid amounts apart."""
    shape = coverage.segment.shape
    counts = {
        "ed_visits": _by_month(use.ed, world.ed, shape),
        "inpatient_stays": _by_month(use.stays, world.stays, shape),
        "inpatient_days": days_by_month(
            use.stays, world.stays, np.maximum(use.stays.days, 1), shape, calendar
        ),
        "readmissions_30d": _readmissions(use, world.stays, people, shape, calendar),
        "outpatient_visits": _by_month(use.outpatient, world.outpatient, shape),
        "ambulance_trips": _by_month(use.ed, world.trips, shape),
        "jail_days": days_by_month(use.jail, world.jail, use.jail.days, shape, calendar),
    }
    covered = coverage.is_covered
    return {name: count * covered for name, count in counts.items()}


def _by_month(
    events: Events, counted: NDArray[np.bool_], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Events that start in each month."""
    cell = events.member[counted] * shape[1] + events.month[counted]
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)


def days_by_month(
    events: Events,
    counted: NDArray[np.bool_],
    days: NDArray[np.int32],
    shape: tuple[int, ...],
    calendar: Calendar,
) -> NDArray[np.int64]:
    """Days of events, each in the month it falls in; days after the window are left out."""
    total = np.zeros(shape[0] * shape[1], dtype=np.int64)
    rows = np.flatnonzero(counted)
    member, month = events.member[rows], events.month[rows]
    start, left = events.day[rows].astype(np.int64), days[rows].astype(np.int64)
    while len(member):
        end_of_month = calendar.starts[month] + calendar.lengths[month]
        here = np.minimum(left, end_of_month - start)
        np.add.at(total, member * shape[1] + month, here)
        left, start, month = left - here, start + here, month + 1
        going = (left > 0) & (month < shape[1])
        member, month, start, left = member[going], month[going], start[going], left[going]
    return total.reshape(shape)


def _readmissions(
    use: Use,
    counted: NDArray[np.bool_],
    people: People,
    shape: tuple[int, ...],
    calendar: Calendar,
) -> NDArray[np.int64]:
    """Index stays by month of discharge, followed by an admission 1 to 30 days later.

    An index stay lasts at least a night, ends alive, not against medical advice, and at least 30
    days before the window ends.
    """
    rows = np.flatnonzero(counted)
    member, admit = use.stays.member[rows], use.stays.day[rows]
    leave = admit + use.stays.days[rows]
    alive = people.death_day[member] > leave
    is_index = alive & ~use.left_against_advice[rows] & (leave > admit)
    is_index &= leave + _READMISSION_DAYS <= calendar.end_day
    following = np.r_[admit[1:], 0] - leave
    same = np.r_[member[1:] == member[:-1], False] if len(member) else np.zeros(0, dtype=bool)
    found = is_index & same & (following >= 1) & (following <= _READMISSION_DAYS)
    month = calendar.month_of(leave[found].astype(np.int32))
    cell = member[found] * shape[1] + month
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)


def paid_change_cents(use: Use, prices: Prices, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Cents of removed events minus cents of added events by member and month."""
    total = np.zeros(shape[0] * shape[1], dtype=np.int64)
    both = (
        (
            use.ed,
            ed_price(use, prices, use.by_ambulance_without),
            ed_price(use, prices, use.by_ambulance),
        ),
        (use.stays, prices.stays, prices.stays),
        (use.outpatient, prices.outpatient, prices.outpatient),
    )
    for events, without, real in both:
        cell = events.member * shape[1] + events.month
        change = without * events.in_counterfactual - real * events.in_real
        rows = np.flatnonzero(change)
        np.add.at(total, cell[rows], change[rows])
    return total.reshape(shape)
