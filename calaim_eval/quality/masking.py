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

from calaim_eval.quality.masked_ranges import ANY, Range, Ranges

if TYPE_CHECKING:
    from calaim_eval.quality.findings import Finding

FEW = "1-10"
MOST_OF_FEW = 10
NOT_SHOWN = "not shown"
_STEPS = (10_000, 1_000, 100, 20, 10, 4)
"""Parts that a share is shown in, finest first."""


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
        return of_people and not self.exact and _is_few(n)

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

    def arrived(self, share: float, n_lines: int) -> float | None:
        """Share of lines that has arrived, rounded down so far that no few lines follow from it.

        A step of what is shown stands for more than 10 lines; None where no step does.

        Examples
        --------
        >>> Masking().arrived(0.996, 132), Masking().arrived(0.996, 10**6), Masking().arrived(1, 30)
        (0.9, 0.996, None)
        """
        if self.exact:
            return share
        step = next((step for step in _STEPS if n_lines > MOST_OF_FEW * step), None)
        return None if step is None else math.floor(share * step + 1e-9) / step

    def part(self, part: Part, *, of_people: bool) -> Shown:
        """A count, what it is among and its share, on their own."""
        return self._shown(part, of_people=of_people)

    def parts(self, parts: Sequence[Part], whole: Part, *, of_people: bool) -> list[Shown]:
        """Groups of one dimension, beside the numbers of the whole.

        Where hidden counts follow from the whole and the groups that are shown, the smallest of
        these are not shown either. Nothing, as if there were no groups, where the whole alone
        tells a hidden count: 12 in twelve groups is 1 in each.
        """
        n_covered = of_covered = 0
        larger_n = _larger([part.n for part in parts])
        larger_of = _larger([part.of for part in parts])
        while of_people and not self.exact:
            without_n, without_of = larger_n[:n_covered], larger_of[:of_covered]
            told = _told(parts, whole, without_n, without_of)
            if not told:
                break
            can_n, can_of = n_covered < len(larger_n), of_covered < len(larger_of)
            if not can_n and not can_of:
                return []
            n_covered += can_n and ("n" in told or not can_of)
            of_covered += can_of and ("of" in told or not can_n)
        return [
            self._shown(
                part,
                of_people=of_people,
                without_n=at in larger_n[:n_covered],
                without_of=at in larger_of[:of_covered],
            )
            for at, part in enumerate(parts)
        ]

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
    return shown[plans.index(finding.large_plan)].share if shown else NOT_SHOWN


def _larger(counts: Sequence[int]) -> list[int]:
    """Places of the counts that are not small, smallest first."""
    return sorted((at for at, n in enumerate(counts) if n > MOST_OF_FEW), key=lambda at: counts[at])


def _told(
    parts: Sequence[Part], whole: Part, without_n: Sequence[int], without_of: Sequence[int]
) -> set[str]:
    """Which of "n" and "of" have a small count with one possible value, given all that is shown."""
    n, of = [part.n for part in parts], [part.of for part in parts]
    ranges = Ranges(
        _known(n, without_n),
        _known(of, without_of),
        _known_sum(n, whole.n),
        _known_sum(of, whole.of),
    )
    ranges.narrow()
    return {
        name
        for name, counts, known in (("n", n, ranges.n), ("of", of, ranges.of))
        if any(
            _is_few(count) and low >= high for count, (low, high) in zip(counts, known, strict=True)
        )
    }


def _known(counts: Sequence[int], without: Sequence[int]) -> list[Range]:
    """What counts can be as they are shown: those covered are at most the next larger shown."""
    places = set(without)
    shown = [n for at, n in enumerate(counts) if n > MOST_OF_FEW and at not in places]
    covered = (MOST_OF_FEW + 1, min(shown, default=math.inf))
    return [
        (1, MOST_OF_FEW) if _is_few(n) else covered if at in places else (n, n)
        for at, n in enumerate(counts)
    ]


def _known_sum(counts: Sequence[int], total: int) -> Range:
    """What the sum of groups can be; groups in which nothing was found are not listed."""
    if sum(counts) > total:
        return ANY
    least, most = (1, MOST_OF_FEW) if _is_few(total) else (total, total)
    return (least if sum(counts) == total else 0, most)


def _is_few(n: int) -> bool:
    return 1 <= n <= MOST_OF_FEW


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
