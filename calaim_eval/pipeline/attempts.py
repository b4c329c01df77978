"""What can be made of a study, and why the rest is not there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.results import BoundsTable, EffectTable, Result, stack, stack_bounds

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Results made outcome by outcome; one that is not identified leaves its reason, once.

    Parameters
    ----------
    level : int
        How loudly the log says what was left out.

    Examples
    --------
    >>> found = Attempts()
    >>> found.leave_out("effect_gap", "nobody was served.")
    >>> found.left_out
    {'effect_gap': 'nobody was served.'}
    """

    level: int = logging.WARNING
    made: dict[str, dict[str, Any]] = field(default_factory=dict, init=False)
    reasons: dict[str, dict[str, None]] = field(default_factory=dict, init=False)

    def tried(self, name: str, make: Callable[[], T], *, outcome: str = "") -> T | None:
        """What can be made, or None with the reason kept."""
        try:
            return make()
        except (DesignError, EstimationError) as error:
            what = f"{name}, {outcome}" if outcome else name
            log.log(self.level, "%s: left out. %s", what, error)
            self.leave_out(name, str(error))
            return None

    def add(self, name: str, outcome: str, make: Callable[[], EffectTable | BoundsTable]) -> None:
        """Make a result for one outcome, if it can be made."""
        table = self.tried(name, make, outcome=outcome)
        if table is not None:
            self.made.setdefault(name, {})[outcome] = table

    def leave_out(self, name: str, reason: str) -> None:
        """Keep the reason why a result, or an outcome of it, is not there."""
        self.reasons.setdefault(name, {})[reason] = None

    @property
    def left_out(self) -> dict[str, str]:
        """Result name to the reasons why it, or an outcome of it, is not there."""
        return {name: " ".join(reasons) for name, reasons in self.reasons.items()}

    def results(self) -> dict[str, Result]:
        """What was made, a result's tables of all outcomes under one another."""
        return {name: _stacked(tables) for name, tables in self.made.items()}


def _stacked(tables: dict[str, Any]) -> Result:
    """Tables of all outcomes under one another."""
    each = list(tables.values())
    if isinstance(each[0], BoundsTable):
        return stack_bounds(each, key="outcome", labels=list(tables))
    return stack(each, key="outcome", labels=list(tables))
