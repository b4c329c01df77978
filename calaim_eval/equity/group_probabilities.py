"""Probabilities of each member's group: given, checked, or made from surname and place (BISG)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.design.ledger import count_words
from calaim_eval.equity.groups import check_columns
from calaim_eval.errors import EstimationError
from calaim_eval.results import Method

Unmatched = Literal["refuse", "leave_out"]
BISG = (
    "Elliott MN, Morrison PA, Fremont A, McCaffrey DF, Pantoja P, Lurie N (2009). Health Serv "
    "Outcomes Res Method 9:69-83. doi:10.1007/s10742-009-0047-1"
)
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class GroupProbabilities:
    """Probability of each group for each member; member-level, never released.

    Attributes
    ----------
    values : pd.DataFrame
        Index member_id, one column a group, each from 0 to 1, rows that sum to 1; shape (n, G).
    method : Method
        Where they come from.
    notes : tuple[str, ...]
    """

    values: pd.DataFrame
    method: Method = field(default_factory=lambda: Method("Given probabilities of the group"))
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        matrix = self.values.to_numpy(dtype=float)
        n = len(matrix)
        outside = int((~((matrix >= 0) & (matrix <= 1))).any(axis=1).sum())
        off = int((~(np.abs(matrix.sum(axis=1) - 1) <= _TOLERANCE)).sum())
        repeats = int(self.values.index.duplicated().sum())
        if not n or outside or off or repeats:
            raise EstimationError(
                f"probabilities of the group: {n:,} members; {outside:,} with a value missing or "
                f"outside 0 to 1, {off:,} whose values do not sum to 1, {repeats:,} repeated.\n"
                "  Give one row per member and one column per group; scale counts to shares first."
            )

    def to_frame(self) -> pd.DataFrame:
        """By group: expected members, and members whose largest probability is above 0.8."""
        matrix = self.values.to_numpy(dtype=float)
        best = matrix.argmax(axis=1)
        sure = matrix.max(axis=1) > 0.8
        return pd.DataFrame(
            {
                "group": [str(c) for c in self.values.columns],
                "expected_members": matrix.sum(axis=0),
                "members_above_0.8": np.bincount(best[sure], minlength=matrix.shape[1]),
            }
        )

    def __repr__(self) -> str:
        n, g = self.values.shape
        return f"<GroupProbabilities: {n:,} members, {g} groups; {self.method.estimator}>"


def bisg_probabilities(
    members: pd.DataFrame,
    *,
    surname: str,
    geography: str,
    group_given_surname: pd.DataFrame,
    geography_given_group: pd.DataFrame,
    unmatched: Unmatched = "refuse",
) -> GroupProbabilities:
    r"""Probabilities of the group from surname and place of residence (BISG).

    Parameters
    ----------
    members : pd.DataFrame
        `member_id` and the columns `surname` and `geography`, written as in the tables.
    surname, geography : str
    group_given_surname : pd.DataFrame
        Index surnames, one column a group: share of the bearers of the name in each group.
    geography_given_group : pd.DataFrame
        Index places, the same columns: share of each group's people who live there.
    unmatched : {"refuse", "leave_out"}
        Members whose name or place is not in the tables, or who have no possible group. They are
        never given somebody else's probabilities: add a row "all other names" and write it into
        `members` if that is meant.

    Returns
    -------
    GroupProbabilities

    Raises
    ------
    EstimationError
        The tables differ in groups, repeat a row or hold values outside 0 to 1; members are not
        matched.

    Notes
    -----
    :math:`P(g \mid s, z) \propto P(g \mid s) P(z \mid g)`, which takes surname and place as
    independent within a group. A place without people of a group gives a probability of exactly
    0: smooth small places before. No tables are shipped.

    References
    ----------
    Elliott MN et al. (2009). doi:10.1007/s10742-009-0047-1

    Examples
    --------
    >>> names = pd.DataFrame({"black": [0.4], "white": [0.6]}, index=["SMITH"])
    >>> places = pd.DataFrame({"black": [0.003], "white": [0.001]}, index=["94601"])
    >>> members = pd.DataFrame({"member_id": [1], "name": ["SMITH"], "zip": ["94601"]})
    >>> found = bisg_probabilities(members, surname="name", geography="zip",
    ...     group_given_surname=names, geography_given_group=places)
    >>> found.values["black"].round(3).tolist()
    [0.667]
    """
    check_option("unmatched", unmatched, get_args(Unmatched))
    check_columns(members, ["member_id", surname, geography])
    _check_table(group_given_surname, "group_given_surname")
    _check_table(geography_given_group, "geography_given_group")
    groups = list(group_given_surname.columns)
    if set(groups) != set(geography_given_group.columns):
        raise EstimationError("the tables of surnames and of places differ in their groups.")
    by_name = group_given_surname.index.get_indexer(members[surname])
    by_place = geography_given_group.index.get_indexer(members[geography])
    product = (
        group_given_surname.to_numpy(dtype=float)[by_name]
        * geography_given_group[groups].to_numpy(dtype=float)[by_place]
    )
    total = product.sum(axis=1)
    known = (by_name >= 0) & (by_place >= 0) & (total > 0)
    n = int((~known).sum())
    if n and unmatched == "refuse":
        raise EstimationError(
            f"{n:,} of {len(members):,} members have no probabilities: surname not listed for "
            f"{int((by_name < 0).sum()):,}, place not listed for {int((by_place < 0).sum()):,}, "
            "the others without a possible group.\n  Clean names and places, or use "
            'unmatched="leave_out".'
        )
    ids = pd.Index(members["member_id"][known], name="member_id")
    values = pd.DataFrame(product[known] / total[known, None], index=ids, columns=groups)
    notes = (f"{count_words(n)} members without a match have no probabilities.",) if n else ()
    return GroupProbabilities(
        values, Method("BISG: surname and place", {"unmatched": unmatched}, BISG), notes
    )


def _check_table(table: pd.DataFrame, name: str) -> None:
    """Refuse repeated rows and values outside 0 to 1."""
    values = table.to_numpy(dtype=float)
    outside = int((~((values >= 0) & (values <= 1))).sum())
    repeats = int(table.index.duplicated().sum())
    if outside or repeats:
        raise EstimationError(
            f"`{name}`: {outside:,} values are missing or outside 0 to 1, {repeats:,} rows repeat."
        )
