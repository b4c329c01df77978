"""A simulated Medi-Cal with its true effects written beside the data."""

from calaim_eval.simulate.medi_cal import SimulatedStudy, simulate_medi_cal
from calaim_eval.simulate.referral_network import SimulatedNetwork, simulate_referral_network

__all__ = [
    "SimulatedNetwork",
    "SimulatedStudy",
    "simulate_medi_cal",
    "simulate_referral_network",
]
