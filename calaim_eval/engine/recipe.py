"""A recipe: named steps of Ibis expressions, written down once and run on one share after another.

The steps are compiled to the engine's language once, so that a hundred member buckets cost a
hundred runs and one compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from calaim_eval.engine.failures import engine_failures
from calaim_eval.engine.open import MEMORY_LIMIT_GB, open_engine
from calaim_eval.engine.paths import exactly
from calaim_eval.engine.write import atomic_file

if TYPE_CHECKING:
    import ibis
    import pandas as pd
    import pyarrow as pa

Kind = Literal["keep", "fetch", "hand", "assemble", "write", "drop"]


Assembler = Callable[["Mapping[str, pa.Table]", Path], None]
"""Puts handed rows together to a file."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a recipe.

    Attributes
    ----------
    kind : {"keep", "fetch", "hand", "assemble", "write", "drop"}
        Compute rows and hold them; compute few rows and hand them back; compute rows that a file
        is assembled from; assemble it; write rows to a file; let go of held rows.
    name : str
    rows : ibis.Table or None
        What to compute; None for ``"assemble"`` and ``"drop"``.
    order_by : tuple[str, ...]
        Columns that written rows are sorted by.
    assembler : callable or None
        For ``"assemble"``: from what was handed since the last one, by name, to the file.
    """

    kind: Kind
    name: str
    rows: ibis.Table | None = None
    order_by: tuple[str, ...] = ()
    assembler: Assembler | None = None


@dataclass
class Recipe:
    """Steps in the order they run; each may use what the steps before it hold.

    Examples
    --------
    >>> import ibis
    >>> from calaim_eval.engine import open_engine
    >>> recipe = Recipe()
    >>> spans = ibis.memtable({"days": [3, 4]})
    >>> doubled = recipe.keep("doubled", spans.select(days=spans.days * 2))
    >>> recipe.fetch("total", doubled.agg(days=doubled.days.sum()))
    >>> int(recipe.run(open_engine(), sources={})["total"]["days"][0])
    14
    """

    steps: list[Step] = field(default_factory=list)
    lookups: dict[str, ibis.Table] = field(default_factory=dict)
    _compiled: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def source(self, name: str, schema: Mapping[str, str]) -> ibis.Table:
        """Rows that each run reads from files of its own."""
        import ibis

        return ibis.table(ibis.schema(schema), name=name)

    def keep(self, name: str, rows: ibis.Table) -> ibis.Table:
        """Compute rows once and hold them under a name until the run is over."""
        import ibis

        self._add("keep", name, rows)
        return ibis.table(rows.schema(), name=name)

    def drop(self, name: str) -> None:
        """Let go of rows that no later step uses."""
        self.steps.append(Step("drop", name))

    def fetch(self, name: str, rows: ibis.Table) -> None:
        """Compute few rows and hand them back under a name."""
        self._add("fetch", name, rows)

    def write(self, name: str, rows: ibis.Table, *, order_by: Sequence[str]) -> None:
        """Write rows, sorted, to the file that a run gives under this name."""
        self._add("write", name, rows, order_by=tuple(order_by))

    def hand(self, name: str, rows: ibis.Table) -> None:
        """Compute rows for the next `assemble`, in no order.

        The engine that works on all members at once parts them by the column that numbers members.
        """
        self._add("hand", name, rows)

    def assemble(self, name: str, assembler: Assembler) -> None:
        """Have all that was handed put together to the file that a run gives under this name."""
        self.steps.append(Step("assemble", name, assembler=assembler))

    def _add(
        self, kind: Kind, name: str, rows: ibis.Table, *, order_by: tuple[str, ...] = ()
    ) -> None:
        """Add a step; the small tables in memory that it uses are set up before any run."""
        import ibis
        from ibis.expr.operations import InMemoryTable

        in_memory = {}
        for node in rows.op().find(InMemoryTable):
            lookup = f"lookup_{node.name}"
            self.lookups[lookup] = node.to_expr()
            in_memory[node] = ibis.table(node.schema, name=lookup).op()
        named = rows.op().replace(in_memory).to_expr() if in_memory else rows
        self.steps.append(Step(kind, name, named, order_by))

    def run(
        self,
        backend: Any,
        *,
        sources: Mapping[str, Sequence[Path]],
        outputs: Mapping[str, Path] | None = None,
    ) -> dict[str, pd.DataFrame]:
        """Run every step.

        Parameters
        ----------
        backend : ibis.BaseBackend
            Engine of its own for this run: held rows stay in it.
        sources : mapping of str to sequence of Path
            Parquet files of every `source`.
        outputs : mapping of str to Path, optional
            File of every `write` and `assemble`; whole or not there at all.

        Returns
        -------
        dict[str, pd.DataFrame]
            Rows of every `fetch`, by name.
        """
        for name, files in sources.items():
            backend.read_parquet([exactly(file) for file in files], table_name=name)
        for name, rows in self.lookups.items():
            backend.create_table(name, rows, temp=True)
        fetched, handed = {}, {}
        for step, sql in zip(self.steps, self._sql(backend), strict=True):
            if step.kind == "fetch":
                fetched[step.name] = backend.raw_sql(sql).df()
            elif step.kind == "hand":
                handed[step.name] = backend.con.sql(sql).to_arrow_table()
            elif step.assembler is not None:
                with atomic_file((outputs or {})[step.name]) as temporary:
                    step.assembler(handed, temporary)
                handed = {}
            elif step.kind == "write":
                with atomic_file((outputs or {})[step.name]) as temporary:
                    target = str(temporary).replace("'", "''")
                    backend.raw_sql(
                        f"COPY ({sql}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
                    )
            else:
                backend.raw_sql(sql)
        return fetched

    def _sql(self, backend: Any) -> list[str]:
        """The steps in the engine's language, compiled at the first run."""
        if backend.name not in self._compiled:
            self._compiled[backend.name] = [_statement(step, backend) for step in self.steps]
        return self._compiled[backend.name]


def _statement(step: Step, backend: Any) -> str:
    """One step in the engine's language."""
    if step.rows is None:
        return f'DROP TABLE "{step.name}"' if step.kind == "drop" else ""
    query = str(backend.compile(step.rows, pretty=False))
    if step.kind == "fetch":
        return query
    # An engine's own types may be wider than the declared ones: a sum of whole numbers is one.
    names = backend.compiler.type_mapper
    columns = ", ".join(
        f'CAST("{column}" AS {names.to_string(dtype)}) AS "{column}"'
        for column, dtype in step.rows.schema().items()
    )
    typed = f"SELECT {columns} FROM ({query}) AS step"
    if step.kind == "hand":
        return typed
    if step.kind == "keep":
        return f'CREATE TEMP TABLE "{step.name}" AS {typed}'
    order = ", ".join(f'"{column}"' for column in step.order_by)
    return f"{typed} ORDER BY {order}"


def run_recipe(
    recipe: Recipe,
    *,
    sources: Mapping[str, Sequence[Path]],
    outputs: Mapping[str, Path] | None = None,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
    temp_folder: Path | str | None = None,
    doing: str,
) -> dict[str, pd.DataFrame]:
    """Run a recipe in an engine of its own, which is closed again: what it held is gone.

    Parameters
    ----------
    recipe : Recipe
    sources, outputs
        As in `Recipe.run`.
    memory_limit_gb : float
        Memory the engine may hold.
    temp_folder : Path or str, optional
        Where it may put member rows while it works.
    doing : str
        What is being done, for an error.

    Raises
    ------
    TableError, OutputError
        The input cannot be read, the disk is full, or the memory is not enough.
    """
    backend = open_engine(memory_limit_gb=memory_limit_gb, temp_folder=temp_folder)
    try:
        with engine_failures(doing=doing):
            return recipe.run(backend, sources=sources, outputs=outputs)
    finally:
        backend.disconnect()
