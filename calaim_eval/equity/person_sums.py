"""Sums over members that a rate and its member-clustered variance are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from calaim_eval.equity.groups import with_margins


def person_sums(
    blocks: Iterable[pd.DataFrame], *, outcome: str, by: Sequence[str], margins: Sequence[str]
) -> pd.DataFrame:
    """Per group: events, member-months, members, and the squares the variance needs.

    Parameters
    ----------
    blocks : iterable of pd.DataFrame
        One row per member-month with `member_id`, `outcome` and `by`; all rows of a member in one
        block.
    outcome : str
        Numeric column without missing values.
    by, margins : sequence of str
        Grouping columns, and those that get an "all" row.

    Returns
    -------
    pd.DataFrame
        `by`, `n_persons`, `n_members` (with an event), `events`, `member_months`, `yy`, `yr`,
        `rr` (sums over members of squares and products), `is_count` (only whole numbers, 0 or
        more).
    """
    pieces = [
        _block_sums(part, outcome=outcome, by=by)
        for block in blocks
        for part in with_margins(block, margins)
    ]
    sums = pd.concat(pieces, ignore_index=True).groupby(list(by), as_index=False).sum()
    return sums.assign(is_count=sums.pop("n_odd") == 0)


def clustered_variance(sums: pd.DataFrame) -> np.ndarray:
    r"""Variance of the number of events given the member-months, clustered by member; shape (k,).

    :math:`\frac{n}{n-1}\sum_i (y_i - \hat\rho r_i)^2` with :math:`\hat\rho = \sum y / \sum r`;
    divide by the squared member-months for the variance of the rate. NaN for one member.
    """
    y, r, n = (sums[c].to_numpy(dtype=float) for c in ("events", "member_months", "n_persons"))
    yy, yr, rr = (sums[c].to_numpy(dtype=float) for c in ("yy", "yr", "rr"))
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = y / r
        squares = np.maximum(yy - 2 * rate * yr + rate**2 * rr, 0.0)
        variance: np.ndarray = np.where(n > 1, n / (n - 1) * squares, np.nan)
    return variance


def _block_sums(block: pd.DataFrame, *, outcome: str, by: Sequence[str]) -> pd.DataFrame:
    """Sums of one block, members first."""
    values = block[outcome]
    rows = block[[*by, "member_id"]].assign(
        y=values.astype(float), n_odd=((values < 0) | (values % 1 != 0)).astype(int)
    )
    grouped = rows.groupby([*by, "member_id"])
    persons = grouped[["y", "n_odd"]].sum().assign(r=grouped.size().astype(float)).reset_index()
    products = persons[list(by)].assign(
        n_persons=1,
        n_members=(persons["y"] != 0).astype(int),
        events=persons["y"],
        member_months=persons["r"],
        yy=persons["y"] ** 2,
        yr=persons["y"] * persons["r"],
        rr=persons["r"] ** 2,
        n_odd=persons["n_odd"],
    )
    return products.groupby(list(by), as_index=False).sum()
