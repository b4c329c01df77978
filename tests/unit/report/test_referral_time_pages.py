"""How soon services start after referral, as a reader sees it."""

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.integration import referral_times
from calaim_eval.report import figures, tables
from calaim_eval.report.release_items import Absent

# Days to the start (negative: ended without service after so many days), and how many.
CBO = [(10, 40), (45, 30), (80, 20), (-20, 50), (None, 60)]
CLINIC = [(10, 30), (45, 25), (80, 3), (-20, 42), (None, 100)]


def referrals(endings, organization, first):
    days = [d for d, n in endings for _ in range(n)]
    frame = pd.DataFrame({"days": days}, dtype=float)
    referred = pd.Timestamp("2024-03-01")
    after = referred + pd.to_timedelta(frame["days"].abs(), unit="D")
    ids = [f"{organization}{i}" for i in range(first, first + len(frame))]
    return pd.DataFrame(
        {
            "referral_id": ids,
            "member_id": ids,
            "service": "ecm",
            "to_organization_id": organization,
            "referred_date": referred,
            "service_started_date": after.where(frame["days"] > 0),
            "closed_date": after.where(frame["days"] < 0),
            "referral_status": np.where(frame["days"] < 0, "closed", "accepted"),
            "closure_reason": np.where(frame["days"] < 0, "member_declined", None),
        }
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rows = pd.concat([referrals(CBO, "a", 0), referrals(CLINIC, "b", 0)])
    roster = pd.DataFrame({"organization_id": ["a", "b"], "organization_type": ["cbo", "clinic"]})
    table = referral_times(rows, as_of="2024-12-31", by="organization_type", organization=roster)
    name = "referral_times_by_organization_type"
    return release({name: table}, quarter="2024Q4", to=tmp_path_factory.mktemp("times"))


def test_the_table_has_the_share_started_by_each_day(page):
    cells = tables.referral_times_table(page).gt._tbl_data.set_index("Group")
    assert cells.loc["All referrals", "Referrals"] == "400"
    # 70 of 400 by day 30, 125 by day 60, 148 by day 90; 92 ended without, 160 wait.
    assert cells.loc["All referrals", "By day 30"] == "18%"
    assert cells.loc["All referrals", "By day 60"].startswith(("31%", "†"))
    assert cells.loc["All referrals", "By day 90"].startswith("37%")
    assert cells.loc["All referrals", "Still waiting"] == "40%"
    # Three in the clinic's third month are few: they are not shown, nor what gives them away.
    assert cells.loc["Clinic", "By day 60"] == "†"
    assert "No usable day" not in cells.columns


def test_the_figure_draws_what_the_table_says(page, tmp_path):
    figure = figures.referral_times(page, by="organization_type")
    assert "2 types of organization" in figure.alt_text
    assert "within 30 days 18%" in figure.alt_text
    assert "Empty parts of a bar are not shown" in figure.caption
    assert figure.save(tmp_path / "times.png").stat().st_size > 10_000


def test_what_was_not_released_is_absent(page):
    assert isinstance(figures.referral_times(page), Absent)
