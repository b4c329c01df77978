"""One ending and no other: against R survival on lung; contracts per provider of the state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate.time_to_event.cumulative_incidence import cumulative_incidence
from calaim_eval.estimate.time_to_event.incidence_table import mean_time_table
from calaim_eval.integration import contracts_per_organization
from calaim_eval.results import Estimand

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def rows(shared):
    table = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv")
    return table.set_index(["dataset", "measure"])


@pytest.fixture(scope="module")
def near(rows):
    """Whether a value is that of a row, at its tolerance."""

    def is_near(dataset: str, measure: str, found: float) -> bool:
        row = rows.loc[(dataset, measure)]
        return abs(found - float(row["value"])) <= float(row["tol"])

    return is_near


@pytest.fixture(scope="module")
def lung(shared):
    frame = pd.read_csv(
        shared / "reference" / "integration" / "data" / "survival_lung" / "lung.csv"
    )
    return pd.DataFrame(
        {"duration_days": frame["time"].astype(float), "cause": (frame["status"] == 2).astype(int)}
    )


def curve_at(lung, times):
    """Survival and its standard error."""
    found = cumulative_incidence(
        lung["duration_days"], lung["cause"], times=np.asarray(times, dtype=float), n_causes=1
    )
    return 1 - found.estimate[:, 0], np.sqrt((found.influence[:, :, 0] ** 2).sum(axis=0))


def test_with_one_ending_the_curve_is_kaplan_meiers(lung, near):
    survival, error = curve_at(lung, [365])
    assert near("survival_lung", "KM S(365)", survival[0])
    # The influence of each subject adds up to Greenwood's formula.
    assert near("survival_lung", "KM SE S(365) Greenwood", error[0])


def test_median_and_its_interval(lung, near):
    times = np.unique(lung["duration_days"])
    survival, error = curve_at(lung, times)
    assert near("survival_lung", "KM median", times[survival <= 0.5][0])
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.exp(1.959964 * error / survival)
    for name, ends in (("LCL", survival / reach), ("UCL", survival * reach)):
        assert near("survival_lung", f"KM median 95% {name} (log)", times[ends <= 0.5][0])


def test_restricted_mean(lung, near):
    table = mean_time_table(
        lung,
        cluster=None,
        group=None,
        groups=(),
        by="population",
        horizon=365.0,
        outcomes=("died",),
        estimand=Estimand("Mean time", "restricted mean", "days", is_causal=False),
        options={},
    )
    parts = table.keys.assign(days=table.estimate).set_index("component")["days"]
    assert near("survival_lung", "RMST(365)", parts["waiting"])
    assert parts.sum() == pytest.approx(365)


def test_contracts_per_provider_of_the_state(near):
    """2022: 1,158 contracts of 644 organizations; here 514 have two and 130 have one."""
    owners = [*np.repeat(np.arange(514), 2), *range(514, 644)]
    contract = pd.DataFrame(
        {
            "contract_id": [f"k{i}" for i in range(len(owners))],
            "organization_id": [f"o{i}" for i in owners],
            "plan": [f"p{i % 24}" for i in range(len(owners))],
            "county": "Kings",
            "service": "ecm",
            "contract_start_date": "2022-01-01",
        }
    )
    organization = pd.DataFrame(
        {"organization_id": [f"o{i}" for i in range(644)], "organization_type": "cbo"}
    )
    table = contracts_per_organization(contract, organization, quarter="2022Q4").to_frame()
    row = table[(table["counted"] == "contracts") & (table["organization_type"] == "all")].iloc[0]
    assert (row["numerator"], row["denominator"]) == (1158, 644)
    assert near("public_program_facts", "ECM contracts per unique provider CY2022", row["rate"])
