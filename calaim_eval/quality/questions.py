"""Questions put to every member bucket: what the engine computes, and how its answer is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.quality.counts import Counts, add_up

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.engine import Recipe
    from calaim_eval.panel.bucket import Bucket

Reader = Callable[[pd.DataFrame], Counts]


@dataclass(frozen=True)
class Questions:
    """Questions to a bucket, in the order they are asked.

    Attributes
    ----------
    bucket : Bucket
        Gives the input tables as expressions; its recipe runs once a bucket.
    """

    bucket: Bucket
    _readers: dict[str, Reader] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """Steps to run."""
        return self.bucket.recipe

    def ask(self, name: str, rows: Table, reader: Reader) -> None:
        """Compute few rows and count them: `reader` turns the answer into counts."""
        self.recipe.fetch(name, rows)
        self._readers[name] = reader

    def read(self, answers: Mapping[str, pd.DataFrame]) -> Counts:
        """Counts of one bucket out of its answers."""
        return add_up(self._readers[name](frame) for name, frame in answers.items())
