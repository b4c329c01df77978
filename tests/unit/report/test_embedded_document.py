"""Taking a `.qmd` file apart."""

import textwrap

import pytest

from calaim_eval.report import ReportError
from calaim_eval.report.embedded.document import Cell, Text, read_document


@pytest.fixture
def qmd(tmp_path):
    def write(text: str, name: str = "page.qmd"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


def test_front_matter_cells_and_text(qmd):
    document = read_document(
        qmd(
            """
            ---
            title: "A page"
            execute:
              echo: false
            ---

            Words with `{python} 1 + 1` inside.

            ```{python}
            #| label: fig-a
            #| fig-cap: "A: caption"
            x = 1
            ```

            ```python
            shown, not run
            ```
            """
        )
    )
    assert document.meta == {"title": "A page", "execute": {"echo": False}}
    text, cell, rest = document.parts
    assert isinstance(text, Text)
    assert text.expressions == ("1 + 1",)
    assert isinstance(cell, Cell)
    assert cell.options == {"label": "fig-a", "fig-cap": "A: caption"}
    assert cell.source == "x = 1"
    assert (cell.place.file, cell.place.line) == ("page.qmd", 9)
    assert "shown, not run" in rest.source


def test_a_cell_shown_inside_a_longer_fence_is_not_run(qmd):
    document = read_document(qmd("````\n```{python}\n1\n```\n````\n"))
    assert [type(part) for part in document.parts] == [Text]


def test_includes_are_resolved_and_keep_their_place(qmd):
    qmd("Part.\n\n```{python}\n#| label: inner\n1 / 0\n```\n", "_part.qmd")
    document = read_document(qmd("Top.\n\n{{< include _part.qmd >}}\n\nEnd.\n"))
    (cell,) = [part for part in document.parts if isinstance(part, Cell)]
    assert (cell.place.file, cell.place.line) == ("_part.qmd", 3)
    assert "End." in document.parts[-1].source


def test_parameters_cell_is_known_by_its_tag(qmd):
    document = read_document(qmd('```{python}\n#| tags: [parameters]\nx = "a"\n```\n'))
    assert document.parts[0].is_parameters


def test_page_break_becomes_a_block(qmd):
    document = read_document(qmd("One.\n\n{{< pagebreak >}}\n\nTwo.\n"))
    assert "::: {.page-break}" in document.parts[0].source


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{< include _none.qmd >}}\n", r"page.qmd, line 1: includes `_none.qmd`, which is not"),
        ("{{< include page.qmd >}}\n", "page.qmd includes itself"),
        ("---\ntitle: a\n", "line 1: the front matter is never closed"),
        ("---\ntitle: [a\n---\n", "the front matter is not valid YAML"),
        ("---\n- a\n---\n", "must be `key: value` lines"),
        ("Words.\n\n```{python}\n1\n", "line 3: the cell that starts here is never closed"),
        ("```{python}\n#| label: [a\n1\n```\n", "line 1: the list of cell options is not valid"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(qmd, text, message):
    with pytest.raises(ReportError, match=message):
        read_document(qmd(text))
