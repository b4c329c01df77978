from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import contracted_but_idle, coverage_summary, service_coverage
from calaim_eval.tables import RowLedger

from .frames import CONTRACT, ORGANIZATION, SERVICE, one_row

Q = "2024Q4"
COUNTIES = ["Kings", "Tulare", "Alpine"]
SERVICES = ["ecm", "housing_deposits"]


def _coverage(**options):
    return service_coverage(
        CONTRACT, SERVICE, quarter=Q, counties=COUNTIES, services=SERVICES, **options
    )


def test_active_over_contracted_with_empty_cells():
    table = _coverage().to_frame()
    assert len(table) == 6
    kings = one_row(table, county="Kings", service="ecm")
    assert tuple(kings[["numerator", "denominator"]]) == (2, 3)  # o1, o5 of o1, o2, o5
    tulare = one_row(table, county="Tulare", service="ecm")
    assert tuple(tulare[["numerator", "denominator"]]) == (1, 3)  # o5 of o3, o4, o5
    deposits = one_row(table, county="Kings", service="housing_deposits")
    assert tuple(deposits[["numerator", "denominator"]]) == (0, 1)
    alpine = one_row(table, county="Alpine", service="ecm")
    assert tuple(alpine[["numerator", "denominator"]]) == (0, 0)
    assert np.isnan(alpine["rate"])


def test_serving_without_a_contract_is_noted_not_counted():
    assert any(
        "1 combinations" in note and "without a contract" in note for note in _coverage().notes
    )


def test_all_counties_and_the_services_of_the_quarter_by_default():
    table = service_coverage(CONTRACT, SERVICE, quarter=Q)
    assert table.keys["county"].nunique() == 58
    services = set(table.keys["service"])
    assert {"ecm", "asthma_remediation"} <= services
    assert "transitional_rent" not in services  # in effect from 2025-07-01
    assert len(table) == 58 * 15


def test_summary_counts_counties_with_one_and_with_two():
    coverage = _coverage()
    one = one_row(coverage_summary(coverage).to_frame(), service="ecm")
    two = one_row(coverage_summary(coverage, at_least=2).to_frame(), service="ecm")
    assert tuple(one[["numerator", "denominator"]]) == (2, 3)
    assert tuple(two[["numerator", "denominator"]]) == (1, 3)
    assert np.isnan(one["conf_low"])  # counties are all there are


def test_idle_is_per_organization_and_its_margin_is_no_sum():
    table = contracted_but_idle(CONTRACT, SERVICE, quarter=Q)
    frame = table.to_frame()
    ecm = one_row(frame, service="ecm")
    assert tuple(ecm[["numerator", "denominator"]]) == (3, 5)  # o2, o3, o4
    assert one_row(frame, service="housing_deposits")["rate"] == 1
    everything = one_row(frame, service="all")
    assert tuple(everything[["numerator", "denominator"]]) == (3, 5)  # o1 is active with ecm
    assert table.margins == ()


def test_a_service_not_yet_in_effect_is_not_idle():
    early = pd.concat([CONTRACT, CONTRACT.iloc[[0]].assign(service="transitional_rent")])
    table = contracted_but_idle(early, SERVICE, quarter=Q)
    assert "transitional_rent" not in set(table.keys["service"])
    assert table.notes[0].startswith("1 organizations hold contracts")
    with pytest.raises(EstimationError, match="in effect then"):
        contracted_but_idle(CONTRACT.assign(service="transitional_rent"), SERVICE, quarter=Q)


def test_services_without_county_are_in_the_ledger():
    ledger = RowLedger()
    _coverage(ledger=ledger)
    ledger.check("program_service", "coverage", len(SERVICE))
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["service without county or organization: not in coverage"] == 1


def test_no_service_names_its_county():
    with pytest.raises(TableError, match="none of 6 services received in 2024Q4 names both"):
        service_coverage(CONTRACT, SERVICE.drop(columns="county"), quarter=Q)


def test_unknown_counties_and_services():
    with pytest.raises(EstimationError, match="1 of 1 names asked for"):
        service_coverage(CONTRACT, SERVICE, quarter=Q, counties=["Springfield"])
    with pytest.raises(EstimationError, match="1 of 1 names asked for"):
        service_coverage(CONTRACT, SERVICE, quarter=Q, services="transitional_rent")


def test_summary_of_another_table_or_of_nothing():
    from calaim_eval.integration import delivery_organizations

    with pytest.raises(EstimationError, match="Pass what service_coverage"):
        coverage_summary(delivery_organizations(CONTRACT, ORGANIZATION, quarter=Q))
    with pytest.raises(EstimationError, match="`at_least` is below 1"):
        coverage_summary(_coverage(), at_least=0)


def test_row_order_does_not_matter():
    shuffled = service_coverage(
        CONTRACT.sample(frac=1, random_state=1),
        SERVICE.sample(frac=1, random_state=1),
        quarter=Q,
        counties=COUNTIES,
        services=SERVICES,
    )
    pd.testing.assert_frame_equal(shuffled.to_frame(), _coverage().to_frame())
