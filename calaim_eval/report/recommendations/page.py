"""The recommendations page: findings in order, with their weights and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.report.recommendations.finding import (
    CERTAINTY,
    LARGE,
    MANY,
    MIDDLING,
    MOST,
    Finding,
    ranked,
)
from calaim_eval.report.recommendations.rules import LEVEL, find_findings, open_questions
from calaim_eval.report.release_items import item_title, lower_first, require_released

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_SIZE = {1: "small", 2: "middling", 3: "large"}
_REACH = {1: "few", 2: "many", 3: "most"}
_EQUITY = {
    0: "not about a gap",
    1: "about organizations members rely on",
    3: "a group is worse off",
}


def recommendations_words(released: Released) -> str:
    """Findings in order as a Markdown list.

    Parameters
    ----------
    released : Released

    Returns
    -------
    str
        Where nothing is firm enough it says so and lists nothing.
    """
    findings = ranked(find_findings(require_released(released)))
    if not findings:
        return (
            "No released number is firm enough to carry a recommendation. What was asked and not "
            "answered is below."
        )
    return "\n".join(_entry(rank, finding) for rank, finding in findings)


def open_questions_words(released: Released) -> str:
    """What the release does not carry, as a Markdown list."""
    questions = open_questions(require_released(released))
    if not questions:
        return "Every question of the study has an answer in this release."
    return "\n".join(f"- {question}" for question in questions)


def weights_words() -> str:
    """How findings are weighed, in one paragraph."""
    return (
        f"**How findings are ranked.** Four weights are added, none is hidden. *Effect*: large (3) "
        f"from {100 * LARGE:.0f} % of the level it starts from, middling (2) from "
        f"{100 * MIDDLING:.0f} %, else small (1). *Reach*: most (3) from {100 * MOST:.0f} % of the "
        f"members (or services, organizations) in question, many (2) from {100 * MANY:.0f} %, else "
        "few (1). *Equity*: a group other than the reference is worse off (3); it lies with "
        "organizations members rely on (1); neither (0). *Certainty*: "
        + "; ".join(f"{words} ({weight})" for weight, words in CERTAINTY.items())
        + f". Differences count only where they are clear of zero at {100 * LEVEL:.0f} % after "
        "Holm's correction over their whole table. Equal sums share a rank. The order is a way to "
        "begin a conversation, not a result: other weights give another one."
    )


def _entry(rank: int, finding: Finding) -> str:
    """One finding."""
    sources = ", ".join(lower_first(item_title(name)) for name in finding.items)
    return (
        f"**{rank}. {finding.title}.** {finding.says} *Not said:* {finding.does_not_say}\n\n"
        f"   Weight {finding.weight}: effect {_SIZE[finding.effect]} ({finding.effect}), reach "
        f"{_REACH[finding.reach]} ({finding.reach}), equity: {_EQUITY[finding.equity]} "
        f"({finding.equity}), certainty: {CERTAINTY[finding.certainty]} ({finding.certainty}). "
        f"*Read from:* {sources}.\n"
    )
