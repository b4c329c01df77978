"""True effects of a design on simulated members, worked out from the truth beside the files.

Nothing of the package's estimators is used: an effect is expected use with the program minus
expected use without it, averaged over the exposed member-months that the design can compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design import Design

FOLLOW_UP = 12
PER = 1000.0


def month_number(dates: pd.Series) -> np.ndarray:
    """Months since 1970; -1 where missing."""
    months = pd.to_datetime(dates)
    return (12 * (months.dt.year - 1970) + months.dt.month - 1).fillna(-1).to_numpy(dtype=int)


def listed_months(truth: pd.DataFrame, outcomes: Sequence[str]) -> pd.DataFrame:
    """Member-months of members ever listed, as the panel has them, with their expected use.

    Parameters
    ----------
    truth : pd.DataFrame
        `truth/identified_member_month.parquet`.
    outcomes : sequence of str

    Returns
    -------
    pd.DataFrame
        `panel_member_id`, `t`, and by outcome `<outcome>|with` and `<outcome>|without`.
    """
    kept = truth[truth["is_full_scope"] & ~truth["is_dual"]]
    columns = {"panel_member_id": kept["member_id"].astype(str), "t": month_number(kept["month"])}
    for outcome in outcomes:
        columns[f"{outcome}|with"] = kept[f"expected_{outcome}"]
        columns[f"{outcome}|without"] = kept[f"expected_{outcome}_without_ecm"]
    return pd.DataFrame(columns)


def design_months(
    design: Design, listed: pd.DataFrame, stratum: Sequence[str] | None
) -> pd.DataFrame:
    """Member-months of a design with `group`, `x` (cell), `g` (cohort, -1 for none) and `t`."""
    members = design.members
    rows = pd.DataFrame(
        {
            "panel_member_id": members.get("panel_member_id", members["member_id"]).astype(str),
            "part": np.arange(len(members)),
            "group": "all" if stratum is None else np.asarray(stratum, dtype=object),
            "g": month_number(members["cohort"]),
            "x": members.groupby(list(design.covariate_cells)).ngroup().to_numpy(),
        }
    )
    months = rows.merge(listed, on="panel_member_id")
    first, last = design.months[0].ordinal, design.months[-1].ordinal
    inside = months["t"].between(first, last)
    if "last_month" in members.columns:
        until = month_number(members["last_month"])
        until = np.where(until < 0, last, until)
        inside &= months["t"] <= until[months["part"]]
    return months[inside]


def comparable(months: pd.DataFrame) -> pd.DataFrame:
    """Exposed member-months up to `FOLLOW_UP` with a comparison in the same group and cell.

    A cohort-month counts where somebody of the cohort is covered in the month before exposure, and
    somebody not exposed until after it is covered in both months.
    """
    codes, _ = pd.factorize(months["group"])
    n_groups, n_cells = codes.max() + 1, int(months["x"].max()) + 1
    first = int(months["t"].min()) - 1
    width = int(months["t"].max()) - first + 2
    t = months["t"].to_numpy() - first
    g = np.where(months["g"] < 0, width - 1, np.clip(months["g"] - first, 0, width - 1))
    x = codes * n_cells + months["x"].to_numpy()
    count = np.zeros((n_groups * n_cells, width, width), dtype=int)
    np.add.at(count, (x, g, t), 1)
    later = count[:, ::-1].cumsum(axis=1)[:, ::-1]
    base, after = np.clip(g - 1, 0, None), np.clip(t + 1, 0, width - 1)
    is_exposed = (months["g"] >= 0).to_numpy() & (t >= g) & (t - g <= FOLLOW_UP)
    found = (count[x, g, base] > 0) & (later[x, after, base] > 0) & (later[x, after, t] > 0)
    return months[is_exposed & found]


def true_effects(months: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """True effects of one outcome by group.

    Returns
    -------
    pd.DataFrame
        Index `group`; `by_cohort`: per 1,000 member-months, cohort-months weighted by the members
        of the cohort, as `aggregate` does; `by_month`: each member-month alike; `ratio`: use with
        over use without; `ratio_by_cohort`: the same of averages weighted as `by_cohort`.
    """
    kept = comparable(months)
    with_it, without = kept[f"{outcome}|with"], kept[f"{outcome}|without"]
    kept = kept.assign(more=with_it - without, with_it=with_it, without=without)
    size = months[months["g"] >= 0].groupby(["group", "g"])["part"].nunique()
    means = kept.groupby(["group", "g", "t"])[["more", "with_it", "without"]].mean()
    means = means.reset_index(["g", "t"])
    weight = size.loc[list(zip(means.index, means["g"], strict=True))].to_numpy()
    weighted = means[["more", "with_it", "without"]].mul(weight, axis=0).groupby(level=0).sum()
    by_cohort = weighted["more"] / pd.Series(weight, index=means.index).groupby(level=0).sum()
    sums = kept.groupby("group")[["with_it", "without", "more"]].sum()
    return pd.DataFrame(
        {
            "by_cohort": PER * by_cohort,
            "by_month": PER * sums["more"] / kept.groupby("group").size(),
            "ratio": sums["with_it"] / sums["without"],
            "ratio_by_cohort": weighted["with_it"] / weighted["without"],
        }
    )
