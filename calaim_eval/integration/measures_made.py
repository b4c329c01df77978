"""Measures by name, with what could not be made and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.tables.ledger import RowLedger

logger = logging.getLogger(__name__)

T = TypeVar("T")


class MeasuresMade(dict[str, T], Generic[T]):
    """Measures by name, with what could not be made and why.

    Attributes
    ----------
    skipped : dict[str, str]
        Measure name to the reason it is absent.
    ledger : RowLedger
        Rows used and set aside, by measure.
    """

    def __init__(self) -> None:
        super().__init__()
        self.skipped: dict[str, str] = {}
        self.ledger = RowLedger()

    def make(
        self,
        name: str,
        needs: Sequence[str],
        measure: Callable[[Mapping[str, pd.DataFrame]], T],
        frames: Mapping[str, pd.DataFrame],
    ) -> None:
        """Make one measure of the frames, or keep the reason why not."""
        absent = absent_tables(needs, frames)
        if absent:
            self.skipped[name] = absent
        else:
            try:
                self[name] = measure(frames)
            except EstimationError as error:
                self.skipped[name] = str(error)
        if name in self.skipped:
            logger.info("measure %s is skipped: %s", name, self.skipped[name])


def absent_tables(needs: Sequence[str], frames: Mapping[str, pd.DataFrame]) -> str:
    """Say which tables are not there; empty where all are."""
    absent = [f"`{table}`" for table in needs if table not in frames]
    return f"not given, or without rows: {', '.join(absent)}" if absent else ""
