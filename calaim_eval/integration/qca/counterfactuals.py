"""Combinations without cases that may be supposed: easy and difficult counterfactuals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal

from calaim_eval.errors import EstimationError, quoted
from calaim_eval.integration.qca.minimize import Implicant

Expectation = Literal["present", "absent"]


def expected_states(
    expectations: Mapping[str, Expectation], conditions: Sequence[str]
) -> Implicant:
    """Expected states of the conditions as value bits and the mask of those with an expectation.

    Raises
    ------
    EstimationError
        No expectation, one of a condition that is none, or another word.
    """
    unknown = [name for name in expectations if name not in conditions]
    if unknown or not expectations:
        raise EstimationError(
            f"`expectations` names {quoted(unknown) or 'nothing'}; the conditions are "
            f"{quoted(conditions)}. Leave out those for which theory expects nothing."
        )
    value, mask = 0, 0
    for name, state in expectations.items():
        if state not in ("present", "absent"):
            raise EstimationError(
                f"the expectation of `{name}` is none of `present`, `absent`: in which state does "
                "theory expect it to help the outcome?"
            )
        bit = _bit(name, conditions)
        mask |= bit
        value |= bit if state == "present" else 0
    return value, mask


def easy_counterfactuals(
    conservative: Iterable[Implicant],
    parsimonious: Sequence[Implicant],
    expected: Implicant,
) -> frozenset[Implicant]:
    r"""Conservative terms without what theory does not ask for.

    A conservative term inside a parsimonious one may lose a condition where the parsimonious term
    does not need it and theory expects its opposite: if the outcome comes *without* a condition
    that should help, it would come with it too. What agrees with the expectation, and what has
    none, stays. Combinations of these terms that have no case are the easy counterfactuals.

    Parameters
    ----------
    conservative, parsimonious : implicants of one model each
    expected : Implicant
        From `expected_states`.

    References
    ----------
    Ragin CC, Sonnett J (2005). Between complexity and parsimony. doi:10.1007/978-3-322-80441-9_9.
    """
    wanted, has_expectation = expected
    found = set()
    for value, mask in conservative:
        for kept_value, kept in parsimonious:
            if kept & ~mask or value & kept != kept_value:
                continue
            idle = mask & ~kept & has_expectation & (value ^ wanted)
            found.add((value & ~idle, mask & ~idle))
    return frozenset(found)


def corners_of(implicants: Iterable[Implicant], k: int) -> frozenset[int]:
    """Combinations of k conditions in any of the implicants."""
    found = set()
    for value, mask in implicants:
        free = [1 << j for j in range(k) if not mask >> j & 1]
        for n in range(len(free) + 1):
            found |= {value | sum(chosen) for chosen in combinations(free, n)}
    return frozenset(found)


def read_term(term: str, conditions: Sequence[str]) -> Implicant:
    """Value and mask of a term in words, such as ``DEV*~URB``.

    Raises
    ------
    EstimationError
        A name is no condition, or a condition is asked for and excluded.
    """
    value, mask = 0, 0
    for word in term.split("*"):
        name = word.strip()
        is_absent = name.startswith("~")
        name = name.removeprefix("~").strip()
        if name not in conditions or mask & _bit(name, conditions):
            raise EstimationError(
                f"the term `{term}` names `{name}`, which is no condition or is named twice; the "
                f"conditions are {quoted(conditions)}. Write terms as `A*~B`."
            )
        mask |= _bit(name, conditions)
        value |= 0 if is_absent else _bit(name, conditions)
    return value, mask


def _bit(name: str, conditions: Sequence[str]) -> int:
    """Bit of a condition; the first is the highest."""
    return 1 << (len(conditions) - 1 - list(conditions).index(name))
