"""Results made outcome by outcome: what fails is said once, what can be made is stacked."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.results import EffectTable, Estimand, Method


def effect(value: float) -> EffectTable:
    """An effect on 20 members."""
    return EffectTable(
        keys=pd.DataFrame({"event_time": [0]}),
        estimate=np.array([value]),
        covariance=np.array([[1.0]]),
        support=pd.DataFrame({"n_members": [20], "n_events": [20], "member_months": [20.0]}),
        estimand=Estimand(name="Effect", contrast="a less b", unit="visits", is_causal=True),
        method=Method(estimator="By hand", options={}),
    )


def fails(reason: str = "nobody was served."):
    raise EstimationError(reason)


def test_outcomes_that_can_be_made_are_under_one_another():
    attempts = Attempts()
    attempts.add("overall", "ed_visits", lambda: effect(1.0))
    attempts.add("overall", "paid_usd", fails)
    attempts.add("overall", "inpatient_stays", lambda: effect(2.0))
    attempts.add("gap", "ed_visits", fails)
    (table,) = attempts.results().values()
    assert table.keys["outcome"].tolist() == ["ed_visits", "inpatient_stays"]
    assert table.estimate.tolist() == [1.0, 2.0]
    assert set(attempts.left_out) == {"overall", "gap"}


def test_a_reason_is_kept_once_and_each_outcome_is_logged(caplog):
    attempts = Attempts()
    for outcome in ("ed_visits", "inpatient_stays"):
        attempts.add("overall", outcome, fails)
    attempts.add("overall", "paid_usd", lambda: fails("nobody."))  # a part of the other reason
    assert attempts.left_out == {"overall": "nobody was served. nobody."}
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 3
    assert "overall, inpatient_stays: left out. nobody was served." in caplog.text


def test_the_log_can_be_quieter(caplog):
    with caplog.at_level(logging.INFO):
        assert Attempts(level=logging.INFO).tried("synthetic_did", fails) is None
    assert [r.levelno for r in caplog.records] == [logging.INFO]


def test_a_failure_that_is_no_question_of_identification_is_raised():
    with pytest.raises(TableError):
        Attempts().tried("overall", lambda: (_ for _ in ()).throw(TableError("a file is gone")))
