"""What was hidden and why, in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.disclosure.policy import Policy, policy_of
from calaim_eval.results import ALL

if TYPE_CHECKING:
    import pandas as pd

    from calaim_eval.disclosure.released import ReleaseContent, Released, TableContent

_HASH_DIGITS = 12
_SHOWN_LINES = 8


def explain(released: Released) -> str:
    """Summary of a release for people who did not make it.

    Parameters
    ----------
    released : Released

    Returns
    -------
    str
        Tables, rows, rows hidden and why; what the audit proved; what would bring rows back, and
        how to ask for another layout.
    """
    certificate = released.certificate
    policy = policy_of(released.policy_rules, where="policy")
    hidden = {name: t.n_suppressed for name, t in released.tables.items() if t.n_suppressed}
    frames = {name: (t.frame, t.meta) for name, t in released.tables.items()}
    lines = [
        f"{_count(len(released.tables), 'table')} released"
        + (f" for {released.quarter}" if released.quarter else "")
        + f" under {released.policy}: {certificate['n_suppressed_rows']} of "
        f"{_count(certificate['n_rows'], 'row')} suppressed.",
        f"Rules: {policy.title}, hash {policy.sha256[:_HASH_DIGITS]}.",
    ]
    if hidden:
        lines += ["", "Hidden:"]
        lines += [f"  {name}: {n} of {len(frames[name][0])} rows" for name, n in hidden.items()]
        lines += ["", "Why:", *(f"  {reason}" for reason in _why(policy)[:_SHORT_WHY])]
    lines += ["", _proof(certificate["narrowest_range"]), *_score_lines(released.scores)]
    advice = what_merging_brings(frames, policy)
    if advice:
        lines += ["", "What would bring rows back:"]
        lines += [f"  {line}" for line in advice[:_SHOWN_LINES]]
        if len(advice) > _SHOWN_LINES:
            lines.append(f"  and {len(advice) - _SHOWN_LINES} more lines in log.md")
    if hidden:
        lines += ["", "Another layout:", *(f"  {line}" for line in _how_to_ask())]
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
        f"Policy: {policy.title} (`{content.policy}`, rules with hash `{policy.sha256}`). Source: "
        f"{policy.source}. Confirmed by a public page: {policy.confirmed}.",
        *_differences(policy),
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
        *(f"* {reason}" for reason in _why(policy)),
        "",
        "## What was checked",
        "",
        _proof(certificate["narrowest_range"])
        + f" Search for the fewest rows to hide: {certificate['search']}.",
        "",
        *_score_section(content.scores),
        "## What would bring rows back",
        "",
        *(f"* {line}" for line in what_merging_brings(_frames(content.tables), policy)),
        "* Pooling more months, or whole years, makes groups larger without merging them. "
        "`aian` and `nhpi` are never folded into another group.",
        "",
        "## How to ask for another layout",
        "",
        *(f"* {line}" for line in _how_to_ask()),
        "",
    ]
    return "\n".join(lines)


_SHORT_WHY = 2


def _why(policy: Policy) -> list[str]:
    """The reasons, those that hide most first."""
    reasons = [
        *_why_small(policy),
        "Or without it such a row would follow by subtraction from the others, from another "
        "table, or from an earlier release. Which of the two it is is not said: that would "
        "narrow the small ones down.",
        f"An estimate is hidden where fewer than {policy.support_needed} members stand on either "
        "side, a gap where either of its two estimates is.",
        "A number that differs from an earlier release by so few, or that an earlier release of "
        "the same numbers hid, stays hidden.",
        "Estimates are rounded to the second digit of their standard error: all their digits "
        "would give away counts of events.",
        "Counts of organizations are not about persons and are shown.",
    ]
    if policy.rounding != "none":
        reasons.append(
            f"Counts are shown rounded {policy.rounding_words}; rates, intervals and estimates are "
            "rounded with them."
        )
    return reasons


def _why_small(policy: Policy) -> list[str]:
    """What is hidden for its own sake."""
    if policy.min_count == 1:
        return [f"No count is hidden for its size: counts are rounded {policy.rounding_words}."]
    zeros = " Zeros are shown." if policy.zeros_shown else " Zeros are hidden too."
    return [
        f"It rests on 1 to {policy.min_count - 1} members, events or referrals, or leaves out "
        f"that many; its rate and interval go with it.{zeros}"
    ]


def _differences(policy: Policy) -> list[str]:
    """What a policy of one's own changes."""
    if not policy.differs_from:
        return []
    return ["", f"Own rules: {'; '.join(policy.differs_from)}."]


def _proof(narrowest: float | None) -> str:
    """What the audit found, in a sentence."""
    if narrowest is None:
        return "Audit: nothing shown bounds a hidden small count, or none is hidden."
    return (
        "Audit: from everything shown, every hidden count that could be small could still be any "
        f"of at least {int(narrowest) + 1} values."
    )


def _score_lines(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Tables above the guideline's limit, for the summary."""
    above = [each for each in scores if not each["is_within_limit"]]
    if not scores:
        return []
    if not above:
        return [f"Score: all {len(scores)} tables of counts are within {scores[0]['limit']}."]
    listed = ", ".join(f"{each['table']} ({each['total']})" for each in above[:_SHOWN_LINES])
    more = f" and {len(above) - _SHOWN_LINES} more" if len(above) > _SHOWN_LINES else ""
    return [
        f"Score: {len(above)} of {len(scores)} tables of counts are above {scores[0]['limit']}: "
        f"{listed}{more}. The guideline asks for a second look by the person who signs."
    ]


def _score_section(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """The guideline's score of every table with what it is made of."""
    if not scores:
        return []
    assumed = list(dict.fromkeys(words for each in scores for words in each["assumed"]))
    return [
        "## The guideline's score",
        "",
        f"Up to {scores[0]['limit']} needs no masking; above it, the person who signs looks again. "
        "The score guides, it does not decide: small counts are hidden whatever it is.",
        "",
        "| table | score | within | made of |",
        "|---|---:|---|---|",
        *(
            f"| {each['table']} | {each['total']} | {'yes' if each['is_within_limit'] else 'no'} "
            f"| {score_parts(each)} |"
            for each in scores
        ),
        "",
        *([f"Taken where a table does not say: {'; '.join(assumed)}.", ""] if assumed else []),
    ]


def score_parts(score: Mapping[str, Any]) -> str:
    """What a score is made of: "events 100-999: 3; time quarter: 4; ..."."""
    parts = [
        f"{p['variable'].replace('_', ' ')} {p['characteristic']}: {p['score']}"
        for p in score["parts"]
    ]
    if score["has_small_denominator"]:
        parts.append("a denominator is under the guideline's limit")
    return "; ".join(parts)


def what_merging_brings(
    frames: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]], policy: Policy
) -> list[str]:
    """Which column left out, or groups merged, meets fewer hidden rows; from what is shown alone.

    Hidden groups of one column are known together where their total is shown, so it is no secret
    whether they could be shown as one.
    """
    lines = []
    for name, (frame, meta) in frames.items():
        n_hidden = int(frame["is_suppressed"].sum())
        margins = [c for c in meta.get("margins", []) if (frame[c] == ALL).any()]
        for column in margins if n_hidden else []:
            merged = frame[frame[column] == ALL]
            still = int(merged["is_suppressed"].sum())
            others = [c for c in meta["keys"] if c not in (column, "unit")]
            lines.append(
                f"`{name}`: without `{column}`"
                + (f", by {', '.join(f'`{c}`' for c in others)} only" if others else "")
                + f", {still} of {len(merged)} rows are hidden (now {n_hidden} of {len(frame)})."
            )
            n_merged = _rows_of_merged_groups(frame, column, meta, policy)
            if n_merged:
                lines.append(
                    f"`{name}`: with the hidden groups of `{column}` merged into one, "
                    f"{_count(n_merged, 'more row')} could be shown."
                )
    return lines


def _rows_of_merged_groups(
    frame: pd.DataFrame, column: str, meta: Mapping[str, Any], policy: Policy
) -> int:
    """Totals shown whose hidden parts are together large enough to show."""
    if policy.rounding != "none":
        return 0
    others = [c for c in meta["keys"] if c != column]
    groups = [frame] if not others else [rows for _, rows in frame.groupby(others, sort=False)]
    found = 0
    for rows in groups:
        total = rows[(rows[column] == ALL) & ~rows["is_suppressed"]]
        parts = rows[rows[column] != ALL]
        if len(total) != 1 or int(parts["is_suppressed"].sum()) < 2:
            continue
        rest = float(total["numerator"].iloc[0]) - float(parts["numerator"].sum())
        found += rest >= policy.min_count
    return found


def _how_to_ask() -> list[str]:
    """How to get other rows instead of those hidden."""
    return [
        "`calaim-eval release STUDY --quarter Q --without TABLE:COLUMN` releases a table without "
        "one of its columns, `--leave-out TABLE` without the table; nothing is estimated again.",
        "Other groups, a longer window or another reference are keys of the study file; "
        "`merge_groups` merges groups in a script.",
        "`keep_readable` in a policy file of your own (`policy` in [disclosure]) names groups that "
        "protect others last, `hide_first` tables that protect others first.",
        "What was released once stays known: a later layout is checked against the ledger.",
    ]


def _frames(
    tables: Mapping[str, TableContent],
) -> dict[str, tuple[pd.DataFrame, Mapping[str, Any]]]:
    """Frame and meaning of each table."""
    return {name: (table.frame, table.meta) for name, table in tables.items()}


def _count(n: int, noun: str) -> str:
    """A number with its noun."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
