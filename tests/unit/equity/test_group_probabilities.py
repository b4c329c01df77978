from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import GroupProbabilities, bisg_probabilities
from calaim_eval.errors import EstimationError

NAMES = pd.DataFrame(
    {"black": [0.3, 0.1], "white": [0.7, 0.0], "asian": [0.0, 0.9]}, index=["SMITH", "NGUYEN"]
)
PLACES = pd.DataFrame(
    {"white": [0.001, 0.0], "black": [0.004, 0.0], "asian": [0.002, 0.001]},
    index=["94601", "92683"],
)


def people(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["name", "zip"]).assign(member_id=range(len(pairs)))


def bisg(members: pd.DataFrame, **options) -> GroupProbabilities:
    return bisg_probabilities(
        members,
        surname="name",
        geography="zip",
        group_given_surname=NAMES,
        geography_given_group=PLACES,
        **options,
    )


def test_posterior_by_hand_whatever_the_order_of_columns():
    found = bisg(people(("SMITH", "94601"), ("NGUYEN", "94601"))).values
    first = np.array([0.3 * 0.004, 0.7 * 0.001, 0])
    second = np.array([0.1 * 0.004, 0, 0.9 * 0.002])
    assert found.loc[0].to_numpy() == pytest.approx(first / first.sum())
    assert found.loc[1].to_numpy() == pytest.approx(second / second.sum())
    assert list(found.columns) == ["black", "white", "asian"]


def test_unmatched_members_are_refused_or_left_out_never_filled():
    # A name that is not listed, a place that is not, and a pair without a possible group.
    members = people(("SMITH", "94601"), ("DOE", "94601"), ("SMITH", "0"), ("SMITH", "92683"))
    with pytest.raises(
        EstimationError, match=r"3 of 4 members.*not listed for 1, place not listed for 1"
    ):
        bisg(members)
    left = bisg(members, unmatched="leave_out")
    assert left.values.index.tolist() == [0]
    assert "without a match" in left.notes[0]


def test_tables_are_checked():
    members = people(("SMITH", "94601"))
    options = {"surname": "name", "geography": "zip"}
    with pytest.raises(EstimationError, match="differ in their groups"):
        bisg_probabilities(
            members,
            group_given_surname=NAMES,
            geography_given_group=PLACES.drop(columns="asian"),
            **options,
        )
    with pytest.raises(EstimationError, match="1 values"):
        bisg_probabilities(
            members,
            group_given_surname=NAMES.replace(0.7, 1.7),
            geography_given_group=PLACES,
            **options,
        )
    with pytest.raises(EstimationError, match="1 rows repeat"):
        bisg_probabilities(
            members,
            group_given_surname=NAMES,
            geography_given_group=pd.concat([PLACES, PLACES.head(1)]),
            **options,
        )


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0.5, 0.4]], "1 whose values do not sum to 1"),
        ([[1.5, -0.5]], "1 with a value missing or outside 0 to 1"),
        ([[np.nan, 1.0]], "1 with a value missing"),
    ],
)
def test_a_matrix_is_checked(rows, message):
    with pytest.raises(EstimationError, match=message):
        GroupProbabilities(pd.DataFrame(rows, columns=["black", "white"]))


def test_repeated_members_are_refused_and_none_is_named():
    values = pd.DataFrame({"black": [0.5, 0.5], "white": [0.5, 0.5]}, index=["secret", "secret"])
    with pytest.raises(EstimationError, match="1 repeated") as error:
        GroupProbabilities(values)
    assert "secret" not in str(error.value)
    assert "secret" not in repr(GroupProbabilities(values.head(1)))


def test_summary_by_group():
    values = pd.DataFrame({"black": [0.9, 0.2, 0.5], "white": [0.1, 0.8, 0.5]})
    summary = GroupProbabilities(values).to_frame()
    assert summary["expected_members"].tolist() == pytest.approx([1.6, 1.4])
    assert summary["members_above_0.8"].tolist() == [1, 0]
