"""The truth of one chunk, and its totals: effects, use, coverage, funnel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.claims import Prices
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.ecm_course import EcmCourse
from calaim_eval.simulate.eligibility_and_enrollment import Program
from calaim_eval.simulate.measures import (
    COUNTED_FROM_EVENTS,
    count_measures,
    paid_change_cents,
    real_world,
    world_in_extract,
    world_without_ecm,
)
from calaim_eval.simulate.organizations import TYPES
from calaim_eval.simulate.people import CARRY_OVER, NEVER, NO_NEED, People, races
from calaim_eval.simulate.use import Use
from calaim_eval.simulate.world import World

EXPECTED = ("ed_visits", "inpatient_stays", "outpatient_visits", "ambulance_trips", "jail_bookings")
ONSET, CARRIED = "onset", "carry_over"
_COUNTY_PHASE_MONTHS = ("2022-01", "2022-06")


@dataclass(slots=True)
class TruthTotals:
    """Sums over the chunks seen so far."""

    use_by_month: list[pd.DataFrame] = field(default_factory=list)
    effects: list[pd.DataFrame] = field(default_factory=list)
    county_phase: list[pd.DataFrame] = field(default_factory=list)
    funnel: list[pd.DataFrame] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class ChunkTruth:
    """Everything the truth of one chunk is worked out from."""

    world: World
    people: People
    coverage: Coverage
    program: Program
    use: Use
    prices: Prices
    course: EcmCourse
    recorded_group: NDArray[np.object_]
    paid_cents: NDArray[np.int64]
    paid_cents_in_extract: NDArray[np.int64]
    ecm_cents: NDArray[np.int64]
    fill_cents: NDArray[np.int64]
    fill_cents_in_extract: NDArray[np.int64]

    @property
    def calendar(self) -> Calendar:
        """Months of the window."""
        return self.world.calendar

    @property
    def groups(self) -> NDArray[np.object_]:
        """Race and ethnicity groups by number."""
        return np.array(races(self.world.parameters), dtype=object)

    @property
    def month_dates(self) -> NDArray[np.datetime64]:
        """First day of each month of the window."""
        months = self.calendar.first_month + np.arange(self.calendar.n_months)
        return months.astype("datetime64[D]").astype("datetime64[s]")

    def dates_of(self, months: NDArray[np.int32]) -> pd.Series:
        """First day of each member's month; missing where it never comes."""
        inside = months < self.calendar.n_months
        dates = self.calendar.first_month + np.where(inside, months, 0)
        series = pd.Series(dates.astype("datetime64[D]").astype("datetime64[s]"))
        return series.where(inside)


def member_ids(people: People) -> list[str]:
    """Pseudonyms as text."""
    return [f"M{number:09d}" for number in people.number.tolist()]


def member_truth(chunk: ChunkTruth) -> pd.DataFrame:
    """One row per member: traits, true race and ethnicity, months of the ECM course."""
    people, program = chunk.people, chunk.program
    groups = chunk.groups
    codes = np.array([*chunk.world.focus_list.codes, None], dtype=object)
    kinds = np.array([*TYPES, None], dtype=object)
    organization = chunk.course.organization
    kind = np.where(organization >= 0, chunk.world.organizations.kind[organization], len(TYPES))
    is_served = program.served < chunk.calendar.n_months
    county = people.county
    return pd.DataFrame(
        {
            "member_id": member_ids(people),
            "county": np.array(chunk.world.counties.names, dtype=object)[county],
            "ecm_phase": chunk.world.counties.phase[county],
            "race_ethnicity": groups[people.race],
            "recorded_race_ethnicity": chunk.recorded_group,
            "is_high_need": people.need != NO_NEED,
            "is_carry_over": program.is_carry_over,
            "is_high_ed_use_route": program.is_high_use_route,
            "population_of_focus": codes[program.focus],
            "eligibility_month": chunk.dates_of(program.listed),
            "outreach_month": chunk.dates_of(program.outreached),
            "service_month": chunk.dates_of(program.served),
            "organization_type": np.where(is_served, kinds[kind], kinds[-1]),
            "is_cbo_served": program.is_cbo & is_served,
            "persistent_use": people.frailty,
            "covered_months": chunk.coverage.is_covered.sum(axis=1),
        }
    )


def identified_member_months(chunk: ChunkTruth, worlds: dict[str, Any]) -> pd.DataFrame:
    """Member-months of members ever listed: expected and realized use with and without ECM."""
    rows = np.flatnonzero(chunk.program.listed < chunk.calendar.n_months)
    n_months = chunk.calendar.n_months
    ids = np.array(member_ids(chunk.people), dtype=object)
    columns: dict[str, Any] = {
        "member_id": np.repeat(ids[rows], n_months),
        "month": np.tile(chunk.month_dates, len(rows)),
        "is_covered": chunk.coverage.is_covered[rows].ravel(),
        "is_full_scope": chunk.coverage.is_full_scope[rows].ravel(),
        "is_dual": chunk.coverage.is_dual[rows].ravel(),
    }
    for name in EXPECTED:
        without, real = chunk.use.expected[name]
        columns[f"expected_{name}_without_ecm"] = without[rows].ravel()
        columns[f"expected_{name}"] = real[rows].ravel()
    for name in (*COUNTED_FROM_EVENTS, "paid_usd"):
        columns[f"{name}_without_ecm"] = worlds["without"][name][rows].ravel()
        columns[name] = worlds["real"][name][rows].ravel()
    frame = pd.DataFrame(columns)
    return frame[frame["is_covered"]].drop(columns="is_covered")


def count_worlds(chunk: ChunkTruth) -> dict[str, dict[str, Any]]:
    """Measures of the real world, the world without ECM, and the files."""
    people, coverage, calendar = chunk.people, chunk.coverage, chunk.calendar
    worlds = {
        "real": real_world(chunk.use),
        "without": world_without_ecm(chunk.use),
        "extract": world_in_extract(chunk.use, chunk.prices, calendar),
    }
    counted: dict[str, dict[str, Any]] = {
        name: dict(count_measures(chunk.use, world, people, coverage, calendar))
        for name, world in worlds.items()
    }
    change = (
        paid_change_cents(chunk.use, chunk.prices, coverage.segment.shape) * coverage.is_covered
    )
    counted["real"]["paid_usd"] = chunk.paid_cents / 100
    counted["without"]["paid_usd"] = (chunk.paid_cents + change - chunk.ecm_cents) / 100
    counted["extract"]["paid_usd"] = chunk.paid_cents_in_extract / 100
    return counted


def use_by_month(chunk: ChunkTruth, worlds: dict[str, Any]) -> pd.DataFrame:
    """Members, covered days and use by month, scope and dual status."""
    coverage = chunk.coverage
    blocks = []
    for is_full in (True, False):
        for is_dual in (False, True):
            cell = (
                coverage.is_covered
                & (coverage.is_full_scope == is_full)
                & (coverage.is_dual == is_dual)
            )
            block: dict[str, Any] = {
                "month": chunk.month_dates,
                "is_full_scope": is_full,
                "is_dual": is_dual,
                "n_members": cell.sum(axis=0),
                "covered_days": (coverage.covered_days * cell).sum(axis=0),
            }
            for name in (*COUNTED_FROM_EVENTS, "paid_usd"):
                block[name] = (worlds["real"][name] * cell).sum(axis=0)
                block[f"{name}_in_extract"] = (worlds["extract"][name] * cell).sum(axis=0)
            block["pharmacy_usd"] = (chunk.fill_cents * cell).sum(axis=0) / 100
            block["pharmacy_usd_in_extract"] = (chunk.fill_cents_in_extract * cell).sum(
                axis=0
            ) / 100
            blocks.append(pd.DataFrame(block))
    return pd.concat(blocks, ignore_index=True)


def effect_sums(chunk: ChunkTruth, worlds: dict[str, Any]) -> pd.DataFrame:
    """Sums behind the true effects: served members, months from the first service on.

    Full-scope, not dual, covered member-months, by onset or carry-over, race and ethnicity,
    kind of provider and event time.
    """
    program, coverage, n_months = chunk.program, chunk.coverage, chunk.calendar.n_months
    rows = np.flatnonzero(program.served < n_months)
    event_time = np.arange(n_months) - program.served[rows][:, None]
    inside = coverage.is_covered & coverage.is_full_scope & ~coverage.is_dual
    kept = (inside[rows] & (event_time >= 0)).ravel()
    groups = chunk.groups

    def spread(values: NDArray[Any]) -> NDArray[Any]:
        """One value per kept member-month."""
        return np.repeat(values[rows], n_months)[kept]

    columns: dict[str, Any] = {
        "population": np.where(spread(program.is_carry_over), CARRIED, ONSET),
        "race_ethnicity": spread(groups[chunk.people.race]),
        "recorded_race_ethnicity": spread(chunk.recorded_group),
        "is_cbo_served": spread(program.is_cbo),
        "event_time": event_time.ravel()[kept],
        "member_months": 1,
    }
    for name in EXPECTED:
        without, real = chunk.use.expected[name]
        columns[f"{name}|expected_without"] = without[rows].ravel()[kept]
        columns[f"{name}|expected_with"] = real[rows].ravel()[kept]
    for name in (*COUNTED_FROM_EVENTS, "paid_usd"):
        columns[f"{name}|realized_without"] = worlds["without"][name][rows].ravel()[kept]
        columns[f"{name}|realized_with"] = worlds["real"][name][rows].ravel()[kept]
    keys = [
        "population",
        "race_ethnicity",
        "recorded_race_ethnicity",
        "is_cbo_served",
        "event_time",
    ]
    return pd.DataFrame(columns).groupby(keys, sort=True).sum().reset_index()


def county_phase_sums(chunk: ChunkTruth, worlds: dict[str, Any]) -> pd.DataFrame:
    """Sums behind the diluted effect in phase-1 counties, January to June 2022."""
    first, last = (chunk.calendar.index(month) for month in _COUNTY_PHASE_MONTHS)
    first, last = max(first, 0), min(last, chunk.calendar.n_months - 1)
    people, coverage = chunk.people, chunk.coverage
    at_start = people.county_at(np.full(people.n, first - 1, dtype=np.int32))
    rows = np.flatnonzero(chunk.world.counties.phase[at_start] == 1)
    months = slice(first, last + 1)
    inside = (coverage.is_covered & coverage.is_full_scope & ~coverage.is_dual)[rows, months]
    sums: dict[str, Any] = {
        "n_members": int(inside.any(axis=1).sum()),
        "n_served": int((inside.any(axis=1) & (chunk.program.served[rows] <= last)).sum()),
        "member_months": int(inside.sum()),
    }
    for name in EXPECTED:
        without, real = chunk.use.expected[name]
        sums[f"{name}|expected_without"] = (without[rows, months] * inside).sum()
        sums[f"{name}|expected_with"] = (real[rows, months] * inside).sum()
    for name in (*COUNTED_FROM_EVENTS, "paid_usd"):
        sums[f"{name}|realized_without"] = (worlds["without"][name][rows, months] * inside).sum()
        sums[f"{name}|realized_with"] = (worlds["real"][name][rows, months] * inside).sum()
    return pd.DataFrame([sums])


def funnel_counts(chunk: ChunkTruth) -> pd.DataFrame:
    """Members at each step of the access funnel, carry-over members apart."""
    groups = chunk.groups
    program, n_months = chunk.program, chunk.calendar.n_months
    frame = pd.DataFrame(
        {
            "race_ethnicity": groups[chunk.people.race],
            "recorded_race_ethnicity": chunk.recorded_group,
            "is_carry_over": program.is_carry_over,
            "members": 1,
            "identified": program.listed < n_months,
            "outreached": program.outreached < n_months,
            "served": program.served < n_months,
            "cbo_served": program.is_cbo & (program.served < n_months),
        }
    )
    keys = ["race_ethnicity", "recorded_race_ethnicity", "is_carry_over"]
    return frame.groupby(keys, sort=True).sum().astype("int64").reset_index()


def collect(totals: TruthTotals, chunk: ChunkTruth, worlds: dict[str, Any]) -> None:
    """Add one chunk to the totals."""
    totals.use_by_month.append(use_by_month(chunk, worlds))
    totals.effects.append(effect_sums(chunk, worlds))
    totals.county_phase.append(county_phase_sums(chunk, worlds))
    totals.funnel.append(funnel_counts(chunk))
    is_carried = chunk.people.need == CARRY_OVER
    totals.injected["members_high_need"] += int((chunk.people.need != NO_NEED).sum())
    totals.injected["members_carry_over_drawn"] += int(is_carried.sum())
    totals.injected["members_ever_listed"] += int((chunk.program.listed < NEVER).sum())
