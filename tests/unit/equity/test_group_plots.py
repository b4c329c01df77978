"""Pictures of groups: what is drawn, what is left out and said to be, the words beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.disclosure import release
from calaim_eval.equity import (
    equiplot,
    funnel_limits,
    funnel_plot,
    gap_over_time_plot,
    proportion_by_group,
    rate_by_group,
    shrink_estimates,
    shrinkage_plot,
)
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.results import EffectTable, Estimand, Method, RateTable

GROUPS = ["aian", "black", "nhpi", "white", "asian"]


def effects(keys: pd.DataFrame, estimate, *, members=50, events=50) -> EffectTable:
    k = len(keys)
    return EffectTable(
        keys=keys,
        estimate=np.asarray(estimate, dtype=float),
        covariance=np.eye(k),
        support=pd.DataFrame(
            {
                "n_members": np.broadcast_to(members, k),
                "n_events": np.broadcast_to(events, k),
                "member_months": 100.0,
            }
        ),
        estimand=Estimand("ATT", "exposed minus not", "visits per 1,000 member-months"),
        method=Method("by hand"),
    )


def by_outcome(**support) -> EffectTable:
    keys = pd.DataFrame(
        [(o, g) for o in ("ED visits", "Stays") for g in GROUPS[:3]],
        columns=["outcome", "race_ethnicity"],
    )
    return effects(keys, [10, 20, 30, 1, 2, 3], **support)


def test_equiplot_leaves_out_small_groups_and_says_so():
    figure = equiplot(by_outcome(members=[50, 50, 10, 50, 50, 50]), rows="outcome")
    drawn = figure.plot.data
    assert drawn["value"].tolist() == [10, 20, 1, 2, 3]
    assert figure.n_absent == 1
    assert "Not shown: 1 of fewer than 11" in figure.alt_text
    assert "Not shown: 1" in figure.plot.labels.caption
    assert "30" not in figure.alt_text
    segment = figure.plot.layers[0]._data
    assert sorted(segment["max"].tolist()) == [3, 20]
    # nhpi is absent from the first line and named at the second.
    names = [layer.geom.aes_params["label"] for layer in figure.plot.layers[2:]]
    assert sorted(names) == ["aian", "black", "nhpi"]


@pytest.mark.parametrize(("events", "n_absent"), [(0, 0), (1, 1), (10, 1), (11, 0)])
def test_no_event_is_shown_and_one_to_ten_are_not(events, n_absent):
    figure = equiplot(by_outcome(events=[50, 50, events, 50, 50, 50]), rows="outcome")
    assert figure.n_absent == n_absent


@pytest.mark.parametrize(
    ("with_event", "members", "is_shown"),
    [
        (0, 5, False),
        (95, 100, False),
        (0, 40, True),
        (40, 40, True),
        (10, 40, False),
        (20, 40, True),
    ],
)
def test_a_share_of_few_members_or_all_but_a_few_is_not_drawn(with_event, members, is_shown):
    counts = {"aian": (with_event, members), "white": (30, 70)}
    rows = [(group, "2024", at < n) for group, (n, total) in counts.items() for at in range(total)]
    frame = pd.DataFrame(rows, columns=["race_ethnicity", "year", "served"])
    frame["member_id"] = range(len(frame))
    table = proportion_by_group(frame, has="served", by=["year", "race_ethnicity"])
    figure = equiplot(table, rows="year")
    assert ("aian" in figure.alt_text) == is_shown
    assert ("aian" in set(figure.plot.data["race_ethnicity"])) == is_shown
    assert figure.n_absent == int(not is_shown)
    released = release({"share": table}).tables["share"].frame
    own = released["race_ethnicity"] == "aian"
    assert (~released.loc[own, "is_suppressed"]).tolist() == [is_shown]


def test_equiplot_is_drawn(tmp_path):
    figure = equiplot(by_outcome(), rows="outcome")
    assert figure.save(tmp_path / "equiplot.png").stat().st_size > 1000
    assert figure.alt_text.startswith("Dots by group (visits per 1,000 member-months). ED visits: ")
    assert "aian 10, black 20, nhpi 30; Stays: aian 1" in figure.alt_text


def test_arrows_hold_raw_and_shrunken_of_what_may_be_shown(tmp_path):
    keys = pd.DataFrame({"race_ethnicity": GROUPS})
    table = effects(keys, [10, 14, 2, 6, 9], members=[50, 50, 8, 50, 50])
    found = shrink_estimates(table)
    figure = shrinkage_plot(found)
    assert figure.plot.data["raw"].tolist() == [10, 14, 6, 9]
    assert figure.plot.data["shrunken"].tolist() == found.shrunken.estimate[[0, 1, 3, 4]].tolist()
    assert "nhpi" not in figure.alt_text
    assert f"black: raw 14, shrunken {found.shrunken.estimate[1]:.3g}" in figure.alt_text
    assert figure.n_absent == 1
    figure.save(tmp_path / "arrows.png")


def test_a_gap_over_time_breaks_where_a_point_is_hidden(tmp_path):
    keys = pd.DataFrame(
        [(t, g, "white") for g in ("black", "aian") for t in (-1, 0, 1)],
        columns=["event_time", "race_ethnicity", "reference"],
    )
    table = effects(keys, [1, 2, 3, 4, 5, 6], members=[50, 4, 50, 50, 50, 50])
    figure = gap_over_time_plot(table, time="event_time")
    drawn = figure.plot.data
    assert np.isnan(drawn[["estimate", "conf_low", "conf_high"]].iloc[1]).all()
    assert figure.n_absent == 1
    assert "black: 1 at -1 to 3 at 1; aian: 4 at -1 to 6 at 1" in figure.alt_text
    figure.save(tmp_path / "gap.png")


def test_funnel_limits_are_smooth_poisson_quantiles():
    """At the limit the interpolated distribution function is the tail."""
    for level in (0.95, 0.998):
        low, high = funnel_limits(np.array([1000.0]), 0.03, level=level)
        for limit, share in ((low, (1 - level) / 2), (high, (1 + level) / 2)):
            x = float(limit[0]) * 1000
            below, above = (stats.poisson.cdf(np.floor(x) + d, 30) for d in (0, 1))
            assert below + (x - np.floor(x)) * (above - below) == pytest.approx(share)
    wide = funnel_limits(np.array([1000.0]), 0.03, level=0.95, overdispersion=4)
    plain = funnel_limits(np.array([1000.0]), 0.03, level=0.95)
    assert wide[1] - 0.03 == pytest.approx(2 * (plain[1] - 0.03))


def test_limits_are_crossed_by_chance_as_often_as_they_say():
    rng = np.random.default_rng(6)
    counts = rng.poisson(40, 20_000)
    low, high = funnel_limits(np.array([1000.0]), 0.04, level=0.95)
    outside = ((counts / 1000 < low) | (counts / 1000 > high)).mean()
    # Discrete counts: between one mass point at each limit more and less.
    masses = [stats.poisson.pmf(np.round(limit[0] * 1000), 40) for limit in (low, high)]
    assert abs(outside - 0.05) <= sum(masses) + 3 * np.sqrt(0.05 * 0.95 / 20_000)


def rates(events, months) -> RateTable:
    o, n = np.asarray(events, dtype=float), np.asarray(months, dtype=float)
    return RateTable(
        measure="ED visits",
        keys=pd.DataFrame({"county": [f"c{i}" for i in range(len(o))]}),
        numerator=o,
        denominator=n,
        conf_low=o,
        conf_high=o,
        n_members=o,
        numerator_name="ed_visits",
        denominator_name="member_months",
        unit="ED visits per 1,000 member-months",
        kind="rate",
        method=Method("Rate", {"interval": "byar"}),
        per=1000.0,
    )


def test_funnel_names_what_is_outside_the_outer_limits(tmp_path):
    figure = funnel_plot(rates([40, 42, 120, 38, 5], [1000] * 5), stratum="county")
    assert figure.n_absent == 1
    assert "Outside the 99.8 % limits: c2 (120)." in figure.alt_text
    # (40 + 42 + 120 + 38) / 4,000: without the county of five visits.
    assert "common rate of 60" in figure.alt_text
    figure.save(tmp_path / "funnel.png")


def test_repeat_visits_widen_the_funnel():
    rng = np.random.default_rng(8)
    level = np.repeat(rng.gamma(0.2, 2.0, 200), 6)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(200), 6),
            "county": np.repeat(np.tile(["a", "b", "c", "d"], 50), 6),
            "ed_visits": rng.poisson(level),
        }
    )
    tables = [
        rate_by_group(frame, outcome="ed_visits", by="county", interval=how)
        for how in ("byar", "member_clustered")
    ]
    heights = [
        funnel_plot(table, stratum="county").plot.layers[0]._data["limit"].max() for table in tables
    ]
    assert heights[0] < heights[1]


def test_what_is_refused():
    with pytest.raises(TableError, match="`quarter`"):
        equiplot(by_outcome(), rows="quarter")
    with pytest.raises(EstimationError, match="nothing can be shown"):
        equiplot(by_outcome(members=3), rows="outcome")
    with pytest.raises(EstimationError, match="no event in any group"):
        funnel_plot(rates([0, 0], [100, 100]), stratum="county")
