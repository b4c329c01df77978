"""How complete a release is: a light with a word and a reason, never a colour alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from calaim_eval.report.numbers import percent
from calaim_eval.report.release_items import EXPECTED_ITEMS, lower_first, require_released

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

Light = Literal["complete", "partly complete", "incomplete"]
CORE_ITEMS = ("members_by_group", "row_ledger", "effect_overall", "effect_by_race", "access_funnel")
"""Without one of these the report cannot answer its question."""
TESTS_OF_EFFECTS = frozenset(
    {
        "effect_bounds",
        "placebo_dates",
        "negative_control",
        "matched_balance",
        "matched_event_study",
        "matched_by_race",
        "matched_gap",
        "county_phase_checks",
        "use_disparity",
        "access_gap",
        "access_gap_ratio",
        "access_times",
        "access_waiting",
        "access_standardized",
        "access_standardized_gap",
    }
)
"""Withheld where effects, use or access are, many times over: they would drown all others."""
PARTLY_WITHHELD = 0.10
MOSTLY_WITHHELD = 0.30
_NAMED = 4
_MARKS: dict[Light, str] = {"complete": "●", "partly complete": "◐", "incomplete": "○"}


@dataclass(frozen=True, slots=True)
class Completeness:
    """The light and what it rests on.

    Attributes
    ----------
    light : {"complete", "partly complete", "incomplete"}
        *Incomplete*: a core item is absent, or more than 30% of rows are withheld. *Partly
        complete*: another item is absent, or more than 10% of rows are withheld. *Complete*
        otherwise.
    absent : tuple[str, ...]
        Items the release does not hold.
    n_rows, n_withheld : int
        Rows of all released tables but the tests of the effects, and those with a withheld
        number.
    """

    light: Light
    absent: tuple[str, ...]
    n_rows: int
    n_withheld: int

    @property
    def words(self) -> str:
        """The light as a sentence, with a mark that survives grey printing."""
        missing = self._missing()
        share = percent(self.n_withheld / self.n_rows) if self.n_rows else "none"
        return (
            f"{_MARKS[self.light]} **{self.light.capitalize()}**: {missing}; "
            f"{self.n_withheld:,} of {self.n_rows:,} rows ({share}) withheld for small numbers."
        )

    def _missing(self) -> str:
        """Absent items by name where they are few, else how many."""
        if not self.absent:
            return "every item is present"
        of = f"{len(self.absent)} of {len(EXPECTED_ITEMS)} items absent"
        if len(self.absent) > _NAMED:
            return of
        titles = "; ".join(lower_first(EXPECTED_ITEMS[name][0]) for name in self.absent)
        return f"{of} ({titles})"


def completeness(released: Released) -> Completeness:
    """Judge how complete a release is.

    Parameters
    ----------
    released : Released

    Returns
    -------
    Completeness
    """
    tables = require_released(released).tables
    absent = tuple(name for name in EXPECTED_ITEMS if name not in tables)
    counted = [t for name, t in tables.items() if name not in TESTS_OF_EFFECTS]
    n_rows = sum(len(t.frame) for t in counted)
    n_withheld = sum(int(t.frame["is_suppressed"].sum()) for t in counted)
    share = n_withheld / n_rows if n_rows else 1.0
    light: Light = "complete"
    if absent or share > PARTLY_WITHHELD:
        light = "partly complete"
    if set(absent) & set(CORE_ITEMS) or share > MOSTLY_WITHHELD:
        light = "incomplete"
    return Completeness(light=light, absent=absent, n_rows=n_rows, n_withheld=n_withheld)
