"""From a release folder to the pages people read."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from calaim_eval.errors import OutputError
from calaim_eval.report.embedded import render_embedded
from calaim_eval.report.errors import ReportError
from calaim_eval.report.markdown import SIMULATED
from calaim_eval.report.quarto import has_quarto, render_quarto
from calaim_eval.report.release_items import is_simulated, open_release
from calaim_eval.report.source import find_source

Format = Literal["html", "pdf", "docx"]
Engine = Literal["auto", "quarto", "embedded"]
_FORMATS: tuple[Format, ...] = ("html", "pdf", "docx")
_ENGINE_WORDS = {
    "quarto": "the Quarto program",
    "embedded": "the engine embedded in calaim_eval (nbclient, pandoc and Typst)",
}


def render_report(
    release_folder: str | Path,
    *,
    out_dir: str | Path,
    study_id: str,
    quarter: str,
    formats: Sequence[Format] = _FORMATS,
    title: str = "",
    engine: Engine = "auto",
    source: str | Path | None = None,
) -> dict[str, Path]:
    """Render the quarterly report of a release.

    Reads the release folder and nothing else. The cells run once for all formats with the
    embedded engine. Earlier reports stay as they are unless every format was made.

    Parameters
    ----------
    release_folder : path
        A folder that `release` wrote.
    out_dir : path
        Made where it does not exist.
    study_id, quarter : str
        Shown on the page; the files are called ``<study_id>_<quarter>.html`` and so on.
    formats : sequence of {"html", "pdf", "docx"}
    title : str
        Title of the page; empty keeps the one in the source.
    engine : {"auto", "quarto", "embedded"}
        ``"auto"`` is the Quarto program where it is on PATH, else the embedded engine. The page
        says which one made it.
    source : path, optional
        Another `.qmd` file with the same parameters (`release_folder`, `study_id`, `quarter`,
        `made_with`). Files beside it are copied with it.

    Returns
    -------
    dict[str, Path]
        The file of each format.

    Raises
    ------
    DisclosureError
        The folder is not a release, or was changed after release.
    ReportError
        The source does not run or cannot be converted; the message names file and cell.
    MissingExtraError
        A package or program that the engine needs is not installed.
    OutputError
        `out_dir` cannot be written.
    """
    wanted = _checked_formats(formats)
    folder = Path(release_folder).resolve()
    notice = SIMULATED if is_simulated(open_release(folder)) else ""
    chosen = _chosen_engine(engine)
    qmd = find_source(source)
    target = _writable(Path(out_dir))
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{study_id}_{quarter}").strip("-.")
    parameters = {
        "release_folder": str(folder),
        "study_id": study_id,
        "quarter": quarter,
        "made_with": _ENGINE_WORDS[chosen],
    }
    render = render_quarto if chosen == "quarto" else render_embedded
    with tempfile.TemporaryDirectory(
        prefix="calaim_eval-report-", ignore_cleanup_errors=True
    ) as work:
        copied = _copy_source(qmd, Path(work))
        made = render(
            copied, formats=wanted, parameters=parameters, title=title, stem=stem, notice=notice
        )
        return publish(made, target)


def _checked_formats(formats: Sequence[str]) -> tuple[str, ...]:
    unknown = [f for f in formats if f not in _FORMATS]
    if unknown or not formats:
        raise ReportError(
            f"formats {list(formats)}: choose one or more of "
            f"{', '.join(f'`{f}`' for f in _FORMATS)}."
        )
    return tuple(dict.fromkeys(formats))


def _chosen_engine(engine: str) -> str:
    if engine not in ("auto", *_ENGINE_WORDS):
        raise ReportError(f"engine `{engine}`: choose `auto`, `quarto` or `embedded`.")
    if engine == "auto":
        return "quarto" if has_quarto() else "embedded"
    return engine


def _writable(folder: Path) -> Path:
    """The output folder, tried before the work starts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write reports to `{folder}` ({error.strerror}). Check the path, free space "
            "and permissions; earlier reports are untouched."
        ) from error
    return folder


def _copy_source(qmd: Path, work: Path) -> Path:
    """The source and the files beside it, in a folder that may be written to."""
    folder = work / "source"
    ignore = shutil.ignore_patterns("*.html", "*.pdf", "*.docx", "*_files", ".quarto", "figures")
    shutil.copytree(qmd.parent, folder, ignore=ignore)
    return folder / qmd.name


def publish(made: dict[str, Path], target: Path) -> dict[str, Path]:
    """Move the finished files into place: all are copied beside their place, then swapped in."""
    staged: dict[Path, Path] = {}
    try:
        for path in made.values():
            beside = target / f".{path.name}.{os.getpid()}"
            shutil.copyfile(path, beside)
            staged[beside] = target / path.name
        for beside, final in staged.items():
            beside.replace(final)
    except OSError as error:
        for beside in staged:
            beside.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write reports to `{target}` ({error.strerror}). A file that is open in "
            "another program cannot be replaced; close it. Free space and permissions matter too."
        ) from error
    return {name: target / path.name for name, path in made.items()}
