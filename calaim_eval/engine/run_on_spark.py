"""Run a recipe on Spark: all members at once.

Held rows go to parquet in a folder, written by the session itself, and so does what the recipe
writes; nothing but counts passes through this process, and the rows of one part at a time where
a file is assembled from several.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine.recipe import Assembler, Recipe
from calaim_eval.engine.spark_language import statement
from calaim_eval.engine.write import atomic_file
from calaim_eval.errors import OutputError

if TYPE_CHECKING:
    import ibis
    import pandas as pd
    import pyarrow as pa


def run_on_spark(
    recipe: Recipe,
    backend: Any,
    *,
    sources: Mapping[str, Sequence[Path]],
    outputs: Mapping[str, Path],
    part_of: tuple[str, Sequence[str]],
    n_parts: int,
    held_folder: Path,
    numbered: tuple[str, str] | None = None,
) -> dict[str, pd.DataFrame]:
    """Run every step of a recipe on all rows at once.

    Parameters
    ----------
    recipe : Recipe
    backend : ibis.BaseBackend
        What `open_spark` yields.
    sources : mapping of str to sequence of Path
        Parquet files ``part-0000.parquet`` and on of every source.
    outputs : mapping of str to Path
        Folder of every `write` and `assemble`: gets ``part-0000.parquet`` and on, empty ones too.
        Written rows have the key of `part_of`.
    part_of : tuple of str and sequence of str
        A column, and sources that have it: a row is written to the part of that number which the
        value's rows were read from, so that the parts are those of the sources.
    n_parts : int
    held_folder : Path
        For held rows; emptied at the end. On a cluster every node must reach it by this path.
    numbered : tuple of str and str, optional
        Held rows that have the key of `part_of` and a number in its place, and the number's column.
        Handed rows have the number; without it none may be handed.

    Returns
    -------
    dict[str, pd.DataFrame]
        Rows of every `fetch`, by name.
    """
    session = backend._session
    held_folder = held_folder.resolve()
    for name, files in sources.items():
        read = session.read.parquet(*[_address_to_read(file) for file in files])
        read.createOrReplaceTempView(name)
    for name, rows in recipe.lookups.items():
        session.createDataFrame(_arrow(rows)).createOrReplaceTempView(name)
    key, named = part_of
    parts = _parts_by_key(session, key, [sources[name] for name in named])
    fetched: dict[str, pd.DataFrame] = {}
    handed: dict[str, _Handed] = {}
    try:
        for step in recipe.steps:
            if step.assembler is not None:
                _assemble(step.assembler, handed, outputs[step.name], n_parts)
                handed = {}
                continue
            if step.rows is None:
                session.catalog.dropTempView(step.name)
                shutil.rmtree(held_folder / step.name, ignore_errors=True)
                continue
            rows = session.sql(statement(step, backend))
            if step.kind == "keep":
                held_rows = held_folder / step.name
                rows.write.mode("overwrite").parquet(_address(held_rows))
                read = session.read.parquet(_address_to_read(held_rows))
                read.createOrReplaceTempView(step.name)
            elif step.kind == "fetch":
                fetched[step.name] = rows.toArrow().to_pandas()
            elif step.kind == "hand" and numbered is not None:
                held, number = numbered
                part_of_number = session.table(held).join(parts, key).select(number, "part")
                placed = rows.join(part_of_number, number)
                handed[step.name] = _hand(placed, n_parts, held_folder / step.name)
            else:
                placed = rows.join(parts, key)
                ordered = _in_parts(placed, step.order_by, n_parts)
                _write_parts(ordered, outputs[step.name], n_parts, held_folder / step.name)
    finally:
        shutil.rmtree(held_folder, ignore_errors=True)
    return fetched


def _hand(rows: Any, n_parts: int, folder: Path) -> _Handed:
    """Rows written part by part."""
    from pyspark.sql.pandas.types import to_arrow_schema

    parted = rows.repartition(n_parts, "part")
    parted.write.mode("overwrite").partitionBy("part").parquet(_address(folder))
    return _Handed(folder, to_arrow_schema(rows.drop("part").schema))


def _assemble(
    assembler: Assembler, handed: Mapping[str, _Handed], output: Path, n_parts: int
) -> None:
    """Assemble one file a part, and let go of what was handed."""
    for number in range(n_parts):
        pieces = {name: rows.of_part(number) for name, rows in handed.items()}
        with atomic_file(output / f"part-{number:04d}.parquet") as temporary:
            assembler(pieces, temporary)
    for rows in handed.values():
        shutil.rmtree(rows.folder, ignore_errors=True)


@dataclass(frozen=True)
class _Handed:
    """Handed rows on disk, a folder a part."""

    folder: Path
    schema: pa.Schema

    def of_part(self, number: int) -> pa.Table:
        """Rows of one part."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        files = sorted((self.folder / f"part={number}").glob("*.parquet"))
        tables = [pq.ParquetFile(file).read().cast(self.schema) for file in files]
        return pa.concat_tables(tables) if tables else self.schema.empty_table()


def _address(path: Path) -> str:
    """A local path as Spark writes to it; a shared file system is mounted on every node.

    Blanks and letters stay as they are: Spark would take ``%20`` for a name.
    """
    return f"file:///{path.resolve().as_posix().lstrip('/')}"


def _address_to_read(path: Path) -> str:
    """The same as Spark reads it: brackets, braces, ``*`` and ``?`` in names are no patterns."""
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", _address(path))


def _arrow(rows: ibis.Table) -> Any:
    """A small table in memory."""
    op = rows.op()
    return op.data.to_pyarrow(op.schema)


def _parts_by_key(session: Any, key: str, sources: Sequence[Sequence[Path]]) -> Any:
    """Part number of each value of the key: `key`, `part`."""
    pattern = "part-([0-9]+)"
    found = None
    for files in sources:
        read = session.read.parquet(*[_address_to_read(file) for file in files])
        rows = read.selectExpr(
            key, f"CAST(regexp_extract(_metadata.file_name, '{pattern}', 1) AS INT) AS part"
        )
        found = rows if found is None else found.unionByName(rows)
    return found.distinct() if found is not None else None


def _in_parts(rows: Any, order_by: Sequence[str], n_parts: int) -> Any:
    """Rows of a part together, sorted within it."""
    return rows.repartition(n_parts, "part").sortWithinPartitions("part", *order_by)


def _write_parts(rows: Any, output: Path, n_parts: int, scratch: Path) -> None:
    """Write one file a part, then put all of them in place."""
    schema = rows.drop("part").schema
    rows.write.mode("overwrite").partitionBy("part").parquet(_address(scratch))
    output.mkdir(parents=True, exist_ok=True)
    written = {}
    for folder in scratch.glob("part=*"):
        files = list(folder.glob("*.parquet"))
        if len(files) != 1:
            raise OutputError(
                f"writing `{output}`: Spark wrote {len(files)} files for one part.\n"
                "  Unset `spark.sql.files.maxRecordsPerFile` in the session."
            )
        written[int(folder.name.split("=")[1])] = files[0]
    for number in range(n_parts):
        target = output / f"part-{number:04d}.parquet"
        if number in written:
            shutil.move(written[number], target)
        else:
            _write_empty(schema, target)
    with suppress(OSError):
        shutil.rmtree(scratch)


def _write_empty(schema: Any, path: Path) -> None:
    """A part without rows."""
    import pyarrow.parquet as pq
    from pyspark.sql.pandas.types import to_arrow_schema

    pq.write_table(to_arrow_schema(schema).empty_table(), path, compression="zstd")
