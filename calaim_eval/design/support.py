"""Where exposed members have someone to be compared with, and where they have not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.design import Comparison, Design
from calaim_eval.errors import DesignError
from calaim_eval.results.share_words import share_words

NO_COMPARISON = "no comparison member became eligible in the same period"
NO_EXPOSED = "no exposed member became eligible in the same period"


def unsupported(cell: pd.Series, cohort: pd.Series, *, comparison: Comparison) -> np.ndarray:
    """Why a member's covariate cell identifies nothing; ``""`` where it identifies something.

    Parameters
    ----------
    cell : pd.Series
        Covariate cell of each member; shape (n,).
    cohort : pd.Series
        Month of first exposure; missing = never in the window; shape (n,).

    Returns
    -------
    np.ndarray
        `NO_EXPOSED`, `NO_COMPARISON` or ``""``; shape (n,).

    Notes
    -----
    With ``"never_exposed"`` a cell needs an exposed and a never-exposed member. With
    ``"not_yet_exposed"`` it needs two different cohorts: the later (or never) exposed stand for
    the earlier until their own exposure.
    """
    groups = pd.DataFrame({"cell": cell.to_numpy(), "cohort": cohort.to_numpy()}).groupby("cell")
    exposed_cohorts = groups["cohort"].transform("nunique").to_numpy()
    n_exposed = groups["cohort"].transform("count").to_numpy()
    has_never = groups["cohort"].transform("size").to_numpy() > n_exposed
    has_later = (exposed_cohorts > 1) & (comparison == "not_yet_exposed")
    reason = np.full(len(cell), "", dtype=object)
    reason[~(has_never | has_later)] = NO_COMPARISON
    reason[n_exposed == 0] = NO_EXPOSED
    return reason


def stratum_notes(
    members: pd.DataFrame, *, strata: Sequence[str], cell: str, comparison: Comparison
) -> tuple[str, ...]:
    """Note for each stratum in which exposed members have no counterpart of their own group."""
    is_exposed = members["cohort"].notna().to_numpy()
    notes = []
    for name in strata:
        group_cell = members.groupby([name, cell], sort=False).ngroup()
        reason = unsupported(group_cell, members["cohort"], comparison=comparison)
        alone = int((is_exposed & (reason == NO_COMPARISON)).sum())
        if alone:
            notes.append(
                f"Estimates by `{name}` leave out exposed members who have nobody of their own "
                f"group to compare with in the same period: "
                f"{share_words(alone, int(is_exposed.sum()))} of the exposed. A "
                "coarser `eligibility_cell` keeps more."
            )
    return tuple(notes)


def support_by(design: Design, *, by: Sequence[str] | str) -> pd.DataFrame:
    """Exposed and comparison members of each group, and how many exposed have no counterpart.

    Use before estimating by group: an exposed member without a comparison member of the same
    group in the same covariate cell does not enter the group's estimate.

    Parameters
    ----------
    design : Design
    by : str or sequence of str
        Columns of ``design.members``, such as ``"race_ethnicity"``.

    Returns
    -------
    pd.DataFrame
        `by`, `n_exposed`, `n_comparison` (never exposed in the window), `n_exposed_unmatched`
        (exposed members in cells of the group without comparison), `n_cells` (covariate cells of
        the group), `n_cells_unmatched`. Counts of members: not for release.

    Raises
    ------
    DesignError
        `by` is not among the columns of ``design.members``.
    """
    keys = [by] if isinstance(by, str) else list(by)
    missing = [k for k in keys if k not in design.members.columns]
    if missing:
        raise DesignError(
            f"`by` names {', '.join(f'`{k}`' for k in missing)}, not a column of the design's "
            "members. Name it in `strata` when you make the design."
        )
    members = design.members
    cells = [c for c in design.covariate_cells if c not in keys]
    cell = members.groupby([*keys, *cells], sort=False).ngroup()
    reason = unsupported(cell, members["cohort"], comparison=design.comparison)
    is_exposed = members["cohort"].notna()
    counts = members[keys].assign(
        n_exposed=is_exposed,
        n_comparison=~is_exposed,
        n_exposed_unmatched=is_exposed & (reason == NO_COMPARISON),
    )
    first_of_cell = ~cell.duplicated()
    counts = counts.assign(
        n_cells=first_of_cell, n_cells_unmatched=first_of_cell & (reason == NO_COMPARISON)
    )
    return counts.groupby(keys, as_index=False).sum()
