"""Case finding: of those screened, who met the rule, was referred, and began."""

from __future__ import annotations

import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.coordinator.person_steps import nested_shares, person_columns
from calaim_eval.integration.inputs import Day, as_day
from calaim_eval.results import Method, RateTable
from calaim_eval.results.share_words import share_words


def case_finding_yield(
    screening: pd.DataFrame,
    referral: pd.DataFrame,
    *,
    threshold: float,
    days: int = 90,
    as_of: Day | None = None,
    rule: str = "ED visits in the last year",
    group: pd.Series | None = None,
) -> RateTable:
    """Persons screened by a local rule, those who met it, were referred in time, and began.

    The rule is the place's own (in Kings and Tulare, 20 or more emergency department visits): its
    item comes from a local triage assessment, not from a column of the HUD standard, and is what a
    person said.

    Parameters
    ----------
    screening : pd.DataFrame
        ``person_id``, ``screening_date``, ``value`` (of the rule's item; missing: not asked).
        A person screened several times counts once, by the first screening that met the rule, else
        the first one.
    referral : pd.DataFrame
        ``person_id``, ``referred_date`` and ``service_started_date`` (missing: not begun).
    threshold : float
        The rule is met from this value on.
    days : int
        Referrals from the day of screening to this many days later count.
    as_of : day, optional
        Last day the records know of. Screenings less than `days` before it are left out, for the
        persons may yet be referred, and a service counts as begun if it began by that day.
        Without it every screening counts: give those only whose days are over.
    rule : str
        What `value` is, for the method line.
    group : pd.Series, optional
        Group of each person (race and ethnicity), indexed by person and named as the key.

    Returns
    -------
    RateTable
        Key ``step``: ``"met_rule"``, ``"referred"``, ``"started"``, each among those screened
        (with a value) and nested; with `group` its name too, with an ``"all"`` margin. Wilson
        intervals. About members: small counts do not leave.

    Raises
    ------
    TableError
        Columns are absent or cannot be read, or `group` has a person twice.
    EstimationError
        Nobody was screened, or nobody `days` or more before `as_of`.
    """
    seen = person_columns(screening, "screening", ("person_id", "screening_date", "value"))
    made = person_columns(
        referral, "referral", ("person_id", "referred_date", "service_started_date")
    )
    asked = seen.dropna(subset=["person_id", "screening_date", "value"])
    if asked.empty:
        raise EstimationError("nobody was screened: no row has a person, a day and a value.")
    end = pd.Timestamp.max if as_of is None else as_day(as_of, name="as_of")
    is_over = asked["screening_date"] <= end - pd.Timedelta(days=days)
    n_asked, asked = len(asked), asked[is_over]
    if asked.empty:
        raise EstimationError(
            f"nobody was screened {days} days or more before `as_of`: who was screened later may "
            "yet be referred.\n  Use a later `as_of`, or fewer `days`."
        )
    asked = asked.assign(is_met=asked["value"] >= threshold)
    first = asked.sort_values(
        ["person_id", "is_met", "screening_date"], ascending=[True, False, True], kind="stable"
    ).drop_duplicates("person_id")
    pairs = first[first["is_met"]].merge(made, on="person_id")
    wait = (pairs["referred_date"] - pairs["screening_date"]).dt.days
    in_time = pairs[wait.between(0, days)]
    begun = in_time["service_started_date"].between(in_time["referred_date"], end)
    persons = first["person_id"]
    reached = pd.DataFrame(
        {
            "met_rule": first["is_met"].to_numpy(),
            "referred": persons.isin(in_time["person_id"]).to_numpy(),
            "started": persons.isin(in_time.loc[begun, "person_id"]).to_numpy(),
        },
        index=pd.Index(persons),
    )
    unread = len(seen) - n_asked
    options = {"rule": f"{rule} >= {threshold:g}", "days": days}
    return nested_shares(
        reached,
        group=group,
        measure="Yield of case finding",
        names=("persons_by_case_finding_step", "persons_screened"),
        unit="share of persons screened",
        method=Method(
            "Nested shares, Wilson interval",
            options if as_of is None else options | {"as_of": f"{end:%Y-%m-%d}"},
        ),
        notes=(
            "A person screened several times counts once.",
            *((_left_out(unread, len(seen)),) if unread else ()),
            *((_too_late(n_asked - len(asked), n_asked, days, end),) if not is_over.all() else ()),
        ),
    )


def _left_out(n_left: int, n_all: int) -> str:
    """Screenings without a value, in words from which no count follows."""
    share = share_words(n_left, n_all)
    return f"Screenings without a person, a day or a value are left out: {share}."


def _too_late(n_left: int, n_all: int, days: int, end: pd.Timestamp) -> str:
    """Screenings that are too young, in words from which no count follows."""
    share = share_words(n_left, n_all)
    return f"Screenings less than {days} days before {end:%Y-%m-%d} are left out: {share}."
