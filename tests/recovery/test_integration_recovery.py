"""Measures of CBO integration against known truth: a few draws here, two hundred in the slow suite.

The numbers of two hundred draws are in `docs/methods/recovery.md`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from integration_recovery import (
    AGES,
    AS_OF,
    CONFIRMED,
    EXIT,
    START,
    Row,
    bounds_hold,
    closed_by_now,
    coordinator_rows,
    coordinators_found,
    draw_referrals,
    null_p_values,
    placebo_p_values,
    referral_rows,
    started_by,
)

from calaim_eval.integration import service_coverage

SLOW = 200


def holds(row: Row) -> None:
    """No bias and right coverage, to three and a half Monte Carlo errors."""
    assert abs(row.bias) < 3.5 * row.chance, row.what
    assert row.coverage > 0.95 - 3.5 * row.coverage_chance, row.what


def too_narrow(row: Row) -> None:
    """No bias, and intervals that hold the truth less often than they say."""
    assert abs(row.bias) < 3.5 * row.chance, row.what
    assert row.coverage < 0.95 - 3.5 * row.coverage_chance, row.what


def fails(row: Row) -> None:
    """A bias that chance does not explain."""
    assert abs(row.bias) > 5 * row.chance, row.what


def test_the_closed_form_is_what_is_drawn():
    """Of the truth itself: a million referrals of the same law, without a look at the data."""
    rng = np.random.default_rng(11)
    haste = rng.gamma(2, 0.5, 1_000_000)
    when = rng.exponential(1 / ((START + EXIT) * haste)).astype(int)
    is_start = rng.random(1_000_000) < START / (START + EXIT)
    for day in (0, 30, 90):
        assert abs((is_start & (when <= day)).mean() - started_by(day)) < 0.003


def test_what_is_seen_of_a_draw_ends_on_the_day_looked_at():
    referral = draw_referrals(np.random.default_rng(1))
    for column in ("service_started_date", "closed_date"):
        assert (referral[column].dropna() <= AS_OF).all()
    age = (AS_OF - referral["referred_date"]).dt.days
    assert age.between(0, AGES - 1).all()
    assert 0 < closed_by_now() < CONFIRMED


def test_time_to_service_and_closure_in_a_few_draws():
    rows = referral_rows(12)
    for row in rows:
        if row.expected == "holds":
            assert abs(row.bias) < 4.5 * row.chance, row.what  # Student's t of 12 draws
    wrong = next(row for row in rows if "Kaplan-Meier" in row.what)
    assert wrong.bias > 0.08


def test_the_coordinator_is_found_and_counties_fall_apart_without_it():
    """Every tie of many members, and no other; as many pieces as counties without it."""
    found = coordinators_found(12)
    assert found["ties_are_those_drawn"].all()
    assert (found["pieces_with"] == 1).all()
    assert (found["pieces_without"] == found["counties"]).all()
    assert found.loc[found["counties"] > 2, "is_found"].all()


def test_bounds_hold_the_truth_in_every_draw():
    bounds = bounds_hold(15)
    assert set(bounds["measure"]) >= {"density"}
    assert len(bounds) > 30
    assert bounds["holds"].all()
    assert (bounds["high"] > bounds["low"]).mean() > 0.9


def test_p_values_are_never_too_small_in_a_few_draws():
    for name, p in null_p_values(30).items():
        known = p[~np.isnan(p)]
        assert len(known) > 20, name
        assert (known <= 0.05).sum() <= 6, name  # of 30, more happens once in 2,000


def test_coverage_counts_the_cells_that_were_drawn():
    """Contracts and services of a drawn map of counties and supports are counted exactly."""
    rng = np.random.default_rng(5)
    counties, services = ["Kern", "Kings", "Tulare"], ["housing_deposits", "recuperative_care"]
    contracted = rng.random((8, 3, 2)) < 0.5
    is_active = contracted & (rng.random(contracted.shape) < 0.6)
    contract, served = _map_of(contracted, is_active, counties, services)
    table = service_coverage(
        contract, served, quarter="2024Q4", counties=counties, services=services
    ).to_frame()
    for row in table.itertuples():
        at = counties.index(row.county), services.index(row.service)
        assert row.denominator == contracted[:, at[0], at[1]].sum()
        assert row.numerator == is_active[:, at[0], at[1]].sum()


def _map_of(contracted, is_active, counties, services):
    """Tables of a map: organization by county by service."""

    def rows(cells):
        place = np.argwhere(cells)
        return pd.DataFrame(
            {
                "organization_id": [f"o{at}" for at in place[:, 0]],
                "county": [counties[at] for at in place[:, 1]],
                "service": [services[at] for at in place[:, 2]],
                "plan": "A",
            }
        )

    contract = rows(contracted).assign(
        contract_id=lambda frame: [f"k{at}" for at in range(len(frame))],
        contract_start_date=pd.Timestamp("2024-01-01"),
        contract_end_date=pd.NaT,
        capacity_members=10,
    )
    served = rows(is_active).assign(
        record_id=lambda frame: [f"s{at}" for at in range(len(frame))],
        member_id=lambda frame: [f"m{at}" for at in range(len(frame))],
        program="community_support",
        record_type="service",
        record_date=pd.Timestamp("2024-11-05"),
        record_source="claims",
    )
    return contract, served


@pytest.mark.slow
def test_referral_measures_recover_the_truth():
    for row in referral_rows(SLOW):
        (holds if row.expected == "holds" else fails)(row)


@pytest.mark.slow
def test_the_coordinators_effect_is_recovered_against_other_counties():
    for row in coordinator_rows(SLOW):
        {"holds": holds, "fails": fails, "too narrow": too_narrow}[row.expected](row)


@pytest.mark.slow
def test_p_values_are_uniform_where_nothing_is_there():
    every = null_p_values(SLOW) | {"placebo counties": placebo_p_values(SLOW)}
    for name, p in every.items():
        known = p[~np.isnan(p)]
        for level in (0.05, 0.1, 0.25, 0.5):
            chance = np.sqrt(level * (1 - level) / len(known))
            assert (known <= level + 1e-9).mean() < level + 3.5 * chance, (name, level)
        if "placebo" not in name:  # nine places: p is a ninth or more
            assert (known <= 0.5).mean() > 0.5 - 3.5 * np.sqrt(0.25 / len(known)) - 0.06, name
