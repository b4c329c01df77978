"""Write `docs/rules.md`: the rule book, from the tables of the rule tests and the definitions.

The tests are read, not run: their names are the rules, their tables what is given, their
assertions what is expected. `make rules` writes the page; a test fails when it is not current.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "rules.md"
COMMAND = "make rules"
# Sections in the order a reader needs them; files that are not named follow by name.
ORDER = (
    "panel_coverage",
    "panel_claims",
    "panel_emergency",
    "panel_stays",
    "panel_readmissions",
    "panel_visits",
    "panel_programs",
)
LAST = ("design_rules", "disclosure_rules")
HEAD = f"""# Rule book
<!-- Written by `{COMMAND}` from the tests in `tests/spec` and the definitions of the measures. -->

Every rule of the panel, the designs and the disclosure control, each as a small example: what is
given, and what must come out. The examples are the tests themselves, so the package cannot depart
from this page without a failing test. A blank cell is missing. Members of the panel examples are
covered throughout 2024 unless an `eligibility` table says otherwise; short column names are those
of the [data dictionary](../data_dictionary/README.md) without their endings (`start` of a claim is
`claim_start_date`, `at` its `facility_npi`, `left` its `discharge_disposition_code`, `rev` its
`revenue_center_code`, `mod1` its `hcpcs_modifier_1`).

"Confirmed" says whether public pages confirm every part of a definition.

Beside the examples there is an oracle (`tests/panel_oracle.py`): the rules of the panel once more,
in plain Python, day by day and pair by pair, without a line of the package. It is compared with the
package on members made up by chance, in every column, every first contact, population of focus,
reason and cent: 1,080 member cases in `make test`, 30,000 under rules drawn by chance in
`make test-slow`. `tests/property/test_panel_oracle_reach.py` counts that those members meet the
rules. What must not change a panel (order of rows, identifiers, buckets, files in parts) and what
must add up (rows, days, cents) is in `tests/property/test_panel_oracle_invariance.py`, runs that
are killed in `tests/unit/panel/test_killed.py`.
"""


@dataclass
class Rule:
    """One test: its words, its examples and what is expected of them."""

    words: str
    given: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)


@dataclass
class Section:
    """One file of tests."""

    key: str
    title: str
    intro: str
    source: str
    rules: list[Rule]


def load(path: Path) -> ModuleType:
    """Import a file of tests by its path."""
    for folder in (str(HERE.parent), str(HERE)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    found = importlib.util.spec_from_file_location(f"rules_of_{path.stem}", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def read_section(path: Path) -> Section:
    """Rules of one file of tests."""
    source = path.read_text("utf-8")
    tree, names = ast.parse(source), dict(vars(load(path)))
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    title, _, intro = (ast.get_docstring(tree) or path.stem).partition("\n")
    rules = [
        _rule(node, functions, names, source.splitlines())
        for name, node in functions.items()
        if name.startswith("test_")
    ]
    key = path.stem.removeprefix("test_")
    return Section(key, title.rstrip("."), intro.strip(), source, rules)


# --- one rule ------------------------------------------------------------------------------------


def _rule(
    node: ast.FunctionDef,
    functions: dict[str, ast.FunctionDef],
    names: dict[str, Any],
    lines: list[str],
) -> Rule:
    """What a test gives and expects."""
    words = node.name.removeprefix("test_").replace("_", " ")
    rule = Rule(words[0].upper() + words[1:])
    names = dict(names)
    calls: dict[str, ast.Call] = {}
    for argument in node.args.args:
        fixture = functions.get(argument.arg)
        if fixture is not None:
            _collect(fixture, names, calls, stands_for=argument.arg)
    _collect(node, names, calls)
    shown: set[str] = set()
    for call in calls.values():
        for text in _tables(call, names):
            if text not in shown:
                rule.given.append(text)
                shown.add(text)
    options = {name: _options(call, names) for name, call in calls.items()}
    told = {text for text in options.values() if text}
    if len(calls) == 1 or (len(told) == 1 and all(options.values())):
        rule.given += [f"With {text}." for text in told]
        options = {}
    rule.notes = _notes(node, lines) + _parameters(node)
    rule.expected = [text for each in _expectations(node) for text in _expect(each, names, options)]
    return rule


def _collect(
    node: ast.FunctionDef, names: dict[str, Any], calls: dict[str, ast.Call], stands_for: str = ""
) -> None:
    """Examples that a function builds, by the variable that holds them; constants it sets."""
    for each in ast.walk(node):
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            value = _value(each.value, names)
            if isinstance(value, str | tuple | list | dict | set):
                names[each.targets[0].id] = value
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and (_tables(each, names) or _is_spec(each)):
            holder = _holder(node, each)
            calls[stands_for or holder or ast.unparse(each)] = each


def _is_spec(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "spec"


def _holder(node: ast.FunctionDef, call: ast.Call) -> str:
    """Variable that a call's result is given to."""
    for each in ast.walk(node):
        if isinstance(each, ast.Assign) and any(part is call for part in ast.walk(each.value)):
            return ast.unparse(each.targets[0])
    return ""


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """Value of an expression of constants; None where it needs the package to run."""
    called = [ast.unparse(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)]
    if any(name != "pd.Timestamp" for name in called):
        return None
    try:
        return eval(compile(ast.Expression(node), "<rule>", "eval"), dict(names))
    except (SyntaxError, NameError, LookupError, AttributeError, TypeError, ValueError):
        return None


def _is_table(value: object) -> bool:
    return isinstance(value, str) and "-+-" in value


def _tables(call: ast.Call, names: dict[str, Any]) -> list[str]:
    """Tables that a call is given, each as Markdown."""
    told = []
    for argument in call.args:
        value = _value(argument, names)
        if _is_table(value):
            told.append(markdown(value))
    for keyword in call.keywords:
        value = _value(keyword.value, names)
        if keyword.arg and _is_table(value):
            name = f"`{keyword.arg}`" if keyword.arg != "t" else ""
            told.append(f"{name}\n\n{markdown(value)}".strip())
    return told


def _options(call: ast.Call, names: dict[str, Any]) -> str:
    """Rules and other settings of an example, in words."""
    told = []
    for keyword in call.keywords:
        value = _value(keyword.value, names)
        if keyword.arg == "window":
            told.append(f"months {value[0]} to {value[1]}")
        elif keyword.arg and not _is_table(value):
            text = repr(value) if value is not None else ast.unparse(keyword.value)
            told.append(f"`{keyword.arg} = {text}`")
    return ", ".join(told)


def _notes(node: ast.FunctionDef, lines: list[str]) -> list[str]:
    """Remarks in the test, which say why."""
    body = lines[node.lineno - 1 : node.end_lineno]
    remarks = [line.strip()[1:].strip() for line in body if line.strip().startswith("# ")]
    text = " ".join(remarks)
    told = [ast.get_docstring(node) or "", text]
    return [each for each in told if each]


def _parameters(node: ast.FunctionDef) -> list[str]:
    """For which values the test is made."""
    told = []
    for decorator in node.decorator_list:
        text = ast.unparse(decorator)
        if text.startswith("pytest.mark.parametrize"):
            name, values = decorator.args[:2]
            told.append(f"For each of {ast.unparse(name)} in `{ast.unparse(values)}`.")
    return told


# --- what is expected ----------------------------------------------------------------------------


def _expectations(node: ast.FunctionDef) -> list[ast.stmt]:
    """Assertions and refusals, in order."""
    return [n for n in ast.walk(node) if isinstance(n, ast.Assert | ast.With)]


def _expect(node: ast.stmt, names: dict[str, Any], options: dict[str, str]) -> list[str]:
    """One expectation in words or as a table."""
    if isinstance(node, ast.With):
        text = ast.unparse(node.items[0].context_expr)
        match = re.search(r"match=r?(['\"])(.*)\1\)$", text, flags=re.DOTALL)
        if "raises" not in text or match is None:
            return []
        words = match.group(2).replace("\\", "")
        return [f"It is refused: “{words}”"]
    test = node.test
    where = _where(test, options)
    is_equal = isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq)
    value = _value(test.comparators[-1], names) if is_equal else None
    if value is None or len(test.ops) > 1:
        return [f"{where}`{_code(test)}`"]
    return [where + text for text in _equal(test.left, value)]


def _where(test: ast.expr, options: dict[str, str]) -> str:
    """Which of several examples is meant."""
    text = ast.unparse(test)
    for holder, told in options.items():
        if re.search(rf"(?<![\w.]){re.escape(holder)}(?!\w)", text):
            return f"With {told}: " if told else "By default: "
    return ""


def _code(test: ast.expr) -> str:
    return ast.unparse(test).replace("built.panel.", "panel.")


def _equal(left: ast.expr, value: Any) -> list[str]:
    """What equals what: a table where it is one."""
    text = ast.unparse(left)
    found = re.search(r"(values|reasons|months)\(([^)]*)\)$", text)
    inner = re.search(r"(values)\('(\w+)'\)\)$", text) if text.startswith("set(") else None
    if inner:
        members = (
            ", ".join(map(str, sorted(value, key=lambda v: (len(str(v)), str(v))))) or "nobody"
        )
        return [f"`{inner.group(2)}` other than 0 only for members {members}."]
    if found is None:
        return [_named(f"`{_code(left)}`", value)]
    kind, arguments = found.groups()
    names = re.findall(r"'([^']*)'", arguments)
    if kind == "months":
        return [f"Months of member {arguments}: {_listed(value)}."]
    if kind == "reasons":
        stage = f", {names[1]}" if len(names) > 1 else ""
        return [_named(f"Rows of `{names[0]}`{stage}", value, "counted as", "rows")]
    return [_months(names[0], value)]


def _months(measure: str, value: dict) -> str:
    """Values by member and month: a column a month; what is 0 or missing is blank."""
    if not value:
        return f"`{measure}`: 0 or missing everywhere."
    months = sorted({month for each in value.values() for month in each})
    rows = [[who, *(each.get(month, "") for month in months)] for who, each in value.items()]
    return f"`{measure}`\n\n" + _grid(["member", *months], rows)


def _named(name: str, value: Any, key: str = "", what: str = "") -> str:
    """A name and a value, as a table where it is a mapping."""
    if isinstance(value, dict) and value:
        rows = [[_cell(k), _cell(v)] for k, v in value.items()]
        return f"{name}\n\n" + _grid([key or " ", what or "expected"], rows)
    return f"{name} is {_listed(value)}."


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_cell, value))
    if isinstance(value, dict):
        return "; ".join(f"{_cell(k)}: {_cell(v)}" for k, v in value.items())
    if isinstance(value, list):
        return "; ".join(_cell(each) or "none" for each in value)
    if hasattr(value, "date"):
        return str(value.date())
    return "missing" if value is None else str(value)


def _listed(value: Any) -> str:
    if isinstance(value, list | set | tuple):
        parts = sorted(map(_cell, value)) if isinstance(value, set) else list(map(_cell, value))
        between = "; " if any(isinstance(each, tuple | list) for each in value) else ", "
        return between.join(part or "none" for part in parts) or "none"
    return _cell(value)


# --- Markdown ------------------------------------------------------------------------------------


def markdown(text: str) -> str:
    """An ASCII table as a Markdown table."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    cells = [[c.strip() for c in line.split("|")] for line in lines if set(line) - set("-+| ")]
    return _grid(cells[0], cells[1:])


def _grid(head: list[str], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    body = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _anchor(title: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", title.lower())
    return kept.replace(" ", "-")


# --- the page ------------------------------------------------------------------------------------


def _measures_by_section(sections: list[Section]) -> dict[str, list[Any]]:
    """Each measure under the section whose tests speak of it most; "" where none does."""
    from calaim_eval.panel.measures import EXPOSURES, MEASURES

    told: dict[str, list[Any]] = {}
    for measure in (*MEASURES.values(), *EXPOSURES.values()):
        said = {s.key: s.source.count(f'"{measure.name}"') for s in sections if "panel" in s.key}
        best = max(said, key=lambda key: said[key])
        told.setdefault(best if said[best] else "", []).append(measure)
    return told


def _definition(measure: Any) -> str:
    return (
        f"**{measure.title}** (`{measure.name}`, version {measure.version}). {measure.definition}\n"
        f"*Source:* {measure.source}. *Confirmed:* {measure.confirmed}."
    )


def _options_of_the_panel() -> str:
    """Every option of the panel with its default, from the docstring of `PanelRules`."""
    from calaim_eval.panel import PanelRules

    text = inspect.getdoc(PanelRules).split("Attributes\n----------\n")[1]
    text = re.split(r"\n\n\w+\n-+\n", text)[0]
    meanings = dict(re.findall(r"^(\w+) : [^\n]*\n((?:    [^\n]*\n?)+)", text, flags=re.MULTILINE))
    rows = []
    for option in fields(PanelRules):
        default = option.default if option.default is not MISSING else ""
        meaning = " ".join(meanings.get(option.name, "").split())
        rows.append([f"`{option.name}`", f"`{default!r}`", meaning.replace("``", "`")])
    return _grid(["option", "by default", "meaning"], rows)


def _section_text(section: Section, measures: list[Any]) -> str:
    parts = [f"## {section.title}", section.intro]
    parts += [_definition(measure) for measure in measures]
    seen: dict[str, str] = {}
    for rule in section.rules:
        parts.append(f"### {rule.words}")
        parts += [*_not_twice(rule, seen), *rule.notes]
        if rule.expected:
            parts += ["**Expected**", *rule.expected]
    return "\n\n".join(part for part in parts if part)


def _not_twice(rule: Rule, seen: dict[str, str]) -> list[str]:
    """What a rule is given; tables of an earlier rule of the section are named, not repeated."""
    told, before = [], []
    for text in rule.given:
        if text in seen and "| ---" in text:
            before.append(f"[{seen[text]}](#{_anchor(seen[text])})")
        else:
            seen[text] = rule.words
            told.append(text)
    if before:
        told.insert(0, f"Given as in {', '.join(dict.fromkeys(before))}.")
    return told


def _sections() -> list[Section]:
    """Every file of rules, in reading order."""
    found = {path.stem.removeprefix("test_"): path for path in sorted(HERE.glob("test_*.py"))}
    middle = [key for key in found if key not in ORDER + LAST]
    keys = [key for key in (*ORDER, *middle, *LAST) if key in found]
    return [read_section(found[key]) for key in keys]


def page() -> str:
    """The whole rule book."""
    sections = _sections()
    measures = _measures_by_section(sections)
    others = "Measures without an example"
    contents = [
        f"- [{s.title}](#{_anchor(s.title)}) ({len(s.rules)} rule{'s' * (len(s.rules) > 1)})"
        for s in sections
    ]
    contents.insert(0, "- [Options of the panel](#options-of-the-panel)")
    if measures.get(""):
        contents.append(f"- [{others}](#{_anchor(others)})")
    parts = [HEAD.rstrip(), "## Contents", "\n".join(contents)]
    parts += ["## Options of the panel", _options_of_the_panel()]
    parts += [_section_text(section, measures.get(section.key, [])) for section in sections]
    if measures.get(""):
        parts += [f"## {others}", *(_definition(measure) for measure in measures[""])]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8", newline="\n")
