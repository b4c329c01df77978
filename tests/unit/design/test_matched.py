from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.design import balance, design_matched
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel

SHORT = {"lookback_months": 3, "follow_up_months": 3, "match_on": ["ed_visits"]}

# Index months: a July, d August. b is exactly like a; c is exposed in October.
FIVE = """
    member | covered          | listed  | service | ed
    -------+------------------+---------+---------+--------------------------
    a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-06:3 2022-05:1
    b      | 2022-01..2022-12 | 2022-05 |         | 2022-04:4 2022-07:2
    c      | 2022-01..2022-12 | 2022-05 | 2022-10 | 2022-05:1
    d      | 2022-01..2022-12 | 2022-06 | 2022-08 | 2022-07:3 2022-06:9
    f      | 2022-01..2022-12 | 2022-06 |         | 2022-06:1 2022-05:2
"""


def match(text: str, **options: object):
    """The matched design of a panel drawn by hand."""
    settings = {
        **SHORT,
        "exact": [],
        "replacement": "without",
        "rng": np.random.default_rng(1),
        **options,
    }
    return design_matched(hand_panel(text), **settings)


def sets(design) -> dict[str, list[str]]:
    """Matches of each exposed member, by the names drawn."""
    members = design.members
    exposed = members[members["cohort"].notna()].set_index("matched_set")["panel_member_id"]
    others = members[members["cohort"].isna()]
    return {
        name: sorted(others.loc[others["matched_set"] == number, "panel_member_id"])
        for number, name in exposed.items()
    }


def reasons(design) -> dict[str, int]:
    """Reasons met by somebody."""
    ledger = design.ledger[design.ledger["n_members"] > 0]
    return dict(zip(ledger["reason"], ledger["n_members"], strict=True))


def test_the_exposed_are_matched_to_the_nearest_who_became_eligible_when_they_did():
    assert sets(match(FIVE)) == {"a": ["b"], "d": ["f"]}


def test_every_member_of_the_panel_is_in_the_ledger_once():
    """c was exposed when everybody of May was matched or exposed."""
    design = match(FIVE)
    assert reasons(design) == {
        "exposed, everybody alike already matched to others": 1,
        "kept, exposed": 2,
        "kept, comparison only": 2,
    }
    assert design.ledger["n_members"].sum() == design.panel.n_members
    assert design.n_members == 4


def test_the_index_month_of_a_match_is_that_of_its_exposed_member():
    members = match(FIVE).members.set_index("panel_member_id")
    assert members.loc["b", "index_month"] == pd.Timestamp("2022-07-01")
    assert members.loc["f", "index_month"] == pd.Timestamp("2022-08-01")
    assert pd.isna(members.loc["b", "cohort"])
    assert members.loc["a", "cohort"] == members.loc["a", "index_month"]


def test_use_in_and_after_the_index_month_plays_no_part():
    """b has 2 visits in July, c none: before July b is like a."""
    assert sets(match(FIVE.replace("2022-07:2", "2022-07:9")))["a"] == ["b"]


def test_anticipation_months_are_not_matched_on():
    """Without June a has had 1 visit in April and May, as has c; b has had 4."""
    assert sets(match(FIVE, anticipation_months=1))["a"] == ["c"]


def test_a_member_exposed_in_the_same_month_is_no_match_and_one_exposed_later_is():
    text = FIVE.replace("2022-10 |", "2022-07 |")
    assert sets(match(text, ratio=2))["a"] == ["b"]
    assert sets(match(FIVE, ratio=2))["a"] == ["b", "c"]


def test_a_match_must_be_covered_in_the_index_month_and_the_look_back_but_not_later():
    gap = FIVE.replace("b      | 2022-01..2022-12", "b      | 2022-01..2022-05 2022-07..2022-12")
    assert sets(match(gap))["a"] == ["c"]
    ends = FIVE.replace("b      | 2022-01..2022-12", "b      | 2022-01..2022-07")
    assert sets(match(ends))["a"] == ["b"]


@pytest.mark.parametrize(
    ("censor", "a", "b", "c"),
    [
        ("set", "2022-09-01", "2022-09-01", "2022-09-01"),
        ("none", None, None, None),
    ],
)
def test_follow_up_ends_before_the_exposure_of_a_match(censor, a, b, c):
    members = match(FIVE, ratio=2, censor=censor).members
    first = members[members["matched_set"] == 1].set_index("panel_member_id")["last_month"]
    assert first.to_dict() == {k: pd.Timestamp(v) for k, v in {"a": a, "b": b, "c": c}.items()}


GAP = "2022-01..2022-08 2022-10..2022-12"


@pytest.mark.parametrize("censor", ["set", "none"])
@pytest.mark.parametrize("who", ["e1", "c1"])
@pytest.mark.parametrize("covered", ["2022-01..2022-08", GAP])
def test_a_set_ends_for_both_sides_where_anybody_in_it_loses_coverage(who, covered, censor):
    """Nobody's use changes, so the effect is 0 in every month that can be told."""
    text = """
        member | covered          | listed  | service | ed
        -------+------------------+---------+---------+---------------------
        e0     | 2022-01..2022-12 | 2022-05 | 2022-07 |
        c0     | 2022-01..2022-12 | 2022-05 |         |
        e1     | 2022-01..2022-12 | 2022-05 | 2022-07 | {use}
        c1     | 2022-01..2022-12 | 2022-05 |         | {use}
    """.format(use=" ".join(f"2022-{month:02d}:9" for month in range(1, 13)))
    line = next(row for row in text.splitlines() if row.strip().startswith(who))
    design = match(text.replace(line, line.replace("2022-01..2022-12", covered)), censor=censor)
    assert sets(design) == {"e0": ["c0"], "e1": ["c1"]}
    last = design.members.set_index("panel_member_id")["last_month"]
    assert last[["e1", "c1"]].tolist() == [pd.Timestamp("2022-08-01")] * 2
    assert last[["e0", "c0"]].isna().all()
    moments = reduce_panel(design, outcomes=["ed_visits"], unbalanced="cell_means")
    effects = group_time_att(moments, outcome="ed_visits", cluster="matched_group").to_frame()
    after = effects[effects["month"] >= "2022-07-01"]
    assert len(after) == 6
    np.testing.assert_allclose(after["estimate"], 0, atol=1e-12)


def test_following_a_set_without_one_of_its_matches_is_refused():
    """It takes the match's level out of the comparison while its exposed member stays."""
    with pytest.raises(DesignError, match="`censor` is 'member', not one of 'set', 'none'"):
        match(FIVE, censor="member")


def test_months_after_the_end_of_follow_up_are_not_in_the_moments():
    moments = reduce_panel(match(FIVE, ratio=2), outcomes=["ed_visits"], unbalanced="cell_means")
    july = (moments.cells["index_month"] == pd.Timestamp("2022-07-01")).to_numpy()
    assert moments.at_risk[july].sum(axis=0).tolist() == [3] * 9 + [0] * 3


def test_rows_of_the_panel_add_up_though_a_member_is_in_two_sets():
    """With replacement and eligibility in any month, f is the match of d and of c."""
    design = match(FIVE, replacement="with", same_eligibility="any", censor="none")
    rows = reduce_panel(design, outcomes=["ed_visits"], unbalanced="cell_means").provenance["rows"]
    again = rows.get("of these, a row used before in another matched set", 0)
    used = rows["used"] - again
    assert rows["used"] == 12 * len(design.members)
    assert again == 12
    assert used + rows["outside the design's members or months"] == 60


def test_an_exposed_member_may_have_been_the_match_of_an_earlier_one():
    text = FIVE.replace(
        "b      | 2022-01..2022-12 | 2022-05", "b      | 2022-01..2022-12 | 2022-04"
    )
    text += "    g      | 2022-01..2022-12 | 2022-05 |         | 2022-09:1\n"
    design = match(text)
    assert sets(design) == {"a": ["c"], "c": ["g"], "d": ["f"]}
    groups = design.members.groupby("matched_set")["matched_group"].first()
    exposed = design.members.dropna(subset="cohort").set_index("panel_member_id")["matched_set"]
    assert groups[exposed["a"]] == groups[exposed["c"]] != groups[exposed["d"]]
    assert reasons(design)["kept, exposed"] == 3
    assert design.n_members == 5


def test_matches_have_the_same_value_of_the_exact_columns():
    text = """
        member | covered          | listed  | service | race  | age | county | ed
        -------+------------------+---------+---------+-------+-----+--------+----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | black | 30  | Kern   | 2022-06:3
        b      | 2022-01..2022-12 | 2022-05 |         | white | 30  | Kern   | 2022-06:3
        c      | 2022-01..2022-12 | 2022-05 |         | black | 70  | Kern   | 2022-06:3
        d      | 2022-01..2022-12 | 2022-05 |         | black | 40  | Fresno | 2022-06:1
    """
    assert sets(match(text, exact=["race_ethnicity", "age_band"])) == {"a": ["d"]}
    assert sets(match(text, exact=["county"]))["a"] in (["b"], ["c"])
    design = match(text, exact=["race_ethnicity", "age_band"])
    assert set(design.members["age_band"]) == {"21-44"}
    with pytest.raises(DesignError, match="nobody of the same groups"):
        match(text, exact=["county", "race_ethnicity", "age_band"])


def test_the_caliper_leaves_members_without_a_match_and_says_so():
    with pytest.raises(DesignError, match=r"nobody alike within the caliper .*\n.*wider than 0"):
        match(FIVE.replace("2022-04:4", "2022-04:5"), caliper=0.0)
    design = match(FIVE, caliper=0.0)
    assert sets(design) == {"a": ["b"]}
    assert reasons(design)["exposed, nobody alike within the caliper"] == 2
    note = next(n for n in design.notes if "unmatched" in n)
    assert not re.search(r"\b[1-9]\b", note)


def test_the_effect_is_the_difference_of_changes_with_every_set_weighing_the_same():
    """a has matches b and c, d has f alone: by hand, base the month before the index month."""
    design = match(FIVE, ratio=2)
    assert sets(design) == {"a": ["b", "c"], "d": ["f"]}
    moments = reduce_panel(design, outcomes=["ed_visits"], unbalanced="cell_means")
    effects = group_time_att(moments, outcome="ed_visits", cluster="matched_group")
    row = aggregate(effects, by="event_time").to_frame().set_index("event_time").loc[0]
    of_a = (0 - 3) - ((2 - 0) + (0 - 0)) / 2
    of_d = (0 - 3) - (0 - 0)
    assert row["estimate"] == pytest.approx((of_a + of_d) / 2)


def test_the_error_is_that_of_the_sets_differences_when_nobody_is_in_two():
    """One match each and full follow-up: the estimate is a mean of independent differences."""
    rng = np.random.default_rng(7)
    lines = []
    for i in range(12):
        before, after = rng.integers(0, 6, 2)
        served = "2022-07" if i % 2 else "       "
        lines.append(
            f"m{i:02d} | 2022-01..2022-12 | 2022-05 | {served} | 2022-06:{before} 2022-07:{after}"
        )
    head = "member | covered | listed | service | ed\n-+-\n"
    design = match(head + "\n".join(lines))
    members = design.members
    frame = design.panel.to_frame().set_index(["member_id", "month"])["ed_visits"]
    change = frame.xs("2022-07-01", level="month") - frame.xs("2022-06-01", level="month")
    signed = members["panel_member_id"].map(change) * np.where(members["cohort"].notna(), 1, -1)
    by_set = signed.groupby(members["matched_set"]).sum()
    assert len(by_set) == 6
    moments = reduce_panel(design, outcomes=["ed_visits"], unbalanced="cell_means")
    effects = group_time_att(moments, outcome="ed_visits", cluster="matched_group")
    row = aggregate(effects, by="event_time").to_frame().set_index("event_time").loc[0]
    assert row["estimate"] == pytest.approx(by_set.mean())
    assert row["std_error"] == pytest.approx(by_set.std(ddof=0) / np.sqrt(6))


def test_errors_by_member_are_refused():
    moments = reduce_panel(match(FIVE), outcomes=["ed_visits"], unbalanced="cell_means")
    with pytest.raises(EstimationError, match="Use cluster='matched_group'"):
        group_time_att(moments, outcome="ed_visits")


@pytest.mark.parametrize("use_in", ["lookback", "each_month"])
def test_balance_shows_the_risk_sets_before_and_the_sets_after(use_in):
    """One index month, July; at risk b (4 visits), c (1) and e (0 visits) beside a (4)."""
    text = """
        member | covered          | listed  | service | ed
        -------+------------------+---------+---------+--------------------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-06:3 2022-05:1
        b      | 2022-01..2022-12 | 2022-05 |         | 2022-04:4
        c      | 2022-01..2022-12 | 2022-05 |         | 2022-05:1
        e      | 2022-01..2022-12 | 2022-05 |         |
        h      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-05:3
    """
    design = match(text, use_in=use_in)
    table = balance(design, outcomes=["ed_visits"], groups=[]).set_index("variable")
    row = table.loc["ed_visits per month before"]
    spread = np.std([4 / 3, 1], ddof=1)
    if use_in == "lookback":
        assert sets(design) == {"a": ["b"], "h": ["c"]}
        assert row["mean_comparison"] == pytest.approx((4 / 3 + 1 / 3) / 2)
        assert row["standardized_difference"] == pytest.approx((7 / 6 - 5 / 6) / spread)
    before = (7 / 6 - (4 + 1 + 0) / 9) / spread
    assert row["standardized_difference_before"] == pytest.approx(before)
    ratio = np.var([4 / 3, 1], ddof=1) / np.var([4 / 3, 1 / 3, 0], ddof=1)
    assert row["variance_ratio_before"] == pytest.approx(ratio)


def test_no_id_is_in_what_is_printed():
    design = match(FIVE.replace("a      ", "Zoe    "))
    text = repr(design) + design._repr_html_() + " ".join(design.notes) + design.estimand_words
    assert "Zoe" not in text
    assert "Zoe" not in " ".join(design.members["member_id"])


def test_the_propensity_distance_orders_as_the_one_variable_it_is_made_of():
    rng = np.random.default_rng(3)
    lines = [
        f"m{i:02d} | 2022-01..2022-12 | 2022-05 | {'2022-07' if rng.random() < 0.4 else ''} "
        f"| 2022-06:{rng.integers(0, 9)}"
        for i in range(40)
    ]
    text = "member | covered | listed | service | ed\n-+-\n" + "\n".join(lines)
    by_score = match(text, distance="propensity")
    assert sets(by_score) == sets(match(text))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"match_on": ["happiness"]}, "`match_on` names `happiness`"),
        ({"match_on": []}, "`match_on` is empty"),
        ({"match_on": "ed_visits"}, r'give a list, such as \["ed_visits"\]'),
        ({"match_on": ["ed_visits", "ed_visits"]}, "twice"),
        ({"exact": ["shoe_size"]}, "`exact` names `shoe_size`"),
        ({"ratio": 0}, "`ratio` is 0"),
        ({"caliper": -1.0}, "`caliper` is -1.0"),
        ({"distance": "euclid"}, "`distance` is 'euclid'"),
        ({"censor": "never"}, "`censor` is 'never'"),
        ({"match_on": ["ed_visits", "age_years"]}, "`age_years` is the same for every member"),
        ({"use_in": "each_month", "match_on": ["inpatient_stays"]}, "not known|nobody|in no month"),
        ({"age_bands": (40, 30), "exact": ["age_band"]}, "rising first ages"),
    ],
)
def test_what_is_refused(options, words):
    with pytest.raises(DesignError, match=words):
        match(FIVE, **options)


def test_nobody_or_everybody_exposed_at_once_is_refused():
    with pytest.raises(DesignError, match="in no month is there both"):
        match(re.sub(r"2022-0[78] \|", "        |", FIVE).replace("2022-10 |", "        |"))
    everybody = """
        member | covered          | listed  | service | ed
        -------+------------------+---------+---------+----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-06:3
        b      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-06:1
    """
    with pytest.raises(DesignError, match="in no month is there both"):
        match(everybody)


def test_eligibility_by_high_use_is_the_same_rule_for_both_sides():
    """a and b reach five visits in May; c has four and never becomes eligible."""
    text = """
        member | covered          | service | ed
        -------+------------------+---------+--------------------
        a      | 2022-01..2022-12 | 2022-07 | 2022-04:2 2022-05:3
        b      | 2022-01..2022-12 |         | 2022-04:1 2022-05:4
        c      | 2022-01..2022-12 |         | 2022-04:2 2022-05:2
    """
    text += "        d      | 2022-01..2022-12 |         | 2022-04:5 2022-06:1\n"
    design = match(text, eligibility="high_ed_use")
    assert sets(design) == {"a": ["b"]}
    assert reasons(design)["never became eligible"] == 1
    assert reasons(design)["eligible and not yet exposed, nobody's match"] == 1


def test_anchor_population_and_time_of_eligibility_are_those_asked_for():
    text = """
        member | covered          | listed  | outreach | service | focus | ed
        -------+------------------+---------+----------+---------+-------+----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-06  | 2022-08 | 1a    | 2022-05:3
        b      | 2022-01..2022-12 | 2022-05 |          |         | 2     | 2022-05:3
        c      | 2022-01..2022-12 | 2022-05 |          |         | 1a;2  | 2022-05:1
        d      | 2022-01..2022-12 | 2022-04 |          |         | 1a    | 2022-05:3
        e      | 2022-01..2022-12 | 2022-03 |          |         | 1a    | 2022-04:3
    """
    assert sets(match(text))["a"] == ["b"]
    one = match(text, population_of_focus="1a", anchor="first_outreach")
    assert sets(one)["a"] == ["c"]
    assert one.members["index_month"].unique().tolist() == [pd.Timestamp("2022-06-01")]
    assert sets(match(text, population_of_focus="1a", same_eligibility="quarter"))["a"] == ["d"]
    since = ["ed_visits", "months_since_eligibility"]
    far = match(text, match_on=since, same_eligibility="any", ratio=4)
    distance = far.members.set_index("panel_member_id")["distance"]
    assert distance["b"] == pytest.approx(0.0)
    assert distance["e"] > distance["d"] > 0


def test_members_without_an_age_are_not_matched_on_age():
    drawn = hand_panel(FIVE)
    frame = drawn.to_frame()
    ages = frame["member_id"].map({"a": None, "b": 30, "c": 60, "d": 40, "f": 70})
    frame = frame.assign(age_years=ages.astype("Int64"))
    panel = type(drawn).from_frames(frame, drawn.exposure_frame())
    options = {**SHORT, "match_on": ["age_years"], "exact": []}
    design = design_matched(panel, rng=np.random.default_rng(1), **options)
    assert reasons(design)["exposed, a matching variable not known before exposure"] == 1
    assert sets(design) == {"c": ["b"], "d": ["f"]}


def test_a_match_is_free_again_in_the_next_index_month_but_not_in_the_same():
    text = """
        member | covered          | listed  | service | ed
        -------+------------------+---------+---------+----------
        a      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-06:3
        b      | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-06:2
        c      | 2022-01..2022-12 | 2022-05 | 2022-08 | 2022-06:9
        d      | 2022-01..2022-12 | 2022-05 |         | 2022-06:3
        e      | 2022-01..2022-12 | 2022-05 |         |
    """
    assert sets(match(text, replacement="across_months")) == {"a": ["d"], "b": ["e"], "c": ["d"]}
    assert sets(match(text, replacement="with")) == {"a": ["d"], "b": ["d"], "c": ["d"]}
    assert sets(match(text, replacement="without")) == {"a": ["d"], "b": ["e"]}


def test_a_note_says_that_matches_are_fewer_members_than_matches():
    lines = [f"e{i:02d} | 2022-01..2022-12 | 2022-05 | 2022-07 | 2022-06:{i}" for i in range(20)]
    lines += [f"c{i:02d} | 2022-01..2022-12 | 2022-05 | | 2022-06:{i}" for i in range(3)]
    text = "member | covered | listed | service | ed\n-+-\n" + "\n".join(lines)
    notes = " ".join(match(text, replacement="with").notes)
    assert "The matches, about 20, are fewer than 11 different members" in notes
    assert "The largest cluster holds more than a tenth" in notes
    assert "different members" not in " ".join(match(text).notes)
