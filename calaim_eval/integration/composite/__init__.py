"""A composite index: components, declared weights, ranges of ranks."""

from calaim_eval.integration.composite.composite_index import (
    CompositeIndex,
    IndexRule,
    composite_index,
)
from calaim_eval.integration.composite.index_components import (
    IndexComponents,
    components_from_rates,
)
from calaim_eval.integration.composite.principal_components import (
    PrincipalComponents,
    principal_components,
)

__all__ = [
    "CompositeIndex",
    "IndexComponents",
    "IndexRule",
    "PrincipalComponents",
    "components_from_rates",
    "composite_index",
    "principal_components",
]
