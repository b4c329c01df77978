"""Which rates a comparison is made from, so that it is hidden where they are."""

from __future__ import annotations

import pandas as pd

from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.results import EffectTable, RateTable
from calaim_eval.results.estimand import RATES_OF, rates_of


def rates_option(
    source: RateTable | EffectTable | MemberMonths | pd.DataFrame, outcome: str | None = None
) -> dict[str, object]:
    """Method option that names what the rates behind a table count.

    A frame's column says it where it is a measure of the panel; other columns may be called
    anything, and disclosure control is told nothing rather than something wrong. Effects are no
    rates.
    """
    if isinstance(source, RateTable):
        return {RATES_OF: rates_of(source.method) or (source.numerator_name,)}
    if isinstance(source, EffectTable):
        names = () if source.estimand.is_causal else rates_of(source.method)
        return {} if names is None else {RATES_OF: names}
    return {RATES_OF: (outcome,)} if outcome in MEASURES else {}
