"""Referrals among organizations of several counties that one coordinator joins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

_TYPES = ("hospital", "clinic", "county_agency", "cbo", "cbo", "cbo", "cbo", "for_profit")
_COUNTIES = ("Fresno", "Kern", "Kings", "Madera", "Merced", "Tulare")
_LEADERSHIP = ("black_led", "latinx_led", "white_led", "not_reported")
_GROUPS = ("hispanic", "white", "black", "asian", "unknown")
_GROUP_SHARES = (0.45, 0.25, 0.12, 0.10, 0.08)
COORDINATOR = "O00000"


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedNetwork:
    """Tables of a simulated referral network, and what is true of it.

    Attributes
    ----------
    referral, organization, person : pd.DataFrame
        Columns of the tables of these names.
    coordinator : str
        The organization that alone joins the counties.
    large_ties : frozenset of (str, str)
        Ties of 11 members or more.
    small_ties : frozenset of (str, str)
        Ties of 1 to 10 members.
    n_counties : int
        Components that are left of the large ties without the coordinator.
    """

    referral: pd.DataFrame
    organization: pd.DataFrame
    person: pd.DataFrame
    coordinator: str
    large_ties: frozenset[tuple[str, str]]
    small_ties: frozenset[tuple[str, str]]
    n_counties: int


def simulate_referral_network(
    *, counties: int = 4, last_day: str = "2024-12-31", seed: int = 1
) -> SimulatedNetwork:
    """Simulate a year of referrals with a known coordinator, brokers and small ties.

    In each county a hospital refers to a clinic, an agency and community-based organizations,
    which refer on among themselves. Hospitals refer to the coordinator and it to organizations of
    every county; nothing else crosses county lines with many members.

    Parameters
    ----------
    counties : int
        1 to 6.
    last_day : str
        Referrals are of the year to it.
    seed : int

    Returns
    -------
    SimulatedNetwork

    Examples
    --------
    >>> from calaim_eval.simulate import simulate_referral_network
    >>> network = simulate_referral_network(counties=3)
    >>> network.coordinator, network.n_counties
    ('O00000', 3)
    """
    rng = np.random.default_rng(seed)
    organization = _organizations(counties, rng)
    large = _large_ties(counties, rng)
    small = _small_ties(organization["organization_id"].to_list(), large, rng)
    sizes = {tie: 11 + int(rng.negative_binomial(2, 0.03)) for tie in sorted(large)}
    sizes |= {tie: int(rng.integers(1, 11)) for tie in sorted(small)}
    referral = _referrals(sizes, last_day, rng)
    members = referral["member_id"].unique()
    person = pd.DataFrame(
        {
            "member_id": members,
            "race_ethnicity": rng.choice(_GROUPS, len(members), p=_GROUP_SHARES),
        }
    )
    return SimulatedNetwork(
        referral, organization, person, COORDINATOR, frozenset(large), frozenset(small), counties
    )


def _organizations(counties: int, rng: np.random.Generator) -> pd.DataFrame:
    """The coordinator, and the same kinds of organization in every county."""
    rows = [(COORDINATOR, "Valley Care Coordination", "cbo", "Tulare", "latinx_led")]
    for c in range(counties):
        for k, kind in enumerate(_TYPES):
            name = f"{_COUNTIES[c]} {kind.replace('_', ' ')} {k}"
            led = str(rng.choice(_LEADERSHIP))
            rows.append((_id(c, k), name, kind, _COUNTIES[c], led))
    columns = ["organization_id", "organization_name", "organization_type"]
    return pd.DataFrame(rows, columns=[*columns, "headquarters_county", "leadership"])


def _id(county: int, number: int) -> str:
    return f"O{1 + county * len(_TYPES) + number:05d}"


def _large_ties(counties: int, rng: np.random.Generator) -> set[tuple[str, str]]:
    """Ties of many members: a county each in one piece, and the coordinator to all of them."""
    ties = set()
    for c in range(counties):
        others = [_id(c, k) for k in range(1, len(_TYPES))]
        ties |= {(_id(c, 0), other) for other in others}
        ties |= {(a, b) for a in others for b in others if a != b and rng.random() < 0.12}
        ties |= {(_id(c, 0), COORDINATOR), (COORDINATOR, _id(c, 3)), (COORDINATOR, _id(c, 4))}
    return ties


def _small_ties(
    ids: list[str], large: set[tuple[str, str]], rng: np.random.Generator
) -> set[tuple[str, str]]:
    """Ties of a few members anywhere, county lines or not."""
    drawn = {(str(a), str(b)) for a, b in rng.choice(ids, size=(2 * len(ids), 2)) if a != b}
    return drawn - large


def _referrals(
    sizes: dict[tuple[str, str], int], last_day: str, rng: np.random.Generator
) -> pd.DataFrame:
    """One or two referrals of each member of a tie."""
    sender, receiver, member = [], [], []
    first = 0
    for (a, b), size in sizes.items():
        times = 1 + (rng.random(size) < 0.2)
        member += [f"M{m:09d}" for m in np.repeat(np.arange(first, first + size), times)]
        sender += [a] * int(times.sum())
        receiver += [b] * int(times.sum())
        first += size
    n = len(member)
    days = pd.Timestamp(last_day) - pd.to_timedelta(rng.integers(0, 365, n), unit="D")
    return pd.DataFrame(
        {
            "referral_id": [f"F{k:09d}" for k in range(n)],
            "member_id": member,
            "from_organization_id": sender,
            "to_organization_id": receiver,
            "service": "ecm",
            "referred_date": days,
        }
    )
