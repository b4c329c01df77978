"""Words a reader sees in place of codes: groups, outcomes, services, organizations, steps."""

from __future__ import annotations

import textwrap
from functools import cache

from calaim_eval.panel.measures import MEASURES
from calaim_eval.results import ALL
from calaim_eval.schema.codes import load_codes

OUTCOMES = {name: measure.title for name, measure in MEASURES.items()}
"""Names of outcomes in the order a reader looks for them."""

FEWER_IS_BETTER = frozenset(name for name, each in MEASURES.items() if each.fewer_is_better)
"""Outcomes of which fewer are better."""

ORGANIZATION_TYPES = {
    "cbo": "Community-based organization (non-profit)",
    "clinic": "Clinic",
    "hospital": "Hospital",
    "county_agency": "County agency",
    "tribal": "Tribal organization",
    "for_profit": "For-profit organization",
    "unknown": "Not classified",
}
ACCESS_STAGES = {
    "identified": "Identified as eligible",
    "outreached": "Reached by outreach",
    "served": "Served",
    "cbo_served": "Served by a community-based organization",
}
REFERRAL_STEPS = {
    "referred": "Referred",
    "authorized": "Authorized",
    "accepted": "Accepted",
    "reached": "Member reached",
    "started": "Service started",
    "closed": "Closed",
}
ANCHORS = {
    "first_outreach": "From first outreach (served or not)",
    "first_service": "From first service (as treated)",
}
LOCAL_DEFINITIONS = {
    "cbo": "Community-based organizations",
    "cbo_headquartered_where_contracted": "with headquarters in a county where they contract",
    "cbo_before_calaim": "at work before CalAIM",
    "local_cbo": "both: local",
    "local_cbo_if_unrecorded_are_local": "both, counting unrecorded as local",
}
SIDES = {
    "exposed": "Members served",
    "comparison": "Comparison members",
    "all_members": "All members",
}
_SERVICES_NOT_IN_LIST = {
    "ecm": "Enhanced Care Management",
    "any_community_support": "Any Community Support",
    ALL: "All services",
}


@cache
def _race_labels() -> dict[str, str]:
    """Group code to label, in the order of the code list, the total last."""
    codes = load_codes("race_ethnicity_group")
    order = codes["sort_order"].astype(int).sort_values().index
    labels = dict(zip(codes.loc[order, "race_ethnicity"], codes.loc[order, "label"], strict=True))
    return labels | {ALL: "All members"}


_SHORT_RACE_LABELS = {"asian_pi_unsplit": "Asian or Pacific Islander, unsplit"}
"""Labels too long for a line of a figure; the tables give them in full."""


def short_race_label(code: str) -> str:
    """Label of a race and ethnicity group on one line of a figure."""
    return _SHORT_RACE_LABELS.get(code, race_label(code))


@cache
def _service_labels() -> dict[str, str]:
    codes = load_codes("community_support")
    supports = dict(zip(codes["service"], codes["short_name"], strict=True))
    return {"ecm": _SERVICES_NOT_IN_LIST["ecm"]} | supports | _SERVICES_NOT_IN_LIST


def race_label(code: str) -> str:
    """Label of a race and ethnicity group, from the code list; ``"all"`` is all members."""
    return _race_labels().get(code, readable(code))


def race_order() -> tuple[str, ...]:
    """Group codes in the order of the code list (alphabetical, unknown last), then ``"all"``."""
    return tuple(_race_labels())


def outcome_label(code: str) -> str:
    """Name of a utilization outcome."""
    return OUTCOMES.get(code, readable(code))


_LEADERSHIP = {
    "nhpi_led": "NHPI-led",
    "other_bipoc_led": "Other BIPOC-led",
    "not_reported": "Leadership not reported",
    "unknown": "Leadership not known",
    ALL: "All organizations",
}


def leadership_label(code: str) -> str:
    """Who leads an organization, for a reader."""
    return _LEADERSHIP.get(code, readable(code).replace(" led", "-led"))


def service_label(code: str) -> str:
    """Short name of a Community Support, or of Enhanced Care Management."""
    return _service_labels().get(code, readable(code))


def service_order() -> tuple[str, ...]:
    """Enhanced Care Management, the Community Supports in list order, then totals."""
    return tuple(_service_labels())


def quarter_label(code: str) -> str:
    """``2022Q1`` as ``Q1 2022``."""
    return f"{code[4:]} {code[:4]}"


def month_label(code: str) -> str:
    """``2021-01`` as ``January 2021``."""
    import calendar

    return f"{calendar.month_name[int(code[5:7])]} {code[:4]}"


def readable(code: str) -> str:
    """A code as words, for one that no list explains."""
    return str(code).replace("_", " ").strip().capitalize()


def wrap(label: str, *, width: int) -> str:
    """A label broken into lines of at most `width` characters."""
    return (
        "\n".join(textwrap.wrap(label, width=width, break_long_words=False, break_on_hyphens=False))
        or label
    )


def ordered(codes: object, *, order: tuple[str, ...]) -> list[str]:
    """Codes present, in the given order; those the order does not know follow, sorted."""
    present = list(dict.fromkeys(str(code) for code in codes))  # type: ignore[attr-defined]
    known = [code for code in dict.fromkeys(order) if code in present]
    return known + sorted(code for code in present if code not in order)
