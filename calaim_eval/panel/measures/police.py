"""Contacts with the police."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure
from calaim_eval.panel.measures.custody import REACH

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

SOURCE = "dispatch or records system of the police, matched; rules unconfirmed"


def _contacts(care: Care) -> Table:
    """One row per member, day and type."""
    from calaim_eval.panel.community import police_contacts

    return police_contacts(care.bucket).select("member", "day")


def _of_type(
    name: str, contact_type: str, *, label: str, title: str, fewer_is_better: bool | None = None
) -> Measure:
    """Days with a contact of one type."""

    def days(care: Care) -> Table:
        from calaim_eval.panel.community import police_contacts

        contacts = police_contacts(care.bucket)
        return contacts.filter(contacts["contact_type"] == contact_type).select("member", "day")

    return Measure(
        name=name,
        label=label,
        title=title,
        definition=f"Contacts of type `{contact_type}`, one per member and day. {REACH}",
        code_lists=("police_encounters",),
        source=SOURCE,
        confirmed="partial",
        needs=("police_contact",),
        feed="police_contact",
        events=days,
        fewer_is_better=fewer_is_better,
    )


MEASURES = (
    Measure(
        name="police_contacts",
        label="Police contacts",
        title="Contacts with the police",
        definition="Contacts by the table `police_contact` (arrest, citation, welfare check, "
        "involuntary hold, other; a missing type is other), one per member, day and type. "
        f"{REACH}",
        code_lists=("police_encounters",),
        source=SOURCE,
        confirmed="partial",
        needs=("police_contact",),
        feed="police_contact",
        events=_contacts,
        fewer_is_better=True,
    ),
    _of_type("arrests", "arrest", label="Arrests", title="Arrests", fewer_is_better=True),
    _of_type(
        "citations",
        "citation",
        label="Citations",
        title="Citations by the police",
        fewer_is_better=True,
    ),
    _of_type(
        "welfare_checks",
        "welfare_check",
        label="Welfare checks",
        title="Welfare checks by the police",
    ),
    _of_type(
        "involuntary_holds",
        "hold_5150",
        label="Involuntary holds",
        title="Involuntary psychiatric holds by the police",
        fewer_is_better=True,
    ),
)
