from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.equity import access_funnel, access_funnel_gap
from calaim_eval.errors import EstimationError
from calaim_eval.results import Method, RateTable

STAGES = ["identified", "outreached", "served", "cbo_served"]
COUNTS = {"black": [400, 200, 80, 30], "white": [500, 300, 180, 90], "all": [900, 500, 260, 120]}


def funnel(counts: dict[str, list[int]] = COUNTS) -> RateTable:
    n = np.array([each for row in counts.values() for each in row], dtype=float)
    whole = np.repeat([row[0] for row in counts.values()], len(STAGES)).astype(float)
    return RateTable(
        measure="Access to ECM",
        keys=pd.DataFrame(
            {"race_ethnicity": np.repeat(list(counts), len(STAGES)), "stage": STAGES * len(counts)}
        ),
        numerator=n,
        denominator=whole,
        conf_low=n * np.nan,
        conf_high=n * np.nan,
        n_members=n,
        numerator_name="reached",
        denominator_name="identified",
        unit="share of members identified",
        kind="proportion",
        method=Method("counts"),
    )


def test_stages_add_up_to_the_gap_in_reaching_the_last():
    table = access_funnel_gap(funnel(), reference="white")
    assert table.keys["component"].tolist() == ["gap", *STAGES[1:]]
    assert table.keys["race_ethnicity"].unique().tolist() == ["black"]
    assert table.estimate[0] == pytest.approx(30 / 400 - 90 / 500)
    assert table.estimate[1:].sum() == pytest.approx(table.estimate[0], abs=1e-15)
    b, B, c, C = 0.4, 0.6, 0.375, 0.5
    assert table.estimate[1] == pytest.approx(
        (0.5 - 0.6) * ((b * c + B * C) / 3 + (b * C + B * c) / 6)
    )
    assert table.std_error[0] == pytest.approx(np.sqrt(0.075 * 0.925 / 400 + 0.18 * 0.82 / 500))


def test_on_the_ratio_scale_each_stage_is_its_own_ratio():
    table = access_funnel_gap(funnel(), reference="white", scale="ratio")
    assert table.estimate == pytest.approx([0.075 / 0.18, 0.5 / 0.6, 0.4 / 0.6, 0.375 / 0.5])
    log_error = np.sqrt(1 / 200 - 1 / 400 + 1 / 300 - 1 / 500)
    assert table.std_error[1] / table.estimate[1] == pytest.approx(log_error)
    off = table.covariance[1:, 1:] - np.diag(np.diag(table.covariance[1:, 1:]))
    assert off == pytest.approx(np.zeros((3, 3)), abs=1e-18)


def test_fewer_stages():
    table = access_funnel_gap(funnel(), reference="white", stages=STAGES[:3])
    assert table.estimate[0] == pytest.approx(80 / 400 - 180 / 500)
    assert len(table) == 3


def test_a_group_that_nobody_reached_is_a_row_without_parts():
    table = access_funnel_gap(funnel({**COUNTS, "nhpi": [12, 0, 0, 0]}), reference="white")
    lost = table.keys["race_ethnicity"] == "nhpi"
    assert lost.sum() == 4
    assert np.isnan(table.estimate[lost]).all()
    assert np.isnan(table.std_error[lost]).all()
    assert np.isfinite(table.estimate[~lost]).all()
    assert any("1 of 2 gaps have no parts" in note for note in table.notes)
    none_at_last = funnel({**COUNTS, "nhpi": [12, 5, 3, 0]})
    assert np.isfinite(access_funnel_gap(none_at_last, reference="white").estimate).all()
    ratio = access_funnel_gap(none_at_last, reference="white", scale="ratio")
    assert np.isnan(ratio.estimate[ratio.keys["race_ethnicity"] == "nhpi"]).all()


def test_a_stage_that_nobody_or_everybody_passes_has_no_error():
    table = access_funnel_gap(
        funnel({**COUNTS, "asian": [400, 200, 200, 30], "nhpi": [12, 5, 3, 0]}), reference="white"
    )
    error = pd.Series(table.std_error, index=pd.MultiIndex.from_frame(table.keys.iloc[:, [0, 2]]))
    assert np.isfinite(error["black"]).all()
    assert np.isnan(error["asian"]).tolist() == [False, False, True, False]
    assert error["asian", "gap"] == pytest.approx(np.sqrt(0.075 * 0.925 / 400 + 0.18 * 0.82 / 500))
    assert np.isnan(error["nhpi"]).tolist() == [True, False, False, True]
    assert any("3 of 12 rows have no interval" in note for note in table.notes)


def test_support_is_the_fewest_who_stop_or_go_on():
    table = access_funnel_gap(funnel({**COUNTS, "aian": [60, 55, 30, 20]}), reference="white")
    own = table.support[table.keys["race_ethnicity"] == "aian"]
    assert (own["n_members"] == 20).all()
    assert (own["n_events"] == 5).all()


def test_the_funnel_of_a_panel():
    panel = hand_panel("""
        member | race    | covered          | listed  | outreach | service | org
        -------+---------+------------------+---------+----------+---------+--------
        a      | black   | 2022-01..2022-12 | 2022-02 | 2022-03  | 2022-04 | cbo
        b      | black   | 2022-01..2022-12 | 2022-02 | 2022-03  |         |
        c      | black   | 2022-01..2022-12 | 2022-02 |          |         |
        d      | white   | 2022-01..2022-12 | 2022-02 | 2022-03  | 2022-06 | clinic
        e      | white   | 2022-01..2022-12 | 2022-02 | 2022-05  |         |
        f      | unknown | 2022-01..2022-12 | 2022-02 | 2022-03  |         |
    """)
    table = access_funnel_gap(
        access_funnel(panel), reference="white", stages=["identified", "outreached", "served"]
    )
    # Reached 2/3 against 2/2, served of those reached 1/2 against 1/2; unknown 1/1 and 0/1.
    assert table.keys["race_ethnicity"].unique().tolist() == ["black", "unknown"]
    assert table.estimate == pytest.approx([-1 / 6, -1 / 6, 0, -1 / 2, 0, -1 / 2], abs=1e-15)


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (COUNTS, {"reference": "z"}, "groups in `race_ethnicity`"),
        (COUNTS, {"stages": ["identified", "served"]}, "2 to 5 steps"),
        (COUNTS, {"stages": ["identified", "called", "served"]}, "the table has"),
        ({**COUNTS, "black": [400, 200, 210, 30]}, {}, "must be nested"),
    ],
)
def test_refusals(counts, options, message):
    with pytest.raises(EstimationError, match=message):
        access_funnel_gap(funnel(counts), **{"reference": "white", **options})
