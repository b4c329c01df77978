"""One finding with its weights, and the order of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LARGE, MIDDLING = 0.25, 0.10
"""Shares of the level it starts from at which a change, gap or shortfall is large or middling."""
MOST, MANY = 0.50, 0.10
"""Shares of the members in question a finding is about: most, or many."""
CERTAINTY = {
    3: "compared by design, false dates quiet",
    2: "counted in full, or compared with doubts",
    1: "an association",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something the released numbers carry.

    Attributes
    ----------
    title : str
        What to do about it, as far as the numbers go: look into, keep, ask.
    says : str
        The numbers, in one sentence.
    does_not_say : str
        What they do not say.
    items : tuple[str, ...]
        Released tables it was read from.
    effect, reach : int
        1 to 3 by `LARGE`, `MIDDLING`, `MOST` and `MANY`.
    equity : int
        3 where a group other than the reference is worse off, 1 where it lies with organizations
        small community-based ones depend on, else 0.
    certainty : int
        1 to 3, by `CERTAINTY`.
    """

    title: str
    says: str
    does_not_say: str
    items: tuple[str, ...]
    effect: int
    reach: int
    equity: int
    certainty: int

    @property
    def weight(self) -> int:
        """Sum of the four."""
        return self.effect + self.reach + self.equity + self.certainty


def size_weight(share: float) -> int:
    """Weight of a change as a share of where it started."""
    return 3 if abs(share) >= LARGE else 2 if abs(share) >= MIDDLING else 1


def reach_weight(share: float) -> int:
    """Weight of the share of members a finding is about."""
    return 3 if share >= MOST else 2 if share >= MANY else 1


def ranked(findings: Sequence[Finding]) -> list[tuple[int, Finding]]:
    """Findings by weight, certainty and equity first among equals; equal ones share a rank."""
    order = sorted(findings, key=lambda f: (-f.weight, -f.certainty, -f.equity, f.title))
    weights = [f.weight for f in order]
    return [(weights.index(f.weight) + 1, f) for f in order]
