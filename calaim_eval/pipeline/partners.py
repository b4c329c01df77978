"""Partner survey, plan requirements, data sharing, capacity and the asset map, for a quarter."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from calaim_eval.disclosure import load_policy
from calaim_eval.errors import EstimationError
from calaim_eval.integration import PartnerMeasures, capacity_adequacy, partner_measures
from calaim_eval.pipeline.beside import read_beside
from calaim_eval.results import RateTable
from calaim_eval.study import Study
from calaim_eval.tables import Tables

ADEQUACY = "capacity_adequacy"


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

    Returns
    -------
    PartnerMeasures
        As `partner_measures`, with ``capacity_adequacy`` where the study names a file of
        estimates of those eligible.
    """
    study.check_quarter(quarter)
    made = partner_measures(
        tables,
        quarter=quarter,
        as_of=study.file.window.extract_date,
        maturation_days=study.file.integration.maturation_days,
        index_rule=study.file.integration.index_rule,
        program_service=program_service,
    )
    if study.file.integration.eligible is not None:
        try:
            made[ADEQUACY] = _adequacy(study, tables, quarter, made)
        except EstimationError as error:
            made.skipped[ADEQUACY] = str(error)
    return made


def _adequacy(study: Study, tables: Tables, quarter: str, made: PartnerMeasures) -> RateTable:
    """Places stated per member eligible, by county and service; of organizations.

    Estimates of few people are left out: they would be no estimates but counts of them.
    """
    eligible = read_beside(study, "integration.eligible", str(study.file.integration.eligible))
    if not tables.has("contract"):
        raise EstimationError("the table `contract` was not provided.")
    table = capacity_adequacy(
        tables.frame("contract"), eligible, quarter=quarter, ledger=made.ledger
    )
    low = table.keys["eligible"].eq("low").to_numpy()
    least = load_policy(study.disclosure_policy).min_count
    cell = table.keys[["county", "service"]].apply(tuple, axis=1)
    few = cell.isin(set(cell[low & (table.denominator < least)])).to_numpy()
    if few.all():
        raise EstimationError(f"every estimate of `integration.eligible` is below {least} members.")
    kept = table.select(~few)
    words = f"Cells with an estimate below {least} members are left out: {int(few.sum()) // 2}."
    notes = (*kept.notes, words) if few.any() else kept.notes
    return replace(kept, about="organizations", notes=notes)
