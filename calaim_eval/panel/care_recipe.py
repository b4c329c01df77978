"""The recipe that counts the care of a member bucket: its claims to the files of `care_files`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import ibis
import pandas as pd

from calaim_eval.engine import Recipe
from calaim_eval.panel.bucket import Bucket, NoWindowError
from calaim_eval.panel.care import Care
from calaim_eval.panel.care_files import (
    CONTACTS,
    EXPOSURE,
    LINES,
    UNCLASSIFIED,
    alone_name,
    every_measure,
    sums_name,
)
from calaim_eval.panel.claim_stage import claim_stage
from calaim_eval.panel.emergency_lines import is_ed_on_stay
from calaim_eval.panel.exposure import member_exposure
from calaim_eval.panel.inpatient_lines import STAY_LINES, is_inpatient, is_psychiatric
from calaim_eval.panel.monthly import dated
from calaim_eval.panel.observation_lines import (
    is_observation_facility,
    is_observation_professional,
)
from calaim_eval.panel.planned_stays import PROCEDURES

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.measure import LineKind, Measure
    from calaim_eval.panel.rules import PanelRules

_OF_STAYS: tuple[LineKind, ...] = (
    *STAY_LINES,
    is_psychiatric,
    is_ed_on_stay,
    is_observation_facility,
    is_observation_professional,
)
"""Kinds of claim line that only the pieces for stays are built from."""


@dataclass(frozen=True)
class CareRecipe:
    """What to run on each bucket.

    Attributes
    ----------
    recipe : Recipe
        Reads the tables of a bucket, writes the files of `care_files.file_names`.
    events : tuple of str
        Measures whose events are counted, in the order of their numbers.
    kinds : tuple of (str, int)
        Kinds of claim line that are written, with the number of each.
    """

    recipe: Recipe
    events: tuple[str, ...]
    kinds: tuple[tuple[str, int], ...]


@lru_cache(maxsize=4)
def care_recipe(names: tuple[str, ...], rules: PanelRules) -> CareRecipe:
    """The steps of `count_care` for a bucket with some tables."""
    recipe = Recipe()
    bucket = Bucket(recipe, frozenset(names), pd.PeriodIndex([], freq="M"), rules)
    stage = claim_stage(bucket, every_measure())
    care = Care(bucket, stage.lines, stage.contacts, stage.fills)
    counted, others = _counted(care)
    kinds = _kinds(others, with_inpatient=bucket.has(PROCEDURES))
    by_member = {
        "events": (_events(counted), ("member", "month", "measure")),
        "stays": (care.stays, ("member", "admit_day")),
        "episodes": (care.episodes, ("member", "admit_day")),
        "observation_stays": (care.observation_stays, ("member", "day")),
        EXPOSURE: (member_exposure(bucket, stage.contacts), ("member_id", "service")),
        "populations": (care.populations, ("member", "population", "month")),
        CONTACTS: (stage.contacts, ("member", "day")),
        UNCLASSIFIED: (stage.unclassified, ("hcpcs_code",)),
        LINES: (care.lines_of(*kinds), ("member", "day")),
    }
    for table, sums in stage.sums.items():
        by_member[sums_name(table)] = (sums, ("member", "month", "standing"))
        by_member[alone_name(table)] = (stage.acting_alone[table], ("n",))
    for name, (rows, order) in by_member.items():
        recipe.write(name, rows, order_by=order)
    numbers = tuple((kind.__name__, stage.lines.kinds[kind.__name__]) for kind in kinds)
    return CareRecipe(recipe, tuple(measure.name for measure, _ in counted), numbers)


def _counted(care: Care) -> tuple[list[tuple[Measure, Table]], list[Measure]]:
    """Measures with their events; and those that ask for the window or the months of the panel."""
    counted, others = [], []
    for measure in every_measure():
        try:
            if measure.is_landed:
                raise NoWindowError  # noqa: TRY301
            counted.append((measure, dated(measure.events(care))))
        except NoWindowError:
            others.append(measure)
    return counted, others


def _events(counted: Sequence[tuple[Measure, Table]]) -> Table:
    """Events of the measures by their number; whole ones added up by member and month."""
    tables = []
    for number, (measure, found) in enumerate(counted):
        told = found
        if measure.dtype == "integer":
            told = found.group_by("member", "month").agg(value=found["value"].sum())
        tables.append(
            told.select("member", "month", "value", measure=ibis.literal(number, "int16"))
        )
    return ibis.union(*tables)


def _kinds(measures: Sequence[Measure], *, with_inpatient: bool) -> list[LineKind]:
    """Kinds of claim line that some measures read off the lines themselves, each once.

    Inpatient lines are among them where procedures find their claims by them.
    """
    asked = [kind for measure in measures for kind in measure.line_kinds]
    kinds = [kind for kind in dict.fromkeys(asked) if kind not in _OF_STAYS]
    return [*kinds, is_inpatient] if with_inpatient else kinds
