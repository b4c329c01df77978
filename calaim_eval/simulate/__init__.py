"""A simulated Medi-Cal with its true effects written beside the data."""

from calaim_eval.simulate.medi_cal import SimulatedStudy, simulate_medi_cal
from calaim_eval.simulate.partner_files import SimulatedPartners, simulate_partner_files
from calaim_eval.simulate.referral_network import SimulatedNetwork, simulate_referral_network

__all__ = [
    "SimulatedNetwork",
    "SimulatedPartners",
    "SimulatedStudy",
    "simulate_medi_cal",
    "simulate_partner_files",
    "simulate_referral_network",
]
