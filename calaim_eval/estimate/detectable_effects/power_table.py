"""The table a power statement is printed as, and the arithmetic behind it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

if TYPE_CHECKING:
    from plotnine import ggplot


@dataclass(frozen=True, slots=True, eq=False)
class PowerTable:
    """What a comparison can detect, one row per effect and take-up share.

    Attributes
    ----------
    frame : pd.DataFrame
        See `power` for the columns.
    unit : str
        Unit of effects and standard errors.
    alpha, target_power : float
        Two-sided level of the test, and the power it should have.
    assumptions : tuple[str, ...]
        What the numbers suppose, in the words of a report.
    """

    frame: pd.DataFrame
    unit: str
    alpha: float
    target_power: float
    assumptions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.frame)

    def to_frame(self) -> pd.DataFrame:
        """A copy of the table."""
        return self.frame.copy()

    def plot(self) -> ggplot:
        """Power against the effect on a served member; style it with ``+``."""
        import plotnine as p9

        curves = self._curves()
        plot = (
            p9.ggplot(curves, p9.aes("effect_on_served", "power", linetype="take_up"))
            + p9.geom_hline(yintercept=self.target_power, colour="#6b6b6b")
            + p9.geom_line()
            + p9.labs(x=f"Effect on a served member ({self.unit})", y="Power", linetype="Take-up")
        )
        is_one = len(curves["row"].unique()) == 1
        return plot if is_one else plot + p9.facet_wrap("row", scales="free_x")

    def _curves(self) -> pd.DataFrame:
        """Power at effects from 0 to twice the smallest detectable one, by row."""
        keys = self.frame.columns[: self.frame.columns.get_loc("take_up")]
        parts = []
        for _, row in self.frame.dropna(subset=["std_error"]).iterrows():
            effect = np.linspace(0.0, 2 * row["mde_on_served"], 101)
            parts.append(
                pd.DataFrame(
                    {
                        "row": ", ".join(str(row[key]) for key in keys),
                        "take_up": f"{row['take_up']:.3g}",
                        "effect_on_served": effect,
                        "power": power_of(
                            row["take_up"] * effect / row["std_error"],
                            np.full(len(effect), row["df"]),
                            self.alpha,
                        ),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def __repr__(self) -> str:
        return (
            f"<PowerTable: {len(self)} rows; power {self.target_power:g} at two-sided level "
            f"{self.alpha:g}; {self.unit}>"
        )

    def _repr_html_(self) -> str:
        table = self.frame.to_html(index=False, float_format=lambda v: f"{v:.4g}")
        lines = "".join(f"<li>{escape(words)}</li>" for words in self.assumptions)
        return f"<p>{escape(repr(self)[1:-1])}</p>{table}<ul>{lines}</ul>"


def power_of(distance: np.ndarray, df: np.ndarray, alpha: float) -> np.ndarray:
    """Power of a two-sided test of an effect `distance` standard errors from 0.

    Normal where `df` is infinite, else Student's t (noncentral t under the effect).
    """
    distance, df = np.broadcast_arrays(np.abs(np.asarray(distance, float)), np.asarray(df, float))
    is_normal = np.isinf(df)
    normal = float(special.ndtri(1 - alpha / 2))
    finite = np.where(is_normal, 1.0, df)
    critical = special.stdtrit(finite, 1 - alpha / 2)
    from_t = 1 - special.nctdtr(finite, distance, critical)
    from_t = from_t + special.nctdtr(finite, distance, -critical)
    from_normal = special.ndtr(distance - normal) + special.ndtr(-distance - normal)
    return np.asarray(np.where(is_normal, from_normal, from_t))


def detectable_distance(df: np.ndarray, alpha: float, target_power: float) -> np.ndarray:
    """Smallest effect with the power asked for, in standard errors; shape of `df`.

    Normal: ``z(1 - alpha/2) + z(power)``. Student's t: the noncentrality with that power.
    """
    normal = float(special.ndtri(1 - alpha / 2) + special.ndtri(target_power))
    flat = np.asarray(df, dtype=float)
    found = np.full(flat.shape, normal)
    found[np.isnan(flat)] = np.nan
    for value in np.unique(flat[np.isfinite(flat)]):
        found[flat == value] = _t_distance(float(value), alpha, target_power)
    return found


def _t_distance(df: float, alpha: float, target_power: float) -> float:
    """Noncentrality at which the two-sided t test has the power asked for."""
    from scipy.optimize import brentq

    degrees = np.array([df])

    def lacking(distance: float) -> float:
        return float(power_of(np.array([distance]), degrees, alpha)[0]) - target_power

    high = 1.0
    while lacking(high) < 0:
        high *= 2
    return float(brentq(lacking, 0.0, high, xtol=1e-12))
