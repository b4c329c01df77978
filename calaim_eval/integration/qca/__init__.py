"""Fuzzy-set qualitative comparative analysis: which combinations go with success."""

from calaim_eval.integration.qca.calibration import Calibration, calibrate, read_calibration
from calaim_eval.integration.qca.fsqca import FsqcaSolutions, fsqca
from calaim_eval.integration.qca.necessity import necessity
from calaim_eval.integration.qca.truth_table import TruthTable, truth_table

__all__ = [
    "Calibration",
    "FsqcaSolutions",
    "TruthTable",
    "calibrate",
    "fsqca",
    "necessity",
    "read_calibration",
    "truth_table",
]
