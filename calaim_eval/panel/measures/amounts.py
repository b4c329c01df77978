"""What the plan paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def _paid(care: Care) -> Table:
    """Dollars by member and month, one row each."""
    import ibis

    paid = list(care.paid.values())
    if len(paid) == 1:
        return paid[0]
    both = ibis.union(*paid)
    return both.group_by("member", "month", "landing").agg(value=both["value"].sum())


MEASURES = (
    Measure(
        name="paid_usd",
        label="Paid",
        title="Amount paid",
        unit="USD per member-month",
        per=1.0,
        dtype="number",
        definition="Amount the plan paid on final medical claim lines with service in the month; "
        "missing where no claim carries an amount. Fills are left out unless the rule "
        "`paid_claims` takes them in: outpatient pharmacy left the plans on 2022-01-01, the day "
        "ECM began.",
        source="plan claims; capitated encounters may carry no price",
        confirmed="partial",
        events=_paid,
    ),
)
