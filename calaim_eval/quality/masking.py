"""Numbers as the page and the JSON file show them: small counts of people as "1-10".

This guards against a page that is passed on by mistake. No hidden count follows from another number
of the same finding: not from a share, and not from the total and the other groups. It is no
disclosure control all the same: numbers of different findings are shown side by side, and nothing
here may be released.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from calaim_eval.quality.findings import Finding

FEW = "1-10"
MOST_OF_FEW = 10
NOT_SHOWN = "not shown"


class Part(Protocol):
    """A count among those looked at: a finding, or the part of it that falls to a group."""

    @property
    def n(self) -> int:
        """Units with the problem."""
        ...

    @property
    def of(self) -> int:
        """Units looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """A part as it is shown: numbers are missing where they are hidden, and words stand for them.

    Attributes
    ----------
    n, of : int or None
    n_words, of_words : str
    share : str
        In words.
    """

    n: int | None
    of: int | None
    n_words: str
    of_words: str
    share: str


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
            return NOT_SHOWN
        if self.hides(n, of_people=of_people):
            return f"under {percent(min(1.0, (MOST_OF_FEW + 1) / of), up=True)}"
        return percent(n / of)

    def part(self, part: Part, *, of_people: bool) -> Shown:
        """A count, what it is among and its share, on their own."""
        return self._shown(part, of_people=of_people)

    def parts(self, parts: Sequence[Part], whole: Part, *, of_people: bool) -> list[Shown]:
        """Groups of one dimension, beside the numbers of the whole.

        Where hidden counts follow from the whole and the groups that are shown, the smallest of
        these are not shown either.
        """
        covered_n = self._covered([part.n for part in parts], whole.n, of_people=of_people)
        covered_of = self._covered([part.of for part in parts], whole.of, of_people=of_people)
        return [
            self._shown(
                part, of_people=of_people, without_n=at in covered_n, without_of=at in covered_of
            )
            for at, part in enumerate(parts)
        ]

    def _covered(self, counts: Sequence[int], total: int, *, of_people: bool) -> set[int]:
        """Places of counts that must not be shown for the sake of hidden ones."""
        hidden = [n for n in counts if self.hides(n, of_people=of_people)]
        # Groups in which nothing was found are not listed: then no sum tells what is hidden.
        if not hidden or sum(counts) != total:
            return set()
        larger = sorted((n, at) for at, n in enumerate(counts) if n > MOST_OF_FEW)
        n_covered = 0
        while n_covered < len(larger) and _is_told(hidden, [n for n, _ in larger], n_covered):
            n_covered += 1
        return {at for _, at in larger[:n_covered]}

    def _shown(
        self, part: Part, *, of_people: bool, without_n: bool = False, without_of: bool = False
    ) -> Shown:
        """A part; `without` says what must not be shown although it is not small."""
        hides_n = without_n or self.hides(part.n, of_people=of_people)
        hides_of = without_of or self.hides(part.of, of_people=of_people)
        share = self.share(part.n, part.of, of_people=of_people)
        return Shown(
            n=None if hides_n else part.n,
            of=None if hides_of else part.of,
            n_words=NOT_SHOWN if without_n else self.count(part.n, of_people=of_people),
            of_words=NOT_SHOWN if without_of else self.count(part.of, of_people=of_people),
            share=NOT_SHOWN if without_n or without_of else share,
        )


def share_of_large_plan(finding: Finding, masking: Masking) -> str:
    """Share of the large plan that makes a finding a warning, in words; "" where none does."""
    if finding.large_plan is None:
        return ""
    plans = finding.by("plan")
    shown = masking.parts(plans, finding, of_people=finding.check.is_about_people)
    return shown[plans.index(finding.large_plan)].share


def _is_told(hidden: Sequence[int], larger: Sequence[int], n_covered: int) -> bool:
    """Whether the sum of the counts not shown tells the small ones among them.

    It does when there is one count, or when all are the least or the most they can be: 1 to 10
    for hidden ones, 11 to the next larger one that is shown for those covered.
    """
    if len(hidden) + n_covered == 1:
        return True
    total = sum(hidden) + sum(larger[:n_covered])
    most = larger[n_covered] if n_covered < len(larger) else math.inf
    least_sum = len(hidden) + (MOST_OF_FEW + 1) * n_covered
    most_sum = MOST_OF_FEW * len(hidden) + (most * n_covered if n_covered else 0)
    return total in (least_sum, most_sum)


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
