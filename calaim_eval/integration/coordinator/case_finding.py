"""Case finding: of those screened, who met the rule, was referred, and began."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError, quoted
from calaim_eval.integration.inputs import TEXT, local_days
from calaim_eval.results import Method, RateTable
from calaim_eval.results.intervals import wilson_interval
from calaim_eval.results.share_words import share_words

STEPS = ("met_rule", "referred", "started")


def case_finding_yield(
    screening: pd.DataFrame,
    referral: pd.DataFrame,
    *,
    threshold: float,
    days: int = 90,
    rule: str = "ED visits in the last year",
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
    rule : str
        What `value` is, for the method line.

    Returns
    -------
    RateTable
        Key ``step``: ``"met_rule"``, ``"referred"``, ``"started"``, each among those screened
        (with a value) and nested; Wilson intervals. About members: small counts do not leave.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    EstimationError
        Nobody was screened.
    """
    seen = _columns(screening, "screening", ("person_id", "screening_date", "value"))
    made = _columns(referral, "referral", ("person_id", "referred_date", "service_started_date"))
    asked = seen.dropna(subset=["person_id", "screening_date", "value"])
    if asked.empty:
        raise EstimationError("nobody was screened: no row has a person, a day and a value.")
    asked = asked.assign(is_met=asked["value"] >= threshold)
    first = asked.sort_values(
        ["person_id", "is_met", "screening_date"], ascending=[True, False, True], kind="stable"
    ).drop_duplicates("person_id")
    pairs = first[first["is_met"]].merge(made, on="person_id")
    wait = (pairs["referred_date"] - pairs["screening_date"]).dt.days
    in_time = pairs[wait.between(0, days)]
    begun = in_time["service_started_date"] >= in_time["referred_date"]
    counts = np.array(
        [
            first["is_met"].sum(),
            in_time["person_id"].nunique(),
            in_time.loc[begun, "person_id"].nunique(),
        ],
        dtype=float,
    )
    screened = np.full(len(STEPS), float(len(first)))
    low, high = wilson_interval(counts, screened)
    unread = len(seen) - len(asked)
    return RateTable(
        measure="Yield of case finding",
        keys=pd.DataFrame({"step": STEPS}),
        numerator=counts,
        denominator=screened,
        conf_low=low,
        conf_high=high,
        n_members=counts,
        numerator_name="persons_by_case_finding_step",
        denominator_name="persons_screened",
        unit="share of persons screened",
        kind="proportion",
        method=Method(
            "Nested shares, Wilson interval", {"rule": f"{rule} >= {threshold:g}", "days": days}
        ),
        denominator_keys=(),
        notes=(
            "A person screened several times counts once.",
            *((_left_out(unread, len(seen)),) if unread else ()),
        ),
    )


def _left_out(n_left: int, n_all: int) -> str:
    """Screenings without a value, in words from which no count follows."""
    share = share_words(n_left, n_all)
    return f"Screenings without a person, a day or a value are left out: {share}."


def _columns(frame: pd.DataFrame, table: str, names: tuple[str, ...]) -> pd.DataFrame:
    """The columns wanted: persons as text, days without a time of day, the value as a number."""
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise TableError(f"table `{table}` lacks {quoted(absent)}; it needs {quoted(names)}.")
    return pd.DataFrame({name: _read(frame[name], table, name) for name in names})


def _read(values: pd.Series, table: str, name: str) -> pd.Series:
    """One column; what is there and cannot be read is an error, not a missing value."""
    if name == "person_id":
        return values.astype(object).where(values.notna(), np.nan).astype(TEXT)
    if name == "value":
        read = pd.to_numeric(values, errors="coerce").astype(float)
    else:
        read = local_days(pd.to_datetime(values, errors="coerce"))
    unread = int((read.isna() & values.notna()).sum())
    if unread:
        raise TableError(
            f"table `{table}`, column `{name}`: {unread} of {len(values)} values cannot be read. "
            "Write days as year-month-day and numbers without signs; leave unknown ones empty."
        )
    return read
