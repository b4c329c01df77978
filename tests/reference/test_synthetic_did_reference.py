"""Synthetic difference-in-differences, synthetic control and DID on the smoking data of California.

Values: ../shared/reference/did/reference_values.csv: R `synthdid` 0.0.9, other packages and hand
arithmetic; the README there names the versions. Errors of the paper are of random placebos.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import SyntheticDidEffects, synthetic_did

pytestmark = pytest.mark.shared

WEIGHTING = {
    "SDID": "synthetic_did",
    "SC": "synthetic_control",
    "DID": "uniform",
    "DID 2x2": "uniform",
}


@pytest.fixture(scope="module")
def smoking(shared: Path) -> pd.DataFrame:
    data = pd.read_csv(shared / "reference" / "did" / "data" / "california_prop99.csv", sep=";")
    return data.assign(cohort=np.where(data["State"] == "California", 1989.0, np.nan))


@pytest.fixture(scope="module")
def effects(smoking: pd.DataFrame) -> dict[str, SyntheticDidEffects]:
    return {
        weighting: synthetic_did(
            smoking, outcome="PacksPerCapita", county="State", month="Year", weighting=weighting
        )
        for weighting in set(WEIGHTING.values())
    }


def test_every_reference_row_is_met(shared: Path, effects: dict[str, SyntheticDidEffects]) -> None:
    values = pd.read_csv(shared / "reference" / "did" / "reference_values.csv")
    ours = values[
        (values["dataset"] == "california_prop99") & values["estimator"].isin(list(WEIGHTING))
    ]
    assert len(ours) == 5
    for _, row in ours.iterrows():
        estimate = effects[WEIGHTING[row["estimator"]]].estimate[0]
        assert estimate == pytest.approx(row["value"], abs=float(row["tolerance"])), row[
            "estimator"
        ]


@pytest.mark.parametrize(
    ("weighting", "published"),
    [("synthetic_did", 8.4), ("synthetic_control", 9.9), ("uniform", 17.7)],
)
def test_placebo_errors_beside_the_published_ones(
    effects: dict[str, SyntheticDidEffects], weighting: str, published: float
) -> None:
    # Table 1 of Arkhangelsky et al. 2021 has random placebos, so the standard error varies from
    # draw to draw. A sample standard deviation of 200 draws with the kurtosis of these placebos
    # has this standard error; three of them is what chance allows.
    table = effects[weighting]
    placebo = table.draws[:, 0]
    assert len(placebo) == 38
    apart = placebo - placebo.mean()
    kurtosis = (apart**4).mean() / (apart**2).mean() ** 2
    chance = table.std_error[0] * np.sqrt((kurtosis - 1) / (4 * 200))
    assert abs(table.std_error[0] - published) < 3 * chance


def test_weights_of_the_synthdid_vignette(effects: dict[str, SyntheticDidEffects]) -> None:
    # R `synthdid` vignette, synthdid_controls(): Nevada 0.124, New Hampshire 0.105, Connecticut
    # 0.078; years 1988 0.427, 1986 0.366, 1987 0.206.
    units = effects["synthetic_did"].unit_weights.set_index("county")["weight"].round(3)
    assert units.nlargest(3).to_dict() == {
        "Nevada": 0.124,
        "New Hampshire": 0.105,
        "Connecticut": 0.078,
    }
    years = effects["synthetic_did"].time_weights.set_index("month")["weight"].round(3)
    assert years[years > 0].to_dict() == {1986: 0.366, 1987: 0.206, 1988: 0.427}


def test_exact_weights_are_those_of_another_solver(smoking: pd.DataFrame) -> None:
    # Non-negative least squares with a heavy row for the sum finds the minimum itself, -19.51; R
    # stops a little before it, at -19.62.
    from scipy.optimize import nnls

    rates = smoking.pivot_table(index="State", columns="Year", values="PacksPerCapita")
    exposed = rates.loc["California"].to_numpy()
    others = rates.drop(index="California").to_numpy()
    heavy = 1e6
    weights, _ = nnls(
        np.vstack([others[:, :19].T, np.full(38, heavy)]), np.append(exposed[:19], heavy)
    )
    table = synthetic_did(
        smoking,
        outcome="PacksPerCapita",
        county="State",
        month="Year",
        weighting="synthetic_control",
        solver="exact",
    )
    assert table.estimate[0] == pytest.approx((exposed - weights @ others)[19:].mean(), abs=1e-5)
    assert table.estimate[0] == pytest.approx(-19.62, abs=0.2)
