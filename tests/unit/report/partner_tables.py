"""Results of a partner survey and of plan requirements, small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration import (
    asset_map_change,
    capacity_use,
    data_sharing_level,
    distinct_layouts,
    requirement_burden,
    requirement_standardization,
    score_survey,
)
from calaim_eval.integration.partner_measures import survey_recipes
from calaim_eval.results import Result

ROLES = np.array(["frontline", "manager", "executive"])


def survey_results() -> dict[str, Result]:
    """Answers of 240 people in 80 of 100 organizations; few of tribal or NHPI-led ones."""
    rng = np.random.default_rng(1)
    n = 240
    role = rng.integers(0, 3, n)
    person = 3 + 0.6 * (role == 0) + rng.normal(0, 0.6, n)
    items = np.clip(np.rint(person[:, None] + rng.normal(0, 0.7, (n, 3))), 1, 5)
    response = pd.DataFrame(
        {
            "respondent_id": np.repeat([f"s{i}" for i in range(n)], 3),
            "organization_id": np.repeat([f"o{i // 3}" for i in range(n)], 3),
            "respondent_role": np.repeat(ROLES[role], 3),
            "item": np.tile(["helps", "pays", "lasts"], n),
            "response": items.ravel(),
        }
    )
    book = pd.DataFrame(
        {
            "item": ["helps", "pays", "lasts"],
            "scale": "use",
            "lowest_response": 1,
            "highest_response": 5,
        }
    )
    organization = pd.DataFrame(
        {
            "organization_id": [f"o{i}" for i in range(100)],
            "organization_type": ["tribal" if i < 2 else "cbo" if i % 2 else "clinic"
                                  for i in range(100)],
            "leadership": ["nhpi_led" if i < 3 else "white_led" for i in range(100)],
        }
    )  # fmt: skip
    recipes = survey_recipes(score_survey(response, book), agree_from=4)
    return {n: make({"organization": organization}) for n, (_, make) in recipes.items()}


def plan_results() -> dict[str, Result]:
    """Two plans, three organizations, one setting that changed in 2024."""
    requirement = pd.DataFrame(
        [("A", "portal", "own", "2022-01-01"), ("B", "portal", "exchange", "2022-01-01"),
         ("B", "portal", "own", "2024-06-01"), ("A", "days", "3", None), ("B", "days", "5", None)],
        columns=["plan", "requirement", "requirement_value", "effective_date"],
    )  # fmt: skip
    contract = pd.DataFrame(
        [("A", "o1", "Kings"), ("B", "o1", "Kings"), ("A", "o2", "Tulare"), ("A", "o3", "Kings")],
        columns=["plan", "organization_id", "county"],
    ).assign(service="ecm", contract_start_date="2022-01-01")
    organization = pd.DataFrame(
        {
            "organization_id": ["o1", "o2", "o3"],
            "organization_type": ["cbo", "clinic", "cbo"],
            "leadership": ["nhpi_led", "white_led", "white_led"],
        }
    )
    service = pd.DataFrame(
        {
            "member_id": [f"m{i}" for i in range(90)],
            "service": "ecm",
            "record_type": "service",
            "record_date": "2024-11-01",
            "plan": "A",
            "organization_id": ["o1"] * 40 + ["o2"] * 30 + ["o3"] * 20,
        }
    )
    person = pd.DataFrame({"member_id": service["member_id"], "race_ethnicity": "hispanic"})
    sharing = pd.DataFrame(
        {"plan": "A", "organization_id": ["o1", "o2"], "data_sharing_level": [4, 1]}
    )
    options = {"quarter": "2024Q4"}
    three = (requirement, contract, organization)
    pairs = contract[["organization_id", "county", "service"]]
    return {
        "requirement_standardization": requirement_standardization(
            requirement, as_of=["2023-12-31", "2024-12-31"]
        ),
        "requirement_burden": requirement_burden(*three, **options),
        "distinct_layouts": distinct_layouts(*three, **options),
        "distinct_layouts_by_leadership": distinct_layouts(*three, by="leadership", **options),
        "data_sharing_level": data_sharing_level(
            sharing, service, by="race_ethnicity", person=person, **options
        ),
        "capacity_use": capacity_use(
            contract.assign(capacity_members=[30, 10, None, 5]),
            service.assign(county=["Kings"] * 40 + ["Tulare"] * 30 + ["Kings"] * 20),
            **options,
        ),
        "asset_map_coverage": asset_map_change(
            pairs[:3],
            pairs[1:],
            counted="coverage",
            by="service",
            days=("2023-12-31", "2024-12-31"),
        ),
    }
