"""The one group of each person that a study states, and its way through a reading."""

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.schema import RaceRule
from calaim_eval.tables import read_tables


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(TableError, match="one group, and in combination"):
        RaceRule(display="in_combination")
    with pytest.raises(TableError, match="no race and ethnicity schema"):
        RaceRule(schema="omb_2030")
    with pytest.raises(TableError, match="yes/no columns and no codes"):
        RaceRule(schema="hmis_fy2026")
    with pytest.raises(TableError, match="'purple', no category"):
        RaceRule(display="primary", priority=("purple",))
    with pytest.raises(TableError, match="needs one where a member can have several"):
        RaceRule(display="primary")
    with pytest.raises(TableError, match="goes with the display 'primary'"):
        RaceRule(display="alone", priority=("aian",))
    assert RaceRule(schema="meds", display="primary").priority == ()


def test_the_words_name_standard_display_and_order():
    words = RaceRule("omb_2024", "primary", ("aian", "nhpi")).words
    assert "Directive 15 of 2024; one primary group" in words
    assert "(aian, nhpi)" in words
    assert "Hispanic first" in RaceRule().words


def test_files_read_in_another_display_are_read_again(tmp_path):
    raw, work = tmp_path / "raw", tmp_path / "work"
    raw.mkdir()
    spans = {"enrollment_start_date": "2022-01-01", "enrollment_end_date": "2022-06-30"}
    pd.DataFrame([{"member_id": m, **spans} for m in "ab"]).to_csv(
        raw / "eligibility.csv", index=False
    )
    person = {"birth_date": "1980-01-01", "race_code_system": "cdc_omb"}
    person |= {"ethnicity_code": "2135-2", "ethnicity_code_system": "cdc_omb"}
    rows = [{"member_id": "a", "race_code": "2106-3"}, {"member_id": "b", "race_code": ""}]
    pd.DataFrame([row | person for row in rows]).to_csv(raw / "person.csv", index=False)
    claim = {"member_id": "a", "claim_id": "1", "claim_line_number": 1}
    claim |= {"claim_start_date": "2022-02-01", "claim_type": "professional"}
    pd.DataFrame([claim]).to_csv(raw / "medical_claim.csv", index=False)

    def groups(**options):
        tables = read_tables(raw, work_dir=work, **options)
        return tables.frame("person").sort_values("member_id")["race_ethnicity"].tolist()

    assert groups() == ["hispanic", "hispanic"]
    assert groups(race=RaceRule(display="alone")) == ["multiple", "hispanic"]
    assert groups() == ["hispanic", "hispanic"]
