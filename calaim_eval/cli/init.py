"""A new study: a commented study file and its folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calaim_eval.cli.say import quoted


def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new study.")],
    *,
    format: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(help="Format of the raw files; an unknown one lists all.")
    ] = "calaim",
    raw: Annotated[
        Path | None, typer.Option(help="Where the raw files are.", show_default="FOLDER/raw")
    ] = None,
) -> None:
    """Write a commented study file and its folders."""
    from calaim_eval.errors import StudyFileError
    from calaim_eval.study import init_study
    from calaim_eval.tables.formats import FORMATS

    if format not in FORMATS:
        listed = ", ".join(f"'{each}'" for each in FORMATS)
        raise StudyFileError(f"`--format {format}` is not one of {listed}.")
    if raw is not None and not raw.is_dir():
        raise StudyFileError(f"`--raw {raw}`: there is no such folder.")
    where = "raw" if raw is None else str(raw.resolve())
    path = init_study(folder, input_format=format, raw=where)
    put = f"put your files into {folder / 'raw'}, " if raw is None else ""
    typer.echo(f"Wrote {path}. Next: {put}read it, change what differs in your study, then")
    typer.echo(f"  calaim-eval check {quoted(path)}")
