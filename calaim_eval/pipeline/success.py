"""What goes with referrals that are closed: the factors a study declares, over its units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration import (
    factor_selection,
    fsqca,
    general_dominance,
    integration_factors,
    success_units,
    truth_table,
)
from calaim_eval.integration.inputs import quarter_days
from calaim_eval.integration.qca import (
    TruthTable,
    calibrate,
    read_calibration,
    untenable_assumptions,
)
from calaim_eval.integration.success.factors import FactorModel
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.beside import path_beside, read_beside
from calaim_eval.pipeline.success_tables import (
    combination_effects,
    dominance_effects,
    selection_effects,
    untenable_effects,
)
from calaim_eval.results import EffectTable, Result
from calaim_eval.study import Study
from calaim_eval.study.model import Combinations, Success
from calaim_eval.tables import Tables

FACTORS = "success_factors"
MIXED = "success_mixed"
DOMINANCE = "success_dominance"
SELECTION = "success_selection"
COMBINATIONS = "success_combinations"
UNTENABLE = "success_untenable"
_CALIBRATION = "integration.success.combinations.calibration"
_MONTHS = 12
_SEED = 20220101
_UNIT = "share of matured referrals closed with services received"


def measure_success(
    study: Study, tables: Tables, quarter: str
) -> tuple[dict[str, Result], dict[str, str]]:
    """Association of declared factors with the share of referrals closed, over units.

    Referrals of the twelve months up to the quarter's end, as of the extract date.

    Returns
    -------
    results : dict[str, Result]
        ``success_factors`` (errors by leaving out counties), ``success_mixed`` (a random intercept
        a county), ``success_dominance`` (shares of what varies), ``success_selection`` (chosen
        again in halves of the counties) and, where the study declares sets,
        ``success_combinations``, where it says what theory expects also ``success_untenable``
        (what no solution rests on); empty where it declares no factors.
    left_out : dict[str, str]
        Why one is not there.
    """
    declared = study.file.integration.success
    if declared is None:
        return {}, {}
    attempts = Attempts()
    units = attempts.tried(FACTORS, partial(_units, study, tables, quarter, declared))
    if units is None:
        reason = attempts.left_out[FACTORS]
        return {}, dict.fromkeys((FACTORS, *_described(study, pd.DataFrame(), declared)), reason)
    recipes: dict[str, Callable[[], Result]] = {
        FACTORS: partial(_factors, units, declared),
        **_described(study, units, declared),
    }
    tried = {name: attempts.tried(name, make) for name, make in recipes.items()}
    return {n: table for n, table in tried.items() if table is not None}, attempts.left_out


def _described(
    study: Study, units: pd.DataFrame, declared: Success
) -> dict[str, Callable[[], Result]]:
    """What describes the same units in other ways, and how it is made."""
    found: dict[str, Callable[[], Result]] = {
        MIXED: partial(_factors, units, declared, model="mixed"),
        DOMINANCE: partial(_dominance, units, declared),
        SELECTION: partial(_selection, units, declared),
    }
    if declared.combinations is not None:
        found[COMBINATIONS] = partial(_combinations, study, units, declared.combinations)
        if declared.combinations.rests_on_theory:
            found[UNTENABLE] = partial(_untenable, study, units, declared.combinations)
    return found


def _units(study: Study, tables: Tables, quarter: str, declared: Success) -> pd.DataFrame:
    """Units of the study with their outcome and factors."""
    absent = [name for name in ("referral", "organization") if not tables.has(name)]
    if absent:
        raise EstimationError(f"the tables {', '.join(absent)} were not provided.")
    _, last = quarter_days(quarter)
    return success_units(
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


def _cluster(declared: Success) -> str | None:
    """What units share."""
    return "county" if "county" in declared.units else None


def _factors(
    units: pd.DataFrame, declared: Success, *, model: FactorModel = "linear"
) -> EffectTable:
    """All factors in one model."""
    asked = {**_question(declared), "unit": _UNIT}
    table = integration_factors(units, **asked, model=model, members="n_members")
    closed = np.round(units["closure"] * units["n_referrals"])
    with_closed = integration_factors(units.assign(n_closed=closed), **asked, members="n_closed")
    behind = with_closed.support["n_members"]
    events = behind.where(behind > 0, closed.sum())
    table = replace(table, support=table.support.assign(n_events=events))
    n_left = units.attrs["left_out"]
    if not n_left:
        return table
    words = f"{n_left:,} of {n_left + len(units):,} units have too few members and are left out."
    return replace(table, notes=(*table.notes, words))


def _dominance(units: pd.DataFrame, declared: Success) -> EffectTable:
    """How much of what varies goes with each factor, with intervals over resampled counties."""
    found = general_dominance(units, **_question(declared), seed=_SEED)
    by_term = _members_by_term(units, declared)
    factor = by_term.index.str.partition("=").get_level_values(0)
    return dominance_effects(found, by_term.groupby(factor).min().to_dict())


def _selection(units: pd.DataFrame, declared: Success) -> EffectTable:
    """Which terms are chosen again and again in halves of the counties."""
    found = factor_selection(units, **_question(declared), seed=_SEED)
    options = {"outcome": "closure", "cluster": _cluster(declared), "seed": _SEED}
    return selection_effects(found, _members_by_term(units, declared).to_dict(), options=options)


def _question(declared: Success) -> dict[str, Any]:
    """Outcome, factors and clusters that every method is given."""
    return {
        "outcome": "closure",
        "factors": declared.factors,
        "categorical": declared.categorical,
        "cluster": _cluster(declared),
    }


def _members_by_term(units: pd.DataFrame, declared: Success) -> pd.Series:
    """Members on the smaller side of each term."""
    table = _factors(units, declared)
    return pd.Series(table.support["n_members"].to_numpy(), index=table.keys["term"].to_numpy())


def _combinations(study: Study, units: pd.DataFrame, declared: Combinations) -> EffectTable:
    """Which combinations of declared sets go with the outcome, by fsQCA."""
    table = _truth_table(study, units, declared)
    found = fsqca(
        table,
        expectations=declared.expectations or None,
        untenable=_barred(table, declared) if declared.rests_on_theory else None,
    )
    return combination_effects(found, n_members=float(units["n_members"].min()))


def _untenable(study: Study, units: pd.DataFrame, declared: Combinations) -> EffectTable:
    """Combinations that the solutions do not rest on."""
    table = _truth_table(study, units, declared)
    barred = _barred(table, declared)
    if barred.empty:
        raise EstimationError("no combination is untenable: none contradicts what is known.")
    return untenable_effects(barred, table, n_members=float(units["n_members"].min()))


def _truth_table(study: Study, units: pd.DataFrame, declared: Combinations) -> TruthTable:
    """The declared sets of the units as a truth table."""
    sets = calibrate(
        units, read_calibration(path_beside(study, _CALIBRATION, declared.calibration))
    )
    return truth_table(
        sets,
        outcome=declared.outcome,
        conditions=declared.conditions,
        consistency_cutoff=declared.consistency,
        frequency_cutoff=declared.cases,
    )


def _barred(table: TruthTable, declared: Combinations) -> pd.DataFrame:
    """What must not be supposed."""
    return untenable_assumptions(
        table, necessary=declared.necessary, impossible=declared.impossible
    )


def _county_factors(study: Study, declared: Success) -> pd.DataFrame | None:
    """Facts of counties the study brings."""
    if declared.county_factors is None:
        return None
    return read_beside(study, "integration.success.county_factors", declared.county_factors)
