"""Counts and shares: members, funnels, closure, delivery, coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.delivery import PANELS as DELIVERY_PANELS
from calaim_eval.report.labels import (
    ACCESS_STAGES,
    ORGANIZATION_TYPES,
    OUTCOMES,
    REFERRAL_STEPS,
    ordered,
    race_label,
    race_order,
    service_label,
    service_order,
)
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    decimals_for,
    interval,
    number,
    percent,
    unbroken,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import count_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out, outcome_headings
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released
    from calaim_eval.disclosure.released import ReleasedTable

_GROUP = "Race and ethnicity"
_TYPE = "Type of organization"
_FURTHER_COVERAGE = {
    "coverage_summary_two_or_more": "2 or more",
    "contracted_but_idle": "Idle organizations",
}


def members_table(released: Released) -> DisplayTable | Absent:
    """Members in the panel by race and ethnicity.

    Parameters
    ----------
    released : Released
        Uses `members_by_group`.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "members_by_group")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity",))
    frame = found.frame.set_index("race_ethnicity")
    rows = [
        {
            _GROUP: race_label(group),
            "Members": count_cell(frame.loc[group]),
            "Share": _share(frame.loc[group]),
        }
        for group in ordered(frame.index, order=race_order())
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption="Members in the study by race and ethnicity, as recorded.",
        row_name=_GROUP,
        n_suppressed=_n_suppressed(found),
    )


def access_table(released: Released) -> DisplayTable | Absent:
    """Members identified, reached, served, and served by a community-based organization.

    Parameters
    ----------
    released : Released
        Uses `access_funnel`.

    Returns
    -------
    DisplayTable | Absent
    """
    return _funnel_table(
        find_item(released, "access_funnel"),
        key="stage",
        labels=ACCESS_STAGES,
        caption=(
            "From identified to served, by race and ethnicity: members, and their share of the "
            "members identified in the group."
        ),
    )


def referral_table(released: Released) -> DisplayTable | Absent:
    """Referrals that got to each step.

    Parameters
    ----------
    released : Released
        Uses `referral_funnel`.

    Returns
    -------
    DisplayTable | Absent
    """
    return _funnel_table(
        find_item(released, "referral_funnel"),
        key="step",
        labels=REFERRAL_STEPS,
        caption=(
            "Referrals step by step, by race and ethnicity of the member: referrals, and their "
            "share of the referrals made in the group."
        ),
    )


def closure_table(released: Released) -> DisplayTable | Absent:
    """Matured referrals closed with services received, by race and ethnicity.

    Parameters
    ----------
    released : Released
        Uses `referral_closure`.

    Returns
    -------
    DisplayTable | Absent
    """
    return _closure(
        find_item(released, "referral_closure"),
        key="race_ethnicity",
        heading=_GROUP,
        label=lambda code: "All referrals" if code == ALL else race_label(code),
        order=race_order(),
    )


def closure_by_service_table(released: Released) -> DisplayTable | Absent:
    """Matured referrals closed with services received, by service.

    Parameters
    ----------
    released : Released
        Uses `referral_closure_by_service`.

    Returns
    -------
    DisplayTable | Absent
    """
    return _closure(
        find_item(released, "referral_closure_by_service"),
        key="service",
        heading="Service",
        label=service_label,
        order=service_order(),
    )


def delivery_table(released: Released) -> DisplayTable | Absent:
    """Organizations, contracts and members served by type of organization, side by side.

    Parameters
    ----------
    released : Released
        Uses `delivery_organizations`, `delivery_contracts`, `delivery_members`.

    Returns
    -------
    DisplayTable | Absent
        Absent only where none of the three is released.
    """
    columns: dict[str, pd.DataFrame] = {}
    for name, panel in DELIVERY_PANELS.items():
        found = find_item(released, name)
        if not isinstance(found, Absent):
            need_columns(found, ("organization_type",))
            columns[panel] = found.frame.set_index("organization_type")
    if not columns:
        return Absent("delivery_organizations")
    codes = [code for frame in columns.values() for code in frame.index]
    rows = []
    for code in ordered(codes, order=(*ORGANIZATION_TYPES, ALL)):
        row = {_TYPE: ORGANIZATION_TYPES.get(code, code)}
        for panel, frame in columns.items():
            cell = frame.loc[code] if code in frame.index else None
            row[panel] = UNDEFINED_MARK if cell is None else count_cell(cell)
            row[f"{panel}, share"] = UNDEFINED_MARK if cell is None else _share_interval(cell)
        rows.append(row)
    labels = dict.fromkeys(columns, "Number") | {
        f"{panel}, share": "Share (95% interval)" for panel in columns
    }
    return lay_out(
        pd.DataFrame(rows),
        caption="Organizations, contracts and members served, by type of organization.",
        row_name=_TYPE,
        spanners={panel: [panel, f"{panel}, share"] for panel in columns},
        labels=labels,
        notes=(
            "A member served by organizations of two types counts in both, so shares of members "
            "may add to more than 100%.",
        ),
        n_suppressed=sum(int(f["is_suppressed"].sum()) for f in columns.values()),
    )


def coverage_table(released: Released) -> DisplayTable | Absent:
    """Counties with at least one active organization, by service.

    Parameters
    ----------
    released : Released
        Uses `coverage_summary`.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "coverage_summary")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("service",))
    frame = found.frame.set_index("service")
    rows = []
    for code in ordered(frame.index, order=service_order()):
        row = {
            "Service": service_label(code),
            "1 or more": count_cell(frame.loc[code]),
            "Share of counties": _share(frame.loc[code]),
        }
        for name, heading in _FURTHER_COVERAGE.items():
            more = find_item(released, name)
            if not isinstance(more, Absent):
                cells = more.frame.set_index("service")
                row[heading] = _count_of(cells.loc[code]) if code in cells.index else UNDEFINED_MARK
        rows.append(row)
    table = pd.DataFrame(rows)
    counties = [c for c in ("1 or more", "Share of counties", "2 or more") if c in table]
    return lay_out(
        table,
        caption=(
            "Counties with active organizations, by service. Active: served at least one member "
            "in the quarter. Idle: contracted, and served nobody in the quarter."
        ),
        row_name="Service",
        spanners={"Counties with active organizations": counties},
        n_suppressed=_n_suppressed(found),
    )


def baseline_table(released: Released) -> DisplayTable | Absent:
    """Utilization before eligibility by race and ethnicity: the level any gap starts from.

    Parameters
    ----------
    released : Released
        Uses `baseline_utilization`.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "baseline_utilization")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("outcome", "race_ethnicity"))
    frame = found.frame
    outcomes = ordered(frame["outcome"], order=tuple(OUTCOMES))
    headings, per = outcome_headings(frame, found)
    rows = []
    for group in ordered(frame["race_ethnicity"], order=race_order()):
        row = {_GROUP: race_label(group)}
        for outcome in outcomes:
            mine = frame[frame["outcome"] == outcome].set_index("race_ethnicity")
            decimals = decimals_for(mine["rate"])
            cell = mine.loc[group] if group in mine.index else None
            text = UNDEFINED_MARK if cell is None else _rate(cell, decimals=decimals)
            row[headings[outcome]] = text
        rows.append(row)
    is_before = "before" in str(found.meta.get("denominator_name", "before"))
    when = "before eligibility" if is_before else "in all covered months"
    return lay_out(
        pd.DataFrame(rows),
        caption=f"Use of care {when}{per}, by race and ethnicity.",
        row_name=_GROUP,
        n_suppressed=_n_suppressed(found),
    )


def _funnel_table(
    found: ReleasedTable | Absent, *, key: str, labels: dict[str, str], caption: str
) -> DisplayTable | Absent:
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", key))
    frame = found.frame
    stages = ordered(frame[key], order=tuple(labels))
    rows = []
    for group in ordered(frame["race_ethnicity"], order=race_order()):
        mine = frame[frame["race_ethnicity"] == group].set_index(key)
        row = {_GROUP: "All" if group == ALL else race_label(group)}
        for position, stage in enumerate(stages):
            cell = mine.loc[stage] if stage in mine.index else None
            row[labels.get(stage, stage)] = (
                UNDEFINED_MARK
                if cell is None
                else count_cell(cell)
                if position == 0
                else _count_and_share(cell)
            )
        rows.append(row)
    return lay_out(
        pd.DataFrame(rows), caption=caption, row_name=_GROUP, n_suppressed=_n_suppressed(found)
    )


def _closure(
    found: ReleasedTable | Absent,
    *,
    key: str,
    heading: str,
    label: object,
    order: tuple[str, ...],
) -> DisplayTable | Absent:
    if isinstance(found, Absent):
        return found
    need_columns(found, (key,))
    frame = found.frame.set_index(key)
    rows = [
        {
            heading: label(code),  # type: ignore[operator]
            "Matured referrals": count_cell(frame.loc[code], column="denominator"),
            "Closed with services received": count_cell(frame.loc[code]),
            "Share": _share(frame.loc[code]),
            "95% interval": _share_bounds(frame.loc[code]),
        }
        for code in ordered(frame.index, order=order)
    ]
    words = "by race and ethnicity of the member" if key == "race_ethnicity" else "by service"
    return lay_out(
        pd.DataFrame(rows),
        caption=f"Referral loops closed, {words}, among referrals old enough to be judged.",
        row_name=heading,
        n_suppressed=_n_suppressed(found),
    )


def _n_suppressed(found: ReleasedTable) -> int:
    return int(found.frame["is_suppressed"].sum())


def _count_of(row: pd.Series) -> str:
    """``27 of 58``."""
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    return unbroken(f"{number(row['numerator'])} of {number(row['denominator'])}")


def _share(row: pd.Series) -> str:
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    return percent(_fraction(row), decimals=1)


def _share_bounds(row: pd.Series) -> str:
    """Interval of a share in percent, whatever `per` the table was made with."""
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    scale = _fraction(row) / row["rate"] if row["rate"] else 1.0
    bounds = interval(
        100 * scale * row["conf_low"], 100 * scale * row["conf_high"], decimals=1, is_signed=False
    )
    return bounds if bounds == UNDEFINED_MARK else unbroken(f"{bounds}%")


def _share_interval(row: pd.Series) -> str:
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    return f"{_share(row)} ({_share_bounds(row)})"


def _count_and_share(row: pd.Series) -> str:
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    return unbroken(f"{number(row['numerator'])} ({percent(_fraction(row))})")


def _rate(row: pd.Series, *, decimals: int) -> str:
    return SUPPRESSED_MARK if row["is_suppressed"] else number(row["rate"], decimals=decimals)


def _fraction(row: pd.Series) -> float:
    denominator = row["denominator"]
    return float(row["numerator"] / denominator) if denominator > 0 else float("nan")
