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
    "inpatient",
    "readmissions",
    "outpatient",
    "ambulance",
    "amounts",
    "custody",
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

MEASURES: Mapping[str, Measure] = MappingProxyType(
    {name: each for name, each in _ALL.items() if each.role == "outcome"}
)
"""Outcome measures of the panel, in the order of its columns."""

EXPOSURES: Mapping[str, Measure] = MappingProxyType(
    {name: each for name, each in _ALL.items() if each.role == "exposure"}
)
"""Program measures of the panel: what exposes a member, never an outcome."""
