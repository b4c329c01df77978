"""Who the simulated members are: age, race and ethnicity, county, need, death."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.parameters import Parameters, read_codes

AGE_GROUPS = ("0-20", "21-64", "65+")
AID_CODES = {
    "parent_caretaker_and_child": "M3",
    "aca_expansion_adult": "M1",
    "spd": "6G",
    "chip": "T2",
    "limited": "58",
}
NO_NEED, HIGH_NEED, CARRY_OVER = 0, 1, 2
NEVER = 10_000
HOMELESS_CODES = ("1a", "1b")
BEHAVIORAL_CODES = ("3",)
_ADULT_YEARS = 21
_SCRAMBLE = 611_953_279  # shares no factor with the range below
_PSEUDONYMS = 900_000_000


@dataclass(frozen=True, slots=True)
class People:
    """Fixed traits of one chunk of members; every array has shape (n,).

    Attributes
    ----------
    number : NDArray
        Study number behind the pseudonym, unique in the study.
    race : NDArray
        Position in `races`, before anything goes missing.
    birth_day, death_day : NDArray
        Day numbers; `NEVER` days after the window for the living.
    age_group : NDArray
        0, 1, 2 for 0-20, 21-64, 65+ when the window opens.
    is_adult : NDArray
        At least 21 years old when the window opens.
    need : NDArray
        `NO_NEED`, `HIGH_NEED` or `CARRY_OVER`.
    focus, second_focus : NDArray
        Row of the population-of-focus code list, -1 for none.
    frailty : NDArray
        Persistent level of use relative to the group mean; mean 1.
    county, new_county, move_month : NDArray
        County, county after a move, month of the move (`NEVER` for most).
    dual_from, full_scope_from : NDArray
        Month from which the member is dual, or has full scope.
    """

    number: NDArray[np.int64]
    race: NDArray[np.int32]
    is_female: NDArray[np.bool_]
    birth_day: NDArray[np.int32]
    death_day: NDArray[np.int32]
    age_group: NDArray[np.int32]
    is_adult: NDArray[np.bool_]
    need: NDArray[np.int32]
    focus: NDArray[np.int32]
    second_focus: NDArray[np.int32]
    frailty: NDArray[np.float64]
    county: NDArray[np.int32]
    new_county: NDArray[np.int32]
    move_month: NDArray[np.int32]
    dual_from: NDArray[np.int32]
    full_scope_from: NDArray[np.int32]
    aid: NDArray[np.int32]

    @property
    def n(self) -> int:
        """Members in the chunk."""
        return len(self.number)

    def county_at(self, months: NDArray[np.int32]) -> NDArray[np.int32]:
        """County of residence of each member in its month; shape (n,)."""
        return np.where(months >= self.move_month, self.new_county, self.county).astype(np.int32)


@dataclass(frozen=True, slots=True)
class FocusList:
    """Populations of focus by row of the code list: code, age group, go-live by county phase."""

    codes: tuple[str, ...]
    age_groups: tuple[str, ...]
    go_live: NDArray[np.int32]

    def rows_of(self, age_group: str) -> dict[str, int]:
        """Row number by code for one age group."""
        return {
            code: row
            for row, (code, group) in enumerate(zip(self.codes, self.age_groups, strict=True))
            if group == age_group
        }


def load_focus_list(calendar: Calendar) -> FocusList:
    """Read the populations of focus that have a start date."""
    rows = [row for row in read_codes("population_of_focus") if row["go_live_phase1_counties"]]
    go_live = np.array(
        [
            [
                calendar.index(row["go_live_phase1_counties"]),
                calendar.index(row["go_live_phase2_counties"]),
            ]
            for row in rows
        ]
    )
    return FocusList(
        tuple(row["code"] for row in rows),
        tuple(row["age_group"] for row in rows),
        go_live.astype(np.int32),
    )


def races(parameters: Parameters) -> tuple[str, ...]:
    """Race and ethnicity groups of the simulation, before missingness."""
    return parameters.groups("race_weight")


def pseudonym_numbers(first: int, n: int) -> NDArray[np.int64]:
    """Scrambled, unique numbers below 900 million for members `first` to `first + n - 1`."""
    order = np.arange(first, first + n, dtype=np.int64)
    return (order * _SCRAMBLE + 271_828_183) % _PSEUDONYMS


def draw_people(
    first: int,
    n: int,
    *,
    calendar: Calendar,
    counties: Counties,
    focus_list: FocusList,
    parameters: Parameters,
    rng: np.random.Generator,
) -> People:
    """Draw the fixed traits of members `first` to `first + n - 1`."""
    county = rng.choice(len(counties.names), size=n, p=counties.shares).astype(np.int32)
    need = _need(county, counties, parameters, rng)
    age_group = _age_group(need, parameters, rng)
    birth_day = _birth_day(age_group, calendar, rng)
    age_years = (int(calendar.starts[0]) - birth_day) / 365.25
    full_scope_from = _full_scope_from(need, age_years, calendar, parameters, rng)
    is_adult = age_years >= _ADULT_YEARS
    focus, second = _focus(need, is_adult, focus_list, parameters, rng)
    shape = parameters.value("frailty_shape")
    floor = parameters.value("frailty_floor")
    moves = rng.random(n) < parameters.value("county_move_share")
    move_month = np.where(moves, rng.integers(1, calendar.n_months, n), NEVER)
    return People(
        number=pseudonym_numbers(first, n),
        race=rng.choice(len(races(parameters)), size=n, p=parameters.shares("race_weight")).astype(
            np.int32
        ),
        is_female=rng.random(n) < parameters.value("female_share"),
        birth_day=birth_day,
        death_day=_death_day(birth_day, age_group, need, calendar, parameters, rng),
        age_group=age_group,
        is_adult=is_adult,
        need=need,
        focus=focus,
        second_focus=second,
        frailty=floor + (1 - floor) * rng.gamma(shape, 1 / shape, n),
        county=county,
        new_county=rng.choice(len(counties.names), size=n, p=counties.shares).astype(np.int32),
        move_month=move_month.astype(np.int32),
        dual_from=_dual_from(n, calendar, parameters, rng),
        full_scope_from=full_scope_from,
        aid=_aid(full_scope_from, age_group, parameters, rng),
    )


def _need(
    county: NDArray[np.int32], counties: Counties, parameters: Parameters, rng: np.random.Generator
) -> NDArray[np.int32]:
    """High-need members anywhere; carry-over members where a predecessor program ran."""
    draw = rng.random(len(county))
    high, carried = parameters.value("high_need_share"), parameters.value("carry_over_share")
    need = np.where(draw < high, HIGH_NEED, NO_NEED)
    is_carried = (draw >= high) & (draw < high + carried) & counties.has_predecessor[county]
    return np.where(is_carried, CARRY_OVER, need).astype(np.int32)


def _age_group(
    need: NDArray[np.int32], parameters: Parameters, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Age group by need: ECM began with adults."""
    n = len(need)
    everyone = rng.choice(3, size=n, p=parameters.shares("age_weight"))
    in_need = rng.choice(3, size=n, p=parameters.shares("high_need_age_weight"))
    carried = 1 + (rng.random(n) < 0.1)
    return np.select([need == HIGH_NEED, need == CARRY_OVER], [in_need, carried], everyone).astype(
        np.int32
    )


def _birth_day(
    age_group: NDArray[np.int32], calendar: Calendar, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Birth days uniform inside the age group; some children are born inside the window."""
    low = np.array([-3.5, 21.0, 65.0])[age_group]
    high = np.array([20.9, 64.9, 92.0])[age_group]
    years = low + (high - low) * rng.random(len(age_group))
    born = np.minimum(calendar.starts[0] - years * 365.25, calendar.end_day - 30)
    days: NDArray[np.int32] = born.astype(np.int32)
    return days


def _full_scope_from(
    need: NDArray[np.int32],
    age_years: NDArray[np.float64],
    calendar: Calendar,
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Month from which scope is full: always, or from the 2022 and 2024 expansions."""
    could = (need == NO_NEED) & (age_years >= 26)
    share = parameters.value("limited_scope_share") / 0.5
    is_limited = could & (rng.random(len(need)) < share)
    expansion = np.where(age_years >= 50, calendar.index("2022-05"), calendar.index("2024-01"))
    return np.where(is_limited, expansion, -NEVER).astype(np.int32)


def _focus(
    need: NDArray[np.int32],
    is_adult: NDArray[np.bool_],
    focus_list: FocusList,
    parameters: Parameters,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """First and second population of focus, -1 for none."""
    n = len(need)
    picks = []
    for _ in range(2):
        adult = _draw_focus("adult", n, focus_list, parameters, rng)
        child = _draw_focus("child_youth", n, focus_list, parameters, rng)
        picks.append(np.where(is_adult, adult, child))
    first, second = picks
    has_need = need != NO_NEED
    has_second = (rng.random(n) < parameters.value("second_population_of_focus_share")) & (
        first != second
    )
    return (
        np.where(has_need, first, -1).astype(np.int32),
        np.where(has_need & has_second, second, -1).astype(np.int32),
    )


def _draw_focus(
    age_group: str,
    n: int,
    focus_list: FocusList,
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Draw populations of focus of one age group."""
    name = f"population_of_focus_weight_{age_group}"
    rows = focus_list.rows_of(age_group)
    numbers = np.array([rows[code] for code in parameters.groups(name)], dtype=np.int32)
    return numbers[rng.choice(len(numbers), size=n, p=parameters.shares(name))]


def _death_day(
    birth_day: NDArray[np.int32],
    age_group: NDArray[np.int32],
    need: NDArray[np.int32],
    calendar: Calendar,
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Day of death from a constant monthly hazard; far after the window for the living."""
    hazard = parameters.by_group("death_hazard", AGE_GROUPS)[age_group]
    hazard = hazard * np.where(need == NO_NEED, 1.0, parameters.value("high_need_death_ratio"))
    months = rng.exponential(1 / hazard)
    day = np.maximum(calendar.starts[0], birth_day + 1) + np.minimum(months * 30.4375, 1e6)
    return np.where(day <= calendar.end_day, day, calendar.end_day + NEVER).astype(np.int32)


def _dual_from(
    n: int, calendar: Calendar, parameters: Parameters, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Month from which the member has Medicare too."""
    draw = rng.random(n)
    always, later = parameters.value("dual_share"), parameters.value("becomes_dual_share")
    month = rng.integers(1, calendar.n_months, n)
    return np.select([draw < always, draw < always + later], [-NEVER, month], NEVER).astype(
        np.int32
    )


def _aid(
    full_scope_from: NDArray[np.int32],
    age_group: NDArray[np.int32],
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Aid group, position in `AID_CODES`; it tells nothing about use."""
    everyone = rng.choice(4, size=len(age_group), p=parameters.shares("aid_group_weight"))
    by_age = np.where((age_group == 0) & (everyone == 1), 0, everyone)
    by_age = np.where((age_group > 0) & (everyone == 3), 1, by_age)
    by_age = np.where(age_group == 2, 2, by_age)
    return np.where(full_scope_from > -NEVER, 4, by_age).astype(np.int32)


def in_focus(people: People, focus_list: FocusList, codes: tuple[str, ...]) -> NDArray[np.bool_]:
    """Whether a member's first or second population of focus is one of `codes`."""
    rows = [row for row, code in enumerate(focus_list.codes) if code in codes]
    return np.isin(people.focus, rows) | np.isin(people.second_focus, rows)
