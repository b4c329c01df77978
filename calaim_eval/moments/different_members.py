"""Different members and events where a row of the panel stands in several matched sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.moments.packing import sum_by

PARTS = "n_matches"
"""Covariate cell of a matched design: the sign that rows are parts of members."""


@dataclass(frozen=True, slots=True, eq=False)
class DifferentMembers:
    """At least so many different members and events stand behind the cells of a matched design.

    A member who is in k sets counts 1/k in each of them. Sums over any cells are then never more
    than the different members in them, and equal them where all sets of each are among the cells.

    Attributes
    ----------
    at_risk : np.ndarray
        Member-months, shape (n_cells, T).
    events : Mapping[str, np.ndarray]
        By outcome: events (of amounts: member-months that are not 0); shape (n_cells, T).
    """

    at_risk: np.ndarray
    events: Mapping[str, np.ndarray]

    def select(self, rows: np.ndarray) -> DifferentMembers:
        """Some of the cells."""
        return self._each(lambda values: values[rows])

    def summed(self, group: np.ndarray, n_groups: int) -> DifferentMembers:
        """Cells added up within groups."""
        return self._each(lambda values: sum_by(values, group, n_groups))

    def below(self, other: DifferentMembers) -> DifferentMembers:
        """The cells of another plan under these."""
        return DifferentMembers(
            np.concatenate([self.at_risk, other.at_risk]),
            {k: np.concatenate([v, other.events[k]]) for k, v in self.events.items()},
        )

    def nobody(self, n_cells: int) -> DifferentMembers:
        """Other cells, of which it is not known who is in them."""
        return self._each(lambda values: np.zeros((n_cells, values.shape[1])))

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> DifferentMembers:
        """Every array changed in the same way."""
        return DifferentMembers(
            change(self.at_risk), {name: change(values) for name, values in self.events.items()}
        )


def share_of_member(parts: pd.DataFrame, person: str) -> np.ndarray:
    """1 over the sets a member is in on the same side, for each part; shape (n_parts,).

    Parameters
    ----------
    parts : pd.DataFrame
        `cohort` (missing for matches) and the column `person`.
    """
    sides = [parts[person].astype("str"), parts["cohort"].notna()]
    return np.asarray(1.0 / parts.groupby(sides, sort=False)["cohort"].transform("size"))
