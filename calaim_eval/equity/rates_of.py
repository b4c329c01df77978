"""Which rates a comparison is made from, so that it is hidden where they are."""

from __future__ import annotations

import pandas as pd

from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.results import EffectTable, RateTable
from calaim_eval.results.estimand import CROSSED, RATES_OF, crossed_columns, rates_of


def rates_option(
    source: RateTable | EffectTable | MemberMonths | pd.DataFrame, outcome: str | None = None
) -> dict[str, object]:
    """Method options that name what the rates behind a table count, and its crossed groups.

    A frame's column says it where it is a measure of the panel; other columns may be called
    anything, and disclosure control is told nothing rather than something wrong. Effects are no
    rates.
    """
    if isinstance(source, RateTable):
        names = rates_of(source.method) or (source.numerator_name,)
        return {RATES_OF: names, **_crossed_option(source)}
    if isinstance(source, EffectTable):
        said = () if source.estimand.is_causal else rates_of(source.method)
        return ({} if said is None else {RATES_OF: said}) | _crossed_option(source)
    return {RATES_OF: (outcome,)} if outcome in MEASURES else {}


def _crossed_option(source: RateTable | EffectTable) -> dict[str, object]:
    """Columns that `intersect_groups` made from several."""
    crossed = crossed_columns(source.method)
    return {CROSSED: crossed} if crossed else {}
