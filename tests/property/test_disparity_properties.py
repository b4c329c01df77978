"""Invariances of disparity measures: scale, names, order, equality, framing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.equity import disparity_measures, ordered_disparity

GROUPS = ["aian", "asian", "black", "white"]
RELATIVE_UNITS = ("percent", "rate ratio", "none")


def frames() -> st.SearchStrategy[pd.DataFrame]:
    numbers = st.tuples(*[st.integers(5, 400)] * 4)
    months = st.tuples(*[st.integers(500, 9000)] * 4)
    return st.builds(
        lambda e, m: pd.DataFrame(
            {"race_ethnicity": GROUPS, "events": list(e), "member_months": list(m)}
        ),
        numbers,
        months,
    )


def measured(frame, *, per=1000.0, weights="population", favourable=False, reference="white"):
    found = disparity_measures(
        frame,
        reference=reference,
        favourable=favourable,
        weights=weights,
        per=per,
        unit="visits",
        draws=200,
    )
    return found.to_frame()


@settings(max_examples=10, deadline=None)
@given(frame=frames(), weights=st.sampled_from(["population", "equal"]))
def test_relative_measures_have_no_unit_and_absolute_ones_scale(frame, weights):
    small, large = measured(frame, weights=weights), measured(frame, per=1e5, weights=weights)
    factor = np.where(
        small["unit"].isin(RELATIVE_UNITS), 1.0, np.where(small["unit"] == "visits", 1e2, 1e4)
    )
    for column in ("estimate", "bias_corrected"):
        assert large[column].to_numpy() == pytest.approx(
            factor * small[column].to_numpy(), rel=1e-5, abs=1e-9
        )
    assert large["std_error"].to_numpy() == pytest.approx(
        factor * small["std_error"].to_numpy(), rel=1e-6, nan_ok=True
    )


@settings(max_examples=10, deadline=None)
@given(frame=frames(), order=st.permutations(range(4)))
def test_the_order_of_the_rows_does_not_matter(frame, order):
    keys = ["race_ethnicity", "measure"]
    columns = ["estimate", "std_error"]
    first = measured(frame).set_index(keys)[columns].sort_index()
    second = measured(frame.iloc[list(order)]).set_index(keys)[columns].sort_index()
    # Picking the best within draws depends on the draws; all else is equal to rounding.
    fixed = ~first.index.get_level_values("measure").isin(["range_difference", "range_ratio"])
    assert second[fixed].to_numpy() == pytest.approx(first[fixed].to_numpy(), nan_ok=True, rel=1e-9)
    assert second["estimate"].to_numpy() == pytest.approx(first["estimate"].to_numpy())


@settings(max_examples=8, deadline=None)
@given(
    months=st.tuples(*[st.integers(1, 90)] * 4),
    reference=st.sampled_from(["white", "mean", "rest"]),
)
def test_equal_rates_have_no_disparity(months, reference):
    frame = pd.DataFrame(
        {
            "race_ethnicity": GROUPS,
            "events": [10 * m for m in months],
            "member_months": [100 * m for m in months],
        }
    )
    found = measured(frame, reference=reference)
    is_ratio = found["unit"] == "rate ratio"
    assert found.loc[is_ratio, "estimate"].to_numpy() == pytest.approx(1.0)
    assert found.loc[~is_ratio, "estimate"].to_numpy() == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=8, deadline=None)
@given(frame=frames())
def test_parts_add_up(frame):
    """Population-weighted differences from the mean add up to 0; the best group's risk is least."""
    found = measured(frame, reference="mean")
    share = frame.set_index("race_ethnicity")["member_months"]
    gaps = found[found["measure"] == "rate_difference"].set_index("race_ethnicity")["estimate"]
    assert (share / share.sum()) @ gaps[share.index] == pytest.approx(0, abs=1e-9)
    risks = [
        measured(frame, reference=g).set_index("measure")["estimate"][
            "population_attributable_risk"
        ]
        for g in GROUPS
    ]
    best = measured(frame, reference="best").set_index("measure")["estimate"]
    assert best["population_attributable_risk"] == pytest.approx(max(risks))


@settings(max_examples=8, deadline=None)
@given(frame=frames())
def test_merging_groups_of_one_rate_changes_nothing_over_all(frame):
    """Weighted measures do not see whether a group is one or two halves."""
    half = frame.assign(events=2 * frame["events"], member_months=2 * frame["member_months"])
    split = pd.concat(
        [half.iloc[:3], frame.iloc[3:], frame.iloc[3:].assign(race_ethnicity="white_2")]
    )
    names = ["between_group_variance", "theil", "mean_log_deviation", "mean_difference"]
    whole = measured(half, reference="mean").set_index("measure")["estimate"]
    parts = measured(split, reference="mean").set_index("measure")["estimate"]
    assert parts[names].to_numpy() == pytest.approx(whole[names].to_numpy())


@settings(max_examples=8, deadline=None)
@given(frame=frames(), model=st.sampled_from(["linear", "log"]))
def test_indices_over_ordered_groups_scale_with_the_rate(frame, model):
    frame = frame.assign(hpi=["q1", "q2", "q3", "q4"])

    def found(per):
        return ordered_disparity(
            frame,
            order=["q1", "q2", "q3", "q4"],
            stratum="hpi",
            favourable=False,
            model=model,
            per=per,
            unit="visits",
            draws=200,
        )

    small, large = found(1.0), found(1000.0)
    for name, factor in (
        ("slope_index", 1000),
        ("relative_index", 1),
        ("absolute_concentration", 1000),
        ("relative_concentration", 1),
    ):
        # A line that falls to 0 or below has no ratio of its ends, in any unit.
        may_lack = name == "relative_index" and model == "linear"
        expected = pytest.approx(factor * small.value(name), rel=1e-7, abs=1e-12, nan_ok=may_lack)
        assert large.value(name) == expected
