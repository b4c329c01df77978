"""What goes with good integration: factors of counties, plans and supports. Never an effect."""

from calaim_eval.integration.success.dominance import DominanceTable, general_dominance
from calaim_eval.integration.success.effect_by_integration import effect_by_integration
from calaim_eval.integration.success.factor_selection import factor_selection
from calaim_eval.integration.success.factors import integration_factors
from calaim_eval.integration.success.integration_level import integration_level
from calaim_eval.integration.success.units import success_units

__all__ = [
    "DominanceTable",
    "effect_by_integration",
    "factor_selection",
    "general_dominance",
    "integration_factors",
    "integration_level",
    "success_units",
]
