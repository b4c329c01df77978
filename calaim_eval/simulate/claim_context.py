"""What every kind of claim needs: members, facilities, codes, numbers, prices, payment days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.columns import MISSING
from calaim_eval.simulate.facilities import Facilities
from calaim_eval.simulate.lines import ClaimNumbers, Codebook
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import People

_SHELTER = ("Z5900", "Z5902", "Z59.01")


@dataclass(frozen=True, slots=True)
class ClaimContext:
    """What every kind of claim needs to be written."""

    people: People
    calendar: Calendar
    facilities: Facilities
    codebook: Codebook
    numbers: ClaimNumbers
    is_homeless: NDArray[np.bool_]
    rng: np.random.Generator

    def payment_day(self, served: NDArray[np.int32], lag: NDArray[np.float64]) -> NDArray[np.int32]:
        """Day of payment."""
        return (served + 1 + np.minimum(lag, 2000.0)).astype(np.int32)

    def county(self, member: NDArray[np.int64], month: NDArray[np.int64]) -> NDArray[np.int32]:
        """County of residence at each event."""
        moved = month >= self.people.move_month[member]
        return np.where(moved, self.people.new_county[member], self.people.county[member])


def cents(dollars: float, sigma: float, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Prices in cents around a median."""
    return np.rint(100 * dollars * np.exp(sigma * rng.standard_normal(n))).astype(np.int64)


def payment_lags(n: int, parameters: Parameters, rng: np.random.Generator) -> NDArray[np.float64]:
    """Days from service to payment."""
    spread = parameters.value("payment_lag_sigma") * rng.standard_normal(n)
    lags: NDArray[np.float64] = parameters.value("payment_lag_median") * np.exp(spread)
    return lags


def take(columns: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Take rows of the columns that are arrays; keep single values."""
    return {name: c[rows] if np.ndim(c) else c for name, c in columns.items()}


def shelter_code(context: ClaimContext, member: NDArray[np.int64]) -> NDArray[np.int32]:
    """Homelessness diagnosis on some claims of members who are homeless: it is under-coded."""
    codes = context.codebook.codes("diagnosis_code_1", _SHELTER)
    pick = codes[context.rng.integers(0, len(codes), len(member))]
    shown = context.is_homeless[member] & (context.rng.random(len(member)) < 0.35)
    return np.where(shown, pick, MISSING).astype(np.int32)
