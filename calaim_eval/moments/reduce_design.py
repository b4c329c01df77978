"""Reduce the panel of a design, a part at a time."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.moments.accumulate import accumulate_rows
from calaim_eval.moments.cell_moments import CellMoments
from calaim_eval.moments.different_members import share_of_member
from calaim_eval.moments.panel_rows import (
    NOT_AT_RISK,
    PanelColumns,
    code_rows,
    label_members,
    member_codes,
    rows_at_risk,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calaim_eval.design import Design

PANEL = "the member-month panel"
OUTSIDE = "outside the design's members or months"
USED_AGAIN = "of these, a row used before in another matched set"


def reduce_design(
    design: Design,
    *,
    outcomes: tuple[str, ...],
    stratum: tuple[str, ...],
    covariate_cells: tuple[str, ...] | None,
    cluster: str | None,
    at_risk: str | None,
    balanced_only: bool,
) -> CellMoments:
    """Moments of a design; see `reduce_panel`."""
    columns = PanelColumns(
        outcomes=outcomes,
        member_id="member_id",
        month="month",
        cohort="cohort",
        stratum=stratum,
        covariate_cells=tuple(design.covariate_cells)
        if covariate_cells is None
        else covariate_cells,
        cluster=design.cluster if cluster is None and design.cluster != "member" else cluster,
        at_risk=at_risk,
    )
    _require_member_columns(design, columns)
    parts = list(_part_moments(design, columns, balanced_only=balanced_only))
    if not parts:
        raise TableError(
            f"{PANEL} has no member month of the design's members between {design.months[0]} and "
            f"{design.months[-1]}."
        )
    total = reduce(add, parts)
    counts = total.provenance["rows"]
    again = counts.pop(USED_AGAIN)
    counts[OUTSIDE] = design.panel.n_member_months - (sum(counts.values()) - again)
    if again:
        counts[USED_AGAIN] = again
    total.provenance.update(  # type: ignore[attr-defined]
        comparison=design.comparison,
        estimand_words=design.estimand_words,
        notes=list(design.notes),
    )
    return total


def _part_moments(
    design: Design, columns: PanelColumns, *, balanced_only: bool
) -> Iterator[CellMoments]:
    """Moments of each part of the panel that holds members of the design."""
    from calaim_eval.design.design import PANEL_MEMBER
    from calaim_eval.design.design_months import design_month_parts

    axis = design.months.asi8
    known = pd.Index(design.members["member_id"].astype("str"))
    share = None
    if PANEL_MEMBER in design.members.columns:
        share = share_of_member(design.members, PANEL_MEMBER)
    wanted = columns.outcomes if columns.at_risk is None else (*columns.outcomes, columns.at_risk)
    for frame in design_month_parts(design, wanted):
        if frame.empty:
            continue
        member = member_codes(frame, columns, where=PANEL)
        first = np.unique(member, return_index=True)[1]
        rows_of = known.get_indexer(pd.Index(frame["member_id"].iloc[first].astype("str")))
        attributes = design.members.iloc[rows_of].reset_index(drop=True)
        yield _reduce_part(
            design,
            columns,
            frame,
            member,
            attributes,
            axis,
            balanced_only=balanced_only,
            share=None if share is None else share[rows_of],
        )


def _reduce_part(
    design: Design,
    columns: PanelColumns,
    frame: pd.DataFrame,
    member: np.ndarray,
    attributes: pd.DataFrame,
    axis: np.ndarray,
    *,
    balanced_only: bool,
    share: np.ndarray | None,
) -> CellMoments:
    """Moments of one part; `attributes` has one row per member of the part."""
    rows = code_rows(
        frame,
        columns,
        member=member,
        n_members=len(attributes),
        month=np.searchsorted(axis, frame["month_number"].to_numpy()),
        at_risk=rows_at_risk(frame, columns.at_risk, where=PANEL),
        n_months=len(axis),
        where=PANEL,
    )
    labels = label_members(attributes, columns, months=design.months, frequency="M")
    counts: dict[str, Any] = {
        "used": len(rows.member),
        NOT_AT_RISK: rows.set_aside,
        USED_AGAIN: int(frame["is_again"].sum()),
    }
    return accumulate_rows(
        rows,
        labels,
        months=design.months.rename("month"),
        columns=columns,
        cluster=None if columns.cluster is None else attributes[columns.cluster],
        provenance={"rows": counts, "sources": [PANEL], "notes": []},
        balanced_only=balanced_only,
        share=share,
    )


def _require_member_columns(design: Design, columns: PanelColumns) -> None:
    """Strata, covariate cells and clusters come from the members of the design."""
    present = list(design.members.columns)
    missing = [c for c in columns.of_member if c not in present]
    if missing:
        raise TableError(
            f"the design's members lack {', '.join(f'`{c}`' for c in missing)}. They have "
            f"{', '.join(f'`{c}`' for c in present)}."
        )
