"""What goes with referrals that are closed: the factors a study declares, over its units."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from calaim_eval.errors import EstimationError, StudyFileError, TableError
from calaim_eval.integration import integration_factors, success_units
from calaim_eval.integration.inputs import quarter_days
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.results import Result
from calaim_eval.study import Study
from calaim_eval.study.model import Success
from calaim_eval.tables import Tables

FACTORS = "success_factors"
_MONTHS = 12


def measure_success(
    study: Study, tables: Tables, quarter: str
) -> tuple[dict[str, Result], dict[str, str]]:
    """Association of declared factors with the share of referrals closed, over units.

    Referrals of the twelve months up to the quarter's end, as of the extract date.

    Returns
    -------
    results : dict[str, Result]
        ``success_factors``; empty where the study declares no factors.
    left_out : dict[str, str]
        Why it is not there.
    """
    declared = study.file.integration.success
    if declared is None:
        return {}, {}
    attempts = Attempts()
    table = attempts.tried(FACTORS, lambda: _factors(study, tables, quarter, declared))
    return ({} if table is None else {FACTORS: table}), attempts.left_out


def _factors(study: Study, tables: Tables, quarter: str, declared: Success) -> Result:
    """Units of the study, and its factors over them."""
    absent = [name for name in ("referral", "organization") if not tables.has(name)]
    if absent:
        raise EstimationError(f"the tables {', '.join(absent)} were not provided.")
    _, last = quarter_days(quarter)
    units = success_units(
        tables.frame("referral"),
        tables.frame("organization"),
        as_of=study.file.window.extract_date,
        by=declared.units,
        county_factors=_county_factors(study, declared),
        maturation_days=study.file.integration.maturation_days,
        referred_from=last - pd.DateOffset(months=_MONTHS) + pd.Timedelta(days=1),
        referred_to=last,
        exempt_services=(),
    )
    table = integration_factors(
        units,
        outcome="closure",
        factors=declared.factors,
        categorical=declared.categorical,
        cluster="county" if "county" in declared.units else None,
        members="n_members",
        unit="share of matured referrals closed with services received",
    )
    n_left = units.attrs["left_out"]
    if not n_left:
        return table
    words = f"{n_left:,} of {n_left + len(units):,} units have too few members and are left out."
    return replace(table, notes=(*table.notes, words))


def _county_factors(study: Study, declared: Success) -> pd.DataFrame | None:
    """Facts of counties the study brings."""
    if declared.county_factors is None:
        return None
    path = study.folder / declared.county_factors
    if not path.is_file():
        raise StudyFileError(
            f"`integration.success.county_factors` names `{declared.county_factors}`, which is not "
            "beside the study file. Put it there, or take the key out."
        )
    try:
        return pd.read_csv(path)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TableError(
            f"`{declared.county_factors}` cannot be read as CSV ({type(error).__name__})."
        ) from error
