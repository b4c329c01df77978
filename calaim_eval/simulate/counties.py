"""Counties as the simulation sees them: weight, ECM phase, plans before and after 2024."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.parameters import Parameters, read_codes

PLAN_TRANSITION = "2024-01-01"

_PLAN_NAMES = {
    "Two-Plan": ("{county} Local Initiative", "{county} Commercial Plan"),
    "GMC": (
        "{county} Geographic Plan A",
        "{county} Geographic Plan B",
        "{county} Geographic Plan C",
    ),
    "Regional": ("Regional Commercial Plan A", "Regional Commercial Plan B"),
    "COHS": ("{region} County Organized Health System",),
    "Single Plan": ("{county} Single Plan",),
    "Imperial": ("Imperial Commercial Plan A", "Imperial Commercial Plan B"),
    "San Benito": ("San Benito Commercial Plan",),
}
_PLAN_SHARES = np.array([[1.0, 1.0, 1.0], [0.68, 1.0, 1.0], [0.45, 0.8, 1.0]])


@dataclass(frozen=True, slots=True)
class Counties:
    """The 58 counties in the order of the code list.

    Attributes
    ----------
    names : tuple[str, ...]
    shares : NDArray
        Chance that a member lives there; shape (58,).
    phase : NDArray
        ECM phase 1 or 2.
    has_predecessor : NDArray
        Whole Person Care or Health Homes ran there, and the county is in phase 1.
    plans : tuple[str, ...]
        All plan names.
    plan_before, plan_after : NDArray
        Plan number by county and slot, before and from 2024-01; shape (58, 3).
    plan_cut : NDArray
        Cumulative share of the slots; shape (58, 3).
    n_plans : NDArray
        Plans a member can choose from; shape (58,).
    """

    names: tuple[str, ...]
    shares: NDArray[np.float64]
    phase: NDArray[np.int32]
    has_predecessor: NDArray[np.bool_]
    plans: tuple[str, ...]
    plan_before: NDArray[np.int32]
    plan_after: NDArray[np.int32]
    plan_cut: NDArray[np.float64]
    n_plans: NDArray[np.int32]


def load_counties(parameters: Parameters) -> Counties:
    """Read the county code list and give each county its plans and weight."""
    rows = read_codes("county")
    names = tuple(row["county"] for row in rows)
    plans: dict[str, int] = {}
    before = np.array([_slots(row, row["plan_model_2022"], "", plans) for row in rows])
    suffix = [" 2024" if row["model_changed_2024"] == "1" else "" for row in rows]
    after = np.array(
        [
            _slots(row, row["plan_model_2024"], mark, plans)
            for row, mark in zip(rows, suffix, strict=True)
        ]
    )
    n_plans = np.array([len(_PLAN_NAMES[row["plan_model_2022"]]) for row in rows])
    weight = parameters.by_group("county_weight", names)
    even = parameters.value("county_uniform_share")
    phase = np.array([int(row["ecm_phase"]) for row in rows])
    predecessor = np.array([row["wpc_pilot"] == "1" or row["hhp"] == "1" for row in rows])
    return Counties(
        names=names,
        shares=(1 - even) * weight / weight.sum() + even / len(names),
        phase=phase.astype(np.int32),
        has_predecessor=predecessor & (phase == 1),
        plans=tuple(plans),
        plan_before=before.astype(np.int32),
        plan_after=after.astype(np.int32),
        plan_cut=_PLAN_SHARES[n_plans - 1],
        n_plans=n_plans.astype(np.int32),
    )


def _slots(row: dict[str, str], model: str, suffix: str, plans: dict[str, int]) -> list[int]:
    """Number the three plan slots of a county; a model with fewer plans repeats its last one."""
    names = [
        name.format(county=row["county"], region=row["region"]) + suffix
        for name in _PLAN_NAMES[model]
    ]
    names += [names[-1]] * (3 - len(names))
    return [plans.setdefault(name, len(plans)) for name in names]
