"""Least squares on two sets of effects, one per unit and one per month, exactly and sparsely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ABSENT = -1
"""Component of a unit or month without rows: its effect is not identified."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoWayEffects:
    r"""The normal equations of :math:`\alpha_{unit} + \beta_{month}`, solved once.

    Unit effects are eliminated by hand, so that only a matrix of months by months is inverted;
    nothing of size units by units is ever made. Rows that no chain of shared units and months
    joins are separate components: effects compare within a component only.

    Attributes
    ----------
    unit, month : np.ndarray
        Codes of each row; shape (n,).
    weight : np.ndarray
        Positive; shape (n,).
    unit_weight : np.ndarray
        Sum of weights by unit; shape (n_units,).
    unit_component, month_component : np.ndarray
        Which component each belongs to, `ABSENT` without rows; (n_units,), (n_months,).
    solved_months : tuple[tuple[np.ndarray, np.ndarray], ...]
        Per component: months with an effect (the first of a component is 0) and the inverse of
        their normal matrix.
    design : scipy.sparse.csr_array
        Sum of weights by unit and month; shape (n_units, n_months).
    """

    unit: np.ndarray
    month: np.ndarray
    weight: np.ndarray
    unit_weight: np.ndarray
    unit_component: np.ndarray
    month_component: np.ndarray
    solved_months: tuple[tuple[np.ndarray, np.ndarray], ...]
    design: object

    @property
    def n_effects(self) -> int:
        """Linearly independent effects: units and months less one for each component."""
        present = (self.unit_component != ABSENT).sum() + (self.month_component != ABSENT).sum()
        return int(present - len(self.solved_months))

    @property
    def n_month_effects(self) -> int:
        """Months with rows."""
        return int((self.month_component != ABSENT).sum())

    def solve(self, unit_sums: np.ndarray, month_sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Effects with these right-hand sides of the normal equations.

        Takes shapes (n_units, m) and (n_months, m) and returns the same; absent effects are 0.
        """
        share = np.divide(
            unit_sums,
            self.unit_weight[:, None],
            out=np.zeros(unit_sums.shape),
            where=self.unit_weight[:, None] > 0,
        )
        right = month_sums - self.design.T @ share  # type: ignore[attr-defined]
        of_month = np.zeros(month_sums.shape)
        for months, inverse in self.solved_months:
            of_month[months] = inverse @ right[months]
        moved = self.design @ of_month  # type: ignore[operator]
        of_unit = share - np.divide(
            moved,
            self.unit_weight[:, None],
            out=np.zeros(unit_sums.shape),
            where=self.unit_weight[:, None] > 0,
        )
        return of_unit, of_month

    def fit(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weighted least-squares effects of `values`, shape (n, m)."""
        weighted = self.weight[:, None] * values
        return self.solve(
            sums_by(self.unit, weighted, len(self.unit_weight)),
            sums_by(self.month, weighted, len(self.month_component)),
        )

    def residual(self, values: np.ndarray) -> np.ndarray:
        """`values` less their fitted effects; shape (n, m)."""
        of_unit, of_month = self.fit(values)
        return np.asarray(values - of_unit[self.unit] - of_month[self.month])

    def identifies(self, unit: np.ndarray, month: np.ndarray) -> np.ndarray:
        """Rows, in this fit or not, whose unit and month effects can be told; bool."""
        component = self.unit_component[unit]
        return np.asarray((component != ABSENT) & (component == self.month_component[month]))


def two_way_effects(
    unit: np.ndarray, month: np.ndarray, weight: np.ndarray, *, n_units: int, n_months: int
) -> TwoWayEffects:
    """Normal equations of unit and month effects over rows with codes and positive weights."""
    from scipy.sparse import coo_array, diags_array

    design = coo_array((weight, (unit, month)), shape=(n_units, n_months)).tocsr()
    unit_weight = np.bincount(unit, weights=weight, minlength=n_units)
    month_weight = np.bincount(month, weights=weight, minlength=n_months)
    unit_component, month_component = _components(unit, month, n_units, n_months)
    inverse = np.divide(1.0, unit_weight, out=np.zeros(n_units), where=unit_weight > 0)
    between = (design.T @ diags_array(inverse) @ design).tocsr()
    solved = []
    for component in range(int(month_component.max(initial=ABSENT)) + 1):
        months = np.flatnonzero(month_component == component)[1:]
        block = np.diag(month_weight[months]) - between[months][:, months].toarray()
        solved.append((months, np.linalg.inv(block)))
    return TwoWayEffects(
        unit,
        month,
        weight,
        unit_weight,
        unit_component,
        month_component,
        tuple(solved),
        design,
    )


def _components(
    unit: np.ndarray, month: np.ndarray, n_units: int, n_months: int
) -> tuple[np.ndarray, np.ndarray]:
    """Components of units and months joined by rows, numbered from 0; `ABSENT` without rows."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = n_units + n_months
    edges = coo_array((np.ones(len(unit)), (unit, n_units + month)), shape=(size, size))
    label = np.asarray(connected_components(edges, directed=False)[1])
    present = np.zeros(size, dtype=bool)
    present[unit] = True
    present[n_units + month] = True
    found = np.full(size, ABSENT)
    found[present] = np.unique(label[present], return_inverse=True)[1]
    return found[:n_units], found[n_units:]


def sums_by(code: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Column sums of `values` (rows, m) within codes; shape (n, m)."""
    from scipy.sparse import csc_array

    if values.shape[1] == 1:
        return np.bincount(code, weights=values[:, 0], minlength=n)[:, None]
    size = len(code)
    place = csc_array((np.ones(size), code, np.arange(size + 1)), shape=(n, size))
    return np.asarray(place @ values)
