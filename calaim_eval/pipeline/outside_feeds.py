"""What feeds from outside the plans say: homeless services, referral platforms, directories."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.coordinator import case_finding_yield
from calaim_eval.integration.directory_use import directory_use
from calaim_eval.integration.inputs import quarter_days
from calaim_eval.integration.measures_made import absent_tables
from calaim_eval.integration.outside_referrals import outside_referrals
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.results import RateTable, Result
from calaim_eval.study import Study
from calaim_eval.study.model import CaseFinding
from calaim_eval.tables import Tables

_TABLES = ("homeless_assessment", "social_referral", "referral", "resource")
_MONTHS = 12


def measure_outside_feeds(
    study: Study,
    tables: Tables,
    quarter: str,
    *,
    program_service: pd.DataFrame | None = None,
) -> tuple[dict[str, Result], dict[str, str]]:
    """Case finding, referrals outside the program and the directory, where a study has the feeds.

    Returns
    -------
    results : dict[str, Result]
        ``case_finding`` (a study declares its question), ``outside_referrals`` of the twelve
        months up to the quarter's end, ``directory_use``.
    left_out : dict[str, str]
        Why one is not there.
    """
    frames = {name: tables.frame(name) for name in _TABLES if tables.has(name)}
    frames = {name: frame for name, frame in frames.items() if len(frame)}
    if program_service is not None and len(program_service):
        frames["program_service"] = program_service
    _, last = quarter_days(quarter)
    recipes: dict[str, tuple[tuple[str, ...], Callable[[], RateTable]]] = {
        "outside_referrals": (
            ("social_referral",),
            lambda: outside_referrals(
                frames["social_referral"],
                as_of=study.file.window.extract_date,
                maturation_days=study.file.integration.maturation_days,
                referred_from=last - pd.DateOffset(months=_MONTHS) + pd.Timedelta(days=1),
                referred_to=last,
            ),
        ),
        "directory_use": (
            ("resource", "program_service"),
            lambda: directory_use(frames["resource"], frames["program_service"], quarter=quarter),
        ),
    }
    declared = study.file.integration.case_finding
    if declared is not None:
        recipes["case_finding"] = (
            ("homeless_assessment",),
            partial(_case_finding, frames, declared, last),
        )
    attempts = Attempts()
    tried = {
        name: attempts.tried(name, partial(_made, needs, frames, make))
        for name, (needs, make) in recipes.items()
    }
    return {n: table for n, table in tried.items() if table is not None}, attempts.left_out


def _made(
    needs: tuple[str, ...], frames: dict[str, pd.DataFrame], make: Callable[[], RateTable]
) -> RateTable:
    """The measure, or why its tables do not allow it."""
    absent = absent_tables(needs, frames)
    if absent:
        raise EstimationError(absent)
    return make()


def _case_finding(
    frames: dict[str, pd.DataFrame], declared: CaseFinding, last: pd.Timestamp
) -> RateTable:
    """Persons screened by the declared question up to the quarter's end, and what followed."""
    asked = frames["homeless_assessment"]
    asked = asked[asked["question"] == declared.question]
    if asked.empty:
        raise EstimationError(
            f"table `homeless_assessment` has no answer to the question `{declared.question}`."
        )
    screening = pd.DataFrame(
        {
            "person_id": asked["member_id"],
            "screening_date": pd.to_datetime(asked["assessment_date"]),
            # "Refused" is an answer too: it is no number, and counted as a missing one.
            "value": pd.to_numeric(asked["answer"], errors="coerce"),
        }
    )
    parts = [frames[n] for n in ("referral", "social_referral") if n in frames]
    referral = pd.concat(parts) if parts else pd.DataFrame(columns=["member_id"])
    return case_finding_yield(
        screening[screening["screening_date"].le(last)],
        referral.rename(columns={"member_id": "person_id"}).reindex(
            columns=["person_id", "referred_date", "service_started_date"]
        ),
        threshold=declared.threshold,
        days=declared.days,
        rule=f"answer to `{declared.question}`",
    )
