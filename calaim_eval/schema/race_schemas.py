"""What each source asks about race and ethnicity: its question, its codes, its categories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes

NO_ANSWER = ("declined", "unknown")
"""What a member without a category is: asked and declined, or anything else."""

WORDS = "omb_words"
UNSPLIT, SEVERAL = "asian_pi_unsplit", "multiple"
_T_MSIS_RACE_DIGITS = 3
_OTHER_WORDS = {
    "AMERICAN INDIAN OR ALASKAN NATIVE": "aian",
    "NATIVE HAWAIIAN OR OTHER PACIFIC ISLANDER": "nhpi",
    "HISPANIC": "hispanic",
    "NOT HISPANIC OR LATINO": "",
}


@dataclass(frozen=True, slots=True)
class RaceSchema:
    """How a source records race and ethnicity.

    Attributes
    ----------
    name, title : str
    question : str
        What is asked, in words.
    systems : tuple[str, ...]
        Code systems a value is looked up in when nothing names its system.
    translates : tuple[str, ...]
        Code systems that are read as well, where the row names them.
    categories : tuple[str, ...]
        Categories a member can have, in display order; `declined` and `unknown` are none.
    folds : Mapping[str, str]
        Categories that this standard counts in another, by its own definition.
    columns : Mapping[str, Mapping[str, str]]
        Yes/no columns of the source: column, code, category. A code of no category is ``""``.
    labels : Mapping[tuple[str, str], str]
        Words for the codes of those columns.
    allows_several : bool
        Whether a member can have more than one category.
    source, confirmed, notes : str
        Where this comes from, and whether a public page says so (``yes``, ``partial``, ``no``).
    """

    name: str
    title: str
    question: str
    systems: tuple[str, ...]
    translates: tuple[str, ...]
    categories: tuple[str, ...]
    folds: Mapping[str, str]
    allows_several: bool
    source: str
    confirmed: str
    notes: str
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    labels: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def category_of(self, code: str, system: str | None = None) -> str | None:
        """Category of one recorded code; ``""`` names none, None is not in the schema.

        Parameters
        ----------
        code : str
            As recorded; case and surrounding spaces do not matter.
        system : str, optional
            Code system, where the row names it.

        Examples
        --------
        >>> race_schema("omb_1997").category_of("2118-8"), race_schema("meds").category_of("3")
        ('white', 'black')
        """
        if system is not None and system not in (*self.systems, *self.translates):
            return None
        for each in self.systems if system is None else (system,):
            found = group_of_code().get(code_key(each, code))
            if found is not None:
                found = self.folds.get(found, found)
                return found if found in (*self.categories, *NO_ANSWER, "") else None
        return None


def race_schemas() -> tuple[str, ...]:
    """Names of the declared schemas.

    Examples
    --------
    >>> race_schemas()[:3]
    ('as_recorded', 'meds', 'x12_834')
    """
    return tuple(load_codes("race_ethnicity_schema")["schema"])


@cache
def race_schema(name: str) -> RaceSchema:
    """The declared schema of that name.

    Raises
    ------
    TableError
        No schema has that name; the message names those there are.

    Examples
    --------
    >>> race_schema("omb_2024").allows_several
    True
    """
    listed = load_codes("race_ethnicity_schema").set_index("schema")
    if name not in listed.index:
        known = ", ".join(f"`{each}`" for each in listed.index)
        raise TableError(f"no race and ethnicity schema is named `{name}`.\n  Schemas: {known}.")
    row = listed.loc[name]
    codes = load_codes("race_ethnicity_column")
    codes = codes[codes["schema"] == name]
    columns: dict[str, dict[str, str]] = {}
    for each in codes.itertuples():
        columns.setdefault(str(each.column), {})[str(each.code)] = str(each.category)
    return RaceSchema(
        name=name,
        title=row["title"],
        question=row["question"],
        systems=_parts(row["systems"]),
        translates=_parts(row["translates"]),
        categories=_parts(row["categories"]),
        folds=dict(each.split(":") for each in _parts(row["folds"])),
        allows_several=row["several"] == "yes",
        source=row["source"],
        confirmed=row["confirmed"],
        notes=row["notes"],
        columns=columns,
        labels={(str(e.column), str(e.code)): str(e.label) for e in codes.itertuples()},
    )


def code_key(system: str, code: str) -> tuple[str, str]:
    """System and code, with the zeros a spreadsheet strips from T-MSIS race codes put back."""
    text = code.strip().upper()
    if system == "tmsis_race" and text.isdigit():
        text = text.zfill(_T_MSIS_RACE_DIGITS)
    return system, text


@cache
def group_of_code() -> dict[tuple[str, str], str]:
    """System and code to category; ``""`` for a code that names none (such as not Hispanic)."""
    crosswalk = load_codes("race_ethnicity_crosswalk")
    keys = zip(crosswalk["source_system"], crosswalk["code"].str.upper(), strict=True)
    listed = dict(zip(keys, crosswalk["analysis_group_8"], strict=True))
    groups = load_codes("race_ethnicity_group")
    own = {("analysis_group", each.upper()): each for each in groups["race_ethnicity"]}
    words = {(WORDS, each.upper()): each for each in groups["race_ethnicity"]}
    labels = zip(groups["label"].str.upper(), groups["race_ethnicity"], strict=True)
    words |= {(WORDS, label): group for label, group in labels}
    words |= {(WORDS, word): group for word, group in _OTHER_WORDS.items()}
    return {**listed, **own, **words}


def _parts(text: str) -> tuple[str, ...]:
    """Parts of a cell of the code list."""
    return tuple(each for each in text.split(";") if each)
