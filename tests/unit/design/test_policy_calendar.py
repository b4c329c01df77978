from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.design import policy_calendar, policy_notes
from calaim_eval.design.policy_calendar import BREAKS
from calaim_eval.errors import DesignError
from calaim_eval.schema.codes import load_codes

ALL_YEARS = pd.period_range("2019-01", "2026-12", freq="M")


def test_every_confounder_of_the_timeline_has_one_break_and_every_break_one_event():
    timeline = load_codes("calaim_timeline")
    confounders = timeline[timeline["kind"].str.contains("confounder")]
    matches = [
        [b for b in BREAKS if row["date"].startswith(b.month) and b.words in row["event"]]
        for row in confounders.to_dict("records")
    ]
    assert [len(m) for m in matches] == [1] * len(BREAKS)


def test_medi_cal_rx_breaks_pharmacy_on_the_day_of_phase_1_and_is_unconfirmed():
    row = policy_calendar("pharmacy_fills", ["2021-12", "2022-02"]).iloc[0]
    assert row["month"] == pd.Period("2022-01", freq="M")
    assert "ECM phase 1" in row["treatment"]
    assert row["confirmed"] == "no"


def test_ed_visits_have_no_break_at_phase_1():
    months = policy_calendar("ed_visits", ALL_YEARS)["month"].astype(str).tolist()
    assert months == ["2020-03", "2022-05", "2023-04", "2024-01", "2024-01"]


def test_only_breaks_inside_the_window_are_listed():
    assert policy_calendar("ed_visits", ["2022-06", "2023-03"]).empty
    assert len(policy_calendar("ed_visits", ["2023-04"])) == 1


def test_notes_say_the_treatment_and_the_doubt():
    notes = policy_notes("snf_days", ["2022-12", "2023-01"])
    assert len(notes) == 1
    assert "long-term-care" in notes[0]
    assert "partly confirmed" in notes[0]


def test_unknown_outcome_is_refused_with_the_list():
    with pytest.raises(DesignError, match="`ed_visits`"):
        policy_calendar("happiness", ALL_YEARS)
