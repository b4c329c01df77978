"""What goes with closed referrals, as a reader sees it."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.report import tables
from calaim_eval.results import EffectTable, Estimand, Method


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    terms = ["cbo_share", "plan_model_2024=Two-Plan", "coordinator", "rare"]
    table = EffectTable(
        keys=pd.DataFrame({"term": terms}),
        estimate=np.array([0.12, -0.034, 0.2, 0.1]),
        covariance=np.diag([0.0004, 0.0009, np.nan, 0.0004]),
        support=pd.DataFrame(
            {"n_members": [900.0, 300.0, 40.0, 5.0], "n_events": 0.0, "member_months": 0.0}
        ),
        estimand=Estimand("Association", "a difference", "share", is_causal=False),
        method=Method("Linear regression, jackknife over clusters"),
    )
    folder = tmp_path_factory.mktemp("success")
    return tables.success_table(release({"success_factors": table}, quarter="2024Q4", to=folder))


def test_differences_are_percentage_points_with_names_a_reader_knows(page):
    cells = page.gt._tbl_data.set_index("Factor")["Difference (95% interval)"]
    assert cells["Referrals to community-based organizations (all against none)"].startswith(
        "+12.0"
    )
    assert "Plan model of 2024: Two-Plan" in cells.index


def test_a_term_without_an_interval_is_undefined_and_a_small_one_is_hidden(page):
    cells = page.gt._tbl_data.set_index("Factor")["Difference (95% interval)"]
    assert "0" not in cells["Coordinator"]
    assert "0" not in cells["Rare"]
    assert cells["Coordinator"] != cells["Rare"]
    assert "not effects" in page.gt.as_raw_html()
