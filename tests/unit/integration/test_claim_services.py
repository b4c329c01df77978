from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.integration import integration_measures, services_from_claims
from calaim_eval.tables import RowLedger, Tables

from .frames import CONTRACT, one_row, table

CLAIM = table("""
    claim_id | member_id | claim_start_date | hcpcs_code | hcpcs_modifier_1 | hcpcs_modifier_3 | rendering_npi | facility_npi | claim_status | original_claim_id
    ---------+-----------+------------------+------------+------------------+------------------+---------------+--------------+--------------+------------------
    k1       | m1        | 2024-10-01       | G9008      | U1               |                  | 1             | 5            |              |
    k2       | m1        | 2024-12-31       | G9012      | GQ               | U2               | 9             | 5            |              |
    k3       | m2        | 2024-11-01       | G9008      | U8               |                  | 1             |              |              |
    k4       | m2        | 2024-11-01       | G9008      | U1               |                  | 1             |              | denied       |
    k5       | m2        | 2024-11-02       | G9008      | U1               |                  | 1             |              |              |
    k6       | m2        | 2024-11-02       | G9008      | U1               |                  | 1             |              | void         | k5
    k7       | m2        | 2025-01-01       | G9008      | U1               |                  | 1             |              |              |
    k8       | m2        | 2024-11-03       | 99213      |                  |                  | 1             |              |              |
    k9       | m3        | 2024-11-03       | H0044      | U2               |                  | 3             |              |              |
    k10      | m3        | 2024-11-04       | G9008      | U1               |                  | 7             |              |              |
""").assign(claim_line_number=1, claim_type="professional")  # noqa: E501

ELIGIBILITY = table("""
    member_id | enrollment_start_date | enrollment_end_date | plan   | county | payer_type
    ----------+-----------------------+---------------------+--------+--------+-----------
    m1        | 2024-01-01            | 2024-11-30          | Anthem | Tulare | medicaid
    m1        | 2024-12-01            | 9999-12-31          | Blue   | Kings  |
    m1        | 2024-12-15            |                     | Aetna  | Inyo   | commercial
    m2        | 2024-01-01            |                     | Anthem | Kings  |
    m3        | 2024-01-01            | 2024-11-03          | Anthem | Kings  |
""")

ORGANIZATION = table("""
    organization_id | organization_type | npi
    ----------------+-------------------+----
    o1              | cbo               | 1
    o3              | clinic            | 3
    o5              | for_profit        | 5
    o7              | cbo               | 7
    o8              | hospital          | 7
""")


@pytest.fixture
def tables(tmp_path) -> Tables:
    frames = {
        "medical_claim": CLAIM,
        "eligibility": ELIGIBILITY,
        "organization": ORGANIZATION,
        "contract": CONTRACT,
    }
    return Tables.from_frames(frames, work_dir=tmp_path, n_buckets=2)


def _by_member(services: pd.DataFrame) -> dict[tuple[str, str], tuple[object, ...]]:
    rows = services.astype(object).where(services.notna(), None)
    day = services["record_date"].dt.strftime("%m-%d")
    return {
        (row.member_id, on): (row.service, row.organization_id, row.county, row.plan)
        for row, on in zip(rows.itertuples(index=False), day, strict=True)
    }


def test_only_final_services_of_the_quarter_with_organization_and_county(tables):
    services = services_from_claims(tables, quarter="2024Q4")
    assert _by_member(services) == {
        ("m1", "10-01"): ("ecm", "o1", "Tulare", "Anthem"),  # rendering before facility
        ("m1", "12-31"): ("ecm", "o5", "Kings", "Blue"),  # modifier in another slot, facility
        ("m3", "11-03"): ("housing_deposits", "o3", "Kings", "Anthem"),
        ("m3", "11-04"): ("ecm", None, None, None),  # shared NPI, not enrolled that day
    }
    assert set(services["record_type"]) == {"service"}
    assert set(services["record_source"]) == {"claim"}


def test_what_cannot_be_placed_is_counted(tables):
    ledger = RowLedger()
    services_from_claims(tables, quarter="2024Q4", ledger=ledger)
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["service seen in claims, added to the program records"] == 4
    assert counts["service seen in claims: NPI shared by organizations"] == 1
    assert counts["service seen in claims: no enrollment that day"] == 1


def test_a_quarter_without_services_is_empty(tables):
    assert services_from_claims(tables, quarter="2023Q1").empty


def test_the_measures_of_a_quarter_use_them(tables):
    made = integration_measures(tables, quarter="2024Q4")
    served = made["delivery_members"].to_frame()
    assert one_row(served, organization_type="cbo")["numerator"] == 1
    assert one_row(served, organization_type="for_profit")["numerator"] == 1
    assert served["denominator"].tolist() == [2] * len(served)
    covered = one_row(made["coverage"].to_frame(), county="Kings", service="ecm")
    assert covered["numerator"] == 1  # o5 served a member in Kings under contract
