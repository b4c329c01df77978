"""Race and ethnicity group of a member, derived from the codes as recorded.

The display is exclusive, by default with Hispanic before race, so that the groups add up to all
members. A member who declined to answer is in `declined`, one who was never asked or whose code
says nothing is in `unknown`; nobody is dropped and no group is folded into another.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes
from calaim_eval.schema.race_displays import RaceDisplay, check_display, shown_group
from calaim_eval.schema.race_schemas import RaceSchema, race_schema

CODE_COLUMNS = ("race_code", "race_code_system", "ethnicity_code", "ethnicity_code_system")
UNLISTED_RACE = "race code not in code list (kept as unknown)"
SEVERAL_CODES_SEPARATOR = ";"


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


def derive_race_ethnicity(
    persons: pd.DataFrame,
    *,
    schema: str = "as_recorded",
    display: RaceDisplay = "hispanic_first",
    priority: Sequence[str] = (),
) -> pd.DataFrame:
    """Race and ethnicity group of each person (exclusive display).

    Parameters
    ----------
    persons : pd.DataFrame
        One row per member with the columns `race_code`, `race_code_system`, `ethnicity_code` and
        `ethnicity_code_system`; missing where not recorded. Several race codes of one member are
        parted by a semicolon.
    schema : str
        A declared schema (`race_schemas`): whose codes count, and what its standard folds.
    display : {"hispanic_first", "alone", "primary"}
        Which one group a member with several categories is shown in.
    priority : sequence of str
        For `primary`: the order of the categories.

    Returns
    -------
    pd.DataFrame
        Same index. `race_ethnicity`: a group of the code list `race_ethnicity_group`, never
        missing. By default Hispanic in either field wins; else the group of the race code; several
        different groups give ``"multiple"``; an answer refused gives ``"declined"``; anything else
        gives ``"unknown"``. `has_unlisted_code`: a code is not in the code list under its system,
        or not in the schema; the row counts by what its other codes say, ``"unknown"`` where they
        say nothing.

    Raises
    ------
    TableError
        The schema or the display is none, or a member would be in several rows.

    Examples
    --------
    >>> persons = pd.DataFrame({"race_code": ["3", "9", "2106-3"],
    ...                         "race_code_system": ["meds", "meds", "cdc_omb"],
    ...                         "ethnicity_code": [None, None, "2135-2"],
    ...                         "ethnicity_code_system": [None, None, "cdc_omb"]})
    >>> derive_race_ethnicity(persons)["race_ethnicity"].tolist()
    ['black', 'declined', 'hispanic']
    """
    declared = exclusive(schema, display)
    codes = (
        persons[list(CODE_COLUMNS)].astype(object).where(persons[list(CODE_COLUMNS)].notna(), "")
    )
    rows = list(codes.itertuples(index=False, name=None))
    derived = {row: _derive_one(declared, display, tuple(priority), *row) for row in set(rows)}
    return pd.DataFrame(
        [derived[row] for row in rows],
        columns=["race_ethnicity", "has_unlisted_code"],
        index=persons.index,
    )


def exclusive(schema: str, display: str) -> RaceSchema:
    """The schema, once it is sure that the display puts every member in one group."""
    check_display(display)
    if display == "in_combination":
        raise TableError(
            "`race_ethnicity` of a person is one group, and in combination a member is in "
            "several.\n  Use 'hispanic_first', 'alone' or 'primary' here, and "
            "with_race_ethnicity(panel, categories, display='in_combination') for rates."
        )
    return race_schema(schema)


def _derive_one(
    schema: RaceSchema,
    display: RaceDisplay,
    priority: Sequence[str],
    race_code: str,
    race_code_system: str,
    ethnicity_code: str,
    ethnicity_code_system: str,
) -> tuple[str, bool]:
    """Group of one combination of codes, and whether one of them is not in the schema."""
    codes = [(each, race_code_system) for each in race_code.split(SEVERAL_CODES_SEPARATOR)]
    codes.append((ethnicity_code, ethnicity_code_system))
    found = [schema.category_of(code, system) for code, system in codes if code.strip()]
    named = {each for each in found if each is not None}
    return shown_group(named, display=display, priority=priority), None in found
