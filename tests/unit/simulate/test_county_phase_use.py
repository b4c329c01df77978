"""Without the program, use is the same whenever the program starts in a member's county."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calaim_eval.simulate.calendar import make_calendar
from calaim_eval.simulate.coverage import draw_coverage
from calaim_eval.simulate.eligibility_and_enrollment import Program, draw_program
from calaim_eval.simulate.people import draw_people
from calaim_eval.simulate.rates import acute_ed_visits, expected_without_ecm
from calaim_eval.simulate.world import make_world

MEMBERS = 3_000


@pytest.fixture(scope="module")
def world():
    calendar = make_calendar("2021-01", "2024-12", "2025-06-30")
    return make_world(calendar, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def lives(world):
    """The same people and coverage, with the program in every county in phase 1, then in 2."""
    fixed = {"calendar": world.calendar, "parameters": world.parameters}
    people = draw_people(
        0,
        MEMBERS,
        counties=world.counties,
        focus_list=world.focus_list,
        rng=np.random.default_rng(2),
        **fixed,
    )
    coverage = draw_coverage(people, counties=world.counties, rng=np.random.default_rng(3), **fixed)

    def in_phase(phase: int) -> Program:
        counties = replace(world.counties, phase=np.full_like(world.counties.phase, phase))
        return draw_program(
            people,
            coverage,
            counties=counties,
            focus_list=world.focus_list,
            rng=np.random.default_rng(4),
            **fixed,
        )

    return people, coverage, in_phase(1), in_phase(2)


def test_the_phase_changes_who_is_listed(lives):
    _, _, first, second = lives
    assert (first.listed != second.listed).sum() > 50
    assert (first.is_high_use_route & ~second.is_high_use_route).sum() > 5
    assert not (second.is_high_use_route & ~first.is_high_use_route).any()


def test_the_phase_does_not_change_use_without_the_program(world, lives):
    people, coverage, *programs = lives
    fixed = {"calendar": world.calendar, "parameters": world.parameters}
    acute = [acute_ed_visits(people, p, rng=np.random.default_rng(5), **fixed) for p in programs]
    assert acute[0].sum() > MEMBERS / 10
    assert np.array_equal(*acute)
    expected = [expected_without_ecm("ed_visits", people, coverage, p, **fixed) for p in programs]
    assert np.array_equal(*expected)
