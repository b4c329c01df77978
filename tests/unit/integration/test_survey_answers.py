from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.partner_survey.survey_answers import score_survey
from calaim_eval.tables.ledger import RowLedger

ITEM = pd.DataFrame(
    {
        "item": ["contracted", "helps", "hinders", "pays"],
        "scale": [None, "use", "use", "money"],
        "lowest_response": [0, 1, 1, 0],
        "highest_response": [1, 5, 5, 10],
        "is_reversed": [False, False, True, None],
        "missing_codes": ["9", "8;9", "8;9", "99"],
        "asked_if_item": [None, None, None, "contracted"],
        "asked_if_responses": [None, None, None, "1"],
    }
)


def _answers(rows: list[tuple[str, str, float | None]], **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["respondent_id", "item", "response"])
    return frame.assign(**{"organization_id": "o1", "respondent_role": "manager"} | columns)


def test_reversed_items_are_turned_and_scores_are_means():
    scored = score_survey(_answers([("a", "helps", 4), ("a", "hinders", 1)]), ITEM)
    assert scored.items("use").to_numpy().tolist() == [[4.0, 5.0]]
    assert scored.scores("use").tolist() == [4.5]
    assert scored.n_points == {"use": 5.0}


def test_what_is_no_answer_is_counted_by_reason():
    rows = [
        ("a", "helps", 4),
        ("a", "hinders", 9),
        ("a", "shoe_size", 3),
        ("a", "pays", 7),
        ("b", "helps", 6),
        ("b", "hinders", None),
        ("b", "contracted", 0),
        ("b", "pays", 3),
        ("c", "contracted", 1),
        ("c", "pays", 3),
        ("d", "contracted", 9),
        ("d", "pays", 3),
        (None, "helps", 3),
    ]
    ledger = RowLedger()
    scored = score_survey(_answers(rows), ITEM, ledger=ledger)
    counted = ledger.to_frame().set_index("reason")["n_rows"].to_dict()
    assert counted == {
        "respondent, organization or item missing": 1,
        "item not in the codebook": 1,
        "no answer": 1,
        "code for no answer": 2,
        "answer out of range": 1,
        "question was to be skipped": 3,  # a: not asked the deciding item; b: no; d: no answer
        "used": 4,
    }
    assert sum(counted.values()) == len(rows)
    assert scored.items("money")["pays"].dropna().tolist() == [3.0]


def test_a_skip_rule_looks_at_the_answer_as_recorded():
    item = ITEM.assign(is_reversed=[True, False, True, None])
    scored = score_survey(_answers([("c", "contracted", 1), ("c", "pays", 3)]), item)
    assert scored.items("money")["pays"].tolist() == [3.0]


def test_scores_need_half_of_the_items():
    item = pd.DataFrame(
        {"item": list("wxyz"), "scale": "s", "lowest_response": 1, "highest_response": 5}
    )
    rows = [("a", "w", 1), ("a", "x", 3), ("b", "w", 5), *(("c", i, 2) for i in "wxyz")]
    scored = score_survey(_answers(rows), item)
    np.testing.assert_array_equal(scored.scores("s"), [2, np.nan, 2])
    np.testing.assert_array_equal(scored.scores("s", min_share_answered=0.25), [2, 5, 2])
    with pytest.raises(EstimationError, match="min_share_answered"):
        scored.scores("s", min_share_answered=0)


def test_row_order_does_not_matter():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        [(f"s{i}", item, rng.integers(1, 6)) for i in range(9) for item in ("helps", "hinders")],
        columns=["respondent_id", "item", "response"],
    ).assign(organization_id="o", respondent_role=None)
    first = score_survey(frame, ITEM)
    second = score_survey(frame.sample(frac=1, random_state=1), ITEM)
    key = "respondent_id"
    pd.testing.assert_frame_equal(
        first.answers.sort_values(key).reset_index(drop=True),
        second.answers.sort_values(key).reset_index(drop=True),
    )
    assert set(first.answers["respondent_role"]) == {"not_recorded"}


def test_waves_are_never_mixed():
    frame = _answers([("a", "helps", 4), ("b", "helps", 2)], wave_date=["2023-07-01", "2024-07-01"])
    with pytest.raises(EstimationError, match="answers of 2 waves"):
        score_survey(frame, ITEM)
    assert score_survey(frame, ITEM, wave_date="2024-07-01").items("use").iloc[0, 0] == 2
    with pytest.raises(EstimationError, match="none of 2 rows is an answer that counts"):
        score_survey(frame, ITEM, wave_date="2025-07-01")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lowest_response": 5.0}, "not below `highest_response`"),
        ({"asked_if_item": "nobody", "asked_if_responses": "1"}, "that is not an item"),
        ({"asked_if_item": "helps", "asked_if_responses": None}, "without `asked_if_responses`"),
        ({"asked_if_item": ["helps", "helps", None, None],
          "asked_if_responses": ["1", "1", None, None]}, "decides about itself"),
        ({"is_reversed": "maybe"}, "neither yes nor no"),
        ({"missing_codes": "8,9"}, "a code is not a number"),
        ({"item": "helps"}, "repeat the key"),
    ],
)  # fmt: skip
def test_a_codebook_that_contradicts_itself_is_refused(change, message):
    with pytest.raises(TableError, match=message):
        score_survey(_answers([("a", "helps", 4)]), ITEM.assign(**change))


def test_answers_that_contradict_each_other_are_refused():
    with pytest.raises(TableError, match="repeat the key"):
        score_survey(_answers([("a", "helps", 4), ("a", "helps", 5)]), ITEM)
    frame = _answers([("a", "helps", 4), ("a", "hinders", 5)], organization_id=["o1", "o2"])
    with pytest.raises(TableError, match="1 respondents are listed with more"):
        score_survey(frame, ITEM)
    with pytest.raises(TableError, match="`respondent_role`: 1 of 1 rows"):
        score_survey(_answers([("a", "helps", 4)], respondent_role="boss"), ITEM)


def test_an_unknown_scale_names_those_there_are():
    scored = score_survey(_answers([("a", "helps", 4)]), ITEM)
    with pytest.raises(EstimationError, match="Answered scales: `use`"):
        scored.items("joy")
