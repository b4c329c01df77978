"""Member months as a design sees them: each of its members with the months that count for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.design import PANEL_MEMBER, UNTIL, Design
from calaim_eval.design.member_month_parts import member_month_parts, month_numbers

AGAIN = "is_again"


def design_month_parts(design: Design, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Member months of the members of a design, a part at a time.

    Parameters
    ----------
    design : Design
    columns : sequence of str
        Columns of the panel beside the member and the month.

    Yields
    ------
    pd.DataFrame
        `member_id` (of ``design.members``), `month_number`, `columns`, and `is_again`: the same
        row of the panel stood already for another member of the design. Only a matched design
        has such rows, and months after the follow-up of a match ends that are left out.
    """
    members = design.members
    if PANEL_MEMBER not in members.columns:
        for part in member_month_parts(
            design.panel,
            columns,
            first=design.months[0],
            last=design.months[-1],
            member_ids=pd.Index(members["member_id"].astype("str")),
        ):
            yield part.assign(**{AGAIN: False})
        return
    person, ids = pd.factorize(members[PANEL_MEMBER].astype("str"))
    order = np.argsort(person, kind="stable")
    start = np.searchsorted(person[order], np.arange(len(ids) + 1))
    until = month_numbers(members[UNTIL])
    for part in member_month_parts(
        design.panel,
        columns,
        first=design.months[0],
        last=design.months[-1],
        member_ids=pd.Index(ids),
    ):
        yield _expanded(part, members, ids, order=order, start=start, until=until)


def _expanded(
    part: pd.DataFrame,
    members: pd.DataFrame,
    ids: pd.Index,
    *,
    order: np.ndarray,
    start: np.ndarray,
    until: np.ndarray,
) -> pd.DataFrame:
    """Rows of a part once for every member of the design they stand for."""
    person = pd.Index(ids).get_indexer(part["member_id"].astype("str"))
    times = start[person + 1] - start[person]
    row = np.repeat(np.arange(len(part)), times)
    within = np.arange(len(row)) - np.repeat(np.cumsum(times) - times, times)
    member = order[start[person][row] + within]
    month = part["month_number"].to_numpy()[row]
    counts = ~(month > until[member])
    row, member = row[counts], member[counts]
    frame = part.iloc[row].reset_index(drop=True)
    frame["member_id"] = members["member_id"].astype("str").to_numpy()[member]
    frame[AGAIN] = np.concatenate([[False], row[1:] == row[:-1]]) if len(row) else False
    return frame
