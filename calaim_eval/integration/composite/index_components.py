"""What a composite index is made of: values of several measures by unit, with their error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.integration.inputs import UNKNOWN
from calaim_eval.results import ALL, RateTable

_QUANTILE = float(special.ndtri(0.975))


@dataclass(frozen=True, slots=True, eq=False)
class IndexComponents:
    """Values of the components of an index; restricted, since values may be of few members.

    Attributes
    ----------
    unit_name : str
        e.g. ``"county"``.
    units : np.ndarray
        Shape (n,).
    names : np.ndarray
        Components; shape (k,).
    values : np.ndarray
        NaN where a unit lacks a component; shape (n, k).
    std_errors : np.ndarray
        0 where a value is known exactly (lists that are complete); shape (n, k).
    support : np.ndarray
        Members or events behind each value, the smaller of numerator and what is left over;
        infinite where no persons are behind it; shape (n, k).
    draws : np.ndarray | None
        Values under a bootstrap of the caller, in place of normal draws; shape (b, n, k).
    """

    unit_name: str
    units: np.ndarray
    names: np.ndarray
    values: np.ndarray
    std_errors: np.ndarray
    support: np.ndarray
    draws: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.units), len(self.names))
        for name in ("values", "std_errors", "support"):
            if getattr(self, name).shape != shape:
                raise EstimationError(
                    f"IndexComponents: `{name}` has shape {getattr(self, name).shape}, expected "
                    f"{shape}."
                )
        if self.draws is not None and (self.draws.ndim != 3 or self.draws.shape[1:] != shape):
            raise EstimationError(
                f"IndexComponents: `draws` has shape {self.draws.shape}, expected (b, *{shape})."
            )
        if len(set(self.units)) < len(self.units):
            raise EstimationError("IndexComponents: a unit is there twice.\n  Give each one row.")
        known = np.isfinite(self.values)
        if not (self.std_errors[known] >= 0).all():
            raise EstimationError(
                "IndexComponents: a standard error is missing or below 0 where there is a value.\n"
                "  Give 0 for values of complete lists."
            )

    def __repr__(self) -> str:
        names = ", ".join(map(str, self.names))
        return f"<IndexComponents {len(self.units)} units by {self.unit_name}: {names}>"

    def smallest_support(self) -> np.ndarray:
        """Smallest support of a unit over the components it has; shape (n,)."""
        support = np.where(np.isfinite(self.values), self.support, np.inf)
        return np.asarray(np.where(np.isnan(support), 0.0, support).min(axis=1))

    def select(self, names: list[str]) -> IndexComponents:
        """Components in the order given."""
        at = [list(self.names).index(name) for name in names]
        return self._take(np.arange(len(self.units)), np.array(at))

    def keep(self, mask: np.ndarray) -> IndexComponents:
        """Units where `mask` is true."""
        return self._take(np.flatnonzero(mask), np.arange(len(self.names)))

    def _take(self, rows: np.ndarray, columns: np.ndarray) -> IndexComponents:
        """Rows and columns of every array."""
        grid = np.ix_(rows, columns)
        return replace(
            self,
            units=self.units[rows],
            names=self.names[columns],
            values=self.values[grid],
            std_errors=self.std_errors[grid],
            support=self.support[grid],
            draws=None if self.draws is None else self.draws[:, rows][:, :, columns],
        )

    def draw(self, n_draws: int, *, rng: np.random.Generator) -> np.ndarray:
        """Values as chance may have moved them; shape (n_draws, n, k)."""
        if self.draws is not None:
            return self.draws[rng.integers(0, len(self.draws), n_draws)]
        noise = rng.standard_normal((n_draws, *self.values.shape))
        return np.asarray(self.values + np.nan_to_num(self.std_errors) * noise)


def components_from_rates(tables: Mapping[str, RateTable], *, unit: str) -> IndexComponents:
    """Components of an index from released-to-be rates, one table a component.

    Parameters
    ----------
    tables : mapping of component to RateTable
        Each with the key `unit` and no other that varies; margins (``"all"``) and what is of no
        known unit (``"unknown"``) are left out.
    unit : str
        e.g. ``"county"`` or ``"plan"``.

    Returns
    -------
    IndexComponents
        Standard errors from the 95 % intervals (0 where the table has none); support: of members
        the smallest count of numerator, rest and denominator that is not 0, of organizations
        none.

    Raises
    ------
    EstimationError
        A table lacks the key, has several rows for a unit, or no table is given.

    Examples
    --------
    Closure and coverage of counties, ranked where both are known::

        components_from_rates({"closure": closure, "coverage": cover}, unit="county")
    """
    if not tables:
        raise EstimationError("components_from_rates: no table was given.\n  Give two or more.")
    frames = {name: _of_table(name, table, unit) for name, table in tables.items()}
    units = list(dict.fromkeys(u for frame in frames.values() for u in frame.index))
    columns = {
        column: np.column_stack([f[column].reindex(units).to_numpy() for f in frames.values()])
        for column in ("value", "std_error", "support")
    }
    known = np.isfinite(columns["value"])
    return IndexComponents(
        unit_name=unit,
        units=np.array(units, dtype=object),
        names=np.array(list(frames), dtype=object),
        values=columns["value"].astype(float),
        std_errors=np.where(known, np.nan_to_num(columns["std_error"]), np.nan),
        support=np.where(known, columns["support"], np.nan),
    )


def _of_table(name: str, table: RateTable, unit: str) -> pd.DataFrame:
    """Value, standard error and support of each unit."""
    if unit not in table.keys.columns:
        raise EstimationError(
            f"component `{name}`: its table has no key `{unit}`; it has "
            f"{list(table.keys.columns)}.\n  Make it with by={unit!r}."
        )
    rows = table.select(~table.keys[unit].astype(str).isin([ALL, UNKNOWN]))
    labels = rows.keys[unit].astype(str)
    if labels.duplicated().any():
        raise EstimationError(
            f"component `{name}`: {int(labels.duplicated().sum())} units have several rows.\n"
            "  Select one value of the other keys first: table.select(...)."
        )
    half = (rows.conf_high - rows.conf_low) / (2 * _QUANTILE)
    return pd.DataFrame(
        {
            "value": np.asarray(rows.rate, dtype=float),
            "std_error": half,
            "support": _support(rows),
        },
    ).set_axis(labels.to_numpy())


def _support(rows: RateTable) -> np.ndarray:
    """Smallest count of persons behind each rate; infinite for counts of organizations."""
    if rows.about == "organizations":
        return np.full(len(rows), np.inf)
    counts = [rows.numerator, rows.denominator, rows.n_members]
    if rows.kind == "proportion":
        counts.append(rows.denominator - rows.numerator)
    stacked = np.array(counts, dtype=float)
    return np.asarray(np.where(stacked > 0, stacked, np.inf).min(axis=0))
