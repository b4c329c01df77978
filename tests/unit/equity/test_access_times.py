"""Time in the stages of access, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.disclosure import release
from calaim_eval.equity import access_funnel, access_times, effect_gap, effect_homogeneity
from calaim_eval.errors import DesignError, EstimationError

# Months since the list: a reached 1, b 3, c served in 2 without outreach, d loses coverage after
# 2, e waits, f is reached after coverage ended; g and k came too late, h began uncovered,
# i is truncated.
PEOPLE = """
    member | race  | covered                           | listed  | outreach | service
    -------+-------+-----------------------------------+---------+----------+--------
    a      | black | 2022-01..2022-12                  | 2022-02 | 2022-03  | 2022-03
    b      | black | 2022-01..2022-12                  | 2022-03 | 2022-06  |
    c      | white | 2022-01..2022-12                  | 2022-03 |          | 2022-05
    d      | white | 2022-01..2022-04                  | 2022-03 |          |
    e      | white | 2022-01..2022-12                  | 2022-04 |          |
    f      | white | 2022-01..2022-03 2022-06..2022-12 | 2022-03 | 2022-07  |
    g      | white | 2022-01..2022-12                  | 2022-11 | 2022-12  |
    h      | white | 2022-05..2022-12                  | 2022-04 | 2022-06  |
    i      | white | 2022-01..2022-12                  | 2021-11 | 2022-02  |
    j      | white | 2022-01..2022-12                  | 2022-03 | 2022-02  |
    k      | white | 2022-01..2022-12                  | 2022-11 |          |
"""


def counted(times, stage: str, race: str) -> dict[tuple[str, str], float]:
    frame = times.counts.to_frame()
    mine = frame[(frame["stage"] == stage) & (frame["race_ethnicity"] == race)]
    return dict(
        zip(zip(mine["state"], mine["months"], strict=True), mine["numerator"], strict=True)
    )


def test_members_are_counted_by_what_came_first():
    times = access_times(hand_panel(PEOPLE), months=(1, 3))
    assert counted(times, "identified", "all") == {
        ("all", "all"): 6, ("reached", "all"): 3, ("coverage_ended", "all"): 2,
        ("waiting", "all"): 1, ("reached", "0-1"): 1, ("reached", "2-3"): 2,
    }  # fmt: skip
    assert counted(times, "identified", "black")["reached", "2-3"] == 1
    # From outreach: a at once, b waits, f and h wait, i and j too (the month of outreach counts).
    assert counted(times, "outreached", "all") == {
        ("all", "all"): 6, ("reached", "all"): 1, ("coverage_ended", "all"): 0,
        ("waiting", "all"): 5, ("reached", "0-1"): 1, ("reached", "2-3"): 0,
    }  # fmt: skip


def test_who_is_left_out_is_said_without_small_counts():
    notes = " ".join(access_times(hand_panel(PEOPLE), months=(1, 3)).notes)
    for words in (
        "began before the first month observed", "began too late to be followed",
        "next stage is recorded before it", "not covered in the month it began",
        "only after coverage or the stage had ended", "Deaths are among the ends of coverage",
    ):  # fmt: skip
        assert words in notes
    assert notes.count("fewer than 11") == 6  # four reasons, the late one, and g after outreach


def test_members_without_a_covered_month_are_said_to_be_left_out():
    more = (
        PEOPLE + "    l      | white |                                   | 2022-03 |          |\n"
    )
    notes = access_times(hand_panel(more), months=(1, 3)).notes
    assert any("no covered month in the panel: fewer than 11 members" in note for note in notes)
    assert not any("no covered month" in n for n in access_times(hand_panel(PEOPLE)).notes)


def test_curves_agree_with_the_counts_where_everybody_is_followed():
    times = access_times(hand_panel(PEOPLE), months=(1, 3))
    frame = times.curves.to_frame()
    reached = frame[
        (frame["stage"] == "identified")
        & (frame["race_ethnicity"] == "all")
        & (frame["component"] == "reached")
    ]
    assert reached["within_months"].tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(reached["estimate"], np.array([0, 1, 2, 3]) / 6)
    share = reached["estimate"].to_numpy()
    np.testing.assert_allclose(
        reached["std_error"].fillna(0), np.sqrt(share * (1 - share) / 6), atol=1e-12
    )
    medians = times.medians().set_index(["stage", "race_ethnicity"])["median_months"]
    assert medians["identified", "all"] == 3
    assert np.isnan(medians["outreached", "all"])


def test_mean_months_add_up_to_the_horizon():
    frame = access_times(hand_panel(PEOPLE), months=(1, 3)).mean_months.to_frame()
    sums = frame.groupby(["stage", "race_ethnicity"])["estimate"].sum()
    np.testing.assert_allclose(sums, 3)
    mine = frame[(frame["stage"] == "identified") & (frame["race_ethnicity"] == "all")]
    # Of three months: a waits 1, b 3, c 2, d 2, e 3, f 1.
    assert mine.set_index("component")["estimate"]["waiting"] == pytest.approx(12 / 6)


def test_a_short_gap_does_not_end_coverage():
    times = access_times(hand_panel(PEOPLE), months=(1, 4), max_gap_months=2)
    rows = counted(times, "identified", "all")
    assert rows["coverage_ended", "all"] == 1
    assert rows["reached", "2-4"] == 3


def test_other_exits_compete_and_service_in_their_month_came_first():
    exits = pd.DataFrame(
        {
            "member_id": ["e", "a", "d", "b", "b"],
            "month": pd.to_datetime(
                ["2022-05-01", "2022-03-01", "2022-05-01", "2022-01-01", "2022-05-01"]
            ),
            "exit": ["declined", "died", "died", "declined", "declined"],
        }
    )
    times = access_times(hand_panel(PEOPLE), months=(1, 3), exits=exits)
    rows = counted(times, "identified", "all")
    assert rows["declined", "all"] == 2  # e, and b: the one before the list does not count
    assert rows["died", "all"] == 1  # d, in the month coverage was gone
    assert rows["reached", "all"] == 2
    assert rows["waiting", "all"] == 0
    assert not any("Deaths" in note for note in times.notes)
    with pytest.raises(EstimationError, match="`exits` names an exit `waiting`"):
        access_times(hand_panel(PEOPLE), exits=exits.assign(exit="waiting"))


def test_later_members_are_followed_as_far_as_the_data_go():
    times = access_times(hand_panel(PEOPLE), months=(1, 3), matured_months=1)
    assert times.counts is None
    at = times.at_months().to_frame().query("stage == 'identified' and race_ethnicity == 'all'")
    reached = at[at["component"] == "reached"].set_index("within_months")
    # g is in, reached after one month, and k, last seen then.
    assert reached.loc[1, "estimate"] == pytest.approx(2 / 8)
    # Month 1: of 8, two reached and f lost, then k unseen. Month 2: of 4, c reached and d lost.
    # Month 3: of 2, b reached.
    assert reached.loc[3, "estimate"] == pytest.approx(2 / 8 + 5 / 8 / 4 + 5 / 8 * 2 / 4 / 2)


def test_closing_the_loop_is_a_stage_of_those_served():
    closed = pd.DataFrame({"member_id": ["a"], "month": pd.to_datetime(["2022-05-01"])})
    times = access_times(hand_panel(PEOPLE), months=(1, 3), closed=closed)
    assert counted(times, "served", "all")["reached", "2-3"] == 1
    assert counted(times, "served", "all")["all", "all"] == 2


def test_groups_are_compared_with_their_joint_error():
    rows = "\n".join(
        f"    m{i} | {race} | 2022-01..2022-12 | 2022-02 | {when} |"
        for i, (race, when) in enumerate(
            [("black", "2022-03")] * 20 + [("black", "")] * 20
            + [("white", "2022-03")] * 30 + [("white", "")] * 10
        )
    )  # fmt: skip
    head = "member | race | covered | listed | outreach | service\n-+-\n"
    times = access_times(hand_panel(head + rows), months=(1,))
    at = times.at_months()
    mine = at.select((at.keys["component"] == "reached") & (at.keys["stage"] == "identified"))
    gap = effect_gap(mine, reference="white").to_frame().iloc[0]
    assert gap["estimate"] == pytest.approx(-0.25)
    assert gap["std_error"] == pytest.approx(np.sqrt(0.25 / 40 + 0.1875 / 40))
    test = effect_homogeneity(mine)
    assert float(test["statistic"].iloc[0]) == pytest.approx((0.25 / gap["std_error"]) ** 2)
    # Everybody at one month: Gray's score is 20 less 40 * 50 / 80, its variance hypergeometric.
    gray = times.gray_test().set_index("stage").loc["identified"]
    assert gray["statistic"] == pytest.approx(5**2 / (40 * 40 * 50 * 30 / (80**2 * 79)))


def test_what_is_refused():
    with pytest.raises(EstimationError, match="nobody with a record"):
        access_times(hand_panel(PEOPLE), months=(24,))
    with pytest.raises(EstimationError, match="`months` are"):
        access_times(hand_panel(PEOPLE), months=(0,))


def test_what_lies_after_the_panel_is_not_taken_for_lost_coverage():
    with pytest.raises(DesignError, match="`through` is 2023-12; the panel ends in 2022-12"):
        access_times(hand_panel(PEOPLE), months=(1, 3), through="2023-12")


def test_members_are_found_by_ids_that_are_numbers():
    numbered = PEOPLE
    for i, name in enumerate("abcdefghijk"):
        numbered = numbered.replace(f"    {name}      |", f"    {i}      |")
    panel = hand_panel(numbered)
    closed = pd.DataFrame({"member_id": [0], "month": ["2022-05-01"]})
    exits = pd.DataFrame({"member_id": [4], "month": ["2022-05-01"], "exit": ["declined"]})
    times = access_times(panel, months=(1, 3), closed=closed, exits=exits)
    assert counted(times, "served", "all")["reached", "all"] == 1
    assert counted(times, "identified", "all")["declined", "all"] == 1


@pytest.mark.parametrize("column", ["member_id", "month", "exit"])
def test_an_exit_without_member_month_or_name_is_refused(column):
    exits = pd.DataFrame(
        {"member_id": ["e", "b"], "month": ["2022-05-01", "2022-04-01"], "exit": ["died", "moved"]}
    )
    exits.loc[1, column] = None
    with pytest.raises(EstimationError, match=f"`exits` has rows without `{column}`"):
        access_times(hand_panel(PEOPLE), months=(1, 3), exits=exits)
    if column != "exit":
        with pytest.raises(EstimationError, match=f"`closed` has rows without `{column}`"):
            access_times(hand_panel(PEOPLE), months=(1, 3), closed=exits)


def many(counts: dict[str, dict[str, int]]) -> str:
    """Members of each race by month of outreach, all listed in February."""
    rows = [
        f"m{race}{when}{i} | {race} | 2022-01..2022-12 | 2022-02 | {when} |"
        for race, each in counts.items()
        for when, n in each.items()
        for i in range(n)
    ]
    return "member | race | covered | listed | outreach | service\n-+-\n" + "\n".join(rows)


def test_a_small_count_of_a_month_hides_the_mean_of_its_group():
    people = {
        "black": {"2022-03": 40, "2022-05": 4, "": 30},
        "white": {"2022-03": 60, "2022-05": 50, "": 50},
        "asian": {"2022-03": 50, "2022-05": 30, "": 40},
    }
    times = access_times(hand_panel(many(people)), months=(1, 3))
    is_group = (times.mean_months.keys["race_ethnicity"] != "all").to_numpy()
    released = release({"times": times.counts, "mean": times.mean_months.select(is_group)})
    counts = released.tables["times"].frame
    mine = counts[(counts["stage"] == "identified") & (counts["race_ethnicity"] == "black")]
    hidden = mine.set_index(["state", "months"])["is_suppressed"]
    assert hidden["reached", "2-3"]
    assert not hidden["all", "all"]
    mean = released.tables["mean"].frame
    mean = mean[mean["stage"] == "identified"].set_index(["race_ethnicity", "component"])
    assert mean.loc[("black", "waiting"), "is_suppressed"]
    # Of the curves none of the group goes either.
    curves = release({"times": times.counts, "curves": times.curves}).tables["curves"].frame
    black = curves[(curves["race_ethnicity"] == "black") & (curves["stage"] == "identified")]
    assert black["is_suppressed"].all()


@pytest.mark.parametrize(("late", "is_given_away"), [(3, True), (15, False), (0, False)])
def test_members_not_followed_cannot_be_had_by_subtraction(late, is_given_away):
    people = {
        "black": {"2022-03": 40, "": 30},
        "white": {"2022-03": 60, "": 50},
        "asian": {"2022-03": 50, "": 40},
    }
    text = many(people) + "".join(
        f"\nz{i} | black | 2022-01..2022-12 | 2022-12 | |" for i in range(late)
    )
    panel = hand_panel(text)
    results = {
        "funnel": access_funnel(panel).select(np.ones(8, dtype=bool)),
        "times": access_times(panel, months=(1, 3)).counts,
    }
    tables = release(results).tables
    funnel, times = tables["funnel"].frame, tables["times"].frame
    shown = (
        (funnel["race_ethnicity"] == "black")
        & (funnel["stage"] == "identified")
        & ~funnel["is_suppressed"]
    ).any()
    is_whole = (times["state"] == "all") & (times["stage"] == "identified")
    is_shown_too = (is_whole & (times["race_ethnicity"] == "black") & ~times["is_suppressed"]).any()
    assert (shown and is_shown_too) != is_given_away


def test_a_month_of_few_members_hides_the_mean_though_its_stretch_is_shown():
    """35 and 4 in months 2 and 3 are one stretch; the mean would tell them apart."""
    people = {
        race: {"2022-03": 40, "2022-04": 35, "2022-05": n, "": 30}
        for race, n in {"black": 4, "white": 20}.items()
    }
    times = access_times(hand_panel(many(people)), months=(1, 3))
    groups = (times.mean_months.keys["race_ethnicity"] != "all").to_numpy()
    tables = release({"times": times.counts, "mean": times.mean_months.select(groups)}).tables
    counts = tables["times"].frame
    mine = counts[(counts["stage"] == "identified") & (counts["race_ethnicity"] == "black")]
    assert not mine["is_suppressed"].any()
    mean = tables["mean"].frame.query("stage == 'identified'").set_index("race_ethnicity")
    assert mean.loc["black", "is_suppressed"].all()
    assert not mean.loc["white", "is_suppressed"].any()


def test_a_negative_follow_up_is_refused():
    with pytest.raises(EstimationError, match="`matured_months` is -1"):
        access_times(hand_panel(PEOPLE), months=(1, 3), matured_months=-1)
