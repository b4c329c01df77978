"""`Tables`: checked input tables as parquet parts, with the ledger of every row read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.ledger import RowLedger

PERSON_DERIVED = ("race_ethnicity",)
DERIVED_FOLDER = "_care"
"""Beside the tables: what was worked out from them. It goes when they are read anew."""


def column_names(table: str) -> tuple[str, ...]:
    """Canonical columns of a table's parts, in order; persons carry `race_ethnicity` more."""
    derived = PERSON_DERIVED if table == "person" else ()
    return (*TABLES[table].fields, *derived)


@dataclass(frozen=True)
class Tables:
    """Checked input tables on disk.

    Attributes
    ----------
    folder : Path
        Each table is ``folder/<table>/part-0000.parquet`` and on. Columns are those of
        `schema.TABLES`, in order; `person` has the derived column `race_ethnicity` as well.
        Types: text, date32 (dates and months), int64, double, boolean.
    n_buckets : int
        Tables with a `member_id` have this many parts; a member is in the same part of each.
        Other tables have one part.
    names : tuple[str, ...]
        Tables that are present.
    ledger : RowLedger
        Every row read: used, or set aside for a reason.
    manifest : dict
        Source files with sha256 and row counts, options, package version.
    """

    folder: Path
    n_buckets: int
    names: tuple[str, ...]
    ledger: RowLedger
    manifest: dict[str, Any] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the table is present; an unknown name raises `TableError`."""
        require_declared(name)
        return name in self.names

    def parts(self, name: str) -> tuple[Path, ...]:
        """Parquet parts of a table in bucket order.

        Raises
        ------
        TableError
            The table is not declared, or was not among the input.
        """
        if not self.has(name):
            listed = ", ".join(f"`{each}`" for each in self.names)
            raise TableError(
                f"table `{name}` was not read; these were: {listed}.\n"
                f"  Add its file to the input folder, or ask `tables.has('{name}')` first."
            )
        return tuple(sorted((self.folder / name).glob("part-*.parquet")))

    def frame(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a table, all its parts, into memory.

        Parameters
        ----------
        name : str
        columns : sequence of str, optional
            Columns to read; all by default.

        Returns
        -------
        pd.DataFrame
            Text as `str`, dates as `datetime64[us]`, integers as `Int64`, numbers as `float64`,
            booleans as `boolean`; rows in part order. For a state's claims read `parts` instead.

        Raises
        ------
        TableError
            The table or a column is not there.
        """
        wanted = (
            list(column_names(name) if self.has(name) else ()) if columns is None else [*columns]
        )
        parts = self.parts(name)
        unknown = [column for column in wanted if column not in column_names(name)]
        if unknown:
            listed = ", ".join(f"`{each}`" for each in column_names(name))
            raise TableError(
                f"table `{name}` has no column `{unknown[0]}`.\n  Its columns: {listed}."
            )
        return _read_parts(parts, wanted)

    @classmethod
    def from_frames(
        cls,
        frames: Mapping[str, pd.DataFrame],
        *,
        work_dir: Path | None = None,
        n_buckets: int | None = None,
    ) -> Tables:
        """Check and bucket tables that are already in memory.

        The frames go through the same reading, checks and buckets as files do (`read_tables`);
        none is changed.

        Parameters
        ----------
        frames : mapping of str to pd.DataFrame
            Table name to frame; columns a table does not require may be absent.
        work_dir : Path, optional
            Folder for the parts; by default a temporary folder that is
            removed when Python exits.
        n_buckets : int, optional
            Number of member buckets; 1 by default.

        Raises
        ------
        TableError
            A name is not declared, or a frame breaks its contract.

        Examples
        --------
        >>> spans = pd.DataFrame({"member_id": ["a"], "enrollment_start_date": ["2022-01-01"],
        ...                       "enrollment_end_date": ["2022-06-30"]})
        >>> Tables.from_frames({"eligibility": spans}).frame("eligibility")["plan"].isna().all()
        np.True_
        """
        from calaim_eval.tables.frames import tables_from_frames

        return tables_from_frames(frames, work_dir=work_dir, n_buckets=n_buckets)

    def __repr__(self) -> str:
        """Tables and buckets; never rows."""
        return f"Tables({', '.join(self.names)}; {self.n_buckets} member buckets)"


def require_declared(name: str) -> None:
    """Raise unless the schema declares the table as an input."""
    inputs = [table.name for table in TABLES.values() if table.is_input]
    if name not in inputs:
        listed = ", ".join(f"`{each}`" for each in inputs)
        raise TableError(f"no input table is named `{name}`.\n  Input tables: {listed}.")


def _read_parts(parts: Sequence[Path], columns: list[str]) -> pd.DataFrame:
    """Read parquet parts with one pandas type per declared type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = [pq.read_table(part, columns=columns) for part in parts]
    # A part without missing values says so in its schema; another part need not agree.
    table = pa.concat_tables(read, promote_options="default")
    frame = table.to_pandas(date_as_object=False, types_mapper=_pandas_type)
    dates = {
        column: "datetime64[us]" for column, dtype in frame.dtypes.items() if dtype.kind == "M"
    }
    return frame.astype(dates)


def _pandas_type(arrow_type: Any) -> Any:
    """Pandas type of an Arrow type where pandas' own choice would change values."""
    import pyarrow as pa

    return {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get(arrow_type)
