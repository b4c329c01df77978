"""Moments of other plans: nobody is counted twice by a file named twice."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError
from calaim_eval.moments import reduce_panel
from calaim_eval.pipeline.effects import require_other_plans


@pytest.fixture
def plans(tmp_path):
    """Saved moments of two plans."""
    files = []
    for name, visits in (("ours", 1), ("theirs", 2)):
        frame = pd.DataFrame({"member_id": np.arange(4), "month": 0, "cohort": None})
        moments = reduce_panel(frame.assign(visits=visits), outcomes=["visits"])
        files.append(moments.save(tmp_path / f"{name}.moments"))
    return files


def test_plans_that_differ_are_pooled(plans):
    ours, theirs = plans
    require_other_plans([ours], [theirs])
    require_other_plans([ours], [])


def test_the_studys_own_moments_are_refused_under_any_name(plans, tmp_path):
    ours, theirs = plans
    copy = tmp_path / "plan_a.moments"
    shutil.copyfile(ours, copy)
    with pytest.raises(EstimationError, match=r"`plan_a\.moments` holds this study's own moments"):
        require_other_plans([ours], [theirs, copy])


def test_a_plan_named_twice_is_refused(plans):
    ours, theirs = plans
    with pytest.raises(EstimationError, match=r"`theirs\.moments` holds the same as `theirs\."):
        require_other_plans([ours], [theirs, theirs])
