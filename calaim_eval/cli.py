"""The commands. Each reads its arguments, calls one pipeline function, and says what to do next."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from calaim_eval.errors import CalaimEvalError
from calaim_eval.version import __version__

T = TypeVar("T")
FINDINGS_EXIT_CODE = 3
UNEXPECTED_EXIT_CODE = 70

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


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder of the new study.")],
    *,
    format: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(help="Format of the raw files: calaim or synthea.")
    ] = "calaim",
    raw: Annotated[str, typer.Option(help="Where the raw files are.")] = "raw",
) -> None:
    """Write a commented study file and its folders."""
    from calaim_eval.errors import StudyFileError
    from calaim_eval.study import init_study

    if format not in ("calaim", "synthea"):
        raise StudyFileError(f"`--format {format}` is not one of 'calaim', 'synthea'.")
    path = init_study(folder, input_format=format, raw=raw)  # type: ignore[arg-type]
    typer.echo(f"Wrote {path}. Next: read it, set what it asks, then\n  calaim-eval check {path}")


@app.command()
def check(study: StudyArgument) -> None:
    """Do the study file and its tables agree? Row-level findings; nothing is estimated.

    Exit code 0: clean. 3: usable, with rows set aside. 10 and above: an error to mend first.
    """
    from calaim_eval.pipeline import check_study
    from calaim_eval.study import read_study

    loaded = read_study(study)
    findings = _step("Reading and checking the raw files", lambda: check_study(loaded))
    typer.echo(findings.ledger.to_string(index=False))
    if findings.n_set_aside:
        typer.echo(
            f"\n{findings.n_set_aside:,} rows are set aside for the reasons above; the study "
            "can run without them. Mend the files if that is not what you expect."
        )
    typer.echo(f"Next: calaim-eval panel {loaded.path.name}")
    if findings.n_set_aside:
        raise typer.Exit(FINDINGS_EXIT_CODE)


@app.command()
def panel(study: StudyArgument) -> None:
    """Build the member-month panel in restricted/; resumes where it stopped."""
    from calaim_eval.pipeline import build_panel
    from calaim_eval.study import read_study

    loaded = read_study(study)
    built = _step("Building the member-month panel", lambda: build_panel(loaded))
    typer.echo(repr(built))
    typer.echo(f"Next: calaim-eval moments {loaded.path.name}")


@app.command()
def moments(
    study: StudyArgument,
    *,
    out: Annotated[Path | None, typer.Option(help="Also write the main design's moments here.")] = (
        None
    ),
) -> None:
    """Reduce the panel to cell moments, from which every effect follows."""
    import shutil

    from calaim_eval.pipeline import MAIN_ANCHOR, build_moments, build_panel
    from calaim_eval.study import read_study

    loaded = read_study(study)
    built = _step("Building the member-month panel", lambda: build_panel(loaded))
    paths, refused = _step(
        "Reducing the panel to cell moments", lambda: build_moments(loaded, built)
    )
    for name, reason in refused.items():
        typer.echo(f"{name}: left out. {reason}")
    for name, files in paths.items():
        typer.echo(f"{name}: " + ", ".join(str(file) for file in files))
    if out is not None and MAIN_ANCHOR in paths:
        shutil.copyfile(paths[MAIN_ANCHOR][0], out)
        typer.echo(
            f"{out}: unsuppressed sums of small groups. It is restricted: do not send it outside "
            "your organization."
        )
    typer.echo(f"Next: calaim-eval estimate {loaded.path.name}")


@app.command()
def estimate(
    study: StudyArgument,
    others: Annotated[
        list[Path] | None, typer.Argument(help="Moments of other plans to pool with.")
    ] = None,
) -> None:
    """Effects and use of care, into restricted/."""
    from calaim_eval.pipeline import build_panel, estimate_quarterless
    from calaim_eval.study import read_study

    loaded = read_study(study)
    built = _step("Building the member-month panel", lambda: build_panel(loaded))
    names = estimate_quarterless(loaded, built, pooled_with=tuple(others or ()), step=_step)
    typer.echo("Estimated: " + ", ".join(names))
    typer.echo(f"Next: calaim-eval integration {loaded.path.name} --quarter 2024Q4")


@app.command()
def integration(study: StudyArgument, *, quarter: QuarterOption) -> None:
    """CBO-integration measures of a quarter, into restricted/."""
    from calaim_eval.pipeline import measure_quarter, read_study_tables
    from calaim_eval.study import read_study

    loaded = read_study(study)
    loaded.check_quarter(quarter)
    tables = _step("Reading and checking the raw files", lambda: read_study_tables(loaded))
    names = _step("Measuring CBO integration", lambda: measure_quarter(loaded, tables, quarter))
    typer.echo("Measured: " + ", ".join(names))
    typer.echo(f"Next: calaim-eval release {loaded.path.name} --quarter {quarter}")


@app.command()
def release(study: StudyArgument, *, quarter: QuarterOption) -> None:
    """Disclosure control: restricted results to release/, with a ledger."""
    from calaim_eval.pipeline import release_quarter
    from calaim_eval.study import read_study

    loaded = read_study(study)
    released = _step("Disclosure control", lambda: release_quarter(loaded, quarter))
    typer.echo(released.summary())
    typer.echo(f"Next: calaim-eval report {loaded.path.name} --quarter {quarter}")


@app.command()
def report(study: StudyArgument, *, quarter: QuarterOption) -> None:
    """Render HTML, PDF and DOCX from release/ only."""
    from calaim_eval.pipeline import render_quarter
    from calaim_eval.study import read_study

    loaded = read_study(study)
    _say_where(_step("Rendering the report", lambda: render_quarter(loaded, quarter)))


@app.command()
def run(study: StudyArgument, *, quarter: QuarterOption) -> None:
    """All of it: raw files to the rendered report of a quarter."""
    from calaim_eval.pipeline import run_study
    from calaim_eval.study import read_study

    _say_where(run_study(read_study(study), quarter, step=_step))


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Study folder to write raw/ and truth/ into.")],
    *,
    members: Annotated[int, typer.Option(min=200, help="How many members.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of all chance.")] = 20_260_101,
    keep: Annotated[bool, typer.Option("--keep", help="Keep files that are there.")] = False,
) -> None:
    """A simulated Medi-Cal: raw files, with the true effects written beside them."""
    from calaim_eval.simulate import simulate_medi_cal
    from calaim_eval.study import init_study

    if keep and (folder / "truth").is_dir():
        typer.echo(f"Keeping the simulated files in {folder}.")
        return
    _step(
        f"Simulating {members:,} members",
        lambda: simulate_medi_cal(folder, members=members, seed=seed),
    )
    if not (folder / "study.toml").exists():
        init_study(folder)
    typer.echo(f"Next: calaim-eval run {folder / 'study.toml'} --quarter 2024Q4")


@app.command()
def dictionary(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the pages are out of date.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the pages are.")] = Path("data_dictionary"),
) -> None:
    """Write the data dictionary from the declared tables."""
    from calaim_eval.errors import TableError
    from calaim_eval.schema import dictionary_drift, write_dictionary

    if not check:
        typer.echo(f"Wrote {write_dictionary(folder)}")
        return
    drift = dictionary_drift(folder)
    if drift:
        raise TableError(
            f"{folder}: {len(drift)} page(s) differ from the declared tables ({', '.join(drift)}). "
            "Run `calaim-eval dictionary` and commit the result."
        )
    typer.echo(f"{folder}: up to date")


def _step(description: str, work: Callable[[], T]) -> T:
    """Run one step, with a line before and the seconds after."""
    typer.echo(f"{description} ...", err=True)
    started = time.perf_counter()
    value = work()
    typer.echo(f"{description}: done in {time.perf_counter() - started:.1f} s", err=True)
    return value


def _say_where(paths: dict[str, Path]) -> None:
    typer.echo("The report is here:")
    for name, path in paths.items():
        typer.echo(f"  {name.upper():<5} {path}")


def main() -> None:
    """Entry point: user errors as a message and an exit code, never a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app(standalone_mode=True)
    except CalaimEvalError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        typer.echo(_unexpected(error), err=True)
        sys.exit(UNEXPECTED_EXIT_CODE)


def _unexpected(error: Exception) -> str:
    """Where an unforeseen error arose; its text, which may hold members' values, goes to a file."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "calaim_eval" in f.filename]
    where = f"{Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else "a library"
    details = Path("restricted") / "last_error.txt"
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
