"""Counties by level of integration, and effects on members by it."""

import numpy as np
import pandas as pd
import pytest

import calaim_eval as ce
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate import cluster_jackknife
from calaim_eval.integration import effect_by_integration, integration_level

UNITS = pd.DataFrame(
    {
        "county": ["Kings", "Kings", "Marin", "Yolo"],
        "closure": [0.2, 0.8, 0.3, np.nan],
        "n_referrals": [30, 10, 20, 20],
    }
)


def test_a_county_is_the_weighted_average_of_its_units():
    # Kings: (0.2 * 30 + 0.8 * 10) / 40 = 0.35.
    assert integration_level(UNITS, cut=0.34).to_dict() == {"Kings": "higher", "Marin": "lower"}
    assert integration_level(UNITS, cut=0.35)["Kings"] == "higher"


def test_one_sided_cuts_and_absent_columns_are_refused():
    with pytest.raises(EstimationError, match="all 2 counties are below"):
        integration_level(UNITS, cut=0.9)
    with pytest.raises(EstimationError, match="are at or above"):
        integration_level(UNITS, cut=0.1)
    with pytest.raises(TableError, match="lacks `score`"):
        integration_level(UNITS, outcome="score", cut=0.5)


def test_effects_by_level_find_the_difference_that_was_put_in():
    """-0.1 visits a month where integration is lower, -0.25 where it is higher."""
    rng = np.random.default_rng(6)
    level = integration_level(UNITS, cut=0.34)
    members = pd.DataFrame(
        {
            "member_id": np.arange(6000),
            "county": rng.choice(level.index, 6000),
            "cohort": np.where(rng.random(6000) < 0.4, 6.0, np.nan),
        }
    )
    members["integration"] = members["county"].map(level)
    panel = members.merge(pd.DataFrame({"month": np.arange(12)}), how="cross")
    is_served = panel["month"] >= panel["cohort"]
    effect = np.where(panel["integration"] == "higher", -0.25, -0.1)
    panel["ed_visits"] = rng.poisson(0.5 + np.where(is_served, effect, 0))
    moments = ce.reduce_panel(panel, outcomes=["ed_visits"], stratum="integration")
    att = ce.group_time_att(moments, outcome="ed_visits", comparison="never_exposed")
    effects = ce.aggregate(att)
    gap = ce.effect_gap(effects, reference="lower", stratum="integration").to_frame().iloc[0]
    assert gap["conf_low"] < -0.15 < gap["conf_high"]
    assert gap["conf_high"] < 0


def members_of(levels, *, seed=8, per_county=60):
    """Members of some counties, served from month 3 of 6, with an effect twice as big if higher."""
    rng = np.random.default_rng(seed)
    at = np.repeat(np.arange(len(levels)), per_county)
    is_served = rng.random(len(at)) < 0.4
    members = pd.DataFrame(
        {
            "member_id": np.arange(len(at)),
            "county": [f"county {g}" for g in at],
            "integration": np.array(levels, dtype=object)[at],
            "cohort": np.where(is_served, 3.0, np.nan),
        }
    )
    frame = members.merge(pd.DataFrame({"month": np.arange(6)}), how="cross")
    gain = np.where(frame["integration"] == "higher", -0.4, -0.2)
    after = frame["month"] >= frame["cohort"]
    frame["ed_visits"] = rng.poisson(1 + np.where(after, gain, 0))
    return frame


def reduced(frame, **options):
    return ce.reduce_panel(frame, outcomes=["ed_visits"], stratum="integration", **options)


def test_effects_by_integration_have_counties_as_clusters():
    moments = reduced(members_of(["lower"] * 5 + ["higher"] * 4), cluster="county")
    table = effect_by_integration(moments, outcome="ed_visits")
    assert table.keys["integration"].tolist() == ["lower", "higher", "higher minus lower"]

    def overall(part):
        att = ce.group_time_att(
            part, outcome="ed_visits", comparison="never_exposed", cluster="county"
        )
        return ce.aggregate(att)

    gap = ce.effect_gap(
        cluster_jackknife(moments, overall), reference="lower", stratum="integration"
    )
    row, same = table.to_frame().iloc[2], gap.to_frame().iloc[0]
    for name in ("estimate", "std_error", "conf_low", "conf_high"):
        assert row[name] == pytest.approx(same[name])
    assert table.degrees.tolist() == [4, 3, 3]
    assert row["conf_low"] < -0.2 < row["conf_high"]
    assert not table.estimand.is_causal
    assert "goes with integration and is not its effect" in table.estimand.contrast
    assert any("lower integration: 5, of higher: 4" in note for note in table.notes)
    assert not any("In neither" in note for note in table.notes)


def test_moments_that_were_kept_in_a_file_give_the_same(tmp_path):
    moments = reduced(members_of(["lower"] * 3 + ["higher"] * 3), cluster="county")
    again = ce.load_moments(moments.save(tmp_path / "level.moments"))
    one, two = (effect_by_integration(m, outcome="ed_visits").to_frame() for m in (moments, again))
    pd.testing.assert_frame_equal(one, two)


def test_effects_are_in_the_unit_and_over_the_months_asked_for():
    moments = reduced(members_of(["lower"] * 3 + ["higher"] * 3), cluster="county")
    table = effect_by_integration(
        moments, outcome="ed_visits", max_event_time=0, per=1000.0, unit="visits per 1,000"
    )
    lower = members_of(["lower"] * 3 + ["higher"] * 3).query("integration == 'lower'")
    # By hand: served from month 3 on; change from month 2 to month 3 against the never served.
    is_served = lower["cohort"].notna()
    mean = lower.groupby([is_served, "month"])["ed_visits"].mean()
    by_hand = (mean[True, 3] - mean[True, 2]) - (mean[False, 3] - mean[False, 2])
    assert table.estimate[0] == pytest.approx(1000 * by_hand)
    assert table.estimand.unit == "visits per 1,000"


def test_counties_without_a_level_are_counted():
    frame = members_of(["lower"] * 3 + ["higher"] * 3 + [None] * 2)
    table = effect_by_integration(reduced(frame, cluster="county"), outcome="ed_visits")
    assert any("In neither, and left out: 2." in note for note in table.notes)


@pytest.mark.parametrize(
    ("levels", "options", "message"),
    [
        (["lower"] * 4 + ["higher"] * 4, {}, "keep no clusters"),
        (["lower"] * 4 + ["higher"] * 2, {"cluster": "county"}, "4 counties of lower and 2 of"),
        (["lower"] * 4 + ["some"] * 4, {"cluster": "county"}, "no effects in both `lower`"),
    ],
)
def test_levels_of_too_few_counties_are_refused(levels, options, message):
    moments = reduced(members_of(levels), **options)
    with pytest.raises(EstimationError, match=message):
        effect_by_integration(moments, outcome="ed_visits")
