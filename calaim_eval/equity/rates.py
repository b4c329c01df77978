"""Rates and proportions by group, with intervals that respect repeat events of one member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.design.ledger import count_words
from calaim_eval.equity.groups import (
    as_groups,
    check_columns,
    check_margins,
    in_group_order,
    key_list,
    with_margins,
)
from calaim_eval.equity.member_month_blocks import Counter, blocks
from calaim_eval.equity.overlapping_groups import one_row_a_group, overlap_notes
from calaim_eval.equity.person_sums import clustered_variance, person_sums
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.panel.grouped import group_notes
from calaim_eval.results import Method, RateTable
from calaim_eval.results.intervals import (
    byar_interval,
    dobson_interval,
    exact_poisson_interval,
    log_normal_interval,
    wilson_interval,
)
from calaim_eval.schema.overlapping import overlapping_columns

RateInterval = Literal["member_clustered", "byar", "exact_poisson"]

DOBSON = (
    "Dobson AJ, Kuulasmaa K, Eberle E, Scherer J (1991). Stat Med 10:457-462. "
    "doi:10.1002/sim.4780100317"
)
_INTERVAL_WORDS = {
    "member_clustered": "Dobson interval, variance clustered by member",
    "log_normal": "log-normal interval, variance clustered by member",
    "byar": "Byar interval (independent events)",
    "exact_poisson": "exact Poisson interval (independent events)",
}


def rate_by_group(
    source: pd.DataFrame | MemberMonths,
    *,
    outcome: str,
    by: str | Sequence[str],
    months: tuple[str, str] | None = None,
    per: float | None = None,
    unit: str | None = None,
    margins: Sequence[str] = (),
    interval: RateInterval = "member_clustered",
    numerator_name: str | None = None,
    denominator_name: str = "member_months",
) -> RateTable:
    r"""Events over member-months by group.

    Parameters
    ----------
    source : MemberMonths or pd.DataFrame
        A panel, or a frame with `member_id`, `outcome`, the columns of `by` (and `month` where
        `months` is given); one row per member-month.
    outcome : str
        Column with the count (or amount) of each member-month.
    by : str or sequence of str
        Grouping columns. A missing value is the group "unknown"; no group is dropped. Of
        `race_ethnicity_in_combination` and `population_of_focus` the labels hold several groups
        joined by ``";"``: a member counts in each, and the rows overlap.
    months : (str, str), optional
        First and last month, both included; default all.
    per : float, optional
        Member-months a rate refers to. Default: the measure's own (1,000; 1 for amounts), else
        1,000.
    unit : str, optional
        Unit of the rate in words; default from the measure.
    margins : sequence of str
        Columns of `by` that get an "all" row.
    interval : {"member_clustered", "byar", "exact_poisson"}
        ``"member_clustered"`` lets events of one member depend on each other. The other two treat
        events as independent, which repeat visits are not.
    numerator_name, denominator_name : str
        What exactly is counted; default the outcome and "member_months". Disclosure control
        takes equal names with equal keys for the same number: name a part of the months, such as
        those before eligibility, otherwise.

    Returns
    -------
    RateTable
        `kind` "rate"; `n_members` counts distinct members with an event.

    Raises
    ------
    TableError
        A column is missing, or a member's month repeats.
    EstimationError
        No member-month is left, or a Poisson interval is asked for amounts.

    Notes
    -----
    The rate :math:`\hat\rho = \sum_i y_i / \sum_i r_i` is a ratio of sums over members. Its
    variance is :math:`\frac{n}{n-1} \sum_i (y_i - \hat\rho r_i)^2 / (\sum_i r_i)^2`. Counts get
    Dobson's interval [1]_ with that variance, amounts a log-normal one. A group without events
    gets Byar's interval for zero: nothing tells how its events would cluster.

    References
    ----------
    .. [1] Dobson AJ, Kuulasmaa K, Eberle E, Scherer J (1991). Stat Med 10:457-462.
       doi:10.1002/sim.4780100317

    Examples
    --------
    >>> months = pd.DataFrame({"member_id": ["a", "a", "b", "b"], "ed_visits": [1, 0, 0, 2],
    ...                        "race_ethnicity": ["black", "black", "white", "white"]})
    >>> rate_by_group(months, outcome="ed_visits", by="race_ethnicity", per=1).rate
    array([0.5, 1. ])
    """
    check_option("interval", interval, get_args(RateInterval))
    keys = key_list(by)
    check_margins(margins, keys)
    counter = Counter()
    data = blocks(source, outcome=outcome, by=keys, months=months, counter=counter)
    return rate_table(
        person_sums(data, outcome=outcome, by=keys, margins=margins),
        outcome=outcome,
        by=keys,
        per=per,
        unit=unit,
        margins=margins,
        interval=interval,
        notes=(*missing_notes(outcome, counter), *group_notes(source, keys)),
        numerator_name=numerator_name,
        denominator_name=denominator_name,
    )


def rate_table(
    sums: pd.DataFrame,
    *,
    outcome: str,
    by: Sequence[str],
    per: float | None,
    margins: Sequence[str],
    interval: RateInterval,
    unit: str | None = None,
    notes: tuple[str, ...] = (),
    denominator_name: str = "member_months",
    numerator_name: str | None = None,
) -> RateTable:
    """Rates with their intervals from `person_sums`."""
    if sums.empty:
        raise EstimationError(
            f"`{outcome}`: no member-month with a known value is left. Check `months` and the "
            "groups, or whether the feed the outcome comes from is present."
        )
    sums = in_group_order(one_row_a_group(sums, by), by)
    measure = MEASURES.get(outcome)
    scale = per if per is not None else (measure.per if measure else 1000.0)
    used, low, high = _count_bounds(sums, outcome=outcome, interval=interval)
    denominator = sums["member_months"].to_numpy(dtype=float)
    zero = int((sums["events"] == 0).sum())
    if zero and used == "member_clustered":
        notes = (
            *notes,
            "Groups without an event have Byar's interval for a count of zero.",
        )
    return RateTable(
        measure=f"{measure.label if measure else outcome} by {', '.join(by)}",
        keys=sums[list(by)],
        numerator=sums["events"].to_numpy(dtype=float),
        denominator=denominator,
        conf_low=scale * low / denominator,
        conf_high=scale * high / denominator,
        n_members=sums["n_members"].to_numpy(dtype=float),
        numerator_name=numerator_name or outcome,
        denominator_name=denominator_name,
        unit=unit or _unit(outcome, scale),
        kind="rate",
        method=Method(
            f"Rate; {_INTERVAL_WORDS[used]}",
            {"interval": used},
            DOBSON if used == "member_clustered" else "",
        ),
        margins=tuple(c for c in margins if c not in overlapping_columns(by)),
        per=scale,
        notes=(*notes, *overlap_notes(by)),
        overlaps=overlapping_columns(by),
    )


def proportion_by_group(
    members: pd.DataFrame,
    *,
    has: str,
    by: str | Sequence[str],
    margins: Sequence[str] = (),
    measure: str | None = None,
    numerator_name: str | None = None,
    denominator_name: str = "members",
    per: float = 1.0,
) -> RateTable:
    """Share of members who have something, by group, with Wilson's interval.

    Parameters
    ----------
    members : pd.DataFrame
        One row per member: `member_id`, `has`, and the columns of `by`.
    has : str
        Boolean column. Members with a missing value are left out and counted in the notes.
    by : str or sequence of str
        Grouping columns; a missing value is the group "unknown".
    margins : sequence of str
        Columns of `by` that get an "all" row.
    measure : str, optional
        Name of the measure; default from `has`.
    numerator_name, denominator_name : str
        What exactly is counted; disclosure control compares names across tables.
    per : float
        1 for shares, 100 for percent.

    Returns
    -------
    RateTable
        `kind` "proportion".

    Raises
    ------
    TableError
        A column is missing, or a member has several rows.

    Examples
    --------
    >>> members = pd.DataFrame({"member_id": ["a", "b"], "is_served": [True, False],
    ...                         "race_ethnicity": ["black", None]})
    >>> proportion_by_group(members, has="is_served", by="race_ethnicity").to_frame()["rate"]
    0    1.0
    1    0.0
    Name: rate, dtype: float64
    """
    keys = key_list(by)
    check_columns(members, ["member_id", has, *keys])
    check_margins(margins, keys)
    repeats = int(members["member_id"].duplicated().sum())
    if repeats:
        raise TableError(
            f"the frame: {repeats:,} of {len(members):,} rows repeat a `member_id`; a proportion "
            "of members needs one row per member."
        )
    is_known = members[has].notna()
    rows = as_groups(members[is_known], keys).assign(has=members.loc[is_known, has].astype(bool))
    unknown = int((~is_known).sum())
    counted = pd.concat(
        [
            part.groupby(keys, as_index=False)["has"].agg(["sum", "size"])
            for part in with_margins(rows, margins)
        ],
        ignore_index=True,
    )
    counted = in_group_order(one_row_a_group(counted, keys), keys)
    count, total = counted["sum"].to_numpy(dtype=float), counted["size"].to_numpy(dtype=float)
    low, high = wilson_interval(count, total)
    return RateTable(
        measure=measure or f"Share with {has} by {', '.join(keys)}",
        keys=counted[keys],
        numerator=count,
        denominator=total,
        conf_low=per * low,
        conf_high=per * high,
        n_members=count,
        numerator_name=numerator_name or f"members_{has}",
        denominator_name=denominator_name,
        unit="share of members" if per == 1 else f"per {per:,.0f} members",
        kind="proportion",
        method=Method(
            "Proportion; Wilson interval",
            {"interval": "wilson"},
            "Wilson EB (1927). doi:10.1080/01621459.1927.10502953",
        ),
        margins=tuple(c for c in margins if c not in overlapping_columns(keys)),
        per=per,
        notes=(
            *(
                [f"`{has}` is missing for {count_words(unknown)} members, left out."]
                * bool(unknown)
            ),
            *overlap_notes(keys),
        ),
        overlaps=overlapping_columns(keys),
    )


def missing_notes(outcome: str, counter: Counter) -> tuple[str, ...]:
    """Note on member-months whose outcome is missing."""
    if not counter.n_missing:
        return ()
    return (
        f"`{outcome}` is not known in {count_words(counter.n_missing)} member-months; they are in "
        "neither numerator nor denominator.",
    )


def _count_bounds(
    sums: pd.DataFrame, *, outcome: str, interval: RateInterval
) -> tuple[str, np.ndarray, np.ndarray]:
    """Interval used and its bounds, in events (or in the unit of the amount)."""
    events = sums["events"].to_numpy(dtype=float)
    if sums["is_count"].all():
        if interval == "byar":
            return interval, *byar_interval(events)
        if interval == "exact_poisson":
            return interval, *exact_poisson_interval(events)
        variance = clustered_variance(sums)
        return interval, *dobson_interval(events, variance=variance, count=events)
    if interval != "member_clustered":
        raise EstimationError(
            f"`{outcome}` has negative or broken values: it is an amount, not a count, and a "
            f'Poisson interval does not hold.\n  Use interval="member_clustered".'
        )
    bounds = log_normal_interval(events, np.sqrt(clustered_variance(sums)))
    return "log_normal", *bounds


def _unit(outcome: str, per: float) -> str:
    """Unit of a rate, the measure's own where the scale is the measure's own."""
    measure = MEASURES.get(outcome)
    if measure and measure.per == per:
        return measure.unit
    name = measure.label if measure else outcome
    return f"{name} per member-month" if per == 1 else f"{name} per {per:,.0f} member-months"
