"""Rows of exchange files: which kind, who, for what, when, in the words of the plan's layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.exchange_layout import (
    HEADS,
    INFORMATION,
    NAMES,
    OUTREACH,
    RETURN,
    Layout,
)
from calaim_eval.tables.partners.links import Links
from calaim_eval.tables.partners.row_files import HIDDEN, RowFile, row_files
from calaim_eval.tables.partners.text_rows import FileRows, by_value, read_file_rows, read_header
from calaim_eval.tables.spreadsheets.sheets import is_workbook

NAME = "plan_exchange"
DAYS = {
    RETURN: ("start", "end", "served", "ended", "produced", "status_day"),
    OUTREACH: ("outreach",),
    INFORMATION: ("listed",),
}
NEEDED = {OUTREACH: "outreach", INFORMATION: "listed"}
NO_KIND = "sheet of no kind that is read (passed over)"
VOIDED = "voided by the sender"
NO_SERVICE = "`service` is neither `ecm` nor a listed support"
NO_PROVIDER = "provider is not told (kept without)"
NO_LINK = "provider is told by a tax number without a link only (kept without)"
NO_PLAN = "plan is not told (kept without)"
UNKNOWN = "`{}` is no value of the state or of the plan's layout (read as missing)"


@dataclass
class ExchangeRows:
    """Rows of one file with their days; `member` and `organization` are named for all together.

    `is_void` says which rows the sender sent to take back what was stated before.
    """

    rows: FileRows
    days: dict[str, pd.Series]
    layout: Layout
    is_void: pd.Series


def read_exchange_files(
    paths: Sequence[Path], layout: Layout, ledger: RowLedger, *, folder: str = ""
) -> Iterator[tuple[str, FileRows]]:
    """Kind and rows of each file and each sheet of a workbook, in the order of names.

    `folder` says in messages which of several folders has them: ``"folder 1 of 2, "``.

    Raises
    ------
    TableError
        A file, or every sheet of a workbook, is of no kind that is read.
    """
    for number, path in enumerate(paths, start=1):
        place = f"{folder}file {number} of {len(paths)} by name"
        files, n_hidden = row_files([path], f"{NAME}: {place}")
        ledger.note(f"{NAME} sheets", HIDDEN, n_hidden)
        kinds = [_kind_of(file, place, layout) for file in files]
        if not any(kinds):
            raise TableError(
                f"{NAME}: {place} is none of {', '.join(NAMES.values())}: it has no column with "
                "the client index number, or none that tells what the file is about.\n"
                "  Say in `layout.toml` what its columns are called, or take it out of the folder."
            )
        ledger.note(f"{NAME} sheets", NO_KIND, kinds.count(None))
        for at, (file, kind) in enumerate(zip(files, kinds, strict=True), start=1):
            if kind is not None:
                within = f"{place}, sheet {at}" if is_workbook(path) else place
                yield kind, _rows_of(file, kind, within, layout, ledger)


def _kind_of(file: RowFile, place: str, layout: Layout) -> str | None:
    """Kind of a file by its header; nothing where it is none."""
    heads = [head for kind in HEADS for head in layout.heads(kind)]
    return layout.kind(read_header(file, f"{NAME}: {place}", heads))


def _rows_of(file: RowFile, kind: str, place: str, layout: Layout, ledger: RowLedger) -> FileRows:
    """Rows of a file of a known kind."""
    return read_file_rows(
        [file],
        f"{NAME} {NAMES[kind]}",
        ledger,
        columns=tuple(HEADS[kind]),
        heads=layout.heads(kind),
        place=place,
    )


def named_rows(rows: FileRows, kind: str, layout: Layout) -> ExchangeRows:
    """Rows with what is asked of each: who, what for, and days that are days."""
    is_void = value_of(rows, "void", layout) == "yes"
    rows.set_aside(is_void, VOIDED)
    rows.require("cin")
    service = _service(rows, layout)
    rows.set_aside(service.isna(), NO_SERVICE)
    days = {column: rows.day(column, is_needed=column == NEEDED.get(kind)) for column in DAYS[kind]}
    if layout.plan:
        rows.frame["plan"] = layout.plan
    rows.frame["plan"] = rows["plan"].where(rows["plan"].notna(), rows["payer"])
    rows.note(rows["plan"].isna(), NO_PLAN)
    provider = rows["npi"].where(rows["npi"].notna(), rows["tin"])
    provider = provider.where(provider.notna(), rows["provider"])
    rows.note(provider.isna(), NO_PROVIDER)
    rows.frame["service"] = service
    return ExchangeRows(rows, days, layout, is_void)


def _service(rows: FileRows, layout: Layout) -> pd.Series:
    """`ecm` or a support for each row; missing where it is neither."""
    known = {"ecm", *load_codes("community_support")["service"]}
    words = layout.value("service")
    told = by_value(rows["service"], lambda text: words.get(text.lower(), text.lower()))
    told = told.where(told.notna(), layout.service)
    return told.where(told.isin(known), None)


def value_of(rows: FileRows, column: str, layout: Layout) -> pd.Series:
    """A column in our values; what is neither the state's nor the plan's is remarked on."""
    words = layout.value(column)
    mapped = by_value(rows[column], lambda text: words.get(text.lower()))
    if column not in ("void", "is_reached"):
        rows.note(rows[column].notna() & mapped.isna(), UNKNOWN.format(column))
    return mapped


def name_members(every: list[ExchangeRows], links: Links, ledger: RowLedger) -> None:
    """Put the member of each client index number into the rows; those without one get numbers."""
    cins = pd.concat([each.rows["cin"][each.rows.is_open] for each in every], ignore_index=True)
    links.note_unlinked(cins, ledger)
    strange = sorted(set(cins) - set(links.members))
    numbered = {cin: f"{NAME}:unlinked-{number}" for number, cin in enumerate(strange, start=1)}
    members = {**numbered, **links.members}
    for each in every:
        each.rows.frame["member"] = each.rows["cin"].map(members)


def organization_of(rows: FileRows, links: Links) -> pd.Series:
    """Providers of rows: by link of NPI, tax number or name, else NPI or name, never tax number."""
    found = pd.Series(None, index=rows.frame.index, dtype=object)
    for column in ("npi", "tin", "provider") if links.organizations else ():
        linked = rows[column].map(links.organizations).astype(object)
        found = found.where(found.notna(), linked.where(linked.notna(), None))
    own = rows["npi"].where(rows["npi"].notna(), rows["provider"])
    marked = Links(NAME).organization(own.astype(object))
    return found.where(found.notna(), marked)
