"""Regressions against published coefficients: statsmodels' RAND example, R `fixest` on castle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import regression
from calaim_eval.results import EffectTable

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def references(shared: Path) -> pd.DataFrame:
    return pd.read_csv(shared / "reference" / "did" / "reference_values.csv")


def test_poisson_of_the_rand_health_insurance_experiment(
    shared: Path, references: pd.DataFrame
) -> None:
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "randhie.csv")
    rows = references[(references["dataset"] == "randhie") & (references["estimator"] == "Poisson")]
    assert len(rows) == 10
    first, *others = [name for name in frame.columns if name != "mdvis"]
    table = regression(
        frame,
        outcome="mdvis",
        exposure=first,
        covariates=others,
        model="poisson",
        terms="all",
        cluster=None,
        member_id=None,
        month=None,
    )
    found = table.to_frame().set_index("term").rename(index={"intercept": "const"})
    for _, row in rows.iterrows():
        ours, tolerance = found.loc[row["quantity"]], float(row["tolerance"])
        assert np.log(ours["estimate"]) == pytest.approx(row["value"], abs=tolerance)
        # The table states ratios: the error of the logarithm is the relative error.
        relative = ours["std_error"] / ours["estimate"]
        assert relative == pytest.approx(row["se"], abs=tolerance)


def test_absorbed_effects_with_clusters_as_r_fixest(shared: Path, references: pd.DataFrame) -> None:
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "castle_bacon.csv")
    rows = references[
        (references["dataset"] == "castle_bacon")
        & (references["estimator"] == "TWFE")
        & (references["quantity"] == "post")
    ]
    assert len(rows) == 2
    table = regression(
        frame,
        outcome="l_homicide",
        exposure="post",
        model="fixed_effects",
        member_id="sid",
        month="year",
    )
    for _, row in rows.iterrows():
        tolerance = float(row["tolerance"])
        assert table.estimate[0] == pytest.approx(row["value"], abs=tolerance)
        assert table.std_error[0] == pytest.approx(row["se"], abs=tolerance)


def extended_two_way(frame: pd.DataFrame) -> EffectTable:
    """Wooldridge's extended two-way regression with lpop: ATT(g, t) at each cohort's mean lpop.

    Cohort and year effects, both with a slope in lpop; a term for each exposed cohort-year, and
    one for it times lpop less its cohort's mean.
    """
    frame = frame.assign(
        centred=frame["lpop"] - frame.groupby("first.treat")["lpop"].transform("mean")
    )
    exposed = frame[(frame["first.treat"] > 0) & (frame["year"] >= frame["first.treat"])]
    pairs = exposed[["first.treat", "year"]].drop_duplicates().sort_values(["first.treat", "year"])
    terms, others = {}, {"lpop": frame["lpop"]}
    for g, t in pairs.itertuples(index=False):
        inside = (frame["first.treat"] == g) & (frame["year"] == t)
        terms[f"{g} {t}"] = inside.astype(float)
        others[f"slope {g} {t}"] = inside * frame["centred"]
    for name, level in (("first.treat", 0), ("year", frame["year"].min())):
        for value in sorted(set(frame[name]) - {level}):
            others[f"lpop in {name} {value}"] = (frame[name] == value) * frame["lpop"]
    made = pd.DataFrame({**terms, **others}, index=frame.index)
    table = regression(
        frame.drop(columns="lpop").join(made),
        outcome="lemp",
        exposure=list(terms),
        covariates=list(others),
        categorical=["first.treat", "year"],
        model="linear",
        member_id="countyreal",
        month="year",
    )
    cohort, month = np.array([name.split() for name in table.keys["term"]], dtype=int).T
    size = frame.drop_duplicates("countyreal")["first.treat"].value_counts()
    weight = size.loc[cohort].to_numpy(dtype=float)
    event_time = month - cohort
    rows = [weight / weight.sum()]
    rows += [weight * (event_time == e) / weight[event_time == e].sum() for e in range(4)]
    names = ["simple ATT", *(f"event {e}" for e in range(4))]
    return table.combine(np.array(rows), keys=pd.DataFrame({"quantity": names}))


def test_extended_two_way_regression_of_r_etwfe(shared: Path, references: pd.DataFrame) -> None:
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "mpdta.csv")
    rows = references[
        (references["estimator"] == "ETWFE ols") & references["options"].str.contains("~lpop")
    ]
    assert len(rows) == 4
    found = extended_two_way(frame).to_frame().set_index("quantity")
    for _, row in rows.iterrows():
        ours, tolerance = found.loc[row["quantity"]], float(row["tolerance"])
        assert ours["estimate"] == pytest.approx(row["value"], abs=tolerance), row["quantity"]
        assert ours["std_error"] == pytest.approx(row["se"], abs=tolerance), row["quantity"]
