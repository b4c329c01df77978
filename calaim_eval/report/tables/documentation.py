"""What the numbers rest on: rows used, cells withheld, files, methods, definitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.panel.measures import MEASURES
from calaim_eval.report.labels import OUTCOMES, ordered, outcome_label, race_label, readable
from calaim_eval.report.notes import collect_notes
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK, number, plural
from calaim_eval.report.release_items import (
    EXPECTED_ITEMS,
    FURTHER_ITEMS,
    Absent,
    find_item,
    item_title,
    need_columns,
    reason_left_out,
    require_released,
)
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.schema.codes import load_codes

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_USED = "used"
LEDGER_STEPS = {"read": "Reading", "panel": "Member-months"}
_ITEM_ORDER = (*EXPECTED_ITEMS, *FURTHER_ITEMS)
_FACTS = {
    "study_id": "Study",
    "study_file_sha256": "Fingerprint of the study file (SHA-256)",
    "input_manifest_sha256": "Fingerprint of the input files (SHA-256)",
    "code_lists_sha256": "Fingerprint of the code lists (SHA-256)",
    "code_sha256": "Fingerprint of the program (SHA-256)",
    "extract_date": "Day the input files were drawn",
    "reference": "Reference group of the gaps",
    "package_version": "Version of calaim_eval",
    "python_version": "Version of Python",
    "is_simulated": "Simulated data",
    "policy_confirmed": "Rules confirmed by a public source",
    "policy_sha256": "Fingerprint of the rules (SHA-256)",
    "rounding": "Rounding of counts",
    "without": "Columns that tables were released without",
    "narrowest_range": "Narrowest range a withheld number can be worked out to",
    "range_required": "Narrowest range allowed",
    "search": "How the withheld rows were chosen",
}
"""Fact of the provenance or the certificate to its name on the page."""


def row_ledger_table(released: Released) -> DisplayTable | Absent:
    """Every input row: used, or set aside with its reason.

    Parameters
    ----------
    released : Released
        Uses `row_ledger` (keys `table`, `stage`, `reason`).

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "row_ledger")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("table", "stage", "reason"))
    rows = [
        _ledger_row(str(name), str(stage), mine)
        for (name, stage), mine in found.frame.groupby(["table", "stage"], sort=False)
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption="Input rows used and set aside, by table and step.",
        row_name="Table",
        left=("Step", "Rows set aside, by reason"),
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def _ledger_row(name: str, stage: str, rows: pd.DataFrame) -> dict[str, str]:
    """One table at one step: rows used, and each reason with its number of rows."""
    is_used = rows["reason"].eq(_USED)
    reasons = [
        f"{str(row['reason']).replace('`', '')}: {_ledger_count(row)}"
        for _, row in rows[~is_used].iterrows()
    ]
    used = [_ledger_count(row) for _, row in rows[is_used].iterrows()]
    return {
        "Table": readable(name),
        "Step": LEDGER_STEPS.get(stage, readable(stage)),
        "Rows used": used[0] if used else number(0),
        "Rows set aside, by reason": "; ".join(reasons) or "none",
    }


def _ledger_count(row: pd.Series) -> str:
    return SUPPRESSED_MARK if row["is_suppressed"] else number(row["numerator"])


def findings_table(released: Released) -> DisplayTable | Absent:
    """Findings in the referral records that occurred, and how many checks found nothing.

    Parameters
    ----------
    released : Released
        Uses `referral_findings` (key `finding`).

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "referral_findings")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("finding",))
    frame = found.frame
    is_clean = frame["numerator"].eq(0) & ~frame["is_suppressed"]
    rows = [
        {
            "Finding": readable(row["finding"]),
            "Records": _ledger_count(row),
            "Out of": SUPPRESSED_MARK if row["is_suppressed"] else number(row["denominator"]),
        }
        for _, row in frame[~is_clean].iterrows()
    ] or [{"Finding": "None", "Records": number(0), "Out of": UNDEFINED_MARK}]
    clean = plural(int(is_clean.sum()), "further check")
    return lay_out(
        pd.DataFrame(rows),
        caption=f"Findings in the referral records; {clean} found nothing.",
        row_name="Finding",
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def suppression_table(released: Released) -> DisplayTable:
    """Rows withheld in each released table.

    Parameters
    ----------
    released : Released

    Returns
    -------
    DisplayTable
        One row a released table with withheld rows: rows, rows withheld. Says nothing
        about which rule or which value.
    """
    tables = require_released(released).tables
    rows = []
    for name in ordered(tables, order=_ITEM_ORDER):
        frame = tables[name].frame
        if not frame["is_suppressed"].any():
            continue
        rows.append(
            {
                "Item": item_title(name),
                "Rows": number(len(frame)),
                "Rows withheld": number(int(frame["is_suppressed"].sum())),
            }
        )
    n_whole = len(tables) - len(rows)
    total = sum(int(t.frame["is_suppressed"].sum()) for t in tables.values())
    rows.append(
        {
            "Item": "All items",
            "Rows": number(sum(len(t.frame) for t in tables.values())),
            "Rows withheld": number(total),
        }
    )
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            f"Rows withheld under the disclosure policy {policy_words(released)}; nothing is "
            f"withheld in the other {plural(n_whole, 'item')}."
        ),
        row_name="Item",
        n_suppressed=total,
    )


def contents_table(released: Released) -> DisplayTable:
    """Every item a release may hold: present, or absent with the usual reason.

    Parameters
    ----------
    released : Released

    Returns
    -------
    DisplayTable
    """
    tables = require_released(released).tables
    rows = [
        {
            "Item": title,
            "In this release": "yes" if name in tables else "no",
            "Reason": "" if name in tables else _reason(released, name, usual),
        }
        for name, (title, usual) in EXPECTED_ITEMS.items()
    ]
    rows += [
        {"Item": title, "In this release": "yes", "Reason": ""}
        for name, title in FURTHER_ITEMS.items()
        if name in tables
    ]
    frame = pd.DataFrame(rows)
    if frame["Reason"].eq("").all():
        frame = frame.drop(columns="Reason")
    return lay_out(
        frame,
        caption="What this release holds.",
        row_name="Item",
        left=tuple(c for c in frame.columns if c != "Item"),
    )


def _reason(released: Released, name: str, usual: str) -> str:
    """The reason the release states for an absent item, else the usual one."""
    stated = reason_left_out(released, name)
    text = stated or f"usually: {usual}"
    return f"{text[0].upper()}{text[1:]}".replace("`", "")


def methods_table(released: Released) -> DisplayTable:
    """Method and reference of the released items, and whether they are causal.

    Parameters
    ----------
    released : Released

    Returns
    -------
    DisplayTable
    """
    tables = require_released(released).tables
    used: dict[tuple[str, str, str], list[str]] = {}
    for name in ordered(tables, order=_ITEM_ORDER):
        meta = tables[name].meta
        method = str(meta.get("method") or UNDEFINED_MARK)
        reference = str(meta.get("reference") or UNDEFINED_MARK)
        how = (f"{method[:1].upper()}{method[1:]}", _kind(tables[name].kind, meta), reference)
        used.setdefault(how, []).append(item_title(name))
    rows = [
        {"Method": method, "Items": "; ".join(items), "Kind": kind, "Reference": reference}
        for (method, kind, reference), items in used.items()
    ]
    return lay_out(
        pd.DataFrame(rows, columns=["Method", "Items", "Kind", "Reference"]),
        caption="How each number was made.",
        row_name="Method",
        left=("Items", "Kind", "Reference"),
    )


def notes_table(released: Released) -> DisplayTable:
    """Notes that came with the results: sample set aside, calendar warnings, few clusters.

    Parameters
    ----------
    released : Released

    Returns
    -------
    DisplayTable
        Each note once, with the part of the report and, where not all, the outcomes it concerns.
    """
    notes = collect_notes(released)
    table = pd.DataFrame(
        {
            "Part": notes["part"],
            "Note": [
                f"{about}: {note}" if about else note
                for about, note in zip(notes["about"], notes["note"], strict=True)
            ],
        }
    )
    return lay_out(
        table,
        caption="Notes that came with the results.",
        row_name="Part",
        left=("Note",),
    )


def definitions_table(released: Released) -> DisplayTable:
    """Rules behind the outcomes of the release, each with whether a public source confirms it.

    Parameters
    ----------
    released : Released

    Returns
    -------
    DisplayTable
        From the code list `utilization_definitions`, else in the words of the measure; all
        outcomes where the release has none.
    """
    outcomes = _outcomes(released) or list(OUTCOMES)
    rows = [
        {"Measure": outcome_label(outcome), **rule}
        for outcome in outcomes
        for rule in _rules_of(outcome)
    ]
    return lay_out(
        pd.DataFrame(rows, columns=["Measure", "Component", "Rule", "Confirmed"]),
        caption="Definitions of the outcomes, and whether a public source confirms each rule.",
        row_name="Component",
        row_group="Measure",
        left=("Rule", "Confirmed"),
    )


def _rules_of(outcome: str) -> list[dict[str, str]]:
    """Rules of an outcome; none where it is no measure of the panel."""
    if outcome not in MEASURES:
        return []
    measure = MEASURES[outcome]
    codes = load_codes("utilization_definitions")
    listed = codes[codes["measure"].isin(measure.code_lists)]
    if listed.empty:
        told = {"Component": "whole", "Rule": measure.definition}
        return [{**told, "Confirmed": measure.confirmed}]
    return [
        {
            "Component": rule["component"],
            "Rule": rule["event_rule"] or rule["codes_regex"] or UNDEFINED_MARK,
            "Confirmed": rule["confirmed"] or UNDEFINED_MARK,
        }
        for _, rule in listed.iterrows()
    ]


def _outcomes(released: Released) -> list[str]:
    """Outcomes of the released tables, in the usual order."""
    found = {
        outcome
        for item in require_released(released).tables.values()
        if "outcome" in item.frame
        for outcome in item.frame["outcome"]
    }
    return ordered(found, order=tuple(OUTCOMES))


def provenance_table(released: Released) -> DisplayTable:
    """Study, package, inputs and disclosure certificate, as the release states them.

    Parameters
    ----------
    released : Released

    Returns
    -------
    DisplayTable
    """
    released = require_released(released)
    facts = {"Quarter": str(released.quarter), "Disclosure policy": policy_words(released)}
    made_from = {k: v for k, v in released.provenance.items() if k != "left_out"}
    if made_from.get("reference"):
        made_from["reference"] = race_label(str(made_from["reference"]))
    facts |= _flat(made_from, prefix="")
    certificate = {k: v for k, v in released.certificate.items() if k != "policy"}
    facts |= _flat(certificate, prefix="Disclosure: ")
    table = pd.DataFrame({"Fact": list(facts), "Value": list(facts.values())})
    return lay_out(
        table, caption="Where these numbers come from.", row_name="Fact", left=("Value",)
    )


def policy_words(released: Released) -> str:
    """Name and version of the disclosure policy."""
    return str(require_released(released).policy)


def _kind(kind: str, meta: Mapping[str, object]) -> str:
    if kind == "rate":
        return "Description"
    return "Effect" if meta.get("is_causal", True) else "Not causal"


def _flat(facts: Mapping[str, object], *, prefix: str) -> dict[str, str]:
    """Nested facts as one level of label and text."""
    out: dict[str, str] = {}
    for key, value in facts.items():
        label = f"{prefix}{_fact_label(str(key))}"
        if isinstance(value, Mapping):
            out |= {f"{label}: {k}": _text(v) for k, v in value.items()}
        else:
            out[label] = _text(value)
    return out


def _fact_label(key: str) -> str:
    """``n_rows`` as ``Number of rows``; the plain name of a fact that has one."""
    if key in _FACTS:
        return _FACTS[key]
    rest = key.removeprefix("n_")
    return readable(rest) if rest == key else f"Number of {readable(rest).lower()}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{_fact_label(str(k)).lower()} {_text(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_text(v) for v in value) or UNDEFINED_MARK
    return str(value) or UNDEFINED_MARK
