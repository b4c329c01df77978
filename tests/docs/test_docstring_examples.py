"""Examples in the docstrings of the rooms that researchers import from give what they show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import calaim_eval

PACKAGE = Path(calaim_eval.__file__).parent
ROOMS = ("results", "design", "moments", "estimate", "equity", "integration", "disclosure")


def _modules() -> list[str]:
    """Modules with an example."""
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for room in ROOMS
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if "\n    >>>" in path.read_text(encoding="utf-8")
    ]


@pytest.mark.parametrize("name", _modules())
def test_examples_give_what_they_show(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": np, "pd": pd})
    assert result.attempted > 0
    assert result.failed == 0
