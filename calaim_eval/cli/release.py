"""Disclosure control of a quarter."""

from __future__ import annotations

from typing import Annotated

import typer

from calaim_eval.cli.app import QuarterOption, StudyArgument
from calaim_eval.cli.say import say_next, step


def release(
    study: StudyArgument,
    *,
    quarter: QuarterOption,
    without: Annotated[
        list[str] | None,
        typer.Option(help="TABLE:COLUMN, a column to do without; may be given several times."),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(help="A table to do without; may be given several times."),
    ] = None,
) -> None:
    """Disclosure control: restricted results to release/, with a ledger and a log to sign."""
    from calaim_eval.pipeline import release_quarter, write_custodian_log
    from calaim_eval.study import read_study

    loaded = read_study(study)
    columns = [_table_and_column(text) for text in without or ()]
    released = step(
        "Disclosure control",
        lambda: release_quarter(loaded, quarter, without=columns, leave_out=leave_out or ()),
    )
    typer.echo(released.summary())
    log = step("Writing the log to sign", lambda: write_custodian_log(loaded, quarter))
    typer.echo("\nThe log a data custodian signs (restricted):")
    for path in log.values():
        typer.echo(f"  {path}")
    say_next("report", study, quarter=quarter)


def _table_and_column(text: str) -> tuple[str, str]:
    """``"access_funnel:race_ethnicity"`` taken apart."""
    table, found, column = text.partition(":")
    if not found or not table or not column:
        raise typer.BadParameter(f"--without {text}: write TABLE:COLUMN, as in log.md")
    return table, column
