"""The `person` table: demographics as the eligibility system records them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import Calendar
from calaim_eval.simulate.columns import (
    NO_DAY,
    date_column,
    id_column,
    object_column,
    text_column,
)
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.people import People, races
from calaim_eval.simulate.race_codes import RecordedRace

if TYPE_CHECKING:
    import pyarrow as pa

_SEXES = ("male", "female", "unknown")
_LANGUAGES = ("English", "Spanish", "Chinese", "Vietnamese", "Tagalog", "Korean", "Arabic")
_LANGUAGE_SHARES = {
    "hispanic": (0.52, 0.48, 0, 0, 0, 0, 0),
    "asian": (0.45, 0, 0.25, 0.17, 0.08, 0.05, 0),
    "mena": (0.6, 0, 0, 0, 0, 0, 0.4),
}
_ENGLISH_MOSTLY = (0.97, 0.03, 0, 0, 0, 0, 0)


def person_columns(
    people: People,
    race: RecordedRace,
    counties: Counties,
    *,
    calendar: Calendar,
    parameters: Parameters,
    injected: Counter[str],
    rng: np.random.Generator,
) -> dict[str, pa.Array]:
    """Columns of the `person` table; a few rows are repeated exactly."""
    share = parameters.value("messiness_share", "person_duplicated")
    again = np.flatnonzero(rng.random(people.n) < share)
    injected["person_duplicated"] += len(again)
    sex = np.where(rng.random(people.n) < 0.002, 2, people.is_female.astype(np.int64))
    language = _language(people, parameters, rng)
    rows = np.sort(np.concatenate([np.arange(people.n), again]))
    is_dead = people.death_day <= calendar.end_day
    death = np.where(is_dead, people.death_day, NO_DAY)
    return {
        "member_id": id_column("M", people.number[rows], width=9),
        "birth_date": date_column(people.birth_day[rows]),
        "death_date": date_column(death[rows]),
        "sex": text_column(sex[rows], _SEXES),
        "race_code": object_column(race.race_code[rows]),
        "race_code_system": object_column(race.race_code_system[rows]),
        "ethnicity_code": object_column(race.ethnicity_code[rows]),
        "ethnicity_code_system": object_column(race.ethnicity_code_system[rows]),
        "language": text_column(language[rows], _LANGUAGES),
        "county": text_column(people.county[rows], counties.names),
    }


def _language(
    people: People, parameters: Parameters, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Preferred language by group."""
    shares = np.array([_LANGUAGE_SHARES.get(group, _ENGLISH_MOSTLY) for group in races(parameters)])
    cut = np.cumsum(shares, axis=1)[people.race]
    passed: NDArray[np.int64] = (rng.random(people.n)[:, None] > cut).sum(axis=1)
    return np.minimum(passed, len(_LANGUAGES) - 1)
