"""Effects by level of counties: from the study's own referrals and panel to a release."""

from types import SimpleNamespace

import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.errors import EstimationError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel
from calaim_eval.pipeline.designs import exposure_design
from calaim_eval.pipeline.effect_by_level import county_levels, effects_by_level
from calaim_eval.study.model import EffectByLevel
from tests.unit.integration.test_success_units import ORGANIZATION, referrals
from tests.unit.pipeline.test_matched_comparison import variant
from tests.unit.pipeline.test_success import Given

DECLARED = EffectByLevel(cut=0.5, before="2024-07")


def test_a_level_is_what_was_known_before_the_month():
    integration = SimpleNamespace(maturation_days=90)
    study = SimpleNamespace(file=SimpleNamespace(integration=integration))
    early = [referrals(20, county="Kings", closed=12), referrals(20, county="Marin", closed=8)]
    # Marin does better afterwards: that may be a consequence, and does not count.
    late = [
        referrals(40, county="Marin", plan="q", closed=40).assign(
            referred_date=pd.Timestamp("2024-08-01"), closed_date=pd.Timestamp("2024-09-01")
        )
    ]
    tables = Given(referral=pd.concat(early + late), organization=ORGANIZATION)
    levels = county_levels(study, tables, DECLARED)
    assert levels.to_dict() == {"Kings": "higher", "Marin": "lower"}


def test_absent_tables_are_named():
    with pytest.raises(EstimationError, match="referral, organization were not provided"):
        county_levels(None, Given(), DECLARED)


def test_a_study_that_declares_no_level_has_no_such_effects(small_run):
    assert effects_by_level(small_run.study, small_run.panel, small_run.tables) == ({}, {})


def declaring(small_run, cut, before="2022-07"):
    key = f'effect_by_level = {{ cut = {cut}, before = "{before}" }}\n'
    return variant(
        small_run, lambda t: t.replace("maturation_days = 90", f"{key}maturation_days = 90")
    )


LEVELS = {"Los Angeles": "higher", "Orange": "higher", "Fresno": "higher"}
LOWER = ("Riverside", "San Bernardino", "San Diego")
LEVELS |= dict.fromkeys(LOWER, "lower")


@pytest.fixture
def found(small_run, monkeypatch):
    """Six counties with a level; the referrals of a few thousand members give fewer."""
    study = declaring(small_run, 0.5)
    monkeypatch.setattr(
        "calaim_eval.pipeline.effect_by_level.county_levels", lambda *_: pd.Series(LEVELS)
    )
    return study, *effects_by_level(study, small_run.panel, small_run.tables)


def test_members_served_before_the_level_was_taken_are_left_out(small_run, found):
    study, results, _ = found
    table = results["effect_by_integration"]
    own = table.select(table.keys["outcome"].eq("ed_visits").to_numpy())
    assert own.keys["integration"].tolist() == ["lower", "higher", "higher minus lower"]
    design = exposure_design(study, small_run.panel, anchor="first_service")
    kept = design.members[~design.members["cohort"].lt(pd.Timestamp("2022-07-01"))]
    assert len(kept) < len(design.members)
    frame = small_run.panel.to_frame(columns=["member_id", "month", "ed_visits"])
    lower = kept[kept["county"].isin(LOWER)]
    frame = frame.merge(lower, on="member_id")
    moments = reduce_panel(
        frame,
        outcomes=["ed_visits"],
        covariate_cells=design.covariate_cells[0],
        unbalanced="cell_means",
    )
    att = group_time_att(moments, outcome="ed_visits", per=1000.0)
    months = study.file.exposure.follow_up_months
    expected = aggregate(att, max_event_time=months).estimate[0]
    assert own.estimate[0] == pytest.approx(expected)
    assert any("known before 2022-07; from 50% on" in note for note in table.notes)


def test_they_are_associations_and_can_be_released(found):
    _, results, _ = found
    table = results["effect_by_integration"]
    assert not table.estimand.is_causal
    assert table.cluster_influence is None
    frame = release(results).tables["effect_by_integration"].frame
    few = table.support["n_members"].to_numpy() < 11
    assert frame["is_suppressed"].to_numpy()[few].all()


def test_too_few_counties_leave_the_reason(small_run):
    results, left_out = effects_by_level(
        declaring(small_run, 0.99), small_run.panel, small_run.tables
    )
    assert results == {}
    assert left_out["effect_by_integration"]


def test_with_moments_of_other_plans_the_reason_is_given(small_run, tmp_path):
    study = declaring(small_run, 0.5)
    _, left_out = effects_by_level(study, small_run.panel, small_run.tables, pooled_with=[tmp_path])
    assert "this study's members only" in left_out["effect_by_integration"]
