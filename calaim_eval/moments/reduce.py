"""Reduce a member-month panel to cell moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.moments.accumulate import accumulate_rows
from calaim_eval.moments.cell_moments import CellMoments
from calaim_eval.moments.panel_rows import (
    NOT_AT_RISK,
    PanelColumns,
    code_rows,
    label_members,
    member_attributes,
    member_codes,
    month_ordinals,
    rows_at_risk,
)
from calaim_eval.moments.periods import period_frequency, present_months
from calaim_eval.moments.unbalanced import (
    Unbalanced,
    coverage_notes,
    require_choice,
    require_known,
)

if TYPE_CHECKING:
    from calaim_eval.design import Design

FRAME = "the data frame"
LONGEST_TABLE = 1_000_000


def reduce_panel(
    data: pd.DataFrame | str | Path | Design | Any,
    *,
    outcomes: Sequence[str] | str,
    member_id: str | None = None,
    month: str | None = None,
    cohort: str | None = None,
    stratum: str | Sequence[str] | None = None,
    covariate_cells: str | Sequence[str] | None = None,
    cluster: str | None = None,
    at_risk: str | None = None,
    unbalanced: Unbalanced | None = None,
    processes: int = 1,
) -> CellMoments:
    r"""Reduce a member-month panel to cell moments: once, for every estimate that follows.

    Parameters
    ----------
    data : table, path or glob of parquet files, or Design
        A pandas, Polars or Arrow table, or a query that is run once: an Ibis table, a DuckDB
        relation, a Polars lazy frame. One row per member and month, rows in any order, months
        without coverage absent. A `Design` brings its members, months, cohorts and covariate cells
        with it.
    outcomes : sequence of str
        Outcome columns, a number in every row (0 = no use).
    member_id, month, cohort : str, optional
        Column names; default ``"member_id"``, ``"month"``, ``"cohort"``. `month` holds dates (read
        as calendar months), pandas Periods of any frequency, or whole numbers such as years;
        `cohort` is the first exposed month, **missing = never exposed**, constant in a member.
        For a repeated cross-section give every row its own `member_id`.
    stratum : str or sequence of str, optional
        Columns effects are wanted by, constant in a member. Missing is a stratum of its own.
    covariate_cells : str or sequence of str, optional
        Discrete columns within which exposed and comparison members are compared; default for a
        `Design`: its own.
    cluster : str, optional
        Column for cluster-robust inference beside the member's own (e.g. ``"county"``).
    at_risk : str, optional
        Column that is true/false, or the fraction of the month at risk; rows at 0 are set aside.
    unbalanced : {"cell_means", "balanced_members"}, optional
        What to do when some members are not covered in every month: means of whoever is covered,
        or only members covered throughout. There is no default: an unbalanced panel is refused
        until one is chosen, and the error says what each would lose.
    processes : int
        For parquet files and queries: so many processes reduce a share of the members each. The
        moments of whole numbers are the same to the last digit. Each process takes a second or two
        to start and has memory of its own, and one process reads whole numbers on several cores
        already (measured: several cost more up to a hundred million member-months). They are meant
        for amounts and very long panels. In a script call it under
        ``if __name__ == "__main__":``.

    Returns
    -------
    CellMoments

    Raises
    ------
    TableError
        A column is absent, a key repeats, an outcome is missing or infinite, a cohort or a
        stratum changes within a member.
    DesignError
        The panel is unbalanced and `unbalanced` is not given; it is neither choice.
    EstimationError
        `processes` is not a whole number from 1 on, or the data are not files.
    OutputError
        One of several processes was ended from outside.

    Notes
    -----
    For member i let :math:`v_i = (y_{i1} \dots y_{iT}, r_{i1} \dots r_{iT}, 1)`. A cell is a
    stratum × cohort × covariate cell; its moments are :math:`M_c = \sum_{i \in c} v_i v_i'`.
    Whole numbers are summed exactly; amounts are centred first.

    Examples
    --------
    >>> frame = pd.DataFrame({
    ...     "id": [1, 1, 2, 2], "year": [2020, 2021] * 2, "first_exposed": [2021, 2021, None, None],
    ...     "visits": [1, 3, 2, 2],
    ... })
    >>> reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...              cohort="first_exposed")
    <CellMoments: 2 members in 2 cells (1 cohorts), 2 months 2020 to 2021; outcomes visits>
    """
    from calaim_eval.design.design import Design

    require_known(unbalanced)
    _require_processes(processes, data)
    balanced_only = unbalanced == "balanced_members"
    if isinstance(data, Design):
        from calaim_eval.moments.reduce_design import reduce_design

        _refuse_column_names(member_id, month, cohort)
        moments = reduce_design(
            data,
            outcomes=_names(outcomes),
            stratum=_names(stratum),
            covariate_cells=None if covariate_cells is None else _names(covariate_cells),
            cluster=cluster,
            at_risk=at_risk,
            balanced_only=balanced_only,
        )
    else:
        columns = PanelColumns(
            outcomes=_names(outcomes),
            member_id=member_id or "member_id",
            month=month or "month",
            cohort=cohort or "cohort",
            stratum=_names(stratum),
            covariate_cells=_names(covariate_cells),
            cluster=cluster,
            at_risk=at_risk,
        )
        moments = reduce(
            add, _parts(data, columns, balanced_only=balanced_only, processes=processes)
        )
    if not len(moments):
        raise DesignError(
            "unbalanced='balanced_members': no member is covered in every month. Use "
            "unbalanced='cell_means', or a shorter window."
        )
    n_months = len(moments.months)
    require_choice(moments.provenance, n_months=n_months, unbalanced=unbalanced)
    notes = coverage_notes(moments.provenance, n_months=n_months, unbalanced=unbalanced)
    return replace(
        moments,
        provenance={**moments.provenance, "notes": [*moments.provenance["notes"], *notes]},
    )


def _parts(
    data: Any, columns: PanelColumns, *, balanced_only: bool, processes: int
) -> list[CellMoments]:
    """Moments of disjoint members, by the kind of data."""
    if isinstance(data, (str, Path)):
        from calaim_eval.moments.reduce_parquet import reduce_parquet

        return reduce_parquet(data, columns, balanced_only=balanced_only, processes=processes)
    if is_query(data):
        from calaim_eval.moments.reduce_parquet import reduce_query

        return reduce_query(data, columns, balanced_only=balanced_only, processes=processes)
    frame = _as_frame(data)
    return [reduce_frame(frame, columns, months=None, where=FRAME, balanced_only=balanced_only)]


def _require_processes(processes: int, data: Any) -> None:
    """Refuse a number of processes that is none, or that the data cannot be shared among."""
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise EstimationError(
            "`processes` is not a whole number from 1 on. Leave it out, or give at most the number "
            "of cores."
        )
    if processes > 1 and not (isinstance(data, (str, Path)) or is_query(data)):
        raise EstimationError(
            "`processes` shares out parquet files and queries; a frame is reduced by one, so is a "
            "design. Write a frame to parquet first, or leave `processes` out."
        )


def reduce_frame(
    frame: pd.DataFrame,
    columns: PanelColumns,
    *,
    months: pd.Index | None,
    where: str,
    balanced_only: bool,
) -> CellMoments:
    """Moments of one frame that holds all rows of its members; `months` None = those present."""
    columns.require(list(frame.columns), where=where)
    if frame.empty:
        raise TableError(f"{where} has no rows.")
    member = member_codes(frame, columns, where=where)
    ordinals = month_ordinals(frame, columns, where=where)
    frequency = period_frequency(frame[columns.month])
    risk = rows_at_risk(frame, columns.at_risk, where=where)
    if months is None:
        months = present_months(ordinals if risk is None else ordinals[risk > 0], frequency)
    axis = months.asi8 if isinstance(months, pd.PeriodIndex) else months.to_numpy()
    attributes = member_attributes(frame, columns, member=member, where=where)
    rows = code_rows(
        frame,
        columns,
        member=member,
        n_members=len(attributes),
        month=_positions(axis, ordinals),
        at_risk=risk,
        n_months=len(months),
        where=where,
    )
    labels = label_members(attributes, columns, months=months, frequency=frequency)
    counts = {"used": len(rows.member)}
    if columns.at_risk is not None:
        counts[NOT_AT_RISK] = rows.set_aside
    return accumulate_rows(
        rows,
        labels,
        months=months,
        columns=columns,
        cluster=None if columns.cluster is None else attributes[columns.cluster],
        provenance={"rows": counts, "sources": [where], "notes": []},
        balanced_only=balanced_only,
    )


def _positions(axis: np.ndarray, ordinals: np.ndarray) -> np.ndarray:
    """Position of each month on the axis; 0 for months off it, whose rows are not at risk."""
    first, last = int(axis[0]), int(axis[-1])
    if last - first > LONGEST_TABLE:
        return np.clip(np.searchsorted(axis, ordinals), 0, len(axis) - 1)
    table = np.zeros(last - first + 1, dtype=np.int64)
    table[axis - first] = np.arange(len(axis))
    return np.asarray(table[np.clip(ordinals, first, last) - first])


def _as_frame(data: Any) -> pd.DataFrame:
    """A pandas frame from a pandas, Polars or Arrow table; converted once."""
    if isinstance(data, pd.DataFrame):
        return data
    if hasattr(data, "to_pandas"):
        return data.to_pandas()
    raise TableError(
        f"reduce_panel can't read a {type(data).__name__}. Give a pandas, Polars or Arrow table, "
        "a path of parquet files, or a Design."
    )


def is_query(data: Any) -> bool:
    """Whether it is rows still to be fetched: Ibis, DuckDB or Polars lazy."""
    module = type(data).__module__.partition(".")[0].lstrip("_")
    return module in ("ibis", "duckdb") or hasattr(data, "sink_parquet")


def _names(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name, several or none, as a tuple."""
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(names)


def _refuse_column_names(*names: str | None) -> None:
    """A design already says which column is which."""
    if any(name is not None for name in names):
        raise TableError(
            "reduce_panel(design): leave out `member_id`, `month` and `cohort`; the design says "
            "which members, months and cohorts are compared."
        )
