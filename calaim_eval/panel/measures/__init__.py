"""The measures of the panel: one file a family; a new file here is a new measure.

Each file has `MEASURES`, a tuple of `Measure`. Nothing else needs to know of it: the panel, the
study file, the data dictionary and the report read this package.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from calaim_eval.errors import TableError
from calaim_eval.panel.measure import Measure

_ORDER = (
    "emergency",
    "emergency_avoidable",
    "inpatient",
    "observation",
    "readmissions",
    "outpatient",
    "preventive",
    "behavioral",
    "nursing",
    "ambulance",
    "pharmacy",
    "housing",
    "amounts",
    "custody",
    "police",
    "ems",
)
"""Families in the order a reader looks for them; the others follow by name."""


def _families() -> list[str]:
    """Names of the files of this package, in order."""
    found = sorted(module.name for module in iter_modules(__path__))
    return [name for name in _ORDER if name in found] + [n for n in found if n not in _ORDER]


def _collect() -> dict[str, Measure]:
    """Every measure by name; a name is given once."""
    measures: dict[str, Measure] = {}
    for family in _families():
        for measure in import_module(f"{__name__}.{family}").MEASURES:
            if measure.name in measures:
                raise TableError(
                    f"measure `{measure.name}` is defined twice, the second time in "
                    f"`panel/measures/{family}.py`.\n  Give it another name."
                )
            measures[measure.name] = measure
    return measures


_ALL = _collect()


def _by_family() -> dict[str, tuple[str, ...]]:
    """Outcome measures of each file under the first line of its docstring."""
    families: dict[str, tuple[str, ...]] = {}
    for family in _families():
        module = import_module(f"{__name__}.{family}")
        names = tuple(each.name for each in module.MEASURES if each.role == "outcome")
        if names:
            families[(module.__doc__ or family).splitlines()[0].rstrip(".")] = names
    return families


FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(_by_family())
"""Names of the outcome measures by family, in the order of the panel's columns."""

MEASURES: Mapping[str, Measure] = MappingProxyType(
    {name: each for name, each in _ALL.items() if each.role == "outcome"}
)
"""Outcome measures of the panel, in the order of its columns."""

EXPOSURES: Mapping[str, Measure] = MappingProxyType(
    {name: each for name, each in _ALL.items() if each.role == "exposure"}
)
"""Program measures of the panel: what exposes a member, never an outcome."""
