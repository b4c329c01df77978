"""A panel with groups that its files do not hold: other displays, age bands, populations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.panel.member_months import MemberMonths

UNKNOWN = "unknown"


@dataclass(frozen=True, repr=False)
class GroupedMonths(MemberMonths):
    """Member months whose groups are partly given beside the files.

    Attributes
    ----------
    groups : Mapping[str, pd.Series]
        Column to the group of each member, indexed by `member_id`. A column of the files with the
        same name is not read.
    absent : Mapping[str, str]
        Column to the group of members who are not in it.
    group_notes : Mapping[str, tuple[str, ...]]
        Column to what every output by it must say.
    age_bands : tuple[int, ...]
        First ages of the bands of `age_band` after the lowest; empty for the usual ones.
    files : MemberMonths | None
        The panel whose files these are; a temporary folder lives as long as it does.
    """

    groups: Mapping[str, pd.Series] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)
    group_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    age_bands: tuple[int, ...] = ()
    files: MemberMonths | None = None

    def groups_of(self, column: str, member_ids: pd.Series) -> np.ndarray:
        """Group of each member in a column given beside the files; shape of `member_ids`."""
        given = self.groups[column]
        at = given.index.get_indexer(pd.Index(member_ids.astype("str")))
        found = np.full(len(at), self.absent.get(column, UNKNOWN), dtype=object)
        found[at >= 0] = given.iloc[at[at >= 0]].to_numpy(dtype=object)
        return found.astype(str)

    def __repr__(self) -> str:
        """As of the panel, with the columns given beside its files; never rows."""
        columns = [*self.groups, *(["age_band"] if self.age_bands else [])]
        return f"{super().__repr__()}\n  groups beside the files: {', '.join(columns) or 'none'}"


def with_groups(
    panel: MemberMonths,
    column: str,
    groups: pd.Series,
    *,
    notes: Sequence[str] = (),
    absent: str = UNKNOWN,
) -> GroupedMonths:
    """The panel with a column of groups given beside its files; the files stay as they are.

    Parameters
    ----------
    panel : MemberMonths
    column : str
        Takes the place of the panel's own column of that name.
    groups : pd.Series
        Group of each member, indexed by `member_id`.
    notes : sequence of str
        What every output by this column must say.
    absent : str
        Group of the panel's members who are not in `groups`.

    Raises
    ------
    TableError
        A member is in `groups` twice.
    """
    repeats = int(groups.index.duplicated().sum())
    if repeats:
        raise TableError(
            f"groups of `{column}`: {repeats:,} of {len(groups):,} rows repeat a `member_id`.\n"
            "  Give each member one row."
        )
    own = as_grouped(panel)
    given = groups.astype("str").set_axis(groups.index.astype("str"))
    return replace(
        own,
        groups={**own.groups, column: given},
        absent={**own.absent, column: absent},
        group_notes={**own.group_notes, column: tuple(notes)},
    )


def as_grouped(panel: MemberMonths) -> GroupedMonths:
    """The panel as one that can hold groups beside its files."""
    if isinstance(panel, GroupedMonths):
        return panel
    own = {each.name: getattr(panel, each.name) for each in fields(MemberMonths)}
    return GroupedMonths(**own, files=panel)


def group_notes(panel: object, columns: Iterable[str]) -> tuple[str, ...]:
    """What an output by these columns must say, of the panel or of a frame it is made from."""
    if not isinstance(panel, GroupedMonths):
        return ()
    said = (note for column in columns for note in panel.group_notes.get(column, ()))
    return tuple(dict.fromkeys(said))
