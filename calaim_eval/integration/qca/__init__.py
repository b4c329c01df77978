"""Fuzzy-set qualitative comparative analysis: which combinations go with success."""

from calaim_eval.integration.qca.calibration import Calibration, calibrate, read_calibration
from calaim_eval.integration.qca.fsqca import FsqcaSolutions, fsqca
from calaim_eval.integration.qca.fsqca_robustness import FsqcaRobustness, fsqca_robustness
from calaim_eval.integration.qca.necessity import necessity
from calaim_eval.integration.qca.truth_table import Cutoffs, TruthTable, truth_table
from calaim_eval.integration.qca.untenable import untenable_assumptions

__all__ = [
    "Calibration",
    "Cutoffs",
    "FsqcaRobustness",
    "FsqcaSolutions",
    "TruthTable",
    "calibrate",
    "fsqca",
    "fsqca_robustness",
    "necessity",
    "read_calibration",
    "truth_table",
    "untenable_assumptions",
]
