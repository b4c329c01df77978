"""The study file: read, validated, hashed."""

from calaim_eval.study.model import StudyFile
from calaim_eval.study.read import Study, read_study
from calaim_eval.study.template import init_study, study_template

__all__ = ["Study", "StudyFile", "init_study", "read_study", "study_template"]
