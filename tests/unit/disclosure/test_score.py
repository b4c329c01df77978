from __future__ import annotations

import pytest

from calaim_eval.disclosure import ddg_score
from calaim_eval.errors import DisclosureError

STATE = 39_000_000
RACE = {"race_ethnicity_combined": "adds AI/AN, NHPI, mixed"}
ONE = {"variable_interactions": "plus 1 variable"}
TWO = {"variable_interactions": "plus 2 variables", "age_range": 20}


# Sums worked by hand from the guideline's table, edition 2.0, race in seven groups.
@pytest.mark.parametrize(
    ("people", "time", "smallest", "more", "total"),
    [
        (STATE, "quarter", 150, ONE, 6),
        (STATE, "quarter", 5, ONE, 10),
        (300_000, "quarter", 5, ONE, 15),
        (300_000, "quarter", 50, ONE, 13),
        (300_000, "1 year", 5, ONE, 11),
        (90_000, "1 year", 50, ONE, 12),
        (90_000, "quarter", 50, ONE, 16),
        (1_500_000, "quarter", 50, TWO, 13),
    ],
)
def test_worked_sums(people, time, smallest, more, total):
    table = {"events": smallest, "time": time, "residence_geography": people, **RACE, **more}
    score = ddg_score(table)
    assert score.total == total
    assert score.is_within_limit == (total <= 12)
    assert list(score.parts["variable"]) == list(table)


def test_a_policy_without_a_score():
    with pytest.raises(DisclosureError, match="`cms_11` has no score"):
        ddg_score({"events": 5}, policy="cms_11")


def test_unknown_variables_and_characteristics_are_named():
    with pytest.raises(DisclosureError, match=r"(?s)does not score `county`\..*`events`"):
        ddg_score({"county": 5})
    with pytest.raises(DisclosureError, match=r"(?s)no `time` of that .*`quarter`"):
        ddg_score({"time": "week"})
