"""Race and ethnicity group of a member, derived from the codes as recorded.

The display is exclusive: Hispanic overrides race, so the groups add up to all members. A member
who declined to answer is in `declined`, one who was never asked or whose code says nothing is in
`unknown`; nobody is dropped and no group is folded into another.
"""

from __future__ import annotations

from functools import cache

import pandas as pd

from calaim_eval.schema.codes import load_codes

CODE_COLUMNS = ("race_code", "race_code_system", "ethnicity_code", "ethnicity_code_system")
UNLISTED_RACE = "race code not in code list (kept as unknown)"
SEVERAL_CODES_SEPARATOR = ";"
_NO_ANSWER = frozenset({"declined", "unknown"})
_T_MSIS_RACE_DIGITS = 3


def race_ethnicity_groups() -> tuple[str, ...]:
    """Group ids in display order, `declined` and `unknown` last.

    Examples
    --------
    >>> race_ethnicity_groups()[0], race_ethnicity_groups()[-1]
    ('aian', 'unknown')
    """
    groups = load_codes("race_ethnicity_group")
    order = groups["sort_order"].astype(int).sort_values().index
    return tuple(groups.loc[order, "race_ethnicity"])


def derive_race_ethnicity(persons: pd.DataFrame) -> pd.DataFrame:
    """Race and ethnicity group of each person (exclusive display).

    Parameters
    ----------
    persons : pd.DataFrame
        One row per member with the columns `race_code`, `race_code_system`, `ethnicity_code` and
        `ethnicity_code_system`; missing where not recorded. Several race codes of one member are
        parted by a semicolon.

    Returns
    -------
    pd.DataFrame
        Same index. `race_ethnicity`: a group of the code list `race_ethnicity_group`, never
        missing. Hispanic in either field wins; else the group of the race code; several different
        groups give ``"multiple"``; an answer refused gives ``"declined"``; anything else gives
        ``"unknown"``. `has_unlisted_code`: a code is not in the code list under its system; the
        row counts by what its other codes say, ``"unknown"`` where they say nothing.

    Examples
    --------
    >>> persons = pd.DataFrame({"race_code": ["3", "9", "2106-3"],
    ...                         "race_code_system": ["meds", "meds", "cdc_omb"],
    ...                         "ethnicity_code": [None, None, "2135-2"],
    ...                         "ethnicity_code_system": [None, None, "cdc_omb"]})
    >>> derive_race_ethnicity(persons)["race_ethnicity"].tolist()
    ['black', 'declined', 'hispanic']
    """
    codes = (
        persons[list(CODE_COLUMNS)].astype(object).where(persons[list(CODE_COLUMNS)].notna(), "")
    )
    rows = list(codes.itertuples(index=False, name=None))
    derived = {row: _derive_one(*row) for row in set(rows)}
    return pd.DataFrame(
        [derived[row] for row in rows],
        columns=["race_ethnicity", "has_unlisted_code"],
        index=persons.index,
    )


def _derive_one(
    race_code: str, race_code_system: str, ethnicity_code: str, ethnicity_code_system: str
) -> tuple[str, bool]:
    """Group of one combination of codes, and whether one of them is not in the code list."""
    keys = [
        _code_key(race_code_system, code)
        for code in race_code.split(SEVERAL_CODES_SEPARATOR)
        if code.strip()
    ]
    if ethnicity_code.strip():
        keys.append(_code_key(ethnicity_code_system, ethnicity_code))
    groups = {_group_of_code()[key] for key in keys if key in _group_of_code()} - {""}
    return _exclusive_group(groups), any(key not in _group_of_code() for key in keys)


def _exclusive_group(groups: set[str]) -> str:
    """One group out of all a member's codes name."""
    if "hispanic" in groups:
        return "hispanic"
    named = groups - _NO_ANSWER
    if len(named) > 1:
        return "multiple"
    if named:
        return named.pop()
    return "declined" if "declined" in groups else "unknown"


def _code_key(system: str, code: str) -> tuple[str, str]:
    """System and code, with the zeros a spreadsheet strips from T-MSIS race codes put back."""
    text = code.strip().upper()
    if system == "tmsis_race" and text.isdigit():
        text = text.zfill(_T_MSIS_RACE_DIGITS)
    return system, text


@cache
def _group_of_code() -> dict[tuple[str, str], str]:
    """System and code to group; "" for a code that names no group (such as not Hispanic)."""
    crosswalk = load_codes("race_ethnicity_crosswalk")
    systems, codes = crosswalk["source_system"], crosswalk["code"].str.upper()
    listed = dict(zip(zip(systems, codes, strict=True), crosswalk["analysis_group_8"], strict=True))
    own = {("analysis_group", group.upper()): group for group in race_ethnicity_groups()}
    return {**listed, **own}
