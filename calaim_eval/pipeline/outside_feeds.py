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
from calaim_eval.pipeline.case_conferences import conference_recipes, persons_referred
from calaim_eval.results import RateTable, Result
from calaim_eval.study import Study
from calaim_eval.study.model import CaseFinding
from calaim_eval.tables import Tables

_TABLES = ("homeless_assessment", "homeless_service", "social_referral", "referral", "resource")
_RACE = "race_ethnicity"
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
        ``case_finding`` (a study declares its question) and ``case_conferences`` with
        ``case_conferences_by_month`` (it declares their record), both ``_by_race`` too,
        ``outside_referrals`` of the twelve months up to the quarter's end, ``directory_use``.
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
    group = _race_of(tables)
    extract = pd.Timestamp(study.file.window.extract_date)
    declared = study.file.integration.case_finding
    if declared is not None:
        for name, of in {"case_finding": None, "case_finding_by_race": group}.items():
            if of is not None or name == "case_finding":
                finding = partial(_case_finding, frames, declared, last, extract, of)
                recipes[name] = (("homeless_assessment",), finding)
    conference = study.file.integration.case_conference
    if conference is not None:
        recipes |= conference_recipes(frames, conference, group=group, last=last, extract=extract)
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


def _race_of(tables: Tables) -> pd.Series | None:
    """Race and ethnicity by member; None without the table."""
    if not tables.has("person"):
        return None
    known = tables.frame("person")[["member_id", _RACE]].dropna().drop_duplicates("member_id")
    return known.set_index("member_id")[_RACE]


def _case_finding(
    frames: dict[str, pd.DataFrame],
    declared: CaseFinding,
    last: pd.Timestamp,
    extract: pd.Timestamp,
    group: pd.Series | None,
) -> RateTable:
    """Persons screened by the declared question up to the quarter's end, and what followed.

    Those who could still be referred when the extract was made are left out.
    """
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
    return case_finding_yield(
        screening[screening["screening_date"].le(last)],
        persons_referred(frames),
        threshold=declared.threshold,
        days=declared.days,
        as_of=extract,
        rule=f"answer to `{declared.question}`",
        group=group,
    )
