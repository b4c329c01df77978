"""The worked example of the page on race and ethnicity runs and says what comes out."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[3] / "docs" / "methods" / "race_ethnicity.md"
ORDER = ["aian", "nhpi", "black", "hispanic"]


def test_the_table_of_the_page_is_what_its_code_gives():
    text = PAGE.read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.S):
        exec(block, names)
    head, *rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\|.*\|$", text, flags=re.M)
        if line.startswith("| group |") or re.match(r"\| `\w+` \| \d+ \|", line)
    ]
    counts = {
        display: names["found"].counts(display, priority=ORDER)  # type: ignore[attr-defined]
        for display in head[1:]
    }
    assert len(rows) == 9
    for group, *shown in rows:
        assert [int(n) for n in shown] == [counts[d][group] for d in head[1:]], group
    for display, n in counts.items():
        assert n.sum() == (13 if display == "in_combination" else 10)
        assert n[[g for g in n.index if g not in {row[0] for row in rows}]].sum() == 0
