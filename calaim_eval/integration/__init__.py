"""How community-based organizations are part of care: who delivers, where, do referrals close."""

from calaim_eval.integration.agreement import coder_agreement
from calaim_eval.integration.claim_services import services_from_claims
from calaim_eval.integration.coverage import (
    contracted_but_idle,
    coverage_summary,
    service_coverage,
)
from calaim_eval.integration.delivery import (
    delivery_contracts,
    delivery_members,
    delivery_organizations,
)
from calaim_eval.integration.local_cbo import local_cbo_share
from calaim_eval.integration.network import (
    contract_concentration,
    contracts_per_organization,
    network_cohesion,
    service_concentration,
    single_plan_dependence,
)
from calaim_eval.integration.organization_network import (
    SMALLEST_SHOWN_TIE,
    BrokerageTable,
    MixingTable,
    NetworkBounds,
    NetworkCorrelation,
    OrganizationNetwork,
    brokerage_roles,
    ei_index,
    main_broker,
    network_bounds,
    network_centralization,
    network_correlation,
    network_degree,
    network_density,
    network_hierarchy,
    network_multiplexity,
    network_reciprocity,
    network_strength,
    network_tables,
    network_transitivity,
    referral_network,
    structural_holes,
    survey_network,
    tie_stability,
    without_coordinator,
)
from calaim_eval.integration.payment import (
    payment_denials,
    payment_timeliness,
    time_to_payment,
)
from calaim_eval.integration.qca import fsqca, truth_table
from calaim_eval.integration.referral_findings import referral_findings
from calaim_eval.integration.referral_losses import referral_losses
from calaim_eval.integration.referrals import (
    referral_closure,
    referral_funnel,
    referral_step_conversion,
)
from calaim_eval.integration.success import (
    DominanceTable,
    factor_selection,
    general_dominance,
    integration_factors,
)
from calaim_eval.integration.summary import IntegrationMeasures, integration_measures
from calaim_eval.integration.time_to_service import time_to_service

__all__ = [
    "SMALLEST_SHOWN_TIE",
    "BrokerageTable",
    "DominanceTable",
    "IntegrationMeasures",
    "MixingTable",
    "NetworkBounds",
    "NetworkCorrelation",
    "OrganizationNetwork",
    "brokerage_roles",
    "coder_agreement",
    "contract_concentration",
    "contracted_but_idle",
    "contracts_per_organization",
    "coverage_summary",
    "delivery_contracts",
    "delivery_members",
    "delivery_organizations",
    "ei_index",
    "factor_selection",
    "fsqca",
    "general_dominance",
    "integration_factors",
    "integration_measures",
    "local_cbo_share",
    "main_broker",
    "network_bounds",
    "network_centralization",
    "network_cohesion",
    "network_correlation",
    "network_degree",
    "network_density",
    "network_hierarchy",
    "network_multiplexity",
    "network_reciprocity",
    "network_strength",
    "network_tables",
    "network_transitivity",
    "payment_denials",
    "payment_timeliness",
    "referral_closure",
    "referral_findings",
    "referral_funnel",
    "referral_losses",
    "referral_network",
    "referral_step_conversion",
    "service_concentration",
    "service_coverage",
    "services_from_claims",
    "single_plan_dependence",
    "structural_holes",
    "survey_network",
    "tie_stability",
    "time_to_payment",
    "time_to_service",
    "truth_table",
    "without_coordinator",
]
