"""Who is covered by Medi-Cal in which month, and by which plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.counties import PLAN_TRANSITION, Counties
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import NEVER, NO_NEED, People

if TYPE_CHECKING:
    pass

UNWINDING = "2023-07-01"


@dataclass(frozen=True, slots=True)
class Coverage:
    """True Medi-Cal coverage of one chunk; every array has shape (n, n_months).

    Attributes
    ----------
    segment : NDArray
        Number of the coverage segment, -1 where not covered. A dead member is not covered.
    first_day, last_day : NDArray
        First and last covered day of each month, as day numbers.
    plan : NDArray
        Plan number of the month.
    is_dual, is_full_scope : NDArray
    """

    segment: NDArray[np.int8]
    first_day: NDArray[np.int32]
    last_day: NDArray[np.int32]
    plan: NDArray[np.int32]
    is_dual: NDArray[np.bool_]
    is_full_scope: NDArray[np.bool_]
    segment_start: NDArray[np.int32]
    segment_end: NDArray[np.int32]

    @property
    def is_covered(self) -> NDArray[np.bool_]:
        """Covered by Medi-Cal on at least one day of the month."""
        return self.segment >= 0

    @property
    def covered_days(self) -> NDArray[np.int32]:
        """Covered days of each month; shape (n, n_months)."""
        days = (self.last_day - self.first_day + 1) * self.is_covered
        return days.astype(np.int32)


def draw_coverage(
    people: People,
    *,
    calendar: Calendar,
    counties: Counties,
    parameters: Parameters,
    rng: np.random.Generator,
) -> Coverage:
    """Draw entry, loss, return and plan of every member."""
    starts, ends = _segments(people, calendar, parameters, rng)
    months = np.arange(calendar.n_months, dtype=np.int32)
    segment = np.full((people.n, calendar.n_months), -1, dtype=np.int8)
    for k in range(starts.shape[1]):
        inside = (months >= starts[:, k, None]) & (months < ends[:, k, None])
        segment[inside] = k
    segment[calendar.starts > people.death_day[:, None]] = -1
    first_day = np.broadcast_to(calendar.starts, segment.shape).copy()
    last_day = np.broadcast_to(calendar.starts + calendar.lengths - 1, segment.shape)
    last_day = np.minimum(last_day, people.death_day[:, None]).astype(np.int32)
    _start_mid_month(first_day, starts, people, calendar, parameters, rng)
    return Coverage(
        segment=segment,
        first_day=first_day,
        last_day=np.maximum(last_day, first_day),
        plan=_plans(people, months, calendar, counties, parameters, rng),
        is_dual=months >= people.dual_from[:, None],
        is_full_scope=months >= people.full_scope_from[:, None],
        segment_start=starts,
        segment_end=ends,
    )


def _segments(
    people: People, calendar: Calendar, parameters: Parameters, rng: np.random.Generator
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Start and end month (exclusive; `NEVER` while open) of up to three segments; (n, 3)."""
    n, n_months = people.n, calendar.n_months
    monthly = np.full(n_months, parameters.value("exit_hazard_before_unwinding"))
    unwinding = calendar.index(UNWINDING)
    monthly[max(unwinding, 0) :] = parameters.value("exit_hazard_unwinding")
    cumulative = np.concatenate([[0.0], np.cumsum(monthly)])
    slower = np.where(people.need == NO_NEED, 1.0, 0.5)
    early = rng.random(n) < parameters.value("covered_at_start_share")
    entry = np.where(early, -rng.integers(1, 61, n), rng.integers(0, n_months, n))
    birth_month = calendar.month_of(people.birth_day)
    born_before = (birth_month - (calendar.starts[0] - people.birth_day) // 31).astype(np.int32)
    entry = np.maximum(entry, np.where(birth_month >= 0, birth_month, born_before))
    starts = np.full((n, 3), NEVER, dtype=np.int32)
    ends = np.full((n, 3), NEVER, dtype=np.int32)
    alive = np.ones(n, dtype=bool)
    for k in range(3):
        reached = cumulative[np.clip(entry, 0, n_months)] + rng.exponential(1.0, n) / slower
        leave = np.searchsorted(cumulative, reached)
        leave = np.where(leave > n_months, NEVER, np.maximum(leave, entry + 1))
        starts[alive, k] = entry[alive]
        ends[alive, k] = leave[alive]
        gap = rng.geometric(1 / parameters.value("gap_months_mean"), n)
        alive &= (leave < n_months) & (rng.random(n) < parameters.value("return_share"))
        entry = leave + gap
        alive &= entry < n_months
    return starts, ends


def _start_mid_month(
    first_day: NDArray[np.int32],
    starts: NDArray[np.int32],
    people: People,
    calendar: Calendar,
    parameters: Parameters,
    rng: np.random.Generator,
) -> None:
    """Move the first covered day of some entries into the month, and of newborns to their birth."""
    entry = starts[:, 0]
    inside = (entry >= 0) & (entry < calendar.n_months)
    late = inside & (
        rng.random(people.n) < parameters.value("messiness_share", "span_mid_month_start")
    )
    day = rng.integers(1, 27, people.n)
    rows = np.flatnonzero(late)
    first_day[rows, entry[rows]] += day[rows].astype(np.int32)
    born = np.flatnonzero(inside & (calendar.month_of(people.birth_day) == entry))
    first_day[born, entry[born]] = np.maximum(first_day[born, entry[born]], people.birth_day[born])


def _plans(
    people: People,
    months: NDArray[np.int32],
    calendar: Calendar,
    counties: Counties,
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Plan number by member and month: slot of the county, with switches, moves and 2024."""
    n = people.n
    slot = (rng.random(n)[:, None] > counties.plan_cut[people.county]).sum(axis=1)
    switches = rng.random(n) < parameters.value("plan_switch_share")
    switch_month = np.where(switches, rng.integers(1, calendar.n_months, n), NEVER)
    is_after_switch = months >= switch_month[:, None]
    slots = np.minimum((slot[:, None] + is_after_switch) % 3, 2)
    moved = months >= people.move_month[:, None]
    county = np.where(moved, people.new_county[:, None], people.county[:, None])
    is_new = months >= calendar.index(PLAN_TRANSITION)
    after, before = counties.plan_after[county, slots], counties.plan_before[county, slots]
    plan: NDArray[np.int32] = np.where(is_new, after, before).astype(np.int32)
    return plan
