"""The rule book says what the rule tests say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "tests" / "spec"


@pytest.fixture(scope="module")
def rules_page():
    found = importlib.util.spec_from_file_location("rules_page", SPEC / "rules_page.py")
    module = importlib.util.module_from_spec(found)
    # Dataclasses look their module up by name.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "rules_page", module)
        found.loader.exec_module(module)
        yield module


@pytest.fixture(scope="module")
def page(rules_page):
    return rules_page.page()


def test_the_committed_page_is_current(rules_page, page):
    committed = (ROOT / "docs" / "rules.md").read_text("utf-8")
    # Not compared with `==` in the assertion: a difference of pages takes minutes to print.
    is_current = committed == page
    assert is_current, f"docs/rules.md is not what the tests say: run `{rules_page.COMMAND}`"


def test_every_rule_test_is_a_rule_on_the_page(page):
    headings = [line[4:].lower() for line in page.splitlines() if line.startswith("### ")]
    names = [
        name.replace("_", " ").lower()
        for path in sorted(SPEC.glob("test_*.py"))
        for name in re.findall(r"^def test_(\w+)", path.read_text("utf-8"), flags=re.MULTILINE)
    ]
    assert sorted(headings) == sorted(names)


def test_every_measure_is_defined_once(page):
    from calaim_eval.panel.measures import EXPOSURES, MEASURES

    for name, measure in {**MEASURES, **EXPOSURES}.items():
        assert page.count(f"(`{name}`, version") == 1
        assert measure.definition in page


def test_a_rule_is_what_its_test_gives_and_expects(rules_page, tmp_path):
    (tmp_path / "test_made_up.py").write_text(
        '''"""Made up: for this test.

        More words.
        """
TABLE = """
  member | start
  -------+-----------
  1      | 2024-01-01
"""


def test_nobody_is_counted_twice(spec):
    built = spec(eligibility=TABLE, month_rule="all_days")
    # 1: because.
    assert built.values("ed_visits") == {1: {"2024-01": 2}}
    assert built.reasons("eligibility") == {"used": 1}
    assert len(built.panel) == 3
''',
        "utf-8",
    )
    section = rules_page.read_section(tmp_path / "test_made_up.py")
    (rule,) = section.rules
    assert (section.title, rule.words) == ("Made up: for this test", "Nobody is counted twice")
    assert rule.given == [
        "`eligibility`\n\n| member | start |\n| --- | --- |\n| 1 | 2024-01-01 |",
        "With `month_rule = 'all_days'`.",
    ]
    assert rule.notes == ["1: because."]
    assert rule.expected == [
        "`ed_visits`\n\n| member | 2024-01 |\n| --- | --- |\n| 1 | 2 |",
        "Rows of `eligibility`\n\n| counted as | rows |\n| --- | --- |\n| used | 1 |",
        "`len(built.panel)` is 3.",
    ]
