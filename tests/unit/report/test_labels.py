"""Words in place of codes."""

from calaim_eval.report.labels import (
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
from calaim_eval.schema.tables import MEASURES


def test_every_group_of_the_code_list_has_its_label():
    codes = load_codes("race_ethnicity_group").set_index("race_ethnicity")["label"]
    assert {code: race_label(code) for code in codes.index} == codes.to_dict()
    assert race_label("all") == "All members"
    assert race_order()[0] == "aian"
    assert race_order()[-3:] == ("declined", "unknown", "all")


def test_every_measure_and_organization_type_has_a_label():
    assert set(OUTCOMES) <= set(MEASURES)
    assert {m for m in MEASURES if outcome_label(m) == ""} == set()
    assert set(ORGANIZATION_TYPES) == set(FIELDS["organization_type"].values)


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
