"""Inpatient stays and jail stays: events with a length that must not overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.events import Events, explode
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import (
    BEHAVIORAL_CODES,
    HOMELESS_CODES,
    NO_NEED,
    FocusList,
    People,
    in_focus,
)
from calaim_eval.simulate.rates import Effects

STAY_GAP_DAYS = 3
_FROM_ED_SHARE, _SAME_DAY_SHARE = 0.7, 0.05


@dataclass(frozen=True, slots=True)
class _Spells:
    """Spells before overlaps are resolved; arrays of shape (n_spells,)."""

    member: NDArray[Any]
    month: NDArray[Any]
    day: NDArray[Any]
    length: NDArray[Any]
    link: NDArray[Any]

    def take(self, rows: NDArray[Any]) -> _Spells:
        """Copy some spells."""
        return _Spells(*(getattr(self, name)[rows] for name in self.__slots__))


def draw_stays(
    mean: NDArray[np.float64],
    ed: Events,
    people: People,
    coverage: Coverage,
    effects: Effects,
    *,
    parameters: Parameters,
    rng: np.random.Generator,
) -> tuple[Events, NDArray[np.int64]]:
    """Draw inpatient stays: most start at an ED visit of the month, none soon after another.

    Returns the stays, and the ED visit that led to each (-1 for none).
    """
    counts = rng.poisson(mean)
    member, month, order = explode(counts)
    n = len(member)
    link = _ed_visit_of_month(ed, member, month, counts.shape[1])
    link = np.where((order == 0) & (rng.random(n) < _FROM_ED_SHARE), link, -1)
    first = coverage.first_day[member, month]
    room = coverage.last_day[member, month] - first + 1
    day = first + (rng.random(n) * room).astype(np.int32)
    linked = np.flatnonzero(link >= 0)
    day[linked] = ed.day[link[linked]]
    length = rng.geometric(1 / parameters.value("length_of_stay_mean"), n)
    length = np.where(rng.random(n) < _SAME_DAY_SHARE, 0, length)
    latest = coverage.last_day[member, month]
    spells = _without_overlap(
        _Spells(member, month, day, length, link), people.death_day, latest, gap=STAY_GAP_DAYS
    )
    return _as_events(spells, "inpatient_stays", effects, rng), spells.link


def _ed_visit_of_month(
    ed: Events, member: NDArray[np.int64], month: NDArray[np.int64], n_months: int
) -> NDArray[np.int64]:
    """First ED visit of each member and month; -1 for none."""
    if not len(ed.member):
        return np.full(len(member), -1, dtype=np.int64)
    wanted, present = member * n_months + month, ed.member * n_months + ed.month
    found = np.minimum(np.searchsorted(present, wanted), len(present) - 1)
    return np.where(present[found] == wanted, found, -1)


def draw_jail(
    people: People,
    effects: Effects,
    *,
    calendar: Calendar,
    focus_list: FocusList,
    parameters: Parameters,
    rng: np.random.Generator,
) -> tuple[Events, NDArray[np.float64]]:
    """Draw jail stays of adults, covered or not; ECM lowers bookings.

    Returns the stays and the expected bookings without ECM by member and month.
    """
    at_risk = in_focus(people, focus_list, (*HOMELESS_CODES, *BEHAVIORAL_CODES))
    rate = np.where(
        at_risk & (people.need != NO_NEED),
        parameters.value("jail_bookings_per_1000", "homeless_or_smi_sud"),
        parameters.value("jail_bookings_per_1000"),
    )
    rate = rate / 1000 * people.is_adult
    last_days = calendar.starts + calendar.lengths - 1
    mean = rate[:, None] * (last_days < people.death_day[:, None])
    member, month, _ = explode(rng.poisson(mean))
    n = len(member)
    within = (rng.random(n) * calendar.lengths[month]).astype(np.int32)
    length = rng.geometric(1 / parameters.value("jail_days_mean"), n)
    drafts = _Spells(member, month, calendar.starts[month] + within, length, np.full(n, -1))
    spells = _without_overlap(drafts, people.death_day, last_days[month], gap=1)
    return _as_events(spells, "jail_bookings", effects, rng), mean


def _as_events(spells: _Spells, outcome: str, effects: Effects, rng: np.random.Generator) -> Events:
    """Keep each spell in the real world with the rate ratio as its chance."""
    n = len(spells.member)
    kept = rng.random(n) < effects.ratio_at(outcome, spells.member, spells.month)
    return Events(
        member=spells.member,
        month=spells.month,
        day=spells.day.astype(np.int32),
        days=spells.length.astype(np.int32),
        in_real=kept,
        in_counterfactual=np.ones(n, dtype=bool),
    )


def _without_overlap(
    spells: _Spells, death_day: NDArray[np.int32], latest: NDArray[np.int32], *, gap: int
) -> _Spells:
    """Order spells in time; move those too soon after the last one, drop those without room.

    A spell that moves loses its link, and none outlasts its member.
    """
    order = np.lexsort((spells.day, spells.member))
    ordered, latest = spells.take(order), latest[order]
    member, length = ordered.member, ordered.length
    day = ordered.day.copy()
    kept = np.ones(len(day), dtype=bool)
    for row in np.flatnonzero(np.r_[False, member[1:] == member[:-1]]):
        before = row - 1
        while before >= 0 and member[before] == member[row] and not kept[before]:
            before -= 1
        if before < 0 or member[before] != member[row]:
            continue
        earliest = day[before] + length[before] + gap
        if day[row] < earliest:
            day[row] = earliest
            kept[row] = earliest <= latest[row]
    alive_days = np.maximum(death_day[member] - day, 0)
    settled = _Spells(
        member=member,
        month=ordered.month,
        day=day,
        length=np.minimum(length, alive_days),
        link=np.where(day == ordered.day, ordered.link, -1),
    )
    return settled.take(np.flatnonzero(kept))
