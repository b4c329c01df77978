"""A local coordinator: what published points, a series and the case-finding records can say."""

from calaim_eval.integration.coordinator.case_conference import (
    case_conference_months,
    case_conference_rates,
    case_conference_referrals,
)
from calaim_eval.integration.coordinator.case_finding import case_finding_yield
from calaim_eval.integration.coordinator.coordinator_series import (
    CoordinatorEvidence,
    coordinator_evidence,
)
from calaim_eval.integration.coordinator.published_points import (
    PointComparison,
    compare_points,
    read_published,
)
from calaim_eval.integration.coordinator.timeline_plot import timeline_plot

__all__ = [
    "CoordinatorEvidence",
    "PointComparison",
    "case_conference_months",
    "case_conference_rates",
    "case_conference_referrals",
    "case_finding_yield",
    "compare_points",
    "coordinator_evidence",
    "read_published",
    "timeline_plot",
]
