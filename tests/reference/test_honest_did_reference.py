"""Robust intervals against the published ones of R `HonestDiD` (Medicaid expansion).

Values: ../shared/reference/did/reference_values.csv, from the package's README; the critical value
of its first stage is simulated there (1,000 draws) and its grid has steps of 0.0004, hence 0.002.
For `honestdid_BC_*` no interval is published; those below were computed with another package,
moderndid 0.2.0, whose relative magnitudes have the same simulated stage and a grid of 1,000 points
and whose smoothness is solved by a general convex solver.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from event_study_tables import event_study

from calaim_eval.estimate import honest_did
from calaim_eval.results import EffectTable

pytestmark = pytest.mark.shared

BC_RELATIVE_MAGNITUDES = {
    ("first", 0.5): (0.11833117, 0.27107334),
    ("first", 1.0): (0.06778709, 0.31862228),
    ("first", 2.0): (-0.04172581, 0.42394654),
    ("average", 0.5): (0.06848784, 0.36831669),
    ("average", 1.0): (-0.06938411, 0.50618864),
    ("average", 2.0): (-0.34882312, 0.78562766),
}
BC_SMOOTHNESS = {
    ("first", 0.0): (0.13151587, 0.21617599),
    ("first", 0.01): (0.15496805, 0.27047183),
    ("first", 0.1): (0.11939779, 0.41855423),
    ("average", 0.0): (0.13333439, 0.23039107),
    ("average", 0.01): (0.12404191, 0.36804317),
    ("average", 0.1): (-0.18642548, 0.98830468),
}


def loaded(shared: Path, beta: str, covariance: str, n_before: int) -> EffectTable:
    folder = shared / "reference" / "did" / "data"
    estimate = pd.read_csv(folder / beta).iloc[:, 0].to_numpy()
    return event_study(
        estimate[:n_before], estimate[n_before:], pd.read_csv(folder / covariance).to_numpy()
    )


@pytest.fixture(scope="module")
def expansion(shared: Path) -> EffectTable:
    return loaded(shared, "ehec_es_beta.csv", "ehec_es_vcov.csv", 5)


@pytest.fixture(scope="module")
def profits(shared: Path) -> EffectTable:
    return loaded(shared, "honestdid_BC_beta.csv", "honestdid_BC_sigma.csv", 4)


def test_every_published_row_is_met(shared: Path, expansion: EffectTable) -> None:
    values = pd.read_csv(shared / "reference" / "did" / "reference_values.csv")
    values = values[values["estimator"].str.startswith("HonestDiD")]
    assert len(values) == 14
    for _, row in values.iterrows():
        _, bound, end = re.fullmatch(r"(M|Mbar)=([\d.]+) (lb|ub)", row["quantity"]).groups()
        table = honest_did(
            expansion,
            bounds=[float(bound)],
            restriction="relative_magnitudes" if "RM" in row["estimator"] else "smoothness",
        )
        found = (table.conf_low if end == "lb" else table.conf_high)[0]
        what = f"{row['estimator']} {row['quantity']}"
        assert found == pytest.approx(row["value"], abs=float(row["tolerance"])), what


@pytest.mark.parametrize(("asked", "expected"), BC_RELATIVE_MAGNITUDES.items())
def test_relative_magnitudes_of_the_profits_study(
    profits: EffectTable, asked: tuple[str, float], expected: tuple[float, float]
) -> None:
    effect, bound = asked
    table = honest_did(profits, bounds=[bound], effect=0 if effect == "first" else "average")
    # Two steps of the other package's grid, 40 standard errors in 999 steps.
    se = np.sqrt(weights_variance(profits, effect))
    assert (table.conf_low[0], table.conf_high[0]) == pytest.approx(expected, abs=2 * 40 * se / 999)


@pytest.mark.parametrize(("asked", "expected"), BC_SMOOTHNESS.items())
def test_smoothness_of_the_profits_study(
    profits: EffectTable, asked: tuple[str, float], expected: tuple[float, float]
) -> None:
    effect, bound = asked
    table = honest_did(
        profits,
        bounds=[bound],
        restriction="smoothness",
        effect=0 if effect == "first" else "average",
    )
    # The length is unique and flat around its minimum, the centre is not as sharp: the solver
    # there stops at 1e-4.
    length = table.conf_high[0] - table.conf_low[0]
    assert length == pytest.approx(expected[1] - expected[0], rel=1e-4)
    assert length <= (expected[1] - expected[0]) * (1 + 1e-8)
    assert table.conf_low[0] == pytest.approx(expected[0], abs=2e-4)


def weights_variance(table: EffectTable, effect: str) -> float:
    """Variance of the first effect, or of the average, after exposure."""
    loads = np.zeros(8)
    loads[4:] = [1, 0, 0, 0] if effect == "first" else [0.25] * 4
    return float(loads @ table.covariance @ loads)
