from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError
from calaim_eval.integration import IndexRule, integration_measures, partner_measures
from calaim_eval.integration.partner_measures import (
    INDEX_COMPONENTS,
    SURVEY_MEASURES,
    survey_recipes,
)
from calaim_eval.integration.partner_survey.survey_answers import score_survey

from .survey_frames import codebook, survey

QUARTER = "2024Q4"
COUNTIES = ("Kings", "Tulare", "Fresno", "Kern")


@pytest.fixture(scope="module")
def frames() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(11)
    n, n_members = 24, 1600
    ids = [f"o{i}" for i in range(n)]
    organization = pd.DataFrame(
        {
            "organization_id": ids,
            "organization_type": np.where(np.arange(n) % 3 == 0, "clinic", "cbo"),
            "leadership": np.where(np.arange(n) % 2 == 0, "latinx_led", "white_led"),
        }
    )
    contract = pd.DataFrame(
        [(f"k{i}", f"P{p}", f"o{i}", COUNTIES[i % 4], "ecm", "2022-01-01", 40)
         for i in range(n) for p in range(1 + i % 2)],
        columns=["contract_id", "plan", "organization_id", "county", "service",
                 "contract_start_date", "capacity_members"],
    )  # fmt: skip
    served = rng.integers(0, n, n_members)
    service = pd.DataFrame(
        {
            "member_id": [f"m{i}" for i in range(n_members)],
            "program": "ecm",
            "service": "ecm",
            "record_type": "service",
            "record_date": "2024-11-01",
            "organization_id": [f"o{i}" for i in served],
            "plan": "P0",
            "county": [COUNTIES[i % 4] for i in served],
        }
    )
    closed = rng.random(n_members) < 0.3 + 0.1 * (served % 4)
    referral = pd.DataFrame(
        {
            "referral_id": [f"r{i}" for i in range(n_members)],
            "root_referral_id": [f"r{i}" for i in range(n_members)],
            "member_id": service["member_id"],
            "to_organization_id": service["organization_id"],
            "service": "ecm",
            "county": service["county"],
            "referred_date": "2024-05-01",
            "closed_date": np.where(closed, "2024-07-01", None),
            "referral_status": np.where(closed, "closed", "pending"),
            "closure_reason": np.where(closed, "services_received", None),
        }
    )
    requirement = pd.DataFrame(
        [("P0", "portal", "own"), ("P1", "portal", "exchange"), ("P0", "days", "3"),
         ("P1", "days", "5")],
        columns=["plan", "requirement", "requirement_value"],
    )  # fmt: skip
    return {
        "organization": organization,
        "contract": contract,
        "program_service": service,
        "referral": referral,
        "plan_requirement": requirement,
        "data_sharing": pd.DataFrame(
            {"plan": "P0", "organization_id": ids, "data_sharing_level": np.arange(n) % 5}
        ),
        "person": pd.DataFrame(
            {
                "member_id": service["member_id"],
                "race_ethnicity": rng.choice(["black", "white", "hispanic"], n_members),
            }
        ),
        "survey_response": survey(rng, n_organizations=n, per_organization=4).assign(
            wave_date="2024-07-01", response=lambda f: f["response"].clip(0, 6)
        ),
        "survey_item": codebook().assign(lowest_response=0, highest_response=6),
    }


RULE = IndexRule(weights=dict.fromkeys(INDEX_COMPONENTS, 1 / 3), min_support=11)


def test_everything_is_made_and_may_be_released_with_the_other_measures(frames):
    made = partner_measures(frames, quarter=QUARTER, index_rule=RULE)
    assert made.skipped == {}
    assert set(SURVEY_MEASURES) < set(made)
    others = integration_measures(frames, quarter=QUARTER)
    released = release({**others, **made})
    assert released.certificate is not None
    ranks = made["integration_rank"].keys["county"].tolist()
    # Closure rises with the county's place in the list; the other components are chance.
    assert set(ranks) == set(COUNTIES)
    assert ranks.index("Kern") < ranks.index("Kings")


def test_what_is_absent_is_named_with_its_reason(frames):
    made = partner_measures({"contract": frames["contract"]}, quarter=QUARTER)
    assert set(made) == {"asset_map_organizations", "asset_map_coverage"}
    assert made.skipped["survey_agreement"].endswith("`survey_response`, `survey_item`")
    assert made.skipped["capacity_use"].endswith("`program_service`")
    whole = partner_measures(frames, quarter=QUARTER)
    assert list(whole.skipped) == ["integration_rank"]
    assert "declares no weights" in whole.skipped["integration_rank"]


def test_the_latest_wave_begun_by_the_end_of_the_quarter_is_scored(frames):
    first, later = (
        frames["survey_response"].assign(wave_date=d) for d in ("2023-07-01", "2025-07-01")
    )
    later = later[later["item"] != "q0"]
    both = {**frames, "survey_response": pd.concat([first, later])}
    made = partner_measures(both, quarter=QUARTER)
    assert "q0" in set(made["survey_agreement"].keys["item"])
    afterwards = partner_measures(both, quarter="2025Q3")
    assert "q0" not in set(afterwards["survey_agreement"].keys["item"])
    only_later = partner_measures({**frames, "survey_response": later}, quarter=QUARTER)
    assert "began after the quarter" in only_later.skipped["survey_scores_by_role"]


def test_requirements_first_recorded_this_year_have_one_date(frames):
    new = frames["plan_requirement"].assign(effective_date="2024-06-01")
    made = partner_measures({**frames, "plan_requirement": new}, quarter=QUARTER)
    assert set(made["requirement_standardization"].keys["as_of"]) == {"2024-12-31"}
    both = partner_measures(frames, quarter=QUARTER)["requirement_standardization"]
    assert set(both.keys["as_of"]) == {"2023-12-31", "2024-12-31"}


def test_given_services_are_used_in_place_of_the_table(frames):
    few = frames["program_service"].iloc[:50]
    made = partner_measures(frames, quarter=QUARTER, program_service=few)
    assert made["capacity_use"].numerator[0] == 50


def test_a_quarter_that_is_none(frames):
    with pytest.raises(EstimationError, match="not a calendar quarter"):
        partner_measures(frames, quarter="winter")


def test_a_study_in_its_first_year_has_no_change_of_the_asset_map(frames):
    first_year = frames["contract"].assign(contract_start_date="2024-05-01")
    made = partner_measures(
        {"contract": first_year, "plan_requirement": frames["plan_requirement"]}, quarter=QUARTER
    )
    for name in ("asset_map_organizations", "asset_map_coverage"):
        assert "no contract was in force on 2023-12-31" in made.skipped[name]
    assert "requirement_standardization" in made


def test_one_scale_that_cannot_be_checked_does_not_cost_the_others():
    answers = survey(np.random.default_rng(2), n_organizations=12, per_organization=3, n_items=6)
    few = answers["item"].isin(["q4", "q5"]) & (answers["organization_id"] != "o0")
    book = codebook(6).assign(scale=["use"] * 4 + ["new"] * 2)
    scored = score_survey(answers[~few], book)
    _, measure = survey_recipes(scored, agree_from=None)["survey_aggregation"]
    found = measure({})
    assert set(found.keys["scale"]) == {"use"}
    assert any("`new` is left out" in note for note in found.notes)
