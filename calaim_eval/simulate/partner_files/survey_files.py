"""Write the export of a partner survey, one wide row a respondent, as Qualtrics or REDCap does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from calaim_eval.simulate.partner_files.source_ids import (
    SourceIds,
    rows_of,
    write_links,
    write_text,
)

SurveyTool = Literal["qualtrics", "redcap"]
_WHO = ("respondent_id", "organization_id", "respondent_role", "wave_date")
_HEADS = {
    "qualtrics": ("ResponseId", "Q1", "Q2", "wave"),
    "redcap": ("record_id", "partner", "role", "redcap_event_name"),
}
_TEXTS = ("Response ID", "Where do you work?", "What do you do there?", "wave")


def write_survey_export(
    tables: Mapping[str, pd.DataFrame], folder: Path | str, *, tool: SurveyTool = "qualtrics"
) -> Path:
    """Write the answers to a partner survey as an export, and the layout that reads it.

    Parameters
    ----------
    tables : mapping of str to pd.DataFrame
        `survey_response`, as declared.
    folder : Path or str
        Gets ``export.csv``, ``layout.toml`` and `organization_link`.
    tool : {"qualtrics", "redcap"}
        Three rows of headers, or one and an event for each wave.

    Returns
    -------
    Path
        The folder.

    Notes
    -----
    A question a respondent skipped is an empty cell. Who answered nothing has no row.
    """
    to = Path(folder)
    organizations = SourceIds("survey:", "partner-")
    rows = rows_of(tables, "survey_response").dropna(subset=["response"])
    items = sorted(rows["item"].dropna().unique())
    wide = _wide(rows, items)
    wide["organization_id"] = organizations.of(wide["organization_id"])
    waves = sorted(wide["wave_date"].dropna().unique())
    events = {f"wave_{number}_arm_1": day for number, day in enumerate(waves, start=1)}
    if tool == "redcap":
        names = {day: event for event, day in events.items()}
        wide["wave_date"] = wide["wave_date"].map(names)
    front = "Q3_" if tool == "qualtrics" else "item_"
    heads = dict(zip(_WHO, _HEADS[tool], strict=True))
    heads |= {item: f"{front}{number}" for number, item in enumerate(items, start=1)}
    export = wide.rename(columns=heads)
    if tool == "qualtrics":
        export = pd.concat([_more_headers(heads), export], ignore_index=True)
    write_text(to, "export", export)
    _write_layout(to, heads, items, events if tool == "redcap" else {})
    write_links(to, organizations=organizations)
    return to


def _wide(rows: pd.DataFrame, items: list[str]) -> pd.DataFrame:
    """One row a respondent and wave, a column an item."""
    days = pd.to_datetime(rows["wave_date"]).dt.strftime("%Y-%m-%d")
    told = rows.assign(wave_date=days, response=rows["response"].map(lambda value: f"{value:g}"))
    keys = told[list(_WHO)].astype(object).where(told[list(_WHO)].notna(), None)
    people = keys.drop_duplicates(["respondent_id", "wave_date"])
    wide = told.pivot_table(
        index=["respondent_id", "wave_date"], columns="item", values="response", aggfunc="first"
    ).reindex(columns=items)
    return people.merge(wide.reset_index(), on=["respondent_id", "wave_date"], how="left")


def _more_headers(heads: Mapping[str, str]) -> pd.DataFrame:
    """The question texts and the import marks under the names."""
    texts = dict(zip(_WHO, _TEXTS, strict=True))
    first = {head: texts.get(name, name.replace("_", " ")) for name, head in heads.items()}
    second = {head: json.dumps({"ImportId": f"QID_{head}"}) for head in heads.values()}
    return pd.DataFrame([first, second])


def _write_layout(
    to: Path, heads: Mapping[str, str], items: list[str], events: Mapping[str, str]
) -> None:
    """Write which column is what."""
    lines = ['organizations = "partner"', "", "[columns]"]
    lines += [f"{json.dumps(heads[name])} = {json.dumps(name)}" for name in _WHO]
    lines += ["", "[items]"]
    lines += [f"{json.dumps(heads[item])} = {json.dumps(item)}" for item in items]
    if events:
        lines += ["", "[values.wave_date]"]
        lines += [f"{json.dumps(event)} = {json.dumps(day)}" for event, day in events.items()]
    (to / "layout.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
