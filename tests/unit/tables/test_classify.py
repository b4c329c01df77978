import ibis
import pandas as pd
import pytest

from calaim_eval.engine import open_engine
from calaim_eval.errors import TableError
from calaim_eval.schema import load_codes
from calaim_eval.tables import classify_program_lines, program_codes, unclassified_lines
from calaim_eval.tables.classify import (
    MODIFIER_SLOTS,
    NO_MODIFIER,
    NOT_IN_EFFECT,
    OTHER_MODIFIER,
    SEVERAL_SERVICES,
)


def line(hcpcs, *modifiers, day="2023-05-05", line_day=None):
    slots = [*modifiers, *[None] * (5 - len(modifiers))]
    return {
        "line": 0,
        "hcpcs_code": hcpcs,
        **dict(zip(MODIFIER_SLOTS, slots, strict=True)),
        "claim_start_date": pd.Timestamp(day),
        "claim_line_start_date": pd.Timestamp(line_day) if line_day else pd.NaT,
    }


def as_claims(lines):
    frame = pd.DataFrame(lines).assign(line=range(len(lines)))
    texts = ["hcpcs_code", *MODIFIER_SLOTS]
    rows = ibis.memtable(frame.astype(dict.fromkeys(texts, "str")))
    dates = ["claim_start_date", "claim_line_start_date"]
    return rows.mutate(**{column: rows[column].cast("timestamp").date() for column in dates})


def classify(*lines):
    result = open_engine().execute(classify_program_lines(as_claims(lines)))
    result = result.sort_values("line", ignore_index=True)
    columns = ["program", "service", "is_outreach", "unclassified_reason"]
    plain = result[columns].astype(object).where(result[columns].notna(), None)
    return [tuple(row) for row in plain.itertuples(index=False)]


ECM = ("ecm", "ecm", False, None)
ECM_OUTREACH = ("ecm", "ecm", True, None)
NEITHER = (None, None, False, None)


def support(service):
    return ("community_support", service, False, None)


@pytest.mark.parametrize("slot", range(5))
def test_the_modifier_counts_in_any_slot(slot):
    modifiers = [None] * 5
    modifiers[slot] = "U1"
    assert classify(line("G9008", *modifiers)) == [ECM]
    modifiers[slot] = "U6"
    assert classify(line("T2041", *modifiers)) == [support("housing_tenancy_sustaining")]


def test_every_pair_of_the_code_list_in_every_slot():
    codes = program_codes()
    lines, expected = [], []
    for row in codes.itertuples():
        for slot in range(5):
            modifiers = ["XX"] * 5
            modifiers[slot] = row.modifier
            lines.append(line(row.hcpcs, *modifiers, day=row.effective_from))
            expected.append((row.program, row.service or None, row.is_outreach, None))
    assert classify(*lines) == expected


def test_by_phone_is_the_same_service():
    assert classify(line("G9008", "U1", "GQ"), line("G9012", "GQ", "U2")) == [ECM, ECM]
    assert classify(line("G9012", "GQ", "U8")) == [ECM_OUTREACH]


def test_outreach_is_no_service_and_a_line_with_both_is_one():
    assert classify(line("G9008", "U8"), line("G9008", "U8", "U1")) == [ECM_OUTREACH, ECM]


def test_housing_outreach_is_to_no_one_support():
    after, before = line("T1016", "U8", day="2026-01-01"), line("T1016", "U8", day="2025-12-31")
    assert classify(after, before) == [
        ("community_support", None, True, None),
        (None, None, False, NOT_IN_EFFECT),
    ]


def test_the_same_code_with_another_modifier_is_another_support():
    assert classify(
        line("S5165", "U6"), line("S5165", "U5"), line("H0044", "U2"), line("H0044", "U3")
    ) == [
        support("home_modifications"),
        support("asthma_remediation"),
        support("housing_deposits"),
        support("short_term_post_hospitalization_housing"),
    ]


def test_a_pair_counts_from_the_day_it_took_effect():
    before, after = line("H0044", "U6", day="2025-06-30"), line("H0044", "U6", day="2025-07-01")
    assert classify(before, after) == [
        (None, None, False, NOT_IN_EFFECT),
        support("transitional_rent"),
    ]


def test_the_day_of_the_line_goes_before_the_day_of_the_claim():
    late_line = line("H0044", "U6", day="2025-06-30", line_day="2025-07-01")
    assert classify(late_line) == [support("transitional_rent")]


def test_a_code_that_is_also_an_ordinary_benefit_needs_its_modifier():
    assert classify(line("H0014"), line("H0014", "HG"), line("H0014", "HG", "U6")) == [
        (None, None, False, NO_MODIFIER),
        (None, None, False, OTHER_MODIFIER),
        support("sobering_centers"),
    ]


def test_two_supports_on_one_line_are_not_guessed():
    assert classify(line("H0044", "U2", "U3")) == [(None, None, False, SEVERAL_SERVICES)]
    assert classify(line("S9977", "U6", "U4", day="2026-02-01")) == [
        support("medically_tailored_meals")
    ]


def test_other_lines_are_of_no_program():
    assert classify(line("99213", "25"), line(None, "U1"), line("98960", "U2")) == [NEITHER] * 3


def test_rows_never_multiply():
    assert len(classify(line("S9977", "U6", "U4", "U5", "U7", "U8", day="2026-02-01"))) == 1


def test_unclassified_report_counts_codes_and_reasons():
    backend = open_engine()
    lines = [line("H0014"), line("H0014"), line("G9008", "U2"), line("99213"), line("G9008", "U1")]
    report = unclassified_lines(classify_program_lines(as_claims(lines)))
    assert report.values.tolist() == [["H0014", NO_MODIFIER, 2], ["G9008", OTHER_MODIFIER, 1]]
    backend.disconnect()


def test_every_support_of_the_code_list_can_be_found():
    supports = set(load_codes("community_support")["service"])
    assert set(program_codes()["service"]) == supports | {"ecm", ""}


def test_a_needed_column_is_absent():
    with pytest.raises(TableError, match="needs the column `hcpcs_modifier_5`"):
        classify_program_lines(as_claims([line("G9008")]).drop("hcpcs_modifier_5"))
