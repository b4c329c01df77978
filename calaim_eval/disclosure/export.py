"""Released tables for other programs: a workbook, or a folder of CSV files."""

from __future__ import annotations

import csv
import importlib.util
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine.write import atomic_file, atomic_folder
from calaim_eval.errors import DisclosureError, MissingExtraError

if TYPE_CHECKING:
    from calaim_eval.disclosure.released import Released, ReleasedTable

HIDDEN = "suppressed"
"""What stands in place of a number that is hidden."""
_SHEET_NAME = 31
_WIDEST = 40
# A cell that begins so is run as a formula by spreadsheet programs.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# A workbook is XML, which has no control characters but tabs and ends of lines.
_NO_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def export_released(released: Released, to: str | Path) -> Path:
    """Write released tables for people who work elsewhere.

    Parameters
    ----------
    released : Released
        From `release` or `Released.load`; nothing else is taken.
    to : path
        A file ending in ``.xlsx`` (a sheet a table; needs the extra ``excel``), or a folder, which
        gets a CSV file a table. What was there stays unless all is written.

    Returns
    -------
    Path
        What was written. Its sheet or file ``about`` has policy, hashes, what was hidden and the
        meaning of every table. A hidden number is the word "suppressed", an undefined one is empty.

    Raises
    ------
    TypeError
        `released` did not come from `release` or `Released.load`.
    MissingExtraError
        A workbook is asked for and openpyxl is not installed.
    OutputError
        It cannot be written.
    """
    from calaim_eval.disclosure.released import Released

    if type(released) is not Released:
        raise TypeError(
            f"`{type(released).__name__}` cannot be exported: only a `Released`, which "
            "`release(...)` or `Released.load(folder)` returns, went through disclosure control."
        )
    about = _about(released)
    target = Path(to)
    if target.suffix == ".xlsx":
        _write_workbook(released, about, target)
    elif target.suffix:
        raise DisclosureError(
            f"{target}: give a file ending in `.xlsx`, or a folder for CSV files."
        )
    else:
        _write_folder(released, about, target)
    return target


def _about(released: Released) -> list[tuple[str, str]]:
    """Policy, hashes, what was hidden, and what every table means."""
    certificate, made_from = released.certificate, released.provenance
    rows = [
        ("policy", released.policy),
        ("policy_sha256", str(certificate.get("policy_sha256", "not recorded"))),
        ("rounding", str(certificate.get("rounding", "none"))),
        ("quarter", released.quarter),
        ("rows", str(certificate["n_rows"])),
        ("rows suppressed", str(certificate["n_suppressed_rows"])),
        (HIDDEN, "the number is hidden by the policy; it is not zero and not missing"),
        *((key, str(value)) for key, value in made_from.items() if key != "left_out"),
    ]
    for name, table in released.tables.items():
        meta = table.meta
        rows.append((name, "; ".join(w for w in (meta["measure"], meta["unit"]) if w)))
        rows += [(name, str(note)) for note in meta["notes"]]
    return rows


def _written(table: ReleasedTable) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: the mark for hidden numbers, nothing for undefined ones."""
    frame = table.frame
    numbers = set(frame.select_dtypes("float").columns)
    header = [str(column) for column in frame.columns if column != "is_suppressed"]
    columns = [
        [
            (HIDDEN if is_hidden else _number(value)) if column in numbers else value
            for value, is_hidden in zip(
                frame[column].tolist(), frame["is_suppressed"].tolist(), strict=True
            )
        ]
        for column in header
    ]
    return header, [list(row) for row in zip(*columns, strict=True)]


def _number(value: float) -> Any:
    """A number as it is written; nothing where it is undefined."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "infinite" if value > 0 else "-infinite"
    return int(value) if float(value).is_integer() else float(value)


def _write_folder(released: Released, about: list[tuple[str, str]], folder: Path) -> None:
    """A CSV file a table, and one about them."""
    with atomic_folder(folder) as filling:
        names = {"about"}
        for name, table in released.tables.items():
            header, rows = _written(table)
            safe = [[_plain_text(value) for value in row] for row in rows]
            _write_csv(filling / f"{_told_apart(name, names)}.csv", header, safe)
        _write_csv(filling / "about.csv", ["what", "value"], [list(row) for row in about])


def _write_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _plain_text(value: Any) -> Any:
    """Text that no spreadsheet program runs."""
    is_run = isinstance(value, str) and value.startswith(_FORMULA) and value != "-infinite"
    return f"'{value}" if is_run else value


def _write_workbook(released: Released, about: list[tuple[str, str]], path: Path) -> None:
    """A sheet about the release, and a sheet a table."""
    if importlib.util.find_spec("openpyxl") is None:
        raise MissingExtraError(
            "a workbook needs `openpyxl`, which is not installed: pip install "
            '"calaim-eval[excel]". A folder name writes CSV files without it.'
        )
    from openpyxl import Workbook

    book = Workbook()
    first = book.active
    first.title = "about"
    _fill(first, ["what", "value"], [list(row) for row in about])
    names = {"about"}
    for name, table in released.tables.items():
        _fill(book.create_sheet(_told_apart(name, names, longest=_SHEET_NAME)), *_written(table))
    with atomic_file(path) as temporary:
        book.save(temporary)


def _fill(sheet: Any, header: list[str], rows: list[list[Any]]) -> None:
    """Header and rows; the header in bold and always in sight, text never run as a formula."""
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    for number, row in enumerate([header, *rows], start=1):
        for column, value in enumerate(row, start=1):
            cell = sheet.cell(row=number, column=column)
            cell.value = _NO_CONTROL.sub(" ", value) if isinstance(value, str) else value
            if isinstance(value, str):
                cell.data_type = "s"
            if number == 1:
                cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    for column in range(len(header)):
        longest = max(len(str(row[column])) for row in [header, *rows])
        sheet.column_dimensions[get_column_letter(column + 1)].width = min(longest + 2, _WIDEST)


def _told_apart(name: str, taken: set[str], *, longest: int | None = None) -> str:
    """The table's name, cut to what is allowed and told apart from the others."""
    short = name[:longest]
    number = 2
    while short in taken:
        ending = f"_{number}"
        short = (name if longest is None else name[: longest - len(ending)]) + ending
        number += 1
    taken.add(short)
    return short
