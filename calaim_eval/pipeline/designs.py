"""The designs a study file asks for, and the panel reduced to their cell moments."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd

from calaim_eval.design import Design, design_county_phase, design_exposure
from calaim_eval.errors import DesignError
from calaim_eval.moments import reduce_panel
from calaim_eval.moments.unbalanced import Unbalanced
from calaim_eval.panel import MemberMonths
from calaim_eval.study import Study

log = logging.getLogger(__name__)

Anchor = Literal["first_outreach", "first_service"]
ANCHORS: tuple[Anchor, ...] = ("first_outreach", "first_service")
MAIN_ANCHOR: Anchor = "first_service"
STRATUM = "race_ethnicity"


def observed_outcomes(study: Study, panel: MemberMonths) -> list[str]:
    """Outcomes of the study that the panel can measure; the others are named in the log."""
    absent = [o for o in study.file.outcomes if panel.observed_months(o).empty]
    for outcome in absent:
        log.warning("%s: left out, the files it needs were not given.", outcome)
    return [o for o in study.file.outcomes if o not in absent]


def exposure_design(study: Study, panel: MemberMonths, *, anchor: Anchor) -> Design:
    """The study's exposed-versus-eligible design for one anchor."""
    exposure = study.file.exposure
    if exposure is None:
        raise DesignError(
            f"{study.path.name} has no [exposure] section, so there is no effect to estimate. Add "
            "the section, or use `calaim-eval run`, which then only describes."
        )
    return design_exposure(
        panel,
        service=exposure.service,
        anchor=anchor,
        eligibility=exposure.eligibility,
        comparison=exposure.comparison,
        lookback_months=exposure.lookback_months,
        follow_up_months=exposure.follow_up_months,
        anticipation_months=exposure.anticipation_months,
        eligibility_cell=exposure.eligibility_cell,
        strata=(STRATUM,),
    )


def county_phase_design(study: Study, panel: MemberMonths) -> Design:
    """The county-phase comparison, with as long a baseline as the study asks for."""
    if study.file.county_phase is None:
        raise DesignError(f"{study.path.name} has no [county_phase] section.")
    baseline = pd.Period("2022-01", "M") - study.file.county_phase.lookback_months
    return design_county_phase(panel, first_month=str(max(baseline, panel.first_month)))


def build_moments(
    study: Study, panel: MemberMonths
) -> tuple[dict[str, tuple[Path, ...]], dict[str, str]]:
    """Reduce the panel for every design of the study.

    Returns
    -------
    paths : dict[str, tuple[Path, ...]]
        Files of moments by design name: one for the outcomes seen in all months, and one for each
        set of outcomes that are not known in the last months (readmissions).
    left_out : dict[str, str]
        Result name to the reason why its design is not identified.
    """
    paths: dict[str, tuple[Path, ...]] = {}
    left_out: dict[str, str] = {}
    if study.file.exposure is not None:
        for anchor in ANCHORS:
            design = exposure_design(study, panel, anchor=anchor)
            paths[anchor] = reduce_by_months(study, design, anchor, stratum=STRATUM)
    if study.file.county_phase is not None:
        try:
            design = county_phase_design(study, panel)
        except DesignError as error:
            left_out["county_phase"] = str(error)
            log.warning("county_phase: left out. %s", error)
        else:
            paths["county_phase"] = reduce_by_months(study, design, "county_phase", stratum=None)
    return paths, left_out


def reduce_by_months(
    study: Study,
    design: Design,
    name: str,
    *,
    stratum: str | None,
    unbalanced: Unbalanced | None = None,
    cluster: str | None = None,
) -> tuple[Path, ...]:
    """Moments of a design, one file for each set of outcomes that share their observed months."""
    folder = study.restricted / "moments"
    folder.mkdir(parents=True, exist_ok=True)
    by_months: dict[tuple[pd.Period, ...], list[str]] = {}
    for outcome in observed_outcomes(study, design.panel):
        months = tuple(design.months.intersection(design.panel.observed_months(outcome)))
        by_months.setdefault(months, []).append(outcome)
    files = []
    for months, outcomes in by_months.items():
        seen = replace(design, months=pd.PeriodIndex(months, freq="M"))
        moments = reduce_panel(
            seen,
            outcomes=outcomes,
            stratum=stratum,
            cluster=cluster,
            unbalanced=unbalanced or study.file.coverage.unbalanced,
        )
        is_whole = len(months) == len(design.months)
        suffix = "" if is_whole else "." + "-".join(outcomes)
        files.append(moments.save(folder / f"{name}{suffix}.moments"))
    return tuple(files)
