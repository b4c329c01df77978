"""Count effects against R fixest (`fepois`), R `etwfe`'s Python port and diff-diff on `mpdta`.

Values: ../shared/reference/did/reference_values.csv, each at the tolerance stated there. The rows
`lemp~lpop` have a continuous covariate, which cells can't hold; the rows `randhie` are a
regression without exposure, which is not what this estimates.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import count_effects, two_way_poisson
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def mpdta(shared: Path) -> CellMoments:
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "mpdta.csv")
    frame["cohort"] = frame["first.treat"].replace(0, np.nan)
    return reduce_panel(
        frame.assign(emp=np.exp(frame["lemp"])),
        outcomes=["lemp", "emp"],
        member_id="countyreal",
        month="year",
        unbalanced="cell_means",
    )


@pytest.fixture(scope="module")
def references(shared: Path) -> pd.DataFrame:
    values = pd.read_csv(shared / "reference" / "did" / "reference_values.csv")
    return values[values["dataset"] == "mpdta"].set_index("estimator")


def on_log_scale(effect: EffectTable) -> tuple[float, float]:
    """The one rate ratio as a coefficient with its standard error."""
    assert len(effect) == 1
    return float(np.log(effect.estimate[0])), float(effect.std_error[0] / effect.estimate[0])


def test_every_cohort_month_of_fepois(mpdta: CellMoments, references: pd.DataFrame) -> None:
    rows = references.loc["ETWFE poisson coefs"]
    assert len(rows) == 5
    effects = count_effects(mpdta, outcome="emp", by="cohort_month", small_sample="crv1")
    for _, row in rows.iterrows():
        cohort, year = map(int, re.findall(r"\d{4}", row["quantity"]))
        one = effects.select((effects.keys["cohort"] == cohort) & (effects.keys["month"] == year))
        found = on_log_scale(one)
        assert found == pytest.approx((row["value"], row["se"]), abs=row["tolerance"])


@pytest.mark.parametrize(
    ("estimator", "fixed_effects"), [("TWFE poisson", "member"), ("cohort-FE poisson", "cohort")]
)
def test_naive_poisson_of_fepois(
    mpdta: CellMoments, references: pd.DataFrame, estimator: str, fixed_effects: str
) -> None:
    row = references.loc[estimator]
    effect = two_way_poisson(mpdta, outcome="emp", fixed_effects=fixed_effects)
    assert on_log_scale(effect) == pytest.approx((row["value"], row["se"]), abs=row["tolerance"])


def test_average_effect_on_the_response(mpdta: CellMoments, references: pd.DataFrame) -> None:
    row = references.loc["ETWFE poisson"]
    effect = count_effects(
        mpdta, outcome="emp", scale="difference", weights="given", small_sample="crv1"
    )
    assert effect.estimate[0] == pytest.approx(row["value"], abs=row["tolerance"])
    # etwfe-py prints 23.7817, from numerical derivatives; diff-diff 23.78206 (both in the file).
    assert effect.std_error[0] == pytest.approx(23.78206, abs=1e-5)
    assert effect.std_error[0] == pytest.approx(row["se"], rel=row["tolerance"])


def test_least_squares(mpdta: CellMoments, references: pd.DataFrame) -> None:
    row = references.loc["ETWFE ols"].query("quantity == 'simple ATT' and value > -0.05").iloc[0]
    effect = count_effects(
        mpdta, outcome="lemp", link="identity", scale="difference", weights="given"
    )
    assert effect.estimate[0] == pytest.approx(row["value"], abs=row["tolerance"])
    # The reference has member effects, which do not count: 7 terms and 5 years do.
    error = effect.std_error[0] * np.sqrt(crv1_factor(500, 2_500, 12))
    assert error == pytest.approx(row["se"], abs=row["tolerance"])
    # Imputation without a factor is the same estimate and error.
    raw = references.loc["imputation BJS"]
    raw = raw[raw["quantity"] == "overall"].iloc[0] if isinstance(raw, pd.DataFrame) else raw
    assert effect.estimate[0] == pytest.approx(raw["value"], abs=raw["tolerance"])
    assert effect.std_error[0] == pytest.approx(raw["se"], abs=raw["tolerance"])
