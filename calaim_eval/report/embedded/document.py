"""A `.qmd` file taken apart: front matter, text, cells, inline expressions, and their places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calaim_eval.report.errors import ReportError

_INCLUDE = re.compile(r"^\s*\{\{<\s*include\s+(\S+)\s*>\}\}\s*$")
_CELL = re.compile(r"^(`{3,})\{python\}\s*$")
_FENCE = re.compile(r"^(`{3,}|~{3,})")
_OPTION = re.compile(r"^#\|\s?(.*)$")
INLINE = re.compile(r"`\{python\}\s+([^`]+?)\s*`")
_PAGE_BREAK = re.compile(r"^\s*\{\{<\s*pagebreak\s*>\}\}\s*$")


@dataclass(frozen=True, slots=True)
class Place:
    """File and line, for messages."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One executable cell."""

    source: str
    options: dict[str, Any]
    place: Place

    @property
    def label(self) -> str:
        """Label of the cell; empty where it has none."""
        return str(self.options.get("label", ""))

    @property
    def is_parameters(self) -> bool:
        """Whether the cell holds the parameters' defaults."""
        tags = self.options.get("tags") or []
        return "parameters" in tags


@dataclass(frozen=True, slots=True)
class Text:
    """Markdown between cells; `expressions` are its inline expressions in order."""

    source: str
    place: Place
    expressions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document, includes resolved."""

    meta: dict[str, Any]
    parts: tuple[Cell | Text, ...]
    path: Path = field(default=Path())


def read_document(path: Path) -> Document:
    """Parse a `.qmd` file and the files it includes.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Document

    Raises
    ------
    ReportError
        A file is missing, includes itself, has invalid front matter or cell options, or a cell
        that is never closed; the message names file and line.
    """
    lines = list(_included(path, path.parent, seen=()))
    meta, lines = _front_matter(lines)
    return Document(meta=meta, parts=tuple(_parts(lines)), path=path)


def _included(path: Path, base: Path, *, seen: tuple[Path, ...]) -> Iterator[tuple[str, Place]]:
    """Lines with their place; an include line is replaced by the lines of its file."""
    resolved = path.resolve()
    if resolved in seen:
        raise ReportError(f"{path.name} includes itself; remove one of the include lines.")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{path.name} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ReportError(f"{path.name} is not UTF-8 text; save it as UTF-8.") from error
    for number, line in enumerate(text.splitlines(), start=1):
        found = _INCLUDE.match(line)
        if not found:
            yield line, Place(path.name, number)
            continue
        target = path.parent / found.group(1)
        if not target.is_file():
            raise ReportError(
                f"{Place(path.name, number)}: includes `{found.group(1)}`, which is not there."
            )
        yield "", Place(path.name, number)
        yield from _included(target, base, seen=(*seen, resolved))
        yield "", Place(path.name, number)


def _front_matter(
    lines: list[tuple[str, Place]],
) -> tuple[dict[str, Any], list[tuple[str, Place]]]:
    if not lines or lines[0][0].strip() != "---":
        return {}, lines
    for end, (line, _) in enumerate(lines[1:], start=1):
        if line.strip() in ("---", "..."):
            text = "\n".join(row for row, _ in lines[1:end])
            return _yaml(text, lines[0][1], "front matter"), lines[end + 1 :]
    raise ReportError(f"{lines[0][1]}: the front matter is never closed with `---`.")


def _yaml(text: str, place: Place, what: str) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    try:
        value = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ReportError(
            f"{place}: the {what} is not valid YAML ({_first_line(error)})."
        ) from error
    if not isinstance(value, dict):
        raise ReportError(f"{place}: the {what} must be `key: value` lines.")
    return value


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _parts(lines: list[tuple[str, Place]]) -> Iterator[Cell | Text]:
    """Cells and the text between them, in order."""
    text: list[tuple[str, Place]] = []
    fence = ""
    position = 0
    while position < len(lines):
        line, place = lines[position]
        opened = _CELL.match(line) if not fence else None
        if opened:
            if text:
                yield _text(text)
                text = []
            end = _closing(lines, position, opened.group(1))
            yield _cell([row for row, _ in lines[position + 1 : end]], place)
            position = end + 1
            continue
        fence = _fence_after(line, fence)
        text.append((_plain_break(line), place))
        position += 1
    if text:
        yield _text(text)


def _closing(lines: list[tuple[str, Place]], start: int, fence: str) -> int:
    for position in range(start + 1, len(lines)):
        if lines[position][0].rstrip() == fence:
            return position
    raise ReportError(f"{lines[start][1]}: the cell that starts here is never closed.")


def _fence_after(line: str, fence: str) -> str:
    """The fence that is open after this line: code shown, not run, is left alone."""
    found = _FENCE.match(line)
    if not found:
        return fence
    if not fence:
        return found.group(1)
    return "" if line.strip() == fence else fence


def _plain_break(line: str) -> str:
    return "\n::: {.page-break}\n:::\n" if _PAGE_BREAK.match(line) else line


def _text(lines: list[tuple[str, Place]]) -> Text:
    source = "\n".join(line for line, _ in lines)
    return Text(
        source=source,
        place=lines[0][1],
        expressions=tuple(m.group(1) for m in INLINE.finditer(source)),
    )


def _cell(lines: list[str], place: Place) -> Cell:
    head = 0
    options: list[str] = []
    for line in lines:
        found = _OPTION.match(line)
        if not found:
            break
        options.append(found.group(1))
        head += 1
    parsed = _yaml("\n".join(options), place, "list of cell options")
    return Cell(source="\n".join(lines[head:]), options=parsed, place=place)
