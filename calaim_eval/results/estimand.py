"""What a number means and how it was made: carried by every result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

Scale = Literal["difference", "ratio"]
RATES_OF = "rates_of"
"""Option of a table that compares rates: what they count, as in `RateTable.numerator_name`.

Disclosure control hides a comparison of a rate that it hides. Without the option it must suppose
that a comparison of groups is of every rate of the release.
"""
RATES_WHERE = "rates_where"
"""Option beside `RATES_OF`: the values of a key the rates were taken at, such as stages."""
CROSSED = "crossed"
"""Option of a table with a column of groups made from several: that column to those it holds.

Disclosure control reads from it that "aian & female" is the group of the table by both columns.
"""
JOIN = " & "
"""Between the groups in such a column."""


@dataclass(frozen=True, slots=True)
class Estimand:
    """What is being estimated, in the words a report prints.

    Attributes
    ----------
    name : str
        Short name, e.g. ``"ATT"``.
    contrast : str
        The contrast in words, e.g. "members who received ECM minus what they would have had".
    unit : str
        Unit of every estimate in the table, e.g. "ED visits per 1,000 member-months".
    scale : {"difference", "ratio"}
        Null value 0 or 1.
    is_causal : bool
        False for descriptive contrasts (pre/post alone), which every output labels as such.
    """

    name: str
    contrast: str
    unit: str
    scale: Scale = "difference"
    is_causal: bool = True


@dataclass(frozen=True, slots=True)
class Method:
    """How a number was computed.

    Attributes
    ----------
    estimator : str
        Name a methods section would use.
    options : Mapping[str, object]
        Options as given by the caller (comparison, base period, clustering ...).
    reference : str
        Citation with DOI.
    """

    estimator: str
    options: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    reference: str = ""


def rates_of(method: Method) -> tuple[str, ...] | None:
    """Names of what the rates behind a table count; None where its maker did not say."""
    names = method.options.get(RATES_OF)
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(map(str, names))  # type: ignore[call-overload]


def crossed_columns(method: Method) -> dict[str, tuple[str, ...]]:
    """Columns of groups made from several, each with those it is made from, in order."""
    crossed = method.options.get(CROSSED)
    if not isinstance(crossed, Mapping):
        return {}
    return {str(name): tuple(map(str, columns)) for name, columns in crossed.items()}


def _all_crossed(methods: Sequence[Method]) -> dict[str, tuple[str, ...]]:
    """Crossed columns of all methods; one name for several crossings holds the columns of all."""
    found: dict[str, tuple[str, ...]] = {}
    for method in methods:
        for name, columns in crossed_columns(method).items():
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *columns)))
    return found


def shared_method(methods: Sequence[Method]) -> Method:
    """The first method, for tables put under one another: with the rates behind all of them."""
    first = methods[0]
    if crossed := _all_crossed(methods):
        first = replace(first, options={**first.options, CROSSED: crossed})
    each = [rates_of(method) for method in methods]
    where = [method.options.get(RATES_WHERE) for method in methods]
    if all(names == each[0] for names in each) and all(w == where[0] for w in where):
        return first
    said = (RATES_OF, RATES_WHERE)
    options = {name: value for name, value in first.options.items() if name not in said}
    if all(names is not None for names in each):
        options[RATES_OF] = tuple(dict.fromkeys(n for names in each for n in names or ()))
    return replace(first, options=options)
