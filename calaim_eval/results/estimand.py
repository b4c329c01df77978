"""What a number means and how it was made: carried by every result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Scale = Literal["difference", "ratio"]


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
