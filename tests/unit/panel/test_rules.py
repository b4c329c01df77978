"""Rules say what is allowed, and survive a manifest."""

from __future__ import annotations

import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import PanelRules


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"month_rule": "most"}, "`month_rule`: 'most' is not one of 'any_day', 'first_day'"),
        ({"payer_types": ("medi-cal",)}, "`payer_types`: .*give one or more of 'medicaid'"),
        ({"payer_types": ()}, "`payer_types`"),
        ({"payer_types": "medicaid"}, "`payer_types`: 'medicaid'; give one or more of 'medicaid'"),
        ({"ed_join_days": 2}, "`ed_join_days`: 2 is not one of 0, 1"),
        ({"readmission_days": -1}, "`readmission_days`: -1 is not a whole number of 0 or more"),
        ({"max_gap_months": True}, "`max_gap_months`: True is not a whole number"),
        ({"transfer_rule": "status"}, "`transfer_rule`: 'status' is not one of 'dates'"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_those_that_are(given, message):
    with pytest.raises(TableError, match=message):
        PanelRules(**given)


def test_lists_are_as_good_as_tuples():
    rules = PanelRules(payer_types=["medicaid"], readmission_ages=[18, 64])
    assert rules == PanelRules(readmission_ages=(18, 64))
    assert hash(rules) == hash(PanelRules(readmission_ages=(18, 64)))


def test_rules_come_back_from_their_manifest():
    rules = PanelRules(
        payer_types=("medicaid", "other"), readmission_ages=(18, 64), month_rule="all_days"
    )
    assert PanelRules.from_dict(rules.to_dict()) == rules
    assert rules.to_dict()["rules_version"] == "1"


@pytest.mark.parametrize("ages", [(64, 18), (-1, 18)])
def test_ages_of_readmissions_are_a_youngest_and_an_oldest(ages):
    with pytest.raises(TableError, match="is not a youngest and an oldest age"):
        PanelRules(readmission_ages=ages)
