"""Observation stays: hospital days without an admission.

1. The days of a facility's observation lines that follow one another are one stay.
2. A professional's observation line is a stay of its own only where no facility's observation stay
   is within a day of it.
3. An observation stay that led to an inpatient stay, or was part of one, is none
   (`emergency.ends_in_stay`): the inpatient stay is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.emergency import NEAR_DAYS, ends_in_stay
from calaim_eval.panel.observation_lines import (
    is_observation_facility,
    is_observation_professional,
)
from calaim_eval.panel.spans import islands

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def observation_stays(care: Care) -> Table:
    """One row per stay.

    Returns
    -------
    Table
        `member`; `facility`, empty where it is not known or a professional's claim alone tells of
        the stay; `day` and `last_day`; `disposition` and `diagnosis`, each the last in the
        alphabet and the first among the claims of the stay.
    """
    lines = care.lines_of(is_observation_facility)
    here = ibis.coalesce(lines["facility_npi"], lines["rendering_npi"], "")
    facility = _joined(lines.mutate(facility=here))
    facility = care.bucket.keep("observation_facility", facility)
    alone = _joined(care.lines_of(is_observation_professional).mutate(facility=ibis.literal("")))
    alone = alone.anti_join(
        facility,
        [
            alone["member"] == facility["member"],
            alone["day"] <= facility["last_day"] + NEAR_DAYS,
            alone["last_day"] >= facility["day"] - NEAR_DAYS,
        ],
    )
    found = care.bucket.keep("observation_found", ibis.union(facility, alone))
    return found.anti_join(care.stays, ends_in_stay(found, care.stays))


def _joined(lines: Table) -> Table:
    """Lines of one member and facility on days that follow one another, as one row."""
    days = lines.group_by("member", "facility", "day", "last_day").agg(
        disposition=lines["discharge_disposition_code"].max().fill_null(""),
        diagnosis=lines["diagnosis_code_1"].min(),
    )
    reaching = days.mutate(reach_day=days["last_day"] + 1)
    key = ["member", "facility"]
    numbered = islands(reaching, by=key, start="day", reach="reach_day")
    stays = numbered.group_by([*key, "island"]).agg(
        day=numbered["day"].min(),
        last_day=numbered["last_day"].max(),
        disposition=numbered["disposition"].max(),
        diagnosis=numbered["diagnosis"].min(),
    )
    return stays.drop("island")
