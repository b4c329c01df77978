"""Case conferences: of the persons discussed, who was referred soon after, and began."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.coordinator.person_steps import nested_shares, person_columns
from calaim_eval.integration.share_table import share_table
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.results.share_words import share_words

_CONFERENCE = ("person_id", "conference_date")
_REFERRED = "referred"
_REFERRAL = ("person_id", "referred_date", "service_started_date")


def case_conference_referrals(
    conference: pd.DataFrame,
    referral: pd.DataFrame,
    *,
    days: int = 30,
    group: pd.Series | None = None,
) -> RateTable:
    """Persons discussed at a case conference, those referred in time, and those who began.

    A conference is a local record: a service or assessment entry of the homeless-services system
    under a local name, or the meeting's own list. A referral soon after a meeting is not thereby
    made by it; without other places or earlier months this is a description.
    Give meetings after which `days` have passed: who was discussed later had less time.

    Parameters
    ----------
    conference : pd.DataFrame
        ``person_id``, ``conference_date``: one row per person and meeting.
    referral : pd.DataFrame
        ``person_id``, ``referred_date`` and ``service_started_date`` (missing: not begun), such
        as the tables `referral` and `social_referral` of an HMIS export.
    days : int
        Referrals from the day of a meeting to this many days after it count.
    group : pd.Series, optional
        Group of each person, indexed by person and named as the key.

    Returns
    -------
    RateTable
        Key ``step``: ``"referred"``, ``"started"``, each among the persons discussed and nested;
        with `group` its name too. A person discussed several times counts once, as referred if
        after any of the meetings. About members: small counts do not leave.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or `group` has a person twice.
    EstimationError
        Nobody was discussed, or `days` is negative.
    """
    met, after, lost = _after_meetings(conference, referral, days)
    persons = pd.Index(met["person_id"].unique(), name="person_id")
    began = after[after["service_started_date"] >= after["referred_date"]]
    reached = pd.DataFrame(
        {
            "referred": persons.isin(after["person_id"]),
            "started": persons.isin(began["person_id"]),
        },
        index=persons,
    )
    return nested_shares(
        reached,
        group=group,
        measure="Referrals after case conferences",
        names=("persons_by_case_conference_step", "persons_at_case_conferences"),
        unit="share of persons discussed",
        method=Method("Nested shares, Wilson interval", {"days": days}),
        notes=(
            "A person discussed several times counts once.",
            "A referral after a meeting is not thereby made by it.",
            *lost,
        ),
    )


def case_conference_months(
    conference: pd.DataFrame, referral: pd.DataFrame, *, days: int = 30
) -> pd.DataFrame:
    """Persons discussed and referred by month, for `coordinator_evidence`. Restricted.

    Parameters
    ----------
    conference, referral, days
        As in `case_conference_referrals`.

    Returns
    -------
    pd.DataFrame
        ``month`` (Period, every month from the first meeting to the last), ``n_discussed``
        (persons with a meeting in the month), ``n_referred`` (of them, referred in time after it).
        Persons of the last `days` before the records end had less time: leave those months out.
    """
    met, after, _ = _after_meetings(conference, referral, days)
    by_month = {
        name: rows.groupby(rows["conference_date"].dt.to_period("M"))["person_id"].nunique()
        for name, rows in (("n_discussed", met), ("n_referred", after))
    }
    days_met = met["conference_date"]
    months = pd.period_range(days_met.min(), days_met.max(), freq="M", name="month")
    table = pd.DataFrame(by_month).reindex(months).fillna(0).astype(int)
    return table.reset_index()


def case_conference_rates(
    conference: pd.DataFrame, referral: pd.DataFrame, *, days: int = 30
) -> RateTable:
    """Of the persons discussed in each month, the share referred in time after it, to release.

    Parameters
    ----------
    conference, referral, days
        As in `case_conference_referrals`.

    Returns
    -------
    RateTable
        Keys: ``month`` (those with a meeting, and ``"all"``: the persons of
        `case_conference_referrals`, so that a month of few does not follow from it) and ``step``
        (``"referred"``). Wilson intervals. A person discussed in several months counts in each.
    """
    by_month = case_conference_months(conference, referral, days=days)
    by_month = by_month[by_month["n_discussed"] > 0]
    persons = case_conference_referrals(conference, referral, days=days)
    at = persons.keys["step"].tolist().index(_REFERRED)
    referred = np.append(persons.numerator[at], by_month["n_referred"].to_numpy(dtype=float))
    discussed = np.append(persons.denominator[at], by_month["n_discussed"].to_numpy(dtype=float))
    return share_table(
        "Referrals after case conferences by month",
        pd.DataFrame({"month": [ALL, *by_month["month"].astype(str)], "step": _REFERRED}),
        referred,
        discussed,
        names=(persons.numerator_name, persons.denominator_name),
        unit="share of persons discussed",
        method=Method("Shares, Wilson interval", {"days": days}),
        denominator_keys=("month",),
        overlaps=("month",),
        notes=(
            "A person discussed in several months counts in each.",
            "A referral after a meeting is not thereby made by it.",
        ),
    )


def _after_meetings(
    conference: pd.DataFrame, referral: pd.DataFrame, days: int
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[str, ...]]:
    """Persons at meetings, their referrals in time after one, and rows left out in words."""
    if days < 0:
        raise EstimationError(f"`days` is {days}; count referrals from the meeting on.")
    seen = person_columns(conference, "conference", _CONFERENCE)
    made = person_columns(referral, "referral", _REFERRAL)
    met = seen.dropna()
    if met.empty:
        raise EstimationError("nobody was discussed: no row has a person and a day.")
    pairs = met.merge(made, on="person_id")
    wait = (pairs["referred_date"] - pairs["conference_date"]).dt.days
    n_lost = len(seen) - len(met)
    words = f"Rows without a person or a day are left out: {share_words(n_lost, len(seen))}."
    return met, pairs[wait.between(0, days)], (words,) if n_lost else ()
