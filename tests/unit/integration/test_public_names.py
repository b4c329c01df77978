"""The names the page of the measures gives are there to import."""

import re
from pathlib import Path

from calaim_eval import integration

PAGE = Path(__file__).parents[3] / "docs" / "methods" / "cbo_integration.md"


def _functions_of_the_table():
    """Names in the second column of the table of questions."""
    rows = [line.split("|") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    cells = [row[2] for row in rows if len(row) == 5]
    return set(re.findall(r"`([a-z_]+)(?:\(|`)", " ".join(cells)))


def test_functions_of_the_page_are_exported():
    functions = _functions_of_the_table()
    assert len(functions) > 30
    assert functions <= set(integration.__all__)
    assert all(callable(getattr(integration, name)) for name in functions)
