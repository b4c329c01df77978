"""Plans held against each other, places against those eligible, and the survey's scales."""

from importlib import import_module

import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.integration import capacity_adequacy, plan_similarity
from calaim_eval.report import figures, tables
from calaim_eval.report.release_items import Absent

PLANS = {"A": ("own", "3"), "B": ("own", "3"), "C": ("shared", "3"), "D": ("shared", "7")}


def released(name, table, folder):
    return release({name: table}, quarter="2024Q4", to=folder)


def similarity(plans):
    rows = [
        (plan, element, value)
        for plan in plans
        for element, value in zip(("portal", "authorization_days"), PLANS[plan], strict=True)
    ]
    columns = ["plan", "requirement", "requirement_value"]
    return plan_similarity(pd.DataFrame(rows, columns=columns), as_of="2024-12-31")


def test_each_plan_is_drawn_from_the_most_unlike_to_the_most_alike(tmp_path):
    figure = figures.plan_similarity(released("plan_similarity", similarity("ABCD"), tmp_path))
    # A and B are the same, C shares the days with both, D the portal with C: 1, 1/2 x 4, 0 x 2.
    assert "4 plans to the others': highest" in figure.alt_text
    assert "50% (" in figure.alt_text
    assert "lowest D 17% (0% to 50%)" in figure.alt_text
    assert figure.save(tmp_path / "plans.png").stat().st_size > 10_000


def test_of_many_plans_the_ends_are_drawn(tmp_path, monkeypatch):
    module = import_module("calaim_eval.report.figures.plan_similarity")
    monkeypatch.setattr(module, "ENDS", 1)
    figure = figures.plan_similarity(released("plan_similarity", similarity("ABCD"), tmp_path))
    assert len(figure.plot.data) == 2
    assert "Of 4 plans, the 1 most like the others and the 1 least." in figure.caption


def test_one_pair_of_plans_has_no_picture(tmp_path):
    found = figures.plan_similarity(released("plan_similarity", similarity("AB"), tmp_path))
    assert isinstance(found, Absent)
    assert "fewer than three plans" in found.words


@pytest.fixture
def adequacy(tmp_path):
    contract = pd.DataFrame(
        {
            "contract_id": ["c1", "c2"],
            "plan": "P",
            "organization_id": ["o1", "o2"],
            "county": ["Kings", "Tulare"],
            "service": "ecm",
            "contract_start_date": "2024-01-01",
            "capacity_members": [40, 20],
        }
    )
    eligible = pd.DataFrame(
        {
            "county": ["Kings", "Tulare", "Fresno"],
            "service": "ecm",
            "eligible_low": [100, 200, 300],
            "eligible_high": [200, 400, 600],
        }
    )
    return released(
        "capacity_adequacy", capacity_adequacy(contract, eligible, quarter="2024Q4"), tmp_path
    )


def test_places_are_set_against_both_ends_of_those_eligible(adequacy):
    row = tables.adequacy_table(adequacy).gt._tbl_data.iloc[0]
    assert row["Members eligible"] == "600 to 1,200"
    # 60 places over 1,200 and over 600.
    assert row["Places per 100 eligible"] == "5.0 to 10.0"
    assert (row["Counties"], row["Without a place stated"]) == ("3", "1")
