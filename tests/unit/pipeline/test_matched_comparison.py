"""The matched comparison of a study: what the study file says of it, its balance, its effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.design import balance
from calaim_eval.design.design import PANEL_MEMBER
from calaim_eval.design.member_month_parts import member_month_parts
from calaim_eval.disclosure import load_policy, release
from calaim_eval.errors import StudyFileError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel
from calaim_eval.panel import MEASURES
from calaim_eval.pipeline.matched import balance_table, match_members, matched_design
from calaim_eval.results import load_results
from calaim_eval.study import init_study, read_study, study_template

OPTIONS = ("mean_exposed", "mean_comparison", "difference_before", "difference_after")


def variant(small_run, change, name: str = "other.toml"):
    """The small study with another study file."""
    text = small_run.study.path.read_text(encoding="utf-8")
    path = small_run.study.folder / name
    path.write_text(change(text), encoding="utf-8")
    return read_study(path)


def without_matched(text: str) -> str:
    head, tail = text.split("[matched]")
    return head + tail[tail.index("# County phases") :]


def test_the_template_has_a_matched_section_with_the_defaults(tmp_path):
    stated = read_study(init_study(tmp_path)).file.matched
    assert stated is not None
    assert (stated.ratio, stated.match_on, stated.exact) == (
        1,
        ("ed_visits", "inpatient_stays"),
        ("race_ethnicity",),
    )
    assert stated.lookback_months is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('match_on = ["ed_visits"', 'match_on = ["er_visits"'), "er_visits"),
        (lambda t: t.replace("ratio = 1 ", "ratio = 0 "), "ratio"),
        (lambda t: t.replace("ratio = 1 ", "ration = 1 "), "did you mean `ratio`"),
        (
            lambda t: t[: t.index("[exposure]")] + t[t.index("[matched]") :],
            "it needs `exposure`",
        ),
    ],
)
def test_a_wrong_matched_section_is_refused(tmp_path, change, message):
    path = tmp_path / "study.toml"
    path.write_text(change(study_template()), encoding="utf-8")
    with pytest.raises(StudyFileError, match=message):
        read_study(path)


def test_without_the_section_nothing_is_matched(small_run):
    study = variant(small_run, without_matched)
    assert match_members(study, small_run.panel) == ({}, {})


def test_one_plan_is_not_matched_beside_the_effects_of_several(small_run):
    """Sets are not among the moments that plans share: the two columns were of other members."""
    study = small_run.study
    others = [study.restricted / "moments" / "first_service.moments"]
    results, left_out = match_members(study, small_run.panel, pooled_with=others)
    assert results == {}
    assert set(left_out) >= {"matched_overall", "matched_balance"}
    assert all("plans share" in reason for reason in left_out.values())
    bare = variant(small_run, without_matched, name="bare.toml")
    assert match_members(bare, small_run.panel, pooled_with=others) == ({}, {})


def test_effects_are_those_of_the_design_by_hand(small_run):
    """The overall effect of the saved results, from the design through the public functions."""
    study = small_run.study
    design = matched_design(study, small_run.panel)
    moments = reduce_panel(design, outcomes=["ed_visits"], unbalanced="cell_means")
    att_gt = group_time_att(moments, outcome="ed_visits", cluster="matched_group", per=1000)
    expected = aggregate(
        att_gt, by="overall", max_event_time=study.file.exposure.follow_up_months
    ).to_frame()
    found = load_results(study.restricted / "results" / "effects")["matched_overall"].to_frame()
    row = found[found["outcome"] == "ed_visits"].iloc[0]
    for column in ("estimate", "std_error", "n_members", "n_events"):
        assert row[column] == pytest.approx(expected[column].iloc[0]), column
    exposed = design.members["cohort"].notna()
    different = [design.members.loc[s, PANEL_MEMBER].nunique() for s in (exposed, ~exposed)]
    assert row["n_members"] <= min(different)


def test_balance_is_that_of_the_design_with_members_counted_once(small_run):
    study = small_run.study
    design = matched_design(study, small_run.panel)
    direct = balance(
        design, outcomes=["ed_visits", "inpatient_stays"], groups=["race_ethnicity"]
    ).set_index(["variable", "level"])
    table = load_results(study.restricted / "results" / "effects")["matched_balance"]
    frame = table.to_frame()
    assert set(frame["what"]) == set(OPTIONS)
    for what, column in (
        ("mean_exposed", "mean_exposed"),
        ("mean_comparison", "mean_comparison_in_cells"),
        ("difference_before", "standardized_difference_before"),
        ("difference_after", "standardized_difference"),
    ):
        rows = frame[frame["what"] == what].set_index(["variable", "level"])
        known = direct[column].dropna()
        if what.startswith("mean"):
            is_group = known.index.get_level_values("level") != ""
            known = known.where(~is_group, known.round(2))  # more digits would be counts
        np.testing.assert_allclose(rows.loc[known.index, "estimate"], known, atol=1e-12)
    matches = design.members[design.members["cohort"].isna()]
    use = frame[frame["variable"].str.startswith("ed_visits")]
    assert (use["n_members"] <= matches[PANEL_MEMBER].nunique()).all()


def members(groups: dict[str, int]) -> pd.DataFrame:
    """Parts of a matched design by group: each exposed member with a match of its own."""
    rows = []
    for group, size in groups.items():
        for i in range(size):
            rows += [
                (f"{group} e{i}", pd.Timestamp("2022-07-01"), group),
                (f"{group} c{i}", pd.NaT, group),
            ]
    return pd.DataFrame(rows, columns=[PANEL_MEMBER, "cohort", "race_ethnicity"])


@pytest.mark.parametrize(
    ("groups", "hidden"),
    [
        ({"white": 60, "black": 40, "asian": 30}, set()),
        ({"white": 60, "black": 40, "nhpi": 4}, {"nhpi", "black"}),
        ({"white": 60, "black": 40, "nhpi": 4, "aian": 9}, {"nhpi", "aian"}),
        ({"white": 60, "black": 40, "nhpi": 4, "aian": 3}, {"nhpi", "aian", "black"}),
    ],
)
def test_a_single_small_group_does_not_follow_from_the_others(small_run, groups, hidden):
    from calaim_eval.pipeline.matched import _different_members, _with_second_group

    found = pd.DataFrame(
        [("ed_visits", ""), *(("race_ethnicity", group) for group in groups)],
        columns=["variable", "level"],
    )
    counted = _with_second_group(found, _different_members(members(groups), found), 11)
    assert set(found.loc[counted < 11, "level"]) == hidden
    assert counted[0] == sum(groups.values())


def test_small_groups_of_the_balance_are_not_released(small_run):
    study = small_run.study
    table = load_results(study.restricted / "results" / "effects")["matched_balance"]
    shown = small_run.released.tables["matched_balance"].frame
    least = load_policy(study.file.disclosure.policy).min_count
    few = table.support["n_members"].to_numpy() < least
    assert few.any()
    assert shown.loc[few, "is_suppressed"].all()
    assert shown.loc[few, "estimate"].isna().all()
    by_race = small_run.released.tables["matched_by_race"].frame
    kept = load_results(study.restricted / "results" / "effects")["matched_by_race"]
    assert by_race.loc[kept.support["n_members"].to_numpy() < least, "is_suppressed"].all()


def test_windows_that_leave_no_month_are_a_reason_and_no_failure(small_run):
    study = variant(
        small_run,
        lambda t: t.replace("[matched]\n", "[matched]\nlookback_months = 24\n").replace(
            "follow_up_months = 12 ", "follow_up_months = 36 "
        ),
        name="none.toml",
    )
    results, left_out = match_members(study, small_run.panel)
    assert results == {}
    assert set(left_out) >= {"matched_overall", "matched_balance"}
    assert all(left_out.values())


def test_effects_by_group_need_matches_of_the_same_group(small_run):
    study = variant(
        small_run,
        lambda t: t.replace('exact = ["race_ethnicity"]', 'exact = ["sex"]'),
        name="sex.toml",
    )
    results, _ = match_members(study, small_run.panel)
    assert {"matched_overall", "matched_event_study", "matched_balance"} == set(results)
    assert set(results["matched_balance"].keys["variable"]) >= {"sex", "age_years"}


def events_by_hand(design, panel, outcome: str) -> tuple[float, float]:
    """Events of the look-backs of both sides, a month of a member counted once a side."""
    use = pd.concat(member_month_parts(panel, [outcome])).set_index(["member_id", "month_number"])
    known = use[outcome].dropna()
    if MEASURES[outcome].dtype == "number":
        known = known.ne(0).astype(int)
    by_month = known.to_dict()
    sides = []
    for is_side in (design.members["cohort"].notna(), design.members["cohort"].isna()):
        seen = {
            (member, index.year * 12 + index.month - 1 - 1970 * 12 - back)
            for member, index in design.members.loc[
                is_side, [PANEL_MEMBER, "index_month"]
            ].itertuples(index=False)
            for back in range(1, design.lookback_months + 1)
        }
        sides.append(float(sum(by_month.get(each, 0) for each in seen)))
    return sides[0], sides[1]


def test_balance_hides_measures_of_few_events(small_run):
    """A mean to three digits times the members is their number of events."""
    study = small_run.study
    design = matched_design(study, small_run.panel)
    outcomes = ["ed_visits", "inpatient_stays", "ed_visits_admitted", "snf_days", "paid_usd"]
    table = balance_table(design, outcomes=outcomes, options=study.file.matched, min_count=11)
    shown = release({"matched_balance": table}).tables["matched_balance"].frame
    n_few = 0
    for outcome in outcomes:
        rows = (table.keys["variable"] == f"{outcome} per month before").to_numpy()
        sides = events_by_hand(design, small_run.panel, outcome)
        expected = min(sides) if min(sides) > 0 else max(sides)
        assert (table.support.loc[rows, "n_events"] == expected).all(), outcome
        is_few = 0 < expected < 11
        n_few += is_few
        assert (shown.loc[rows, "is_suppressed"] == is_few).all(), outcome
        assert (shown.loc[rows, "estimate"].isna() == is_few).all(), outcome
    assert 0 < n_few < len(outcomes)
