"""Keys, weights, series and support of synthetic comparisons as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.estimate.synthetic.county_panel import CountyPanel
from calaim_eval.estimate.synthetic.synthetic_fit import CohortFit
from calaim_eval.estimate.synthetic.synthetic_plan import SyntheticPlan
from calaim_eval.moments.periods import index_frequency, period_labels


def effect_keys(panel: CountyPanel, plan: SyntheticPlan) -> pd.DataFrame:
    """Stratum columns and what each effect is about."""
    labels = plan.labels()
    rows = np.repeat(np.arange(len(panel.strata)), len(labels))
    keys = panel.strata.iloc[rows].reset_index(drop=True)
    repeated = np.tile(labels, len(panel.strata))
    if plan.by == "cohort":
        keys["cohort"] = period_labels(repeated, index_frequency(panel.months))
    elif plan.by == "event_time":
        keys["event_time"] = repeated
    return keys


def _labelled(
    panel: CountyPanel, plan: SyntheticPlan, parts: list[list[dict[str, object]]]
) -> pd.DataFrame:
    """Frames of every stratum and cohort under one another, with their labels in front."""
    frequency = index_frequency(panel.months)
    frames = []
    for position, of_stratum in enumerate(parts):
        labels = panel.strata.iloc[position].to_dict()
        for cohort, columns in zip(plan.cohorts, of_stratum, strict=True):
            frame = pd.DataFrame(columns)
            first = period_labels(np.full(len(frame), cohort.cohort), frequency)
            for place, (name, value) in enumerate({**labels, "cohort": first}.items()):
                frame.insert(place, str(name), value)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def unit_weights(
    panel: CountyPanel, plan: SyntheticPlan, fits: list[list[CohortFit]]
) -> pd.DataFrame:
    """Weights of the comparison counties."""
    counties = panel.counties[plan.comparison]
    parts: list[list[dict[str, object]]] = [
        [{"county": counties, "weight": fit.unit_weights} for fit in each] for each in fits
    ]
    return _labelled(panel, plan, parts)


def time_weights(
    panel: CountyPanel, plan: SyntheticPlan, fits: list[list[CohortFit]]
) -> pd.DataFrame:
    """Weights of the months before exposure."""
    months = period_labels(panel.axis, index_frequency(panel.months))
    parts: list[list[dict[str, object]]] = [
        [
            {
                "month": months.iloc[: len(fit.time_weights)].reset_index(drop=True),
                "weight": fit.time_weights,
            }
            for fit in each
        ]
        for each in fits
    ]
    return _labelled(panel, plan, parts)


def monthly_series(
    panel: CountyPanel, plan: SyntheticPlan, fits: list[list[CohortFit]]
) -> pd.DataFrame:
    """Exposed, counterfactual and effect by month."""
    months = period_labels(panel.axis, index_frequency(panel.months))
    parts: list[list[dict[str, object]]] = [
        [
            {
                "month": months,
                "exposed": fit.counterfactual + fit.effect,
                "counterfactual": fit.counterfactual,
                "effect": fit.effect,
            }
            for fit in each
        ]
        for each in fits
    ]
    return _labelled(panel, plan, parts)


def fit_diagnostics(
    panel: CountyPanel, plan: SyntheticPlan, fits: list[list[CohortFit]]
) -> pd.DataFrame:
    """How the weights look and how well they fit before exposure."""
    parts: list[list[dict[str, object]]] = [
        [
            {
                "n_exposed": [len(cohort.rows)],
                "n_comparison": [len(plan.comparison)],
                "n_weighted": [int((fit.unit_weights > 0).sum())],
                "largest_weight": [float(fit.unit_weights.max())],
                "noise": [penalty.noise],
                "unit_penalty": [penalty.unit],
                "time_penalty": [penalty.time],
                "fit_before": [float(np.sqrt(np.square(fit.effect[: cohort.n_before]).mean()))],
            }
            for fit, cohort, penalty in zip(each, plan.cohorts, penalties, strict=True)
        ]
        for each, penalties in zip(fits, plan.penalties, strict=True)
    ]
    return _labelled(panel, plan, parts)


def effect_sides(
    panel: CountyPanel, plan: SyntheticPlan, fits: list[list[CohortFit]]
) -> list[np.ndarray]:
    """Support of exposed counties and of comparison counties with weight, by effect; (2, 3)."""
    sides = []
    for position, each in enumerate(fits):
        for label in plan.labels():
            used = [
                (cohort, fit)
                for cohort, fit in zip(plan.cohorts, each, strict=True)
                if plan.enters(cohort, label)
            ]
            exposed = np.concatenate([cohort.rows for cohort, _ in used])
            weighted = np.any([fit.unit_weights > 0 for _, fit in used], axis=0)
            comparison = plan.comparison[weighted]
            both = (panel.support(exposed)[position], panel.support(comparison)[position])
            sides.append(np.stack(both))
    return sides


def is_alone(both: np.ndarray) -> bool:
    """A side known to hold a single member; counts of 0 mean that members are not known."""
    return bool(both[:, 0].min() < 2 and both[:, 0].max() > 0)
