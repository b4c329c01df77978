"""Case conferences of homeless services: who was discussed, referred soon after, and began."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.coordinator import case_conference_rates, case_conference_referrals
from calaim_eval.results import RateTable
from calaim_eval.study.model import CaseConference

CONFERENCES = "case_conferences"
BY_RACE, BY_MONTH = "case_conferences_by_race", "case_conferences_by_month"
RECORDED = {"service": "homeless_service", "question": "homeless_assessment"}
STEP = "after_meeting"


def conference_recipes(
    frames: Mapping[str, pd.DataFrame],
    declared: CaseConference,
    *,
    group: pd.Series | None,
    last: pd.Timestamp,
    extract: pd.Timestamp,
) -> dict[str, tuple[tuple[str, ...], Callable[[], RateTable]]]:
    """What is made of the declared record of case conferences, and the table it needs.

    Parameters
    ----------
    frames : mapping of str to pd.DataFrame
    declared : CaseConference
    group : pd.Series, optional
        Race and ethnicity by member.
    last : pd.Timestamp
        Meetings up to this day.
    extract : pd.Timestamp
        Meetings whose days to a referral are not over by then do not count yet.

    Returns
    -------
    dict[str, tuple]
        ``case_conferences``, ``case_conferences_by_month`` and, with `group`,
        ``case_conferences_by_race``.
    """
    needs = (RECORDED["service" if declared.service is not None else "question"],)
    until = min(last, extract - pd.Timedelta(days=declared.days))
    met = partial(_meetings, frames, declared, until)
    recipes: dict[str, tuple[tuple[str, ...], Callable[[], RateTable]]] = {
        CONFERENCES: (needs, lambda: _persons(met(), frames, declared, None)),
        BY_MONTH: (needs, lambda: _months(met(), frames, declared)),
    }
    if group is not None:
        recipes[BY_RACE] = (needs, lambda: _persons(met(), frames, declared, group))
    return recipes


def persons_referred(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Referrals into and outside the program of persons linked to a member."""
    parts = [frames[n] for n in ("referral", "social_referral") if n in frames]
    referral = pd.concat(parts) if parts else pd.DataFrame(columns=["member_id"])
    return referral.rename(columns={"member_id": "person_id"}).reindex(
        columns=["person_id", "referred_date", "service_started_date"]
    )


def _meetings(
    frames: Mapping[str, pd.DataFrame], declared: CaseConference, until: pd.Timestamp
) -> pd.DataFrame:
    """Persons and days of the declared record."""
    if declared.service is not None:
        name, column, day = declared.service, "homeless_service_code", "service_date"
        frame = frames[RECORDED["service"]]
    else:
        name, column, day = str(declared.question), "question", "assessment_date"
        frame = frames[RECORDED["question"]]
    rows = frame[frame[column] == name]
    days = pd.to_datetime(rows[day])
    met = pd.DataFrame({"person_id": rows["member_id"], "conference_date": days})
    met = met[~days.gt(until)]
    if met.empty:
        raise EstimationError(f"no record `{name}` of a case conference up to {until:%Y-%m-%d}.")
    return met


def _persons(
    met: pd.DataFrame,
    frames: Mapping[str, pd.DataFrame],
    declared: CaseConference,
    group: pd.Series | None,
) -> RateTable:
    """Persons discussed, referred in time and begun."""
    referral = persons_referred(frames)
    return _named(case_conference_referrals(met, referral, days=declared.days, group=group))


def _months(
    met: pd.DataFrame, frames: Mapping[str, pd.DataFrame], declared: CaseConference
) -> RateTable:
    """Persons discussed in each month, and those of them referred in time after it."""
    return _named(case_conference_rates(met, persons_referred(frames), days=declared.days))


def _named(table: RateTable) -> RateTable:
    """The steps under a name that no other table of the release has."""
    return replace(table, keys=table.keys.rename(columns={"step": STEP}))
