"""Names of organizations as they compare: without case, accents, punctuation and legal form."""

from __future__ import annotations

import re
import unicodedata

LEGAL_FORMS = frozenset(
    {
        *("inc", "incorporated", "llc", "lllp", "llp", "lp", "ltd", "corp", "corporation", "co"),
        *("company", "pc", "apc", "pllc", "nonprofit", "dba", "the", "of", "a"),
    }
)
"""Words that tell no organization from another."""
_SAME = {
    "&": " and ",
    "+": " and ",
    "@": " at ",
}
_SHORT = {
    "ctr": "center",
    "centre": "center",
    "svc": "services",
    "svcs": "services",
    "srvs": "services",
    "service": "services",
    "cnty": "county",
    "dept": "department",
    "hlth": "health",
    "assn": "association",
    "assoc": "association",
    "comm": "community",
    "st": "saint",
    "mt": "mount",
    "fdn": "foundation",
    "fndn": "foundation",
    "intl": "international",
    "natl": "national",
    "hsg": "housing",
    "org": "organization",
}


def plain_name(name: object) -> str:
    """A name as it compares; empty where there is none.

    Examples
    --------
    >>> plain_name("The Saint Agnes Hlth. Ctr., Inc.")
    'saint agnes health center'
    >>> plain_name("Casa de la Esperanza & Cía")
    'casa de la esperanza and cia'
    """
    if not isinstance(name, str):
        return ""
    text = unicodedata.normalize("NFKD", name.casefold())
    text = "".join(c for c in text if not unicodedata.combining(c))
    for sign, word in _SAME.items():
        text = text.replace(sign, word)
    text = re.sub(r"['’.]", "", text)
    words = [_SHORT.get(word, word) for word in re.sub(r"[^\w]+", " ", text).split()]
    kept = [word for word in words if word not in LEGAL_FORMS]
    return " ".join(kept or words)
