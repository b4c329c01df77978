"""The application, and the arguments that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calaim_eval.version import __version__

FINDINGS_EXIT_CODE = 3

app = typer.Typer(
    name="calaim-eval",
    help="Evaluate CalAIM: member-month panels, effects by race and ethnicity, CBO integration, "
    "and a quarterly report that is safe to release.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StudyArgument = Annotated[Path, typer.Argument(help="Study file, or the folder that holds it.")]
QuarterOption = Annotated[str, typer.Option(help="Calendar quarter, e.g. 2024Q4.")]


def _version(value: bool) -> None:  # noqa: FBT001 (typer's callback signature)
    if value:
        typer.echo(f"calaim-eval {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the command."""
