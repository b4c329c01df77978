"""Open parquet files of one table, whatever types the program that wrote each part chose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.schema.values import as_text
from calaim_eval.tables.text_files import refuse_repeats

if TYPE_CHECKING:
    import ibis
    import pyarrow as pa


def read_parquet_parts(paths: Sequence[Path], *, backend: ibis.BaseBackend) -> ibis.Table:
    """Open parquet parts of one table; columns are matched by name, in any case and order.

    A column that is a number in one part and text or a date in another, as one without any value
    may be, is text in all of them, a whole number written without a decimal point: the engine's
    own common type would make `7` and `7.0` two members, or refuse the parts.

    Raises
    ------
    TableError
        A file is damaged or cut short, or has two columns of one name.
    """
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for path in paths:
        schema = _schema(path)
        refuse_repeats(schema.names, f"`{path.name}`")
        kinds = sorted((each.name.lower(), str(each.type)) for each in schema)
        alike.setdefault(tuple(kinds), []).append(exactly(path))
    if len(alike) == 1:
        return backend.read_parquet([exactly(path) for path in paths], union_by_name=True)
    return _united([backend.read_parquet(same, union_by_name=True) for same in alike.values()])


def _united(parts: list[ibis.Table]) -> ibis.Table:
    """Parts one under the other, in the spelling of names and the types they have in common."""
    import ibis

    spellings: dict[str, str] = {}
    types: dict[str, set[str]] = {}
    for part in parts:
        for name, kind in part.schema().items():
            types.setdefault(spellings.setdefault(name.lower(), name), set()).add(str(kind))
    alike = []
    for part in parts:
        own = {spellings[name.lower()]: part[name] for name in part.columns}
        columns = {}
        for name, kinds in types.items():
            kind = next(iter(kinds)) if len(kinds) == 1 else "string"
            if name not in own:
                columns[name] = ibis.null(kind)
            else:
                columns[name] = own[name] if len(kinds) == 1 else as_text(own[name])
        alike.append(part.select(**columns))
    return ibis.union(*alike)


def _schema(path: Path) -> pa.Schema:
    """Names and types of a file, from its footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as problem:
        raise TableError(
            f"`{path.name}` is not a whole parquet file ({type(problem).__name__}).\n"
            "  It is damaged or cut short; fetch or write it again."
        ) from None
