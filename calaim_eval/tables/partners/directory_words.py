"""What resource directories say in words: counties, ownership, whether a service is active."""

from __future__ import annotations

import re
from functools import cache

from calaim_eval.schema.codes import load_codes

STATE = "state"
_STATE_NAMES = frozenset({"california", "ca", "state of california"})
_WHOLE_STATE = "statewide"
_PARTS = re.compile(r"[;,/|&\n]| and ")
_COUNTY_WORD = re.compile(r"(?i)^county of\s+|\s+county$|\s+counties$")
_OWNERSHIP = (
    (
        "nonprofit",
        (
            "nonprofit",
            "non-profit",
            "non profit",
            "not-for-profit",
            "not for profit",
            "501(c)",
            "501c",
        ),
    ),
    ("for_profit", ("for-profit", "for profit", "private practice", "commercial", "proprietary")),
    ("public", ("government", "city", "county", "state", "federal", "public", "tribal government")),
)
_NOT_OF_A_GOVERNMENT = re.compile(
    r"non-?government\w*|public(?:ly\b| benefit)|(?:state|county|city)wide"
)
_INACTIVE = ("inactive", "defunct", "closed", "deleted", "suspended", "temporarily closed")


@cache
def _county_names() -> dict[str, str]:
    """County name in lower case to the name of the code list."""
    return {name.lower(): name for name in load_codes("county")["county"]}


def counties_in(text: str | None) -> tuple[tuple[str, ...], bool]:
    """Counties a text names, and whether it names the whole state.

    Only a part of the text that is nothing but a county's name counts: "Kings County; Tulare" is
    two, "near Lake Shasta" is none. A county with its state behind is no whole state.

    Examples
    --------
    >>> counties_in("Kings County; Tulare")
    (('Kings', 'Tulare'), False)
    >>> counties_in("near Lake Shasta")
    ((), False)
    >>> counties_in("California")
    ((), True)
    >>> counties_in("Kings County, CA")
    (('Kings',), False)
    """
    parts = [part.strip() for part in _PARTS.split(text or "")]
    plain = [_COUNTY_WORD.sub("", part).strip().lower() for part in parts]
    names = _county_names()
    found = tuple(dict.fromkeys(names[each] for each in plain if each in names))
    is_state = not found and any(each in _STATE_NAMES for each in plain)
    return found, is_state or _WHOLE_STATE in plain


def ownership_of(text: str | None) -> str | None:
    """Tax status a text names; missing where it names none that is known.

    Examples
    --------
    >>> ownership_of("Nonprofit - Incorporated"), ownership_of("Government - City")
    ('nonprofit', 'public')
    >>> ownership_of("None or unknown") is None
    True
    """
    plain = _NOT_OF_A_GOVERNMENT.sub("", (text or "").lower())
    for ownership, words in _OWNERSHIP:
        if any(re.search(rf"(?<!\w){re.escape(word)}", plain) for word in words):
            return ownership
    return None


def status_of(text: str | None) -> str:
    """Whether an entry is active, as far as it says."""
    plain = (text or "").strip().lower()
    if plain == "active":
        return "active"
    return "inactive" if plain in _INACTIVE else "unknown"
