"""Effects and use of care, into restricted/."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from calaim_eval.cli.app import StudyArgument
from calaim_eval.cli.say import say_next, say_stop, step


def estimate(
    study: StudyArgument,
    others: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Moments of other plans to pool with (their `moments --out`).",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Effects and use of care, into restricted/."""
    from calaim_eval.pipeline import build_panel, estimate_quarterless, read_study_tables
    from calaim_eval.study import read_study

    loaded = read_study(study)
    tables = step("Reading and checking the raw files", lambda: read_study_tables(loaded))
    built = step("Building the member-month panel", lambda: build_panel(loaded, tables))
    names = estimate_quarterless(
        loaded, built, tables=tables, pooled_with=tuple(others or ()), step=step
    )
    typer.echo("Estimated: " + ", ".join(names))
    if others:
        typer.echo(
            "Effects of the main design are of this study's members and those of "
            f"{', '.join(file.name for file in others)}; use of care is of this study's."
        )
    say_stop(loaded)
    say_next("integration", study, quarter=loaded.last_quarter)
