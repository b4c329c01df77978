"""Expected use: level, season, COVID dip, trend, health shock, and the effect of ECM.

Without ECM a member's expected use in a month is a sum: persistent level, plus one time pattern
that everybody shares, plus the lasting rise after a health shock. Members with more need are more
often enrolled, so levels differ between enrolled and not enrolled, and the shared pattern makes
their *changes* equal in expectation once listed. ECM multiplies the expectation from the month of
the first service on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.eligibility_and_enrollment import EPISODE_MONTHS, Program
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import NEVER, NO_NEED, People, races

SHARED_PATTERN = ("ed_visits", "inpatient_stays", "outpatient_visits")
EFFECTS = (*SHARED_PATTERN, "ambulance_per_ed_visit", "jail_bookings")
COVID_END = "2021-07"


@dataclass(frozen=True, slots=True)
class Effects:
    """Rate ratios of the served members of a chunk.

    Attributes
    ----------
    rows : NDArray
        Members served inside the window; shape (k,).
    position : NDArray
        Row of each member in `rows`, -1 for members never served; shape (n,).
    log_ratio : dict[str, NDArray]
        Log of the full-strength rate ratio by outcome; shape (k,).
    ramp : NDArray
        Share of the full log ratio by member and month, 0 before the first service; (k, n_months).
    """

    rows: NDArray[np.int64]
    position: NDArray[np.int64]
    log_ratio: dict[str, NDArray[np.float64]]
    ramp: NDArray[np.float64]

    def ratio(self, outcome: str) -> NDArray[np.float64]:
        """Rate ratio of the served members by month; shape (k, n_months)."""
        ratio: NDArray[np.float64] = np.exp(self.log_ratio[outcome][:, None] * self.ramp)
        return ratio

    def ratio_at(
        self, outcome: str, member: NDArray[np.int64], month: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Rate ratio of single events; 1 where there is no effect."""
        row = self.position[member]
        served = np.flatnonzero(row >= 0)
        found = np.ones(len(member))
        log_ratio = self.log_ratio[outcome][row[served]]
        found[served] = np.exp(log_ratio * self.ramp[row[served], month[served]])
        return found


def draw_effects(
    people: People, program: Program, *, calendar: Calendar, parameters: Parameters
) -> Effects:
    """Work out each served member's rate ratios from race, kind of provider and carry-over."""
    rows = np.flatnonzero(program.served < calendar.n_months)
    position = np.full(people.n, -1, dtype=np.int64)
    position[rows] = np.arange(len(rows))
    strength = parameters.by_group("effect_strength_by_race", races(parameters))[people.race[rows]]
    carried = parameters.value("carry_over_effect_strength")
    strength = strength * np.where(program.is_carry_over[rows], carried, 1.0)
    log_ratio = {}
    for outcome in EFFECTS:
        cbo = np.log(parameters.value("rate_ratio_cbo", outcome))
        other = np.log(parameters.value("rate_ratio_not_cbo", outcome))
        log_ratio[outcome] = strength * np.where(program.is_cbo[rows], cbo, other)
    steps = parameters.by_group("effect_ramp", parameters.groups("effect_ramp"))
    event_time = np.arange(calendar.n_months) - program.served[rows][:, None]
    ramp = np.where(event_time >= 0, steps[np.clip(event_time, 0, len(steps) - 1)], 0.0)
    return Effects(rows, position, log_ratio, ramp)


def shared_pattern(
    outcome: str, *, calendar: Calendar, parameters: Parameters
) -> NDArray[np.float64]:
    """Season, COVID dip and trend, added to everyone's level; per member-month, (n_months,)."""
    months = np.arange(calendar.n_months)
    offset = calendar.index("2021-01")
    in_year = (months - offset) % 12
    season = np.cos(2 * np.pi * in_year / 12) * parameters.value("season_per_1000", outcome)
    to_end = calendar.index(COVID_END) - months
    length = calendar.index(COVID_END) - offset
    dip = np.clip(to_end / length, 0.0, 1.0) * parameters.value("covid_dip_per_1000", outcome)
    trend = (months - offset) * parameters.value("trend_per_1000", outcome)
    return (season - dip + trend) / 1000


def expected_without_ecm(
    outcome: str,
    people: People,
    coverage: Coverage,
    program: Program,
    *,
    calendar: Calendar,
    parameters: Parameters,
) -> NDArray[np.float64]:
    """Expected use without ECM, acute episodes apart; per member and month, (n, n_months)."""
    mean = parameters.by_group(f"{outcome}_per_1000", races(parameters))[people.race] / 1000
    ratio = parameters.value("high_need_level_ratio", outcome)
    level = mean * people.frailty * np.where(people.need == NO_NEED, 1.0, ratio)
    rise = mean * parameters.value("shock_level_ratio", outcome)
    months = np.arange(calendar.n_months)
    is_after = months >= (program.episode_end - EPISODE_MONTHS)[:, None]
    pattern = shared_pattern(outcome, calendar=calendar, parameters=parameters)
    expected = level[:, None] + pattern + rise[:, None] * is_after
    share = coverage.covered_days / calendar.lengths
    return np.maximum(expected, 0.0) * share


def acute_ed_visits(
    people: People,
    program: Program,
    *,
    calendar: Calendar,
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """ED visits of the acute episode that precedes listing; (n, n_months) counts.

    Drawn from one distribution whoever is enrolled later: the fall after it is regression to the
    mean, not an effect.
    """
    n, n_months = people.n, calendar.n_months
    rows = np.flatnonzero((program.episode_end < NEVER) & (program.episode_end > -NEVER))
    before = int(parameters.value("spike_visits_before_last_month"))
    last = 1 + rng.poisson(parameters.value("spike_extra_visits_last_month"), n)
    other = 1 + rng.poisson(parameters.value("acute_visits_other_routes"), n)
    early = np.where(program.is_high_use, before, other)[rows]
    member = np.repeat(rows, early)
    in_high_use = program.is_high_use[member]
    back = np.where(
        in_high_use,
        rng.integers(2, EPISODE_MONTHS + 1, len(member)),
        rng.integers(1, EPISODE_MONTHS + 1, len(member)),
    )
    high = rows[program.is_high_use[rows]]
    member = np.concatenate([member, np.repeat(high, last[high])])
    back = np.concatenate([back, np.ones(int(last[high].sum()), dtype=np.int64)])
    month = program.episode_end[member] - back
    inside = (month >= 0) & (month < n_months)
    flat = member[inside] * n_months + month[inside]
    return np.bincount(flat, minlength=n * n_months).reshape(n, n_months)
