"""Standardized rates from member-months, with events of one member allowed to depend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.groups import key_list
from calaim_eval.equity.member_month_blocks import Counter, blocks
from calaim_eval.equity.person_sums import clustered_variance, person_sums
from calaim_eval.equity.rates import missing_notes
from calaim_eval.equity.standardize import (
    DirectInterval,
    direct_sums,
    direct_table,
    direct_weights,
    indirect_standardized_ratio,
)
from calaim_eval.panel import MemberMonths


def direct_standardized_rate_by_group(
    source: pd.DataFrame | MemberMonths,
    *,
    outcome: str,
    by: str | Sequence[str],
    weights: pd.Series,
    band: str | Sequence[str] = "age_band",
    months: tuple[str, str] | None = None,
    per: float = 1000.0,
    interval: DirectInterval = "dobson",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    r"""Directly standardized rate of each group from member-months, clustered by member.

    Parameters
    ----------
    source : MemberMonths or pd.DataFrame
        As in `rate_by_group`, with the columns of `by` and `band`.
    outcome : str
        Column with the count of each member-month.
    by, weights, band, per, interval, conf_level
        As in `direct_standardized_rate`; bands are compared as text.
    months : (str, str), optional
        First and last month, both included; default all.

    Returns
    -------
    pd.DataFrame
        The columns of `direct_standardized_rate`, and `n_members` with an event. `attrs["notes"]`
        counts member-months whose outcome is missing, which are left out.

    Notes
    -----
    A member who turns 65 has months in two bands. With :math:`a_b` the weight of band :math:`b`
    over its member-months, the variance is
    :math:`\frac{n}{n-1}\sum_i \left(\sum_b a_b (y_{ib} - \hat\rho_b r_{ib})\right)^2`, which
    holds what a member's bands have in common.
    """
    check_option("interval", interval, get_args(DirectInterval))
    keys, bands = key_list(by), key_list(band)
    texts = _as_text(weights)

    counter = Counter()

    def parts(counter: Counter) -> Iterator[pd.DataFrame]:
        names = [*keys, *bands]
        return blocks(source, outcome=outcome, by=names, months=months, counter=counter)

    cells = person_sums(parts(counter), outcome=outcome, by=[*keys, *bands], margins=())
    cells = cells.assign(
        rate=cells["events"] / cells["member_months"],
    )
    sums = direct_sums(cells.drop(columns="rate"), keys, bands=bands, weights=texts)
    cells["each"] = direct_weights(cells, bands=bands, weights=texts)
    pieces = []
    for block in parts(Counter()):
        rows = _by_band(block, outcome, keys, bands).merge(
            cells[[*keys, *bands, "each", "rate"]], on=[*keys, *bands]
        )
        rows["u"] = rows["each"] * (rows["y"] - rows["rate"] * rows["r"])
        members = rows.groupby([*keys, "member_id"], as_index=False)[["u", "y"]].sum()
        members = members.assign(
            uu=members["u"] ** 2, n=1, n_members=(members["y"] > 0).astype(int)
        )
        pieces.append(members.groupby(keys, as_index=False)[["uu", "n", "n_members"]].sum())
    found = pd.concat(pieces).groupby(keys, as_index=False).sum()
    sums = sums.drop(columns="variance").merge(found, on=keys)
    n = sums["n"].to_numpy(dtype=float)
    sums["variance"] = np.where(n > 1, n / np.maximum(n - 1, 1) * sums["uu"], np.nan)
    table = direct_table(sums, keys, per=per, interval=interval, conf_level=conf_level)
    table = table.assign(n_members=sums["n_members"].to_numpy())
    table.attrs["notes"] = missing_notes(outcome, counter)
    return table


def indirect_standardized_ratio_by_group(
    source: pd.DataFrame | MemberMonths,
    *,
    outcome: str,
    by: str | Sequence[str],
    standard: pd.DataFrame,
    band: str | Sequence[str] = "age_band",
    months: tuple[str, str] | None = None,
    per: float = 1.0,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    r"""Observed over expected events of each group from member-months, clustered by member.

    Parameters
    ----------
    source, outcome, months
        As in `direct_standardized_rate_by_group`.
    by, standard, band, per, conf_level
        As in `indirect_standardized_ratio`; bands are compared as text.

    Returns
    -------
    pd.DataFrame
        The columns of `indirect_standardized_ratio` with Dobson's interval, `n_members` with an
        event and `std_error` of the ratio; `attrs["notes"]` as there.

    Notes
    -----
    With :math:`e_i` the events expected of a member at the standard's rates and
    :math:`s = \sum y / \sum e`, the variance of the events is
    :math:`\frac{n}{n-1}\sum_i (y_i - s\,e_i)^2`.
    """
    keys, bands = key_list(by), key_list(band)
    known = standard.assign(**{b: standard[b].astype(str) for b in bands})
    rates = known.assign(level=known["events"] / known["member_months"])[[*bands, "level"]]
    sums, cells, counter = [], [], Counter()
    names = [*keys, *bands]
    for block in blocks(source, outcome=outcome, by=names, months=months, counter=counter):
        rows = _by_band(block, outcome, keys, bands).merge(rates, on=bands, how="left")
        rows["e"] = rows["level"] * rows["r"]
        cells.append(rows.groupby(names, as_index=False)[["y", "r"]].sum())
        members = rows.groupby([*keys, "member_id"], as_index=False)[["y", "e"]].sum()
        sums.append(
            members[keys]
            .assign(
                n_persons=1,
                n_members=(members["y"] > 0).astype(int),
                events=members["y"],
                member_months=members["e"],
                yy=members["y"] ** 2,
                yr=members["y"] * members["e"],
                rr=members["e"] ** 2,
            )
            .groupby(keys, as_index=False)
            .sum()
        )
    persons = pd.concat(sums).groupby(keys, as_index=False).sum()
    persons["total"] = clustered_variance(persons)
    counted = pd.concat(cells).groupby(names, as_index=False).sum()
    counted = counted.rename(columns={"y": "events", "r": "member_months"})
    counted = counted.merge(persons[[*keys, "total"]], on=keys)
    # The variance is the group's; its bands share it out.
    size = counted.groupby(keys)["events"].transform("size")
    table = indirect_standardized_ratio(
        counted.assign(variance=counted["total"] / size),
        by=keys,
        standard=known,
        band=bands,
        per=per,
        interval="dobson",
        conf_level=conf_level,
    )
    table = table.merge(persons[[*keys, "n_members", "total"]], on=keys)
    table = table.assign(std_error=np.sqrt(table.pop("total")) / table["expected"])
    table.attrs["notes"] = missing_notes(outcome, counter)
    return table


def _by_band(block: pd.DataFrame, outcome: str, keys: list[str], bands: list[str]) -> pd.DataFrame:
    """Events `y` and member-months `r` of each member, group and band."""
    rows = block[[*keys, *bands, "member_id"]].assign(y=block[outcome].astype(float), r=1.0)
    return rows.groupby([*keys, *bands, "member_id"], as_index=False)[["y", "r"]].sum()


def _as_text(weights: pd.Series) -> pd.Series:
    """Weights with their bands as text, as the groups of member-months are."""
    if isinstance(weights.index, pd.MultiIndex):
        index: pd.Index = pd.MultiIndex.from_tuples(
            [tuple(str(each) for each in band) for band in weights.index]
        )
    else:
        index = weights.index.astype(str)
    return pd.Series(weights.to_numpy(dtype=float), index=index)
