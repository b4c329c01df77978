"""Running the cells of a document, once, in a fresh kernel of this very interpreter."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calaim_eval.report.embedded.document import Cell, Document, Text
from calaim_eval.report.errors import ReportError

logger = logging.getLogger(__name__)
CELL_TIMEOUT_SECONDS = 600
_INLINE_MIME = "application/vnd.calaim-eval.inline+json"
_SETUP = f"""
def _calaim_eval_inline(value):
    from IPython.display import display
    markdown = getattr(value, "_repr_markdown_", None)
    text = markdown() if markdown else str(value)
    display({{"{_INLINE_MIME}": {{"text": text, "is_markdown": markdown is not None}}}}, raw=True)
"""


@dataclass(frozen=True, slots=True)
class Executed:
    """Outputs of a document's parts, in their order.

    Attributes
    ----------
    cells : dict[int, list[dict]]
        Notebook outputs of the cell at each position.
    inline : dict[int, list[str]]
        Markdown of each inline expression of the text at each position.
    """

    cells: dict[int, list[dict[str, Any]]]
    inline: dict[int, list[str]]


@dataclass(frozen=True, slots=True)
class _Step:
    """One piece of code to run, and the part of the document it belongs to."""

    position: int
    source: str
    is_inline: bool = False


def execute(document: Document, *, parameters: Mapping[str, object], folder: Path) -> Executed:
    """Run every cell and inline expression in document order.

    Parameters
    ----------
    document : Document
    parameters : mapping
        Values assigned after the cell tagged ``parameters``; text, numbers and booleans.
    folder : Path
        Working folder of the kernel.

    Returns
    -------
    Executed

    Raises
    ------
    ReportError
        A cell fails: the message names the file, the line, the cell's label and the error.
    """
    steps = list(_steps(document, parameters))
    outputs = _run([_SETUP, *(s.source for s in steps)], document, steps, folder)[1:]
    cells: dict[int, list[dict[str, Any]]] = {}
    inline: dict[int, list[str]] = {}
    for step, produced in zip(steps, outputs, strict=True):
        if step.is_inline:
            inline.setdefault(step.position, []).append(_inline_text(produced))
        else:
            cells.setdefault(step.position, []).extend(produced)
    return Executed(cells=cells, inline=inline)


def _steps(document: Document, parameters: Mapping[str, object]) -> list[_Step]:
    steps = []
    has_parameters = any(isinstance(p, Cell) and p.is_parameters for p in document.parts)
    if parameters and not has_parameters:
        raise ReportError(
            f"{document.path.name} has no cell tagged `parameters`, so "
            f"{', '.join(f'`{name}`' for name in parameters)} cannot be set. Add a cell with "
            "`#| tags: [parameters]`."
        )
    for position, part in enumerate(document.parts):
        if isinstance(part, Text):
            steps += [
                _Step(position, f"_calaim_eval_inline({expression})", is_inline=True)
                for expression in part.expressions
            ]
            continue
        if part.options.get("eval", True) is not False:
            steps.append(_Step(position, part.source))
        if part.is_parameters:
            injected = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
            steps.append(_Step(position, injected))
    return steps


def _run(
    sources: list[str], document: Document, steps: list[_Step], folder: Path
) -> list[list[dict[str, Any]]]:
    """Outputs of each piece of code, run in one kernel."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    notebook_format: Any = nbformat.v4
    notebook = notebook_format.new_notebook(
        cells=[notebook_format.new_code_cell(source) for source in sources]
    )
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_manager_class="calaim_eval.report.embedded.kernel.CurrentInterpreterKernel",
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        where = _where(notebook, document, steps)
        raise ReportError(
            f"{where} failed: {error.ename}: {error.evalue}\n"
            "  Mend that cell; the reports written earlier are untouched."
        ) from error
    except (CellTimeoutError, DeadKernelError) as error:
        where = _where(notebook, document, steps)
        raise ReportError(
            f"{where} did not finish ({type(error).__name__}); a cell may take "
            f"{CELL_TIMEOUT_SECONDS} seconds, and needs memory for its tables."
        ) from error
    logger.info("ran %d cells with %s", len(sources), sys.executable)
    return [list(cell["outputs"]) for cell in notebook.cells]


def _where(notebook: Any, document: Document, steps: list[_Step]) -> str:
    """File, line and label of the last piece of code that was started."""
    started = [i for i, cell in enumerate(notebook.cells) if cell.get("execution_count")]
    failed = [
        i
        for i, cell in enumerate(notebook.cells)
        if any(o["output_type"] == "error" for o in cell["outputs"])
    ]
    index = (failed or started or [0])[-1]
    if index == 0:
        return f"{document.path.name}: starting the kernel"
    step = steps[index - 1]
    part = document.parts[step.position]
    if step.is_inline or isinstance(part, Text):
        expression = step.source.removeprefix("_calaim_eval_inline(").removesuffix(")")
        return f"inline expression `{expression}` ({part.place} or below)"
    label = f"cell `{part.label}`" if part.label else "cell without label"
    return f"{label} ({part.place})"


def _inline_text(outputs: list[dict[str, Any]]) -> str:
    """Text of an inline expression; plain text is protected from being read as Markdown."""
    for output in outputs:
        value = output.get("data", {}).get(_INLINE_MIME)
        if value is not None:
            text = str(value["text"])
            return text if value["is_markdown"] else _escaped(text)
    return ""


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#@$^~|" else c for c in text)
