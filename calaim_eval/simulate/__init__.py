"""A simulated Medi-Cal with its true effects written beside the data."""

from calaim_eval.simulate.medi_cal import SimulatedStudy, simulate_medi_cal

__all__ = ["SimulatedStudy", "simulate_medi_cal"]
