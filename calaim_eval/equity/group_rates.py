"""Rates of groups with their joint covariance and population, as disparity measures need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError

Sampling = Literal["count", "share", "normal"]


@dataclass(frozen=True, slots=True, eq=False)
class GroupRates:
    """Rates of the groups of one stratum.

    Attributes
    ----------
    names : list[str]
        Groups; k of them.
    rate : np.ndarray
        In `unit`; shape (k,).
    covariance : np.ndarray
        Joint covariance of the rates; shape (k, k).
    denominator : np.ndarray
        What the rates were counted over; shape (k,), NaN where it is not known.
    population : np.ndarray
        What the shares of the groups are taken from: the denominators, or a population given in
        their place; shape (k,).
    support : pd.DataFrame
        `n_members`, `n_events`, `member_months`; k rows.
    per : float
        Denominator a rate refers to.
    sampling : {"count", "share", "normal"}
        How rates vary if all groups shared one: events over `denominator`, members with something
        over `denominator`, or normal with `covariance`.
    has_error : np.ndarray
        Groups whose standard error is estimated (those with an event); shape (k,), bool.
    degrees : np.ndarray | None
        Degrees of freedom of Student's t; shape (k,), as in an EffectTable.
    """

    names: list[str]
    rate: np.ndarray
    covariance: np.ndarray
    denominator: np.ndarray
    population: np.ndarray
    support: pd.DataFrame
    unit: str
    label: str
    per: float
    sampling: Sampling
    has_error: np.ndarray
    notes: tuple[str, ...] = ()
    degrees: np.ndarray | None = None

    @property
    def share(self) -> np.ndarray:
        """Share of the population; shape (k,), sums to 1."""
        share: np.ndarray = self.population / self.population.sum()
        return share

    def position(self, name: str) -> int:
        """Row of a group; EstimationError when it is not there."""
        if name not in self.names:
            listed = ", ".join(f"'{g}'" for g in self.names)
            raise EstimationError(f"group '{name}' is not there; the groups: {listed}.")
        return self.names.index(name)

    def select(self, rows: Sequence[int]) -> GroupRates:
        """The groups of some rows, in that order."""
        at = np.asarray(rows, dtype=int)
        return GroupRates(
            [self.names[i] for i in at],
            self.rate[at],
            self.covariance[np.ix_(at, at)],
            self.denominator[at],
            self.population[at],
            self.support.iloc[at].reset_index(drop=True),
            self.unit,
            self.label,
            self.per,
            self.sampling,
            self.has_error[at],
            self.notes,
            None if self.degrees is None else self.degrees[at],
        )


def by_group(values: pd.Series, names: list[str], *, what: str) -> np.ndarray:
    """Values of a series in the order of the groups; EstimationError unless each has one."""
    index = values.index.astype(str)
    missing = [n for n in names if n not in index]
    if missing:
        raise EstimationError(
            f"`{what}` lacks {len(missing)} of {len(names)} groups: {_listed(missing)}."
        )
    repeated = set(index[index.duplicated()])
    twice = [n for n in names if n in repeated]
    if twice:
        raise EstimationError(
            f"`{what}` gives {len(twice)} of {len(names)} groups more than once: "
            f"{_listed(twice)}.\n  Give one value a group: add them up first."
        )
    known = np.where(values.isna(), np.nan, values.to_numpy(dtype=object)).astype(float)
    found = pd.Series(known, index=index)[names].to_numpy(dtype=float)
    unknown = [n for n, each in zip(names, found, strict=True) if not np.isfinite(each)]
    if unknown:
        raise EstimationError(
            f"`{what}` is not known for {len(unknown)} of {len(names)} groups: "
            f"{_listed(unknown)}.\n  Give each group a number (a weight may be 0)."
        )
    return np.asarray(found)


def _listed(names: list[str]) -> str:
    """Names for a message."""
    return ", ".join(f"`{n}`" for n in names)


def refuse_groups(names: list[str], is_bad: np.ndarray, what: str) -> None:
    """Raise EstimationError naming the groups."""
    bad = [name for name, each in zip(names, is_bad, strict=True) if each]
    if bad:
        raise EstimationError(
            f"{len(bad)} of {len(names)} groups {what}: {_listed(bad)}.\n"
            "  Leave them out by name and say so, or merge them by a mapping that is logged."
        )
