"""What every estimator and measure returns; knows nothing of Medi-Cal."""

from calaim_eval.results.effect_table import SUPPORT_COLUMNS, EffectTable, stack
from calaim_eval.results.estimand import Estimand, Method, Scale
from calaim_eval.results.rate_table import ALL, RateTable

__all__ = [
    "ALL",
    "SUPPORT_COLUMNS",
    "EffectTable",
    "Estimand",
    "Method",
    "RateTable",
    "Scale",
    "stack",
]
