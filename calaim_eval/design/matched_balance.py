"""How unlike the exposed and those not yet exposed were before matching."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.matched_rules import RiskRules
from calaim_eval.design.matched_sets import sides_at_risk


def before_matching(
    rules: RiskRules, variables: Sequence[str], groups: pd.DataFrame
) -> pd.DataFrame:
    """Means and variances of both sides in the risk sets, before anybody is matched.

    Returns
    -------
    pd.DataFrame
        `variable`, `level`, `mean_exposed`, `mean_comparison`, `variance_exposed`,
        `variance_comparison`. Comparison: everybody eligible, covered and not yet exposed in an
        index month, each month weighted by its exposed members.
    """
    indicators = [
        (str(name), str(level), (groups[name] == level).to_numpy(dtype=float))
        for name in groups.columns
        for level in sorted(set(groups[name]))
    ]
    labels = [(name, "") for name in variables] + [(name, level) for name, level, _ in indicators]
    sums = {side: np.zeros((3, len(labels))) for side in ("exposed", "comparison")}
    squares = {"exposed": 0.0, "comparison": 0.0}
    for month in map(int, rules.index_months()):
        exposed, others = sides_at_risk(rules, month)
        if not exposed.size or not others.size:
            continue
        for side, rows, weight in (
            ("exposed", exposed, 1.0),
            ("comparison", others, len(exposed) / len(others)),
        ):
            x = np.column_stack(
                [rules.values(rows, month), *(values[rows] for _, _, values in indicators)]
            )
            sums[side] += weight * np.array([np.full(x.shape[1], len(x)), x.sum(0), (x**2).sum(0)])
            squares[side] += weight**2 * len(x)
    table = pd.DataFrame(labels, columns=["variable", "level"])
    for side, (counts, total, square) in sums.items():
        mean = total / counts
        free = float(counts[0] - squares[side] / counts[0])
        spread = np.maximum(square - counts * mean**2, 0.0)
        table[f"mean_{side}"] = mean
        table[f"variance_{side}"] = spread / free if free > 0 else np.nan
    return table
