"""Several processes: each reduces a share of the members, and all are added up."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.errors import OutputError
from calaim_eval.moments.cell_moments import CellMoments
from calaim_eval.moments.panel_rows import PanelColumns
from calaim_eval.moments.reduce_addressed import is_numbered
from calaim_eval.moments.reduce_in_order import is_in_order, refuse_repeated_members
from calaim_eval.moments.reduce_parquet import (
    ADDRESSED,
    IN_ORDER,
    ToCheck,
    account_for_rows,
    engine_months,
    reduce_by_engine,
    reduce_streamed,
)
from calaim_eval.moments.streamed_rows import DoesNotFitError, available_cores, stream_rows

if TYPE_CHECKING:
    import pandas as pd

    _Reduced = tuple[CellMoments | None, ToCheck]
    _Share = Callable[[tuple[int, int]], _Reduced | None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of every process."""

    files: tuple[Path, ...]
    columns: PanelColumns
    where: str
    balanced_only: bool
    processes: int


logger = logging.getLogger(__name__)


def reduce_in_processes(
    files: Sequence[Path],
    columns: PanelColumns,
    *,
    processes: int,
    where: str,
    balanced_only: bool,
) -> list[CellMoments]:
    """Moments, in parts, of parquet files, by so many processes.

    Sorted files are shared out by runs of members, numbered members by their numbers, others by a
    hash of the member. Rows that do not fit a route do not fit it in all processes.

    Raises
    ------
    TableError
        As `reduce_panel`; counts are of a share.
    OutputError
        A process was ended from outside.
    """
    asked = _Asked(tuple(files), columns, where, balanced_only, processes)
    for route in _routes(files, columns):
        found = _all_shares(partial(_streamed, asked=asked, route=route), processes)
        parts = [moments for moments, _ in found or [] if moments is not None]
        if found is not None and _fit_together(found, parts, asked):
            return parts
    months = engine_months(files, columns, where=where)
    by_engine = _all_shares(partial(_by_engine, asked=asked, months=months), processes)
    return [moments for moments, _ in by_engine or [] if moments is not None]


def _routes(files: Sequence[Path], columns: PanelColumns) -> list[str]:
    """Ways to stream the rows that the files' own statistics do not rule out."""
    try:
        rows = stream_rows(files, columns)
    except DoesNotFitError:
        return []
    routes = [IN_ORDER] if is_in_order(rows) else []
    return [*routes, ADDRESSED] if is_numbered(rows) else routes


def _all_shares(work: _Share, processes: int) -> list[_Reduced] | None:
    """What each process has reduced, in order; None as soon as one says that its rows do not fit.

    Processes are started afresh (spawned), as on Windows and macOS: nothing is inherited.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            futures = [pool.submit(work, (k, processes)) for k in range(processes)]
            try:
                for done, future in enumerate(as_completed(futures), start=1):
                    if future.result() is None:
                        return None
                    logger.info("reduced share %d of %d", done, processes)
            finally:
                for future in futures:
                    future.cancel()
    except BrokenProcessPool as problem:
        raise OutputError(
            f"one of {processes} processes ended before its share was reduced.\n"
            "  In a script put what is run under `if __name__ == '__main__':`; if it is there, "
            "memory is the usual cause: give fewer `processes`."
        ) from problem
    return [reduced for future in futures if (reduced := future.result()) is not None]


def _streamed(share: tuple[int, int], *, asked: _Asked, route: str) -> _Reduced | None:
    """One share of rows that are streamed, with what only all shares together can check."""
    to_check = ToCheck()
    parts = reduce_streamed(
        asked.files,
        asked.columns,
        route,
        where=asked.where,
        balanced_only=asked.balanced_only,
        share=share,
        threads=max(1, available_cores() // asked.processes),
        to_check=to_check,
    )
    if parts is None:
        return None
    return (reduce(add, parts) if parts else None), to_check


def _by_engine(share: tuple[int, int], *, asked: _Asked, months: pd.Index) -> _Reduced | None:
    """One share by the engine."""
    parts = reduce_by_engine(
        asked.files,
        asked.columns,
        where=asked.where,
        balanced_only=asked.balanced_only,
        share=share,
        months=months,
        engines=asked.processes,
    )
    return (reduce(add, parts) if parts else None), ToCheck()


def _fit_together(found: Sequence[_Reduced], parts: Sequence[CellMoments], asked: _Asked) -> bool:
    """Whether no member is in files of two processes, and every row is in one of them."""
    import pyarrow.parquet as pq

    ids = [one for _, of_share in found for one in of_share.ids]
    not_at_risk = {group: n for _, of_share in found for group, n in of_share.not_at_risk.items()}
    n_rows = sum(pq.read_metadata(file).num_rows for file in asked.files)
    try:
        if ids:
            refuse_repeated_members(ids)
        account_for_rows(parts, asked.columns, not_at_risk, n_rows=n_rows)
    except DoesNotFitError:
        return False
    return True
