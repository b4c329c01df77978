"""Standardized rates of groups as results that may pass disclosure control."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.index_month import check_no_overlap
from calaim_eval.equity.groups import key_list
from calaim_eval.equity.member_month_blocks import Counter, blocks
from calaim_eval.equity.person_sums import person_sums
from calaim_eval.equity.standardize_members import (
    direct_standardized_rate_by_group,
    indirect_standardized_ratio_by_group,
)
from calaim_eval.panel import MemberMonths
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.estimand import RATES_OF
from calaim_eval.results.smallest_support import fewest_events

DOBSON = (
    "Dobson AJ, Kuulasmaa K, Eberle E, Scherer J (1991). Stat Med 10:457-462. "
    "doi:10.1002/sim.4780100317"
)
BRESLOW_DAY = "Breslow NE, Day NE (1987). Statistical methods in cancer research II, IARC, p. 65-72"


def standardized_rates(
    source: pd.DataFrame | MemberMonths,
    *,
    outcome: str,
    by: str = "race_ethnicity",
    band: str | Sequence[str] = ("age_band", "sex"),
    weights: pd.Series | None = None,
    months: tuple[str, str] | None = None,
    per: float = 1000.0,
    unit: str | None = None,
    numerator_name: str | None = None,
) -> EffectTable:
    r"""Directly standardized rate of each group, clustered by member, ready to be released.

    Parameters
    ----------
    source, outcome, band, months, per
        As in `direct_standardized_rate_by_group`.
    by : str
        Grouping column.
    weights : pd.Series, optional
        Standard population by band; default the member-months of all groups together, in which
        the rate of everybody is the crude one.
    unit : str, optional
        Default "<outcome> per <per> member-months".
    numerator_name : str, optional
        Name the crude rates count by, where it is not the outcome: disclosure control hides a
        standardized rate of a group whose crude rate it hides.

    Returns
    -------
    EffectTable
        Descriptive. Keys `by` and `component` ("standardized_rate"); no "all" row. Groups are
        independent. Support is that of the smallest band: members in it, events and members with
        one where there are any.

    Raises
    ------
    EstimationError
        A group has no member-month in a band of the standard. Use wider bands, or
        `standardized_ratios`.
    DesignError
        Groups of `by` overlap.

    Notes
    -----
    :math:`\sum_b w_b\, y_{gb}/r_{gb}` with variance clustered by member [1]_. Intervals here are
    normal; `direct_standardized_rate_by_group` has Dobson's and gamma intervals.

    References
    ----------
    .. [1] Dobson AJ, Kuulasmaa K, Eberle E, Scherer J (1991). Stat Med 10:457-462.
       doi:10.1002/sim.4780100317
    """
    check_no_overlap((by,))
    bands = key_list(band)
    cells = _cells(source, outcome=outcome, by=[by, *bands], months=months)
    if weights is None:
        weights = cells.groupby(bands if len(bands) > 1 else bands[0])["member_months"].sum()
    table = direct_standardized_rate_by_group(
        source, outcome=outcome, by=by, weights=weights, band=bands, months=months, per=per
    )
    smallest = cells[cells["member_months"] > 0].groupby(by).apply(_smallest, include_groups=False)
    return _table(
        table,
        table["rate"],
        table["std_error"],
        by=by,
        component="standardized_rate",
        support=smallest.loc[table[by]],
        estimand=Estimand(
            f"Standardized rate of {outcome}",
            f"rate had each group the {' and '.join(bands)} of the standard",
            unit or f"{outcome} per {per:,g} member-months",
            is_causal=False,
        ),
        method=Method(
            "Directly standardized rate, clustered by member",
            _options(outcome, bands, months, numerator_name),
            DOBSON,
        ),
    )


def standardized_ratios(
    source: pd.DataFrame | MemberMonths,
    *,
    outcome: str,
    by: str = "race_ethnicity",
    band: str | Sequence[str] = ("age_band", "sex"),
    standard: pd.DataFrame | None = None,
    months: tuple[str, str] | None = None,
    numerator_name: str | None = None,
) -> EffectTable:
    r"""Observed over expected events of each group, clustered by member, ready to be released.

    Use where groups are too small for rates of their own by band. Two groups' ratios are each
    comparable with the standard, not with each other.

    Parameters
    ----------
    source, outcome, by, band, months, numerator_name
        As in `standardized_rates`.
    standard : pd.DataFrame, optional
        `band`, `events`, `member_months`; default all groups together. Its rates are taken as
        known.

    Returns
    -------
    EffectTable
        Ratios: above 1, more events than at the standard's rates. Keys `by` and `component`
        ("observed_over_expected"). Support is that of the group: its members, and the fewer of
        its events and of its members with one.

    Raises
    ------
    EstimationError
        The standard lacks a band, or no event is expected in a group.
    DesignError
        Groups of `by` overlap.

    Notes
    -----
    :math:`\sum_b y_{gb} / \sum_b \lambda_b r_{gb}` [1]_; the variance of the events is that about
    the group's own ratio, clustered by member.

    References
    ----------
    .. [1] Breslow NE, Day NE (1987). Statistical methods in cancer research II, IARC, p. 65-72.
    """
    check_no_overlap((by,))
    bands = key_list(band)
    cells = _cells(source, outcome=outcome, by=[by, *bands], months=months)
    if standard is None:
        standard = cells.groupby(bands, as_index=False)[["events", "member_months"]].sum()
    table = indirect_standardized_ratio_by_group(
        source, outcome=outcome, by=by, standard=standard, band=bands, months=months
    )
    people = _cells(source, outcome=outcome, by=[by], months=months)
    return _table(
        table,
        table["ratio"],
        table["std_error"],
        by=by,
        component="observed_over_expected",
        support=people.groupby(by).apply(_smallest, include_groups=False).loc[table[by]],
        estimand=Estimand(
            f"Observed over expected {outcome}",
            f"events over those expected at the standard's rates by {' and '.join(bands)}",
            "ratio",
            scale="ratio",
            is_causal=False,
        ),
        method=Method(
            "Indirectly standardized ratio, clustered by member",
            _options(outcome, bands, months, numerator_name),
            BRESLOW_DAY,
        ),
    )


def _cells(
    source: pd.DataFrame | MemberMonths,
    *,
    outcome: str,
    by: list[str],
    months: tuple[str, str] | None,
) -> pd.DataFrame:
    """Events, member-months, members and members with an event by group and band."""
    parts = blocks(source, outcome=outcome, by=by, months=months, counter=Counter())
    return person_sums(parts, outcome=outcome, by=by, margins=())


def _smallest(cells: pd.DataFrame) -> pd.Series:
    """Support of the smallest cell of a group."""
    events = np.concatenate([cells["events"], cells["n_members"]]).astype(float)
    return pd.Series(
        {
            "n_members": float(cells["n_persons"].min()),
            "n_events": float(fewest_events(events)),
            "member_months": float(cells["member_months"].sum()),
        }
    )


def _options(
    outcome: str,
    bands: list[str],
    months: tuple[str, str] | None,
    numerator_name: str | None,
) -> dict[str, object]:
    """What was asked, and which crude rates it goes with."""
    return {
        "bands": tuple(bands),
        "months": months,
        "cluster": "member",
        RATES_OF: (numerator_name or outcome,),
    }


def _table(
    table: pd.DataFrame,
    estimate: pd.Series,
    std_error: pd.Series,
    *,
    by: str,
    component: str,
    support: pd.DataFrame,
    estimand: Estimand,
    method: Method,
) -> EffectTable:
    """Independent groups as a result; no standard error where a group has no event."""
    error = np.where(table["events"] > 0, std_error, np.nan).astype(float)
    off = np.where(np.isnan(error)[:, None] | np.isnan(error), np.nan, 0.0)
    notes = (
        "Standardized: another question than the crude rate, beside which it belongs. What the "
        "inequity works through is standardized away.",
    )
    return EffectTable(
        # `component`: disclosure control reads such rows as parts of what the crude rates hold.
        keys=table[[by]].assign(component=component),
        estimate=estimate.to_numpy(dtype=float),
        covariance=off + np.diag(np.nan_to_num(error) ** 2),
        support=support.reset_index(drop=True),
        estimand=estimand,
        method=method,
        notes=(*notes, *table.attrs.get("notes", ())),
    )
