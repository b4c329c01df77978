"""Tables of the Word file: rows that stay whole, short tables on one page, wide ones smaller."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

_DOCUMENT = "word/document.xml"
_KEPT_TOGETHER_ROWS = 20
_WIDE_COLUMNS = 6
_TABLE = re.compile(r"<w:tbl>.*?</w:tbl>", flags=re.S)
_ROW = re.compile(r"<w:tr(?: [^>]*)?>.*?</w:tr>", flags=re.S)


def keep_tables_whole(docx: Path) -> Path:
    """Rewrite the tables of a Word file that pandoc wrote.

    Parameters
    ----------
    docx : Path

    Returns
    -------
    Path
        The same file.
    """
    rewritten = docx.with_suffix(".rewritten.docx")
    with (
        zipfile.ZipFile(docx) as source,
        zipfile.ZipFile(rewritten, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for name in source.namelist():
            data = source.read(name)
            if name == _DOCUMENT:
                data = _TABLE.sub(_table, data.decode("utf-8")).encode("utf-8")
            out.writestr(name, data)
    shutil.move(rewritten, docx)
    return docx


def _table(match: re.Match[str]) -> str:
    text = match.group(0)
    rows = _ROW.findall(text)
    is_short = len(rows) <= _KEPT_TOGETHER_ROWS
    for position, row in enumerate(rows):
        whole = _whole_row(row)
        if is_short and position < len(rows) - 1:
            whole = re.sub(r'(<w:pStyle w:val="Compact"\s*/>)', r"\1<w:keepNext/>", whole)
        text = text.replace(row, whole, 1)
    if len(re.findall(r"<w:gridCol\b", text)) > _WIDE_COLUMNS:
        text = re.sub(r'<w:pStyle w:val="Compact"\s*/>', '<w:pStyle w:val="TableSmall"/>', text)
    return text


def _whole_row(row: str) -> str:
    """The row, not to be split over two pages."""
    if "<w:trPr>" in row:
        return row.replace("<w:trPr>", "<w:trPr><w:cantSplit/>", 1)
    return re.sub(r"^(<w:tr(?: [^>]*)?>)", r"\1<w:trPr><w:cantSplit/></w:trPr>", row, count=1)
