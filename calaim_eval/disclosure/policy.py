"""Suppression policies: data with a name, a version and a source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from calaim_eval.errors import DisclosureError

Rounding = Literal["none", "nearest", "midpoint"]
ScoreGate = Literal["show", "refuse"]


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
    hide_first : tuple[str, ...]
        Tables whose rows are hidden to protect others before those of any other table: finer
        tables of what another one states more plainly.
    cost_hide_first : float
        Cost of hiding a row of theirs, as a share of what it would be.
    rounding : {"none", "nearest", "midpoint"}
        How counts are rounded before they leave; rates and intervals are made from the rounded
        counts. See `round_counts`.
    rounding_base : int
        Counts are shown in steps of this many; 1 where they are not rounded.
    min_support : int
        Fewest members behind an estimate. Never less than `min_count`; see `support_needed`.
    denominator_limit : int
        Fewest people of a denominator that the guideline calls large enough; 0 where it has no
        such test. A second look, as the score is.
    score_gate : {"show", "refuse"}
        Whether a layout above `score_limit` is told to the person who signs, or refused.
    differs_from : tuple[str, ...]
        What a policy of one's own changes in the one it is based on, in words.
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
    hide_first: tuple[str, ...] = ()
    cost_hide_first: float = 0.01
    rounding: Rounding = "none"
    rounding_base: int = 1
    min_support: int = 0
    denominator_limit: int = 0
    score_gate: ScoreGate = "show"
    differs_from: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        groups = {column: tuple(values) for column, values in self.keep_readable.items()}
        object.__setattr__(self, "keep_readable", MappingProxyType(groups))
        object.__setattr__(self, "hide_first", tuple(self.hide_first))
        object.__setattr__(self, "differs_from", tuple(self.differs_from))
        if self.min_count < 1 or self.min_interval < 1:
            raise DisclosureError(
                f"policy `{self.name}`: `min_count` is {self.min_count} and `min_interval` "
                f"{self.min_interval}; both must be 1 or more."
            )
        if (self.rounding == "none") != (self.rounding_base == 1):
            raise DisclosureError(
                f"policy `{self.name}`: `rounding` is `{self.rounding}` and `rounding_base` "
                f'{self.rounding_base}.\n  Give `rounding = "nearest"` or `"midpoint"` with a base '
                'of 2 or more, or `rounding = "none"` without a base.'
            )
        if self.min_count == 1 and (self.rounding != "midpoint" or self.rounding_base < 3):
            raise DisclosureError(
                f"policy `{self.name}`: `min_count` 1 shows every count, so that a count of one "
                "person is published.\n  Give a threshold, or round to a midpoint of 3 or more."
            )

    def is_small(self, values: np.ndarray) -> np.ndarray:
        """Whether each count is too small to show; NaN is not."""
        counts = np.asarray(values, dtype=float)
        low = counts > 0 if self.zeros_shown else counts >= 0
        return low & (counts < self.min_count)

    def interval_needed(self, value: float) -> float:
        """Width of the range of values that must stay possible for a hidden count."""
        return max(self.min_interval, self.min_interval_share * value)

    @property
    def support_needed(self) -> int:
        """Fewest members behind an estimate that may be shown."""
        return max(self.min_support, self.min_count)

    @property
    def rounding_words(self) -> str:
        """How counts are rounded: "to midpoint 6", "to the nearest 5", or nothing."""
        how = {"none": "", "nearest": "to the nearest", "midpoint": "to midpoint"}[self.rounding]
        return f"{how} {self.rounding_base}" if how else ""

    def rules(self) -> dict[str, Any]:
        """Every rule as plain data, as outputs carry it."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        groups = {column: list(values) for column, values in self.keep_readable.items()}
        return content | {
            "keep_readable": groups,
            "hide_first": list(self.hide_first),
            "differs_from": list(self.differs_from),
        }

    @property
    def sha256(self) -> str:
        """Hash of the rules, carried into every output."""
        text = json.dumps(self.rules(), sort_keys=True, ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()


def policy_names() -> tuple[str, ...]:
    """Names of the policies that come with the package."""
    folder = files("calaim_eval.disclosure") / "policies"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir()))


def load_policy(name: str | Path) -> Policy:
    """Read a suppression policy.

    Parameters
    ----------
    name : str or path
        A policy of the package (`policy_names`): ``"calhhs_ddg_2"`` (default of every release),
        ``"calhhs_ddg_1"``, ``"cms_11"``, ``"opensafely_round_5"``, ``"opensafely_midpoint_6"``.
        Or a file of one's own, whose name ends in ``.toml``: the keys of `Policy`, those left
        out taken from the policy named in ``based_on``.

    Returns
    -------
    Policy

    Raises
    ------
    DisclosureError
        No policy has that name (the message lists those there are), or the file is missing, is
        not TOML, or has keys or values that are not a policy's.

    Examples
    --------
    >>> load_policy("calhhs_ddg_2").min_count
    11
    """
    if isinstance(name, Path) or str(name).endswith(".toml"):
        from calaim_eval.disclosure.policy_file import read_policy_file

        return read_policy_file(Path(name))
    if name not in policy_names():
        close = get_close_matches(name, policy_names(), n=1)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        listed = ", ".join(f"`{each}`" for each in policy_names())
        raise DisclosureError(
            f"no policy is named `{name}`.{hint}\n  Policies: {listed}; or a file of your own "
            "whose name ends in `.toml`."
        )
    return policy_of(packaged(name), where=f"policy `{name}`")


def packaged(name: str) -> dict[str, Any]:
    """Content of the file of a policy that comes with the package."""
    import tomllib

    path = files("calaim_eval.disclosure") / "policies" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def policy_of(content: Mapping[str, Any], *, where: str) -> Policy:
    """The policy of plain data: a file's content, or the rules that an output carries.

    Raises
    ------
    DisclosureError
        Keys or values are not a policy's; all of them are named.
    """
    from calaim_eval.disclosure.policy_file import checked_rules

    return Policy(**checked_rules(content, where=where))
