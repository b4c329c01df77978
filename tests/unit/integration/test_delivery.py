from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import (
    delivery_contracts,
    delivery_members,
    delivery_organizations,
)
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables import RowLedger

from .frames import CONTRACT, ORGANIZATION, SERVICE, one_row

Q = "2024Q4"


def test_organizations_contracts_and_members_tell_different_stories():
    organizations = delivery_organizations(CONTRACT, ORGANIZATION, quarter=Q).to_frame()
    contracts = delivery_contracts(CONTRACT, ORGANIZATION, quarter=Q).to_frame()
    members = delivery_members(SERVICE, ORGANIZATION, quarter=Q).to_frame()
    # In force: o1 (c1, c2 on its last day), o2 (from the last day), o3, o4, o5 (c6, c7).
    cbo = {"organization_type": "cbo"}
    assert tuple(one_row(organizations, **cbo)[["numerator", "denominator"]]) == (4, 5)
    assert tuple(one_row(contracts, **cbo)[["numerator", "denominator"]]) == (5, 7)
    # m1 by cbo and for-profit, m2 for-profit, m3 clinic, m4 nobody recorded.
    assert tuple(one_row(members, **cbo)[["numerator", "denominator"]]) == (1, 4)
    assert one_row(members, organization_type="for_profit")["numerator"] == 2
    assert one_row(members, organization_type="unknown")["numerator"] == 1


def test_members_served_by_two_types_count_in_both_and_there_is_no_margin():
    table = delivery_members(SERVICE, ORGANIZATION, quarter=Q)
    assert table.numerator.sum() == 5 > table.denominator[0] == 4
    assert table.margins == ()
    assert table.about == "members"
    np.testing.assert_array_equal(table.n_members, table.numerator)
    assert "counts once in each" in table.notes[0]


def test_every_type_is_a_row_also_with_none():
    table = delivery_organizations(CONTRACT, ORGANIZATION, quarter=Q)
    assert table.keys["organization_type"].tolist() == list(FIELDS["organization_type"].values)
    assert one_row(table.to_frame(), organization_type="tribal")["rate"] == 0
    assert table.about == "organizations"


def test_within_counties_an_organization_counts_in_each_of_them():
    table = delivery_organizations(CONTRACT, ORGANIZATION, quarter=Q, by=["county"]).to_frame()
    kings = one_row(table, county="Kings", organization_type="for_profit")
    tulare = one_row(table, county="Tulare", organization_type="for_profit")
    assert tuple(kings[["numerator", "denominator"]]) == (1, 3)
    assert tuple(tulare[["numerator", "denominator"]]) == (1, 3)


def test_contracts_without_ids_are_plan_and_organization():
    table = delivery_contracts(CONTRACT.drop(columns="contract_id"), ORGANIZATION, quarter=Q)
    assert table.denominator[0] == 6  # o1 has two plans; o5's two counties are one contract


def test_the_same_contract_number_at_two_plans_is_two_contracts():
    table = delivery_contracts(CONTRACT.assign(contract_id="1"), ORGANIZATION, quarter=Q)
    assert table.denominator[0] == 6


def test_contracts_outside_the_quarter_are_counted():
    ledger = RowLedger()
    delivery_organizations(CONTRACT, ORGANIZATION, quarter=Q, ledger=ledger)
    ledger.check("contract", "delivery_organizations", len(CONTRACT))
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["ended before the quarter"] == 1
    assert counts["starts after the quarter"] == 1
    assert counts["used"] == 8


def test_services_set_aside_are_counted():
    ledger = RowLedger()
    delivery_members(SERVICE, ORGANIZATION, quarter=Q, ledger=ledger)
    ledger.check("program_service", "delivery_members", len(SERVICE))
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["outside the quarter"] == 2
    assert counts["used"] == 6


def test_an_organization_the_roster_lacks_is_unknown_and_noted():
    table = delivery_organizations(CONTRACT, ORGANIZATION.iloc[1:], quarter=Q)
    assert one_row(table.to_frame(), organization_type="unknown")["numerator"] == 1
    assert table.notes == (
        "1 contracted organizations are not in the organization table; their type is unknown.",
    )


def test_one_program_only():
    table = delivery_members(SERVICE, ORGANIZATION, quarter=Q, program="community_support")
    assert one_row(table.to_frame(), organization_type="clinic")["rate"] == 1
    assert table.numerator_name == "members_served_by_community_supports_in_2024Q4"


def test_an_unknown_type_is_refused_without_showing_it():
    wrong = ORGANIZATION.replace("clinic", "spaceship")
    with pytest.raises(TableError, match="1 of 6 rows hold a value") as caught:
        delivery_organizations(CONTRACT, wrong, quarter=Q)
    assert "spaceship" not in str(caught.value)


def test_an_organization_with_two_types_is_refused():
    twice = pd.concat([ORGANIZATION, ORGANIZATION.iloc[:1].assign(organization_type="hospital")])
    with pytest.raises(TableError, match="1 organizations are listed with more than one"):
        delivery_organizations(CONTRACT, twice, quarter=Q)


def test_a_quarter_without_contracts_or_services():
    dated = CONTRACT.dropna(subset=["contract_start_date"])
    with pytest.raises(EstimationError, match="none of 9 rows is in force in 2020Q1"):
        delivery_organizations(dated, ORGANIZATION, quarter="2020Q1")
    with pytest.raises(EstimationError, match="authorized or outreached is not received"):
        delivery_members(SERVICE, ORGANIZATION, quarter="2020Q1")


def test_wrong_options():
    with pytest.raises(EstimationError, match="`county`, `plan`, `service`"):
        delivery_contracts(CONTRACT, ORGANIZATION, quarter=Q, by=["leadership"])
    with pytest.raises(EstimationError, match="`program`"):
        delivery_members(SERVICE, ORGANIZATION, quarter=Q, program="housing")  # type: ignore[arg-type]


def test_frames_are_not_changed():
    before = [frame.copy() for frame in (CONTRACT, ORGANIZATION, SERVICE)]
    delivery_contracts(CONTRACT, ORGANIZATION, quarter=Q)
    delivery_members(SERVICE, ORGANIZATION, quarter=Q)
    for frame, copy in zip((CONTRACT, ORGANIZATION, SERVICE), before, strict=True):
        pd.testing.assert_frame_equal(frame, copy)
