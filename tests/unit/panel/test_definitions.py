"""Measures are complete, and their patterns come from the code list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import EXPOSURES, MEASURES, measures
from calaim_eval.panel.code_patterns import code_pattern
from calaim_eval.panel.columns import declared_tables
from calaim_eval.panel.measures import FAMILIES
from calaim_eval.schema.codes import load_codes
from calaim_eval.schema.fields import FIELDS, table_fields

ROOT = Path(__file__).parents[3]
ALL = (*MEASURES.values(), *EXPOSURES.values())


def test_every_measure_is_a_column_of_the_member_months_and_of_no_other_table():
    columns = [field.name for field in table_fields(declared_tables()["member_month"])]
    assert columns[-len(MEASURES) - len(EXPOSURES) :] == [*MEASURES, *EXPOSURES]
    assert not set(columns[-len(MEASURES) - len(EXPOSURES) :]) & set(FIELDS)


def test_every_file_of_measures_is_found():
    folder = Path(measures.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    told = {measure.events.__module__.rsplit(".", 1)[1] for measure in ALL}
    assert told == files


def test_units_name_the_denominator():
    for measure in (*MEASURES.values(), *EXPOSURES.values()):
        assert measure.unit.endswith("per 1,000 member-months" if measure.per == 1000 else "month")
        assert measure.confirmed in {"yes", "partial", "no"}
        assert measure.definition
        assert measure.source
    assert MEASURES["ed_visits"].unit == "ED visits per 1,000 member-months"
    assert MEASURES["paid_usd"].unit == "USD per member-month"


def test_measures_rest_on_entries_of_the_code_list():
    listed = set(load_codes("utilization_definitions")["measure"])
    for measure in (*MEASURES.values(), *EXPOSURES.values()):
        assert set(measure.code_lists) <= listed


@pytest.mark.parametrize(
    ("measure", "component", "hits", "misses"),
    [
        ("ed_visit", "facility revenue", "0450 0452 0459 0981", "0453 0456 0460 450"),
        ("ed_visit", "ED E/M", "99281 99285 G0384", "99286 99213"),
        ("ip_admission", "bill type", "111 0111 117 11", "121 0131 110A"),
        ("ambulance_transport", "ground emergency base", "A0427 A0429 A0433", "A0425 A0428"),
        ("outpatient_visit", "office and clinic E/M", "99202 99215", "99201 99281"),
        ("observation_stay", "HCPCS", "G0378 99220 99226 99236", "99221 99223 99233"),
        ("sud_visit", "SUD HCPCS/CPT", "H0020 G2067 G2080 99408", "H0014 G2061 G2066 G2081"),
        ("sud_visit", "diagnosis", "F1020 F199 F180", "F17210 F329"),
        ("bh_visit", "diagnosis", "F329 F0150 F99", "F1020 F17210 G309"),
        ("snf_days", "bill type", "211 0221 181 287", "111 131 0331"),
        ("readmission_30d", "pregnancy and perinatal diagnosis", "O80 O9A2 P073 P96", "Q211 P97"),
    ],
)
def test_patterns(measure, component, hits, misses):
    pattern = re.compile(code_pattern(measure, component))
    assert all(pattern.search(code) for code in hits.split())
    assert not any(pattern.search(code) for code in misses.split())


def test_outcomes_are_listed_once_by_family():
    assert [name for names in FAMILIES.values() for name in names] == list(MEASURES)


def test_every_measure_is_on_the_page_with_its_standing():
    page = (ROOT / "docs" / "measures.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|partly|no) \|$", page, flags=re.M))
    words = {"yes": "yes", "partial": "partly", "no": "no"}
    assert told == {name: words[each.confirmed] for name, each in MEASURES.items()}


def test_planned_readmissions_are_told_by_diagnosis_or_a_named_system():
    codes = load_codes("planned_readmission")
    assert set(codes["code_system"]) == {"ICD-10-CM", "MS-DRG", "APR-DRG"}
    (diagnosis,) = codes.loc[codes["code_system"] == "ICD-10-CM", "codes_regex"]
    assert re.search(diagnosis, "Z5111")
    assert not re.search(diagnosis, "Z515")


def test_a_component_nobody_listed():
    with pytest.raises(TableError, match="0 rows for measure `ed_visit`, component `ED`"):
        code_pattern("ed_visit", "ED")
