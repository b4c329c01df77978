"""Transports in the records of emergency medical services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure
from calaim_eval.panel.measures.custody import REACH

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def _transports(care: Care) -> Table:
    """One row per member and day of a call."""
    from calaim_eval.panel.community import ems_transports

    return ems_transports(care.bucket)


MEASURES = (
    Measure(
        name="ems_transports",
        label="EMS transports",
        title="Transports by emergency medical services",
        definition="Calls of the table `ems_call` that ended in a transport (`is_transported`), "
        "one per member and day of the call; a call of which it is not known does not count. It "
        f"overlaps `ambulance_trips`, which are told from claims: never add them. {REACH}",
        source="local EMS agency match; rules unconfirmed",
        confirmed="no",
        needs=("ems_call",),
        feed="ems_call",
        events=_transports,
        fewer_is_better=True,
    ),
)
