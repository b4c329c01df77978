"""The commands. Each reads its arguments, calls one pipeline function, and says what to do next."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from calaim_eval.errors import CalaimEvalError, DesignError
from calaim_eval.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from calaim_eval.study import Study

T = TypeVar("T")
FINDINGS_EXIT_CODE = 3
UNEXPECTED_EXIT_CODE = 70
INTERRUPTED_EXIT_CODE = 130

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
    typer.echo(f"  calaim-eval check {_quoted(path)}")


@app.command()
def check(
    study: StudyArgument,
    *,
    exact: Annotated[
        bool, typer.Option("--exact", help="Show counts of 1 to 10 people as they are.")
    ] = False,
) -> None:
    """Can these data be used? Findings on every table; nothing is estimated.

    Exit code 0: usable. 3: usable, with rows set aside. 10 and above: an error to mend first; 18: a
    finding that stops the study. Warnings are in quality.json and leave the code as it is.
    """
    from calaim_eval.errors import QualityError
    from calaim_eval.pipeline import check_study, read_study_tables, stop_message
    from calaim_eval.quality.summary import summary_text
    from calaim_eval.study import read_study

    loaded = read_study(study)
    tables = _step("Reading and checking the raw files", lambda: read_study_tables(loaded))
    checked = _step("Checking data quality", lambda: check_study(loaded, tables, exact=exact))
    typer.echo(_ledger_text(checked.ledger.to_frame()))
    if checked.n_set_aside:
        typer.echo(
            f"\n{checked.n_set_aside:,} rows are set aside for the reasons above; the study "
            "can run without them. Mend the files if that is not what you expect."
        )
    typer.echo(f"\n{summary_text(checked.report, exact=exact)}")
    typer.echo(f"All findings, with what to do: {checked.folder / 'quality.html'}")
    if checked.report.stops:
        stops = [finding.check.id for finding in checked.report.stops]
        raise QualityError(stop_message(loaded, stops))
    _say_next("panel", study)
    if checked.n_set_aside:
        raise typer.Exit(FINDINGS_EXIT_CODE)


@app.command()
def panel(
    study: StudyArgument,
    *,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only say what it takes: time, memory, disk, what is done."),
    ] = False,
) -> None:
    """Build the member-month panel in restricted/; resumes where it stopped.

    With --plan nothing is built; exit code 3 when it will not fit on this machine.
    """
    from calaim_eval.pipeline import build_panel
    from calaim_eval.pipeline.panel import panel_findings
    from calaim_eval.pipeline.plan import plan_study
    from calaim_eval.study import read_study

    loaded = read_study(study)
    if plan:
        planned = plan_study(loaded)
        typer.echo(str(planned))
        if planned.problems:
            raise typer.Exit(FINDINGS_EXIT_CODE)
        _say_next("panel", study)
        return
    built = _step("Building the member-month panel", lambda: build_panel(loaded))
    typer.echo(repr(built))
    for line in panel_findings(loaded, built):
        typer.echo(line)
    _say_stop(loaded)
    _say_next("moments", study)


@app.command()
def moments(
    study: StudyArgument,
    *,
    out: Annotated[Path | None, typer.Option(help="Also write the main design's moments here.")] = (
        None
    ),
    share: Annotated[
        bool,
        typer.Option("--share", help="Leave cells of few members out of the file."),
    ] = False,
) -> None:
    """Reduce the panel to cell moments, from which every effect follows."""
    import shutil

    from calaim_eval.disclosure import moments_to_share
    from calaim_eval.moments import load_moments
    from calaim_eval.pipeline import MAIN_ANCHOR, build_moments, build_panel
    from calaim_eval.study import read_study

    if share and out is None:
        raise typer.BadParameter("name the file to share: --share --out FILE")
    loaded = read_study(study)
    built = _step("Building the member-month panel", lambda: build_panel(loaded))
    paths, refused = _step(
        "Reducing the panel to cell moments", lambda: build_moments(loaded, built)
    )
    for name, reason in refused.items():
        typer.echo(f"{name}: left out. {reason}")
    for name, files in paths.items():
        typer.echo(f"{name}: " + ", ".join(str(file) for file in files))
    if out is not None and MAIN_ANCHOR not in paths:
        typer.echo(f"{out}: not written, for {MAIN_ANCHOR} is left out.", err=True)
        raise typer.Exit(DesignError.exit_code)
    if out is not None and share:
        whole = load_moments(paths[MAIN_ANCHOR][0])
        shared = moments_to_share(whole, policy=loaded.disclosure_policy)
        shared.save(out)
        typer.echo(
            f"{out}: {len(shared):,} of {len(whole):,} cells, each of at least as many members "
            "as the policy asks. For pooling under an agreement, not for publication."
        )
        for note in shared.provenance["notes"][len(whole.provenance["notes"]) :]:
            typer.echo(note)
    elif out is not None:
        shutil.copyfile(paths[MAIN_ANCHOR][0], out)
        typer.echo(
            f"{out}: unsuppressed sums of small groups. It is restricted: send it outside your "
            "organization only where an agreement allows it."
        )
    _say_stop(loaded)
    _say_next("estimate", study)


@app.command()
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
    tables = _step("Reading and checking the raw files", lambda: read_study_tables(loaded))
    built = _step("Building the member-month panel", lambda: build_panel(loaded, tables))
    names = estimate_quarterless(
        loaded, built, tables=tables, pooled_with=tuple(others or ()), step=_step
    )
    typer.echo("Estimated: " + ", ".join(names))
    if others:
        typer.echo(
            "Effects of the main design are of this study's members and those of "
            f"{', '.join(file.name for file in others)}; use of care is of this study's."
        )
    _say_stop(loaded)
    _say_next("integration", study, quarter=loaded.last_quarter)


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
    _say_stop(loaded)
    _say_next("release", study, quarter=quarter)


@app.command()
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
    released = _step(
        "Disclosure control",
        lambda: release_quarter(loaded, quarter, without=columns, leave_out=leave_out or ()),
    )
    typer.echo(released.summary())
    log = _step("Writing the log to sign", lambda: write_custodian_log(loaded, quarter))
    typer.echo("\nThe log a data custodian signs (restricted):")
    for path in log.values():
        typer.echo(f"  {path}")
    _say_next("report", study, quarter=quarter)


def _table_and_column(text: str) -> tuple[str, str]:
    """``"access_funnel:race_ethnicity"`` taken apart."""
    table, found, column = text.partition(":")
    if not found or not table or not column:
        raise typer.BadParameter(f"--without {text}: write TABLE:COLUMN, as in log.md")
    return table, column


@app.command()
def report(study: StudyArgument, *, quarter: QuarterOption) -> None:
    """Render HTML, PDF and DOCX from release/ only."""
    from calaim_eval.errors import OutputError
    from calaim_eval.pipeline import render_quarter
    from calaim_eval.study import read_study

    loaded = read_study(study)
    loaded.check_quarter(quarter)
    if not loaded.release_folder(quarter).is_dir():
        raise OutputError(
            f"{loaded.release_folder(quarter)}: nothing is released for {quarter} yet. "
            f"`calaim-eval release {_quoted(study)} --quarter {quarter}` releases what was "
            "estimated; `run` does everything."
        )
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
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep a simulation of this size, seed and version."),
    ] = False,
    partner_files: Annotated[
        bool,
        typer.Option("--partner-files", help="Write partners' files too, in their own formats."),
    ] = False,
) -> None:
    """A simulated Medi-Cal: raw files, with the true effects written beside them."""
    from calaim_eval.simulate import simulate_medi_cal
    from calaim_eval.study import init_study

    wanted = {"members": members, "seed": seed, "package_version": __version__}
    if keep and _is_simulated(folder, wanted):
        typer.echo(f"{folder} holds the simulated files of {members:,} members; they are kept.")
        _simulate_partners(folder, is_wanted=partner_files)
        return
    _step(
        f"Simulating {members:,} members",
        lambda: simulate_medi_cal(folder, members=members, seed=seed),
    )
    if not (folder / "study.toml").exists():
        init_study(folder)
    _simulate_partners(folder, is_wanted=partner_files)
    _say_next("run", folder / "study.toml", quarter="2024Q4")


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


def _simulate_partners(folder: Path, *, is_wanted: bool) -> None:
    """Write partners' files where they are wanted, and say how a study file names them."""
    if not is_wanted:
        return
    from calaim_eval.simulate.partner_files import partner_lines, simulate_partner_files

    made = _step("Writing partners' files", lambda: simulate_partner_files(folder))
    typer.echo(f"{folder / 'partners'} holds {', '.join(made.folders)}. In the study file:")
    typer.echo(partner_lines(made))


def _step(description: str, work: Callable[[], T]) -> T:
    """Run one step, with a line before and the seconds after."""
    typer.echo(f"{description} ...", err=True)
    started = time.perf_counter()
    value = work()
    typer.echo(f"{description}: done in {time.perf_counter() - started:.1f} s", err=True)
    return value


def _say_stop(study: Study) -> None:
    """A finding that stops the study: one may look into it, and nothing of it is released."""
    from calaim_eval.pipeline.check import stop_on_record

    told = stop_on_record(study)
    if told:
        typer.echo(f"\nSTOP, `release` will refuse these files: {told}\n", err=True)


def _say_next(command: str, study: Path, *, quarter: str | None = None) -> None:
    """The next command, as it can be typed from where the user is."""
    ending = "" if quarter is None else f" --quarter {quarter}"
    typer.echo(f"Next: calaim-eval {command} {_quoted(study)}{ending}")


def _say_where(paths: dict[str, Path]) -> None:
    typer.echo("The report is here:")
    for name, path in paths.items():
        typer.echo(f"  {name.upper():<5} {path}")


def _quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return f'"{path}"' if " " in str(path) else str(path)


def _ledger_text(ledger: pd.DataFrame) -> str:
    """What became of the rows, with what each stage counts."""
    titles = {
        "source": "Files as they came, and what of them became tables of the study:",
        "read": "Rows of the study's tables, used or set aside:",
        "notice": "Remarks on rows that are kept:",
    }
    blocks = []
    for stage in dict.fromkeys([*titles, *ledger["stage"]]):
        rows = ledger.loc[ledger["stage"] == stage].sort_values("table", kind="stable")
        if rows.empty:
            continue
        width = int(rows["table"].str.len().max())
        lines = [
            f"  {table:<{width}}  {n_rows:>13,}  {reason}"
            for table, reason, n_rows in rows[["table", "reason", "n_rows"]].itertuples(index=False)
        ]
        blocks.append("\n".join([titles.get(stage, f"{stage}:"), *lines]))
    return "\n\n".join(blocks)


def _is_simulated(folder: Path, wanted: dict[str, object]) -> bool:
    """Whether a folder holds the simulation that is asked for."""
    about = folder / "truth" / "simulation.json"
    if not about.is_file() or not (folder / "raw").is_dir():
        return False
    found = json.loads(about.read_text(encoding="utf-8"))
    return all(found.get(key) == value for key, value in wanted.items())


def main() -> None:
    """Entry point: user errors as a message and an exit code, never a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    # What a study could detect belongs on the screen before the estimates do.
    logging.getLogger("calaim_eval.pipeline.power").setLevel(logging.INFO)
    with _interrupts_noticed() as interrupted:
        try:
            app(standalone_mode=True)
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            sys.exit(_interruption() if interrupted.is_set() else _exit_code(error))


@contextmanager
def _interrupts_noticed() -> Iterator[threading.Event]:
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


def _interruption() -> int:
    typer.echo(
        "\nInterrupted. What was finished is kept; the same command goes on from there.", err=True
    )
    return INTERRUPTED_EXIT_CODE


def _exit_code(error: BaseException) -> int | str | None:
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
