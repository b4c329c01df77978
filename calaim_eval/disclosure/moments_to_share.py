"""What of a plan's cell moments may go to another: cells are shared whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np

from calaim_eval.disclosure.policy import Policy, load_policy
from calaim_eval.errors import DisclosureError
from calaim_eval.moments import CellMoments
from calaim_eval.moments.cell_moments import recentred
from calaim_eval.moments.unbalanced import COVERAGE


def moments_to_share(moments: CellMoments, *, policy: Policy | str | Path) -> CellMoments:
    """Moments without the cells that tell of few members; for a partner under an agreement.

    A cell is kept when its members, and its members covered in each month, are 0 or at least
    ``policy.support_needed``. Sums by county are kept when that holds of every county of every kept
    cell. Events do not decide: leaving out cells for their events would bias every effect.

    What is left is fit for pooling, not for publication: events, and members covered in one month
    and not in another, can be few.

    Parameters
    ----------
    moments : CellMoments
    policy : Policy, str or path
        Policy, its name (`policy_names`) or its file. One that shows small counts rounded keeps
        back cells of fewer members than an estimate needs: moments are exact.

    Returns
    -------
    CellMoments
        Nothing in it was counted over the cells left out. Its notes say how much stayed behind;
        every estimate made with it carries them.

    Raises
    ------
    DisclosureError
        No cell may be shared, or the moments are of a matched design.

    Examples
    --------
    >>> import pandas as pd
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({"member_id": range(14), "month": 2024, "cohort": None,
    ...                       "group": ["a"] * 12 + ["b"] * 2, "visits": 1})
    >>> moments = reduce_panel(frame, outcomes="visits", stratum="group")
    >>> len(moments_to_share(moments, policy="calhhs_ddg_2"))
    1
    """
    rule = policy if isinstance(policy, Policy) else load_policy(policy)
    if moments.different is not None:
        raise DisclosureError(
            "these moments are of a matched design: a member in several sets is in them several "
            "times, so their counts do not say how few members they are of.\n  Share the moments "
            "of another design, or release the effects."
        )
    is_kept = ~_is_few(moments.n_members, rule) & ~_is_few(moments.at_risk, rule).any(axis=1)
    if not is_kept.any():
        raise DisclosureError(
            f"none of the {len(moments):,} cells has {rule.support_needed} members, and as many "
            "covered in each month.\n  Reduce with fewer strata, covariate cells or cohorts "
            "(`moments.pooled(...)`; in a study file `eligibility_cell` by quarter), or share the "
            "whole under an agreement that covers small groups."
        )
    shared = reduce(_centred_on_itself, moments.outcomes, moments.select(is_kept))
    clusters = shared.clusters
    if clusters is not None and (
        _is_few(clusters.n_members, rule).any() or _is_few(clusters.at_risk, rule).any()
    ):
        clusters = None
    provenance = {key: value for key, value in moments.provenance.items() if key != COVERAGE}
    provenance |= {
        "rows": {"used": int(np.ceil(shared.at_risk.sum()))},
        "notes": _notes(moments, shared, rule, is_without_clusters=clusters is None),
    }
    return replace(shared, clusters=clusters, provenance=provenance)


def _is_few(members: np.ndarray, rule: Policy) -> np.ndarray:
    """Members from 1 to one fewer than an estimate may rest on; moments cannot be rounded."""
    counts = np.asarray(members, dtype=float)
    return np.asarray((counts > 0) & (counts < rule.support_needed))


def _centred_on_itself(moments: CellMoments, outcome: str) -> CellMoments:
    """Moments whose amounts are centred by a mean of their own: another one tells of others."""
    of_outcome = moments.by_outcome[outcome]
    if of_outcome.shift == 0:
        return moments
    total = of_outcome.level_total(moments.at_risk).sum()
    return recentred(moments, outcome, float(total / moments.at_risk.sum()))


def _notes(
    moments: CellMoments, shared: CellMoments, rule: Policy, *, is_without_clusters: bool
) -> list[str]:
    """What stayed behind; shares in bands, because the exact one is a count."""
    notes = list(moments.provenance.get("notes", []))
    left = 1 - shared.n_members.sum() / moments.n_members.sum()
    if left > 0:
        bound = next((b for b in (0.01, 0.05, 0.1, 0.25, 0.5) if left <= b), None)
        share = "more than half" if bound is None else f"at most {bound:.0%}"
        notes.append(
            f"Cells with fewer than {rule.support_needed} members, or members covered in a month, "
            f"were not shared: {len(moments) - len(shared):,} of {len(moments):,} cells, {share} "
            "of the plan's members."
        )
    if moments.clusters is not None and is_without_clusters:
        notes.append(
            f"Sums by {moments.clusters.name} were not shared: some are of fewer than "
            f"{rule.support_needed} members. Errors are clustered by member."
        )
    return notes
