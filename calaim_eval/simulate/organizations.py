"""Organizations that deliver ECM and Community Supports, and their contracts with plans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar, day_number
from calaim_eval.simulate.columns import (
    NO_DAY,
    date_column,
    id_column,
    integer_column,
    object_column,
    text_column,
)
from calaim_eval.simulate.counties import PLAN_TRANSITION, Counties
from calaim_eval.simulate.facilities import Facilities, fictional_npi
from calaim_eval.simulate.parameters import read_codes

if TYPE_CHECKING:
    import pyarrow as pa

TYPES = ("cbo", "clinic", "hospital", "county_agency", "tribal", "for_profit", "unknown")
_EXTRA_SHARES = (0.35, 0.25, 0.08, 0.08, 0.03, 0.18, 0.03)
_CONFUSED_WITH = (5, 2, 1, 1, 0, 0, 6)
_OWNERSHIP = ("nonprofit", "nonprofit", "nonprofit", "public", "public", "for_profit", "unknown")
_LEADERSHIP = (
    "black_led",
    "indigenous_led",
    "latinx_led",
    "asian_led",
    "nhpi_led",
    "other_bipoc_led",
    "white_led",
    "not_reported",
)
_LEADERSHIP_SHARES = (0.14, 0.05, 0.22, 0.08, 0.02, 0.06, 0.28, 0.15)
_SERVES = (
    "Black or African American communities",
    "Indigenous communities",
    "Latinx communities",
    "Asian communities",
    "Native Hawaiian and Pacific Islander communities",
    "several communities of color",
    "general population",
    None,
)
_NAMES = {
    "cbo": "Community Partners",
    "clinic": "Health Center",
    "hospital": "Hospital Foundation",
    "county_agency": "County Services Agency",
    "tribal": "Tribal Health Program",
    "for_profit": "Care Management Inc",
    "unknown": "Services",
}
_N_EXTRA = 300
_COORDINATORS_SINCE = "2016-11-01"
_CBO, _CLINIC = TYPES.index("cbo"), TYPES.index("clinic")


@dataclass(frozen=True, slots=True)
class Organizations:
    """Organizations and who can serve whom.

    Attributes
    ----------
    kind : NDArray
        Position in `TYPES`; (n,).
    home : NDArray
        County of the headquarters, -1 out of state; (n,).
    entry_day : NDArray
        Day of market entry; (n,).
    is_idle : NDArray
        Contracted, and serves nobody; (n,).
    serves : NDArray
        Serves the county; (n, n_counties).
    offers : NDArray
        Offers the service; (n, n_services), ECM first.
    services : tuple[str, ...]
        "ecm" and the Community Supports.
    npi : NDArray
        Code of the organization's NPI.
    coordinator : NDArray
        Organization that coordinates the county's referrals, -1 where none does; (n_counties,).
    """

    kind: NDArray[np.int64]
    home: NDArray[np.int64]
    entry_day: NDArray[np.int32]
    is_idle: NDArray[np.bool_]
    serves: NDArray[np.bool_]
    offers: NDArray[np.bool_]
    services: tuple[str, ...]
    npi: NDArray[np.int32]
    leadership: NDArray[np.int64]
    coder_1: NDArray[np.int64]
    coder_2: NDArray[np.int64]
    npi_texts: tuple[str, ...]
    coordinator: NDArray[np.int64]

    @property
    def n(self) -> int:
        """Number of organizations."""
        return len(self.kind)

    def candidates(self, service: int, is_right_kind: NDArray[np.bool_]) -> ProviderTable:
        """Active organizations by county that offer a service, earliest in the market first."""
        active = ~self.is_idle & self.offers[:, service] & is_right_kind
        order = np.argsort(self.entry_day, kind="stable")
        lists = [
            order[active[order] & self.serves[order, county]]
            for county in range(self.serves.shape[1])
        ]
        return ProviderTable(tuple(lists), self.entry_day)


@dataclass(frozen=True, slots=True)
class ProviderTable:
    """Active providers by county, in order of market entry."""

    by_county: tuple[NDArray[np.int64], ...]
    entry_day: NDArray[np.int32]

    def pick(
        self, county: NDArray[np.int32], day: NDArray[np.int32], draw: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Pick a provider in the market on the day; -1 where the county has none."""
        found = np.full(len(county), -1, dtype=np.int64)
        for here in np.unique(county):
            rows = np.flatnonzero(county == here)
            providers = self.by_county[here]
            n_open = np.searchsorted(self.entry_day[providers], day[rows], side="right")
            chosen = (draw[rows] * n_open).astype(np.int64)
            has_one = n_open > 0
            found[rows[has_one]] = providers[chosen[has_one]]
        return found


def draw_organizations(
    counties: Counties, facilities: Facilities, *, rng: np.random.Generator
) -> Organizations:
    """Draw organizations: a CBO and a clinic in every county, more where more members live.

    The last ones coordinate referrals, one in each county where a predecessor of ECM ran.
    """
    n_counties = len(counties.names)
    weight = counties.shares**0.7
    extra_home = rng.choice(n_counties, size=_N_EXTRA, p=weight / weight.sum())
    home = np.concatenate([np.repeat(np.arange(n_counties), 2), extra_home])
    base = np.tile([_CBO, _CLINIC], n_counties)
    kind = np.concatenate([base, rng.choice(len(TYPES), size=_N_EXTRA, p=_EXTRA_SHARES)])
    n, n_base = len(kind), len(base)
    is_extra = np.arange(n) >= n_base
    late_share = np.where(kind == TYPES.index("for_profit"), 0.45, 0.15)
    is_late = is_extra & (rng.random(n) < late_share)
    late_day = day_number("2022-01-01") + rng.integers(0, 900, n)
    entry = np.where(is_late, late_day, day_number("2012-01-01") + rng.integers(0, 3400, n))
    serves = np.zeros((n, n_counties), dtype=bool)
    serves[np.arange(n), home] = True
    for _ in range(3):
        more = is_extra & (rng.random(n) < 0.25)
        serves[np.flatnonzero(more), rng.integers(0, n_counties, int(more.sum()))] = True
    services = ("ecm", *(row["service"] for row in read_codes("community_support")))
    offers = rng.random((n, len(services))) < 0.16
    offers[:, 0] = ~is_extra | (rng.random(n) < 0.7)
    is_out_of_state = (kind == TYPES.index("for_profit")) & (rng.random(n) < 0.3)
    npi_texts = tuple(fictional_npi(5, number) for number in range(n))
    drawn = Organizations(
        kind=kind,
        home=np.where(is_out_of_state, -1, home),
        entry_day=entry.astype(np.int32),
        is_idle=is_extra & (rng.random(n) < 0.22),
        serves=serves,
        offers=offers,
        services=services,
        npi=np.array([facilities.npis.code(text) for text in npi_texts], dtype=np.int32),
        leadership=rng.choice(len(_LEADERSHIP), size=n, p=_LEADERSHIP_SHARES),
        coder_1=_coded(kind, 0.95, rng),
        coder_2=_coded(kind, 0.90, rng),
        npi_texts=npi_texts,
        coordinator=np.full(n_counties, -1),
    )
    return _with_coordinators(drawn, counties, facilities)


def _with_coordinators(
    drawn: Organizations, counties: Counties, facilities: Facilities
) -> Organizations:
    """Organizations, and one county agency more where Whole Person Care or Health Homes ran.

    It has coordinated since then, serves its own county, and offers ECM only.
    """
    home = np.flatnonzero(counties.has_predecessor)
    n, number = len(home), drawn.n + np.arange(len(home))
    kind = np.full(n, TYPES.index("county_agency"))
    texts = tuple(fictional_npi(5, int(each)) for each in number)
    codes = np.array([facilities.npis.code(text) for text in texts], dtype=np.int32)
    coordinator = drawn.coordinator.copy()
    coordinator[home] = number
    serves = np.zeros((n, len(counties.names)), dtype=bool)
    serves[np.arange(n), home] = True
    offers = np.zeros((n, len(drawn.services)), dtype=bool)
    offers[:, 0] = True
    entry = np.full(n, day_number(_COORDINATORS_SINCE), dtype=np.int32)
    led = np.full(n, _LEADERSHIP.index("not_reported"))
    return Organizations(
        kind=np.concatenate([drawn.kind, kind]),
        home=np.concatenate([drawn.home, home]),
        entry_day=np.concatenate([drawn.entry_day, entry]),
        is_idle=np.concatenate([drawn.is_idle, np.zeros(n, dtype=bool)]),
        serves=np.concatenate([drawn.serves, serves]),
        offers=np.concatenate([drawn.offers, offers]),
        services=drawn.services,
        npi=np.concatenate([drawn.npi, codes]),
        leadership=np.concatenate([drawn.leadership, led]),
        coder_1=np.concatenate([drawn.coder_1, kind]),
        coder_2=np.concatenate([drawn.coder_2, kind]),
        npi_texts=(*drawn.npi_texts, *texts),
        coordinator=coordinator,
    )


def _coded(kind: NDArray[np.int64], accuracy: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """What one coder says: mostly the agreed type, sometimes the one it is confused with."""
    return np.where(rng.random(len(kind)) < accuracy, kind, np.array(_CONFUSED_WITH)[kind])


def organization_columns(organizations: Organizations, counties: Counties) -> dict[str, pa.Array]:
    """Columns of the `organization` table."""
    n = organizations.n
    out_of_state = len(counties.names)
    home = np.where(organizations.home < 0, out_of_state, organizations.home)
    place = [*counties.names, "California"]
    called = [_NAMES[TYPES[kind]] for kind in organizations.kind]
    for number in organizations.coordinator[organizations.coordinator >= 0]:
        called[number] = "Care Coordination"
    names = np.array(
        [
            f"{place[where]} {name} {number}"
            for number, (where, name) in enumerate(zip(home, called, strict=True))
        ],
        dtype=object,
    )
    ownership = np.array([_OWNERSHIP[kind] for kind in organizations.kind], dtype=object)
    serves = np.array([_SERVES[who] for who in organizations.leadership], dtype=object)
    return {
        "organization_id": id_column("O", np.arange(n), width=5),
        "organization_name": object_column(names),
        "organization_type": text_column(organizations.kind, TYPES),
        "coder_1_organization_type": text_column(organizations.coder_1, TYPES),
        "coder_2_organization_type": text_column(organizations.coder_2, TYPES),
        "ownership": object_column(ownership),
        "headquarters_county": text_column(home, [*counties.names, "out_of_state"]),
        "market_entry_date": date_column(organizations.entry_day),
        "leadership": text_column(organizations.leadership, _LEADERSHIP),
        "population_served": object_column(serves),
        "npi": object_column(np.array(organizations.npi_texts, dtype=object)),
    }


def contract_columns(
    organizations: Organizations,
    counties: Counties,
    *,
    calendar: Calendar,
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Columns of the `contract` table: plan x organization x county x service.

    Where plans change in 2024 the old contract ends on 2023-12-31 and a new one begins.
    """
    organization, county, service = np.nonzero(
        organizations.serves[:, :, None] & organizations.offers[:, None, :]
    )
    start, end, change = day_number("2022-01-01"), calendar.end_day, day_number(PLAN_TRANSITION)
    go_live = np.where(counties.phase[county] == 1, start, day_number("2022-07-01"))
    go_live = np.where(service == 0, go_live, start)
    begin = np.maximum(go_live, organizations.entry_day[organization])
    rows: list[
        tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    ] = []
    for slot in range(2):
        has_slot = (slot < counties.n_plans[county]) & (
            (slot == 0) | (rng.random(len(county)) < 0.6)
        )
        before, after = counties.plan_before[county, slot], counties.plan_after[county, slot]
        same = before == after
        early = np.flatnonzero(has_slot & (begin < change))
        last = np.where(same[early], int(NO_DAY), change - 1)
        rows.append((early, before[early], begin[early], last))
        late = np.flatnonzero(has_slot & ~(same & (begin < change)) & (change <= end))
        open_end = np.full(len(late), int(NO_DAY))
        rows.append((late, after[late], np.maximum(begin[late], change), open_end))
    pair, plan, first, last = (np.concatenate(columns) for columns in zip(*rows, strict=True))
    repeats = np.stack([organization[pair], plan, county[pair], service[pair]])
    kept = np.sort(np.unique(repeats, axis=1, return_index=True)[1])
    pair, plan, first, last = pair[kept], plan[kept], first[kept], last[kept]
    ended = (
        (rng.random(len(pair)) < 0.06)
        & (last == int(NO_DAY))
        & organizations.is_idle[organization[pair]]
    )
    last = np.where(ended, first + 200, last)
    n_plans = len(counties.plans)
    return {
        "contract_id": id_column("K", organization[pair] * n_plans + plan, width=7),
        "plan": text_column(plan, counties.plans),
        "organization_id": id_column("O", organization[pair], width=5),
        "county": text_column(county[pair], counties.names),
        "service": text_column(service[pair], organizations.services),
        "contract_start_date": date_column(first),
        "contract_end_date": date_column(last),
        "capacity_members": integer_column(rng.integers(5, 120, len(pair))),
    }
