"""What a check is: what is counted, among what, against which limits, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

PLACES_AND_TIMES = ("plan-months", "months", "plans", "counties")
"""Units that are no rows of people: counts of them are never masked."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is asked of the data.

    Attributes
    ----------
    id : str
        Name in the study file, the page and the JSON file.
    title : str
        What is wrong, in words.
    unit, of : str
        What is counted, and among what.
    next_step : str
        What the custodian of the data does about it.
    warn_above, stop_above : float or None
        Shares (0 to 1) above which the finding is a warning, and above which the study stops.
    columns : tuple[str, ...]
        Columns it reads; empty where it differs by finding.
    of_fills : tuple[str, ...]
        Columns it reads of `pharmacy_claim`, where they are others.
    """

    id: str
    title: str
    unit: str
    of: str
    next_step: str
    warn_above: float | None = None
    stop_above: float | None = None
    columns: tuple[str, ...] = ()
    of_fills: tuple[str, ...] = ()

    @property
    def is_about_people(self) -> bool:
        """Whether its counts are of members or of their rows, so that small ones are masked."""
        return self.unit not in PLACES_AND_TIMES

    def columns_of(self, table: str) -> tuple[str, ...]:
        """Columns it reads of a table."""
        return self.of_fills if table == "pharmacy_claim" and self.of_fills else self.columns
