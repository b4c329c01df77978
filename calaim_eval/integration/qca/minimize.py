"""Boolean minimization: fewest and shortest terms that cover what must be covered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from calaim_eval.errors import EstimationError

Implicant = tuple[int, int]
"""Value bits and mask of the bits that matter; a combination is in it where they agree."""
MOST_COVERS = 200_000
"""Sets of terms tried before a minimization is given up."""


def covers(implicant: Implicant, corner: int) -> bool:
    """Whether a combination is in an implicant."""
    value, mask = implicant
    return corner & mask == value


def prime_implicants(allowed: Iterable[int], k: int) -> tuple[Implicant, ...]:
    """Implicants of the allowed combinations that no other one contains (Quine–McCluskey).

    Parameters
    ----------
    allowed : iterable of int
        Combinations that may be covered.
    k : int
        Conditions.
    """
    level: set[Implicant] = {(corner, 2**k - 1) for corner in allowed}
    prime: set[Implicant] = set()
    while level:
        merged: set[Implicant] = set()
        used: set[Implicant] = set()
        for value, mask in level:
            for j in range(k):
                bit = 1 << j
                other = (value ^ bit, mask)
                if mask & bit and other in level:
                    merged.add((value & ~bit, mask & ~bit))
                    used |= {(value, mask), other}
        prime |= level - used
        level = merged
    return tuple(sorted(prime, key=lambda each: (each[1].bit_count(), each[1], each[0])))


def solutions_of(
    required: Sequence[int], allowed: Iterable[int], k: int
) -> tuple[tuple[Implicant, ...], ...]:
    """All shortest sets of terms that cover the required combinations and only allowed ones."""
    primes = [
        p for p in prime_implicants(allowed, k) if any(covers(p, corner) for corner in required)
    ]
    return minimal_covers(required, primes)


def minimal_covers(
    required: Sequence[int], implicants: Sequence[Implicant]
) -> tuple[tuple[Implicant, ...], ...]:
    """All sets of fewest implicants that cover the required combinations.

    More than one means that the data do not choose between them, and each is a solution.

    Raises
    ------
    EstimationError
        There are too many sets to try.
    """
    covered = [sum(1 << i for i, c in enumerate(required) if covers(p, c)) for p in implicants]
    everything = (1 << len(required)) - 1
    forced = _essential(covered, len(required))
    start = 0
    for p in forced:
        start |= covered[p]
    open_ones = [p for p in range(len(implicants)) if p not in forced and covered[p] & ~start]
    tried = 0
    for n_more in range(len(open_ones) + 1):
        found = []
        for more in combinations(open_ones, n_more):
            tried += 1
            if tried > MOST_COVERS:
                raise EstimationError(
                    f"more than {MOST_COVERS:,} sets of terms would have to be tried. Use fewer "
                    "conditions, or a higher cutoff of consistency."
                )
            reached = start
            for p in more:
                reached |= covered[p]
            if reached == everything:
                found.append(tuple(implicants[p] for p in sorted((*forced, *more))))
        if found:
            return tuple(found)
    return ()


def _essential(covered: Sequence[int], n_required: int) -> tuple[int, ...]:
    """Implicants that alone cover one of the required combinations."""
    found = set()
    for i in range(n_required):
        holders = [p for p, bits in enumerate(covered) if bits >> i & 1]
        if len(holders) == 1:
            found.add(holders[0])
    return tuple(sorted(found))
