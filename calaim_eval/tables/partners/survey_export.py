"""Read exports of a partner survey: one wide row a respondent becomes one row an answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables.formats import SOURCE
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.partners.links import Links, find_links, link_paths, note_passed_over
from calaim_eval.tables.partners.partner_tables import (
    PartnerTables,
    declared_frame,
    joined_frames,
)
from calaim_eval.tables.partners.row_files import is_row_file
from calaim_eval.tables.partners.row_places import PlacedLedger
from calaim_eval.tables.partners.survey_layout import (
    COLUMNS,
    LAYOUT,
    SurveyLayout,
    item_column,
    read_survey_layout,
)
from calaim_eval.tables.partners.survey_repeats import (
    INSTANCE,
    INSTRUMENT,
    LABELS,
    complete_repeats,
    has_repeats,
    join_instruments,
    keep_last_instance,
)
from calaim_eval.tables.partners.text_rows import (
    FileRows,
    by_value,
    read_days,
    read_file_rows,
    read_header,
)
from calaim_eval.tables.sources import SourceFiles

NAME = "survey"
EXPORT, ANSWERS = f"{NAME} export", f"{NAME} answers"
MORE_HEADERS = "second or third header of the export (no answers)"
TRIAL = "preview, test or spam (`Status`)"
UNFINISHED = "respondent who did not finish (kept)"
NO_ORGANIZATION = "respondent without an organization (kept without)"
NO_ROLE = "`respondent_role` is no role of ours or of the layout (read as missing)"
NO_WAVE = "`wave_date` is no day (read as missing)"
NO_ANSWER = "no answer"
NO_NUMBER = "answer that is neither a number nor among the values of the layout"
_STATUS, _FINISHED = "Status", "Finished"
_TRIALS = frozenset(
    {
        *("survey preview", "survey test", "spam", "survey preview spam", "imported spam"),
        "offline response preview",
    }
)
_TRIAL_CODES = frozenset({"1", "2", "8", "9", "12", "17"})
"""Words and codes by which Qualtrics marks what no respondent sent."""
_BOXES = ("___", "(choice=")
"""What the heads of REDCap's boxes hold, raw and with labels."""
_NOT_FINISHED = frozenset({"false", "0", "no"})
_IMPORT_MARK = '"ImportId"'
_OWN_ID, _SECOND_HEADER = "ResponseId", "Response ID"
"""First and second head of the identifier that Qualtrics gives."""


def read_survey_export(folder: Path) -> PartnerTables:
    """Read the exports of one partner survey.

    Parameters
    ----------
    folder : Path
        Text files or workbooks, one wide row a respondent, and `layout.toml`, which says what
        their columns and answers are. Beside them may lie `organization_link`.

    Returns
    -------
    PartnerTables
        `survey_response`, and `organization` for those that are not linked.

    Raises
    ------
    TableError
        There are no files or no layout, or a file lacks a column the layout names.
    """
    ledger = PlacedLedger()
    links = find_links(folder, NAME, ledger)
    layout = read_survey_layout(folder)
    paths = tuple(
        path
        for path in sorted(folder.iterdir())
        if is_row_file(path) and path not in link_paths(folder)
    )
    if not paths:
        raise TableError(f"`{folder}` holds no export of a survey.\n  Export it as CSV or .xlsx.")
    rows = read_file_rows(
        paths,
        EXPORT,
        ledger,
        columns=(
            *(*COLUMNS, *map(item_column, layout.items.values())),
            *(_STATUS, _FINISHED, _OWN_ID, INSTRUMENT, INSTANCE),
        ),
        required=tuple(layout.heads.values()),
        heads={**LABELS, **layout.heads},
        is_exact=True,
    )
    is_qualtrics = _set_aside_rows(rows, layout)
    people = _people(rows, layout, links)
    at = rows.used()
    answers = _answers(rows, people, layout, at, ledger)
    frames = {"survey_response": answers, "organization": _organizations(people, links, layout)}
    every_path = (*paths, *link_paths(folder), folder / LAYOUT)
    note_passed_over(folder, NAME, every_path, ledger)
    version = "Qualtrics" if is_qualtrics else _written_by(paths, layout)
    files = SourceFiles(NAME, every_path, "", is_bulk=True)
    return PartnerTables(NAME, version, joined_frames([frames]), ledger, (files,))


def _set_aside_rows(rows: FileRows, layout: SurveyLayout) -> bool:
    """Set aside rows that are no respondent's; whether the export is of Qualtrics."""
    is_mark = rows.frame.apply(
        lambda cells: cells.str.contains(_IMPORT_MARK, na=False, regex=False)
    )
    is_import = is_mark.any(axis=1).to_numpy(dtype=bool)
    heads = rows.frame[["respondent_id", _OWN_ID]] == _SECOND_HEADER
    # The texts of the questions stand in the row before that of the imports.
    is_text = heads.any(axis=1).to_numpy(dtype=bool) | np.append(is_import[1:], [False])
    rows.set_aside(is_import | is_text, MORE_HEADERS)
    has_own = _OWN_ID in layout.columns or bool(rows[_OWN_ID].notna().any())
    is_qualtrics = has_own or bool(is_import.any())
    rows.require("respondent_id")
    trials = _TRIALS | _TRIAL_CODES if is_qualtrics else _TRIALS
    rows.set_aside(rows[_STATUS].str.lower().isin(trials), TRIAL)
    rows.note(rows[_FINISHED].str.lower().isin(_NOT_FINISHED), UNFINISHED)
    if layout.wave_date:
        rows.frame["wave_date"] = layout.wave_date
    else:
        rows.frame["wave_date"] = _in_our_words(rows["wave_date"], layout.words("wave_date"))
    _keep_one_row(rows, layout)
    return is_qualtrics


def _keep_one_row(rows: FileRows, layout: SurveyLayout) -> None:
    """Leave one row of each respondent and wave, with the answers of all instruments."""
    key = ["respondent_id", "wave_date"]
    if not has_repeats(rows):
        rows.keep_latest(key, by="recorded")
        return
    items = [item_column(item) for item in layout.items.values()]
    boxes = [item_column(i) for head, i in layout.items.items() if _is_box(head)]
    complete_repeats(rows, items, boxes)
    keep_last_instance(rows)
    rows.keep_latest([*key, INSTRUMENT], by="recorded")
    join_instruments(rows, items, boxes)


def _is_box(head: str) -> bool:
    """Whether REDCap writes a box under this head."""
    return any(mark in head for mark in _BOXES)


def _people(rows: FileRows, layout: SurveyLayout, links: Links) -> pd.DataFrame:
    """Who answered, for which organization, in which role and wave."""
    roles = _in_our_words(rows["respondent_role"].str.lower(), layout.words("respondent_role"))
    is_role = roles.isin(FIELDS["respondent_role"].values)
    rows.note(roles.notna() & ~is_role, NO_ROLE)
    days = read_days(rows["wave_date"])
    rows.note(rows["wave_date"].notna() & days.isna(), NO_WAVE)
    told = rows["organization_id"]
    rows.note(told.isna(), NO_ORGANIZATION)
    return pd.DataFrame(
        {
            "respondent_id": rows["respondent_id"],
            "organization_id": told if layout.has_study_ids else links.organization(told),
            "organization_name": told,
            "respondent_role": roles.where(is_role, None),
            "wave_date": days,
        }
    )[rows.is_open]


def _answers(
    rows: FileRows, people: pd.DataFrame, layout: SurveyLayout, at: np.ndarray, ledger: RowLedger
) -> pd.DataFrame:
    """One row an answer that is a number; the others are counted."""
    parts = []
    for item in layout.items.values():
        given = rows[item_column(item)].iloc[at]
        text = _in_our_words(given, layout.words(item))
        number = pd.to_numeric(text, errors="coerce")
        ledger.add(ANSWERS, NO_ANSWER, int(given.isna().sum()), stage=SOURCE)
        ledger.add(ANSWERS, NO_NUMBER, int((given.notna() & number.isna()).sum()), stage=SOURCE)
        parts.append(people.assign(item=item, response=number)[number.notna()])
    both = pd.concat(parts, ignore_index=True)
    ledger.add(ANSWERS, USED, len(both), stage=SOURCE)
    return declared_frame("survey_response", dict(both.items()))


def _in_our_words(given: pd.Series, words: Mapping[str, str]) -> pd.Series:
    """Texts as the layout has them; others as they are."""
    return by_value(given, lambda text: words.get(text.lower(), text))


def _organizations(people: pd.DataFrame, links: Links, layout: SurveyLayout) -> pd.DataFrame:
    """Organizations the study does not have under an identifier of its own."""
    told = people["organization_name"]
    own = people[told.notna() & ~told.isin(links.organizations)].drop_duplicates("organization_id")
    own = own.iloc[:0] if layout.has_study_ids else own
    return declared_frame(
        "organization",
        {
            "organization_id": own["organization_id"],
            "organization_name": own["organization_name"],
            "organization_type": pd.Series("unknown", index=own.index, dtype=object),
        },
    )


def _written_by(paths: tuple[Path, ...], layout: SurveyLayout) -> str:
    """Program that wrote the export, as far as its heads tell."""
    heads = read_header(paths[0], EXPORT, layout.heads)
    marks = ("redcap_", *_BOXES)
    return "REDCap" if any(mark in head for head in heads for mark in marks) else "one row a person"
