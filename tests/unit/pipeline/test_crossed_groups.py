"""Race and ethnicity crossed with the columns a study names."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hand_panel import hand_panel

from calaim_eval.disclosure import release
from calaim_eval.pipeline.crossed_groups import measure_crossings
from calaim_eval.study.model import Equity

PANEL = """
    member | race  | covered          | ed        | age | county
    -------+-------+------------------+-----------+-----+-------
    a      | black | 2022-01..2022-12 | 2022-02:2 | 17  | Kern
    b      | black | 2022-01..2022-12 | 2022-03:1 | 30  | Kern
    c      | white | 2022-01..2022-06 |           | 70  | Fresno
    d      | white | 2022-01..2022-12 | 2022-03:4 | 30  | Fresno
"""


def crossings(exposure=None, **equity):
    study = SimpleNamespace(
        file=SimpleNamespace(equity=Equity(reference="white", **equity), exposure=exposure)
    )
    return measure_crossings(study, hand_panel(PANEL), ["ed_visits"])


def test_nothing_is_crossed_unless_the_study_names_it():
    assert crossings() == {}


def test_members_and_use_by_race_and_age_band_with_both_totals():
    found = crossings(crossed_with=("age_band", "county"), age_bands=(18, 65))
    assert list(found) == [
        *("members_by_race_and_age_band", "use_by_race_and_age_band"),
        *("members_by_race_and_county", "use_by_race_and_county"),
    ]
    members = found["members_by_race_and_age_band"].to_frame()
    rows = members.set_index(["race_ethnicity", "age_band"])["numerator"]
    assert (rows["black", "0-17"], rows["white", "65+"], rows["all", "18-64"]) == (1, 1, 2)
    assert rows["all", "all"] == 4
    use = found["use_by_race_and_age_band"].to_frame()
    rows = use.set_index(["outcome", "race_ethnicity", "age_band"])["numerator"]
    assert (rows["ed_visits", "black", "all"], rows["ed_visits", "all", "18-64"]) == (3, 5)
    assert any("0-17, 18-64, 65+" in note for note in found["use_by_race_and_age_band"].notes)


def test_use_in_all_months_is_not_named_as_use_before_eligibility():
    """Else the two would give one count two values, and nothing could be released."""
    names = {
        exposure: crossings(exposure, crossed_with=("county",))["use_by_race_and_county"]
        for exposure in (None, "ecm")
    }
    assert names[None].numerator_name == "events_by_outcome"
    assert names["ecm"].numerator_name != names[None].numerator_name


def test_crossings_can_be_released():
    tables = release(crossings(crossed_with=("age_band",))).tables
    assert tables["members_by_race_and_age_band"].frame["is_suppressed"].all()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"crossed_with": ("shoe_size",)}, "crossed_with"),
        ({"crossed_with": ("sex", "sex")}, "a column twice"),
        ({"age_bands": (65, 18)}, "not rising first ages"),
        ({"age_bands": ()}, "not rising first ages"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        Equity(reference="white", **given)
