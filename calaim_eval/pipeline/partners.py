"""Partner survey, plan requirements, data sharing, capacity and the asset map, for a quarter."""

from __future__ import annotations

import pandas as pd

from calaim_eval.integration import PartnerMeasures, partner_measures
from calaim_eval.study import Study
from calaim_eval.tables import Tables


def measure_partners(
    study: Study, tables: Tables, quarter: str, *, program_service: pd.DataFrame | None = None
) -> PartnerMeasures:
    """What partners say and what plans ask of them, with the reasons for what is not there.

    Parameters
    ----------
    study : Study
    tables : Tables
    quarter : str
    program_service : pd.DataFrame, optional
        Program records with the services seen in claims, where they are there already.
    """
    study.check_quarter(quarter)
    return partner_measures(
        tables,
        quarter=quarter,
        as_of=study.file.window.extract_date,
        maturation_days=study.file.integration.maturation_days,
        index_rule=study.file.integration.index_rule,
        program_service=program_service,
    )
