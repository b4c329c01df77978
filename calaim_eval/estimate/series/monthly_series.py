"""One rate a month for a whole group: the series that segmented regression is fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.moments.periods import INTEGER

Comparison = str | Mapping[str, object] | None
NEVER_EXPOSED = "never_exposed"
EXPOSED, COMPARISON, DIFFERENCE = "exposed", "comparison", "difference"


@dataclass(frozen=True, slots=True, eq=False)
class MonthlySeries:
    """A group's months in order; T months without gaps on the axis, some perhaps not observed.

    Attributes
    ----------
    labels : Mapping[str, object]
        Stratum labels.
    side : str
        ``"exposed"`` or ``"comparison"``.
    total : np.ndarray
        Outcome by month, NaN where not observed; where a frame holds rates, the rate; shape (T,).
    at_risk : np.ndarray | None
        Member-months; None where a frame holds rates; shape (T,).
    cells_at_risk : np.ndarray
        Member-months by cell, to count members by; shape (n_cells, T).
    events : np.ndarray
        Events by month (of amounts: member-months that are not 0; NaN: not known); shape (T,).
    """

    labels: Mapping[str, object]
    side: str
    total: np.ndarray
    at_risk: np.ndarray | None
    cells_at_risk: np.ndarray
    events: np.ndarray

    @property
    def rate(self) -> np.ndarray:
        """Outcome per member-month; NaN where not observed; shape (T,)."""
        if self.at_risk is None:
            return self.total
        unknown = np.full(self.total.shape, np.nan)
        return np.asarray(np.divide(self.total, self.at_risk, out=unknown, where=self.at_risk > 0))

    def support(self, used: np.ndarray) -> np.ndarray:
        """``n_members, n_events, member_months`` in the months used, shape (T,) bool.

        Events that are not known count as one, so that disclosure control hides the estimate.
        """
        if not used.any():
            return np.zeros(3)
        at_risk = self.cells_at_risk[:, used]
        members = np.floor(at_risk.max(axis=1, initial=0.0) + 0.5).sum()
        events = self.events[used].sum()
        events = 1.0 if np.isnan(events) else np.ceil(events - 1e-6)
        return np.array([members, events, at_risk.sum()])

    def words(self) -> str:
        """The series in words, such as "black, Kings (comparison)"."""
        name = ", ".join(str(value) for value in self.labels.values())
        return f"{name} ({self.side})" if name else self.side


@dataclass(frozen=True, slots=True, eq=False)
class SeriesPanel:
    """All series and their common months.

    Attributes
    ----------
    months : pd.Index
        Every period from the first to the last; shape (T,).
    series : tuple[MonthlySeries, ...]
    pairs : tuple[tuple[int, int | None], ...]
        For each stratum wanted: its series and the comparison's, if any.
    is_count : bool
        Whether totals are whole numbers, none negative.
    notes : tuple[str, ...]
        What a reader must know about who is in the series.
    """

    months: pd.Index
    series: tuple[MonthlySeries, ...]
    pairs: tuple[tuple[int, int | None], ...]
    is_count: bool
    notes: tuple[str, ...] = ()


def month_ordinal(value: object, frequency: str, *, name: str) -> int:
    """Ordinal of a month given as text, date, Period or whole number; EstimationError if none."""
    is_number = isinstance(value, (int, float, np.integer, np.floating))
    if frequency == INTEGER and is_number and float(value) == int(value):  # type: ignore[arg-type,call-overload]
        return int(value)  # type: ignore[call-overload,no-any-return]
    if frequency != INTEGER and not is_number:
        try:
            return int(pd.Period(value, freq=frequency).ordinal)
        except (ValueError, TypeError):
            pass
    words = "a whole number" if frequency == INTEGER else "a month such as '2022-01'"
    raise EstimationError(f"`{name}`: {value!r} is not {words}.")


def paired_series(
    months: pd.Index,
    series: list[MonthlySeries],
    comparison: Comparison,
    *,
    is_count: bool,
) -> SeriesPanel:
    """Which series is compared with which."""
    pairs: tuple[tuple[int, int | None], ...]
    if comparison is None:
        pairs = tuple((position, None) for position in range(len(series)))
    elif comparison == NEVER_EXPOSED:
        pairs = tuple((position, position + 1) for position in range(0, len(series), 2))
    elif isinstance(comparison, Mapping):
        chosen = _named(series, comparison)
        series = [
            replace(each, side=COMPARISON) if position == chosen else each
            for position, each in enumerate(series)
        ]
        pairs = tuple((p, chosen) for p in range(len(series)) if p != chosen)
    else:
        raise EstimationError(
            f"comparison={comparison!r} is neither None, {NEVER_EXPOSED!r} nor a mapping that "
            "names one stratum, such as {'county': 'Kings'}."
        )
    if not pairs:
        raise DesignError("the comparison is the only series; there is nothing to compare with it.")
    return SeriesPanel(months, tuple(series), pairs, is_count)


def _named(series: list[MonthlySeries], comparison: Mapping[str, object]) -> int:
    """The one series a mapping of stratum labels names."""
    found = [
        position
        for position, each in enumerate(series)
        if all(
            name in each.labels and str(each.labels[name]) == str(value)
            for name, value in comparison.items()
        )
    ]
    if len(found) != 1:
        columns = list(series[0].labels)
        raise EstimationError(
            f"comparison={dict(comparison)!r} names {len(found)} of {len(series)} strata; it must "
            f"name one. The strata are told apart by {columns}."
        )
    return found[0]
