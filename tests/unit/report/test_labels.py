"""Words in place of codes."""

from calaim_eval.panel import MEASURES
from calaim_eval.report.labels import (
    FEWER_IS_BETTER,
    ORGANIZATION_TYPES,
    OUTCOMES,
    ordered,
    outcome_label,
    race_label,
    race_order,
    service_label,
    wrap,
)
from calaim_eval.schema.codes import load_codes
from calaim_eval.schema.fields import FIELDS


def test_every_group_of_the_code_list_has_its_label():
    codes = load_codes("race_ethnicity_group").set_index("race_ethnicity")["label"]
    assert {code: race_label(code) for code in codes.index} == codes.to_dict()
    assert race_label("all") == "All members"
    assert race_order()[0] == "aian"
    assert race_order()[-3:] == ("declined", "unknown", "all")


def test_every_measure_and_organization_type_has_a_label():
    assert list(OUTCOMES) == list(MEASURES)
    assert all(outcome_label(m) == MEASURES[m].title for m in MEASURES)
    assert len(set(OUTCOMES.values())) == len(OUTCOMES)
    assert set(ORGANIZATION_TYPES) == set(FIELDS["organization_type"].values)


def test_what_is_better_is_said_by_the_measure():
    assert {"ed_visits", "jail_days", "readmissions_30d"} <= FEWER_IS_BETTER
    assert not {"outpatient_visits", "paid_usd", "pharmacy_fills"} & FEWER_IS_BETTER


def test_every_community_support_has_a_short_name():
    for service in load_codes("community_support")["service"]:
        assert "_" not in service_label(service)


def test_order_keeps_unknown_codes_at_the_end_and_repeats_none():
    assert ordered(["z", "white", "all", "white"], order=("all", "white", "all")) == [
        "all",
        "white",
        "z",
    ]


def test_wrap_breaks_at_spaces_only():
    assert wrap("Community-based organization", width=16) == "Community-based\norganization"
