from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, OutputError
from calaim_eval.results import (
    EffectTable,
    Estimand,
    Method,
    RateTable,
    load_results,
    save_results,
    stack_rates,
)


def _rates(**change):
    fields = {
        "measure": "ED visits",
        "keys": pd.DataFrame({"race_ethnicity": ["black", "white", "all"]}),
        "numerator": np.array([30.0, 0.0, 30.0]),
        "denominator": np.array([600.0, 0.0, 600.0]),
        "conf_low": np.array([1.0, np.nan, 1.0]),
        "conf_high": np.array([9.0, np.nan, 9.0]),
        "n_members": np.array([20.0, 0.0, 20.0]),
        "numerator_name": "ed_visits",
        "denominator_name": "member_months",
        "unit": "ED visits per 1,000 member-months",
        "kind": "rate",
        "method": Method("rate", MappingProxyType({"interval": "byar"}), "doi:x"),
        "margins": ("race_ethnicity",),
        "per": 1000.0,
    }
    return RateTable(**{**fields, **change})


def test_a_rate_over_nothing_is_undefined():
    assert _rates().rate[0] == 50.0
    assert np.isnan(_rates().rate[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numerator": np.array([1.0])}, "`numerator` has shape"),
        ({"keys": pd.DataFrame({"race_ethnicity": ["a", "a", "b"]})}, "1 of 3 rows repeat"),
        ({"margins": ("county",)}, "are not keys"),
    ],
)
def test_rates_that_do_not_fit_together_are_refused(change, message):
    with pytest.raises(EstimationError, match=message):
        _rates(**change)


def test_results_come_back_as_they_were(tmp_path):
    effects = EffectTable(
        keys=pd.DataFrame({"cohort": [pd.Timestamp("2022-01-01")], "event_time": [0]}),
        estimate=np.array([1.5]),
        covariance=np.array([[0.25]]),
        support=pd.DataFrame({"n_members": [5.0], "n_events": [2.0], "member_months": [9.0]}),
        estimand=Estimand("ATT", "words", "visits", is_causal=False),
        method=Method("did", {"comparison": "never_exposed"}, "doi:y"),
        cluster_influence=pd.DataFrame({0: [0.3, 0.4]}, index=["Kings", "Tulare"]),
        notes=("one note",),
    )
    save_results({"effects": effects, "rates": _rates()}, tmp_path / "results")
    back = load_results(tmp_path / "results")
    pd.testing.assert_frame_equal(back["effects"].to_frame(), effects.to_frame())
    assert back["effects"].estimand == effects.estimand
    assert back["effects"].notes == effects.notes
    assert back["effects"].method.options == {"comparison": "never_exposed"}
    assert back["effects"].cluster_influence.to_numpy().ravel().tolist() == [0.3, 0.4]
    pd.testing.assert_frame_equal(back["rates"].to_frame(), _rates().to_frame())
    assert back["rates"].margins == ("race_ethnicity",)


def test_saving_replaces_the_whole_folder(tmp_path):
    save_results({"old": _rates()}, tmp_path / "results")
    save_results({"new": _rates()}, tmp_path / "results")
    assert list(load_results(tmp_path / "results")) == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["results"]


def test_a_place_that_cannot_be_written_is_said_plainly(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder", encoding="utf-8")
    with pytest.raises(OutputError, match="Cannot write results"):
        save_results({"rates": _rates()}, blocker / "results")


def test_results_of_nowhere_are_empty(tmp_path):
    assert load_results(tmp_path / "absent") == {}


def test_stacked_rates_keep_their_own_scale_and_share_the_denominator(tmp_path):
    ed = _rates()
    paid = _rates(measure="Paid", unit="US dollars per member-month", per=1.0)
    both = stack_rates([ed, paid], key="outcome", labels=["ed_visits", "paid_usd"])
    assert both.rate[0] == 50.0
    assert both.rate[3] == pytest.approx(0.05)
    assert both.denominator_keys == ("race_ethnicity",)
    assert both.select(both.keys["outcome"] == "paid_usd").rate[0] == pytest.approx(0.05)
    save_results({"both": both}, tmp_path / "results")
    back = load_results(tmp_path / "results")["both"]
    pd.testing.assert_frame_equal(back.to_frame(), both.to_frame())
    assert back.denominator_keys == both.denominator_keys


def test_rates_over_different_things_are_not_stacked():
    with pytest.raises(EstimationError, match="denominator_name"):
        stack_rates([_rates(), _rates(denominator_name="stays")], key="x", labels=["a", "b"])
