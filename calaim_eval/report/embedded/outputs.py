"""Cell outputs as Markdown: one text for all formats, pictures as files."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from calaim_eval.report.embedded.document import INLINE, Cell, Document, Text
from calaim_eval.report.embedded.execute import Executed


def assemble(document: Document, executed: Executed, *, folder: Path) -> str:
    """The whole document as Markdown without code.

    Parameters
    ----------
    document : Document
    executed : Executed
    folder : Path
        Where pictures are written, beside the document.

    Returns
    -------
    str
        Pandoc Markdown.
    """
    defaults = document.meta.get("execute") or {}
    texts = []
    for position, part in enumerate(document.parts):
        if isinstance(part, Text):
            values = iter(executed.inline.get(position, []))
            texts.append(INLINE.sub(lambda _: next(values), part.source))  # noqa: B023
        else:
            options = {**defaults, **part.options}
            outputs = executed.cells.get(position, [])
            texts.append(_cell_markdown(part, options, outputs, folder=folder, position=position))
    return "\n\n".join(texts)


def _cell_markdown(
    cell: Cell,
    options: dict[str, Any],
    outputs: list[dict[str, Any]],
    *,
    folder: Path,
    position: int,
) -> str:
    if options.get("include", True) is False:
        return ""
    texts = []
    if options.get("echo", True) is not False and not cell.is_parameters:
        texts.append(f"```python\n{cell.source}\n```")
    if options.get("output", True) is not False:
        shown = [
            _output_markdown(
                output, options, folder=folder, name=f"{cell.label or 'cell'}-{position}-{number}"
            )
            for number, output in enumerate(outputs)
        ]
        texts.append(_labelled(cell, options, [s for s in shown if s]))
    return "\n\n".join(t for t in texts if t)


def _labelled(cell: Cell, options: dict[str, Any], shown: list[str]) -> str:
    """The outputs, in the block that numbers them where the cell has such a label and caption."""
    body = "\n\n".join(shown)
    caption = options.get("fig-cap") or options.get("tbl-cap")
    if body and caption and cell.label.startswith(("fig-", "tbl-")):
        return f"\n::: {{#{cell.label}}}\n\n{body}\n\n{caption}\n\n:::\n"
    return body


def _output_markdown(
    output: dict[str, Any], options: dict[str, Any], *, folder: Path, name: str
) -> str:
    is_asis = options.get("output") == "asis"
    if output["output_type"] == "stream":
        text = str(output["text"])
        if output["name"] == "stderr":
            return "" if options.get("warning", True) is False else f"```\n{text}\n```"
        return text if is_asis else f"```\n{text}\n```"
    data = output.get("data", {})
    if "text/markdown" in data:
        return str(data["text/markdown"])
    if "image/png" in data:
        return _picture(data["image/png"], options, folder=folder, name=name)
    if "text/html" in data:
        return f"```{{=html}}\n{data['text/html']}\n```"
    text = str(data.get("text/plain", ""))
    if not text:
        return ""
    return text if is_asis else f"```\n{text}\n```"


def _picture(encoded: str, options: dict[str, Any], *, folder: Path, name: str) -> str:
    path = folder / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(base64.b64decode(encoded))
    alt = str(options.get("fig-alt", "")).replace('"', "'").replace("\n", " ")
    return f'![](figures/{path.name}){{fig-alt="{alt}"}}'
