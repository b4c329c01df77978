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
    # diff-diff, as in the file, and etwfe-py 0.1.4 with `iwls_tol=1e-12`; the 23.7817 it prints
    # is a fit that stopped early (below).
    assert effect.std_error[0] == pytest.approx(23.78206, abs=1e-5)
    assert effect.std_error[0] == pytest.approx(23.78205526, abs=1e-7)


@pytest.mark.parametrize(("tolerance", "is_reference"), [(1e-8, True), (1e-12, False)])
def test_the_printed_error_is_that_of_a_fit_that_stopped_early(
    shared: Path, references: pd.DataFrame, tolerance: float, *, is_reference: bool
) -> None:
    # etwfe-py's steps: `fepois` without effects, the gradient of mu1 - mu0, its covariance.
    pyfixest = pytest.importorskip("pyfixest")
    frame = pd.read_csv(shared / "reference" / "did" / "data" / "mpdta.csv")
    frame = frame.assign(emp=np.exp(frame["lemp"]), g=frame["first.treat"])
    names = []
    for g, t in frame.loc[frame["year"] >= frame["g"].replace(0, np.inf), ["g", "year"]].to_numpy():
        name = f"d_{g:.0f}_{t:.0f}"
        if name not in names:
            names.append(name)
            frame[name] = ((frame["g"] == g) & (frame["year"] == t)).astype(float)
    fit = pyfixest.fepois(
        f"emp ~ {' + '.join(names)} + C(g) + C(year)",
        frame,
        vcov={"CRV1": "countyreal"},
        iwls_tol=tolerance,
        iwls_maxiter=100,
    )
    terms = list(fit.coef().index)
    exposed = frame[frame[names].any(axis=1)]
    x = pd.DataFrame(0.0, index=exposed.index, columns=terms)
    for term in terms:
        found = re.search(r"^(d_.*)$|\b(g|year)\).*?(\d{4})", term)
        if term == "Intercept":
            x[term] = 1.0
        elif found is not None and found[1]:
            x[term] = exposed[term]
        elif found is not None:
            x[term] = (exposed[found[2]] == int(found[3])).astype(float)
    without = x.assign(**dict.fromkeys(names, 0.0)).to_numpy()
    beta = fit.coef().to_numpy()
    mu1, mu0 = np.exp(x.to_numpy() @ beta), np.exp(without @ beta)
    gradient = (mu1 @ x.to_numpy() - mu0 @ without) / len(exposed)
    error = float(np.sqrt(gradient @ fit._vcov @ gradient))
    row = references.loc["ETWFE poisson"]
    assert (mu1 - mu0).mean() == pytest.approx(row["value"], abs=row["tolerance"])
    assert (error == pytest.approx(row["se"], abs=row["tolerance"])) == is_reference
    assert (error == pytest.approx(23.78205526, abs=1e-6)) == (not is_reference)


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
