"""Tables of the partner survey, of plans' requirements and of the asset map."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import (
    ORGANIZATION_TYPES,
    leadership_label,
    race_label,
    readable,
    service_label,
)
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    interval,
    number,
    percent,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_STATISTICS = {
    "alpha": "Alpha",
    "omega": "Omega",
    "mean_correlation": "Mean correlation of items",
    "icc_1": "ICC(1)",
    "icc_2": "ICC(2)",
    "mean_r_wg_j": "Mean agreement r_wg(j)",
}


def reliability_table(released: Released) -> DisplayTable | Absent:
    """Reliability of each survey scale, and whether it may stand for organizations.

    Parameters
    ----------
    released : Released
        Uses `survey_reliability`, and `survey_aggregation` where it is there.

    Returns
    -------
    DisplayTable | Absent
        One row a scale.
    """
    found = find_item(released, "survey_reliability")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("scale", "statistic"))
    frame = found.frame
    other = find_item(released, "survey_aggregation")
    if not isinstance(other, Absent):
        frame = pd.concat([frame, other.frame], ignore_index=True)
    rows = []
    for scale, part in frame.groupby("scale", sort=False):
        cells = part.drop_duplicates("statistic").set_index("statistic")
        row = {"Scale": readable(str(scale))}
        row |= {label: _statistic(cells, name) for name, label in _STATISTICS.items()}
        row["Averages by organization"] = _supported(cells)
        rows.append(row)
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "How reliable the survey's scales are, with 95% intervals that respect that "
            "colleagues answer alike."
        ),
        row_name="Scale",
        left=("Averages by organization",),
        notes=(
            "ICC(1): how alike two colleagues are; ICC(2): how reliable the mean of an "
            "organization is; r_wg(j): agreement inside organizations.",
        ),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _statistic(cells: pd.DataFrame, name: str) -> str:
    if name not in cells.index:
        return UNDEFINED_MARK
    row = cells.loc[name]
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    value = number(row["estimate"], decimals=2)
    if pd.isna(row["conf_low"]):
        return value
    return f"{value} ({interval(row['conf_low'], row['conf_high'], decimals=2, is_signed=False)})"


def _supported(cells: pd.DataFrame) -> str:
    if "aggregation_supported" not in cells.index:
        return UNDEFINED_MARK
    row = cells.loc["aggregation_supported"]
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    return "supported" if row["estimate"] > 0 else "not supported"


def agreement_table(released: Released) -> DisplayTable | Absent:
    """Share of respondents who agree with each item, by role.

    Parameters
    ----------
    released : Released
        Uses `survey_agreement` (keys `item`, `respondent_role`).

    Returns
    -------
    DisplayTable | Absent
        One row an item, one column a role in which somebody answered.
    """
    found = find_item(released, "survey_agreement")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("item", "respondent_role"))
    frame = found.frame
    answered = frame["is_suppressed"] | (frame["denominator"] > 0)
    roles = list(dict.fromkeys(frame.loc[answered, "respondent_role"]))
    cells = frame.set_index(["item", "respondent_role"])
    rows = []
    for item in dict.fromkeys(frame["item"]):
        row = {"Item": readable(str(item)), "Answers": _cell(cells.loc[(item, ALL)], "denominator")}
        row |= {
            "All" if r == ALL else readable(str(r)): _share(cells.loc[(item, r)]) for r in roles
        }
        rows.append(row)
    least = found.meta.get("options", {}).get("agree_from", "")
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            f"Respondents who agree (answers of {least} or more), by role, with 95% intervals that "
            "respect that colleagues answer alike."
        ),
        row_name="Item",
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _share(cell: pd.Series) -> str:
    text = _cell(cell)
    if text in (SUPPRESSED_MARK, UNDEFINED_MARK) or pd.isna(cell["conf_low"]):
        return text
    ends = (100 * cell["conf_low"], 100 * cell["conf_high"])
    return f"{text} ({interval(*ends, decimals=0, is_signed=False)})"


def layouts_table(released: Released) -> DisplayTable | Absent:
    """Layouts and further versions of requirements an organization works under.

    Parameters
    ----------
    released : Released
        Uses `distinct_layouts`, `distinct_layouts_by_leadership` and `requirement_burden`.

    Returns
    -------
    DisplayTable | Absent
        One row a group of organizations.
    """
    found = find_item(released, "distinct_layouts")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("organization_type",))
    burden = find_item(released, "requirement_burden")
    versions = {} if isinstance(burden, Absent) else _versions(burden.frame)
    rows = [
        {
            "Group": "All organizations" if t == ALL else ORGANIZATION_TYPES.get(t, readable(t)),
            **_layouts(row),
            "Further versions of a requirement": versions.get(t, UNDEFINED_MARK),
        }
        for t, row in _rows_of(found.frame, "organization_type")
    ]
    led = find_item(released, "distinct_layouts_by_leadership")
    if not isinstance(led, Absent):
        rows += [
            {
                "Group": leadership_label(value),
                **_layouts(row),
                "Further versions of a requirement": UNDEFINED_MARK,
            }
            for value, row in _rows_of(led.frame, "leadership")
            if value != ALL
        ]
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Distinct sets of plan requirements an organization under contract works under, by "
            "type and by leadership of the organization."
        ),
        row_name="Group",
        notes=(
            "Further versions: settings of one requirement beyond the first, added over "
            "requirements, per organization.",
        ),
    )


def _rows_of(frame: pd.DataFrame, column: str) -> list[tuple[str, pd.Series]]:
    """Groups with an organization, by name."""
    kept = frame[frame["denominator"] > 0]
    return [(str(row[column]), row) for _, row in kept.iterrows()]


def _layouts(row: pd.Series) -> dict[str, str]:
    return {
        "Organizations": number(row["denominator"]),
        "Layouts per organization": number(row["numerator"] / row["denominator"], decimals=1),
    }


def _versions(frame: pd.DataFrame) -> dict[str, str]:
    """Further versions per organization, by type, all requirements together."""
    rows = frame[(frame["requirement"] == ALL) & (frame["denominator"] > 0)]
    return {
        str(row["organization_type"]): number(row["numerator"] / row["denominator"], decimals=1)
        for _, row in rows.iterrows()
    }


_LEVELS = {
    "0": "Nothing",
    "1": "Fax, email, phone",
    "2": "Files by hand",
    "3": "Files on a schedule",
    "4": "Systems read and write",
    "not_recorded": "Not recorded",
}


def data_sharing_table(released: Released) -> DisplayTable | Absent:
    """Share of members served by how their plan and organization share data.

    Parameters
    ----------
    released : Released
        Uses `data_sharing_level` (by race and ethnicity) and `data_sharing_by_leadership`.

    Returns
    -------
    DisplayTable | Absent
        One row a group, one column a level.
    """
    found = find_item(released, "data_sharing_level")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("data_sharing_level",))
    rows = _levels(found.frame, "race_ethnicity", race_label, "Members")
    n_suppressed = int(found.frame["is_suppressed"].sum())
    led = find_item(released, "data_sharing_by_leadership")
    if not isinstance(led, Absent):
        groups = led.frame[led.frame["leadership"] != ALL]
        rows += _levels(groups, "leadership", leadership_label, "Organization that served them")
        n_suppressed += int(groups["is_suppressed"].sum())
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Members served by how their plan and the organization that served them share data; "
            "of several ways the closest. A member served by two organizations counts with both "
            "leaderships."
        ),
        row_name="Group",
        row_group="By",
        n_suppressed=n_suppressed,
    )


def _levels(
    frame: pd.DataFrame, column: str, label: Callable[[str], str], heading: str
) -> list[dict[str, str]]:
    """One row a group in which a member was served, one cell a level."""
    rows = []
    for group, part in frame.groupby(column, sort=False):
        cells = part.set_index("data_sharing_level")
        if not cells["is_suppressed"].any() and not (cells["denominator"] > 0).any():
            continue
        row = {"Group": label(str(group)), "By": heading}
        row["Members served"] = _cell(cells.loc[ALL], "numerator")
        row |= {words: _cell(cells.loc[level]) for level, words in _LEVELS.items()}
        rows.append(row)
    return rows


def _cell(cell: pd.Series, column: str = "") -> str:
    if cell["is_suppressed"]:
        return SUPPRESSED_MARK
    if column:
        return number(cell[column])
    if not cell["denominator"] > 0:
        return UNDEFINED_MARK
    return percent(cell["numerator"] / cell["denominator"])


def capacity_table(released: Released) -> DisplayTable | Absent:
    """Places stated and members served, by service.

    Parameters
    ----------
    released : Released
        Uses `capacity_use` (keys `service`, `capacity`).

    Returns
    -------
    DisplayTable | Absent
        One row a service in which places are stated or a member was served.
    """
    found = find_item(released, "capacity_use")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("service", "capacity"))
    rows = []
    for service, part in found.frame.groupby("service", sort=False):
        cells = part.set_index("capacity")
        stated = cells.loc["stated"]
        rows.append(
            {
                "Service": service_label(str(service)),
                "Places stated": _cell(stated, "denominator"),
                "Members served there": _cell(stated, "numerator"),
                "Per 100 places": _per_100(stated),
                "Members served elsewhere": _cell(cells.loc["not_stated"], "numerator"),
            }
        )
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Places organizations state, and members served in the quarter where places are "
            "stated and elsewhere. A member may receive several services."
        ),
        row_name="Service",
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def _per_100(cell: pd.Series) -> str:
    if cell["is_suppressed"]:
        return SUPPRESSED_MARK
    if not cell["denominator"] > 0:
        return UNDEFINED_MARK
    return number(100 * cell["numerator"] / cell["denominator"], decimals=1)


def asset_map_table(released: Released) -> DisplayTable | Absent:
    """Counties in which a service became available, stayed, or was lost within the year.

    Parameters
    ----------
    released : Released
        Uses `asset_map_coverage` (keys `service`, `change`).

    Returns
    -------
    DisplayTable | Absent
        One row a service.
    """
    found = find_item(released, "asset_map_coverage")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("service", "change"))
    wide = found.frame.pivot_table(index="service", columns="change", values="numerator")
    options = found.meta.get("options", {})
    dates = f" between {options['from']} and {options['to']}" if "from" in options else ""
    rows = [
        {
            "Service": service_label(str(service)),
            **{
                heading: number(cells.get(change, 0.0))
                for change, heading in (
                    ("appeared", "Became available"),
                    ("stayed", "Stayed"),
                    ("left", "Lost"),
                )
            },
        }
        for service, cells in wide.iterrows()
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Counties in which an organization is under contract for the service: change of the "
            f"asset map{dates}."
        ),
        row_name="Service",
    )
