"""How long each member is in a stage of the access funnel, and what ended it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import count_words
from calaim_eval.design.member_month_parts import member_month_parts, month_numbers
from calaim_eval.equity.groups import check_columns
from calaim_eval.errors import EstimationError
from calaim_eval.estimate.time_to_event.grouped_spells import N_ALIKE
from calaim_eval.estimate.time_to_event.incidence_table import WAITING
from calaim_eval.panel import MemberMonths
from calaim_eval.results import ALL

NEXT_STAGE = {
    "eligible": "identified",
    "identified": "outreached",
    "outreached": "served",
    "served": "closed",
}
"""Stages a member can be in, and what ends each."""
REACHED, COVERAGE_ENDED = "reached", "coverage_ended"
_NEVER = np.inf


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Months members are followed over.

    Attributes
    ----------
    first, last : int
        First and last month observed, as numbers.
    matured : int
        Months before `last` by which a stage must have begun.
    max_gap_months : int
        Uncovered months that do not end coverage.
    """

    first: int
    last: int
    matured: int
    max_gap_months: int


def stage_spells(
    members: pd.DataFrame,
    coverage: pd.DataFrame,
    *,
    stage: str,
    follow_up: FollowUp,
    by: str,
    exits: pd.DataFrame | None,
    exit_names: tuple[str, ...],
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Spells of one stage counted by group, duration and ending, and who is left out.

    Parameters
    ----------
    members : pd.DataFrame
        One row a member: `member_id`, `by`, ``start_<stage>`` and ``reached_<stage>`` (month
        numbers, NaN: never).
    coverage : pd.DataFrame
        As `covered_until`.
    stage : str
    follow_up : FollowUp
    by : str
    exits : pd.DataFrame | None
        `member_id`, `month`, `exit`, checked by `check_exits`.
    exit_names : tuple of str
        Endings beside being reached and the end of coverage.

    Returns
    -------
    spells : pd.DataFrame
        `by`, ``duration_months``, ``cause`` (0 followed to the end, 1 reached, 2 coverage ended,
        3 ... as `exit_names`) and ``n_alike``.
    notes : tuple[str, ...]
    """
    start = members[f"start_{stage}"].to_numpy(dtype=float)
    reached = members[f"reached_{stage}"].fillna(_NEVER).to_numpy(dtype=float)
    until = _covered_until(members["member_id"], start, coverage)
    reasons = {
        "it began before the first month observed": start < follow_up.first,
        "it began too late to be followed as long": start > follow_up.last - follow_up.matured,
        "the next stage is recorded before it": reached < start,
        "not covered in the month it began": np.isnan(until),
    }
    is_in, notes = ~np.isnan(start), []
    for words, is_so in reasons.items():
        lost = int((is_in & is_so).sum())
        is_in = is_in & ~is_so
        if lost:
            notes.append(f"Stage `{stage}`, left out, {words}: {count_words(lost)} members.")
    start, reached, until = start[is_in], reached[is_in], until[is_in]
    own = members.loc[is_in]
    other, code = _first_exits(own["member_id"], start, exits, exit_names)
    ends = _endings(start, reached, until, follow_up=follow_up, other=other, code=code)
    late = int(((ends["cause"] > 1) & (reached <= follow_up.last)).sum())
    if late:
        notes.append(
            f"Stage `{stage}`, went on to the next stage only after coverage or the stage had "
            f"ended, counted by what ended it: {count_words(late)} members."
        )
    counted = ends.assign(**{by: own[by].to_numpy()}).value_counts(sort=False)
    return counted.rename(N_ALIKE).reset_index(), tuple(notes)


def _endings(
    start: np.ndarray,
    reached: np.ndarray,
    until: np.ndarray,
    *,
    follow_up: FollowUp,
    other: np.ndarray,
    code: np.ndarray,
) -> pd.DataFrame:
    """Months from the start to what came first, and what it was."""
    is_lost = until + 1 + follow_up.max_gap_months <= follow_up.last
    lost = np.where(is_lost, until + 1, _NEVER)
    # A gap at the end may be a short one: nothing is known after the last covered month.
    censored = np.where(is_lost, _NEVER, np.minimum(until, follow_up.last))
    # In one month the next stage goes before an exit; without coverage it is no longer reached.
    which = np.column_stack([np.where(reached < lost, reached, _NEVER), other, lost, censored])
    first = which.argmin(axis=1)
    n, rows = len(start), np.arange(len(start))
    causes = np.column_stack([np.ones(n), code, np.full(n, 2.0), np.zeros(n)])
    return pd.DataFrame(
        {
            "duration_months": which[rows, first] - start,
            "cause": causes[rows, first].astype(np.int64),
        }
    )


def _first_exits(
    ids: pd.Series, start: np.ndarray, exits: pd.DataFrame | None, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Month and cause of each member's first exit from the start on; infinite where none."""
    month, code = np.full(len(ids), _NEVER), np.zeros(len(ids))
    if exits is None or exits.empty:
        return month, code
    each = pd.DataFrame({"member_id": ids.to_numpy(), "start": start, "row": np.arange(len(ids))})
    found = each.merge(
        exits.assign(exit_month=month_numbers(exits["month"])), on="member_id", how="inner"
    )
    found = found[found["exit_month"] >= found["start"]]
    found = found.sort_values(["row", "exit_month", "exit"], kind="stable").drop_duplicates("row")
    rows = found["row"].to_numpy()
    month[rows] = found["exit_month"]
    code[rows] = found["exit"].astype(str).map({name: k + 3 for k, name in enumerate(names)})
    return month, code


def covered_until(
    panel: MemberMonths, *, ids: pd.Index, last: pd.Period, max_gap_months: int
) -> pd.DataFrame:
    """Every covered month of some members, with the last month of the coverage it is part of.

    Returns
    -------
    pd.DataFrame
        `member_id`, `month_number`, `until` (month numbers); months apart by no more than
        `max_gap_months` are one coverage.
    """
    return pd.concat(_runs(panel, ids, last, max_gap_months), ignore_index=True)


def _runs(
    panel: MemberMonths, ids: pd.Index, last: pd.Period, max_gap_months: int
) -> Iterator[pd.DataFrame]:
    """Coverage of each part of the panel."""
    for part in member_month_parts(panel, (), last=last, member_ids=ids):
        rows = part.sort_values(["member_id", "month_number"], ignore_index=True)
        month = rows["month_number"].to_numpy()
        is_new = rows["member_id"].ne(rows["member_id"].shift()).to_numpy(copy=True)
        is_new[1:] |= np.diff(month) > 1 + max_gap_months
        run = np.cumsum(is_new)
        yield rows.assign(until=rows["month_number"].groupby(run).transform("max"))


def _covered_until(ids: pd.Series, start: np.ndarray, coverage: pd.DataFrame) -> np.ndarray:
    """Last month of the coverage the start falls into; NaN where it is not covered; (n,)."""
    wanted = pd.DataFrame({"member_id": ids.to_numpy(), "month_number": start})
    known = coverage.astype({"month_number": float, "until": float})
    found: np.ndarray = wanted.merge(known, how="left", on=["member_id", "month_number"])[
        "until"
    ].to_numpy(dtype=float)
    return found


def with_text_ids(frame: pd.DataFrame, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """Records given, with ids as the panel has them; refused where a row says too little."""
    check_columns(frame, ["member_id", *columns])
    for column in ("member_id", *columns):
        if frame[column].isna().any():
            raise EstimationError(
                f"access_times: `{name}` has rows without `{column}`.\n"
                "  Leave them out, or complete them."
            )
    return frame.assign(member_id=frame["member_id"].astype("str"))


def check_exits(exits: pd.DataFrame | None) -> tuple[str, ...]:
    """Names of the exits given; EstimationError where one has a meaning of its own."""
    if exits is None:
        return ()
    names = tuple(sorted(exits["exit"].astype(str).unique()))
    taken = [name for name in names if name in (REACHED, COVERAGE_ENDED, WAITING, ALL)]
    if taken:
        raise EstimationError(
            f"access_times: `exits` names an exit `{taken[0]}`, which has a meaning of its own.\n"
            "  Call it by what happened: died, declined, closed."
        )
    return names
