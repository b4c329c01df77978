"""What must hold for any referrals, contracts and classifications."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from calaim_eval.estimate.time_to_event.cumulative_incidence import cumulative_incidence
from calaim_eval.integration import (
    contracted_but_idle,
    coverage_summary,
    delivery_members,
    delivery_organizations,
    referral_closure,
    referral_funnel,
    service_coverage,
    time_to_service,
)
from calaim_eval.integration.referral_roots import chain_places

AS_OF = "2024-12-31"
RACES = ["aian", "black", "white", "unknown"]
PERSON = pd.DataFrame({"member_id": [f"m{i}" for i in range(8)], "race_ethnicity": RACES * 2})
TYPES = ["cbo", "clinic", "for_profit"]
ORGANIZATION = pd.DataFrame(
    {"organization_id": [f"o{i}" for i in range(6)], "organization_type": TYPES * 2}
)

day_or_none = st.one_of(st.none(), st.integers(0, 400))


@st.composite
def referrals(draw) -> pd.DataFrame:
    """Referrals of eight members with any dates that do not close before they open."""
    n = draw(st.integers(1, 25))
    rows = []
    for i in range(n):
        referred = draw(st.integers(0, 300))
        steps = [draw(day_or_none) for _ in range(4)]
        closed = draw(day_or_none)
        rows.append(
            [
                f"r{i}",
                f"m{draw(st.integers(0, 7))}",
                referred,
                *steps,
                None if closed is None else referred + closed,
                draw(st.sampled_from(["services_received", "died", None])),
                draw(st.sampled_from(["accepted", "closed", "pending", None])),
            ]
        )
    columns = ["referral_id", "member_id", "referred_date", "authorized_date", "accepted_date"]
    columns += ["reached_date", "service_started_date", "closed_date"]
    frame = pd.DataFrame(rows, columns=[*columns, "closure_reason", "referral_status"])
    for column in columns[2:]:
        days = pd.to_timedelta(frame[column].astype(float), unit="D")
        frame[column] = pd.Timestamp("2024-01-01") + days
    return frame.assign(service="ecm")


def _contracts(pairs: list[tuple[int, int, int]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "plan": [f"p{p}" for p, _, _ in pairs],
            "organization_id": [f"o{o}" for _, o, _ in pairs],
            "county": [["Kings", "Tulare", "Inyo"][c] for _, _, c in pairs],
            "service": "ecm",
        }
    )


contracts = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=25
).map(_contracts)

services = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 5), st.integers(0, 2)), min_size=1, max_size=30
).map(
    lambda triples: pd.DataFrame(
        {
            "member_id": [f"m{m}" for m, _, _ in triples],
            "organization_id": [f"o{o}" for _, o, _ in triples],
            "county": [["Kings", "Tulare", "Inyo"][c] for _, _, c in triples],
            "service": "ecm",
            "record_type": "service",
            "record_date": "2024-11-05",
        }
    )
)


@settings(deadline=None, max_examples=40)
@given(rows=referrals())
def test_the_funnel_never_widens_and_groups_add_up(rows):
    funnel = referral_funnel(rows, as_of=AS_OF, by="race_ethnicity", person=PERSON)
    wide = funnel.to_frame().pivot_table(
        index="race_ethnicity", columns="step", values="numerator", sort=False
    )
    assert (np.diff(wide.to_numpy(), axis=1) <= 0).all()
    np.testing.assert_array_equal(wide.drop("all").sum(), wide.loc["all"])
    assert (funnel.n_members <= funnel.numerator).all()
    has_any = funnel.denominator > 0
    assert (funnel.conf_low[has_any] <= funnel.rate[has_any] + 1e-12).all()
    assert (funnel.conf_high[has_any] >= funnel.rate[has_any] - 1e-12).all()


@settings(deadline=None, max_examples=25)
@given(rows=referrals(), seed=st.integers(0, 5))
def test_row_order_and_new_ids_move_nothing(rows, seed):
    usable = pd.DataFrame({"referral_id": ["u"], "member_id": ["m0"], "service": ["ecm"]})
    usable["referred_date"] = pd.Timestamp("2024-03-01")  # one that every measure can follow
    rows = pd.concat([rows, usable], ignore_index=True)
    renamed = rows.sample(frac=1, random_state=seed).assign(
        referral_id=lambda f: "x" + f["referral_id"], member_id=lambda f: "y" + f["member_id"]
    )
    for measure in (referral_funnel, time_to_service):
        assert_frame_equal(
            measure(rows, as_of=AS_OF).to_frame(), measure(renamed, as_of=AS_OF).to_frame()
        )


@settings(deadline=None, max_examples=25)
@given(rows=referrals())
def test_forwarded_referrals_are_not_counted(rows):
    children = rows.assign(
        root_referral_id=rows["referral_id"], referral_id="child-" + rows["referral_id"]
    )
    both = pd.concat([rows, children], ignore_index=True)
    assert_frame_equal(
        referral_closure(rows, as_of=AS_OF, maturation_days=0).to_frame(),
        referral_closure(both, as_of=AS_OF, maturation_days=0).to_frame(),
    )


@settings(deadline=None, max_examples=60)
@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 12))),
        unique_by=lambda pair: pair[0],
        min_size=1,
    )
)
def test_place_in_a_chain_equals_walking_it(pairs):
    frame = pd.DataFrame(
        {
            "referral_id": [str(own) for own, _ in pairs],
            "root_referral_id": [None if up is None else str(up) for _, up in pairs],
        }
    )
    parent = dict(pairs)

    def walk(own: int) -> str:
        if parent[own] in (None, own):
            return "root"
        seen, at = {own}, parent[own]
        while True:
            if at not in parent:
                return "orphan"
            if parent[at] in (None, at):
                return "child"
            if at in seen:
                return "cycle"
            seen.add(at)
            at = parent[at]

    assert chain_places(frame)[0].tolist() == [walk(own) for own, _ in pairs]


@settings(deadline=None, max_examples=60)
@given(
    spells=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2)), min_size=1, max_size=30),
)
def test_incidence_of_all_causes_and_what_is_open_add_to_one(spells):
    duration = np.array([d for d, _ in spells], dtype=float)
    cause = np.array([c for _, c in spells])
    times = np.arange(0.0, duration.max() + 1)
    curve = cumulative_incidence(duration, cause, times=times, n_causes=2)
    either = cumulative_incidence(duration, (cause > 0).astype(int), times=times, n_causes=1)
    np.testing.assert_allclose(curve.estimate.sum(axis=1), either.estimate[:, 0], atol=1e-12)
    assert (np.diff(curve.estimate, axis=0) >= -1e-12).all()
    np.testing.assert_allclose(curve.influence.sum(axis=2), either.influence[:, :, 0], atol=1e-10)


@settings(deadline=None, max_examples=25)
@given(contract=contracts, service=services)
def test_active_is_never_more_than_contracted(contract, service):
    coverage = service_coverage(
        contract, service, quarter="2024Q4", counties=["Kings", "Tulare", "Inyo"], services=["ecm"]
    )
    assert (coverage.numerator <= coverage.denominator).all()
    one = coverage_summary(coverage).numerator[0]
    two = coverage_summary(coverage, at_least=2).numerator[0]
    assert two <= one == (coverage.numerator >= 1).sum()
    idle = contracted_but_idle(contract, service, quarter="2024Q4")
    assert idle.denominator[0] == contract["organization_id"].nunique()


@settings(deadline=None, max_examples=25)
@given(contract=contracts, service=services)
def test_types_partition_organizations_and_cover_members(contract, service):
    by_type = delivery_organizations(contract, ORGANIZATION, quarter="2024Q4")
    assert by_type.numerator.sum() == by_type.denominator[0]
    members = delivery_members(service, ORGANIZATION, quarter="2024Q4")
    assert members.numerator.max() <= members.denominator[0] <= members.numerator.sum()
