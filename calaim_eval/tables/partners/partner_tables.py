"""What the files of a partner came to: declared tables as frames, and a ledger of every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from calaim_eval.engine import atomic_folder
from calaim_eval.errors import TableError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.row_places import PlacedLedger
from calaim_eval.tables.sources import SourceFiles

TEXT = "object"


@dataclass(frozen=True, eq=False)
class PartnerTables:
    """Declared tables out of the files of one partner.

    Attributes
    ----------
    source : str
        Format of the files, such as ``"hmis"``.
    version : str
        Version of the format that was recognized, such as ``"FY2026"``; several are parted by a
        comma.
    frames : mapping of str to pd.DataFrame
        Rows by declared table, columns in declared order; days are datetimes, all else is text or
        a number. Tables without rows are left out.
    ledger : RowLedger
        What became of every row of every file, stage ``"source"``.
    files : tuple[SourceFiles, ...]
        Files they come from.
    """

    source: str
    version: str
    frames: Mapping[str, pd.DataFrame]
    ledger: RowLedger
    files: tuple[SourceFiles, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Tables that have rows."""
        return tuple(self.frames)

    def frame(self, name: str) -> pd.DataFrame:
        """Rows of one table.

        Raises
        ------
        TableError
            The files hold no such table.
        """
        if name not in self.frames:
            listed = ", ".join(f"`{each}`" for each in self.frames) or "nothing"
            raise TableError(
                f"the {self.source} files hold no rows of `{name}`; they hold {listed}.\n"
                "  The ledger says what became of every row: PartnerTables.ledger."
            )
        return self.frames[name].copy()

    def save(self, folder: Path | str) -> Path:
        """Write tables, ledger and places of rows set aside into a new or replaced folder.

        The tables are named as declared, so that they can lie beside the other input files of a
        study. They hold rows of people: the folder is restricted.
        """
        target = Path(folder)
        with atomic_folder(target) as filling:
            for name, frame in self.frames.items():
                frame.to_parquet(filling / f"{name}.parquet", index=False)
            self.ledger.to_frame().to_csv(filling / "ledger.csv", index=False)
            self.rows_set_aside.to_csv(filling / "rows_set_aside.csv", index=False)
        return target

    @property
    def rows_set_aside(self) -> pd.DataFrame:
        """Where rows stand that were set aside: `table`, `place`, `row` and `reason`.

        Up to 1,000 of a reason; the ledger counts them all. No value of a row is told.
        """
        known = self.ledger if isinstance(self.ledger, PlacedLedger) else PlacedLedger()
        return known.rows_set_aside()

    def __repr__(self) -> str:
        """Format, version and counts; never rows."""
        counts = ", ".join(f"{name} {len(frame):,}" for name, frame in self.frames.items())
        return f"PartnerTables({self.source} {self.version}: {counts or 'no rows'})"


def declared_frame(table: str, columns: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Frame of a table with its declared columns in order; what is not given is missing."""
    length = len(next(iter(columns.values())))
    made = {}
    for name in TABLES[table].fields:
        if name in columns:
            made[name] = _plain(columns[name].reset_index(drop=True))
        elif FIELDS[name].dtype in ("date", "month"):
            made[name] = pd.Series(pd.NaT, index=range(length), dtype="datetime64[s]")
        elif FIELDS[name].dtype in ("number", "integer"):
            made[name] = pd.Series(float("nan"), index=range(length))
        else:
            made[name] = pd.Series([None] * length, dtype=TEXT)
    return pd.DataFrame(made)


def _plain(column: pd.Series) -> pd.Series:
    """A column in which missing text is None."""
    if column.dtype != object and not isinstance(column.dtype, pd.StringDtype):
        return column
    return column.astype(object).where(column.notna(), None)


def joined_frames(parts: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Rows of several parts, table by table in the order of the schema; empty tables left out."""
    found: dict[str, pd.DataFrame] = {}
    for name in TABLES:
        rows = [part[name] for part in parts if name in part and len(part[name])]
        if rows:
            found[name] = pd.concat(rows, ignore_index=True)
    return found
