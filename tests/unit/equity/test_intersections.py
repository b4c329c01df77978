"""Groups by several columns through rates and effects, and merges that are on record."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hand_panel import hand_panel
from weighted_members import awkward_panel

from calaim_eval.equity import (
    effect_gap,
    intersect_groups,
    members_by_group,
    merge_groups,
    rate_by_group,
    rate_gap,
    shrink_estimates,
)
from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel

RACES = ["aian", "asian", "black", "white"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    months = awkward_panel(seed=21, members=240)
    race = np.random.default_rng(2).choice(RACES, 240)
    return months.assign(
        race_ethnicity=race[months["member_id"]],
        language=months["group"].map({"x": "English", "y": "Spanish"}),
    )


def reduced(frame: pd.DataFrame, stratum):
    return reduce_panel(
        frame, outcomes=["visits"], stratum=stratum, cluster="county", unbalanced="cell_means"
    )


def test_rates_by_two_columns_are_those_of_the_joined_column(frame):
    names = ["race_ethnicity", "language"]
    both = rate_by_group(frame, outcome="visits", by=names, margins=names)
    crossed = intersect_groups(both, names, name="group_of")
    joined = intersect_groups(frame, names, name="group_of")
    alone = rate_by_group(joined, outcome="visits", by="group_of", margins=["group_of"])
    mine = crossed.to_frame().set_index("group_of").loc[alone.keys["group_of"]]
    assert mine["numerator"].tolist() == alone.numerator.tolist()
    assert mine["conf_high"].tolist() == pytest.approx(alone.conf_high.tolist())
    assert crossed.margins == ("group_of",)
    assert len(crossed) == 9
    gap = rate_gap(crossed, reference="white & English", stratum="group_of")
    assert gap.keys["group_of"].tolist()[0] == "aian & English"


@pytest.mark.parametrize("cluster", ["member", "county"])
def test_effects_by_two_strata_are_those_of_the_joined_stratum(frame, cluster):
    names = ["race_ethnicity", "language"]
    joined = intersect_groups(frame, names, name="group_of")
    effects = [
        aggregate(group_time_att(moments, outcome="visits", cluster=cluster))
        for moments in (reduced(frame, names), reduced(joined, "group_of"))
    ]
    crossed = intersect_groups(effects[0], names, name="group_of")
    assert crossed.keys["group_of"].tolist() == effects[1].keys["group_of"].tolist()
    assert crossed.estimate == pytest.approx(effects[1].estimate)
    np.testing.assert_allclose(crossed.covariance, effects[1].covariance, atol=1e-12)
    within = effect_gap(effects[0], reference="white")
    across = effect_gap(crossed, reference="white & English", stratum="group_of")
    assert len(within) == 6
    assert len(across) == 7
    shrunken = shrink_estimates(effects[0], stratum=names, toward="mean")
    assert len(shrunken) == 8


def test_a_missing_value_is_a_group_and_partial_margins_are_left_out():
    frame = pd.DataFrame(
        {
            "member_id": ["a", "b", "c"],
            "visits": [1, 2, 3],
            "race_ethnicity": ["aian", "black", "black"],
            "sex": ["female", None, "male"],
        }
    )
    names = ["race_ethnicity", "sex"]
    both = rate_by_group(frame, outcome="visits", by=names, margins=names)
    groups = intersect_groups(both, names, name="g").keys["g"].tolist()
    assert set(groups) == {"aian & female", "black & unknown", "black & male", "all"}


PANEL = """
    member | covered          | race  | county
    -------+------------------+-------+-------
    a      | 2022-01..2022-03 | black | Napa
    b      | 2022-01..2022-03 | black | Kings
    c      | 2022-01..2022-03 | white | Kings
"""


def test_members_by_two_columns():
    table = members_by_group(hand_panel(PANEL), by=["race_ethnicity", "county"])
    found = table.to_frame().set_index(["race_ethnicity", "county"])["numerator"]
    assert found.to_dict() == {
        ("black", "Kings"): 1,
        ("black", "Napa"): 1,
        ("black", "all"): 2,
        ("white", "Kings"): 1,
        ("white", "all"): 1,
        ("all", "Kings"): 2,
        ("all", "Napa"): 1,
        ("all", "all"): 3,
    }
    assert table.denominator.tolist() == [3] * 8
    with pytest.raises(DesignError, match="population_of_focus"):
        members_by_group(hand_panel(PANEL), by=["race_ethnicity", "population_of_focus"])


MERGE = {"asian_or_white": ["asian", "white"]}


@pytest.mark.parametrize("cluster", ["member", "county"])
def test_merged_moments_are_those_of_the_merged_frame(frame, cluster):
    moments = reduced(frame, ["race_ethnicity", "language"])
    merged, log = merge_groups(
        moments, column="race_ethnicity", merge=MERGE, reason="too few in the pilot"
    )
    plain, plain_log = merge_groups(frame, column="race_ethnicity", merge=MERGE, reason="x")
    tables = [
        aggregate(group_time_att(m, outcome="visits", cluster=cluster))
        for m in (merged, reduced(plain, ["race_ethnicity", "language"]))
    ]
    one, other = (
        t.to_frame().set_index(["race_ethnicity", "language"]).sort_index() for t in tables
    )
    pd.testing.assert_frame_equal(one, other)
    assert set(merged.cells["race_ethnicity"]) == {"aian", "black", "asian_or_white"}
    assert log["group"].tolist() == ["asian", "white"]
    assert log["members"].tolist() == plain_log["members"].tolist()
    assert any("too few in the pilot" in note for note in tables[0].notes)
    assert merged.provenance["rows"] == moments.provenance["rows"]
    assert set(frame["race_ethnicity"]) == set(RACES)


@pytest.mark.parametrize(
    ("merge", "reason", "message"),
    [
        ({"other": ["aian", "white"]}, "few", "never folded into another group: 'aian'"),
        ({"x": ["asian", "nhpi"]}, "few", "not in the data: 'nhpi'"),
        ({"x": ["asian"], "y": ["asian"]}, "few", "once"),
        ({"black": ["asian", "white"]}, "few", "already a group of its own: 'black'"),
        (MERGE, " ", "`reason` is empty"),
    ],
)
def test_merges_that_are_refused(frame, merge, reason, message):
    with pytest.raises(EstimationError, match=message):
        merge_groups(frame, column="race_ethnicity", merge=merge, reason=reason)


def test_crossings_that_are_refused(frame):
    with pytest.raises(EstimationError, match="two or more"):
        intersect_groups(frame, ["language"], name="g")
    with pytest.raises(EstimationError, match="not taken"):
        intersect_groups(frame, ["language", "race_ethnicity"], name="language")
    with pytest.raises(TableError, match="`sex`"):
        intersect_groups(frame, ["language", "sex"], name="g")
    with pytest.raises(EstimationError, match="no stratum"):
        merge_groups(reduced(frame, "language"), column="cohort", merge={"a": ["b"]}, reason="none")
