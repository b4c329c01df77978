"""Files as partners hold them, written from declared tables: the inverse of their readers."""

from calaim_eval.simulate.partner_files.contract_workbook import (
    workbook_renames,
    write_contract_workbook,
)
from calaim_eval.simulate.partner_files.directory_files import write_hsds, write_icarol
from calaim_eval.simulate.partner_files.exchange_files import write_plan_exchange
from calaim_eval.simulate.partner_files.fhir_files import write_fhir_sdoh
from calaim_eval.simulate.partner_files.hmis_files import write_hmis
from calaim_eval.simulate.partner_files.simulated_partners import (
    PARTNER_FILES,
    SimulatedPartners,
    partner_lines,
    simulate_partner_files,
)
from calaim_eval.simulate.partner_files.survey_files import write_survey_export

__all__ = [
    "PARTNER_FILES",
    "SimulatedPartners",
    "partner_lines",
    "simulate_partner_files",
    "workbook_renames",
    "write_contract_workbook",
    "write_fhir_sdoh",
    "write_hmis",
    "write_hsds",
    "write_icarol",
    "write_plan_exchange",
    "write_survey_export",
]
