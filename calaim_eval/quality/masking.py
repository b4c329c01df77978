"""Numbers as the page and the JSON file show them: small counts of people as "1-10".

This guards against a page that is passed on by mistake. It is no disclosure control: totals and
parts are shown side by side, and nothing here may be released.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FEW = "1-10"
MOST_OF_FEW = 10


@dataclass(frozen=True, slots=True)
class Masking:
    """How counts are shown.

    Attributes
    ----------
    exact : bool
        Show every count as it is.
    """

    exact: bool = False

    def hides(self, n: int, *, of_people: bool) -> bool:
        """Whether a count is shown as "1-10"."""
        return of_people and not self.exact and 1 <= n <= MOST_OF_FEW

    def count(self, n: int, *, of_people: bool) -> str:
        """A count in words."""
        return FEW if self.hides(n, of_people=of_people) else f"{n:,}"

    def share(self, n: int, of: int, *, of_people: bool) -> str:
        """A share in words; of a hidden count only what it is below."""
        if self.hides(of, of_people=of_people) or of == 0:
            return "not shown"
        if self.hides(n, of_people=of_people):
            return f"under {percent(min(1.0, (MOST_OF_FEW + 1) / of), up=True)}"
        return percent(n / of)


def percent(share: float, *, up: bool = False) -> str:
    """A share as a percentage with three digits at most.

    Examples
    --------
    >>> percent(0.01234), percent(0.5), percent(0.0000012)
    ('1.23%', '50%', 'under 0.001%')
    """
    value = 100 * share
    if value and value < 0.001:
        return "0.001%" if up else "under 0.001%"
    digits = 0 if value >= 10 else 1 if value >= 2 else 2 if value >= 0.1 else 3
    if up:
        value = math.ceil(value * 10**digits) / 10**digits
    if not up and share < 1 and round(value, digits) >= 100:
        return "over 99%"
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"
