"""What the files that plans and ECM providers exchange are called inside, plan by plan.

The state's templates name the columns; plans rename, drop and add some. A `layout.toml` beside a
plan's files says what differs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables.spreadsheets.tables import plain_head

LAYOUT = "layout.toml"
RETURN, OUTREACH, INFORMATION = "return_transmission", "outreach_tracker", "member_information"
_WHO = {
    "plan": ("MCP Name", "Primary Payer (MCP) Name"),
    "payer": ("Primary Payer (MCP) Identifier",),
    "cin": ("Member Client Index Number (CIN)", "Member Client Index Number", "CIN"),
    "provider": ("ECM Provider Name", "Provider Name"),
    "npi": ("ECM Provider National Provider Identifier (NPI)", "NPI"),
    "tin": ("ECM Provider Tax ID Number (TIN)", "TIN"),
    "service": (),
    "void": (),
}
HEADS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    RETURN: {
        **_WHO,
        "population": ("Member POF",),
        "program_status": ("Member ECM Status",),
        "start": ("ECM Enrollment Start Date",),
        "end": ("ECM Enrollment End Date",),
        "served": ("Date of Most Recent Encounter with Member",),
        "ended": ("Discontinuation Date",),
        "end_reason": ("Discontinuation Reason Code",),
        "produced": ("Member Information Return Transmission File Production Date",),
        "referral_status": ("Referral Status",),
        "status_day": ("Date of Referral Status Update",),
        "closure_reason": ("Reason for Referral Loop Closure",),
    },
    OUTREACH: {
        **_WHO,
        "outreach": ("Date of Outreach Attempt",),
        "is_reached": ("Outreach Attempt Successful",),
    },
    INFORMATION: {
        **_WHO,
        "population": ("Member POF",),
        "listed": ("Member Information File Production Date",),
    },
}
"""Our column to its heads in the state's templates, by kind of file."""
TELLING = {OUTREACH: ("outreach",), INFORMATION: ("listed",), RETURN: ("start", "referral_status")}
"""Columns of which one makes a file one of a kind; the first kind that fits."""
NAMES = {
    RETURN: "return transmission file",
    OUTREACH: "outreach tracker",
    INFORMATION: "member information file",
}
VALUES: Mapping[str, Mapping[str, str]] = {
    "end_reason": {
        **dict.fromkeys(("SC", "WM"), "completed"),
        "DP": "member_declined",
        "UE": "unable_to_reach",
        "UBE": "provider_ended",
        "EXP": "died",
        **dict.fromkeys(("NE", "OH"), "coverage_ended"),
        "CAP": "no_capacity",
        "ERR": "data_error",
        "OTH": "other",
    },
    "referral_status": {
        "pending": "pending",
        "accepted": "accepted",
        "outreach initiated": "accepted",
        "declined": "declined",
        "referral loop closed": "closed",
        "closed": "closed",
    },
    "closure_reason": {
        "services received": "services_received",
        "service provider declined": "no_capacity",
        "unable to reach member": "unable_to_reach",
        "member no longer eligible for services": "not_eligible",
        "member no longer needs services or declines services": "member_declined",
        "member declined": "member_declined",
        "other": "other",
    },
    "is_reached": {"yes": "yes", "y": "yes", "1": "yes", "true": "yes"},
    "void": {"1": "yes", "yes": "yes", "y": "yes", "true": "yes"},
}
"""Value in the file to ours, where the layout of the plan says nothing else; any case."""
_ALLOWED = {
    "end_reason": FIELDS["end_reason"].values,
    "referral_status": FIELDS["referral_status"].values,
    "closure_reason": FIELDS["closure_reason"].values,
    "is_reached": ("yes", "no"),
    "void": ("yes", "no"),
}


@dataclass(frozen=True)
class Layout:
    """How one plan writes the files.

    Attributes
    ----------
    plan : str
        Name of the plan, where its files do not say it; empty otherwise.
    service : str
        `ecm`, or the support the files are about where they have no column for it.
    columns : mapping of str to mapping
        Kind of file to {head in the file: our column}.
    values : mapping of str to mapping
        Our column to {value in the file: our value}.
    """

    plan: str = ""
    service: str = "ecm"
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def heads(self, kind: str) -> dict[str, str]:
        """Head to our column for one kind: the plan's own, then those of the state's template."""
        own = dict(self.columns.get(kind, {}))
        taken = set(own.values())
        template = {
            head: column
            for column, heads in HEADS[kind].items()
            for head in heads
            if column not in taken
        }
        return {**template, **own}

    def kind(self, header: list[str]) -> str | None:
        """Kind of file that has this header; nothing where none fits."""
        plain = {plain_head(head) for head in header}
        for kind, telling in TELLING.items():
            has = {column for head, column in self.heads(kind).items() if plain_head(head) in plain}
            if "cin" in has and has.intersection(telling):
                return kind
        return None

    def value(self, column: str) -> dict[str, str]:
        """Value in the file, in lower case, to ours."""
        both = {**VALUES.get(column, {}), **self.values.get(column, {})}
        return {given.strip().lower(): ours for given, ours in both.items()}


def read_layout(folder: Path) -> Layout:
    """Layout of the plan whose files are in a folder; that of the state where none is told.

    Raises
    ------
    TableError
        It is no TOML, or names a key, column or value that is not one of ours.
    """
    path = folder / LAYOUT
    if not path.is_file():
        return Layout()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise TableError(f"`{LAYOUT}` is no TOML: {problem}.\n  Mend it as shown.") from None
    layout = Layout(
        plan=str(content.pop("plan", "")),
        service=str(content.pop("service", "ecm")),
        columns=_section(content, "columns"),
        values=_section(content, "values"),
    )
    _check(layout, content)
    return layout


def _section(content: dict[str, Any], name: str) -> dict[str, dict[str, str]]:
    """A section of sections of pairs."""
    found = content.pop(name, {})
    if not isinstance(found, dict) or not all(isinstance(each, dict) for each in found.values()):
        raise TableError(
            f"`{LAYOUT}`: `{name}` is no section of sections.\n"
            f'  Write it like [{name}.x] with lines "yours" = "ours".'
        )
    return {key: {str(a): str(b) for a, b in pairs.items()} for key, pairs in found.items()}


def _check(layout: Layout, left: Mapping[str, Any]) -> None:
    """Raise for a key, kind, column or value that is not one of ours."""
    services = ("ecm", *load_codes("community_support")["service"])
    _require(left, ("plan", "service", "columns", "values"), "key")
    _require([layout.service], services, "service")
    _require(layout.columns, tuple(HEADS), "kind of file")
    for kind, pairs in layout.columns.items():
        _require(pairs.values(), tuple(HEADS[kind]), f"column of the {NAMES[kind]}")
    _require(layout.values, (*_ALLOWED, "service"), "column with values")
    for column, pairs in layout.values.items():
        _require(pairs.values(), _ALLOWED.get(column, services), f"value of `{column}`")


def _require(given: Any, allowed: tuple[str, ...], what: str) -> None:
    """Raise for the first that is not allowed."""
    for each in given:
        if each not in allowed:
            raise TableError(
                f"`{LAYOUT}`: '{each}' is no {what}.\n"
                f"  Allowed: {', '.join(f'`{name}`' for name in allowed)}."
            )
