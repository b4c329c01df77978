"""Use of care, access and CBO integration of a study: everything that is counted, not estimated."""

from __future__ import annotations

import numpy as np

from calaim_eval.disclosure import load_policy
from calaim_eval.equity import (
    access_funnel,
    baseline_utilization,
    members_by_group,
    rate_by_group,
    utilization_trend,
)
from calaim_eval.integration import (
    SMALLEST_SHOWN_TIE,
    IntegrationMeasures,
    integration_measures,
)
from calaim_eval.panel import MemberMonths
from calaim_eval.pipeline.crossed_groups import measure_crossings
from calaim_eval.pipeline.designs import (
    MAIN_ANCHOR,
    STRATUM,
    exposure_design,
    observed_outcomes,
)
from calaim_eval.pipeline.race_display import measure_in_combination
from calaim_eval.results import Method, RateTable, stack_rates
from calaim_eval.schema import TABLES
from calaim_eval.study import Study
from calaim_eval.tables import Tables


def measure_use(study: Study, panel: MemberMonths) -> dict[str, RateTable]:
    """Members, use of care and the access funnel, by race and ethnicity."""
    outcomes = observed_outcomes(study, panel)
    results = {
        "members_by_group": members_by_group(panel, by=STRATUM),
        "row_ledger": ledger_rates(panel),
        **measure_crossings(study, panel, outcomes),
    }
    if study.file.exposure is None:
        results |= measure_in_combination(study, panel, None, outcomes)
        return results | _use_of_all_members(panel, outcomes)
    design = exposure_design(study, panel, anchor=MAIN_ANCHOR)
    lookback = study.file.exposure.lookback_months
    baseline = [
        baseline_utilization(
            design, outcome=o, by=STRATUM, months_before=lookback, margins=(STRATUM,)
        )
        for o in outcomes
    ]
    trend = [utilization_trend(design, outcome=o) for o in outcomes]
    results |= measure_in_combination(study, panel, design, outcomes)
    return results | {
        "baseline_utilization": stack_rates(baseline, key="outcome", labels=outcomes),
        "utilization_trend": stack_rates(trend, key="outcome", labels=outcomes),
        "access_funnel": access_funnel(panel, service=study.file.exposure.service, by=STRATUM),
    }


def _use_of_all_members(panel: MemberMonths, outcomes: list[str]) -> dict[str, RateTable]:
    """Rates of everybody in the panel, for a study without an exposure."""
    baseline = [rate_by_group(panel, outcome=o, by=STRATUM, margins=(STRATUM,)) for o in outcomes]
    frame = panel.to_frame(columns=["member_id", "month", *outcomes])
    frame["quarter"] = frame["month"].dt.to_period("Q").astype(str)
    frame["side"] = "all_members"
    trend = [rate_by_group(frame, outcome=o, by=("side", "quarter")) for o in outcomes]
    return {
        "baseline_utilization": stack_rates(baseline, key="outcome", labels=outcomes),
        "utilization_trend": stack_rates(trend, key="outcome", labels=outcomes),
    }


def measure_integration(study: Study, tables: Tables, quarter: str) -> IntegrationMeasures:
    """CBO-integration measures of a quarter, with the reasons for those that are not there."""
    study.check_quarter(quarter)
    return integration_measures(
        tables,
        quarter=quarter,
        as_of=study.file.window.extract_date,
        maturation_days=study.file.integration.maturation_days,
        coordinator=study.file.integration.coordinator,
        smallest_tie=max(SMALLEST_SHOWN_TIE, load_policy(study.disclosure_policy).min_count),
    )


def ledger_rates(panel: MemberMonths) -> RateTable:
    """The row ledger as a result: every input row, used or set aside, by reason."""
    ledger = panel.ledger.to_frame()
    is_input = ledger["table"].isin([t.name for t in TABLES.values() if t.is_input])
    ledger = ledger[is_input & ledger["stage"].isin(["read", "panel"])].reset_index(drop=True)
    n_rows = ledger["n_rows"].to_numpy(dtype=float)
    unknown = np.full(len(ledger), np.nan)
    return RateTable(
        measure="Rows of the input files",
        keys=ledger[["table", "stage", "reason"]],
        numerator=n_rows,
        denominator=unknown,
        conf_low=unknown,
        conf_high=unknown,
        n_members=n_rows,
        numerator_name="input_rows",
        denominator_name="",
        unit="rows",
        kind="count",
        method=Method("count of rows by what became of them"),
    )
