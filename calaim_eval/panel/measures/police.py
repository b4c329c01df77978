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


def _of_type(care: Care, contact_type: str) -> Table:
    """One row per member and day with a contact of one type."""
    from calaim_eval.panel.community import police_contacts

    contacts = police_contacts(care.bucket)
    return contacts.filter(contacts["contact_type"] == contact_type).select("member", "day")


def _arrests(care: Care) -> Table:
    """Days with an arrest."""
    return _of_type(care, "arrest")


def _citations(care: Care) -> Table:
    """Days with a citation."""
    return _of_type(care, "citation")


def _welfare_checks(care: Care) -> Table:
    """Days with a welfare check."""
    return _of_type(care, "welfare_check")


def _holds(care: Care) -> Table:
    """Days with an involuntary hold."""
    return _of_type(care, "hold_5150")


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
    Measure(
        name="arrests",
        label="Arrests",
        title="Arrests",
        definition=f"Contacts of type `arrest`, one per member and day. {REACH}",
        code_lists=("police_encounters",),
        source=SOURCE,
        confirmed="partial",
        needs=("police_contact",),
        feed="police_contact",
        events=_arrests,
        fewer_is_better=True,
    ),
    Measure(
        name="citations",
        label="Citations",
        title="Citations by the police",
        definition=f"Contacts of type `citation`, one per member and day. {REACH}",
        code_lists=("police_encounters",),
        source=SOURCE,
        confirmed="partial",
        needs=("police_contact",),
        feed="police_contact",
        events=_citations,
        fewer_is_better=True,
    ),
    Measure(
        name="welfare_checks",
        label="Welfare checks",
        title="Welfare checks by the police",
        definition=f"Contacts of type `welfare_check`, one per member and day. {REACH}",
        code_lists=("police_encounters",),
        source=SOURCE,
        confirmed="partial",
        needs=("police_contact",),
        feed="police_contact",
        events=_welfare_checks,
    ),
    Measure(
        name="involuntary_holds",
        label="Involuntary holds",
        title="Involuntary psychiatric holds by the police",
        definition=f"Contacts of type `hold_5150`, one per member and day. {REACH}",
        code_lists=("police_encounters",),
        source=SOURCE,
        confirmed="partial",
        needs=("police_contact",),
        feed="police_contact",
        events=_holds,
        fewer_is_better=True,
    ),
)
