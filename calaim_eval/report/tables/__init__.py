"""Tables of a release. Each takes a `Released` and returns a `DisplayTable`, or `Absent`."""

from calaim_eval.report.tables.access import access_standardized_table, access_times_table
from calaim_eval.report.tables.adequacy import adequacy_table
from calaim_eval.report.tables.county_phase import (
    county_phase_checks_table,
    county_phase_methods_table,
)
from calaim_eval.report.tables.crossed import crossed_columns, crossed_table
from calaim_eval.report.tables.directory import directory_table
from calaim_eval.report.tables.documentation import (
    contents_table,
    definitions_table,
    findings_table,
    methods_table,
    notes_table,
    provenance_table,
    row_ledger_table,
    suppression_table,
)
from calaim_eval.report.tables.effects import (
    county_phase_table,
    effects_by_race_table,
    effects_table,
    gaps_table,
    other_outcomes,
    pre_post_table,
    ratios_table,
)
from calaim_eval.report.tables.equity import access_gap_table, disparity_table
from calaim_eval.report.tables.headline import headline_outcome, headline_table
from calaim_eval.report.tables.in_combination import in_combination_table
from calaim_eval.report.tables.layout import DisplayTable
from calaim_eval.report.tables.matched import balance_table, matched_table
from calaim_eval.report.tables.network import (
    brokers_table,
    network_table,
    networks_by_race_table,
    survey_networks_table,
)
from calaim_eval.report.tables.partners import (
    agreement_table,
    asset_map_table,
    capacity_table,
    data_sharing_table,
    layouts_table,
    reliability_table,
)
from calaim_eval.report.tables.quality import (
    encounter_completeness_table,
    quality_notes,
    quality_table,
)
from calaim_eval.report.tables.rates import (
    access_table,
    baseline_table,
    closure_by_service_table,
    closure_table,
    coverage_table,
    delivery_table,
    members_table,
    referral_table,
)
from calaim_eval.report.tables.referral_times import referral_times_table
from calaim_eval.report.tables.restatement import restatement_table
from calaim_eval.report.tables.sensitivity import (
    controls_table,
    false_dates_table,
    policy_table,
    trends_by_race_table,
    trends_table,
)
from calaim_eval.report.tables.shares import losses_table, shares_table
from calaim_eval.report.tables.statewide_series import statewide_series_table
from calaim_eval.report.tables.success import (
    effect_by_integration_table,
    success_combinations_table,
    success_table,
    success_untenable_table,
)
from calaim_eval.report.tables.survey_fit import factor_fit_table

__all__ = [
    "DisplayTable",
    "access_gap_table",
    "access_standardized_table",
    "access_table",
    "access_times_table",
    "adequacy_table",
    "agreement_table",
    "asset_map_table",
    "balance_table",
    "baseline_table",
    "brokers_table",
    "capacity_table",
    "closure_by_service_table",
    "closure_table",
    "contents_table",
    "controls_table",
    "county_phase_checks_table",
    "county_phase_methods_table",
    "county_phase_table",
    "coverage_table",
    "crossed_columns",
    "crossed_table",
    "data_sharing_table",
    "definitions_table",
    "delivery_table",
    "directory_table",
    "disparity_table",
    "effect_by_integration_table",
    "effects_by_race_table",
    "effects_table",
    "encounter_completeness_table",
    "factor_fit_table",
    "false_dates_table",
    "findings_table",
    "gaps_table",
    "headline_outcome",
    "headline_table",
    "in_combination_table",
    "layouts_table",
    "losses_table",
    "matched_table",
    "members_table",
    "methods_table",
    "network_table",
    "networks_by_race_table",
    "notes_table",
    "other_outcomes",
    "policy_table",
    "pre_post_table",
    "provenance_table",
    "quality_notes",
    "quality_table",
    "ratios_table",
    "referral_table",
    "referral_times_table",
    "reliability_table",
    "restatement_table",
    "row_ledger_table",
    "shares_table",
    "statewide_series_table",
    "success_combinations_table",
    "success_table",
    "success_untenable_table",
    "suppression_table",
    "survey_networks_table",
    "trends_by_race_table",
    "trends_table",
]
