"""How the eligibility systems record race and ethnicity: codes, and what goes missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import People, races

# Codes a group may be recorded under; the first system has one field for race and ethnicity.
_MEDS = {
    "hispanic": ("2",),
    "white": ("1",),
    "asian": ("7", "C", "V", "K", "N", "H"),
    "black": ("3",),
    "multiple": ("Z",),
    "other": ("Z",),
    "mena": ("1",),
    "nhpi": ("P", "M", "R"),
    "aian": ("5",),
}
_CDC = {
    "hispanic": ("2131-1", "2106-3", "2056-0", ""),
    "white": ("2106-3",),
    "asian": ("2034-7", "2036-2", "2047-9", "2040-4", "2029-7"),
    "black": ("2056-0",),
    "multiple": ("2131-1",),
    "other": ("2131-1",),
    "mena": ("2118-8",),
    "nhpi": ("2079-2", "2080-0", "2086-7"),
    "aian": ("1002-5",),
}
_RECORDED_AS = {
    ("meds", "multiple"): "other",
    ("meds", "mena"): "white",
    ("cdc_omb", "multiple"): "other",
}
_HISPANIC, _NOT_HISPANIC = "2135-2", "2186-5"
_UNDIVIDED = "4"


@dataclass(frozen=True, slots=True)
class RecordedRace:
    """What the person table says; object arrays of shape (n,), None where missing.

    `group` is the analysis group the recorded codes stand for.
    """

    race_code: NDArray[np.object_]
    race_code_system: NDArray[np.object_]
    ethnicity_code: NDArray[np.object_]
    ethnicity_code_system: NDArray[np.object_]
    group: NDArray[np.object_]


def record_race(
    people: People, *, parameters: Parameters, rng: np.random.Generator
) -> RecordedRace:
    """Record each member's race and ethnicity, with values missing not at random."""
    groups = np.array(races(parameters), dtype=object)
    truth = groups[people.race]
    is_cdc = rng.random(people.n) < parameters.value("cdc_race_system_share")
    pick = rng.random(people.n)
    meds, cdc = _codes(truth, _MEDS, pick), _codes(truth, _CDC, pick)
    is_undivided = (
        ~is_cdc
        & np.isin(people.race, [list(groups).index(g) for g in ("asian", "nhpi")])
        & (rng.random(people.n) < parameters.value("asian_pi_undivided_share"))
    )
    missing = _is_missing(people, truth == "hispanic", parameters, rng)
    declined = missing & (rng.random(people.n) < parameters.value("race_declined_share_of_missing"))
    meds[is_undivided] = _UNDIVIDED
    meds[missing] = np.where(rng.random(people.n) < 0.5, "0", "8").astype(object)[missing]
    meds[declined] = "9"
    cdc[missing | (cdc == "")] = None
    race_code = meds.copy()
    race_code[is_cdc] = cdc[is_cdc]
    ethnicity = _nothing(people.n)
    shown = is_cdc & ~missing
    ethnicity[shown] = np.where(truth == "hispanic", _HISPANIC, _NOT_HISPANIC).astype(object)[shown]
    ethnicity_system = _nothing(people.n)
    ethnicity_system[shown] = "cdc_omb"
    system = np.where(is_cdc, "cdc_omb", "meds").astype(object)
    group = np.array(
        [_RECORDED_AS.get((s, t), t) for s, t in zip(system, truth, strict=True)], dtype=object
    )
    group[is_undivided] = "asian_pi_unsplit"
    group[missing] = "unknown"
    group[declined & ~is_cdc] = "declined"
    return RecordedRace(race_code, system, ethnicity, ethnicity_system, group)


def _nothing(n: int) -> NDArray[np.object_]:
    """Make a text array of missing values."""
    return np.full(n, None, dtype=object)


def _codes(
    truth: NDArray[np.object_], table: dict[str, tuple[str, ...]], pick: NDArray[np.float64]
) -> NDArray[np.object_]:
    """Pick one of the codes of each member's group."""
    codes = np.empty(len(truth), dtype=object)
    for group, choices in table.items():
        rows = np.flatnonzero(truth == group)
        positions = (pick[rows] * len(choices)).astype(int)
        codes[rows] = np.array(choices, dtype=object)[positions]
    return codes


def _is_missing(
    people: People,
    is_hispanic: NDArray[np.bool_],
    parameters: Parameters,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Missing more often for Hispanic members and for members with little use."""
    contact = np.log(people.frailty)
    contact = (contact - contact.mean()) / max(float(contact.std()), 1e-9)
    score = is_hispanic * np.log(parameters.value("race_missing_odds_hispanic"))
    score = score - contact * np.log(parameters.value("race_missing_odds_low_contact"))
    share = parameters.value("race_missing_share")
    low, high = -10.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        is_too_low = (1 / (1 + np.exp(-(middle + score)))).mean() < share
        low, high = (middle, high) if is_too_low else (low, middle)
    chance: NDArray[np.float64] = 1 / (1 + np.exp(-(low + score)))
    return rng.random(people.n) < chance
