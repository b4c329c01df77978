"""How long access takes in a simulated study: results against the truth beside the files."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.pipeline.access import (
    CLOSED_OTHERWISE,
    STANDARDIZED,
    TIMES,
    _closed_referrals,
    measure_access,
)
from calaim_eval.results import load_results
from calaim_eval.tables import Tables

RACE = "race_ethnicity"
MONTHS = ["eligibility_month", "outreach_month", "service_month"]


@pytest.fixture(scope="module")
def use(small_run):
    """Results of the study before disclosure control."""
    return load_results(small_run.study.restricted / "results" / "use")


@pytest.fixture(scope="module")
def followed(small_run) -> pd.DataFrame:
    """True months of members listed by June 2024 and covered then, and their covered months."""
    (file,) = (small_run.study.folder / "truth").glob("member*.parquet")
    truth = pd.read_parquet(file, columns=["member_id", RACE, "is_carry_over", *MONTHS])
    for name in MONTHS:
        when = pd.to_datetime(truth[name])
        truth[name] = (when.dt.year * 12 + when.dt.month).astype(float)
    covered = small_run.panel.to_frame(columns=["member_id", "month"])
    covered["n"] = covered["month"].dt.year * 12 + covered["month"].dt.month
    months = covered.groupby("member_id")["n"].agg(set)
    truth = truth[truth["eligibility_month"] <= 2024 * 12 + 6]
    truth = truth.assign(months=truth["member_id"].map(months)).dropna(subset="months")
    is_in = [
        start in months
        for start, months in zip(truth["eligibility_month"], truth["months"], strict=True)
    ]
    return truth[is_in]


def test_members_reached_are_those_who_truly_were_while_covered(use, followed):
    """Counts of everybody by the months from listing to outreach, or to service without any."""

    def reached(row: pd.Series, within: range) -> bool:
        start, end = row["eligibility_month"], np.nanmin([*row[MONTHS[1:]], np.inf])
        if end - start not in within:
            return False
        return all(month in row["months"] for month in np.arange(start, end + 1))

    frame = use["access_times"].to_frame()
    mine = frame[(frame[RACE] == "all") & (frame["stage"] == "identified")]
    counts = mine.set_index(["state", "months"])["numerator"]
    assert counts["all", "all"] == len(followed)
    for label, within in (("0-1", range(2)), ("2-6", range(2, 7))):
        assert counts["reached", label] == followed.apply(reached, axis=1, within=within).sum()


def test_the_share_reached_recovers_the_true_chance(small_run, use, followed):
    """Members carried over from an older program are served at once, without outreach."""
    truth = pd.read_parquet(small_run.study.folder / "truth" / "funnel.parquet")
    onset = truth[~truth["is_carry_over"]]
    chance = np.average(onset["true_outreach_given_identified"], weights=onset["identified"])
    frame = use["access_times"].to_frame()
    mine = frame[(frame[RACE] == "all") & (frame["stage"] == "identified")]
    counts = mine[mine["months"] == "all"].set_index("state")["numerator"]
    carried = int(followed["is_carry_over"].sum())
    # Those who lost coverage before they could be reached are in neither.
    n = counts["all"] - counts["coverage_ended"] - carried
    share = (counts["reached"] - carried) / n
    assert abs(share - chance) < 3 * np.sqrt(chance * (1 - chance) / n)


def test_counts_add_up_and_the_released_ones_hold_no_small_number(small_run, use):
    frame = use["access_times"].to_frame()
    whole = frame[frame["months"] == "all"].pivot_table(
        index=[RACE, "stage"], columns="state", values="numerator"
    )
    states = ["reached", "coverage_ended", CLOSED_OTHERWISE, "waiting"]
    assert (whole[states].sum(axis=1) == whole["all"]).all()
    assert set(frame["stage"]) == {"eligible", "identified", "outreached", "served"}
    shown = small_run.released.tables["access_times"].frame.query("~is_suppressed")
    assert len(shown) > 0
    assert not shown["numerator"].between(1, 10).any()
    waiting = small_run.released.tables["access_waiting"].frame
    assert "all" not in set(waiting[RACE])


def test_standardized_shares_are_beside_the_crude_ones(use):
    keys = use["access_standardized"].keys
    assert set(keys["component"]) == {"outreached", "served"}
    assert set(keys["share_of"]) == {"identified", "stage_before"}
    gap = use["access_standardized_gap"]
    assert set(gap.keys["reference"]) == {"white"}
    assert not gap.estimand.is_causal


def test_referrals_are_told_apart_by_why_they_closed():
    referral = pd.DataFrame(
        {
            "referral_id": list("abcde"),
            "member_id": ["m1", "m2", "m3", "m4", "m5"],
            "service": ["ecm", "ecm", "ecm", "ecm", "respite_services"],
            "referred_date": pd.Timestamp("2024-01-05"),
            "closed_date": pd.to_datetime(
                ["2024-02-01", "2024-02-01", "2024-03-01", None, "2024-02-01"]
            ),
            "closure_reason": [
                "services_received",
                "member_declined",
                "died",
                None,
                "member_declined",
            ],
        }
    )
    exits, closed = _closed_referrals(Tables.from_frames({"referral": referral}), "ecm")
    assert exits["member_id"].tolist() == ["m2"]
    assert exits["exit"].tolist() == [CLOSED_OTHERWISE]
    assert closed["member_id"].tolist() == ["m1"]
    assert _closed_referrals(None, "ecm") == (None, None)


@pytest.mark.parametrize(("max_gap", "ended"), [(0, 1), (1, 1), (2, 0)])
def test_a_gap_the_study_tolerates_does_not_end_access(max_gap, ended):
    panel = hand_panel("""
        member | race  | covered                           | listed  | outreach | service
        -------+-------+-----------------------------------+---------+----------+--------
        a      | white | 2022-01..2022-12                  | 2022-03 | 2022-04  |
        b      | white | 2022-01..2022-03 2022-06..2022-12 | 2022-03 | 2022-07  |
    """)
    sections = {
        "exposure": SimpleNamespace(service="ecm"),
        "coverage": SimpleNamespace(max_gap_months=max_gap),
        "equity": SimpleNamespace(access_months=(1, 4), standard_ages=(18, 65), reference="white"),
    }
    found, _ = measure_access(SimpleNamespace(file=SimpleNamespace(**sections)), panel)
    frame = found["access_times"].to_frame()
    mine = frame[(frame[RACE] == "all") & (frame["stage"] == "identified")]
    counts = mine[mine["months"] == "all"].set_index("state")["numerator"]
    assert counts[["all", "reached", "coverage_ended"]].tolist() == [2, 2 - ended, ended]


def test_a_study_without_a_service_says_why(small_run):
    study = small_run.study
    without = SimpleNamespace(file=SimpleNamespace(exposure=None, equity=study.file.equity))
    found, left_out = measure_access(without, small_run.panel)
    assert not found
    assert set(left_out) == {*TIMES, *STANDARDIZED}
