"""What the programs do: ECM services and outreach, Community Supports received. Never outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

_SAN_DIEGO = "public SQL of a San Diego plan"


def _events(care: Care, program: str, kind: str) -> Table:
    """Contacts of one kind, one per member, service and day."""
    from calaim_eval.panel.program_contacts import contact_events

    return contact_events(care.contacts, program=program, kind=kind)


def _ecm_services(care: Care) -> Table:
    """ECM core services."""
    return _events(care, "ecm", "service")


def _ecm_outreach(care: Care) -> Table:
    """ECM outreach attempts."""
    return _events(care, "ecm", "outreach")


def _supports(care: Care) -> Table:
    """Community Supports received."""
    return _events(care, "community_support", "service")


MEASURES = (
    Measure(
        name="ecm_services",
        label="ECM services",
        title="ECM services",
        definition="ECM core services (G9008 with U1, or G9012 with U2, in any modifier slot; or a "
        "service record), one per member and day; outreach apart.",
        code_lists=("ecm_enrolled_month",),
        source=_SAN_DIEGO,
        confirmed="partial",
        role="exposure",
        needs=("medical_claim", "program_service"),
        events=_ecm_services,
    ),
    Measure(
        name="ecm_outreach",
        label="ECM outreach attempts",
        title="ECM outreach attempts",
        definition="ECM outreach (G9008, G9012 with U8 in any modifier slot, or an outreach "
        "record), reached or not, one per member and day.",
        code_lists=("ecm_enrolled_month",),
        source=_SAN_DIEGO,
        confirmed="partial",
        role="exposure",
        needs=("medical_claim", "program_service"),
        events=_ecm_outreach,
    ),
    Measure(
        name="community_support_services",
        label="Community Support services",
        title="Community Support services",
        definition="Community Supports received, one per member, support and day; authorizations "
        "and outreach are not services.",
        source=f"{_SAN_DIEGO} citing the DHCS HCPCS coding guidance",
        confirmed="partial",
        role="exposure",
        needs=("medical_claim", "program_service"),
        events=_supports,
    ),
)
