from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import integration_measures
from calaim_eval.integration.organization_network.network_tables import NETWORK_TABLES
from calaim_eval.integration.organization_network.survey_tables import SURVEY_NETWORK_TABLES
from calaim_eval.results import RateTable
from calaim_eval.simulate import simulate_referral_network
from calaim_eval.tables import Tables

from .frames import CONTRACT, ORGANIZATION, SERVICE
from .test_payment import PAYMENT
from .test_referrals import PERSON, REFERRAL

FRAMES = {
    "contract": CONTRACT,
    "organization": ORGANIZATION,
    "program_service": SERVICE,
    "referral": REFERRAL,
    "person": PERSON,
    "payment": PAYMENT,
}
RELEASE = {
    "delivery_organizations": ["organization_type"],
    "delivery_contracts": ["organization_type"],
    "delivery_members": ["organization_type"],
    "coverage": ["county", "service"],
    "coverage_summary": ["service"],
    "referral_funnel": ["race_ethnicity", "step"],
    "referral_closure": ["race_ethnicity"],
    "referral_closure_by_service": ["service"],
}


def test_every_item_of_the_release_with_its_keys():
    made = integration_measures(FRAMES, quarter="2024Q4")
    assert set(made.skipped) == {*NETWORK_TABLES, *SURVEY_NETWORK_TABLES}
    for name, keys in RELEASE.items():
        assert isinstance(made[name], RateTable)
        assert list(made[name].keys.columns) == keys
    assert made["coverage_summary"].denominator[0] == 58


def test_the_referral_network_comes_with_the_quarter():
    simulated = simulate_referral_network(counties=2)
    frames = {name: getattr(simulated, name) for name in ("referral", "organization", "person")}
    made = integration_measures(frames, quarter="2024Q4")
    assert set(NETWORK_TABLES) - set(made) == {"referral_network_stability"}
    assert "the year before has no tie" in made.skipped["referral_network_stability"]
    named = integration_measures(frames, quarter="2024Q4", coordinator="O00001")
    assert "Fresno hospital 0" in set(named["referral_network"].keys["taken_out"])
    unknown = integration_measures(frames, quarter="2024Q4", coordinator="nobody")
    assert "`coordinator`" in unknown.skipped["referral_network"]
    higher = integration_measures(frames, quarter="2024Q4", smallest_tie=30)
    assert len(higher["referral_network_ties"]) < len(made["referral_network_ties"])


def test_organizations_and_members_are_told_apart():
    made = integration_measures(FRAMES, quarter="2024Q4")
    about = {name: table.about for name, table in made.items()}
    assert {name for name, kind in about.items() if kind == "members"} == {
        "delivery_members",
        "referral_funnel",
        "referral_closure",
        "referral_closure_by_service",
        "referral_closure_by_organization_type",
        "referral_times",
        "referral_times_by_organization_type",
        "referral_losses",
        "referral_findings",
    }


def test_what_is_absent_is_skipped_with_its_reason(caplog):
    few = {k: v for k, v in FRAMES.items() if k not in ("contract", "person")}
    with caplog.at_level("INFO"):
        made = integration_measures(few, quarter="2024Q4")
    assert set(made) == {
        "delivery_members",
        "referral_closure_by_service",
        "referral_closure_by_organization_type",
        "referral_times_by_organization_type",
        "referral_losses",
        "referral_findings",
        "payment_timeliness",
        "payment_denials",
    }
    assert made.skipped["coverage_summary"] == "not given, or without rows: `contract`"
    assert "measure referral_funnel is skipped: not given" in caplog.text


def test_a_quarter_with_nothing_is_skipped_and_a_broken_table_is_not():
    made = integration_measures(FRAMES, quarter="2026Q4")
    assert "none of 10 rows is a service received in 2026Q4" in made.skipped["delivery_members"]
    broken = {**FRAMES, "organization": ORGANIZATION.replace("clinic", "spaceship")}
    with pytest.raises(TableError, match="not in the code list"):
        integration_measures(broken, quarter="2024Q4")


def test_an_empty_table_is_like_an_absent_one():
    made = integration_measures({**FRAMES, "payment": PAYMENT.iloc[:0]}, quarter="2024Q4")
    assert made.skipped["payment_denials"] == "not given, or without rows: `payment`"


def test_every_row_of_every_measure_is_accounted_for():
    made = integration_measures(FRAMES, quarter="2024Q4")
    stages = {
        "delivery_contracts": "contract",
        "coverage": "program_service",
        "referral_funnel": "referral",
        "referral_closure": "referral",
        "payment_timeliness": "payment",
    }
    for stage, name in stages.items():
        made.ledger.check(name, stage, len(FRAMES[name]))


def test_the_extract_date_lets_more_referrals_mature():
    at_quarter_end = integration_measures(FRAMES, quarter="2024Q4")
    later = integration_measures(FRAMES, quarter="2024Q4", as_of="2025-06-30")
    # All services, those exempt from closing the loop (r8) too.
    assert at_quarter_end["referral_closure"].denominator[0] == 7
    assert later["referral_closure"].denominator[0] == 8


def test_without_days_to_follow_referrals_times_are_left_out_for_that_reason():
    made = integration_measures(FRAMES, quarter="2024Q4", maturation_days=0)
    assert "referral_closure" in made
    for name in ("referral_times", "referral_times_by_organization_type"):
        assert name not in made
        assert "`maturation_days` is 0" in made.skipped[name]


def test_referrals_after_the_quarter_do_not_enter():
    early = integration_measures(FRAMES, quarter="2024Q2", as_of="2025-06-30")
    assert early["referral_funnel"].denominator[0] == 7


def test_an_extract_before_the_quarter_ends():
    with pytest.raises(EstimationError, match="not complete"):
        integration_measures(FRAMES, quarter="2024Q4", as_of="2024-12-30")


def test_something_else_than_tables():
    with pytest.raises(TableError, match="expected Tables or a mapping"):
        integration_measures([CONTRACT], quarter="2024Q4")  # type: ignore[arg-type]


def test_tables_on_disk_give_the_same_measures(tmp_path):
    frames = {
        "contract": CONTRACT[CONTRACT["contract_start_date"].notna()],
        "organization": ORGANIZATION,
    }
    tables = Tables.from_frames(frames, work_dir=tmp_path)
    from_disk = integration_measures(tables, quarter="2024Q4")
    from_frames = integration_measures(frames, quarter="2024Q4")
    pd.testing.assert_frame_equal(
        from_disk["delivery_contracts"].to_frame(), from_frames["delivery_contracts"].to_frame()
    )
