"""Sentences with computed numbers: plain words, unit, direction, interval, uncertainty.

Rules for the words
-------------------
* A difference is *clear* when its 95% interval leaves out zero. Then the sentence says "fewer" or
  "more" (or "lower", "higher" for amounts) with the number, the unit and the interval.
* Otherwise the sentence says "no clear change" and gives the interval from end to end, so that a
  reader sees what is ruled out. It never says "no effect".
* A comparison without comparison members is called a change, never an effect, and the sentence
  says that it is not causal.
* "Improved" and "worsened" are not used: whether fewer is better depends on the outcome.
* A withheld number is "not shown (small numbers)"; an absent item is named as not in the release.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.report.labels import (
    ACCESS_STAGES,
    ORGANIZATION_TYPES,
    month_label,
    outcome_label,
    quarter_label,
    race_label,
    service_label,
)
from calaim_eval.report.numbers import decimals_for, number, percent, plural
from calaim_eval.report.release_items import (
    Absent,
    find_item,
    require_released,
)
from calaim_eval.results import ALL

if TYPE_CHECKING:
    import pandas as pd

    from calaim_eval.disclosure import Released

NOT_SHOWN = "not shown (small numbers)"
_AMOUNTS = frozenset({"paid_usd"})


def difference_words(
    estimate: float, conf_low: float, conf_high: float, *, unit: str, is_amount: bool = False
) -> str:
    """A difference in words, following the rules of this module.

    Parameters
    ----------
    estimate, conf_low, conf_high : float
        In `unit`; negative means fewer.
    unit : str
        e.g. ``"ED visits per 1,000 member-months"``.
    is_amount : bool
        Say lower and higher in place of fewer and more.

    Returns
    -------
    str
        A clause without a final stop.

    Examples
    --------
    >>> difference_words(-28.4, -38.0, -18.8, unit="ED visits per 1,000 member-months")
    '28.4 fewer ED visits per 1,000 member-months (95% interval 18.8 to 38.0 fewer)'
    >>> difference_words(-3.1, -8.0, 1.8, unit="stays")
    'no clear change: 3.10 fewer stays, with an interval from 8.00 fewer to 1.80 more'
    """
    if not all(math.isfinite(v) for v in (estimate, conf_low, conf_high)):
        return "could not be estimated"
    d = decimals_for([estimate, conf_low, conf_high])
    less, more = ("lower", "higher") if is_amount else ("fewer", "more")

    def side(value: float) -> str:
        return f"{number(abs(value), decimals=d)} {less if value < 0 else more}"

    def centre(value: float) -> str:
        return (
            f"{number(abs(value), decimals=d)} {unit} {less if value < 0 else more}"
            if is_amount
            else f"{side(value)} {unit}"
        )

    if conf_low <= 0 <= conf_high:
        return (
            f"no clear change: {centre(estimate)}, with an interval from {side(conf_low)} to "
            f"{side(conf_high)}"
        )
    near, far = sorted((abs(conf_low), abs(conf_high)))
    word = less if estimate < 0 else more
    bounds = f"{number(near, decimals=d)} to {number(far, decimals=d)} {word}"
    return f"{centre(estimate)} (95% interval {bounds})"


def effect_sentence(released: Released, *, outcome: str, anchor: str = "first_service") -> str:
    """Overall effect on one outcome, in one sentence.

    Parameters
    ----------
    released : Released
        Uses `effect_overall`.
    outcome : str
    anchor : {"first_outreach", "first_service"}

    Returns
    -------
    str
    """
    found = find_item(released, "effect_overall")
    name = outcome_label(outcome)
    if isinstance(found, Absent):
        return found.words
    frame = found.frame
    rows = frame[(frame["outcome"] == outcome) & (frame["anchor"] == anchor)]
    if rows.empty:
        return f"{name}: not among the outcomes of this release."
    row = rows.iloc[0]
    since = "after the first service" if anchor == "first_service" else "after the first outreach"
    if row["is_suppressed"]:
        return f"{name} {since}: {NOT_SHOWN}."
    words = _row_words(row, outcome=outcome, unit=_unit(row, found.meta))
    is_causal = bool(found.meta.get("is_causal", True))
    tail = "than expected without the program" if is_causal else "than before (not causal)"
    if words.startswith(("no clear", "could not")):
        return f"{name} {since}: {words}."
    return f"{name} {since}: {words} {tail}."


def pre_post_sentence(released: Released, *, outcome: str) -> str:
    """Change among members served, said to be not causal.

    Parameters
    ----------
    released : Released
        Uses the ``"all"`` rows of `pre_post`.
    outcome : str

    Returns
    -------
    str
    """
    found = find_item(released, "pre_post")
    if isinstance(found, Absent):
        return found.words
    frame = found.frame
    rows = frame[(frame["outcome"] == outcome) & (frame["race_ethnicity"] == ALL)]
    name = outcome_label(outcome)
    if rows.empty:
        return f"{name}: not among the outcomes of this release."
    served = rows[rows["side"] == "exposed"] if "side" in rows else rows
    text = (
        f"{name}, change from before to after the first service among members served: "
        f"{_change_words(served, outcome=outcome, meta=found.meta)}."
    )
    others = rows[rows["side"] == "comparison"] if "side" in rows else rows.iloc[:0]
    if len(others):
        words = _change_words(others, outcome=outcome, meta=found.meta)
        text += f" Among comparison members: {words}."
    return (
        f"{text} This is not causal: members are chosen when their use is high, and part of it "
        "falls back by itself."
    )


def _change_words(rows: pd.DataFrame, *, outcome: str, meta: Mapping[str, object]) -> str:
    if rows.empty or rows["is_suppressed"].iloc[0]:
        return NOT_SHOWN
    return _row_words(rows.iloc[0], outcome=outcome, unit=_unit(rows.iloc[0], meta))


def contrast_sentence(released: Released, *, item: str = "effect_overall") -> str:
    """What is compared with what, in the words of the design.

    Parameters
    ----------
    released : Released
    item : str
        A released table of effects.

    Returns
    -------
    str
        Empty where the item is absent: its place on the page says so already.
    """
    found = find_item(released, item)
    if isinstance(found, Absent) or not found.meta.get("contrast"):
        return ""
    return f"What is compared: {found.meta['contrast']}."


def gaps_sentence(released: Released, *, outcome: str) -> str:
    """How many groups' effects differ clearly from the reference group's.

    Counts all groups rather than picking the widest gap: a gap chosen because it is the widest is
    too wide on average.

    Parameters
    ----------
    released : Released
        Uses `effect_gap`.
    outcome : str

    Returns
    -------
    str
    """
    found = find_item(released, "effect_gap")
    if isinstance(found, Absent):
        return found.words
    frame = found.frame
    rows = frame[(frame["outcome"] == outcome) & (frame["race_ethnicity"] != frame["reference"])]
    name = outcome_label(outcome)
    if rows.empty:
        return f"{name}: no gap in this release."
    shown = rows[~rows["is_suppressed"]]
    reference = race_label(str(rows["reference"].iloc[0]))
    hidden = len(rows) - len(shown)
    tail = (
        f" {plural(hidden, 'group')} {'is' if hidden == 1 else 'are'} {NOT_SHOWN}."
        if hidden
        else ""
    )
    if shown.empty:
        return f"{name}: gaps in effect are {NOT_SHOWN}."
    clear = shown[(shown["conf_low"] > 0) | (shown["conf_high"] < 0)]
    words = "; ".join(
        f"{race_label(row['race_ethnicity'])} "
        f"{_row_words(row, outcome=outcome, unit=_unit(row, found.meta))}"
        for _, row in clear.iterrows()
    )
    if clear.empty:
        return (
            f"{name}: of {plural(len(shown), 'group')} compared with {reference}, none has a "
            f"clearly different effect. That is not proof of equal effects: small groups have wide "
            f"intervals.{tail}"
        )
    return (
        f"{name}: {len(clear)} of {plural(len(shown), 'group')} compared with {reference} "
        f"{'has' if len(clear) == 1 else 'have'} a clearly different effect: {words}.{tail}"
    )


def access_sentence(released: Released, *, stage: str = "served") -> str:
    """Share of identified members who got to a stage, and its range over groups.

    Parameters
    ----------
    released : Released
        Uses `access_funnel`.
    stage : {"outreached", "served", "cbo_served"}

    Returns
    -------
    str
    """
    found = find_item(released, "access_funnel")
    if isinstance(found, Absent):
        return found.words
    frame = found.frame
    label = ACCESS_STAGES.get(stage, stage).lower()
    rows = frame[frame["stage"] == stage]
    overall = rows[rows["race_ethnicity"] == ALL]
    if overall.empty:
        return f"Members {label}: not in this release."
    words = _share_words(overall.iloc[0], found.meta, of="members identified as eligible")
    return f"Members {label}: {words}.{_range_tail(rows, total=ALL)}"


def closure_sentence(released: Released) -> str:
    """Share of matured referrals closed with services received, and its range over groups.

    Parameters
    ----------
    released : Released
        Uses `referral_closure`.

    Returns
    -------
    str
    """
    found = find_item(released, "referral_closure")
    if isinstance(found, Absent):
        return found.words
    rows = found.frame
    overall = rows[rows["race_ethnicity"] == ALL]
    if overall.empty:
        return "Referral loops closed: not in this release."
    words = _share_words(overall.iloc[0], found.meta, of="matured referrals")
    return f"Referrals closed with services received: {words}.{_range_tail(rows, total=ALL)}"


def delivery_sentence(released: Released, *, organization_type: str = "cbo") -> str:
    """Share of members served by one type of organization.

    Parameters
    ----------
    released : Released
        Uses `delivery_members`, and `delivery_contracts` to set it against.
    organization_type : str

    Returns
    -------
    str
    """
    found = find_item(released, "delivery_members")
    if isinstance(found, Absent):
        return found.words
    rows = found.frame
    rows = rows[rows["organization_type"] == organization_type]
    name = ORGANIZATION_TYPES.get(organization_type, organization_type)
    if rows.empty:
        return f"{name}: not in this release."
    words = _share_words(rows.iloc[0], found.meta, of=f"members served{_in_quarter(found.meta)}")
    contracts = find_item(released, "delivery_contracts")
    tail = ""
    if not isinstance(contracts, Absent):
        held = contracts.frame
        held = held[held["organization_type"] == organization_type]
        if len(held) and not held["is_suppressed"].iloc[0]:
            tail = f" They hold {percent(_fraction(held.iloc[0]))} of contracts."
    return f"{name}, members served: {words}.{tail}"


def _in_quarter(meta: Mapping[str, object]) -> str:
    """`` in Q4 2024`` where the item counts one quarter."""
    options = meta.get("options")
    quarter = str(options.get("quarter", "")) if isinstance(options, Mapping) else ""
    return f" in {quarter_label(quarter)}" if quarter else ""


def coverage_sentence(released: Released) -> str:
    """Services with most and fewest counties covered.

    Parameters
    ----------
    released : Released
        Uses `coverage_summary`.

    Returns
    -------
    str
    """
    found = find_item(released, "coverage_summary")
    if isinstance(found, Absent):
        return found.words
    rows = found.frame
    rows = rows[~rows["is_suppressed"] & (rows["service"] != ALL) & (rows["denominator"] > 0)]
    if rows.empty:
        return "Coverage: nothing is shown."
    rows = rows.assign(share=rows["numerator"] / rows["denominator"]).sort_values("share")

    def words(share: float) -> str:
        """Every service with this share: ties are named together."""
        tied = rows[rows["share"] == share]
        names = " and ".join(service_label(s) for s in tied["service"])
        counts = f"{number(tied['numerator'].iloc[0])} of {number(tied['denominator'].iloc[0])}"
        return f"{names} ({counts} counties{' each' if len(tied) > 1 else ''})"

    low, high = rows["share"].iloc[0], rows["share"].iloc[-1]
    if low == high:
        return f"An active organization is found in equally many counties for {words(high)}."
    return (
        f"An active organization is found in most counties for {words(high)} and in fewest for "
        f"{words(low)}."
    )


def members_sentence(released: Released) -> str:
    """How many members are in the study, and for how many race and ethnicity is not known.

    Parameters
    ----------
    released : Released
        Uses `members_by_group`.

    Returns
    -------
    str
    """
    found = find_item(released, "members_by_group")
    if isinstance(found, Absent):
        return found.words
    rows = found.frame.set_index("race_ethnicity")
    if ALL not in rows.index or rows.loc[ALL, "is_suppressed"]:
        return f"Members in the study: {NOT_SHOWN}."
    text = f"The study covers {number(rows.loc[ALL, 'numerator'])} members."
    if "unknown" in rows.index and not rows.loc["unknown", "is_suppressed"]:
        share = percent(_fraction(rows.loc["unknown"]), decimals=1)
        text += f" Race and ethnicity is unknown for {share}; they are a row of every table."
    return text


def _row_words(row: pd.Series, *, outcome: str, unit: str) -> str:
    return difference_words(
        float(row["estimate"]),
        float(row["conf_low"]),
        float(row["conf_high"]),
        unit=unit,
        is_amount=outcome in _AMOUNTS,
    )


def _unit(row: pd.Series, meta: Mapping[str, object]) -> str:
    return str(row["unit"]) if "unit" in row.index else str(meta.get("unit", ""))


def _share_words(row: pd.Series, meta: Mapping[str, object], *, of: str) -> str:
    """``42% (1,180 of 2,800 members; 95% interval 40% to 44%)``."""
    if row["is_suppressed"]:
        return NOT_SHOWN
    if not row["denominator"] > 0:
        return f"not defined: there are no {of}"
    per = float(str(meta.get("per") or 1.0))
    counts = f"{number(row['numerator'])} of {number(row['denominator'])} {of}"
    text = f"{percent(_fraction(row))} ({counts}"
    low, high = float(row["conf_low"]) / per, float(row["conf_high"]) / per
    if math.isfinite(low) and math.isfinite(high):
        text += f"; 95% interval {percent(low)} to {percent(high)}"
    return f"{text})"


def _range_tail(rows: pd.DataFrame, *, total: str) -> str:
    """Range over groups, naming them, and how many are not shown; a description, not a test."""
    groups = rows[rows["race_ethnicity"] != total]
    shown = groups[~groups["is_suppressed"] & (groups["denominator"] > 0)]
    hidden = int(groups["is_suppressed"].sum())
    text = ""
    if len(shown) >= 2:
        shares = shown.assign(share=shown["numerator"] / shown["denominator"]).sort_values("share")
        low, high = shares.iloc[0], shares.iloc[-1]
        text = f" By race and ethnicity it runs from {_end_words(low)} to {_end_words(high)}."
    if hidden:
        text += f" {plural(hidden, 'group')} {'is' if hidden == 1 else 'are'} {NOT_SHOWN}."
    return text


def _end_words(row: pd.Series) -> str:
    """``29% (Asian, 75 of 257)``."""
    counts = f"{number(row['numerator'])} of {number(row['denominator'])}"
    return f"{percent(row['share'])} ({race_label(row['race_ethnicity'])}, {counts})"


def _fraction(row: pd.Series) -> float:
    return float(row["numerator"] / row["denominator"]) if row["denominator"] > 0 else math.nan


def question_sentence(released: Released) -> str:
    """The study's question, as its study file asks it.

    Parameters
    ----------
    released : Released
        Uses `question` of the provenance.

    Returns
    -------
    str
        Empty where the release does not state it.
    """
    question = str(require_released(released).provenance.get("question", "")).strip()
    return f"The question: {question}" if question else ""


def period_sentence(released: Released) -> str:
    """Which numbers concern the quarter and which the whole study.

    Parameters
    ----------
    released : Released
        Uses `first_month` and `last_month` of the provenance.

    Returns
    -------
    str
        Empty where the release does not state its months.
    """
    released = require_released(released)
    first, last = (str(released.provenance.get(f"{end}_month", "")) for end in ("first", "last"))
    if not (first and last):
        return ""
    months = f"all months of the study, {month_label(first)} to {month_label(last)}"
    of_quarter = [t for t in released.tables.values() if _in_quarter(t.meta)]
    if not of_quarter:
        return f"The numbers cover {months}."
    return (
        f"Organizations, contracts, members they served, invoices and coverage are those of "
        f"{quarter_label(str(released.quarter))}; all other numbers cover {months}."
    )
