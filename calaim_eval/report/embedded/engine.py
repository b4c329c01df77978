"""The embedded engine: run the cells once, convert the result to each format."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from calaim_eval.errors import MissingExtraError
from calaim_eval.report.embedded.document import read_document
from calaim_eval.report.embedded.execute import execute
from calaim_eval.report.embedded.formats import to_docx, to_html, to_pdf
from calaim_eval.report.embedded.outputs import assemble

_NEEDED = {
    "nbclient": "nbclient",
    "nbformat": "nbformat",
    "ipykernel": "ipykernel",
    "yaml": "pyyaml",
    "pypandoc": "pypandoc_binary",
}


def render_embedded(
    source: Path,
    *,
    formats: Sequence[str],
    parameters: Mapping[str, object],
    title: str,
    stem: str,
    notice: str = "",
) -> dict[str, Path]:
    """Render a `.qmd` file to each format beside it.

    Parameters
    ----------
    source : Path
        In a working folder that may be written to.
    formats : sequence of {"html", "pdf", "docx"}
    parameters : mapping
        Values for the cell tagged ``parameters``.
    title : str
        Replaces the title in the front matter; empty keeps it.
    stem : str
        File name without extension.
    notice : str
        Repeated at the head of every page of the PDF.

    Returns
    -------
    dict[str, Path]
        The file of each format.

    Raises
    ------
    MissingExtraError
        A package of the extra ``report`` is not installed.
    ReportError
        The source cannot be parsed, a cell fails, or a conversion fails.
    """
    require_engine(formats)
    document = read_document(source)
    executed = execute(document, parameters=parameters, folder=source.parent)
    markdown = assemble(document, executed, folder=source.parent)
    meta = _page_meta(document.meta, title=title, stem=stem, formats=formats)
    meta["notice"] = notice
    writers = {"html": to_html, "pdf": to_pdf, "docx": to_docx}
    return {
        name: writers[name](markdown, meta=meta, folder=source.parent, stem=stem)
        for name in formats
    }


def require_engine(formats: Sequence[str]) -> None:
    """Refuse early, naming the extra, where a package is missing."""
    needed = _NEEDED | ({"typst": "typst"} if "pdf" in formats else {})
    missing = [package for module, package in needed.items() if not _has(module)]
    if missing:
        raise MissingExtraError(
            f"rendering {', '.join(formats)} without the Quarto program needs "
            f"{', '.join(f'`{m}`' for m in missing)}. Install the extra: "
            'pip install "calaim-eval[report]"'
        )


def _has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _page_meta(
    front: Mapping[str, Any], *, title: str, stem: str, formats: Sequence[str]
) -> dict[str, Any]:
    """Metadata of the page: the front matter's, without the keys that are Quarto's own."""
    kept = {k: v for k, v in front.items() if k not in ("format", "jupyter", "execute")}
    kept["title"] = title or kept.get("title", stem)
    kept.setdefault("lang", "en")
    names = {"html": "Web page", "pdf": "PDF", "docx": "Word"}
    kept["other-formats"] = [
        {"name": names[f], "href": f"{stem}.{f}"} for f in formats if f != "html"
    ]
    return kept
