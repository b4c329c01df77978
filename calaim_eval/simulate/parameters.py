"""Every number the simulation assumes, read from `parameters.csv` and carried into the truth."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from calaim_eval.errors import StudyFileError


@dataclass(frozen=True, slots=True)
class Parameters:
    """Named values, each with a group, a unit, a source and a status.

    Attributes
    ----------
    rows : tuple[dict[str, str], ...]
        The file's rows as written: parameter, group, value, unit, source, status.
    values : dict[tuple[str, str], float]
        Value by (parameter, group).
    """

    rows: tuple[dict[str, str], ...]
    values: dict[tuple[str, str], float]

    def value(self, parameter: str, group: str = "all") -> float:
        """Return one value."""
        try:
            return self.values[parameter, group]
        except KeyError:
            known = sorted({name for name, _ in self.values})
            raise StudyFileError(
                f"simulation parameter `{parameter}` has no group `{group}`. "
                f"Known parameters: {', '.join(known)}."
            ) from None

    def by_group(self, parameter: str, groups: Sequence[str]) -> NDArray[np.float64]:
        """Return the values of one parameter in the order of `groups`; shape (len(groups),)."""
        return np.array([self.value(parameter, group) for group in groups])

    def groups(self, parameter: str) -> tuple[str, ...]:
        """Return the groups of one parameter, in file order."""
        return tuple(group for name, group in self.values if name == parameter)

    def shares(self, parameter: str) -> NDArray[np.float64]:
        """Return one parameter's weights scaled to add up to one, in file order."""
        weights = self.by_group(parameter, self.groups(parameter))
        shares: NDArray[np.float64] = weights / weights.sum()
        return shares


def load_parameters() -> Parameters:
    """Read the packaged parameter file."""
    text = files("calaim_eval.simulate").joinpath("parameters.csv").read_text(encoding="utf-8")
    rows = tuple(csv.DictReader(text.splitlines()))
    return Parameters(rows, {(r["parameter"], r["group"]): float(r["value"]) for r in rows})


def read_codes(name: str) -> list[dict[str, str]]:
    """Read one of the package's code lists as dictionaries of text."""
    path = files("calaim_eval.schema").joinpath("codes", f"{name}.csv")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
