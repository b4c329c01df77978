"""Quarto's constructs in each format: one text, the same numbers everywhere."""

import base64
import re
import zipfile
from itertools import pairwise

import pytest

from calaim_eval.report.embedded import formats

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
PAGE = r"""
# First {#sec-first}

See @fig-a, [@fig-b; @tbl-t], @sec-second, [-@fig-a], and $a^2$.

![A *caption*](figures/a.png){#fig-a fig-alt="Words for \"a\"."}

::: {#fig-grid layout-ncol=2}
![Left](figures/a.png){#fig-b fig-alt="Left words."}

![Right](figures/a.png){#fig-c fig-alt="Right words."}

Both sides.
:::

## Second {#sec-second}

::: {#tbl-t}

```{=html}
<table class="gt_table">
<thead><tr>
<th scope="col" style="text-align: left">Group</th>
<th scope="col" style="text-align: right">Rate</th>
</tr></thead>
<tbody><tr><th scope="row">One</th><td style="text-align: right">1.5</td></tr></tbody>
<tfoot><tr><td colspan="2">A note.</td></tr></tfoot>
</table>
```

The caption.

:::

::: {.callout-warning title="Careful"}
Mind this.
:::

::: {.panel-tabset}

### Tab one

Text one.

### Tab two

Text two.

:::

::: {.content-visible when-format="html"}
Only on the web.
:::

::: {.content-visible unless-format="html"}
Not on the web.
:::

::: {.page-break}
:::

The end refers to @fig-c.
"""
META = {"title": "Page & title", "lang": "en", "number-sections": True}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    (folder / "figures").mkdir()
    (folder / "figures" / "a.png").write_bytes(DOT)
    html = formats.to_html(PAGE, meta=META, folder=folder, stem="page").read_text(encoding="utf-8")
    pdf = formats.to_pdf(PAGE, meta=META, folder=folder, stem="page")
    docx = formats.to_docx(PAGE, meta=META, folder=folder, stem="page")
    with zipfile.ZipFile(docx) as archive:
        word = archive.read("word/document.xml").decode("utf-8")
    return {
        "html": html,
        "typst": (folder / "page.typ").read_text(encoding="utf-8"),
        "pdf": pdf.read_bytes(),
        "docx": word,
    }


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)).replace("\xa0", " ")


@pytest.mark.parametrize("kind", ["html", "docx"])
def test_references_are_numbered_and_linked(made, kind):
    text = plain(made[kind])
    assert "See Figure 1, Figure 2a, Table 1, Section 1.1, 1, and" in text
    assert "refers to Figure 2b." in text
    assert "?@" not in text
    assert text.count("Figure 1. A caption") == 1
    assert "Table 1. The caption." in text


def test_references_in_the_pdf_source(made):
    typst = made["typst"].replace("~", " ")
    for target in (
        "#link(<fig-a>)[Figure 1]",
        "#link(<tbl-t>)[Table 1]",
        "#link(<fig-c>)[Figure 2b]",
    ):
        assert target in typst
    assert made["pdf"].startswith(b"%PDF")


def test_alternative_text_reaches_every_format(made):
    assert 'alt="Words for' in made["html"]
    assert 'alt: "Words for' in made["typst"]
    assert 'descr="Words for' in made["docx"]
    for words in ("Left words.", "Right words."):
        assert words in made["html"]
        assert words in made["typst"]
        assert words in made["docx"]


def test_tables_keep_headers_alignment_and_notes(made):
    html = made["html"]
    assert re.search(
        r'<table class="gt_table"><caption><span class="caption-text"><strong>Table', html
    )
    assert 'scope="row"' in html
    assert "table.header(" in made["typst"]
    assert "#tablenote[A note.]" in made["typst"]
    assert "w:tblHeader" in made["docx"]
    assert "A note." in made["docx"]


def test_word_keeps_rows_whole_and_short_tables_together(made):
    rows = re.findall(r"<w:tr(?: [^>]*)?>.*?</w:tr>", made["docx"], flags=re.S)
    assert len(rows) >= 2
    assert all("<w:cantSplit/>" in row for row in rows)
    assert "<w:keepNext/>" in rows[0]
    assert "<w:keepNext/>" not in rows[-1]


def test_conditional_content(made):
    assert "Only on the web." in made["html"]
    assert "Not on the web." not in made["html"]
    for kind in ("typst", "docx"):
        assert "Only on the web." not in made[kind]
        assert "Not on the web." in made[kind]


def test_callouts_tabs_and_page_breaks(made):
    assert 'role="note"' in made["html"]
    assert '#callout("warning", "Careful")[' in made["typst"]
    assert '<w:pStyle w:val="Callout" />' in made["docx"]
    assert len(re.findall(r'<section[^>]*class="[^"]*\btab\b', made["html"])) == 2
    assert 'setAttribute("role", "tablist")' in made["html"]
    assert "Tab two" in made["typst"]
    assert "#pagebreak(weak: true)" in made["typst"]
    assert '<w:br w:type="page"/>' in made["docx"].replace(" />", "/>")


def test_the_page_is_whole_and_offline(made):
    html = made["html"]
    assert '<html lang="en">' in html
    assert 'class="skip" href="#content"' in html
    assert "<math" in html
    assert "Page &amp; title</h1>" in html
    assert html.count("<h1") == 1
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', html)


def test_headings_keep_their_order(made):
    levels = [int(n) for n in re.findall(r"<h([1-6])", made["html"])]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_an_unknown_reference_is_marked_and_logged(tmp_path, caplog):
    html = formats.to_html("See @fig-none.\n", meta=META, folder=tmp_path, stem="page")
    assert "?@fig-none" in html.read_text(encoding="utf-8")
    assert "unknown references: fig-none" in caplog.text


def test_a_picture_without_words_still_gives_a_pdf_and_a_warning(tmp_path, caplog):
    (tmp_path / "a.png").write_bytes(DOT)
    made = formats.to_pdf("![](a.png)\n", meta=META, folder=tmp_path, stem="page")
    assert made.read_bytes().startswith(b"%PDF")
    assert "not accessible PDF" in caplog.text
