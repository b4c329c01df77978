"""What a study could detect, where the comparison has no such event to compare with."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from calaim_eval.pipeline import power
from calaim_eval.pipeline.designs import MAIN_ANCHOR


def test_an_outcome_the_comparison_never_had_is_said_so(monkeypatch):
    moments = SimpleNamespace(outcomes=["ed_visits"])
    moments.pooled = lambda: moments
    table = SimpleNamespace(to_frame=lambda: pd.DataFrame({"mde": [4.25]}))
    monkeypatch.setattr(power, "load_moments", lambda path: moments)
    monkeypatch.setattr(power, "power_before_exposure", lambda *args, **options: table)
    exposure = SimpleNamespace(follow_up_months=12, anticipation_months=0)
    study = SimpleNamespace(file=SimpleNamespace(exposure=exposure))
    (line,) = power.say_power(study, {MAIN_ANCHOR: ("moments",)})
    assert line.endswith("per 1,000 member-months, the comparison had none before exposure")
