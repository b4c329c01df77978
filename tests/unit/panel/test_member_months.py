"""`MemberMonths`: from frames, reopened, and silent about members."""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import MemberMonths, PanelRules

MONTHS = pd.DataFrame(
    {
        "member_id": ["secret-b", "secret-a", "secret-a"],
        "month": ["2024-01-01", "2024-02-01", "2024-01-01"],
        "covered_days": [31, 29, 31],
        "ed_visits": [0, 2, 1],
        "race_ethnicity": ["aian", "nhpi", "nhpi"],
    }
)
EXPOSURE = pd.DataFrame(
    {"member_id": ["secret-a"], "service": ["ecm"], "service_month": ["2024-02-01"]}
)


def test_from_frames_writes_a_panel_that_reopens(tmp_path):
    given = MONTHS.copy()
    rules = PanelRules(month_rule="first_day")
    panel = MemberMonths.from_frames(MONTHS, EXPOSURE, folder=tmp_path, rules=rules)
    pd.testing.assert_frame_equal(MONTHS, given)
    again = MemberMonths.open(tmp_path)
    assert (again.n_members, again.n_member_months, again.n_buckets) == (2, 3, 1)
    assert str(again.first_month) == "2024-01"
    assert str(again.last_month) == "2024-02"
    assert again.rules == rules
    assert again.feeds == panel.feeds == {"program_service"}
    frame = again.to_frame(["member_id", "month", "ed_visits", "is_dual"])
    assert frame["member_id"].tolist() == ["secret-a", "secret-a", "secret-b"]
    assert frame["ed_visits"].tolist() == [1, 2, 0]
    assert frame["month"].dtype.kind == "M"
    assert frame["is_dual"].isna().all()
    assert again.exposure_frame("ecm")["service_month"].tolist() == [pd.Timestamp("2024-02-01")]
    assert again.exposure_frame("any_community_support").empty
    assert again.ledger.to_frame()["n_rows"].tolist() == [3]


def test_repr_holds_no_member():
    text = repr(MemberMonths.from_frames(MONTHS, EXPOSURE))
    assert "2 members, 3 member-months, 2024-01 to 2024-02" in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="covered_days"), "lacks column `covered_days`"),
        (lambda f: f.rename(columns={"ed_visits": "ed"}), "1 columns .* first `ed`"),
        (lambda f: pd.concat([f, f.head(1)]), "1 of 4 rows repeat the key"),
        (lambda f: f.assign(month="2024-01-02").drop_duplicates("member_id"), "2 of 2 values"),
        (lambda f: f.head(0), "has no rows"),
    ],
)
def test_frames_that_break_the_contract(change, message):
    with pytest.raises(TableError, match=message) as caught:
        MemberMonths.from_frames(change(MONTHS))
    assert "secret" not in str(caught.value)


def test_a_folder_without_a_finished_panel(tmp_path):
    with pytest.raises(TableError, match=r"no finished panel.*\n.*it resumes"):
        MemberMonths.open(tmp_path)


def test_a_panel_with_a_part_gone(tmp_path):
    MemberMonths.from_frames(MONTHS, folder=tmp_path)
    (tmp_path / "member_exposure" / "part-0000.parquet").unlink()
    with pytest.raises(TableError, match="1 of 1 parts of `member_exposure` are gone"):
        MemberMonths.open(tmp_path)


def test_a_column_or_measure_the_panel_does_not_have():
    panel = MemberMonths.from_frames(MONTHS)
    with pytest.raises(TableError, match="no column `visits`"):
        panel.to_frame(["visits"])
    with pytest.raises(TableError, match="no column `visits`"):
        panel.observed_months("visits")
    assert len(panel.observed_months("ed_visits")) == 2
