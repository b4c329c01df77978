"""What the plan paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.data_facts import DataFacts
    from calaim_eval.panel.rules import PanelRules


def _paid(care: Care) -> Table:
    """Dollars by member and month, one row each."""
    import ibis

    paid = list(care.paid.values())
    if len(paid) == 1:
        return paid[0]
    both = ibis.union(*paid)
    return both.group_by("member", "month").agg(value=both["value"].sum())


def _untold(facts: DataFacts, rules: PanelRules) -> str:
    """That no claim of the kind the rules count carries an amount."""
    both = ("medical_claim", "pharmacy_claim")
    counted = both[:1] if rules.paid_claims == "medical" else both
    has_amounts = bool(set(counted) & set(facts.tables_with_amounts))
    return "" if has_amounts else "no claim carries a `paid_amount`"


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
        needs=("medical_claim", "pharmacy_claim"),
        untold=_untold,
        events=_paid,
        is_amount=True,
        is_landed=True,
    ),
)
