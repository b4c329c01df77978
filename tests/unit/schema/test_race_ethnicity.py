import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.schema import derive_race_ethnicity, load_codes, race_ethnicity_groups


def derive(race, system, ethnicity=None, ethnicity_system=None):
    frame = pd.DataFrame(
        {
            "race_code": [race],
            "race_code_system": [system],
            "ethnicity_code": [ethnicity],
            "ethnicity_code_system": [ethnicity_system],
        }
    )
    row = derive_race_ethnicity(frame).iloc[0]
    return row["race_ethnicity"], bool(row["has_unlisted_code"])


@pytest.mark.parametrize(
    ("race", "system", "expected"),
    [
        ("1", "meds", "white"),
        ("2", "meds", "hispanic"),
        ("3", "meds", "black"),
        ("4", "meds", "asian_pi_unsplit"),
        ("5", "meds", "aian"),
        ("7", "meds", "asian"),
        ("P", "meds", "nhpi"),
        ("p", "meds", "nhpi"),
        ("Z", "meds", "other"),
        ("0", "meds", "unknown"),
        ("8", "meds", "unknown"),
        ("9", "meds", "declined"),
        ("2054-5", "cdc_omb", "black"),
        ("2118-8", "cdc_omb", "mena"),
        ("ASKU", "cdc_omb", "declined"),
        ("003", "tmsis_race", "aian"),
        ("3", "tmsis_race", "aian"),
        ("nhpi", "analysis_group", "nhpi"),
        ("multiple", "analysis_group", "multiple"),
        (None, None, "unknown"),
    ],
)
def test_group_of_one_race_code(race, system, expected):
    assert derive(race, system) == (expected, False)


def test_hispanic_in_either_field_overrides_race():
    assert derive("2106-3", "cdc_omb", "2135-2", "cdc_omb")[0] == "hispanic"
    assert derive("5", "meds", "1", "tmsis_ethnicity")[0] == "hispanic"
    assert derive("2056-0", "cdc_omb", "2186-5", "cdc_omb")[0] == "black"


def test_declined_ethnicity_counts_only_without_a_race():
    assert derive("002", "tmsis_race", "6", "tmsis_ethnicity")[0] == "black"
    assert derive("017", "tmsis_race", "6", "tmsis_ethnicity")[0] == "declined"
    assert derive(None, None, "6", "tmsis_ethnicity")[0] == "declined"


def test_several_race_codes_are_multiple_only_if_their_groups_differ():
    assert derive("2106-3;2056-0", "cdc_omb")[0] == "multiple"
    assert derive("2034-7; 2036-2", "cdc_omb")[0] == "asian"


def test_unlisted_code_is_unknown_and_marked():
    assert derive("Q", "meds") == ("unknown", True)
    assert derive("1", "no_such_system") == ("unknown", True)
    assert derive("Q", "meds", "2135-2", "cdc_omb") == ("hispanic", True)


def test_every_group_of_the_crosswalk_is_a_shown_group():
    groups = set(load_codes("race_ethnicity_crosswalk")["analysis_group_8"]) - {""}
    assert groups <= set(race_ethnicity_groups())
    assert race_ethnicity_groups()[-2:] == ("declined", "unknown")


def test_index_and_input_are_kept():
    frame = pd.DataFrame(
        {
            "race_code": ["1", None],
            "race_code_system": ["meds", None],
            "ethnicity_code": [None, None],
            "ethnicity_code_system": [None, None],
        },
        index=[7, 3],
    )
    before = frame.copy()
    assert derive_race_ethnicity(frame).index.tolist() == [7, 3]
    pd.testing.assert_frame_equal(frame, before)


def test_other_displays_and_standards_of_the_same_codes():
    frame = pd.DataFrame(
        {
            "race_code": ["2106-3;2118-8", "2106-3", "2"],
            "race_code_system": ["cdc_omb", "cdc_omb", "meds"],
            "ethnicity_code": [None, "2135-2", None],
            "ethnicity_code_system": [None, "cdc_omb", None],
        }
    )

    def groups(**options):
        return derive_race_ethnicity(frame, **options)["race_ethnicity"].tolist()

    assert groups() == ["multiple", "hispanic", "hispanic"]
    assert groups(display="alone") == ["multiple", "multiple", "hispanic"]
    assert groups(schema="omb_1997") == ["white", "hispanic", "hispanic"]
    order = ["mena", "white"]
    assert groups(display="primary", priority=order) == ["mena", "white", "hispanic"]
    assert groups(schema="meds") == ["unknown", "unknown", "hispanic"]
    unlisted = derive_race_ethnicity(frame, schema="meds")["has_unlisted_code"]
    assert unlisted.tolist() == [True, True, False]


def test_one_group_of_a_person_cannot_be_in_combination():
    frame = pd.DataFrame(columns=["race_code", "race_code_system"])
    with pytest.raises(TableError, match="with_race_ethnicity"):
        derive_race_ethnicity(frame, display="in_combination")
