"""Markdown to a web page, a PDF and a Word file."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from calaim_eval.errors import MissingExtraError
from calaim_eval.report.embedded.word_styles import write_reference
from calaim_eval.report.embedded.word_tables import keep_tables_whole
from calaim_eval.report.errors import ReportError

logger = logging.getLogger(__name__)
_READER = "markdown"


def to_html(markdown: str, *, meta: Mapping[str, Any], folder: Path, stem: str) -> Path:
    """One self-contained file: pictures, style and mathematics inside, nothing fetched."""
    page = {
        **meta,
        "page-css": _asset("page.css"),
        "page-js": _asset("page.js"),
        "has-tabsets": "panel-tabset" in markdown,
        "toc": meta.get("toc", True),
    }
    target = folder / f"{stem}.html"
    _pandoc(
        markdown,
        folder=folder,
        meta=page,
        options=[
            "--to=html5",
            "--standalone",
            "--embed-resources",
            "--mathml",
            "--section-divs",
            "--shift-heading-level-by=1",
            "--toc",
            "--toc-depth=3",
            f"--template={_asset_file(folder, 'page.html')}",
            f"--output={target}",
        ],
    )
    return target


def to_pdf(markdown: str, *, meta: Mapping[str, Any], folder: Path, stem: str) -> Path:
    """PDF through Typst: tagged, and accessible (PDF/UA-1) where every picture has its words."""
    import typst

    page = {**meta, "running-head": meta["title"]}
    typ = folder / f"{stem}.typ"
    _pandoc(
        markdown,
        folder=folder,
        meta=page,
        options=[
            "--to=typst",
            "--standalone",
            f"--template={_asset_file(folder, 'page.typ')}",
            f"--output={typ}",
        ],
    )
    # Pandoc centres every table; ours stand at the left edge, like the text.
    text = typ.read_text(encoding="utf-8").replace("align(center)[#table(", "align(left)[#table(")
    typ.write_text(text, encoding="utf-8")
    target = folder / f"{stem}.pdf"
    try:
        _compile(typ, target, standard="ua-1")
    except typst.TypstError as error:
        if "PDF/UA" not in str(error):
            raise ReportError(f"{stem}.pdf: Typst could not set the page: {error}") from error
        logger.warning("%s.pdf is not accessible PDF (PDF/UA-1): %s", stem, error)
        _compile(typ, target, standard=None)
    return target


def _compile(typ: Path, target: Path, *, standard: Literal["ua-1"] | None) -> None:
    """Set a page with the fonts that come with Typst and matplotlib, the same on every machine."""
    import typst
    from matplotlib import get_data_path

    typst.compile(
        str(typ),
        output=str(target),
        root=str(typ.parent),
        font_paths=[str(Path(get_data_path()) / "fonts" / "ttf")],
        ignore_system_fonts=True,
        pdf_standards=standard,
    )


def to_docx(markdown: str, *, meta: Mapping[str, Any], folder: Path, stem: str) -> Path:
    """Word file with this project's styles."""
    target = folder / f"{stem}.docx"
    reference = write_reference(_pandoc_path(), folder / "reference.docx")
    _pandoc(
        markdown,
        folder=folder,
        # Word fills a table of contents only when asked; an empty one confuses.
        meta={**meta, "toc": False},
        options=[
            "--to=docx",
            "--standalone",
            f"--reference-doc={reference}",
            f"--output={target}",
        ],
    )
    return keep_tables_whole(target)


def _pandoc_path() -> str:
    """The pandoc that comes with `pypandoc_binary`."""
    import pypandoc

    try:
        return str(pypandoc.get_pandoc_path())
    except OSError as error:
        raise MissingExtraError(
            'pandoc is not installed. It comes with the extra: pip install "calaim-eval[report]"'
        ) from error


def _pandoc(
    markdown: str, *, folder: Path, meta: Mapping[str, Any], options: Sequence[str]
) -> None:
    """Run pandoc with the filter for Quarto's constructs."""
    meta_file = folder / "page-meta.json"
    # Style sheet and script are template variables: as metadata they would be read as Markdown.
    verbatim = {k: v for k, v in meta.items() if k in ("page-css", "page-js")}
    plain = {k: v for k, v in meta.items() if k not in verbatim}
    meta_file.write_text(
        json.dumps({"pagetitle": meta["title"], **plain}, default=str), encoding="utf-8"
    )
    variables = [f"--variable={name}={value}" for name, value in verbatim.items()]
    command = [
        _pandoc_path(),
        f"--from={_READER}",
        f"--lua-filter={_asset_file(folder, 'quarto_subset.lua')}",
        f"--metadata-file={meta_file}",
        "--resource-path=.",
        *variables,
        *options,
    ]
    done = subprocess.run(
        command,
        input=markdown.encode("utf-8"),
        capture_output=True,
        cwd=folder,
        check=False,
    )
    messages = done.stderr.decode("utf-8", errors="replace").strip()
    if done.returncode != 0:
        raise ReportError(f"pandoc could not convert the page: {messages}")
    if messages:
        logger.warning("pandoc: %s", messages)


def _asset(name: str) -> str:
    path = files("calaim_eval.report.embedded") / "assets" / name
    return path.read_text(encoding="utf-8")


def _asset_file(folder: Path, name: str) -> Path:
    """An asset as a real file beside the document (the package may be inside an archive)."""
    target = folder / name
    target.write_text(_asset(name), encoding="utf-8")
    return target
