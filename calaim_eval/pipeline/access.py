"""How long access takes, and what of its gaps goes with age and sex: by group."""

from __future__ import annotations

from functools import partial

import pandas as pd

from calaim_eval.equity import access_times, effect_gap, standardized_funnel
from calaim_eval.panel import MemberMonths
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.designs import STRATUM
from calaim_eval.results import ALL, EffectTable, Result
from calaim_eval.study import Study
from calaim_eval.tables import Tables

TIMES = ("access_times", "access_waiting")
STANDARDIZED = ("access_standardized", "access_standardized_gap")
STAGES = ("identified", "outreached", "served")
CLOSED_OTHERWISE = "closed_otherwise"
# The panel knows the end of coverage better than a referral does, and death ends coverage.
_SEEN_IN_COVERAGE = ("coverage_ended", "died")
_REFERRAL = ["member_id", "service", "closed_date", "closure_reason"]


def measure_access(
    study: Study, panel: MemberMonths, tables: Tables | None = None
) -> tuple[dict[str, Result], dict[str, str]]:
    """Time in the stages of access, and the funnel standardized by age and sex.

    Parameters
    ----------
    study : Study
    panel : MemberMonths
    tables : Tables, optional
        Referrals that were closed, with services or otherwise, are read from them.

    Returns
    -------
    results : dict[str, Result]
        `access_times` (members by what became of them), `access_waiting` (mean months, by group),
        `access_standardized` and `access_standardized_gap`.
    left_out : dict[str, str]
        Result name to the reason why it is not there.
    """
    if study.file.exposure is None:
        reason = "the study file has no `exposure` section that names a service"
        return {}, dict.fromkeys((*TIMES, *STANDARDIZED), reason)
    attempts = Attempts()
    service = study.file.exposure.service
    exits, closed = _closed_referrals(tables, service)
    times = attempts.tried(
        "access_times",
        partial(
            access_times,
            panel,
            service=service,
            by=STRATUM,
            months=study.file.equity.access_months,
            max_gap_months=study.file.coverage.max_gap_months,
            exits=exits,
            closed=closed,
        ),
    )
    found: dict[str, Result] = {}
    if times is None:
        attempts.leave_out("access_waiting", " ".join(attempts.reasons["access_times"]))
    elif times.counts is not None:
        found = {"access_times": times.counts, "access_waiting": _of_groups(times.mean_months)}
    funnel = attempts.tried(
        "access_standardized",
        partial(
            standardized_funnel,
            panel,
            service=service,
            by=STRATUM,
            first_ages=study.file.equity.standard_ages,
            stages=STAGES,
        ),
    )
    if funnel is not None:
        found["access_standardized"] = funnel
        gap = attempts.tried(
            "access_standardized_gap",
            partial(effect_gap, funnel, reference=study.file.equity.reference, stratum=STRATUM),
        )
        found |= {} if gap is None else {"access_standardized_gap": gap}
    return found, attempts.left_out


def _of_groups(table: EffectTable) -> EffectTable:
    """Rows of the groups: that of everybody would have to go wherever one count of a group does."""
    return table.select(table.keys[STRATUM] != ALL)


def _closed_referrals(
    tables: Tables | None, service: str
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Referrals for the service closed otherwise, and closed with services; None without any."""
    if tables is None or not tables.has("referral"):
        return None, None
    referral = tables.frame("referral", _REFERRAL)
    referral = referral[(referral["service"] == service) & referral["closed_date"].notna()]
    referral = referral.assign(month=referral["closed_date"])
    is_received = referral["closure_reason"].eq("services_received").fillna(value=False)
    is_known = referral["closure_reason"].notna()
    is_other = is_known & ~is_received & ~referral["closure_reason"].isin(_SEEN_IN_COVERAGE)
    exits = referral.loc[is_other, ["member_id", "month"]].assign(exit=CLOSED_OTHERWISE)
    closed = referral.loc[is_received, ["member_id", "month"]]
    return (exits if len(exits) else None), (closed if len(closed) else None)
