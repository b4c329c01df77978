"""What the data are held against: limits, accepted findings, and numbers the checks need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from calaim_eval.quality.checks import CHECKS


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRules:
    """Limits and numbers of the checks.

    Attributes
    ----------
    warn_above, stop_above : mapping of str to float
        Limits by check id that differ from those of `CHECKS`; 1 means never.
    accepted : mapping of str to str
        Findings that are known and accepted, by check id, with the reason. They are shown, and
        neither warn nor stop.
    drop_share, surge_share : float
        A month of a plan is a drop below, a surge above, so many times its running median.
    min_expected_lines : int
        A month of a plan is judged where its running median makes at least so many lines expected.
    complete_share : float
        A month is complete when at least this share of its lines has arrived.
    max_stay_days : int
        Longest acute inpatient claim, in days.
    max_ed_days : int
        Most days with an emergency department line a member has in a month.
    """

    warn_above: Mapping[str, float] = field(default_factory=dict)
    stop_above: Mapping[str, float] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)
    drop_share: float = 0.5
    surge_share: float = 2.0
    min_expected_lines: int = 50
    complete_share: float = 0.95
    max_stay_days: int = 365
    max_ed_days: int = 15

    def limits(self, check_id: str) -> tuple[float | None, float | None]:
        """Warning and stopping limit of a check; None where it is never passed."""
        check = CHECKS[check_id]
        return (
            self.warn_above.get(check_id, check.warn_above),
            self.stop_above.get(check_id, check.stop_above),
        )
