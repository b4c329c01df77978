"""Encounter completeness: each plan's lines per 1,000 member-months against its own running median.

For every plan and kind of claim, month by month:

1. The reference is the median rate of the last 12 months that were not themselves flagged; while
   fewer than 6 of those exist, the months that follow fill the 12.
2. A month is judged when the reference makes at least `min_expected_lines` lines expected.
3. No line at all is a *gap*. A rate below `drop_share` times the reference is a *drop*, one above
   `surge_share` times it a *surge*, if it also lies more than 4 robust standard deviations (1.4826
   times the median absolute deviation of the same 12 months) away.
4. After 6 drops, or 6 surges, in a row the new level is taken as the plan's own.
5. Months whose claims are still arriving are not judged.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from calaim_eval.quality.rules import QualityRules

MEMORY, ENOUGH, SETTLED = 12, 6, 6
_ROBUST_SD, _N_SD = 1.4826, 4.0
OK, GAP, DROP, SURGE = "ok", "gap", "drop", "surge"
TOO_SMALL, ARRIVING, ABSENT = "too small", "still arriving", "absent"
FEED_TITLES = {
    "institutional": "Institutional claims",
    "professional": "Professional claims",
    "other": "Other medical claims",
    "pharmacy": "Pharmacy claims",
}
"""Kinds of claims as a reader sees them."""
COLUMNS = ["feed", "plan", "month", "n_member_months", "n_lines", "per_1000", "reference", "flag"]


def judge_completeness(
    lines: pd.DataFrame,
    member_months: pd.DataFrame,
    *,
    rules: QualityRules,
    arriving: Collection[tuple[str, int]] = (),
) -> pd.DataFrame:
    """Rate, reference and flag of every plan, kind of claim and month.

    Parameters
    ----------
    lines : pd.DataFrame
        `feed`, `plan`, `month` (number), `n_lines` in months of the panel.
    member_months : pd.DataFrame
        `plan`, `month`, `n_member_months` of the panel.
    rules : QualityRules
    arriving : collection of (feed, month)
        Months of a kind of claim that are not complete yet.

    Returns
    -------
    pd.DataFrame
        Columns `COLUMNS`, one row per kind of claim, plan and month with members; `reference` in
        lines per 1,000 member-months, missing where there is none.
    """
    feeds = sorted(lines["feed"].unique())
    known = lines.set_index(["feed", "plan", "month"])["n_lines"].to_dict()
    pieces = []
    for feed in feeds:
        usual = _usual_rate(lines[lines["feed"] == feed], member_months)
        for plan, months in member_months.groupby("plan", sort=True):
            own = months[months["n_member_months"] > 0].sort_values("month", ignore_index=True)
            found = [known.get((feed, plan, month), 0) for month in own["month"]]
            is_arriving = [(feed, month) in arriving for month in own["month"]]
            judged = judge_plan(
                own["n_member_months"].to_numpy(dtype=float),
                np.array(found, dtype=float),
                np.array(is_arriving, dtype=bool),
                rules=rules,
                usual=usual,
            )
            pieces.append(own.assign(feed=feed, plan=plan, n_lines=found, **judged))
    if not pieces:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(pieces, ignore_index=True)[COLUMNS]


def _usual_rate(lines: pd.DataFrame, member_months: pd.DataFrame) -> float:
    """Median over plans of a feed's lines per 1,000 member-months; plans without lines left out."""
    sent = lines.groupby("plan")["n_lines"].sum()
    members = member_months.groupby("plan")["n_member_months"].sum()
    rates = (1_000 * sent / members.reindex(sent.index)).replace(np.inf, np.nan).dropna()
    rates = rates[rates > 0]
    return float(rates.median()) if len(rates) else 0.0


def judge_plan(
    member_months: np.ndarray,
    n_lines: np.ndarray,
    is_arriving: np.ndarray,
    *,
    rules: QualityRules,
    usual: float = 0.0,
) -> dict[str, np.ndarray]:
    """Rates, references and flags of one plan's months in order; arrays of shape (months,).

    `usual` is the rate of other plans: where the plan has no line of the kind at all, it decides
    whether the plan is large enough to say that the kind is absent.
    """
    rate = 1_000 * n_lines / member_months
    reference = np.full(len(rate), np.nan)
    flag = np.full(len(rate), OK, dtype=object)
    if not n_lines.any():
        is_large = usual * member_months.sum() / 1_000 >= rules.min_expected_lines
        flag[:] = ABSENT if is_large else TOO_SMALL
        return {"per_1000": rate, "reference": reference, "flag": flag}
    kept: list[float] = []
    run: list[float] = []
    for at in range(len(rate)):
        if is_arriving[at]:
            flag[at] = ARRIVING
            continue
        base = _base(kept, rate, is_arriving, at)
        reference[at] = np.median(base) if len(base) else np.nan
        flag[at] = _flag(rate[at], n_lines[at], member_months[at], base, rules)
        if flag[at] in (OK, TOO_SMALL):
            kept.append(rate[at])
            run = []
        elif flag[at] == GAP:
            run = []
        else:
            run = [*run, rate[at]] if at and flag[at - 1] == flag[at] else [rate[at]]
            if len(run) >= SETTLED:
                kept, run = run, []
    return {"per_1000": rate, "reference": reference, "flag": flag}


def _base(kept: list[float], rate: np.ndarray, is_arriving: np.ndarray, at: int) -> np.ndarray:
    """Rates a month is held against."""
    if len(kept) >= ENOUGH:
        return np.array(kept[-MEMORY:])
    following = rate[at + 1 :][~is_arriving[at + 1 :]]
    return np.array([*kept, *following[: MEMORY - len(kept)]])


def _flag(
    rate: float, n_lines: float, members: float, base: np.ndarray, rules: QualityRules
) -> str:
    """What a month is, given the rates it is held against."""
    if not len(base):
        return TOO_SMALL
    middle = float(np.median(base))
    if middle * members / 1_000 < rules.min_expected_lines:
        return TOO_SMALL
    far = _N_SD * _ROBUST_SD * float(np.median(np.abs(base - middle)))
    if n_lines == 0:
        return GAP
    if rate < rules.drop_share * middle and middle - rate > far:
        return DROP
    if rate > rules.surge_share * middle and rate - middle > far:
        return SURGE
    return OK
