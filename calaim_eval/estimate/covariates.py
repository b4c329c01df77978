"""Covariates of a model: numbers and categories as columns, checked before anything is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.errors import EstimationError, TableError, quoted
from calaim_eval.moments.panel_rows import BEYOND, is_usable

RANK_TOLERANCE = 1e-9
"""Share of a column's variance that others must leave unexplained, or it adds nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class CovariateColumns:
    """Covariates of n rows as p columns, without an intercept.

    Attributes
    ----------
    values : np.ndarray
        NaN where a covariate is missing; shape (n, p).
    names : tuple[str, ...]
        Of each column; a category's are ``"plan=B"``, the first in order being the reference.
    category : tuple[str, ...]
        The category an indicator is of; empty for a number; one a column.
    """

    values: np.ndarray
    names: tuple[str, ...]
    category: tuple[str, ...] = ()

    @property
    def is_known(self) -> np.ndarray:
        """Rows with every covariate; shape (n,), bool."""
        return np.asarray(~np.isnan(self.values).any(axis=1))

    def among(self, kept: np.ndarray) -> CovariateColumns:
        """Some rows, with the levels that occur in them; the first of these is the reference.

        A level that only rows set aside have is none of the comparison. A category with one level
        left keeps a constant column, for `require_full_rank` to name.

        Parameters
        ----------
        kept : np.ndarray
            Positions or bools of the rows.
        """
        values = self.values[kept]
        stays = np.ones(len(self.names), dtype=bool)
        for name in dict.fromkeys(c for c in self.category if c):
            own = np.flatnonzero([c == name for c in self.category])
            occurs = (values[:, own] == 1).any(axis=0)
            has_reference = (values[:, own] != 1).all(axis=1).any()
            left = own[occurs] if has_reference else own[occurs][1:]
            stays[own] = False
            stays[left if len(left) else own[:1]] = True
        chosen = np.flatnonzero(stays)
        return CovariateColumns(
            values[:, chosen],
            tuple(self.names[j] for j in chosen),
            tuple(self.category[j] for j in chosen) if self.category else (),
        )


def covariate_columns(
    frame: pd.DataFrame, covariates: Sequence[str], categorical: Sequence[str], *, where: str
) -> CovariateColumns:
    """Numbers as they are, each category but the first as an indicator.

    Raises
    ------
    TableError
        A column is absent, named twice, infinite, or not a number and not in `categorical`.
    """
    named = (*covariates, *categorical)
    repeated = sorted({name for name in named if named.count(name) > 1})
    if repeated:
        raise TableError(f"`{repeated[0]}` is named twice among the covariates; once is enough.")
    absent = [name for name in named if name not in frame.columns]
    if absent:
        raise TableError(f"{where} lacks {quoted(absent)}; it has {quoted(list(frame.columns))}.")
    columns = [_number(frame[name], where=where)[:, None] for name in covariates]
    names, category = list(covariates), [""] * len(covariates)
    for name in categorical:
        indicators, levels = _indicators(frame[name])
        columns.append(indicators)
        names += [f"{name}={level}" for level in levels]
        category += [name] * len(levels)
    values = np.hstack([np.zeros((len(frame), 0)), *columns])
    return CovariateColumns(values, tuple(names), tuple(category))


def require_full_rank(values: np.ndarray, names: Sequence[str], *, where: str) -> None:
    """Refuse columns that are constant or follow from the others, by name.

    Parameters
    ----------
    values : np.ndarray
        Without an intercept (one is understood); shape (n, p).
    """
    centred = values - values.mean(axis=0)
    size = np.sqrt((centred**2).mean(axis=0))
    constant = size <= RANK_TOLERANCE * np.abs(values).max(axis=0, initial=0.0)
    if constant.any():
        raise EstimationError(
            f"{where}: {quoted([n for n, c in zip(names, constant, strict=True) if c])} "
            f"{'do' if constant.sum() > 1 else 'does'} not vary among the {len(values):,} rows "
            "used. Leave it out; the estimates without it are the same."
        )
    dependent = dependent_columns(centred / size)
    if dependent:
        last = dependent[-1]
        others = ", ".join(f"`{n}`" for j, n in enumerate(names) if j not in dependent)
        raise EstimationError(
            f"{where}: {quoted([names[j] for j in dependent])} follow"
            f"{'' if len(dependent) > 1 else 's'} exactly from {others or 'the intercept'} "
            f"(rank {len(names) - len(dependent)} of {len(names)}). Drop `{names[last]}`"
            f"{' and the others' if len(dependent) > 1 else ''}; the estimates are the same."
        )


def dependent_columns(standardized: np.ndarray) -> list[int]:
    """Positions of columns that are linear combinations of columns before them."""
    gram = standardized.T @ standardized / max(len(standardized), 1)
    dependent: list[int] = []
    left = gram.copy()
    for j in range(len(gram)):
        if left[j, j] <= RANK_TOLERANCE * max(gram[j, j], np.finfo(float).tiny):
            dependent.append(j)
            continue
        left -= np.outer(left[:, j], left[j]) / left[j, j]
    return dependent


def _number(values: pd.Series, *, where: str) -> np.ndarray:
    """A column of numbers as floats; missing is NaN."""
    if not pd.api.types.is_numeric_dtype(values.dtype):
        raise TableError(
            f"{where}: covariate `{values.name}` holds {values.dtype}, not numbers. Name it in "
            "`categorical`, or turn it into numbers."
        )
    numbers = np.asarray(values.to_numpy(dtype=float, na_value=np.nan))
    infinite = int((~(np.isnan(numbers) | is_usable(numbers))).sum())
    if infinite:
        raise TableError(
            f"{where}: covariate `{values.name}` is infinite in "
            f"{part_words(infinite, len(numbers), 'rows')} ({BEYOND}). Mend it, or leave it "
            "missing."
        )
    return numbers


def _indicators(values: pd.Series) -> tuple[np.ndarray, list[str]]:
    """Indicators of every level but the first; NaN where missing; shape (n, levels - 1)."""
    codes, levels = pd.factorize(values, sort=True)
    indicators = (codes[:, None] == np.arange(1, max(len(levels), 1))[None, :]).astype(float)
    indicators[codes < 0] = np.nan
    return indicators, [str(level) for level in list(levels)[1:]]
