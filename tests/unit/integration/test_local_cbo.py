from __future__ import annotations

from calaim_eval.integration import local_cbo_share

from .frames import CONTRACT, ORGANIZATION


def test_each_condition_takes_out_its_organizations():
    table = local_cbo_share(CONTRACT, ORGANIZATION, quarter="2024Q4")
    counted = dict(zip(table.keys["definition"], table.numerator, strict=True))
    assert counted == {
        "cbo": 4,  # o1, o2, o3, o4
        "cbo_headquartered_where_contracted": 2,  # o1 Kings, o3 Tulare
        "cbo_before_calaim": 2,  # o1, o2
        "local_cbo": 1,  # o1
        "local_cbo_if_unrecorded_are_local": 2,  # and o4, of which nothing is recorded
    }
    assert set(table.denominator) == {5}
    assert table.notes[0].startswith("1 of 4 community-based organizations lack")


def test_the_day_of_entry_is_an_option():
    table = local_cbo_share(CONTRACT, ORGANIZATION, quarter="2024Q4", entered_before="2022-03-02")
    assert table.numerator[list(table.keys["definition"]).index("local_cbo")] == 2


def test_a_roster_without_the_columns_gives_the_widest_range():
    roster = ORGANIZATION[["organization_id", "organization_type"]]
    table = local_cbo_share(CONTRACT, roster, quarter="2024Q4")
    assert table.numerator.tolist() == [4, 0, 0, 0, 4]
