"""How a study file says race and ethnicity are read and shown."""

import pytest

from calaim_eval.errors import StudyFileError
from calaim_eval.schema import RaceRule
from calaim_eval.study import init_study, read_study


def study_with(folder, lines):
    path = init_study(folder)
    text = path.read_text("utf-8").replace("\n[integration]", f"\n{lines}\n[integration]")
    path.write_text(text, "utf-8")
    return path


def test_a_study_that_says_nothing_reads_as_recorded_and_hispanic_first(tmp_path):
    equity = read_study(study_with(tmp_path / "study", "")).file.equity
    assert equity.race_rule == RaceRule("as_recorded", "hispanic_first", ())
    assert not equity.race_in_combination


def test_standard_display_and_order(tmp_path):
    lines = 'race_schema = "omb_2024"\nrace_display = "primary"\nrace_priority = ["aian", "nhpi"]'
    equity = read_study(study_with(tmp_path / "study", lines)).file.equity
    assert equity.race_rule == RaceRule("omb_2024", "primary", ("aian", "nhpi"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('race_schema = "omb_2030"', "'omb_2030' is not one of as_recorded"),
        ('race_schema = "hmis_fy2026"', "yes/no columns and no codes"),
        ('race_display = "in_combination"', "race_display"),
        ('race_display = "primary"', "needs one where a member can have several"),
        ('race_priority = ["aian"]', "goes with the display 'primary'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(tmp_path, lines, words):
    with pytest.raises(StudyFileError, match=words):
        read_study(study_with(tmp_path / "study", lines))
