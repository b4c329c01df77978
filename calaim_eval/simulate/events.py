"""Events: who, which month, which day, in which of the two worlds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one kind; arrays of shape (n_events,).

    Attributes
    ----------
    member, month, day : NDArray
        Member of the chunk, month number and day number of the start.
    days : NDArray
        Length in days; 0 where it has none.
    in_real, in_counterfactual : NDArray
        Happens in the simulated world; would happen without ECM.
    """

    member: NDArray[np.int64]
    month: NDArray[np.int64]
    day: NDArray[np.int32]
    days: NDArray[np.int32]
    in_real: NDArray[np.bool_]
    in_counterfactual: NDArray[np.bool_]


def explode(
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """One row per event of a (n, n_months) count matrix: member, month, order within the month."""
    flat = np.flatnonzero(counts)
    number = counts.ravel()[flat]
    cell = np.repeat(flat, number)
    order = np.arange(len(cell)) - np.repeat(np.cumsum(number) - number, number)
    member, month = np.divmod(cell, counts.shape[1])
    return member, month, order
