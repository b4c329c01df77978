"""What the results' own notes tell a reader, said once, with labels in place of codes."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import OUTCOMES, ordered, outcome_label, race_label
from calaim_eval.report.release_items import (
    EXPECTED_ITEMS,
    FURTHER_ITEMS,
    item_title,
    require_released,
)
from calaim_eval.schema.race_ethnicity import race_ethnicity_groups

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_OUTCOME = re.compile(r"^`(\w+)`: (.*)$", flags=re.S)
_NO_EVENT = re.compile(r"^\d+ groups? ha\w+ no event")
_ZEROS = "Where a group has no event, the interval is Byar's for a count of zero."
_LISTED = 3
_CODES = re.compile(rf"\b({'|'.join(OUTCOMES)})\b")
_COLUMNS = {
    "race_ethnicity": "race and ethnicity",
    "race_ethnicity_in_combination": "race and ethnicity in combination",
    "matched_group": "linked sets of matches",
    "mahalanobis": "Mahalanobis",
}
_NAMED = re.compile(rf"\b({'|'.join(_COLUMNS)})\b")
_FOR_ANALYSTS = re.compile(
    r"(?:See|Report) \w+\(.*?\)[^.]*\.?|Repeat with \w+=[^.]*\.?"
    r"|A coarser `eligibility_cell` keeps more\.",
    flags=re.S,
)
_BAND = re.compile(
    r"\(about [\d,]+ \w+\)|\(fewer than \d+ \w+\)|less than a quarter|half or more|a \w+ to a \w+"
)
"""An amount of no group in particular, as estimators write it."""
_IN_MANIFEST = "with the amounts in the release's manifest."
Found = dict[str, tuple[set[str], dict[str, None]]]
_PARTS = {
    name: part
    for part, names in {
        "Members": (
            "members_by_group",
            "members_in_combination",
            "access_funnel",
            "access_in_combination",
            "access_gap",
            "access_gap_ratio",
            "access_times",
            "access_waiting",
            "access_standardized",
            "access_standardized_gap",
        ),
        "Use of care": (
            "use_in_combination",
            "baseline_utilization",
            "utilization_trend",
            "use_disparity",
        ),
        "Effects": ("effect_event_study", "effect_overall"),
        "Effects by group": ("effect_by_race", "effect_gap", "effect_ratio"),
        "Tests of the effects": ("effect_bounds", "placebo_dates", "negative_control"),
        "Change among members served": ("pre_post",),
        "Quality of the data": ("data_quality", "encounter_completeness", "restatement"),
        "Matched comparison": (
            "matched_balance",
            "matched_overall",
            "matched_event_study",
            "matched_by_race",
            "matched_gap",
        ),
        "County phase": (
            "county_phase",
            "county_phase_checks",
            "county_phase_randomization",
        ),
        "Referrals": (
            "referral_funnel",
            "referral_closure",
            "referral_closure_by_service",
            "referral_closure_by_organization_type",
            "referral_losses",
            "referral_findings",
        ),
        "Organizations": (
            "delivery_organizations",
            "delivery_contracts",
            "delivery_members",
            "local_cbo_share",
            "single_plan_dependence",
            "payment_timeliness",
            "payment_denials",
        ),
        "Coverage": (
            "coverage",
            "coverage_summary",
            "coverage_summary_two_or_more",
            "contracted_but_idle",
        ),
    }.items()
    for name in names
}


def collect_notes(released: Released) -> pd.DataFrame:
    """Every note of the released tables once.

    Parameters
    ----------
    released : Released

    Returns
    -------
    pd.DataFrame
        Columns `part` (of the report), `items` (titles of the tables that carry the note),
        `about` (outcomes it concerns; empty for all), `note`. A note repeated for several
        outcomes is one row.
    """
    tables = require_released(released).tables
    found: Found = {}
    for name in ordered(tables, order=(*EXPECTED_ITEMS, *FURTHER_ITEMS)):
        for note in tables[name].meta.get("notes") or ():
            outcome, text = _taken_apart(str(note))
            outcomes, items = found.setdefault(text, (set(), {}))
            outcomes |= {outcome} if outcome else set()
            items[name] = None
    measured = _measured(released)
    rows = [
        {
            "part": _parts(items),
            "items": "; ".join(item_title(name) for name in items),
            "about": "" if outcomes >= measured else _about(outcomes),
            "note": _sentence(text),
        }
        for text, (outcomes, items) in _one_for_amounts(_one_for_zeros(found)).items()
    ]
    notes = pd.DataFrame(rows, columns=["part", "items", "about", "note"])
    return notes.drop_duplicates(["part", "about", "note"], ignore_index=True)


def _measured(released: Released) -> set[str]:
    """Outcomes with an effect, or any outcome where there is no effect."""
    tables = [t for name, t in released.tables.items() if name != "negative_control"]
    stacked = [t for t in tables if "outcome" in t.frame]
    effects = [t for t in stacked if t.kind == "effect"] or stacked
    return {str(o) for t in effects for o in t.frame["outcome"]}


def _one_for_zeros(found: Found) -> Found:
    """Notes about groups without an event differ only in their number: one for each item set."""
    merged: Found = {}
    for text, (outcomes, items) in found.items():
        plain = _ZEROS if _NO_EVENT.match(text) else text
        kept, kept_items = merged.setdefault(plain, (set(), {}))
        kept |= outcomes
        kept_items |= items
    return merged


def _taken_apart(note: str) -> tuple[str, str]:
    """Outcome and text of a note; the outcome is empty where it concerns none in particular."""
    match = _OUTCOME.match(note)
    if match and match.group(1) in OUTCOMES:
        return match.group(1), match.group(2)
    return "", note


def _about(outcomes: set[str]) -> str:
    return "; ".join(outcome_label(o) for o in ordered(outcomes, order=tuple(OUTCOMES)))


def _one_for_amounts(found: Found) -> Found:
    """Notes of one part that say the same of other amounts and groups: one."""
    places = {text: (_parts(items), *_apart(text)) for text, (_, items) in found.items()}
    how_many = Counter((part, lead) for part, lead, amounts in places.values() if amounts)
    merged: Found = {}
    for text, (outcomes, items) in found.items():
        part, lead, _ = places[text]
        alone = how_many[part, lead] < 2
        said = text if alone else f"{lead}, in some estimates, {_IN_MANIFEST}"
        kept, kept_items = merged.setdefault(said, (set(), {}))
        kept |= outcomes
        kept_items |= items
    return merged


def _parts(items: dict[str, None]) -> str:
    """Parts of the report with the items."""
    return "; ".join(dict.fromkeys(_PARTS.get(name, "Other") for name in items))


def _apart(text: str) -> tuple[str, list[str]]:
    """What a note says was lost, and in which groups or how much; no amounts in another note."""
    lead, _, rest = text.partition(": ")
    amounts = rest.rstrip(".").split("; ")
    groups = race_ethnicity_groups()
    is_told = all(a.partition(" ")[0] in groups or _BAND.fullmatch(a) for a in amounts)
    return (lead, amounts) if is_told else (text, [])


def _with_labels(text: str) -> str:
    """A note with its groups by their labels; many are in the release."""
    lead, amounts = _apart(text)
    if not amounts:
        return text
    if len(amounts) > _LISTED:
        return f"{lead}: in {len(amounts)} groups, {_IN_MANIFEST}"
    return f"{lead}: {'; '.join(_labelled(amount) for amount in amounts)}."


def _labelled(amount: str) -> str:
    """An amount with the label of its group, where it has one."""
    group, _, much = amount.partition(" ")
    if group not in race_ethnicity_groups():
        return amount.strip("()")
    return f"{race_label(group)}: {much}" if much else race_label(group)


def _sentence(text: str) -> str:
    """The note as a sentence without code marks, groups by their labels."""
    text = _FOR_ANALYSTS.sub("", text.strip()).strip().rstrip(";").replace("`", "")
    text = _CODES.sub(lambda m: outcome_label(m[1]).lower(), _with_labels(text))
    text = _NAMED.sub(lambda m: _COLUMNS[m[1]], text)
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "!", "?")) else f"{text}."
