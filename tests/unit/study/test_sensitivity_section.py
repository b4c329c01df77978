"""The section `[sensitivity]` of a study file."""

from __future__ import annotations

import pytest

from calaim_eval.errors import StudyFileError
from calaim_eval.study import init_study, read_study
from calaim_eval.study.model import Sensitivity


def study_with(folder, section: str):
    path = init_study(folder / "study")
    text = path.read_text("utf-8")
    start, end = text.index("[sensitivity]"), text.index("[report]")
    path.write_text(f"{text[:start]}{section}\n\n{text[end:]}", "utf-8")
    return path


def test_the_section_may_be_left_out(tmp_path):
    assert read_study(study_with(tmp_path, "")).file.sensitivity == Sensitivity()


def test_the_template_says_the_defaults(tmp_path):
    assert read_study(init_study(tmp_path / "study")).file.sensitivity == Sensitivity()


def test_tests_can_be_switched_off(tmp_path):
    path = study_with(tmp_path, "[sensitivity]\ntrends_differ = []\nplacebo_months = []")
    asked = read_study(path).file.sensitivity
    assert (asked.trends_differ, asked.placebo_months) == ((), ())


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("trends_differ = [0]", r"sensitivity\.trends_differ.*greater than 0"),
        ("placebo_months = [3, 3]", "has a number twice"),
        ("first_months = 8", "`first_months` is 8, no multiple of `months_per_period`, 3"),
        ("placebo_months = [0]", r"sensitivity\.placebo_months"),
        ("negative_control = { jail_days = ' ' }", "why the service cannot change"),
        ("negative_control = { psychiatric_stays = '' }", "why the service cannot change"),
        ("negative_control = { broken_arms = 'x' }", "'broken_arms' is not a measure"),
        ("negative_control = { jail_days = 'x' }", "`jail_days`, which `outcomes` names too"),
        ("first_month = 3", "did you mean `first_months`"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path, section, words):
    with pytest.raises(StudyFileError, match=words):
        read_study(study_with(tmp_path, f"[sensitivity]\n{section}"))
