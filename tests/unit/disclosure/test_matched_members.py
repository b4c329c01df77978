"""A member in several matched sets is one member to disclosure control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hand_panel import hand_panel

from calaim_eval.design import design_matched
from calaim_eval.disclosure import moments_to_share, release
from calaim_eval.errors import DisclosureError, EstimationError, TableError
from calaim_eval.estimate import aggregate, group_time_att, pre_post
from calaim_eval.moments import load_moments, reduce_panel

POLICY = "calhhs_ddg_2"  # smallest count 11
HEAD = "member | covered | listed | service | ed | county\n-+-\n"


def few_matches(
    n_matches: int = 3,
    *,
    n_exposed: int = 20,
    visits: int = 9,
    exposed: tuple[str, ...] = ("2022-07", "2022-08"),
    cluster: str | None = None,
):
    """Moments of `n_exposed` sets that share `n_matches` different matches."""
    lines = [
        f"e{i:02d} | 2022-01..2022-12 | 2022-05 | {exposed[i % len(exposed)]} "
        f"| 2022-06:{i % 4} 2022-09:2 | {('Fresno', 'Kings')[i // 2 % 2]}"
        for i in range(n_exposed)
    ]
    lines += [
        f"c{i:02d} | 2022-01..2022-12 | 2022-05 | | 2022-06:{i % 3} "
        + (f"2022-09:{visits}" if i == 0 else "")
        + " | Kings"
        for i in range(n_matches)
    ]
    design = design_matched(
        hand_panel(HEAD + "\n".join(lines)),
        lookback_months=3,
        follow_up_months=3,
        match_on=["ed_visits"],
        exact=[],
        replacement="with",
        rng=np.random.default_rng(1),
    )
    return design, reduce_panel(design, outcomes=["ed_visits"], cluster=cluster)


def overall(moments, cluster="county"):
    effects = group_time_att(moments, outcome="ed_visits", cluster=cluster)
    return aggregate(effects, by="overall")


def test_matches_are_counted_once_however_many_sets_they_are_in():
    design, moments = few_matches(cluster="county")
    matches = design.members[design.members["cohort"].isna()]
    assert len(matches) == 20
    assert 1 < matches["panel_member_id"].nunique() <= 3
    assert overall(moments).support["n_members"].tolist() == [matches["panel_member_id"].nunique()]


@pytest.mark.parametrize("by", ["event_time", "cohort", "month"])
def test_support_is_never_more_than_the_different_members_there_are(by):
    design, moments = few_matches(cluster="county")
    effects = group_time_att(moments, outcome="ed_visits", cluster="county")
    others = design.members.loc[design.members["cohort"].isna(), "panel_member_id"].nunique()
    for table in (effects, aggregate(effects, by=by)):
        assert (table.support["n_members"] <= others).all()
        assert (table.support["n_events"] >= 0).all()


def test_an_event_of_a_match_is_counted_once():
    """c00 alone has visits in September: one, in every set that c00 is in."""
    _, moments = few_matches(n_matches=1, visits=1, exposed=("2022-07",), cluster="county")
    after = aggregate(
        group_time_att(moments, outcome="ed_visits", cluster="county"),
        by="month",
    )
    row = after.keys["month"].astype(str).str.startswith("2022-09").to_numpy()
    assert after.support.loc[row, "n_events"].tolist() == [1]
    assert after.support.loc[row, "n_members"].tolist() == [1]


def test_change_over_time_counts_members_once_too():
    design, moments = few_matches(cluster="county")
    matches = design.members[design.members["cohort"].isna()]
    table = pre_post(
        moments, outcome="ed_visits", cluster="county", months_before=3, months_after=3
    )
    others = (table.keys["side"] != "exposed").to_numpy()
    assert table.support.loc[others, "n_members"].max() == matches["panel_member_id"].nunique()


def test_an_effect_against_three_members_is_not_released(tmp_path):
    _, moments = few_matches(cluster="county")
    released = release(
        {"matched": overall(moments)},
        policy=POLICY,
        to=tmp_path,
        quarter="2022Q4",
        ledger=tmp_path / "ledger.jsonl",
        provenance={},
    )
    frame = released.tables["matched"].frame
    assert frame["is_suppressed"].all()
    assert frame["estimate"].isna().all()


def test_parts_of_members_are_not_shared():
    _, moments = few_matches(n_exposed=40, cluster="county")
    with pytest.raises(DisclosureError, match="matched design"):
        moments_to_share(moments, policy=POLICY)


def test_members_are_still_told_apart_after_saving_adding_and_pooling(tmp_path):
    design, moments = few_matches(cluster="county")
    n_matches = design.members.loc[design.members["cohort"].isna(), "panel_member_id"].nunique()
    again = load_moments(moments.save(tmp_path / "matched.moments"))
    both = again + moments
    whole = both.pooled("n_matches")
    assert overall(again).support["n_members"].tolist() == [n_matches]
    assert overall(both).support["n_members"].tolist() == [2 * n_matches]
    assert overall(whole).support["n_members"].tolist() == [2 * n_matches]


def test_moments_that_do_not_tell_members_from_parts_are_refused(tmp_path):
    """Files written before members were counted once."""
    _, moments = few_matches(cluster="county")
    path = replace(moments, different=None).save(tmp_path / "old.moments")
    with pytest.raises(TableError, match="Reduce the panel again"):
        load_moments(path)


def test_errors_by_member_are_refused_whatever_the_cluster_sums():
    _, moments = few_matches(cluster="county")
    with pytest.raises(EstimationError, match="matched design"):
        overall(moments, cluster="member")
