"""How many members of the panel are of each population of focus; never how many in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.results import Method, RateTable
from calaim_eval.schema.codes import load_codes

if TYPE_CHECKING:
    from calaim_eval.panel.member_months import MemberMonths

ANY = "any"
"""Key of the row of members who are of one population or more, each counted once."""

Margin = Literal["none", "any"]
By = Literal["basis", "age_group"]
_COLUMNS = ["member_id", "population", "basis", "age_group"]


def members_by_population(
    panel: MemberMonths, *, by: By | None = None, margin: Margin = "none"
) -> RateTable:
    """Members of the panel by population of focus, as numbers and as shares of all members.

    Parameters
    ----------
    panel : MemberMonths
    by : {"basis", "age_group"}, optional
        Also by how the member is known to be of the population, or by age when first known.
    margin : {"none", "any"}
        ``"any"`` adds a row of the members who are of one population or more, each counted once.
        There is no row of all populations together.

    Returns
    -------
    RateTable
        Keys `population` (and `by`); numerator members with a month in the panel, denominator all
        members of the panel. No interval: everybody is counted. `margins` is empty: the rows
        overlap and add up to nothing.

    Raises
    ------
    TableError
        A total over the populations is asked for, or an option is none of those allowed.
    """
    _check_options(by, margin)
    told = _members(panel)
    keys = ["population", *([by] if by else [])]
    counts = told.assign(**{key: told[key].fillna("unknown") for key in keys})
    counts = counts.groupby(keys, as_index=False)["member_id"].nunique()
    counts = counts.rename(columns={"member_id": "n"}).sort_values(keys, ignore_index=True)
    if margin == "any":
        counts = pd.concat([counts, _any_row(told, keys)], ignore_index=True)
    n = counts["n"].to_numpy(dtype=float)
    unknown = np.full(len(n), np.nan)
    return RateTable(
        measure="Members by population of focus",
        keys=counts[keys],
        numerator=n,
        denominator=np.full(len(n), float(panel.n_members)),
        conf_low=unknown,
        conf_high=unknown,
        n_members=n,
        numerator_name="members_of_population_of_focus",
        denominator_name="all_members_in_panel",
        unit="share of members",
        kind="proportion",
        method=Method("Count of members", {"by": by, "margin": margin}),
        margins=(),
        denominator_keys=(),
        notes=_notes(),
    )


def _check_options(by: str | None, margin: str) -> None:
    """Raise for a total, and for options that are none."""
    if margin not in ("none", ANY):
        raise TableError(
            f"members_by_population: `margin` is '{margin}'. Populations of focus overlap: a "
            "member of two would be counted twice, so there is no total.\n"
            '  Use margin="any" for the members of one population or more, each counted once.'
        )
    if by not in (None, "basis", "age_group"):
        raise TableError(f"members_by_population: `by` is '{by}', not one of 'basis', 'age_group'.")


def _members(panel: MemberMonths) -> pd.DataFrame:
    """Members with a month in the panel, one row per population; one part after the other."""
    kept = []
    for part in sorted((panel.folder / "member_population").glob("part-*.parquet")):
        rows = pd.read_parquet(part, columns=_COLUMNS)
        months = pd.read_parquet(panel.folder / "member_month" / part.name, columns=["member_id"])
        kept.append(rows[rows["member_id"].isin(months["member_id"].unique())])
    return pd.concat(kept, ignore_index=True)


def _any_row(told: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Members of one population or more."""
    row = dict.fromkeys(keys, "all") | {"population": ANY}
    return pd.DataFrame([{**row, "n": told["member_id"].nunique()}])


def _notes() -> tuple[str, ...]:
    """What a reader must know."""
    listed = load_codes("population_evidence")
    unconfirmed = sorted(set(listed.loc[listed["confirmed"] == "no", "population"]))
    return (
        "Populations overlap: a member may be in several rows, and the rows are never added up.",
        "Claims show one criterion of a population, seldom its whole definition; see the code "
        "list `population_evidence`.",
        f"Codes or thresholds are unconfirmed for: {', '.join(unconfirmed)}.",
    )
