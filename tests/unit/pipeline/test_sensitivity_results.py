"""What the effects of a study are put to, from its moments to its release."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import (
    aggregate,
    breakdown_value,
    event_periods,
    group_time_att,
    placebo_dates,
)
from calaim_eval.moments import load_moments, reduce_panel
from calaim_eval.panel import MEASURES
from calaim_eval.pipeline.designs import exposure_design
from calaim_eval.pipeline.sensitivity import sensitivity_of_effects
from calaim_eval.report.trend_words import first_months_words
from calaim_eval.results import BoundsTable, load_results

OUTCOME = "ed_visits"


@pytest.fixture(scope="module")
def paths(small_run, tmp_path_factory):
    """Moments of one outcome."""
    design = exposure_design(small_run.study, small_run.panel, anchor="first_service")
    cells = reduce_panel(
        design, outcomes=[OUTCOME], stratum="race_ethnicity", unbalanced="cell_means"
    )
    folder = tmp_path_factory.mktemp("one_outcome")
    return {"first_service": (cells.save(folder / "first_service.moments"),)}


def asking(study, *, section: str = "sensitivity", **changes):
    """The study with other keys in a section."""
    asked = getattr(study.file, section).model_copy(update=changes)
    return dataclasses.replace(study, file=study.file.model_copy(update={section: asked}))


def found(small_run, paths, **changes):
    return sensitivity_of_effects(asking(small_run.study, **changes), paths, small_run.panel)


def of_everybody(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["race_ethnicity"] == "all"].reset_index(drop=True)


def test_without_a_violation_the_interval_is_that_of_the_average(small_run, paths):
    """The average of the months 0 to 5 of the event study, less that of the months -3 to -1."""
    results, left_out = found(small_run, paths)
    assert left_out == {}
    bounds = of_everybody(results["effect_bounds"].to_frame())
    cells = load_moments(paths["first_service"][0]).pooled()
    att_gt = group_time_att(cells, outcome=OUTCOME, base_period="universal", per=1000)
    study = aggregate(
        att_gt, by="event_time", min_event_time=-12, max_event_time=5, balance_event_time=5
    )
    month = study.keys["event_time"].to_numpy()
    assert month.tolist() == list(range(-12, 6))
    weights = np.where(month >= 0, 1 / 6, np.where(month >= -3, -1 / 3, 0))
    estimate = weights @ study.estimate
    error = np.sqrt(weights @ np.nan_to_num(study.covariance) @ weights)
    first = bounds.iloc[0]
    assert (first["restriction"], first["bound"]) == ("relative_magnitudes", 0)
    np.testing.assert_allclose([first["set_low"], first["set_high"]], estimate)
    half = 1.959964 * error
    np.testing.assert_allclose(
        [first["conf_low"], first["conf_high"]], [estimate - half, estimate + half], rtol=1e-5
    )
    # Two quarters after it: the largest change before, (2 + 1) / 2 times.
    quarters = [study.estimate[month // 3 == quarter].mean() for quarter in (-4, -3, -2, -1)]
    steps = np.abs(np.diff(quarters)).max()
    np.testing.assert_allclose(bounds["set_high"], estimate + 1.5 * steps * bounds["bound"])
    broken = breakdown_value(event_periods(study, months=3), effect="average")["breakdown"].item()
    np.testing.assert_array_equal(bounds["breakdown"], [broken] * 4)
    assert bounds["bound"].tolist() == [0, 0.5, 1, 2]


def test_every_group_has_rows_even_where_nothing_can_be_said(small_run, paths):
    """A group without bounds goes through disclosure control like the others."""
    results, _ = found(small_run, paths)
    table = results["effect_bounds"]
    assert isinstance(table, BoundsTable)
    groups = table.keys["race_ethnicity"]
    cells = load_moments(paths["first_service"][0])
    months = aggregate(
        group_time_att(cells, outcome=OUTCOME, base_period="universal"),
        by="event_time",
        min_event_time=-12,
        max_event_time=5,
        balance_event_time=5,
    )
    served = months.keys.loc[months.keys["event_time"] >= 0, "race_ethnicity"]
    assert set(groups) == {"all", *served}
    assert (groups.value_counts() == 4).all()
    undefined = np.isnan(table.conf_low)
    assert undefined.any()
    assert any("A group without an interval" in note for note in table.notes)
    smallest = months.support["n_members"].groupby(months.keys["race_ethnicity"]).min()
    of_groups = table.support["n_members"].groupby(groups).min().drop("all")
    assert (of_groups == smallest[of_groups.index]).all()


def test_false_dates_are_those_of_the_study(small_run, paths):
    results, _ = found(small_run, paths, placebo_months=(3, 6))
    cells = load_moments(paths["first_service"][0])
    expected = placebo_dates(cells.pooled(), outcome=OUTCOME, months_earlier=[3, 6], per=1000)
    table = results["placebo_dates"]
    np.testing.assert_allclose(
        of_everybody(table.to_frame())[["estimate", "std_error"]],
        expected.to_frame()[["estimate", "std_error"]],
    )
    assert set(table.keys["race_ethnicity"]) > {"all", "white", "hispanic"}
    assert set(table.keys["unit"]) == {MEASURES[OUTCOME].unit}


def test_a_negative_control_is_reduced_from_the_panel(small_run, paths):
    control = next(
        name
        for name in MEASURES
        if name not in small_run.study.file.outcomes
        and not small_run.panel.observed_months(name).empty
        and name.startswith("telehealth")
    )
    unseen = next(n for n in MEASURES if small_run.panel.observed_months(n).empty)
    results, left_out = found(
        small_run, paths, negative_control={control: "billed by others", unseen: "far away"}
    )
    table = results["negative_control"]
    design = exposure_design(small_run.study, small_run.panel, anchor="first_service")
    cells = reduce_panel(design, outcomes=[control], unbalanced="cell_means", stratum=None)
    att_gt = group_time_att(cells, outcome=control, per=MEASURES[control].per)
    expected = aggregate(att_gt, max_event_time=small_run.study.file.exposure.follow_up_months)
    row = of_everybody(table.to_frame()).iloc[0]
    assert row["outcome"] == control
    np.testing.assert_allclose(row["estimate"], expected.estimate[0])
    np.testing.assert_allclose(row["std_error"], expected.std_error[0])
    assert f"`{control}` was declared out of reach: billed by others." in table.notes
    assert not any(note.startswith("Warning") for note in table.notes)
    assert f"`{unseen}`: the files it needs were not given" in left_out["negative_control"]


def test_what_is_switched_off_is_said(small_run, paths):
    results, left_out = found(small_run, paths, trends_differ=(), placebo_months=())
    assert results == {}
    assert "`sensitivity.trends_differ`" in left_out["effect_bounds"]
    assert "placebo_months" in left_out["placebo_dates"]


def test_a_design_with_few_months_before_is_not_tested_and_does_not_fail(small_run, paths):
    results, left_out = found(small_run, paths, months_before=5)
    assert set(results) == {"placebo_dates"}
    assert "hold no whole period of 3 months" in left_out["effect_bounds"]
    results, left_out = found(small_run, paths, months_before=2, months_per_period=1)
    assert set(results) == {"placebo_dates", "effect_bounds"}
    assert left_out == {}


def test_months_of_anticipation_come_before_false_dates(small_run, paths):
    study = asking(small_run.study, section="exposure", anticipation_months=2)
    changed = asking(study, placebo_months=(2, 4), trends_differ=())
    results, _ = sensitivity_of_effects(changed, paths, small_run.panel)
    assert set(results["placebo_dates"].keys["months_earlier"]) == {4}


def test_a_study_without_an_exposure_has_nothing_to_test(small_run, paths):
    study = small_run.study
    bare = dataclasses.replace(study, file=study.file.model_copy(update={"exposure": None}))
    assert sensitivity_of_effects(bare, paths, small_run.panel) == ({}, {})


def test_no_released_set_holds_an_estimate_that_is_hidden(small_run):
    """The small study as it is: sets of groups whose effect is hidden are hidden too."""
    tables = small_run.released.tables
    bounds = tables["effect_bounds"].frame
    keys = ["outcome", "race_ethnicity"]
    effects = tables["effect_by_race"].frame
    gone = effects.loc[effects["is_suppressed"], keys]
    assert len(gone) > 0
    rows = bounds.merge(gone, on=keys)
    assert len(rows) > 0
    assert rows["is_suppressed"].all()
    assert rows[["set_low", "set_high", "conf_low", "conf_high", "breakdown"]].isna().all(axis=None)
    kept = load_results(small_run.study.restricted / "results" / "effects")["effect_bounds"]
    few = (kept.support["n_members"] < 11).to_numpy()
    assert bounds.loc[few, "is_suppressed"].all()
    assert not bounds["is_suppressed"].all()


@pytest.mark.parametrize(("follow_up", "n_months"), [(3, 3), (4, 3), (6, 6)])
def test_the_months_named_are_those_of_whole_periods(small_run, paths, follow_up, n_months):
    """Follow-up of 3 months is the months 0 to 3: one quarter, and a month nobody speaks of."""
    study = asking(small_run.study, section="exposure", follow_up_months=follow_up)
    results, _ = sensitivity_of_effects(asking(study, placebo_months=()), paths, small_run.panel)
    table = results["effect_bounds"]
    words = first_months_words({"options": {k: str(v) for k, v in table.method.options.items()}})
    assert words == f"the first {n_months} months from the first service on"
    cells = load_moments(paths["first_service"][0]).pooled()
    months = aggregate(
        group_time_att(cells, outcome=OUTCOME, base_period="universal", per=1000),
        by="event_time",
        min_event_time=-12,
        max_event_time=n_months - 1,
        balance_event_time=n_months - 1,
    )
    time = months.keys["event_time"].to_numpy()
    expected = months.estimate[time >= 0].mean() - months.estimate[(time >= -3) & (time < 0)].mean()
    np.testing.assert_allclose(of_everybody(table.to_frame())["set_low"].iloc[0], expected)
