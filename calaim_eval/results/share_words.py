"""A share in words from which no count follows."""

from __future__ import annotations

FEW = 11
"""Counts from 1 to 10 are never written out (CalHHS data de-identification guidelines)."""
_STEPS = (1, 2, 5, 10, 25)


def share_words(part: float, whole: float) -> str:
    """A share of members for a note, in steps of 11 members or more.

    A reader may know the whole: a whole percent of 400 members is 4 of them. So the step is the
    first of 1, 2, 5, 10 and 25 percent that is 11 members or more.

    Parameters
    ----------
    part, whole : float
        Members, ``0 <= part <= whole``.

    Returns
    -------
    str
        e.g. ``"about 25 %"``; of fewer than 44 members only "about half"; withheld where 1 to 10
        members are on either side.

    Examples
    --------
    >>> share_words(2_512, 10_000), share_words(101, 400), share_words(3, 400)
    ('about 25 %', 'about 25 %', 'a share that rests on fewer than 11 members')
    """
    if 0 < part < FEW or 0 < whole - part < FEW or whole < FEW:
        return f"a share that rests on fewer than {FEW} members"
    step = next((s for s in _STEPS if whole * s >= 100 * FEW), None)
    if step is None:
        return "none" if part == 0 else "all" if part == whole else "about half"
    percent = step * round(100 * part / whole / step)
    if percent == 0:
        return f"less than {step} %"
    return f"more than {100 - step} %" if percent == 100 else f"about {percent} %"
