"""`[disclosure]` in the study file: a policy of the study's own, people living in each county."""

from __future__ import annotations

import pytest
import typer

from calaim_eval.cli.release import _table_and_column
from calaim_eval.disclosure import load_policy
from calaim_eval.errors import StudyFileError
from calaim_eval.study import init_study, read_study

OWN = 'based_on = "cms_11"\nname = "ours"\nversion = "1"\ntitle = "Ours"\nsource = "us"\n'


@pytest.fixture
def folder(tmp_path):
    init_study(tmp_path / "s")
    return tmp_path / "s"


def disclosure(folder, lines):
    path = folder / "study.toml"
    text = path.read_text(encoding="utf-8")
    start = text.index('policy = "calhhs_ddg_2"')
    end = text.index("\n", start)
    path.write_text(text[:start] + lines + text[end:], encoding="utf-8")
    return path


def test_a_policy_file_lies_beside_the_study_file(folder, tmp_path, monkeypatch):
    (folder / "ours.toml").write_text(OWN)
    study = read_study(disclosure(folder, 'policy = "ours.toml"'))
    monkeypatch.chdir(tmp_path)
    assert load_policy(study.disclosure_policy).name == "ours"
    assert read_study(folder).residents == {}


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ('policy = "calhhs_ddg_3"', r"disclosure\.policy: no policy is named .*Did you mean"),
        ('policy = "ours.toml"', r"disclosure\.policy: .*ours\.toml: no such policy file"),
        ('policy = "cms_11"\npolicy_file = "x"', "unknown key"),
    ],
)
def test_a_policy_that_is_not_there_is_said_when_the_study_is_read(folder, lines, match):
    with pytest.raises(StudyFileError, match=match):
        read_study(disclosure(folder, lines))


def test_a_mistake_in_the_policy_file_is_said_when_the_study_is_read(folder):
    (folder / "ours.toml").write_text(OWN + "min_count = 0\n")
    with pytest.raises(StudyFileError, match="`min_count`: a whole number of 1 or more"):
        read_study(disclosure(folder, 'policy = "ours.toml"'))


def test_people_living_in_each_county(folder):
    (folder / "residents.csv").write_text("county,residents\nMerced,281202\nall,39538223\n")
    study = read_study(disclosure(folder, 'policy = "cms_11"\nresidents = "residents.csv"'))
    assert study.residents == {"Merced": 281_202, "all": 39_538_223}


@pytest.mark.parametrize(
    "content", [None, "county,people\nMerced,3\n", "county,residents\nMerced,many\n", ""]
)
def test_a_file_of_residents_that_cannot_be_read_is_said(folder, content):
    if content is not None:
        (folder / "residents.csv").write_text(content)
    study = read_study(disclosure(folder, 'policy = "cms_11"\nresidents = "residents.csv"'))
    with pytest.raises(StudyFileError, match="expected a CSV file with the columns `county`"):
        _ = study.residents


def test_a_column_to_do_without_is_named_with_its_table():
    assert _table_and_column("access_funnel:race_ethnicity") == ("access_funnel", "race_ethnicity")
    for text in ("access_funnel", ":race_ethnicity", "access_funnel:"):
        with pytest.raises(typer.BadParameter, match="TABLE:COLUMN"):
            _table_and_column(text)
