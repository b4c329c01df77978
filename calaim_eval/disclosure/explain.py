"""What was hidden and why, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.disclosure.policy import Policy

if TYPE_CHECKING:
    from calaim_eval.disclosure.released import ReleaseContent, Released, TableContent


def explain(released: Released) -> str:
    """Summary of a release for people who did not make it.

    Parameters
    ----------
    released : Released

    Returns
    -------
    str
        A few sentences: tables, rows, rows hidden, and what the audit proved.
    """
    certificate = released.certificate
    hidden = {name: t.n_suppressed for name, t in released.tables.items() if t.n_suppressed}
    lines = [
        f"{_count(len(released.tables), 'table')} released"
        + (f" for {released.quarter}" if released.quarter else "")
        + f" under {released.policy}: {certificate['n_suppressed_rows']} of "
        f"{_count(certificate['n_rows'], 'row')} suppressed.",
        *(f"  {name}: {n} of {len(released.tables[name])} rows" for name, n in hidden.items()),
        _proof(certificate["narrowest_range"]),
    ]
    return "\n".join(lines)


def write_log(content: ReleaseContent, folder: Path, policy: Policy) -> None:
    """Write the log of a release beside its tables."""
    text = log_text(content, policy)
    (folder / "log.md").write_text(text, encoding="utf-8", newline="\n")


def log_text(content: ReleaseContent, policy: Policy) -> str:
    """The log: what was hidden, by which rule, what the audit proved, what would bring rows back.

    It never says which rows are small and which only protect them: that would narrow them down.
    """
    certificate = content.certificate
    lines = [
        f"# What was hidden in the release {content.quarter}".rstrip(),
        "",
        f"Policy: {policy.title} (`{content.policy}`). Source: {policy.source}. "
        f"Confirmed by a public page: {policy.confirmed}.",
        "",
        f"{certificate['n_suppressed_rows']} of {certificate['n_rows']} rows are hidden. A hidden "
        "row carries one mark and no number; hidden is a state, not zero.",
        "",
        "| table | rows | hidden |",
        "|---|---:|---:|",
        *(
            f"| {name} | {len(table.frame)} | {int(table.frame['is_suppressed'].sum())} |"
            for name, table in content.tables.items()
        ),
        "",
        "## Why a row is hidden",
        "",
        f"* It rests on 1 to {policy.min_count - 1} members, events or referrals, or leaves out "
        "that many; its rate and interval go with it. Zeros are shown.",
        "* Or without it such a row would follow by subtraction from the others, from another "
        "table, or from an earlier release. Which of the two it is is not said: that would "
        "narrow the small ones down.",
        "* An estimate is hidden where fewer members than that stand on either side, a gap where "
        "either of its two estimates is.",
        "* A number that differs from an earlier release by so few, or that an earlier release of "
        "the same numbers hid, stays hidden.",
        "* Estimates are rounded to the second digit of their standard error: all their digits "
        "would give away counts of events.",
        "* Counts of organizations are not about persons and are shown.",
        "",
        "## What was checked",
        "",
        _proof(certificate["narrowest_range"])
        + f" Search for the fewest rows to hide: {certificate['search']}.",
        "",
        "## What would bring rows back",
        "",
        *_advice(content.tables),
        "",
    ]
    return "\n".join(lines)


def _proof(narrowest: float | None) -> str:
    """What the audit found, in a sentence."""
    if narrowest is None:
        return "Audit: nothing shown bounds a hidden small count, or none is hidden."
    return (
        "Audit: from everything shown, every hidden count that could be small could still be any "
        f"of at least {int(narrowest) + 1} values."
    )


def _advice(tables: Mapping[str, TableContent]) -> list[str]:
    """Which key, left out, meets fewer hidden rows; counted from what is shown."""
    lines = []
    for name, table in tables.items():
        frame, keys = table.frame, table.meta["keys"]
        n_hidden = int(frame["is_suppressed"].sum())
        margins = [c for c in table.meta.get("margins", []) if (frame[c] == "all").any()]
        for column in margins if n_hidden else []:
            merged = frame[frame[column] == "all"]
            still = int(merged["is_suppressed"].sum())
            others = [c for c in keys if c not in (column, "unit")]
            lines.append(
                f"* `{name}`: without `{column}`"
                + (f", by {', '.join(f'`{c}`' for c in others)} only" if others else "")
                + f", {still} of {len(merged)} rows are hidden (now {n_hidden} of {len(frame)})."
            )
    return [
        *lines,
        "* Pooling more months, or whole years, makes groups larger without merging them. "
        "`aian` and `nhpi` are never folded into another group.",
    ]


def _count(n: int, noun: str) -> str:
    """A number with its noun."""
    return f"{n} {noun}" + ("" if n == 1 else "s")
