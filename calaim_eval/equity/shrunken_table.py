"""Shrunken estimates beside the raw ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable

RAW, SHRUNKEN = "raw", "shrunken"


@dataclass(frozen=True, slots=True, eq=False)
class ShrunkenTable:
    """Raw and shrunken estimates of the same groups, in the same order.

    Attributes
    ----------
    raw : EffectTable
        As estimated; k rows.
    shrunken : EffectTable
        Pulled toward `mean`; its covariance is of the errors of the shrunken estimates, given
        that groups are alike as `method` says. NaN across the other keys.
    weight : np.ndarray
        Weight of the group's own estimate, 0 to 1; shape (k,).
    mean : np.ndarray
        What each estimate is pulled toward, in the unit of the estimates; shape (k,).
    between_sd : np.ndarray
        Standard deviation between groups (of logarithms for ratios); shape (k,).
    """

    raw: EffectTable
    shrunken: EffectTable
    weight: np.ndarray
    mean: np.ndarray
    between_sd: np.ndarray

    def __post_init__(self) -> None:
        k = len(self.raw)
        shapes = {len(self.shrunken), *(len(a) for a in (self.weight, self.mean, self.between_sd))}
        if shapes != {k}:
            raise EstimationError(f"ShrunkenTable: {k} raw estimates, other columns {shapes}.")

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know."""
        return self.shrunken.notes

    def to_frame(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Tidy table: keys, raw estimate and interval, shrunken ones, weight, mean, support."""
        names = ["estimate", "std_error", "conf_low", "conf_high"]
        raw, shrunken = (t.to_frame(conf_level) for t in (self.raw, self.shrunken))
        own = raw[names].set_axis([RAW, *(f"{RAW}_{n}" for n in names[1:])], axis=1)
        pulled = shrunken[names].set_axis(
            [SHRUNKEN, *(f"{SHRUNKEN}_{n}" for n in names[1:])], axis=1
        )
        extra = pd.DataFrame(
            {"weight": self.weight, "mean": self.mean, "between_sd": self.between_sd}
        )
        parts = [self.raw.keys, own, pulled, extra, self.raw.support]
        return pd.concat([part.reset_index(drop=True) for part in parts], axis=1)

    def tables(self) -> dict[str, EffectTable]:
        """Tables to release: one, with the key `version` ("raw", "shrunken")."""
        k = len(self)
        covariance = np.full((2 * k, 2 * k), np.nan)
        covariance[:k, :k], covariance[k:, k:] = self.raw.covariance, self.shrunken.covariance
        both = (self.raw, self.shrunken)
        keys = [t.keys.assign(version=v) for t, v in zip(both, (RAW, SHRUNKEN), strict=True)]
        whole = replace(
            self.shrunken,
            keys=pd.concat(keys, ignore_index=True),
            estimate=np.concatenate([t.estimate for t in both]),
            covariance=covariance,
            support=pd.concat([t.support for t in both], ignore_index=True),
            degrees=_degrees(both),
        )
        return {"shrunken": whole}

    def __repr__(self) -> str:
        return (
            f"<ShrunkenTable {self.raw.estimand.name}: {len(self)} rows; {self.raw.estimand.unit}>"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format=lambda v: f"{v:.4g}")
        return f"<p>{escape(self.shrunken.method.estimator)}</p>{table}"


def _degrees(tables: Sequence[EffectTable]) -> np.ndarray | None:
    """Degrees of freedom under one another; None where no table has any."""
    if all(t.degrees is None for t in tables):
        return None
    return np.concatenate(
        [np.full(len(t), np.nan) if t.degrees is None else t.degrees for t in tables]
    )
