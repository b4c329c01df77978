"""Where the rows stand that a partner's files have in vain: file, row and reason, never a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from calaim_eval.tables.ledger import RowLedger

COLUMNS = ("table", "place", "row", "reason")
MOST = 1_000
"""Rows of one reason that are listed; the ledger counts them all."""


@dataclass(eq=False)
class PlacedLedger(RowLedger):
    """A ledger that also knows where rows stand that were set aside."""

    _places: dict[tuple[str, str], list[tuple[str, int]]] = field(default_factory=dict)

    def place(self, table: str, reason: str, at: Iterable[tuple[str, int]]) -> None:
        """Keep the file and number of rows set aside, up to 1,000 of a reason."""
        held = self._places.setdefault((table, reason), [])
        held.extend(list(at)[: MOST - len(held)])

    def rows_set_aside(self) -> pd.DataFrame:
        """One row for each row set aside: `table`, `place`, `row`, `reason`.

        `place` says which file or sheet by its order, `row` is the line of a text file or the row
        of a sheet, its header included.
        """
        rows = [
            (table, place, number, reason)
            for (table, reason), held in self._places.items()
            for place, number in held
        ]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return frame.sort_values(["table", "place", "row"], kind="stable", ignore_index=True)
