"""The data dictionary, from the declared tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dictionary(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the pages are out of date.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the pages are.")] = Path("data_dictionary"),
) -> None:
    """Write the data dictionary from the declared tables."""
    from calaim_eval.errors import TableError
    from calaim_eval.panel import declared_tables
    from calaim_eval.schema import dictionary_drift, write_dictionary

    if not check:
        typer.echo(f"Wrote {write_dictionary(folder, declared_tables())}")
        return
    drift = dictionary_drift(folder, declared_tables())
    if drift:
        raise TableError(
            f"{folder}: {len(drift)} page(s) differ from the declared tables ({', '.join(drift)}). "
            "Run `calaim-eval dictionary` and commit the result."
        )
    typer.echo(f"{folder}: up to date")
