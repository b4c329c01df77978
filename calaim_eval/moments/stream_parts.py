"""Moments of some streamed members."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.moments.accumulate import accumulate
from calaim_eval.moments.panel_rows import label_members
from calaim_eval.moments.periods import present_months

if TYPE_CHECKING:
    from calaim_eval.moments.cell_moments import CellMoments
    from calaim_eval.moments.dense_members import DenseMembers
    from calaim_eval.moments.streamed_rows import StreamedRows

MEMBERS_PER_PART = 100_000
MEMBERS_A_LABEL = 300
"""With many cells the moments of a part are the larger thing to hold and to add."""


def members_per_part(rows: StreamedRows) -> int:
    """Members whose months are laid out at once."""
    return max(MEMBERS_PER_PART, MEMBERS_A_LABEL * len(rows.book))


def labelled_part(
    rows: StreamedRows,
    members: DenseMembers,
    label: np.ndarray,
    *,
    where: str,
    balanced_only: bool,
) -> CellMoments:
    """Moments of some members, given the number of each one's label in the book."""
    months = present_months(rows.ordinals, rows.frequency)
    attributes = rows.book.frame()
    columns = rows.columns
    return accumulate(
        members,
        label_members(attributes, columns, months=months, frequency=rows.frequency),
        label=label,
        months=months,
        columns=columns,
        cluster=None if columns.cluster is None else attributes[columns.cluster],
        provenance={
            "rows": {"used": int(np.count_nonzero(members.held))},
            "sources": [where],
            "notes": [],
        },
        balanced_only=balanced_only,
    )
