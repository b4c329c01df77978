"""Rates of a design's members: before eligibility by group, and over time by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from calaim_eval.design import Design
from calaim_eval.design.member_month_parts import member_month_parts, month_numbers
from calaim_eval.equity.groups import as_groups, check_columns, check_margins, key_list
from calaim_eval.equity.member_month_blocks import Counter, usable
from calaim_eval.equity.person_sums import person_sums
from calaim_eval.equity.rates import missing_notes, rate_table
from calaim_eval.errors import DesignError
from calaim_eval.panel.grouped import GroupedMonths, group_notes
from calaim_eval.results import RateTable

SIDE = {True: "exposed", False: "comparison"}


def baseline_utilization(
    design: Design,
    *,
    outcome: str,
    by: str | Sequence[str] = "race_ethnicity",
    months_before: int | None = None,
    per: float | None = None,
    margins: Sequence[str] = (),
) -> RateTable:
    """Rate in the months before eligibility, by group, members of both sides together.

    Parameters
    ----------
    design : Design
    outcome : str
        Measure of the panel.
    by : str or sequence of str
        Columns of ``design.members``; ``"side"`` tells exposed from comparison.
    months_before : int, optional
        Months before the month of eligibility; default the look-back of the design. The month of
        eligibility itself is not in it.
    per : float, optional
        As in `rate_by_group`.
    margins : sequence of str
        Columns of `by` that get an "all" row.

    Returns
    -------
    RateTable
        Interval clustered by member.

    Raises
    ------
    TableError
        `by` is not a column of the design's members.
    """
    keys = key_list(by)
    check_margins(margins, keys)
    back = months_before or design.lookback_months
    counter = Counter()
    rows = (
        part[part["since_eligibility"].between(-back, -1)]
        for part in _design_parts(design, outcome=outcome, by=keys)
    )
    data = (usable(part, outcome=outcome, by=keys, counter=counter) for part in rows)
    return rate_table(
        person_sums(data, outcome=outcome, by=keys, margins=margins),
        outcome=outcome,
        by=keys,
        per=per,
        margins=margins,
        interval="member_clustered",
        notes=(*missing_notes(outcome, counter), *group_notes(design.panel, keys)),
        numerator_name=f"{outcome}_before_eligibility",
        denominator_name="member_months_before_eligibility",
    )


def utilization_trend(design: Design, *, outcome: str, per: float | None = None) -> RateTable:
    """Rate by calendar quarter, members ever exposed in the window beside those never exposed.

    Descriptive: the sides became eligible in different months and the exposed side holds months
    before exposure. Effects come from `group_time_att`.

    Parameters
    ----------
    design : Design
    outcome : str
        Measure of the panel.
    per : float, optional
        As in `rate_by_group`.

    Returns
    -------
    RateTable
        Keys `side` ("exposed", "comparison") and `quarter` ("2022Q1"), covered months only.
    """
    keys = ["side", "quarter"]
    counter = Counter()
    parts = (
        usable(_with_quarter(part), outcome=outcome, by=keys, counter=counter)
        for part in _design_parts(design, outcome=outcome, by=["side"])
    )
    return rate_table(
        person_sums(parts, outcome=outcome, by=keys, margins=()),
        outcome=outcome,
        by=keys,
        per=per,
        margins=(),
        interval="member_clustered",
        notes=(
            *missing_notes(outcome, counter),
            "Exposed: ever exposed in the window, months before exposure included.",
        ),
        numerator_name=f"{outcome}_of_design_members",
        denominator_name="member_months_of_design_members",
    )


def _design_parts(design: Design, *, outcome: str, by: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Member-months of the design with the groups and `since_eligibility` of each member."""
    if design.kind == "matched":
        raise DesignError(
            "a matched design holds some members in several sets, so its rates count them more "
            "than once.\n  Take rates from design_exposure(...), and levels of a matched design "
            "from balance(design)."
        )
    side = design.members["cohort"].notna().map(SIDE)
    members = design.members.assign(side=side)
    if isinstance(design.panel, GroupedMonths):
        for name in (each for each in by if each in design.panel.groups and each not in members):
            members[name] = design.panel.groups_of(name, members["member_id"])
    members = members.set_index("member_id")
    check_columns(members, by)
    groups = as_groups(members[list(by)], by)
    eligible = month_numbers(members["eligibility_month"])
    parts = member_month_parts(
        design.panel,
        [outcome],
        first=design.months[0],
        last=design.months[-1],
        member_ids=members.index,
    )
    for part in parts:
        row = members.index.get_indexer(part["member_id"])
        chosen = groups.iloc[row].reset_index(drop=True)
        since = part["month_number"].to_numpy() - eligible[row]
        yield pd.concat([part.reset_index(drop=True), chosen], axis=1).assign(
            since_eligibility=since
        )


def _with_quarter(part: pd.DataFrame) -> pd.DataFrame:
    """Calendar quarter of each row, such as "2022Q1"."""
    number = part["month_number"].to_numpy()
    quarters = np.unique(number // 3)
    names = {q: f"{1970 + q // 4}Q{q % 4 + 1}" for q in quarters}
    return part.assign(quarter=pd.Series(number // 3).map(names).to_numpy())
