"""Running cells: outputs, inline expressions, parameters, and failures that name the cell."""

import sys

import pytest

from calaim_eval.report import ReportError
from calaim_eval.report.embedded.document import read_document
from calaim_eval.report.embedded.execute import execute
from calaim_eval.report.embedded.outputs import assemble

PAGE = """---
title: Page
execute: {echo: false, warning: false}
---

```{python}
#| tags: [parameters]
quarter = "2020Q1"
```

Quarter `{python} quarter`, `{python} Markdown("**bold**")`, `{python} "2 * 3 *"`.

```{python}
#| output: asis
import sys
from IPython.display import HTML, Image, Markdown
print("# A heading for", quarter)
print("warned", file=sys.stderr)
```

```{python}
#| label: plain
print("as printed")
sys.executable
```

```{python}
#| label: fig-dot
#| fig-cap: "One dot."
#| fig-alt: "A dot."
import base64
Image(data=base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
))
```

```{python}
#| label: tbl-html
#| tbl-cap: "A table."
HTML("<table><tr><td>1</td></tr></table>")
```

```{python}
#| include: false
print("left out")
```

```{python}
#| eval: false
raise RuntimeError("never run")
```

```{python}
#| echo: true
#| output: false
shown_code = "but no output"
shown_code
```
"""


@pytest.fixture(scope="module")
def markdown(tmp_path_factory):
    """One kernel start for all checks of outputs."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "page.qmd").write_text(PAGE.replace('Markdown("', 'Markdown("'), encoding="utf-8")
    text = PAGE.replace(
        "Quarter `",
        "```{python}\n#| output: false\nfrom IPython.display import Markdown\n```\n\nQuarter `",
    )
    (folder / "page.qmd").write_text(text, encoding="utf-8")
    document = read_document(folder / "page.qmd")
    executed = execute(document, parameters={"quarter": "2024Q4"}, folder=folder)
    return assemble(document, executed, folder=folder), folder


def test_parameters_replace_their_defaults(markdown):
    text, _ = markdown
    assert "# A heading for 2024Q4" in text
    assert "2020Q1" not in text


def test_inline_text_is_protected_and_markdown_kept(markdown):
    text, _ = markdown
    assert "Quarter 2024Q4, **bold**, 2 \\* 3 \\*." in text


def test_the_kernel_is_this_interpreter(markdown):
    text, _ = markdown
    assert repr(sys.executable) in text


def test_printed_text_is_shown_as_code_unless_asis(markdown):
    text, _ = markdown
    assert "```\nas printed\n\n```" in text
    assert "```\n# A heading" not in text
    assert "warned" not in text


def test_pictures_and_tables_get_their_label_and_caption(markdown):
    text, folder = markdown
    assert "::: {#fig-dot}" in text
    assert 'fig-alt="A dot."' in text
    assert "::: {#tbl-html}" in text
    assert len(list((folder / "figures").glob("fig-dot-*.png"))) == 1


def test_options_decide_what_is_shown(markdown):
    text, _ = markdown
    assert "left out" not in text
    assert "never run" not in text
    assert '```python\nshown_code = "but no output"' in text
    assert "'but no output'" not in text


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (
            "Words.\n\n```{python}\n#| label: gap\n1 / 0\n```\n",
            r"cell `gap` \(page.qmd, line 3\) failed: ZeroDivisionError: division by zero",
        ),
        (
            "Words `{python} undefined_name` here.\n",
            r"inline expression `undefined_name` \(page.qmd, line 1 or below\) failed: NameError",
        ),
    ],
)
def test_a_failing_cell_is_named(tmp_path, page, message):
    path = tmp_path / "page.qmd"
    path.write_text(page, encoding="utf-8")
    with pytest.raises(ReportError, match=message):
        execute(read_document(path), parameters={}, folder=tmp_path)


def test_parameters_need_a_cell(tmp_path):
    path = tmp_path / "page.qmd"
    path.write_text("Words.\n", encoding="utf-8")
    with pytest.raises(ReportError, match="no cell tagged `parameters`, so `quarter` cannot be"):
        execute(read_document(path), parameters={"quarter": "2024Q4"}, folder=tmp_path)
