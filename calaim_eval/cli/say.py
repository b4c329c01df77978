"""What commands say: a step and its seconds, what stops, what comes next."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from calaim_eval.study import Study

T = TypeVar("T")


def step(description: str, work: Callable[[], T]) -> T:
    """Run one step, with a line before and the seconds after."""
    typer.echo(f"{description} ...", err=True)
    started = time.perf_counter()
    value = work()
    typer.echo(f"{description}: done in {time.perf_counter() - started:.1f} s", err=True)
    return value


def say_stop(study: Study) -> None:
    """A finding that stops the study: one may look into it, and nothing of it is released."""
    from calaim_eval.pipeline.check import stop_on_record

    told = stop_on_record(study)
    if told:
        typer.echo(f"\nSTOP, `release` will refuse these files: {told}\n", err=True)


def say_next(command: str, study: Path, *, quarter: str | None = None) -> None:
    """The next command, as it can be typed from where the user is."""
    ending = "" if quarter is None else f" --quarter {quarter}"
    typer.echo(f"Next: calaim-eval {command} {quoted(study)}{ending}")


def say_where(paths: dict[str, Path]) -> None:
    """Where the rendered report is."""
    typer.echo("The report is here:")
    for name, path in paths.items():
        typer.echo(f"  {name.upper():<5} {path}")


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return f'"{path}"' if " " in str(path) else str(path)
