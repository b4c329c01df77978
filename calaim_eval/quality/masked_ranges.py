"""What masked counts of groups can be, for a reader who knows the numbers shown beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

Range = tuple[float, float]
"""Least and most, both possible."""

ANY: Range = (0, math.inf)
_MOST_ROUNDS = 200


@dataclass
class Ranges:
    """Counts of groups, what they are among, and the difference, as far as numbers shown tell.

    Attributes
    ----------
    n, of : list of (least, most)
        A group each; least and most are the same where the number is shown.
    sum_n, sum_of : (least, most)
        Sums over the groups.
    other : list of (least, most)
        Units without the problem: `of` less `n`.
    """

    n: list[Range]
    of: list[Range]
    sum_n: Range
    sum_of: Range
    other: list[Range] = field(default_factory=list)

    def narrow(self) -> None:
        """Narrow every range by the sums and by `n` + `other` = `of`, until nothing changes."""
        self.other = [ANY] * len(self.n)
        sum_other = _less(self.sum_of, self.sum_n)
        for _ in range(_MOST_ROUNDS):
            before = (list(self.n), list(self.of), list(self.other))
            for at in range(len(self.n)):
                self._narrow_group(at)
            self.n = within_sum(self.n, self.sum_n)
            self.of = within_sum(self.of, self.sum_of)
            self.other = within_sum(self.other, sum_other)
            if before == (self.n, self.of, self.other):
                return

    def _narrow_group(self, at: int) -> None:
        n, of, other = self.n[at], self.of[at], self.other[at]
        other = _both(other, _less(of, n))
        n = _both(n, _less(of, other))
        of = _both(of, (n[0] + other[0], n[1] + other[1]))
        self.n[at], self.of[at], self.other[at] = n, of, other


def within_sum(ranges: Sequence[Range], total: Range) -> list[Range]:
    """Each range, narrowed by the sum of all.

    Examples
    --------
    >>> within_sum([(1, 10), (1, 10)], (20, 20))
    [(10, 10), (10, 10)]
    """
    least = sum(low for low, _ in ranges)
    n_open = sum(high == math.inf for _, high in ranges)
    most = sum(high for _, high in ranges if high < math.inf)
    narrowed = []
    for low, high in ranges:
        is_open = high == math.inf
        others_most = math.inf if n_open > is_open else most - (0 if is_open else high)
        at_least = total[0] - others_most
        narrowed.append(_both((low, high), (at_least, total[1] - (least - low))))
    return narrowed


def _less(of: Range, n: Range) -> Range:
    """A difference that is not negative."""
    return max(0, of[0] - n[1]), math.inf if of[1] == math.inf else of[1] - n[0]


def _both(first: Range, second: Range) -> Range:
    return max(first[0], second[0]), min(first[1], second[1])
