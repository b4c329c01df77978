"""Who becomes eligible for ECM, who is reached, who is served, and when.

A health shock strikes some members, in any month, in every county alike. When ECM is live
for their population of focus, the plan's monthly list names them in the month after the episode;
members whose episode ended earlier are listed from a backlog. Whether a listed member is served
depends on race and ethnicity, and on persistent need: enrolled members use more, before and after,
but nothing about enrolling depends on the months around listing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import (
    CARRY_OVER,
    HIGH_NEED,
    NEVER,
    FocusList,
    People,
    races,
)

ECM_START = "2022-01"
EPISODE_MONTHS = 6
_FIRST_EPISODE_END = -24


@dataclass(frozen=True, slots=True)
class Program:
    """True ECM course of one chunk; month numbers, `NEVER` where it never happens; shape (n,).

    Attributes
    ----------
    episode_end : NDArray
        First month after the health shock's acute episode; use stays higher from
        `episode_end - 6` on.
    is_high_use : NDArray
        The episode is five or more ED visits in six months, whether or not a list for it is live.
    is_high_use_route : NDArray
        Listed for that episode (population of focus 2): the list was live when it ended.
    listed, outreached, served : NDArray
        Month on the plan's list, of first outreach, of first core service.
    served_until : NDArray
        First month without ECM again.
    is_cbo : NDArray
        Served by a community-based organization.
    is_carry_over : NDArray
        Carried over from a predecessor program on 2022-01-01.
    """

    episode_end: NDArray[np.int32]
    is_high_use: NDArray[np.bool_]
    is_high_use_route: NDArray[np.bool_]
    focus: NDArray[np.int32]
    listed: NDArray[np.int32]
    outreached: NDArray[np.int32]
    served: NDArray[np.int32]
    served_until: NDArray[np.int32]
    is_cbo: NDArray[np.bool_]
    is_carry_over: NDArray[np.bool_]


def draw_program(
    people: People,
    coverage: Coverage,
    *,
    calendar: Calendar,
    counties: Counties,
    focus_list: FocusList,
    parameters: Parameters,
    rng: np.random.Generator,
) -> Program:
    """Draw health shocks, listing, outreach and service."""
    n, n_months = people.n, calendar.n_months
    covered = coverage.is_covered & coverage.is_full_scope
    ends = rng.integers(_FIRST_EPISODE_END, n_months, n)
    episode_end = np.where(people.need == HIGH_NEED, ends, NEVER)
    episode_end = np.where(people.need == CARRY_OVER, -NEVER, episode_end).astype(np.int32)
    is_high_use = _is_high_use(people, covered, episode_end, focus_list)
    focus, is_route, go_live = _focus_after_rule(
        people, is_high_use, episode_end, counties, focus_list
    )
    listed = _listed(people, covered, episode_end, go_live, parameters, rng)
    outreached = _outreached(people, covered, listed, parameters, rng)
    served = _served(people, covered, listed, outreached, parameters, rng)
    carried = _carried_over(people, covered, calendar)
    start = calendar.index(ECM_START)
    listed = np.where(carried, start - 1, listed)
    outreached = np.where(carried, NEVER, outreached)
    served = np.where(carried, start, served)
    group = people.race
    share = parameters.by_group("cbo_given_service", races(parameters))[group]
    duration = 1 + rng.geometric(1 / parameters.value("ecm_months_mean"), n)
    return Program(
        episode_end=episode_end,
        is_high_use=is_high_use,
        is_high_use_route=is_route,
        focus=focus,
        listed=listed.astype(np.int32),
        outreached=outreached.astype(np.int32),
        served=served.astype(np.int32),
        served_until=np.where(served < NEVER, served + duration, NEVER).astype(np.int32),
        is_cbo=(rng.random(n) < share) & (served < NEVER),
        is_carry_over=carried,
    )


def _is_high_use(
    people: People,
    covered: NDArray[np.bool_],
    episode_end: NDArray[np.int32],
    focus_list: FocusList,
) -> NDArray[np.bool_]:
    """Whether the episode is five ED visits in six months of coverage, in any county and year."""
    rows = np.arange(people.n)
    observed = np.ones(people.n, dtype=bool)
    for back in range(1, EPISODE_MONTHS + 1):
        month = episode_end - back
        inside = (month >= 0) & (month < covered.shape[1])
        observed &= inside & covered[rows, np.clip(month, 0, covered.shape[1] - 1)]
    wants = _wants_high_use(people, focus_list)
    is_high_use: NDArray[np.bool_] = wants & observed & (people.need == HIGH_NEED)
    return is_high_use


def _wants_high_use(people: People, focus_list: FocusList) -> NDArray[np.bool_]:
    """Whether the first population of focus drawn is 2."""
    wants: NDArray[np.bool_] = np.array(focus_list.codes)[people.focus] == "2"
    return wants


def _focus_after_rule(
    people: People,
    is_high_use: NDArray[np.bool_],
    episode_end: NDArray[np.int32],
    counties: Counties,
    focus_list: FocusList,
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.int32]]:
    """Population of focus, whether the list of population 2 names the member, and go-live month.

    Population of focus 2 needs five ED visits in six months of coverage, and a list that is live
    when the episode ends; members without are moved to population 3.
    """
    phase = counties.phase[people.county_at(np.clip(episode_end, 0, NEVER - 1))]
    is_route = is_high_use & (episode_end >= focus_list.go_live[people.focus, phase - 1])
    adult, child = focus_list.rows_of("adult")["3"], focus_list.rows_of("child_youth")["3"]
    other = np.where(people.is_adult, adult, child)
    focus = np.where(_wants_high_use(people, focus_list) & ~is_route, other, people.focus)
    focus = np.where(people.focus < 0, -1, focus).astype(np.int32)
    return focus, is_route, focus_list.go_live[focus, phase - 1]


def _listed(
    people: People,
    covered: NDArray[np.bool_],
    episode_end: NDArray[np.int32],
    go_live: NDArray[np.int32],
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Month on the plan's list: when the episode ends, or from the backlog after go-live."""
    backlog = rng.geometric(parameters.value("backlog_listing_hazard"), people.n) - 1
    listed = np.where(episode_end >= go_live, episode_end, go_live + backlog)
    is_possible = (people.need == HIGH_NEED) & _covered_in(covered, listed)
    return np.where(is_possible, listed, NEVER).astype(np.int32)


def _outreached(
    people: People,
    covered: NDArray[np.bool_],
    listed: NDArray[np.int32],
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Month of the first outreach."""
    chance = parameters.by_group("outreach_given_identified", races(parameters))[people.race]
    delays = parameters.shares("outreach_delay_months")
    month = listed + rng.choice(len(delays), size=people.n, p=delays)
    happens = (listed < NEVER) & (rng.random(people.n) < chance) & _covered_in(covered, month)
    return np.where(happens, month, NEVER).astype(np.int32)


def _served(
    people: People,
    covered: NDArray[np.bool_],
    listed: NDArray[np.int32],
    outreached: NDArray[np.int32],
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Month of the first service, at least one month after listing; more likely with more need."""
    chance = parameters.by_group("service_given_outreach", races(parameters))[people.race]
    logit = np.log(chance / (1 - chance)) + parameters.value("selection_on_need") * need_score(
        people, parameters
    )
    delays = parameters.shares("service_delay_months")
    month = outreached + rng.choice(len(delays), size=people.n, p=delays)
    month = np.maximum(month, listed + 1)
    happens = (outreached < NEVER) & (rng.random(people.n) < 1 / (1 + np.exp(-logit)))
    return np.where(happens & _covered_in(covered, month), month, NEVER).astype(np.int32)


def need_score(people: People, parameters: Parameters) -> NDArray[np.float64]:
    """Persistent need: standardized level of use (theoretical mean 1 and standard deviation)."""
    shape, floor = parameters.value("frailty_shape"), parameters.value("frailty_floor")
    score: NDArray[np.float64] = (people.frailty - 1.0) * np.sqrt(shape) / (1 - floor)
    return score


def _carried_over(
    people: People, covered: NDArray[np.bool_], calendar: Calendar
) -> NDArray[np.bool_]:
    """Members of a predecessor program, covered when it ends and when ECM starts."""
    start = calendar.index(ECM_START)
    if not 0 < start < calendar.n_months:
        return np.zeros(people.n, dtype=bool)
    carried: NDArray[np.bool_] = people.need == CARRY_OVER
    return carried & covered[:, start - 1] & covered[:, start]


def _covered_in(covered: NDArray[np.bool_], months: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether each member is covered in its month; False outside the window."""
    n_months = covered.shape[1]
    inside = (months >= 0) & (months < n_months)
    clipped = np.clip(months, 0, n_months - 1)
    found: NDArray[np.bool_] = covered[np.arange(len(months)), clipped] & inside
    return found
