"""Members who are not covered in every month: the choice, and what each choice loses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from calaim_eval.errors import DesignError

Unbalanced = Literal["cell_means", "balanced_members"]
COVERAGE = "coverage"
"""Key of the provenance that counts members and member-months."""

NOT_THROUGHOUT = "of members not covered in every month"


def coverage_counts(covered: np.ndarray) -> dict[str, int]:
    """Members, those covered in every month, and member-months; `covered` is (n_members, T)."""
    return {
        "members": len(covered),
        "members_throughout": int(covered.all(axis=1).sum()),
        "member_months": int(np.count_nonzero(covered)),
    }


def require_choice(
    provenance: Mapping[str, Any], *, n_months: int, unbalanced: Unbalanced | None
) -> None:
    """Refuse a panel with gaps when nobody said what to do about them.

    Raises
    ------
    DesignError
        Says what each choice would lose.
    """
    counts = provenance[COVERAGE]
    if unbalanced is not None or counts["members"] == counts["members_throughout"]:
        return
    kept = counts["members_throughout"] * n_months
    raise DesignError(
        f"the panel is unbalanced: {_share(counts['members_throughout'], counts['members'])} of "
        f"the members are covered in all {n_months:,} months. Packages silently disagree about "
        "such panels, so choose:\n"
        '  unbalanced="cell_means" uses every covered member-month; who is covered may change '
        "from month to month, and the estimand is about whoever is.\n"
        '  unbalanced="balanced_members" uses members covered in every month, and loses '
        f"{_share(counts['member_months'] - kept, counts['member_months'])} of the member-months."
    )


def require_known(unbalanced: str | None) -> None:
    """Refuse a choice there is not.

    Raises
    ------
    DesignError
        Lists the choices.
    """
    if unbalanced is not None and unbalanced not in get_args(Unbalanced):
        listed = " or ".join(f"{choice!r}" for choice in get_args(Unbalanced))
        raise DesignError(f"unbalanced: {unbalanced!r} is not {listed}.")


def coverage_notes(
    provenance: Mapping[str, Any], *, n_months: int, unbalanced: Unbalanced | None
) -> list[str]:
    """What the choice lost, for every result that follows; nothing for a balanced panel."""
    counts = provenance[COVERAGE]
    if counts["members"] == counts["members_throughout"]:
        return []
    gone = counts["member_months"] - counts["members_throughout"] * n_months
    if unbalanced == "balanced_members":
        return [
            f"Only members covered in all {n_months:,} months: "
            f"{_share(counts['members_throughout'], counts['members'])} of the members; "
            f"{_share(gone, counts['member_months'])} of the member-months are left out."
        ]
    missing = counts["members"] * n_months - counts["member_months"]
    return [
        "Means are of the members covered in each month: "
        f"{_share(missing, counts['members'] * n_months)} of the members' months are not covered. "
        "Members covered throughout would be "
        f"{_share(counts['members_throughout'], counts['members'])} of the members."
    ]


def _share(part: int, whole: int) -> str:
    """A share to the nearest tenth, so that no small count follows from it."""
    share = part / whole if whole else 0.0
    if share < 0.1:
        return "less than 10%"
    if share > 0.9:
        return "more than 90%"
    return f"about {round(share, 1):.0%}"
