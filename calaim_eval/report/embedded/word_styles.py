"""The styles of the Word file: pandoc's own reference document, with its styles rewritten."""

from __future__ import annotations

import re
import subprocess
import zipfile
from pathlib import Path

_STYLES = "word/styles.xml"
_ACCENT = "084C8D"
_FONTS = '<w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:eastAsia="Calibri" w:cs="Calibri"/>'
_HEADING_SIZES = {"Title": 40, "Heading1": 32, "Heading2": 26, "Heading3": 23, "Heading4": 22}
_CALLOUT = """<w:style w:type="paragraph" w:customStyle="1" w:styleId="Callout">
<w:name w:val="Callout"/><w:basedOn w:val="BodyText"/><w:qFormat/>
<w:pPr><w:pBdr><w:left w:val="single" w:sz="24" w:space="8" w:color="084C8D"/></w:pBdr>
<w:shd w:val="clear" w:color="auto" w:fill="F4F6F8"/><w:ind w:left="200" w:right="200"/></w:pPr>
</w:style>
<w:style w:type="paragraph" w:customStyle="1" w:styleId="TableNote">
<w:name w:val="Table Note"/><w:basedOn w:val="BodyText"/><w:qFormat/>
<w:pPr><w:spacing w:before="20" w:after="40"/></w:pPr>
<w:rPr><w:color w:val="555555"/><w:sz w:val="17"/><w:szCs w:val="17"/></w:rPr>
</w:style>
<w:style w:type="paragraph" w:customStyle="1" w:styleId="TableSmall">
<w:name w:val="Table Small"/><w:basedOn w:val="Compact"/><w:qFormat/>
<w:rPr><w:sz w:val="14"/><w:szCs w:val="14"/></w:rPr>
</w:style>"""
_TABLE = """<w:style w:type="table" w:default="0" w:styleId="Table">
<w:name w:val="Table"/><w:basedOn w:val="TableNormal"/><w:qFormat/>
<w:pPr><w:spacing w:before="20" w:after="20" w:line="240" w:lineRule="auto"/></w:pPr>
<w:rPr><w:sz w:val="17"/><w:szCs w:val="17"/></w:rPr>
<w:tblPr><w:tblBorders>
<w:top w:val="single" w:sz="8" w:color="1A1A1A"/>
<w:bottom w:val="single" w:sz="6" w:color="1A1A1A"/>
<w:insideH w:val="single" w:sz="4" w:color="D9D9D9"/></w:tblBorders>
<w:tblCellMar><w:left w:w="70" w:type="dxa"/><w:right w:w="70" w:type="dxa"/></w:tblCellMar>
</w:tblPr>
<w:tblStylePr w:type="firstRow"><w:rPr><w:b/></w:rPr>
<w:tcPr><w:tcBorders><w:bottom w:val="single" w:sz="8" w:color="1A1A1A"/></w:tcBorders>
<w:vAlign w:val="bottom"/></w:tcPr></w:tblStylePr>
</w:style>"""


def write_reference(pandoc: str, target: Path) -> Path:
    """Write the reference document for Word output.

    Parameters
    ----------
    pandoc : str
        Path of the pandoc program, whose default reference document is the base.
    target : Path

    Returns
    -------
    Path
    """
    base = subprocess.run(
        [pandoc, "--print-default-data-file=reference.docx"], capture_output=True, check=True
    ).stdout
    original = target.with_suffix(".base.docx")
    original.write_bytes(base)
    with (
        zipfile.ZipFile(original) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for name in source.namelist():
            data = source.read(name)
            if name == _STYLES:
                data = _restyled(data.decode("utf-8")).encode("utf-8")
            if name == "word/document.xml":
                data = _margins(data.decode("utf-8")).encode("utf-8")
            out.writestr(name, data)
    original.unlink()
    return target


def _restyled(styles: str) -> str:
    styles = re.sub(r"<w:rFonts\b[^>]*/>", _FONTS, styles)
    for style, size in _HEADING_SIZES.items():
        styles = _restyle(styles, style, size=size, is_heading=True)
    for style, size in (("Compact", 17), ("ImageCaption", 19), ("TableCaption", 19)):
        styles = _restyle(styles, style, size=size, is_heading=False)
    styles = re.sub(
        r'<w:style w:type="table"[^>]*w:styleId="Table".*?</w:style>', _TABLE, styles, flags=re.S
    )
    return styles.replace("</w:styles>", f"{_CALLOUT}</w:styles>")


def _restyle(styles: str, style: str, *, size: int, is_heading: bool) -> str:
    """Size (half points), and for headings the accent colour, of one paragraph style."""
    found = re.search(rf'<w:style [^>]*w:styleId="{style}".*?</w:style>', styles, flags=re.S)
    if not found:
        return styles
    colour = f'<w:b/><w:color w:val="{_ACCENT}"/>' if is_heading else '<w:color w:val="333333"/>'
    look = f'<w:rPr>{_FONTS}{colour}<w:sz w:val="{size}"/><w:szCs w:val="{size}"/></w:rPr>'
    body = re.sub(r"<w:rPr>.*?</w:rPr>", "", found.group(0), flags=re.S)
    if is_heading:
        body = re.sub(r'<w:jc w:val="center"\s*/>', '<w:jc w:val="left"/>', body)
    if style == "TableCaption" and "keepNext" not in body:
        body = body.replace("<w:pPr>", "<w:pPr><w:keepNext/>")
    return styles.replace(found.group(0), body.replace("</w:style>", f"{look}</w:style>"))


def _margins(document: str) -> str:
    """US letter with margins of 0.85 inch."""
    page = (
        '<w:pgSz w:w="12240" w:h="15840"/><w:pgMar w:top="1224" w:right="1224" w:bottom="1224" '
        'w:left="1224" w:header="600" w:footer="600" w:gutter="0"/>'
    )
    document = re.sub(r"<w:pgSz[^>]*/>|<w:pgMar[^>]*/>", "", document)
    if "<w:sectPr" not in document:
        return document.replace("</w:body>", f"<w:sectPr>{page}</w:sectPr></w:body>")
    document = re.sub(r"<w:sectPr([^>]*)/>", r"<w:sectPr\1></w:sectPr>", document)
    return document.replace("</w:sectPr>", f"{page}</w:sectPr>")
