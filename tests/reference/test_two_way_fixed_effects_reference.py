"""The naive regression against R fixest, pyfixest, statsmodels and published tables.

Values: ../shared/reference/did/reference_values.csv, each at the tolerance stated there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import two_way_fixed_effects, two_way_fixed_effects_from_members
from calaim_eval.estimate.exposure_terms import exposure_terms, term_names
from calaim_eval.estimate.member_rows import member_rows
from calaim_eval.estimate.two_way.two_way_fit import fit_two_way
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "reference" / "did"


@pytest.fixture(scope="module")
def references(folder: Path) -> pd.DataFrame:
    values = pd.read_csv(folder / "reference_values.csv")
    of_ols = values["estimator"].isin(["TWFE", "TWFE event study", "DID 2x2", "DID 2x2 OLS"])
    is_did = (values["estimator"] == "DID") & (values["dataset"] == "california_prop99")
    return values[of_ols | is_did]


def castle(folder: Path) -> list[EffectTable]:
    frame = pd.read_csv(folder / "data" / "castle_bacon.csv")
    names = {"member_id": "sid", "month": "year", "cohort": "effyear"}
    moments = reduce_panel(frame, outcomes=["l_homicide"], **names, unbalanced="cell_means")
    return [
        two_way_fixed_effects(moments, outcome="l_homicide"),
        two_way_fixed_effects_from_members(frame, outcome="l_homicide", **names),
    ]


def weighted_castle(folder: Path) -> list[EffectTable]:
    frame = pd.read_csv(folder / "data" / "castle_causaldata.csv")
    first = frame[frame["post"] > 0].groupby("sid")["year"].min()
    frame = frame.assign(cohort=frame["sid"].map(first))
    # The regressor published is 1 from the year in which the law was in force in full.
    assert ((frame["year"] >= frame["cohort"]) == (frame["post"] > 0)).all()
    return [
        two_way_fixed_effects_from_members(
            frame, outcome="l_homicide", member_id="sid", month="year", weight="popwt"
        )
    ]


def staggered(folder: Path) -> list[EffectTable]:
    frame = pd.read_csv(folder / "data" / "df_het.csv")
    frame["cohort"] = frame["g"].replace(0, np.nan)
    names = {"member_id": "unit", "month": "year"}
    assert ((frame["year"] >= frame["cohort"]) == frame["treat"]).all()
    moments = reduce_panel(
        frame, outcomes=["dep_var"], cluster="state", **names, unbalanced="cell_means"
    )
    return [
        two_way_fixed_effects(moments, outcome="dep_var", cluster="state"),
        two_way_fixed_effects_from_members(frame, outcome="dep_var", cluster="state", **names),
    ]


def medicaid(folder: Path) -> list[EffectTable]:
    frame = pd.read_csv(folder / "data" / "ehec_data.csv")
    frame = frame[(frame["year"] < 2016) & (frame["yexp2"].isna() | (frame["yexp2"] != 2015))]
    names = {"member_id": "stfips", "month": "year", "cohort": "yexp2"}
    moments = reduce_panel(frame, outcomes=["dins"], **names, unbalanced="cell_means")
    return [
        two_way_fixed_effects(moments, outcome="dins", by="event_time"),
        two_way_fixed_effects_from_members(frame, outcome="dins", by="event_time", **names),
    ]


def base_did(folder: Path) -> list[EffectTable]:
    frame = pd.read_csv(folder / "data" / "base_did.csv")
    frame["cohort"] = np.where(frame["treat"] == 1, 6.0, np.nan)
    return [
        two_way_fixed_effects_from_members(
            frame,
            outcome="y",
            member_id="id",
            month="period",
            by="event_time",
            covariates=["x1"],
            errors="independent",
        )
    ]


def houses(folder: Path) -> list[EffectTable]:
    frame = pd.read_csv(folder / "data" / "kielmc.csv").reset_index(names="house")
    frame["cohort"] = np.where(frame["nearinc"] == 1, 1981.0, np.nan)
    names = {"member_id": "house", "month": "year"}
    by_member = two_way_fixed_effects_from_members(
        frame, outcome="rprice", effects_of="nearinc", errors="independent", **names
    )
    return [by_member]


def cigarettes(folder: Path) -> list[EffectTable]:
    frame = pd.read_csv(folder / "data" / "california_prop99.csv", sep=";")
    frame["cohort"] = np.where(frame["State"] == "California", 1989.0, np.nan)
    moments = reduce_panel(
        frame, outcomes=["PacksPerCapita"], member_id="State", month="Year", unbalanced="cell_means"
    )
    return [two_way_fixed_effects(moments, outcome="PacksPerCapita")]


OURS: dict[str, Callable[[Path], list[EffectTable]]] = {
    "castle_bacon": castle,
    "castle_causaldata": weighted_castle,
    "df_het": staggered,
    "ehec_data": medicaid,
    "base_did": base_did,
    "kielmc": houses,
    "california_prop99": cigarettes,
}
FIRST_EXPOSED = {"ehec_data": 2014, "base_did": 6}


@pytest.mark.parametrize("dataset", OURS)
def test_every_reference_row_is_met(dataset: str, folder: Path, references: pd.DataFrame) -> None:
    rows = references[references["dataset"] == dataset]
    rows = rows[rows["quantity"] != "x1"]
    assert len(rows)
    tables = OURS[dataset](folder)
    for _, row in rows.iterrows():
        for table in tables:
            one = table
            if "event_time" in table.keys:
                period = int(re.findall(r"::(\d+):", row["quantity"])[0])
                one = table.select(table.keys["event_time"] == period - FIRST_EXPOSED[dataset])
            assert len(one) == 1, row["quantity"]
            tolerance = float(row["tolerance"])
            assert one.estimate[0] == pytest.approx(row["value"], abs=tolerance), row["quantity"]
            if np.isfinite(row["se"]):
                assert one.std_error[0] == pytest.approx(row["se"], abs=tolerance), row["quantity"]


def test_no_reference_row_is_left_out(references: pd.DataFrame) -> None:
    assert len(references) == 28
    assert set(references["dataset"]) == set(OURS)


def test_house_prices_from_cells(folder: Path) -> None:
    # Repeated cross-section: every house is seen once, so cells need an effect for each cohort.
    frame = pd.read_csv(folder / "data" / "kielmc.csv").reset_index(names="house")
    frame["cohort"] = np.where(frame["nearinc"] == 1, 1981.0, np.nan)
    moments = reduce_panel(
        frame, outcomes=["rprice"], member_id="house", month="year", unbalanced="cell_means"
    )
    table = two_way_fixed_effects(moments, outcome="rprice", fixed_effects="cohort")
    assert table.estimate[0] == pytest.approx(-11863.90325211256, abs=0.01)


def test_coefficient_of_a_covariate(folder: Path, references: pd.DataFrame) -> None:
    # It is no effect and no table reports it; the fit behind the table has it.
    row = references[references["quantity"] == "x1"].iloc[0]
    frame = pd.read_csv(folder / "data" / "base_did.csv")
    frame["cohort"] = np.where(frame["treat"] == 1, 6.0, np.nan)
    rows = member_rows(
        frame, member_id="id", month="period", cohort="cohort", outcome="y", covariates=["x1"]
    )
    keys, terms = exposure_terms(
        rows.event_time,
        by="event_time",
        reference_event_time=-1,
        min_event_time=None,
        max_event_time=None,
    )
    effects = rows.two_way()
    columns = np.hstack([terms.astype(float), rows.covariates])
    fit = fit_two_way(effects, rows.y, columns, [*term_names(keys), "x1"], n_covariates=1)
    left = len(rows) - columns.shape[1] - effects.n_effects
    variance = ((rows.y - fit.fitted) ** 2).sum() / left * fit.inverse[-1, -1]
    assert fit.coefficient[-1] == pytest.approx(row["value"], abs=float(row["tolerance"]))
    assert np.sqrt(variance) == pytest.approx(row["se"], abs=float(row["tolerance"]))
