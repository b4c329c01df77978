"""What must hold for any panel: the ledger adds up, and nothing hangs on ids or row order."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.design import Design, design_exposure
from calaim_eval.equity import rate_by_group
from calaim_eval.errors import DesignError
from calaim_eval.panel import MemberMonths

MONTHS = pd.date_range("2022-01-01", periods=14, freq="MS")
SETTINGS = {"lookback_months": 2, "follow_up_months": 2}


def world(seed: int, n_members: int = 40) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Members with gaps in coverage, listed and served at random, some in the wrong order."""
    rng = np.random.default_rng(seed)
    ids = [f"m{i:02d}" for i in range(n_members)]
    grid = pd.MultiIndex.from_product([ids, MONTHS], names=["member_id", "month"])
    months = pd.DataFrame(index=grid).reset_index()
    months = months[rng.random(len(months)) < rng.choice([0.7, 0.98])]
    months = months.assign(
        covered_days=28,
        ed_visits=rng.poisson(0.4, len(months)),
        age_years=30,
        race_ethnicity=rng.choice(["black", "nhpi", "unknown"], len(months)),
    )

    def some_months(share: float) -> pd.Series:
        drawn = pd.Series(rng.choice(MONTHS, n_members))
        return drawn.where(rng.random(n_members) < share)

    exposures = pd.DataFrame(
        {
            "member_id": ids,
            "service": "ecm",
            "identified_month": some_months(0.8),
            "outreach_month": some_months(0.5),
            "service_month": some_months(0.5),
        }
    )
    return months, exposures


def build(months: pd.DataFrame, exposures: pd.DataFrame, **options: object) -> Design | str:
    """The design, or its refusal as text."""
    try:
        panel = MemberMonths.from_frames(months, exposures)
        return design_exposure(panel, **{**SETTINGS, **options})
    except DesignError as error:
        return str(error)


def summary(design: Design | str) -> object:
    """What must not move: the ledger and the cohorts by eligibility month."""
    if isinstance(design, str):
        return design
    members = design.members
    cells = members.groupby(["eligibility_month", "cohort"], dropna=False).size()
    return design.ledger["n_members"].tolist(), cells.to_dict().values(), len(members)


seeds = st.integers(0, 10_000)
anchors = st.sampled_from(["first_service", "first_outreach"])
comparisons = st.sampled_from(["not_yet_exposed", "never_exposed"])


@settings(max_examples=25, deadline=None)
@given(seed=seeds, anchor=anchors, comparison=comparisons)
def test_every_member_is_counted_once_and_every_kept_member_meets_the_rules(
    seed, anchor, comparison
):
    months, exposures = world(seed)
    design = build(months, exposures, anchor=anchor, comparison=comparison)
    if isinstance(design, str):
        return
    assert design.ledger["n_members"].sum() == months["member_id"].nunique()
    members = design.members
    exposed = members[members["cohort"].notna()]
    assert (exposed["cohort"] >= exposed["eligibility_month"]).all()
    covered = set(zip(months["member_id"], months["month"], strict=True))
    for back in (0, 1, 2):
        when = members["eligibility_month"] - pd.DateOffset(months=back)
        assert all(pair in covered for pair in zip(members["member_id"], when, strict=True))
    sides = members.groupby("eligibility_month")["cohort"].agg(lambda c: c.nunique(dropna=False))
    assert (sides > 1).all()


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_row_order_and_new_ids_change_nothing(seed):
    months, exposures = world(seed)
    rng = np.random.default_rng(seed)
    ids = exposures["member_id"]
    renamed = dict(zip(ids, rng.permutation([f"z{i}" for i in range(len(ids))]), strict=True))
    turned = [
        f.assign(member_id=f["member_id"].map(renamed)).sample(frac=1, random_state=seed)
        for f in (months, exposures)
    ]
    one, other = summary(build(months, exposures)), summary(build(*turned))
    if isinstance(one, str):
        assert one == other
    else:
        assert one[0] == other[0]
        assert sorted(one[1]) == sorted(other[1])


@settings(max_examples=10, deadline=None)
@given(seed=seeds, scale=st.integers(2, 5))
def test_rates_scale_with_the_outcome_and_members_without_use_only_dilute(seed, scale):
    months, _ = world(seed)
    options = {"outcome": "ed_visits", "by": "race_ethnicity"}
    once = rate_by_group(months, **options)
    more = rate_by_group(months.assign(ed_visits=scale * months["ed_visits"]), **options)
    np.testing.assert_allclose(more.rate, scale * once.rate)
    idle = months.assign(member_id="idle-" + months["member_id"], ed_visits=0)
    with_idle = rate_by_group(pd.concat([months, idle]), **options)
    np.testing.assert_allclose(with_idle.rate, once.rate / 2)
    np.testing.assert_array_equal(with_idle.n_members, once.n_members)
