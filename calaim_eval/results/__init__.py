"""What every estimator and measure returns; knows nothing of Medi-Cal."""

from calaim_eval.results.bounds_table import BoundsTable, stack_bounds
from calaim_eval.results.effect_table import EffectTable, stack
from calaim_eval.results.estimand import Estimand, Method, Scale
from calaim_eval.results.rate_table import ALL, RateTable, stack_rates
from calaim_eval.results.smallest_support import SUPPORT_COLUMNS
from calaim_eval.results.store import Result, load_results, save_results

__all__ = [
    "ALL",
    "SUPPORT_COLUMNS",
    "BoundsTable",
    "EffectTable",
    "Estimand",
    "Method",
    "RateTable",
    "Result",
    "Scale",
    "load_results",
    "save_results",
    "stack",
    "stack_bounds",
    "stack_rates",
]
