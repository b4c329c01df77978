"""Networks of organizations: from referrals or from a survey, and what can be measured."""

from calaim_eval.integration.organization_network.brokerage import BrokerageTable, brokerage_roles
from calaim_eval.integration.organization_network.centralization import network_centralization
from calaim_eval.integration.organization_network.constraint import structural_holes
from calaim_eval.integration.organization_network.coordinator import (
    main_broker,
    without_coordinator,
)
from calaim_eval.integration.organization_network.degree import network_degree, network_strength
from calaim_eval.integration.organization_network.density import (
    network_density,
    network_reciprocity,
)
from calaim_eval.integration.organization_network.hierarchy import network_hierarchy
from calaim_eval.integration.organization_network.mixing import MixingTable, ei_index
from calaim_eval.integration.organization_network.multiplexity import network_multiplexity
from calaim_eval.integration.organization_network.network_rates import SMALLEST_SHOWN_TIE
from calaim_eval.integration.organization_network.network_tables import network_tables
from calaim_eval.integration.organization_network.non_response import NetworkBounds, network_bounds
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.referral_network import referral_network
from calaim_eval.integration.organization_network.stability import (
    NetworkCorrelation,
    network_correlation,
    tie_stability,
)
from calaim_eval.integration.organization_network.survey_network import survey_network
from calaim_eval.integration.organization_network.survey_tables import survey_network_tables
from calaim_eval.integration.organization_network.transitivity import network_transitivity

__all__ = [
    "SMALLEST_SHOWN_TIE",
    "BrokerageTable",
    "MixingTable",
    "NetworkBounds",
    "NetworkCorrelation",
    "OrganizationNetwork",
    "brokerage_roles",
    "ei_index",
    "main_broker",
    "network_bounds",
    "network_centralization",
    "network_correlation",
    "network_degree",
    "network_density",
    "network_hierarchy",
    "network_multiplexity",
    "network_reciprocity",
    "network_strength",
    "network_tables",
    "network_transitivity",
    "referral_network",
    "structural_holes",
    "survey_network",
    "survey_network_tables",
    "tie_stability",
    "without_coordinator",
]
