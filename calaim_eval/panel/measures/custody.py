"""Days in jail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def _jail_days(care: Care) -> Table:
    """Days by month."""
    return care.jail.select("member", "month", value="n_days")


MEASURES = (
    Measure(
        name="jail_days",
        label="Jail days",
        title="Days in jail",
        definition="Days of the month with any time in custody, overlapping spells merged; the "
        "days of booking and release count. Missing without a custody feed.",
        code_lists=("jail_days",),
        source="county sheriff match; exposure rule unconfirmed",
        confirmed="partial",
        needs=("custody",),
        events=_jail_days,
        fewer_is_better=True,
    ),
)
