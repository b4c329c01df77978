"""What a command that fails or is interrupted says, and the code it leaves with."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import typer

from calaim_eval.errors import CalaimEvalError

UNEXPECTED_EXIT_CODE = 70
INTERRUPTED_EXIT_CODE = 130


@contextmanager
def interrupts_noticed() -> Iterator[threading.Event]:
    """Remember that Ctrl-C was pressed: libraries turn it into errors of their own."""
    interrupted = threading.Event()

    def notice(_number: int, _frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, notice)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def interruption() -> int:
    """Say what is kept; the code to leave with."""
    typer.echo(
        "\nInterrupted. What was finished is kept; the same command goes on from there.", err=True
    )
    return INTERRUPTED_EXIT_CODE


def exit_code(error: BaseException) -> int | str | None:
    """Say what an error means to the user; the code to leave with."""
    if isinstance(error, SystemExit):
        return error.code
    if isinstance(error, CalaimEvalError):
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        return error.exit_code
    typer.echo(_unexpected(error), err=True)
    return UNEXPECTED_EXIT_CODE


def _unexpected(error: BaseException) -> str:
    """Where an unforeseen error arose; its text, which may hold members' values, goes to a file."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "calaim_eval" in f.filename]
    where = f"{Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else "a library"
    details = _study_folder(sys.argv[2:]) / "restricted" / "last_error.txt"
    try:
        details.parent.mkdir(exist_ok=True)
        details.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
        kept = f"The traceback is in {details}; it may hold members' values, so do not send it."
    except OSError:
        kept = "The traceback could not be written."
    return (
        f"Unexpected {type(error).__name__} in {where}. This is a defect of calaim_eval: please "
        f"report this line. {kept}"
    )


def _study_folder(arguments: list[str]) -> Path:
    """Folder of the study a command was given; where the user is, if there is none."""
    for path in map(Path, arguments):
        if path.is_file() and path.suffix == ".toml":
            return path.parent
        if (path / "study.toml").is_file():
            return path
    return Path()
