"""Recorded values to categories, in the layouts sources have."""

from itertools import chain, combinations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.schema.race_displays import DISPLAYS
from calaim_eval.schema.recorded_race import (
    BESIDE,
    NOT_IN_SCHEMA,
    NOTHING_RECORDED,
    SEVERAL_OF_ONE,
    recorded_categories,
)

SEVEN = ("aian", "asian", "black", "hispanic", "mena", "nhpi", "white")
WORDS = {
    "aian": "American Indian or Alaska Native",
    "asian": "Asian",
    "black": "Black or African American",
    "hispanic": "Hispanic or Latino",
    "mena": "Middle Eastern or North African",
    "nhpi": "Native Hawaiian or Pacific Islander",
    "white": "White",
}
SUBSETS = list(chain.from_iterable(combinations(SEVEN, r) for r in range(8)))


def one_column():
    return pd.DataFrame(
        {"member_id": range(128), "race": [";".join(WORDS[c] for c in s) for s in SUBSETS]}
    )


def yes_no_columns():
    flags = {f"is_{c}": [int(c in s) for s in SUBSETS] for c in SEVEN}
    return pd.DataFrame({"member_id": range(128), **flags})


def long_table():
    rows = [(i, WORDS[c]) for i, s in enumerate(SUBSETS) for c in s] + [(0, None)]
    return pd.DataFrame(rows, columns=["member_id", "race"])


def expected_alone(subset):
    return {0: "unknown", 1: subset[0] if subset else ""}.get(len(subset), "multiple")


def test_all_128_subsets_of_the_2024_categories_in_one_column():
    found = recorded_categories(one_column(), schema="omb_2024", values=["race"])
    sets = found.members.set_index("member_id")
    for i, subset in enumerate(SUBSETS):
        assert tuple(c for c in SEVEN if sets.loc[i, c]) == subset
        assert sets.loc[i, "unknown"] == (not subset)
    alone = found.groups("alone")["race_ethnicity"].tolist()
    assert alone == [expected_alone(s) for s in SUBSETS]
    first = found.groups("hispanic_first")["race_ethnicity"].tolist()
    assert first == ["hispanic" if "hispanic" in s else expected_alone(s) for s in SUBSETS]
    order = ["nhpi", "aian"]
    primary = found.groups("primary", priority=order)["race_ethnicity"].tolist()
    assert primary == [
        expected_alone(s) if len(s) < 2 else next((c for c in order if c in s), "multiple")
        for s in SUBSETS
    ]
    labels = found.groups("in_combination")["race_ethnicity_in_combination"]
    assert labels.tolist() == [";".join(s) or "unknown" for s in SUBSETS]
    counts = found.counts("in_combination")
    assert (counts[list(SEVEN)] == 64).all()
    assert counts["unknown"] == 1
    assert found.counts("alone")["multiple"] == 128 - 7 - 1


@pytest.mark.parametrize("layout", ["yes_no", "long", "shuffled columns", "true and false"])
def test_the_layout_and_the_order_of_columns_do_not_matter(layout):
    wanted = recorded_categories(one_column(), schema="omb_2024", values=["race"]).members
    flags = {f"is_{c}": c for c in SEVEN}
    if layout == "long":
        found = recorded_categories(long_table(), schema="omb_2024", values=["race"])
    else:
        frame = yes_no_columns()
        if layout == "shuffled columns":
            frame = frame[["is_white", "member_id", *[c for c in flags if c != "is_white"]]]
            flags = dict(reversed(flags.items()))
        if layout == "true and false":
            frame = frame.astype(dict.fromkeys(flags, "boolean"))
        found = recorded_categories(frame, schema="omb_2024", yes_no=flags)
    members = found.members.sort_values("member_id", ignore_index=True)
    pd.testing.assert_frame_equal(members, wanted)


def test_alone_adds_up_to_all_members_and_in_combination_is_never_less():
    rng = np.random.default_rng(5)
    frame = one_column().sample(500, replace=True, random_state=7).assign(member_id=range(500))
    frame.loc[rng.random(500) < 0.2, "race"] = "declined"
    found = recorded_categories(frame, schema="omb_2024", values=["race"])
    for display in DISPLAYS:
        counts = found.counts(display, priority=SEVEN)
        if display != "in_combination":
            assert counts.sum() == 500
        inside = found.counts("in_combination")
        shown = [c for c in (*SEVEN, "declined", "unknown") if display != "in_combination"]
        assert (inside[shown] >= counts[shown]).all()
        assert {"aian", "nhpi", "declined", "unknown"} <= set(counts.index)


def test_two_questions_of_1997_and_the_category_it_does_not_have():
    frame = pd.DataFrame(
        {
            "member_id": [1, 2, 3],
            "race": ["White", "Middle Eastern or North African", "2056-0;2106-3"],
            "ethnicity": ["Hispanic or Latino", "Not Hispanic or Latino", "2186-5"],
        }
    )
    found = recorded_categories(frame, schema="omb_1997", values=["race", "ethnicity"])
    assert found.groups("hispanic_first")["race_ethnicity"].tolist() == [
        *("hispanic", "white", "multiple")
    ]
    assert found.groups("alone")["race_ethnicity"].tolist() == ["multiple", "white", "multiple"]


def test_hmis_columns_know_not_asked_from_declined():
    yes = {"AmIndAKNative": 0, "Asian": 0, "BlackAfAmerican": 0, "HispanicLatinao": 0}
    yes |= {"MidEastNAfrican": 0, "NativeHIPacific": 0, "White": 0, "RaceNone": None}
    rows = [
        yes | {"White": 1, "NativeHIPacific": 1},
        yes | {"RaceNone": 9},
        yes | {"RaceNone": 8},
        dict.fromkeys(yes, 99),
        yes | {"HispanicLatinao": 1, "RaceNone": 99},
        yes | {"RaceNone": 0},
        dict.fromkeys(yes),
    ]
    frame = pd.DataFrame(rows).assign(PersonalID=list("abcdefg"))
    found = recorded_categories(frame, schema="hmis_fy2026", member_id="PersonalID")
    assert found.groups("alone")["race_ethnicity"].tolist() == [
        *("multiple", "declined", "unknown", "unknown", "hispanic", "unknown", "unknown")
    ]
    told = found.reasons.set_index(["column", "reason"])["n_members"]
    assert told["RaceNone", "Client prefers not to answer (declined)"] == 1
    assert told["RaceNone", "Client doesn't know (unknown)"] == 1
    assert told["RaceNone", "Data not collected (unknown)"] == 2
    assert told["RaceNone", NOT_IN_SCHEMA] == 1
    assert told["", BESIDE] == 1
    assert told["", NOTHING_RECORDED] == 1


def test_values_outside_the_schema_are_counted_and_never_told():
    frame = pd.DataFrame({"member_id": [1, 1, 2, 3], "race": ["1", "secret;2106-3", "secret", "2"]})
    found = recorded_categories(frame, schema="meds", values=["race"])
    row = found.reasons.set_index("reason").loc[NOT_IN_SCHEMA]
    assert (row["n_values"], row["n_members"]) == (3, 2)
    assert found.groups("alone")["race_ethnicity"].tolist() == ["white", "unknown", "hispanic"]
    assert "secret" not in found.reasons.to_string() + repr(found)


def test_a_source_of_one_value_with_two_is_counted():
    frame = pd.DataFrame({"member_id": [1, 1], "race": ["1", "3"]})
    found = recorded_categories(frame, schema="meds", values=["race"])
    assert SEVERAL_OF_ONE in found.reasons["reason"].tolist()


def test_codes_of_several_systems_are_read_in_the_one_the_row_names():
    frame = pd.DataFrame(
        {
            "member_id": [1, 2, 3, 4],
            "race_code": ["A", "A", "A", "A"],
            "race_code_system": ["meds", "x12_834_dmg05_1109", "nobody", None],
        }
    )
    found = recorded_categories(
        frame,
        schema="as_recorded",
        values=["race_code"],
        systems={"race_code": "race_code_system"},
    )
    assert found.groups("alone")["race_ethnicity"].tolist() == [
        *("asian", "asian_pi_unsplit", "unknown", "unknown")
    ]
    assert found.reasons.set_index("reason").loc[NOT_IN_SCHEMA, "n_values"] == 2


def test_declined_counts_only_where_nothing_is_named():
    frame = pd.DataFrame({"member_id": [1, 2], "race": ["ASKU", "ASKU;2028-9"]})
    found = recorded_categories(frame, schema="omb_2024", values=["race"])
    assert found.groups("alone")["race_ethnicity"].tolist() == ["declined", "asian"]


def test_unsplit_is_no_second_category_of_an_asian_member():
    frame = pd.DataFrame({"member_id": [1, 2], "race": ["A;D", "A;B"]})
    found = recorded_categories(frame, schema="x12_834", values=["race"])
    assert found.groups("alone")["race_ethnicity"].tolist() == ["asian", "multiple"]
    assert found.counts("in_combination")["asian_pi_unsplit"] == 1


def test_whole_numbers_read_as_floats_are_the_same_codes():
    frame = pd.DataFrame({"member_id": [1, 2], "race": [3.0, np.nan]})
    found = recorded_categories(frame, schema="meds", values=["race"])
    assert found.groups("alone")["race_ethnicity"].tolist() == ["black", "unknown"]


def test_no_rows_give_no_members():
    frame = pd.DataFrame({"member_id": [], "race": []})
    found = recorded_categories(frame, schema="meds", values=["race"])
    assert found.counts("in_combination").sum() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"schema": "omb_2024", "values": ["colour"]}, "lacks `colour`"),
        ({"schema": "omb_2024"}, "no columns of its own"),
        ({"schema": "meds", "yes_no": {"race": "mena"}}, "no category of `meds`"),
        ({"schema": "hmis_fy2024"}, "lacks `AmIndAKNative`"),
    ],
)
def test_what_cannot_be_read_is_refused(options, words):
    frame = pd.DataFrame({"member_id": [1], "race": ["1"]})
    with pytest.raises(TableError, match=words):
        recorded_categories(frame, **options)


def test_a_row_without_a_member_is_refused():
    frame = pd.DataFrame({"member_id": [1, None], "race": ["1", "1"]})
    with pytest.raises(TableError, match="`member_id` is missing in fewer than 11 rows"):
        recorded_categories(frame, schema="meds", values=["race"])


def test_primary_needs_an_order_where_members_have_several():
    found = recorded_categories(one_column(), schema="omb_2024", values=["race"])
    with pytest.raises(TableError, match="about 120 members have several"):
        found.groups("primary")
    with pytest.raises(TableError, match="'purple', no category"):
        found.groups("primary", priority=["purple"])
    single = pd.DataFrame({"member_id": [1, 2], "race": ["1", "2"]})
    plan = recorded_categories(single, schema="meds", values=["race"])
    assert plan.groups("primary")["race_ethnicity"].tolist() == ["white", "hispanic"]


def test_a_display_is_one_of_four_and_says_its_name():
    found = recorded_categories(one_column(), schema="omb_2024", values=["race"])
    with pytest.raises(TableError, match="'inclusive', not one of"):
        found.groups("inclusive")
    assert "never added up" in found.words("in_combination")
    assert "(nhpi, aian)" in found.words("primary", priority=["nhpi", "aian"])


def test_few_members_are_not_counted_in_words():
    frame = pd.DataFrame({"member_id": [1, 2, 3], "race": ["White;Asian", "purple", None]})
    found = recorded_categories(frame, schema="omb_2024", values=["race"])
    with pytest.raises(TableError, match="'primary': fewer than 11 members have several"):
        found.groups("primary")
    assert repr(found).endswith("fewer than 11 values name no category)")
