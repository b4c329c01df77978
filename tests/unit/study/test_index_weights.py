"""How a study file declares the weights of the index of counties."""

import pytest

from calaim_eval.errors import StudyFileError
from calaim_eval.study import init_study, read_study


def study_with(folder, line):
    path = init_study(folder)
    text = path.read_text("utf-8").replace("\n[disclosure]", f"\n{line}\n[disclosure]")
    path.write_text(text, "utf-8")
    return path


def test_without_weights_counties_are_not_ranked(tmp_path):
    assert read_study(study_with(tmp_path / "study", "")).file.integration.index_rule is None


def test_the_line_of_the_template_works(tmp_path):
    path = init_study(tmp_path / "study")
    text = path.read_text("utf-8").replace("# index_weights", "index_weights")
    path.write_text(text, "utf-8")
    rule = read_study(path).file.integration.index_rule
    assert rule.weights == {
        "services_covered": 0.4,
        "members_served_by_cbos": 0.3,
        "referrals_closed": 0.3,
    }
    assert rule.min_support == 11


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("{ services_covered = 0.4, referrals_closed = 0.3 }", "add up to 1"),
        ("{ services_covered = 1.4, referrals_closed = -0.4 }", "above 0"),
        ("{ services_covered = 0.5, kindness = 0.5 }", "not among services_covered"),
    ],
)
def test_weights_that_are_none_are_refused_before_anything_is_read(tmp_path, weights, words):
    with pytest.raises(StudyFileError, match=words):
        read_study(study_with(tmp_path / "study", f"index_weights = {weights}"))
