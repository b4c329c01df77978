"""Integer programmes are solved, and compiled code prints nothing meanwhile."""

import os
import sys

import numpy as np
import pytest
from scipy import optimize

from calaim_eval.disclosure.integer_programme import solve_integer


def test_a_knapsack_is_solved_as_by_hand():
    # Values 6, 10, 12, weights 1, 2, 3, room for 5: the last two.
    room = optimize.LinearConstraint(np.array([[1.0, 2.0, 3.0]]), -np.inf, 5.0)
    solved = solve_integer(
        np.array([-6.0, -10.0, -12.0]),
        integrality=np.ones(3),
        bounds=optimize.Bounds(0, 1),
        constraints=room,
    )
    assert solved.x.round().tolist() == [0, 1, 1]
    assert solved.fun == pytest.approx(-22)


def test_lines_of_the_solver_go_nowhere_and_ours_come_back(monkeypatch, capfd):
    def talkative(objective, **problem):
        os.write(1, b"tmpSolver.run()\n")
        return "solved"

    monkeypatch.setattr(optimize, "milp", talkative)
    sys.stdout.write("before\n")
    sys.stdout.flush()
    assert solve_integer([1.0]) == "solved"
    sys.stdout.write("after\n")
    sys.stdout.flush()
    assert capfd.readouterr().out.split() == ["before", "after"]


def test_output_comes_back_after_a_failure(monkeypatch, capfd):
    def broken(objective, **problem):
        raise ValueError("no such programme")

    monkeypatch.setattr(optimize, "milp", broken)
    with pytest.raises(ValueError, match="no such programme"):
        solve_integer([1.0])
    sys.stdout.write("after\n")
    sys.stdout.flush()
    assert capfd.readouterr().out == "after\n"
