"""Counts over denominators: what every rate, share and coverage measure returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results.estimand import RATES_OF, Method

ALL = "all"
"""The key value of a margin row: the row that adds up the others."""

RateKind = Literal["rate", "proportion", "count"]
RateAbout = Literal["members", "organizations"]

_ARRAYS = ("numerator", "denominator", "conf_low", "conf_high", "n_members")


@dataclass(frozen=True, slots=True, eq=False)
class RateTable:
    """Counts over denominators, one row per stratum.

    Attributes
    ----------
    keys : pd.DataFrame
        What each row is about; shape (k, n_keys). The value ``"all"`` marks a margin row.
    numerator : np.ndarray
        Events or members; shape (k,).
    denominator : np.ndarray
        Member-months (``kind="rate"``), members or organizations (``"proportion"``); NaN for
        ``"count"``; shape (k,).
    rate : np.ndarray
        ``per * numerator / denominator``; NaN for counts and where the denominator is 0.
    conf_low, conf_high : np.ndarray
        95 % interval in the unit of `rate`; NaN where none is defined.
    n_members : np.ndarray
        Distinct members behind the numerator; shape (k,). Disclosure control reads it.
    numerator_name, denominator_name : str
        Quantity names in field terms, e.g. ``"members_served"``. Two tables that use the same
        quantity name and the same keys state the same number: disclosure control treats them as
        one cell, so the name must say exactly what is counted.
    unit : str
        e.g. "ED visits per 1,000 member-months".
    kind : {"rate", "proportion", "count"}
        For a proportion, denominator minus numerator is also a count of members.
    about : {"members", "organizations"}
        Counts of organizations are not personal data and are not suppressed.
    margins : tuple[str, ...]
        Key columns whose ``"all"`` row is the sum of the other rows with equal other keys.
    overlaps : tuple[str, ...]
        Key columns whose groups overlap (race alone or in combination): a member may be in
        several rows, the rows are never added up, each is part of the ``"all"`` row, and together
        they hold everybody in it.
    measure : str
        Name of the measure, e.g. "Referral closure".
    method : Method
    per : float or np.ndarray
        1, 100 or 1,000; shape (k,) where measures of several units are stacked.
    denominator_keys : tuple[str, ...] | None
        Key columns the denominator depends on: rows that agree on them share one denominator
        (the members identified, whatever the stage). None: all keys.
    notes : tuple[str, ...]
    """

    measure: str
    keys: pd.DataFrame
    numerator: np.ndarray
    denominator: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray
    n_members: np.ndarray
    numerator_name: str
    denominator_name: str
    unit: str
    kind: RateKind
    method: Method
    about: RateAbout = "members"
    margins: tuple[str, ...] = ()
    per: float | np.ndarray = 1.0
    denominator_keys: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        k = len(self.keys)
        for name in _ARRAYS:
            if getattr(self, name).shape != (k,):
                raise EstimationError(
                    f"RateTable `{self.measure}`: `{name}` has shape "
                    f"{getattr(self, name).shape}, expected ({k},)."
                )
        if self.keys.duplicated().any():
            raise EstimationError(
                f"RateTable `{self.measure}`: {int(self.keys.duplicated().sum())} of {k} rows "
                f"repeat the keys {list(self.keys.columns)}."
            )
        both = [c for c in self.overlaps if c in self.margins]
        if both:
            raise EstimationError(
                f"RateTable `{self.measure}`: the groups of {both} overlap, so their rows do not "
                f"add up to `{ALL}` and are no `margins`."
            )
        for name in ("margins", "denominator_keys", "overlaps"):
            unknown = [c for c in getattr(self, name) or () if c not in self.keys.columns]
            if unknown:
                raise EstimationError(
                    f"RateTable `{self.measure}`: `{name}` {unknown} are not keys; the keys are "
                    f"{list(self.keys.columns)}."
                )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def rate(self) -> np.ndarray:
        """``per * numerator / denominator``; NaN where undefined; shape (k,)."""
        denominator = np.where(self.denominator > 0, self.denominator, np.nan)
        return self.per * self.numerator / denominator

    def select(self, mask: np.ndarray | pd.Series) -> RateTable:
        """Rows where `mask` is true."""
        rows = np.flatnonzero(np.asarray(mask, dtype=bool))
        arrays: dict[str, Any] = {name: getattr(self, name)[rows] for name in _ARRAYS}
        return replace(
            self,
            keys=self.keys.iloc[rows].reset_index(drop=True),
            per=self.per[rows] if isinstance(self.per, np.ndarray) else self.per,
            **arrays,
        )

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: keys, numerator, denominator, rate, conf_low, conf_high, n_members."""
        return pd.concat(
            [
                self.keys.reset_index(drop=True),
                pd.DataFrame(
                    {
                        "numerator": self.numerator,
                        "denominator": self.denominator,
                        "rate": self.rate,
                        "conf_low": self.conf_low,
                        "conf_high": self.conf_high,
                        "n_members": self.n_members,
                    }
                ),
            ],
            axis=1,
        )

    def __repr__(self) -> str:
        return (
            f"<RateTable {self.measure}: {len(self)} rows by "
            f"{', '.join(map(str, self.keys.columns))}; {self.unit}>"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format=lambda v: f"{v:.4g}")
        return f"<p>{escape(self.measure)} ({escape(self.unit)})</p>{table}"


def stack_rates(tables: list[RateTable], *, key: str, labels: list[str]) -> RateTable:
    """Put rates of several measures over the same denominators under one another.

    Rows are told apart by `key` and carry their `unit`. Where all tables have the same rows and
    denominators, the denominator does not depend on `key`; a measure that is not known in some
    months has its own.

    Raises
    ------
    EstimationError
        If the tables differ in kind, subject or denominator.
    """
    if not tables or len(tables) != len(labels):
        raise EstimationError(f"stack_rates: {len(tables)} tables and {len(labels)} labels.")
    first = tables[0]
    for name in ("kind", "about", "denominator_name", "margins", "denominator_keys", "overlaps"):
        if len({getattr(t, name) for t in tables}) > 1:
            raise EstimationError(f"stack_rates: the tables differ in `{name}`.")
    keys = pd.concat(
        [
            t.keys.assign(**{key: label, "unit": t.unit})
            for t, label in zip(tables, labels, strict=True)
        ],
        ignore_index=True,
    )
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(t, name) for t in tables]) for name in _ARRAYS
    }
    own = first.denominator_keys
    if own is None:
        own = tuple(first.keys.columns)
    counted = tuple(dict.fromkeys(t.numerator_name for t in tables))
    is_shared = all(
        t.keys.equals(first.keys)
        and np.array_equal(t.denominator, first.denominator, equal_nan=True)
        for t in tables
    )
    return replace(
        first,
        measure=first.measure if len(tables) == 1 else f"Rates by {key}",
        keys=keys[[key, "unit", *first.keys.columns]],
        numerator_name=f"events_by_{key}",
        method=replace(first.method, options={**first.method.options, RATES_OF: counted}),
        unit=first.unit if len({t.unit for t in tables}) == 1 else "see `unit`",
        per=np.concatenate([np.broadcast_to(t.per, len(t)) for t in tables]).astype(float),
        denominator_keys=own if is_shared else (key, *own),
        notes=tuple(dict.fromkeys(n for t in tables for n in t.notes)),
        **arrays,
    )
