"""The change in a gap in both scales, side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable

CHANGE = "change"
PARTS = (
    "gap_before",
    "gap_without_program",
    "gap_after",
    CHANGE,
    "change_without_program",
    "effect_gap",
)


@dataclass(frozen=True, slots=True, eq=False)
class DisparityChange:
    """Gaps before and after, and the parts of their change, absolute and relative.

    Attributes
    ----------
    differences : EffectTable
        Group minus reference; the change is `change_without_program` plus `effect_gap`.
    ratios : EffectTable
        Group over reference; the change is `change_without_program` times `effect_gap`.
        The same keys as `differences`: other keys, groups, `reference`, `part`.
    """

    differences: EffectTable
    ratios: EffectTable

    def __post_init__(self) -> None:
        if not self.differences.keys.equals(self.ratios.keys):
            raise EstimationError("DisparityChange: the two scales differ in their keys.")

    def __len__(self) -> int:
        return len(self.differences) + len(self.ratios)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know."""
        return tuple(dict.fromkeys((*self.differences.notes, *self.ratios.notes)))

    def with_notes(self, notes: tuple[str, ...]) -> DisparityChange:
        """The same with more notes on both scales."""
        return DisparityChange(
            replace(self.differences, notes=(*self.differences.notes, *notes)),
            replace(self.ratios, notes=(*self.ratios.notes, *notes)),
        )

    def to_frame(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Tidy table: keys, `scale`, estimate, interval, p-value, `direction`, support.

        `direction` stands in rows of the change: ``"narrower"``, ``"wider"``, ``"same"``, or
        ``"reversed"`` where group and reference changed places. It reads the estimates alone;
        whether chance could have done it is the p-value's.
        """
        frames = []
        for table in (self.differences, self.ratios):
            frame = table.to_frame(conf_level)
            frame.insert(len(table.keys.columns), "scale", table.estimand.scale)
            place = list(frame.columns).index("p_value") + 1
            frame.insert(place, "direction", directions(table))
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def tables(self) -> dict[str, EffectTable]:
        """Tables to release."""
        return {"differences": self.differences, "ratios": self.ratios}

    def __repr__(self) -> str:
        n = len(self.differences) // len(PARTS)
        return f"<DisparityChange: {n} gaps; {self.differences.estimand.unit}, and ratios>"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format=lambda v: f"{v:.4g}")
        return f"<p>{escape(self.differences.estimand.contrast)}</p>{table}"


def directions(table: EffectTable) -> np.ndarray:
    """Whether each gap got narrower, in rows of the change; "" elsewhere; shape (k,)."""
    found = np.full(len(table), "", dtype=object)
    part = table.keys["part"].to_numpy()
    for row in np.flatnonzero(part == CHANGE):
        before, after = (table.estimate[row - PARTS.index(CHANGE) + at] for at in (0, 2))
        if table.estimand.scale == "ratio":
            before, after = np.log(before), np.log(after)
        found[row] = _direction(before, after)
    return found


def _direction(before: float, after: float) -> str:
    """The change of a gap that is 0 where groups are equal."""
    if np.isnan(before) or np.isnan(after):
        return ""
    if np.isclose(abs(before), abs(after), rtol=1e-12, atol=0):
        return "same" if before * after >= 0 else "reversed"
    if before * after < 0:
        return "reversed"
    return "narrower" if abs(after) < abs(before) else "wider"
