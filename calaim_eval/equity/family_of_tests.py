"""Gaps of many groups and outcomes as one declared family: adjusted p-values, intervals at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.multiplicity import Adjustment, adjust_p_values
from calaim_eval.errors import EstimationError
from calaim_eval.estimate import simultaneous_bands
from calaim_eval.results import EffectTable, stack

JOINT, SPLIT, POINTWISE = "joint", "split", "none"


@dataclass(frozen=True, slots=True, eq=False)
class FamilyOfTests:
    """Estimates tested together.

    Attributes
    ----------
    family : str
        What was declared, in words.
    by_table : Mapping[str, EffectTable]
        The estimates, with the family among the options of their method.
    frame : pd.DataFrame
        See `to_frame`.
    """

    family: str
    by_table: Mapping[str, EffectTable]
    frame: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: `family`, `table`, keys, estimate, pointwise interval, `p_value`.

        Beside them `p_adjusted`, `adjustment`, `n_tests` (p-values in the family),
        `simultaneous_low`, `simultaneous_high`, `critical_value`, and `bands`: ``"joint"`` where
        one critical value covers all rows, ``"split"`` where the error is shared out over tables.
        """
        return self.frame.copy()

    def tables(self) -> dict[str, EffectTable]:
        """Tables to release."""
        return dict(self.by_table)

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        n = int(self.frame["n_tests"].iloc[0]) if len(self.frame) else 0
        return f"<FamilyOfTests {self.family}: {n} tests in {len(self.by_table)} tables>"

    def _repr_html_(self) -> str:
        table = self.frame.to_html(index=False, float_format=lambda v: f"{v:.4g}")
        return f"<p>{escape(self.family)}</p>{table}"


def adjust_family(
    tables: EffectTable | Mapping[str, EffectTable],
    *,
    family: str,
    rng: np.random.Generator,
    method: Adjustment = "holm",
    conf_level: float = 0.95,
) -> FamilyOfTests:
    r"""Test a declared family of gaps or effects together.

    Use on all gaps a report states about one question: every group, every outcome. The family is
    declared before looking; it holds what was asked, not what came out.

    Parameters
    ----------
    tables : EffectTable or mapping of str to EffectTable
        One table, or several by name (outcomes). All rows enter: `select` them first.
    family : str
        What the family is, in the words of the analysis plan; stands in every row.
    rng : np.random.Generator
        Source of the draws behind the bands; a fixed seed gives the same bands.
    method : {"holm", "bonferroni", "benjamini_hochberg"}
        See `adjust_p_values`.
    conf_level : float
        Chance that *all* intervals of the family hold their truth.

    Returns
    -------
    FamilyOfTests

    Raises
    ------
    EstimationError
        No family is named, or no row has a standard error; see `simultaneous_bands` too.

    Notes
    -----
    Bands are sup-t (`simultaneous_bands`), from a multivariate t where the tables have degrees of
    freedom, and never narrower than the pointwise interval at their level. Tables of one scale
    whose cluster influence is known over the same clusters have a joint covariance, and one
    critical value (one level, where degrees differ). Otherwise what tables have in common is not
    known, and each of the m tables gets bands at :math:`1 - (1 - \mathrm{level})/m` (Bonferroni
    over tables, sup-t within), which hold whatever the dependence.
    """
    check_option("method", method, get_args(Adjustment))
    if not family.strip():
        raise EstimationError(
            "adjust_family: `family` is empty. Name what was declared to be tested together, such "
            "as 'gaps in ED visits and stays, all groups'."
        )
    named = {"": tables} if isinstance(tables, EffectTable) else dict(tables)
    if not any(np.isfinite(t.std_error).any() for t in named.values()):
        raise EstimationError("adjust_family: no row of these tables has a standard error.")
    joint = _joint(named)
    frames = _banded(named, joint, rng=rng, conf_level=conf_level)
    frame = pd.concat(frames, ignore_index=True)
    adjusted = adjust_p_values(frame["p_value"].to_numpy(), method=method)
    place = list(frame.columns).index("p_value") + 1
    n_tests = int(frame["p_value"].notna().sum())
    for name, values in reversed(
        list({"p_adjusted": adjusted, "adjustment": method, "n_tests": n_tests}.items())
    ):
        frame.insert(place, name, values)
    frame.insert(0, "family", family)
    if set(named) == {""}:
        frame = frame.drop(columns="table")
    options = {"family": family, "adjustment": method, "n_tests": n_tests}
    kept = {
        name: replace(t, method=replace(t.method, options={**t.method.options, **options}))
        for name, t in named.items()
    }
    return FamilyOfTests(family, kept, frame)


def _joint(named: Mapping[str, EffectTable]) -> EffectTable | None:
    """All tables as one with a joint covariance; None where it is not known."""
    tables = list(named.values())
    if len(tables) == 1:
        return tables[0]
    influences = [t.cluster_influence for t in tables]
    first = influences[0]
    if first is None or len({t.estimand.scale for t in tables}) > 1:
        return None
    if any(i is None or not i.index.equals(first.index) for i in influences):
        return None
    values = np.hstack([i.to_numpy() for i in influences if i is not None])
    whole = stack(tables, key="table", labels=list(named))
    products = values.T @ values
    own = ~np.isnan(whole.covariance)
    # A covariance that is no cross-product (a jackknife, a factor) can't be carried across tables.
    if not np.allclose(products[own], whole.covariance[own], rtol=1e-8):
        return None
    return replace(
        whole, covariance=products, cluster_influence=pd.DataFrame(values, index=first.index)
    )


def _banded(
    named: Mapping[str, EffectTable],
    joint: EffectTable | None,
    *,
    rng: np.random.Generator,
    conf_level: float,
) -> list[pd.DataFrame]:
    """Each table with pointwise intervals at the level, and bands for the whole family."""
    if joint is not None:
        bands = simultaneous_bands(joint, rng=rng, conf_level=conf_level)[list(_BANDS)]
    frames, start = [], 0
    for name, table in named.items():
        frame = table.to_frame(conf_level)
        if joint is not None:
            own = bands.iloc[start : start + len(table)].reset_index(drop=True).assign(bands=JOINT)
        elif np.isfinite(table.std_error).any():
            level = 1 - (1 - conf_level) / len(named)
            own = simultaneous_bands(table, rng=rng, conf_level=level)[list(_BANDS)]
            own = own.assign(bands=SPLIT)
        else:
            own = pd.DataFrame(np.nan, index=frame.index, columns=list(_BANDS)).assign(
                bands=POINTWISE
            )
        frames.append(pd.concat([frame, own], axis=1).assign(table=name))
        start += len(table)
    return [f[["table", *[c for c in f.columns if c != "table"]]] for f in frames]


_BANDS = ("simultaneous_low", "simultaneous_high", "critical_value")
