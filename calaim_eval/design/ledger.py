"""Every member of the panel, once: kept, or set aside for a counted reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.design import KEPT_COMPARISON, KEPT_EXPOSED

FEW = 11


def first_reason(rules: Sequence[tuple[str, np.ndarray]], n_rows: int) -> np.ndarray:
    """The first rule each row breaks, ``""`` where it breaks none; shape (n_rows,)."""
    reason = np.full(n_rows, "", dtype=object)
    for name, is_broken in rules:
        reason[(reason == "") & is_broken] = name
    return reason


def member_ledger(reason: np.ndarray, is_exposed: np.ndarray, order: Sequence[str]) -> pd.DataFrame:
    """Count members by reason, in the order the rules apply; the kept come last.

    Parameters
    ----------
    reason : array of str
        Why each member is set aside; ``""`` when kept.
    is_exposed : array of bool
        Whether each member is exposed in the window.
    order : sequence of str
        All reasons the design can give, in order; a reason that nobody met shows 0.
    """
    counts = pd.Series(reason).value_counts()
    kept = reason == ""
    rows = [(name, int(counts.get(name, 0)), False) for name in order]
    rows += [
        (KEPT_EXPOSED, int((kept & is_exposed).sum()), True),
        (KEPT_COMPARISON, int((kept & ~is_exposed).sum()), True),
    ]
    return pd.DataFrame(rows, columns=["reason", "n_members", "is_kept"])


def count_words(count: int) -> str:
    """A count of members for a note: 1 to 10 are "fewer than 11", the rest to the nearest ten.

    Rounded, so that no small count follows from a note minus a table or another note.
    """
    if not count:
        return "0"
    return f"fewer than {FEW}" if count < FEW else f"about {10 * round(count / 10):,}"


def part_words(part: int, whole: int, noun: str) -> str:
    """Some of all in an error message, neither side ever a number from 1 to 10.

    "120 of 400 rows", "fewer than 11 of 400 rows", "all but fewer than 11 of 400 rows".
    """
    if whole < FEW:
        return f"some or all of fewer than {FEW} {noun}"
    if 0 < part < FEW:
        return f"fewer than {FEW} of {whole:,} {noun}"
    if 0 < whole - part < FEW:
        return f"all but fewer than {FEW} of {whole:,} {noun}"
    return f"{part:,} of {whole:,} {noun}"


def largest_reasons(ledger: pd.DataFrame, n_reasons: int = 3) -> str:
    """The reasons that set most members aside, with their counts, for an error message."""
    aside = ledger[~ledger["is_kept"] & (ledger["n_members"] > 0)]
    top = aside.sort_values("n_members", ascending=False).head(n_reasons)
    return "; ".join(
        f"{reason} ({count_words(n)})"
        for reason, n in zip(top["reason"], top["n_members"], strict=True)
    )
