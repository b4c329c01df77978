"""Synthea exports: visits and stays built from claims, and from encounter classes without them."""

from __future__ import annotations

import pandas as pd
import panel_oracle as oracle
import pytest

from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import read_tables

ALL_PAYERS = ("medicaid", "medicare", "commercial", "self_pay", "other")
EXPORTS = {
    "synthea_ca": {
        "columns": ["patient_id", "enc_class", "start", "end", "provider_org"],
        "emergency": {"EMER"},
        "inpatient": {"IMP", "ACUTE", "NONAC"},
        "office": {"AMB", "VR", "OBSENC"},
    },
    "synthea_dbt27": {
        "columns": ["PATIENT", "ENCOUNTERCLASS", "START", "STOP", "ORGANIZATION"],
        "emergency": {"emergency"},
        "inpatient": {"inpatient"},
        "office": {"ambulatory", "wellness", "outpatient", "urgentcare"},
    },
}


@pytest.mark.shared
@pytest.mark.parametrize("export", list(EXPORTS))
def test_visits_and_stays_match_the_encounter_classes(shared, tmp_path, export):
    shape = EXPORTS[export]
    tables = read_tables(shared / "data" / export, work_dir=tmp_path, source="synthea")
    panel = build_member_months(
        tables,
        first_month="1950-01",
        last_month="2026-12",
        rules=PanelRules(payer_types=ALL_PAYERS, exclude_duals=False),
    )
    encounters = pd.read_csv(shared / "data" / export / "encounters.csv")[shape["columns"]]
    encounters.columns = ["who", "kind", "start", "end", "place"]
    visits = stays = 0
    for _, mine in encounters.groupby("who"):
        emergency = mine[mine["kind"].isin(shape["emergency"])]
        inpatient = mine[mine["kind"].isin(shape["inpatient"])]
        member = oracle.Member(
            spans=[],
            ed_claims=[oracle.EdClaim(e.place, [_day(e.start)]) for e in emergency.itertuples()],
            stays=[
                oracle.Stay(e.place, _day(e.start), _day(e.end), "01")
                for e in inpatient.itertuples()
            ],
        )
        visits += sum(oracle.ed_visits(member).values())
        stays += len(oracle.episodes(member.stays))
    # Encounters outside coverage are in the ledger, not in the panel: both count here.
    assert panel.ledger.total("ed_visits", stage="events") == visits > 0
    assert panel.ledger.total("inpatient_stays", stage="events") == stays > 0
    office = encounters[encounters["kind"].isin(shape["office"])]
    assert 0 < panel.ledger.total("outpatient_visits", stage="events") <= len(office)


def _day(text):
    return pd.Timestamp(text).date()
