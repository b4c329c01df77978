"""Where a study's files or tables are, and what they and their columns and codes are called."""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.errors import StudyFileError
from calaim_eval.pipeline.panel import read_study_tables
from calaim_eval.study import init_study, read_study
from calaim_eval.study.template import study_template

NAMES = """
[input.files]
eligibility = "elig_2024*.csv"
medical_claim = "claims/claims.txt"
[input.rename.eligibility]
cin = "member_id"
[input.constants.medical_claim]
plan = "Plan A"
claim_line_number = 1
claim_start_date = 2022-02-03
[input.values.eligibility.payer_type]
"MCAL" = "medicaid"
"""


@pytest.fixture
def study(tmp_path):
    def study(more="", **changed):
        text = study_template()
        for old, new in changed.items():
            assert f'{old} = "' in text
            text = text.replace(f'{old} = "raw"', new)
        text = text.replace("[coverage]", f"{more}\n[coverage]", 1)
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        return read_study(tmp_path)

    return study


def test_files_columns_and_codes_of_a_study_reach_the_reading(study, tmp_path):
    raw = tmp_path / "raw"
    (raw / "claims").mkdir(parents=True)
    spans = "cin,enrollment_start_date,enrollment_end_date,payer_type\n"
    (raw / "elig_2024a.csv").write_text(spans + "m1,2022-01-01,2022-12-31,MCAL\n")
    (raw / "elig_2024b.csv").write_text(spans + "m2,2022-01-01,2022-12-31, MCAL \n")
    (raw / "person.csv").write_text("member_id,birth_date\nm1,1990-01-01\nm2,1990-01-01\n")
    (raw / "claims" / "claims.txt").write_text("claim_id|claim_type|member_id\nc1|dental|m1\n")
    tables = read_study_tables(study(NAMES))
    assert tables.frame("eligibility")["payer_type"].tolist() == ["medicaid"] * 2
    claim = tables.frame("medical_claim").iloc[0]
    assert claim["plan"] == "Plan A"
    assert claim["claim_line_number"] == 1
    assert claim["claim_start_date"] == pd.Timestamp("2022-02-03")
    assert tables.manifest["options"]["files"]["eligibility"] == "elig_2024*.csv"


def test_a_database_takes_the_place_of_the_folder(study):
    address = "postgresql://reader@warehouse/medi_cal"
    found = study(folder=f'database = "{address}"\nextraction = "July"')
    assert found.input_place == address
    assert found.file.input.extraction == "July"


@pytest.mark.parametrize(
    ("folder", "more", "message"),
    [
        ('folder = "raw"\ndatabase = "postgresql://h/d"', "", "either `folder` or `database`"),
        ("", "", "either `folder` or `database`"),
        ('folder = "raw"\nextraction = "x"', "", "`extraction` names an extraction"),
        ('folder = "raw"', "[input.files]\nelegibility = 'a.csv'", "Did you mean `eligibility`"),
        (
            'folder = "raw"',
            "[input.values.eligibility.payer_type]\nA = 'medical'",
            "`eligibility.payer_type` cannot be 'medical'",
        ),
        (
            'folder = "raw"',
            "[input.constants.person]\nplan = 'A'",
            "table `person` declares no column `plan`",
        ),
    ],
)
def test_what_cannot_be_meant_is_said_when_the_study_is_read(study, folder, more, message):
    with pytest.raises(StudyFileError) as raised:
        study(more, folder=folder)
    assert message in str(raised.value)
    assert "input" in str(raised.value)


def test_a_password_is_refused_and_not_repeated(study):
    with pytest.raises(StudyFileError, match="holds a password") as raised:
        study(folder='database = "postgresql://me:tops3cret@host/db"')
    assert "tops3cret" not in str(raised.value)


def test_folders_of_partners_are_named_by_format(tmp_path):
    place = init_study(tmp_path / "s", input_format="calaim")
    text = place.read_text(encoding="utf-8")
    place.write_text(
        text.replace('# [input.partners]\n# hmis = "raw/hmis"', '[input.partners]\nhmis = "h"'),
        encoding="utf-8",
    )
    assert read_study(place).partner_folders == {"hmis": [(tmp_path / "s" / "h").resolve()]}
    place.write_text(
        text.replace('# [input.partners]\n# hmis = "raw/hmis"', '[input.partners]\nhmiss = "h"'),
        encoding="utf-8",
    )
    with pytest.raises(StudyFileError, match="'hmiss' is not one of hmis"):
        read_study(place)
