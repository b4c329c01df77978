"""Methods that take members check and code a frame in one way, and name no member in refusing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate import (
    adjusted_group_time_att,
    imputation_att_from_members,
    two_way_fixed_effects_from_members,
)
from calaim_eval.estimate.member_frame import member_frame
from calaim_eval.moments.panel_rows import PanelColumns

METHODS = {
    "adjusted": lambda frame, **more: adjusted_group_time_att(
        frame, outcome="visits", covariates=["age"], **more
    ),
    "imputation": lambda frame, **more: imputation_att_from_members(
        frame, outcome="visits", **more
    ),
    "two_way": lambda frame, **more: two_way_fixed_effects_from_members(
        frame, outcome="visits", **more
    ),
}


def small_frame() -> pd.DataFrame:
    """Six members with recognizable ids in two months, three of them exposed in the second."""
    ids = [f"secret{i}" for i in range(6)]
    return pd.DataFrame(
        {
            "member_id": np.repeat(ids, 2),
            "month": [2020, 2021] * 6,
            "cohort": np.repeat([2021.0] * 3 + [np.nan] * 3, 2),
            "county": np.repeat(list("ABCABC"), 2),
            "age": np.repeat([30.0, 41.0, 35.0, 28.0, 52.0, 44.0], 2),
            "visits": [1, 3, 2, 5, 0, 1, 1, 1, 0, 1, 2, 2],
        }
    )


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(
    ("change", "options", "error", "words"),
    [
        (lambda f: f.drop(columns="month"), {}, TableError, "lacks `month`"),
        (lambda f: f.iloc[:0], {}, TableError, "has no rows"),
        (lambda f: f.to_dict(), {}, TableError, "a pandas data frame, not a dict"),
        (lambda f: f.assign(visits=2), {}, EstimationError, "the same in all 12 member-months"),
        (lambda f: pd.concat([f, f[:2]]), {}, TableError, "2 of 14 rows repeat|2 .*repeat"),
        (lambda f: f.assign(county="A"), {"cluster": "county"}, EstimationError, "one cluster"),
        (
            lambda f: f.assign(county=f["county"].where(f["county"] != "B")),
            {"cluster": "county"},
            TableError,
            "`county` is missing for some of 6 members",
        ),
    ],
    ids=["column", "empty", "no frame", "constant", "repeats", "one cluster", "missing cluster"],
)
def test_methods_refuse_a_frame_in_the_same_words(method, change, options, error, words):
    with pytest.raises(error, match=words) as refused:
        method(change(small_frame()), **options)
    assert "secret" not in str(refused.value)


def test_codes_lead_back_to_the_frame_and_its_months():
    frame = small_frame().sample(frac=1, random_state=1)
    frame["month"] = frame["month"].replace(2021, 2023)
    columns = PanelColumns(("visits",), "member_id", "month", "cohort", cluster="county")
    coded = member_frame(frame.assign(cohort=frame["cohort"] + 2), columns)
    assert list(coded.months) == [2020, 2023]
    assert (coded.ordinals == frame["month"].to_numpy()).all()
    assert frame["member_id"].nunique() == coded.rows.n_members
    assert len(set(zip(coded.rows.member, frame["member_id"], strict=True))) == 6
    codes, labels = coded.groups("county")
    assert list(labels[codes[coded.rows.member]]) == list(frame["county"])
    assert (coded.cohort == 2023).sum() == 3


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_clusters_of_one_member_each_are_members(method):
    frame = small_frame()
    frame["county"] = frame["member_id"].str.replace("secret", "second")
    by_id, by_member = method(frame, cluster="county"), method(frame)
    assert by_id.cluster_influence is None
    assert by_id.notes == by_member.notes
    assert by_id.std_error == pytest.approx(by_member.std_error, nan_ok=True)
