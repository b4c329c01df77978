"""The referral network in tables: with and without the coordinator, its brokers, its groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import ORGANIZATION_TYPES, ordered, race_label, race_order, readable
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK, number, percent, unbroken
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import count_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from collections.abc import Callable

    from calaim_eval.disclosure import Released

_MEASURES = {
    "components": "Pieces the network is in",
    "largest_component": "Organizations in the largest piece",
    "isolates": "Organizations without a tie",
    "others_connected": "Pairs of other organizations joined",
    "connectedness": "All pairs joined",
    "reachability": "Pairs a referral can pass between",
    "density": "Possible ties that are there",
    "efficiency": "Ties that are not spare",
    "betweenness_centralization": "Hangs on one organization (0 to 1)",
}
_NUMBERS = ("components", "largest_component", "isolates")
_BROKERS_SHOWN = 10


def network_table(released: Released) -> DisplayTable | Absent:
    """The whole referral network as it is, and without the coordinator.

    Parameters
    ----------
    released : Released
        Uses `referral_network`.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "referral_network")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("network", "measure", "taken_out"))
    frame = found.frame
    without = frame[frame["network"] == "without_coordinator"]
    center = str(without["taken_out"].iloc[0])
    cells = frame.set_index(["network", "measure"])
    networks = {"As it is": "with_coordinator", f"Without {center}": "without_coordinator"}
    rows = [
        {
            "The network": words,
            **{head: _cell(cells.loc[(name, measure)], measure) for head, name in networks.items()},
        }
        for measure, words in _MEASURES.items()
        if ("with_coordinator", measure) in cells.index
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption=f"The referral network as it is, and what is left without {center}.",
        row_name="The network",
        notes=("What is left is not a forecast: partners may find other ways.",),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def brokers_table(released: Released) -> DisplayTable | Absent:
    """Organizations that most shortest paths go through, and whom they join.

    Parameters
    ----------
    released : Released
        Uses `referral_network_organizations`.

    Returns
    -------
    DisplayTable | Absent
        The ten with the largest share of shortest paths.
    """
    found = find_item(released, "referral_network_organizations")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("organization", "organization_type", "measure"))
    frame = found.frame
    wide = frame.pivot_table(
        index=["organization", "organization_type"], columns="measure", values="numerator"
    ).reset_index()
    between = frame[frame["measure"] == "between"].set_index("organization")["rate"]
    wide["share"] = wide["organization"].map(between)
    top = wide[wide["share"] > 0].sort_values(["share", "organization"], ascending=[False, True])
    rows = [
        {
            "Organization": str(row["organization"]),
            "Type": _TYPES.get(str(row["organization_type"]), readable(row["organization_type"])),
            "Referred to by": number(row["referred_to_by"]),
            "Refers to": number(row["refers_to"]),
            "Shortest paths through it": percent(row["share"], decimals=1),
            "Joins two types": number(
                row["representative"] + row["gatekeeper"] + row["liaison"] + row["itinerant"]
            ),
            "Joins its own type": number(row["coordinator"]),
        }
        for _, row in top.head(_BROKERS_SHOWN).iterrows()
    ]
    if not rows:
        return Absent(found.name, "no organization lies between two others")
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Organizations between others: partners, share of shortest paths of others that go "
            "through, and pairs of partners without a tie of their own that they join."
        ),
        row_name="Organization",
        left=("Type",),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def networks_by_race_table(released: Released) -> DisplayTable | Absent:
    """How much of the referral network is open to members of each group.

    Parameters
    ----------
    released : Released
        Uses `referral_network_by_race`.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "referral_network_by_race")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", "measure"))
    cells = found.frame.set_index(["race_ethnicity", "measure"])
    groups = ordered(found.frame["race_ethnicity"], order=(*race_order(), ALL))
    rows = [
        {
            "Race and ethnicity of members": "All" if g == ALL else race_label(g),
            "Ties": count_cell(cells.loc[(g, "ties")]),
            "Organizations with a tie": count_cell(cells.loc[(g, "organizations")]),
            "Pairs of organizations joined": _share(cells.loc[(g, "connectedness")]),
        }
        for g in groups
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Referral networks of each group's members: ties with enough members of the group. A "
            "small group has few such ties for its size alone; compare groups of like size."
        ),
        row_name="Race and ethnicity of members",
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def survey_networks_table(released: Released) -> DisplayTable | Absent:
    """Networks that organizations report, with the range that unseen ties leave.

    Parameters
    ----------
    released : Released
        Uses `partner_network`.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "partner_network")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("tie_type", "rule", "measure", "value"))
    frame = found.frame
    rates = frame.set_index(["tie_type", "rule", "measure", "value"])["rate"]
    rows = []
    for kind in dict.fromkeys(frame["tie_type"]):
        for rule, words in _RULES.items():
            central = "in_degree_centralization" if rule == "reported" else "degree_centralization"
            rows.append(
                {
                    "Kind of tie": readable(kind),
                    "Ties counted": words,
                    "Answered": percent(rates[(kind, "reported", "response", "reported")]),
                    "Possible ties that are there": _range(rates, (kind, rule, "density"), percent),
                    "Hangs on one organization (0 to 1)": _range(
                        rates, (kind, rule, central), _index
                    ),
                }
            )
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Networks that organizations report, with the smallest and largest value that the "
            "ties of those who did not answer allow."
        ),
        row_name="Ties counted",
        row_group="Kind of tie",
        notes=(
            "Where fewer than 70% answered, only the range is given for how far a network hangs "
            "on one organization.",
        ),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _range(rates: pd.Series, key: tuple[str, str, str], written: Callable[[float], str]) -> str:
    """Value as reported, where given, with its smallest and largest in brackets."""
    low, high = (written(rates[(*key, name)]) for name in ("lowest", "highest"))
    span = unbroken(f"{low} to {high}")
    seen = (*key, "reported")
    return f"{written(rates[seen])} ({span})" if seen in rates.index else span


_RULES = {
    "reported": "As reported, with direction",
    "either": "Named by one end at least",
    "both": "Confirmed by both ends",
}
_TYPES = {**ORGANIZATION_TYPES, "cbo": "Community-based organization", "plan": "Health plan"}


def _cell(row: pd.Series, measure: str) -> str:
    """Number, share or index of one network."""
    if measure in _NUMBERS:
        return count_cell(row)
    if measure == "betweenness_centralization":
        return SUPPRESSED_MARK if row["is_suppressed"] else _index(row["rate"])
    return _share(row)


def _index(value: float) -> str:
    return UNDEFINED_MARK if pd.isna(value) else number(value, decimals=2)


def _share(row: pd.Series) -> str:
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    return UNDEFINED_MARK if pd.isna(row["rate"]) else percent(row["rate"], decimals=1)
