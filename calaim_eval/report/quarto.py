"""Rendering with the Quarto program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from calaim_eval.errors import MissingExtraError
from calaim_eval.report.errors import ReportError

_QUARTO_FORMATS = {"html": "html", "pdf": "typst", "docx": "docx"}
_LAST_LINES = 12


def has_quarto() -> bool:
    """Whether the program `quarto` is on PATH."""
    return shutil.which("quarto") is not None


def render_quarto(
    source: Path,
    *,
    formats: Sequence[str],
    parameters: Mapping[str, object],
    title: str,
    stem: str,
    notice: str = "",
) -> dict[str, Path]:
    """Render a `.qmd` file with the Quarto program, to each format beside it.

    Parameters
    ----------
    source : Path
        In a working folder that may be written to.
    formats : sequence of {"html", "pdf", "docx"}
        PDF is made through Typst, which comes with Quarto.
    parameters : mapping
    title : str
        Replaces the title in the front matter; empty keeps it.
    stem : str
        File name without extension.
    notice : str
        Stands under the title.

    Returns
    -------
    dict[str, Path]

    Raises
    ------
    MissingExtraError
        The program is not on PATH.
    ReportError
        Quarto stops; the message ends with its last lines.
    """
    program = shutil.which("quarto")
    if program is None:
        raise MissingExtraError(
            'engine="quarto": the program `quarto` is not on PATH. Install Quarto, or use '
            'engine="embedded", which needs only pip install "calaim-eval[report]".'
        )
    named = source.with_name(f"{stem}.qmd")
    if named != source:
        shutil.copyfile(source, named)
    values = source.with_name("parameters.json")
    # JSON is YAML: one file, no quoting of paths on the command line.
    values.write_text(json.dumps(dict(parameters)), encoding="utf-8")
    command = [
        program,
        "render",
        named.name,
        "--to",
        ",".join(_QUARTO_FORMATS[f] for f in formats),
        "--execute-params",
        values.name,
        *(["--metadata", f"title:{title}"] if title else []),
        *(["--metadata", f"subtitle:{notice}"] if notice else []),
    ]
    done = subprocess.run(
        command,
        cwd=source.parent,
        capture_output=True,
        check=False,
        env={**os.environ, "QUARTO_PYTHON": sys.executable},
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", errors="replace").strip().splitlines()
        raise ReportError(
            f"quarto could not render {source.name}:\n  " + "\n  ".join(said[-_LAST_LINES:])
        )
    return {name: source.with_name(f"{stem}.{name}") for name in formats}
