"""Covariates of exposed and comparison members as numbers, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.errors import DesignError, quoted

SAME = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """Columns of both sides.

    Attributes
    ----------
    names : tuple[str, ...]
        Length p; ``"sex: female"`` for a group, ``"age_years squared"`` for a square.
    exposed, comparison : np.ndarray
        Shapes (n_exposed, p) and (n_comparison, p).
    """

    names: tuple[str, ...]
    exposed: np.ndarray
    comparison: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """Exposed, then comparison."""
        return np.vstack([self.exposed, self.comparison])

    @property
    def is_exposed(self) -> np.ndarray:
        """Side of each row of `both`."""
        return np.arange(len(self.exposed) + len(self.comparison)) < len(self.exposed)


def covariates(
    exposed: pd.DataFrame, comparison: pd.DataFrame, *, squares: Sequence[str], where: str
) -> Covariates:
    """Checked covariates; text columns become one indicator for each level but the first.

    Raises
    ------
    DesignError
        A side is empty, the columns differ, a member repeats, a value is missing or infinite, a
        column is constant or follows from others.
    """
    _check_frames(exposed, comparison, where=where)
    both = pd.concat([exposed, comparison], ignore_index=True)
    columns: dict[str, np.ndarray] = {}
    for name in both.columns:
        columns |= _numbers(both[name], where=where)
    for name in squares:
        if name not in columns:
            raise DesignError(
                f"{where}: `squares` names `{name}`, not a column of numbers. It has "
                f"{quoted(list(columns))}."
            )
        columns[f"{name} squared"] = columns[name] ** 2
    names = tuple(columns)
    values = np.column_stack(list(columns.values()))
    _refuse_dependent(values, names, where=where)
    return Covariates(names, values[: len(exposed)], values[len(exposed) :])


def _check_frames(exposed: pd.DataFrame, comparison: pd.DataFrame, *, where: str) -> None:
    """Raise DesignError unless both sides have rows and the same columns, each member once."""
    if exposed.empty or comparison.empty:
        side = "exposed" if exposed.empty else "comparison"
        raise DesignError(
            f"{where}: there are no {side} members. Weights need members of both sides."
        )
    different = set(exposed.columns) ^ set(comparison.columns)
    if different or exposed.columns.has_duplicates:
        raise DesignError(
            f"{where}: both frames need the same columns, each once; they differ in "
            f"{quoted(sorted(map(str, different))) or 'a repeated column'}."
        )
    index = exposed.index.append(comparison.index)
    repeated = int(index.duplicated().sum())
    if repeated:
        raise DesignError(
            f"{where}: {part_words(repeated, len(index), 'rows')} repeat a member (the frames' "
            "index). "
            'Give one row per member: frame.set_index("member_id").'
        )


def _numbers(column: pd.Series, *, where: str) -> dict[str, np.ndarray]:
    """A column as numbers: itself, or indicators of its levels without the first."""
    missing = int(column.isna().sum())
    if not missing and (pd.api.types.is_numeric_dtype(column) or column.dtype == bool):
        values = column.to_numpy(dtype=float)
        missing = int((~np.isfinite(values)).sum())
        if not missing:
            return {str(column.name): values}
    if missing:
        raise DesignError(
            f"{where}: `{column.name}` is missing or infinite in "
            f"{part_words(missing, len(column), 'members')}. Drop it, or make unknown a group of "
            "its own."
        )
    levels = sorted(set(column.astype(str)))
    if len(levels) == 1:
        raise DesignError(
            f"{where}: `{column.name}` is the same for every member; there is nothing to balance. "
            "Leave it out."
        )
    text = column.astype(str)
    return {f"{column.name}: {g}": (text == g).to_numpy(dtype=float) for g in levels[1:]}


def _refuse_dependent(values: np.ndarray, names: Sequence[str], *, where: str) -> None:
    """Raise DesignError for constant columns, and for columns that follow from others."""
    centred = values - values.mean(axis=0)
    scale = np.sqrt((centred**2).mean(axis=0))
    size = np.sqrt((values**2).mean(axis=0))
    constant = [n for n, s, z in zip(names, scale, size, strict=True) if s <= SAME * z]
    if constant:
        raise DesignError(
            f"{where}: {quoted(constant)} is the same for every member; there is nothing to "
            "balance. Leave it out."
        )
    _, eigenvalues, vectors = np.linalg.svd(
        (centred / scale).T @ (centred / scale) / len(values), hermitian=True
    )
    if eigenvalues[-1] < 1e-10:
        loads = np.abs(vectors[-1])
        involved = [n for n, load in zip(names, loads, strict=True) if load > 0.01 * loads.max()]
        rank = int((eigenvalues >= 1e-10).sum())
        raise DesignError(
            f"{where}: covariates {quoted(involved)} are collinear (rank {rank} of "
            f"{len(names)}).\n  Drop one."
        )
