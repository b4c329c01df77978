"""Use of care, access and CBO integration of a study: everything that is counted, not estimated."""

from __future__ import annotations

import logging

import pandas as pd

from calaim_eval.equity import access_funnel, members_by_group, rate_by_group
from calaim_eval.integration import integration_measures
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.pipeline.effects import (
    MAIN_ANCHOR,
    STRATUM,
    exposure_design,
    observed_outcomes,
)
from calaim_eval.results import Method, RateTable, stack_rates
from calaim_eval.study import Study
from calaim_eval.tables import Tables

log = logging.getLogger(__name__)


def measure_use(study: Study, panel: MemberMonths) -> dict[str, RateTable]:
    """Members, use of care and the access funnel, by race and ethnicity."""
    outcomes = observed_outcomes(study, panel)
    results = {
        "members_by_group": members_by_group(panel, by=STRATUM),
        "row_ledger": ledger_rates(panel),
    }
    if study.file.exposure is None:
        frame = panel.to_frame(columns=["member_id", "month", STRATUM, *outcomes])
        results["baseline_utilization"] = _rates(frame, outcomes, by=(STRATUM,))
        frame["quarter"] = _quarter(frame["month"])
        frame["side"] = "all members"
        results["utilization_trend"] = _rates(frame, outcomes, by=("side", "quarter"))
        return results
    frame = _design_frame(study, panel, outcomes)
    before = frame[frame["month"] < frame["eligibility_month"]]
    results["baseline_utilization"] = _rates(before, outcomes, by=(STRATUM,))
    results["utilization_trend"] = _rates(frame, outcomes, by=("side", "quarter"))
    results["access_funnel"] = access_funnel(panel, service=study.file.exposure.service, by=STRATUM)
    return results


def measure_integration(study: Study, tables: Tables, quarter: str) -> dict[str, RateTable]:
    """CBO-integration measures of a quarter."""
    period = study.check_quarter(quarter)
    return integration_measures(
        tables,
        quarter=period,
        as_of=min(period.end_time.date(), study.file.window.extract_date),
        maturation_days=study.file.integration.maturation_days,
    )


def ledger_rates(panel: MemberMonths) -> RateTable:
    """The row ledger as a result: every input row, used or set aside, by reason."""
    ledger = panel.ledger.to_frame()
    n_rows = ledger["n_rows"].to_numpy(dtype=float)
    unknown = n_rows * float("nan")
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


def _design_frame(study: Study, panel: MemberMonths, outcomes: list[str]) -> pd.DataFrame:
    """Member months of the members of the main design, with side and quarter."""
    members = exposure_design(study, panel, anchor=MAIN_ANCHOR).members
    columns = ["member_id", "eligibility_month", "cohort"]
    frame = panel.to_frame(columns=["member_id", "month", STRATUM, *outcomes]).merge(
        members[columns], on="member_id", validate="many_to_one"
    )
    frame["side"] = frame["cohort"].notna().map({True: "exposed", False: "comparison"})
    frame["quarter"] = _quarter(frame["month"])
    return frame


def _quarter(month: pd.Series) -> pd.Series:
    return month.dt.to_period("Q").astype(str)


def _rates(frame: pd.DataFrame, outcomes: list[str], *, by: tuple[str, ...]) -> RateTable:
    """Rates of every outcome by group, under one another."""
    tables = [
        rate_by_group(
            frame,
            outcome=outcome,
            by=by,
            per=MEASURES[outcome].per,
            unit=MEASURES[outcome].unit,
        )
        for outcome in outcomes
    ]
    return stack_rates(tables, key="outcome", labels=outcomes)
