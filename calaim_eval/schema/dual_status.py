"""What a Medicare-Medicaid dual status code means, from the code list `dual_status`.

`kind` of a code: ``full`` or ``partial`` dual, ``kind_not_told`` (dual, the source tells no more),
``not_dual``, or ``not_known`` (nobody knows whether). A code that is not in the list counts as
dual: that leaves a month out and does not take one in whose claims Medicare has.
"""

from __future__ import annotations

from calaim_eval.schema.codes import load_codes

_DIGITS = 2


def dual_codes(*kinds: str) -> tuple[str, ...]:
    """Dual status codes of some kinds, in the order of the list.

    Parameters
    ----------
    *kinds : str
        Of ``"full"``, ``"partial"``, ``"kind_not_told"``, ``"not_dual"``, ``"not_known"``.

    Examples
    --------
    >>> dual_codes("full")
    ('02', '04', '08', '10')
    """
    codes = load_codes("dual_status")
    return tuple(codes.loc[codes["kind"].isin(kinds), "code"])


def not_dual_spellings(*, of_medicare: bool = False) -> tuple[str, ...]:
    """Codes that do not make a month dual, also as the tables hold them once they are read.

    A member of Medicaid is dual with Medicare: whatever a code says of Medicaid (``09``: without
    its coverage), it makes the month dual if it says Medicare. A member of Medicare
    (`of_medicare`) is dual with Medicaid, as `kind` says.

    Reading puts zeros before a code of one character, whatever it is: ``N`` becomes ``0N``.

    Parameters
    ----------
    of_medicare : bool
        Medicare is itself a line of business of the study.
    """
    codes = load_codes("dual_status")
    is_not = codes["kind"].isin(["not_dual", "not_known"])
    if not of_medicare:
        is_not &= codes["has_medicare"] != "yes"
    told = codes.loc[is_not, "code"]
    return ("", *dict.fromkeys((*told, *(code.rjust(_DIGITS, "0") for code in told))))


FULL_DUAL = dual_codes("full")
PARTIAL_DUAL = dual_codes("partial")
NOT_DUAL = dual_codes("not_dual")
NOT_KNOWN_DUAL = dual_codes("not_known")
(DUAL_KIND_NOT_TOLD,) = dual_codes("kind_not_told")
"""Written where a source says dual and no more."""
