"""A measure of one's own: the example of CONTRIBUTING.md, run as it is written there."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import build_member_months
from calaim_eval.panel.measure import Measure
from calaim_eval.tables import Tables

GUIDE = Path(__file__).parents[3] / "CONTRIBUTING.md"


def written_file() -> str:
    """The guide's code block."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.S)
    return code


def written_measure() -> Measure:
    """The measure of the guide's code block."""
    space: dict[str, object] = {}
    exec(written_file(), space)
    (measure,) = space["MEASURES"]
    return measure


def tables() -> Tables:
    """Two members; one has two mammograms, of which one claim is void."""
    lines = [
        ("a", "1", "77067", "2024-01-05", "professional", "original", None),
        ("a", "2", "77067", "2024-01-05", "professional", "original", None),
        ("a", "3", "77066", "2024-01-20", "professional", "original", None),
        ("a", "4", "77066", "2024-01-20", "professional", "void", "3"),
        ("b", "5", "77067", "2024-02-05", "institutional", "original", None),
        ("b", "6", "77065", "2024-02-05", "professional", "original", None),
    ]
    names = [
        "member_id",
        "claim_id",
        "hcpcs_code",
        "claim_start_date",
        "claim_type",
        "claim_status",
        "original_claim_id",
    ]
    claims = pd.DataFrame(lines, columns=names).assign(claim_line_number=1)
    spans = pd.DataFrame({"member_id": ["a", "b"], "enrollment_start_date": "2024-01-01"})
    spans["enrollment_end_date"] = None
    return Tables.from_frames({"eligibility": spans, "medical_claim": claims})


def test_the_example_of_the_guide_is_counted_like_any_measure():
    measure = written_measure()
    panel = build_member_months(
        tables(),
        first_month="2024-01",
        last_month="2024-02",
        measures=["ed_visits", measure],
    )
    assert panel.measures == ("ed_visits", "mammograms")
    frame = panel.to_frame(["member_id", "month", "mammograms"])
    assert frame["mammograms"].tolist() == [1, 0, 0, 0]
    events = panel.ledger.to_frame().query("stage == 'events' and n_rows > 0")
    assert events[events["table"] == "mammograms"]["n_rows"].tolist() == [1]


def test_the_example_is_a_file_that_the_checks_of_the_package_take():
    tree = ast.parse(written_file())
    assert ast.get_docstring(tree)
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
        assert ast.get_docstring(function)
        assert function.returns
        assert all(each.annotation for each in function.args.args)


def test_the_guide_names_the_page_that_must_have_the_measure():
    guide = GUIDE.read_text(encoding="utf-8")
    _, recipe = guide.split("## A measure in one file")
    assert "(docs/measures.md)" in recipe.split("\n## ")[0]


def test_a_measure_is_named_once():
    measure = written_measure()
    with pytest.raises(TableError, match="`mammograms` is asked for twice"):
        build_member_months(
            tables(),
            first_month="2024-01",
            last_month="2024-02",
            measures=[measure, measure],
        )


def test_a_line_kind_that_shares_a_name_with_another_is_refused():
    def is_ambulance(lines):
        return lines.is_professional

    own = dataclasses.replace(written_measure(), name="own", line_kinds=(is_ambulance,))
    with pytest.raises(TableError, match="two kinds of claim line are named `is_ambulance`"):
        build_member_months(
            tables(),
            first_month="2024-01",
            last_month="2024-02",
            measures=["ambulance_trips", own],
        )


def visits() -> Tables:
    """One office visit."""
    claim = {
        "member_id": ["a"],
        "claim_id": "1",
        "claim_line_number": 1,
        "claim_type": "professional",
        "claim_start_date": "2024-01-05",
        "hcpcs_code": "99213",
        "place_of_service_code": "10",
    }
    spans = {"member_id": ["a"], "enrollment_start_date": "2024-01-01"}
    return Tables.from_frames(
        {
            "eligibility": pd.DataFrame(spans).assign(enrollment_end_date=None),
            "medical_claim": pd.DataFrame(claim),
        }
    )


def of_pieces(events, **more) -> Measure:
    """A measure that reads what others are built from."""
    words = {"label": "x", "title": "x", "definition": "x", "source": "x", "confirmed": "no"}
    return Measure(name="of_pieces", events=events, **words, **more)


def test_a_measure_of_visits_finds_them_though_it_names_no_kinds_of_line():
    def remote(care):
        found = care.outpatient_visits
        return found.filter(found["is_telehealth"]).select("member", "day")

    window = {"first_month": "2024-01", "last_month": "2024-01"}
    panel = build_member_months(visits(), **window, measures=[of_pieces(remote)])
    assert panel.to_frame(["of_pieces"])["of_pieces"].tolist() == [1]


def test_a_kind_of_line_that_no_measure_names_is_refused():
    def is_in_january(lines):
        return lines["claim_start_date"].month() == 1

    def events(care):
        return care.lines_of(is_in_january).select("member", "day")

    with pytest.raises(TableError, match="`is_in_january`, which no measure has in its `line_ki"):
        build_member_months(
            visits(), first_month="2024-01", last_month="2024-01", measures=[of_pieces(events)]
        )
