"""What came out of disclosure control: the only thing a report accepts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NoReturn, Self
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from calaim_eval.disclosure.count_table import CountTable

TableKind = Literal["effect", "rate", "bounds"]


@dataclass(frozen=True, slots=True)
class TableContent:
    """A table as released: its kind, its numbers with NaN where hidden, and what they mean."""

    kind: TableKind
    frame: pd.DataFrame
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReleaseContent:
    """A release as written to its manifest."""

    quarter: str
    policy: str
    tables: Mapping[str, TableContent]
    provenance: dict[str, Any]
    certificate: dict[str, Any]
    policy_rules: dict[str, Any] = field(default_factory=dict)
    scores: list[dict[str, Any]] = field(default_factory=list)


class _Sealed:
    """Something only this room makes; its content lies outside the object, out of reach."""

    __slots__ = ("__weakref__",)

    def __new__(cls, *_args: object, **_options: object) -> Self:
        raise TypeError(
            f"`{cls.__name__}` is made by `release(...)` or `Released.load(folder)` only: they "
            "check that nothing about few people is in it."
        )

    def __init_subclass__(cls, **options: object) -> None:
        if cls.__module__ != __name__:
            raise TypeError(f"`{cls.__name__}`: a released type cannot be derived from.")
        super().__init_subclass__(**options)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"`{type(self).__name__}` cannot be changed; make a new release.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            f"`{type(self).__name__}` is not copied or pickled; load it from its folder with "
            "`Released.load(folder)`."
        )


class ReleasedTable(_Sealed):
    """One released table.

    Attributes
    ----------
    name : str
    kind : {"effect", "rate", "bounds"}
    frame : pd.DataFrame
        A copy. Key columns; then `estimate`, `std_error`, `conf_low`, `conf_high`, `p_value`, or
        `numerator`, `denominator`, `rate`, `conf_low`, `conf_high`, or `set_low`, `set_high`,
        `conf_low`, `conf_high` and perhaps `breakdown`; then `is_suppressed`, true where the row
        is hidden. A hidden row is NaN throughout; NaN in a row that is not hidden
        means undefined.
    meta : dict
        A copy: `unit`, `estimand`, `contrast`, `is_causal`, `scale`, `method`, `options`,
        `reference`, `notes`, `measure`, `rate_kind`, `about`, `per`, `bound_words`, `conf_level`
        and the structure of the counts (`numerator_name`, `denominator_name`, `margins` ...).
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """Name in the release."""
        return _table(self)[0]

    @property
    def kind(self) -> TableKind:
        """Estimates, counts or bounds."""
        return _table(self)[1].kind

    @property
    def frame(self) -> pd.DataFrame:
        """A copy of the tidy table."""
        return _table(self)[1].frame.copy(deep=True)

    @property
    def meta(self) -> dict[str, Any]:
        """A copy of what the numbers mean."""
        return copy.deepcopy(_table(self)[1].meta)

    @property
    def n_suppressed(self) -> int:
        """Rows hidden."""
        return int(_table(self)[1].frame["is_suppressed"].sum())

    def __len__(self) -> int:
        return len(_table(self)[1].frame)

    def __repr__(self) -> str:
        return (
            f"<ReleasedTable {self.name}: {len(self)} rows by "
            f"{', '.join(key_columns(_table(self)[1]))}; {self.n_suppressed} suppressed>"
        )


class Released(_Sealed):
    """A release: tables that passed disclosure control, and how they were made.

    Made by `release(...)` and `Released.load(folder)` only.

    Attributes
    ----------
    quarter : str
        e.g. ``"2024Q4"``; empty where none was given.
    policy : str
        Name and version of the suppression policy.
    policy_rules : dict
        A copy of its rules, so that a release can be read without the policy's file.
    scores : list[dict]
        A copy of the guideline's score of each table of counts: `total`, `limit`, `parts` (one a
        variable), `assumed`, `has_small_denominator`; empty where the policy has no score.
    tables : Mapping[str, ReleasedTable]
    provenance : dict
        What the release was made from.
    certificate : dict
        What the audit found: rows, hidden rows, and the narrowest range of values that everything
        shown leaves for a hidden small count.
    """

    __slots__ = ()

    @property
    def quarter(self) -> str:
        """Quarter of the report."""
        return _release(self)[0].quarter

    @property
    def policy(self) -> str:
        """Name and version of the policy."""
        return _release(self)[0].policy

    @property
    def policy_rules(self) -> dict[str, Any]:
        """A copy of every rule of the policy."""
        return copy.deepcopy(_release(self)[0].policy_rules)

    @property
    def scores(self) -> list[dict[str, Any]]:
        """A copy of the guideline's score of each table, with what it is made of."""
        return copy.deepcopy(_release(self)[0].scores)

    @property
    def tables(self) -> Mapping[str, ReleasedTable]:
        """Released tables by name, read-only."""
        return _release(self)[1]

    @property
    def provenance(self) -> dict[str, Any]:
        """A copy of what the release was made from."""
        return copy.deepcopy(_release(self)[0].provenance)

    @property
    def certificate(self) -> dict[str, Any]:
        """A copy of what the audit found."""
        return copy.deepcopy(_release(self)[0].certificate)

    @classmethod
    def load(cls, folder: str | Path) -> Released:
        """Open a release folder, refusing one that was changed since it was written.

        Parameters
        ----------
        folder : path
            A folder that `release` wrote, such as ``release/2024Q4``.

        Returns
        -------
        Released

        Raises
        ------
        DisclosureError
            The folder is not a release; a file is missing, added or changed; the ledger beside
            the folder does not know it; or a small count is shown.
        """
        from calaim_eval.disclosure.folder import read_folder

        return make_released(read_folder(Path(folder)))

    def export(self, to: str | Path) -> Path:
        """Write the tables as a workbook (``.xlsx``) or a folder of CSV files.

        Parameters
        ----------
        to : path

        Returns
        -------
        Path
            See `export_released`.
        """
        from calaim_eval.disclosure.export import export_released

        return export_released(self, to)

    def summary(self) -> str:
        """What was released and what was hidden, in plain words."""
        from calaim_eval.disclosure.explain import explain

        return explain(self)

    def __repr__(self) -> str:
        hidden = sum(table.n_suppressed for table in self.tables.values())
        rows = sum(len(table) for table in self.tables.values())
        return (
            f"<Released {self.quarter or 'without a quarter'}: {len(self.tables)} tables, "
            f"{rows} rows, {hidden} suppressed; {self.policy}>"
        )


_TABLES: WeakKeyDictionary[ReleasedTable, tuple[str, TableContent]] = WeakKeyDictionary()
_RELEASES: WeakKeyDictionary[Released, tuple[ReleaseContent, Mapping[str, ReleasedTable]]] = (
    WeakKeyDictionary()
)


def make_released(content: ReleaseContent) -> Released:
    """Seal a release; for this room only."""
    tables: dict[str, ReleasedTable] = {}
    for name, table in content.tables.items():
        tables[name] = object.__new__(ReleasedTable)
        own = TableContent(table.kind, table.frame.copy(deep=True), copy.deepcopy(table.meta))
        _TABLES[tables[name]] = (name, own)
    released = object.__new__(Released)
    _RELEASES[released] = (copy.deepcopy(content), MappingProxyType(tables))
    return released


def _table(table: ReleasedTable) -> tuple[str, TableContent]:
    """Content of a released table; none was sealed for a forged one."""
    try:
        return _TABLES[table]
    except KeyError:
        raise TypeError("this `ReleasedTable` did not come from `release(...)`.") from None


def _release(released: Released) -> tuple[ReleaseContent, Mapping[str, ReleasedTable]]:
    """Content of a release; none was sealed for a forged one."""
    try:
        return _RELEASES[released]
    except KeyError:
        raise TypeError("this `Released` did not come from `release(...)`.") from None


def key_columns(table: TableContent) -> list[str]:
    """Key columns of a released table."""
    return list(table.meta["keys"])


STRUCTURE = (
    "numerator_name",
    "denominator_name",
    "is_proportion",
    "denominator_keys",
    "margins",
    "overlaps",
    "denominator_margins",
    "whole",
    "stages",
    "integer_numerator",
    "integer_denominator",
    "unequal_sums",
    "same_as",
    "crossed",
)


def structure_meta(table: CountTable) -> dict[str, Any]:
    """The structure of a table of counts, for its metadata."""
    return {name: getattr(table, name) for name in STRUCTURE}


def count_table_of(name: str, table: TableContent) -> CountTable | None:
    """The counts a reader sees, NaN where hidden; None for a table without counts of members."""
    if table.kind != "rate" or "is_proportion" not in table.meta:
        return None
    keys = table.frame[key_columns(table)].map(str)  # a missing value is a word too
    return rebuild_counts(
        name,
        keys,
        table.frame["numerator"].to_numpy(dtype=float),
        table.frame["denominator"].to_numpy(dtype=float),
        table.frame["is_suppressed"].to_numpy(dtype=bool),
        table.meta,
    )


def rebuild_counts(
    name: str,
    keys: pd.DataFrame,
    numerator: np.ndarray,
    denominator: np.ndarray,
    hidden: np.ndarray,
    meta: Mapping[str, Any],
) -> CountTable:
    """A table of counts from what is shown and its structure."""
    stages = meta["stages"]
    structure = {field.name: meta.get(field.name) for field in fields(CountTable)}
    structure |= {
        "name": name,
        "keys": keys.reset_index(drop=True),
        "numerator": numerator,
        "denominator": denominator,
        "has_denominator": np.isfinite(denominator) | (hidden & (meta["rate_kind"] != "count")),
        "denominator_keys": tuple(meta["denominator_keys"]),
        "margins": tuple(meta["margins"]),
        "denominator_margins": tuple(meta["denominator_margins"]),
        "whole": tuple((str(c), str(v)) for c, v in meta["whole"]),
        "stages": None if stages is None else (str(stages[0]), tuple(stages[1])),
        "unequal_sums": _as_tuples(meta.get("unequal_sums") or ()),
        "same_as": _as_tuples(meta.get("same_as") or ()),
        "crossed": _as_tuples(meta.get("crossed") or ()),
    }
    return CountTable(**structure)  # type: ignore[arg-type]


def _as_tuples(value: Any) -> Any:
    """Lists of lists, as read from a file, as tuples."""
    return tuple(map(_as_tuples, value)) if isinstance(value, list | tuple) else value
