"""Days in jail and bookings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

REACH = (
    "Missing without the feed and, where `feed_coverage` names it, in months in which it does not "
    "cover the member's county from the first day to the last."
)


def _jail_days(care: Care) -> Table:
    """Days by month."""
    return care.jail.select("member", "month", value="n_days")


def _bookings(care: Care) -> Table:
    """One row per member and day of booking."""
    from calaim_eval.panel.community import bookings

    return bookings(care.bucket)


MEASURES = (
    Measure(
        name="jail_days",
        label="Jail days",
        title="Days in jail",
        definition="Days of the month with any time in custody, overlapping spells merged; the "
        "days of booking and release count. A spell without a release runs to the end of the "
        f"window, or to death. {REACH}",
        code_lists=("jail_days",),
        source="county sheriff match; exposure rule unconfirmed",
        confirmed="partial",
        needs=("custody",),
        feed="custody",
        events=_jail_days,
        fewer_is_better=True,
    ),
    Measure(
        name="bookings",
        label="Jail bookings",
        title="Bookings into jail",
        definition="Bookings in the month by the table `custody`, one per member and day of "
        f"booking. {REACH}",
        code_lists=("jail_days",),
        source="county sheriff match; exposure rule unconfirmed",
        confirmed="partial",
        needs=("custody",),
        feed="custody",
        events=_bookings,
        fewer_is_better=True,
    ),
)
