"""Suppression policies: data with a name, a version and a source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib.resources import files
from types import MappingProxyType

import numpy as np

from calaim_eval.errors import DisclosureError


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be shown.

    Attributes
    ----------
    name, version, title, source, confirmed : str
        Where the rule comes from; `confirmed` says whether a public page states it.
    min_count : int
        Smallest count of people, events or referrals that may be shown, apart from 0.
    zeros_shown : bool
        Whether a count of 0 may be shown.
    min_interval : float
        Smallest width of the range of values that everything shown may leave for a hidden
        small count.
    min_interval_share : float
        The same as a share of the value, half of it on either side, for large counts (events,
        dollars) from few members.
    protect_changes : bool
        Whether a count that differs by 1 to ``min_count - 1`` from the one an earlier quarter's
        release shows is hidden: published one after the other, the two give away those few.
    score_edition : str
        Edition of the scoring table in the code list `ddg_scoring`; empty where there is none.
    score_limit : int
        Largest score released without masking.
    time_limit_seconds : float
        Time given to the search for the fewest further rows to hide.
    cost_margin, cost_readable : float
        Cost of hiding an ``"all"`` row, and a row of a group to keep readable, against 1 for
        any other row.
    keep_readable : Mapping[str, tuple[str, ...]]
        Groups that are hidden to protect others only when nothing cheaper does.
    """

    name: str
    version: str
    title: str
    source: str
    confirmed: str
    min_count: int
    zeros_shown: bool
    min_interval: float
    min_interval_share: float
    protect_changes: bool
    score_edition: str
    score_limit: int
    time_limit_seconds: float
    cost_margin: float
    cost_readable: float
    keep_readable: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        groups = {column: tuple(values) for column, values in self.keep_readable.items()}
        object.__setattr__(self, "keep_readable", MappingProxyType(groups))
        if self.min_count < 1 or self.min_interval < 1:
            raise DisclosureError(
                f"policy `{self.name}`: `min_count` is {self.min_count} and `min_interval` "
                f"{self.min_interval}; both must be 1 or more."
            )

    def is_small(self, values: np.ndarray) -> np.ndarray:
        """Whether each count is too small to show; NaN is not."""
        counts = np.asarray(values, dtype=float)
        low = counts > 0 if self.zeros_shown else counts >= 0
        return low & (counts < self.min_count)

    def interval_needed(self, value: float) -> float:
        """Width of the range of values that must stay possible for a hidden count."""
        return max(self.min_interval, self.min_interval_share * value)


def policy_names() -> tuple[str, ...]:
    """Names of the policies that come with the package."""
    folder = files("calaim_eval.disclosure") / "policies"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir()))


def load_policy(name: str) -> Policy:
    """Read a suppression policy.

    Parameters
    ----------
    name : str
        ``"calhhs_ddg_2"`` (default of every release), ``"calhhs_ddg_1"`` or ``"cms_11"``.

    Returns
    -------
    Policy

    Raises
    ------
    DisclosureError
        No policy has that name; the message lists those there are.

    Examples
    --------
    >>> load_policy("calhhs_ddg_2").min_count
    11
    """
    if name not in policy_names():
        close = get_close_matches(name, policy_names(), n=1)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        listed = ", ".join(f"`{each}`" for each in policy_names())
        raise DisclosureError(f"no policy is named `{name}`.{hint}\n  Policies: {listed}.")
    path = files("calaim_eval.disclosure") / "policies" / f"{name}.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return Policy(**{field.name: content[field.name] for field in fields(Policy)})
