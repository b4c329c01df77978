"""Integration measures against published values and other software.

Values come from ``../shared/reference/integration/reference_values.csv`` (R 4.2.2: survival,
cmprsk, sna, igraph; hand counts), beside the data they were computed on.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from calaim_eval.estimate.time_to_event.cumulative_incidence import cumulative_incidence
from calaim_eval.estimate.time_to_event.gray_test import gray_test
from calaim_eval.integration import (
    contract_concentration,
    network_cohesion,
    referral_closure,
    time_to_service,
)
from calaim_eval.integration.bipartite import (
    bipartite_clustering,
    herfindahl_counts,
    incidence_matrix,
    mean_shared_partners,
    shared_partner_pairs,
)

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def folder(shared) -> Path:
    return shared / "reference" / "integration"


@pytest.fixture(scope="module")
def reference(folder):
    values = pd.read_csv(folder / "reference_values.csv").set_index(["dataset", "measure"])

    def look_up(dataset: str, measure: str) -> float:
        return float(values.loc[(dataset, measure), "value"])

    return look_up


@pytest.fixture(scope="module")
def mgus2(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / "survival_mgus2" / "mgus2.csv")


@pytest.fixture(scope="module")
def davis(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / "davis_southern_women" / "edges.csv")


@pytest.mark.parametrize("month", [60, 120, 240])
def test_aalen_johansen_and_its_standard_error_equal_r_survival(reference, mgus2, month):
    curve = cumulative_incidence(
        mgus2["etime"], mgus2["event"], times=np.array([month], dtype=float), n_causes=2
    )
    std_error = np.sqrt((curve.influence**2).sum(axis=0))
    of = {what: reference("survival_mgus2", f"AJ {what} t={month}") for what in
          ("CIF pcm", "CIF death", "SE CIF pcm")}  # fmt: skip
    assert curve.estimate[0, 0] == pytest.approx(of["CIF pcm"], abs=1e-9)
    assert curve.estimate[0, 1] == pytest.approx(of["CIF death"], abs=1e-9)
    # R prints the infinitesimal jackknife too: same formula, so far tighter than the 1e-3 listed.
    assert std_error[0, 0] == pytest.approx(of["SE CIF pcm"], abs=1e-9)


@pytest.mark.parametrize(("cause", "name"), [(1, "pcm"), (2, "death")])
def test_grays_test_equals_r_cmprsk(reference, mgus2, cause, name):
    found = gray_test(mgus2["etime"], mgus2["event"], mgus2["sex"], of=cause)
    expected = reference("survival_mgus2", f"Gray test {name} by sex stat")
    assert found["statistic"] == pytest.approx(expected, abs=1e-4)
    assert found["df"] == 1


def test_the_wrong_estimate_would_be_twice_as_large(reference, mgus2):
    times = np.array([240.0])
    wrong = cumulative_incidence(
        mgus2["etime"], (mgus2["event"] == 1).astype(int), times=times, n_causes=1
    )
    expected = reference("survival_mgus2", "WRONG 1-KM pcm t=240 (censoring deaths)")
    assert wrong.estimate[0, 0] == pytest.approx(expected, abs=1e-9)
    right = cumulative_incidence(mgus2["etime"], mgus2["event"], times=times, n_causes=2)
    assert right.estimate[0, 0] < 0.5 * expected


def test_mgus2_as_referrals_goes_through_the_whole_measure(reference, mgus2):
    """Months read as days: progression is the service, death the other exit."""
    opened = pd.Timestamp("2000-01-01")
    ended = opened + pd.to_timedelta(mgus2["etime"], unit="D")
    as_of = opened + pd.Timedelta(days=500)
    is_event = [mgus2["event"] == k for k in range(3)]
    # Whoever is censored in the study is followed to `as_of` here: open each referral later.
    shift = (as_of - ended).where(is_event[0], pd.Timedelta(0))
    referral = pd.DataFrame(
        {
            "referral_id": mgus2["id"].astype(str),
            "member_id": mgus2["id"].astype(str),
            "service": "ecm",
            "referred_date": opened + shift,
            "service_started_date": ended.where(is_event[1]),
            "closed_date": ended.where(is_event[2]),
            "referral_status": np.where(is_event[2], "closed", "accepted"),
            "closure_reason": np.where(is_event[2], "died", None),
        }
    )
    table = time_to_service(referral, as_of=as_of, horizon_days=(60, 120, 240))
    for i, month in enumerate((60, 120, 240)):
        expected = [
            reference("survival_mgus2", f"AJ {what} t={month}")
            for what in ("CIF pcm", "CIF death", "SE CIF pcm")
        ]
        assert table.estimate[i] == pytest.approx(expected[0], abs=1e-9)
        assert table.estimate[3 + i] == pytest.approx(expected[1], abs=1e-9)
        assert table.std_error[i] == pytest.approx(expected[2], abs=1e-9)
    n_died = int(((mgus2["event"] == 2) & (mgus2["etime"] <= 240)).sum())
    assert table.support["n_events"].iloc[-1] == n_died


def test_two_mode_network_of_davis(reference, davis):
    ties = incidence_matrix(davis["woman"], davis["event"])
    cycles, paths = bipartite_clustering(ties)
    women, events = shared_partner_pairs(ties), shared_partner_pairs(ties.T.tocsr())
    found = {
        "edges": ties.sum(),
        "bipartite density (89/252)": ties.sum() / np.prod(ties.shape),
        "4-cycles": cycles,
        "Robins-Alexander bipartite clustering 4*C4/L3": 4 * cycles / paths,
        "women projection density": women[0] / women[1],
        "events projection density": events[0] / events[1],
        "women projection mean shared events per pair": mean_shared_partners(ties),
    }
    for measure, value in found.items():
        assert value == pytest.approx(reference("davis_southern_women", measure), abs=1e-8)
    squares, total = herfindahl_counts(davis["event"].value_counts().to_numpy())
    expected = reference("davis_southern_women", "HHI of events by attendance share")
    assert squares / total == pytest.approx(expected, abs=1e-8)


def test_davis_as_contracts_goes_through_the_whole_measure(reference, davis):
    contract = pd.DataFrame(
        {
            "plan": davis["event"],
            "organization_id": davis["woman"],
            "county": "Kings",
            "service": "ecm",
            "contract_start_date": "2024-01-01",
        }
    )
    cohesion = network_cohesion(contract, quarter="2024Q4")
    rate = dict(zip(cohesion.keys["cohesion"], cohesion.rate, strict=True))
    names = {
        "density": "bipartite density (89/252)",
        "organizations_sharing_a_plan": "women projection density",
        "plans_sharing_an_organization": "events projection density",
        "clustering": "Robins-Alexander bipartite clustering 4*C4/L3",
    }
    for ours, theirs in names.items():
        expected = reference("davis_southern_women", theirs)
        assert rate[ours] == pytest.approx(expected, abs=1e-8)
    plans = contract_concentration(contract, quarter="2024Q4").rate[0]
    expected = reference("davis_southern_women", "HHI of events by attendance share")
    assert plans == pytest.approx(expected, abs=1e-8)


def test_concentration_of_the_merger_guidelines(reference):
    squares, total = herfindahl_counts(np.array([30, 30, 20, 20]))
    expected = reference("hhi_textbook", "HHI shares 30,30,20,20 (0-10000)")
    assert 10_000 * squares / total == pytest.approx(expected, abs=1e-9)
    squares, total = herfindahl_counts(np.array([5, 3, 2]))
    expected = reference("hhi_textbook", "HHI shares 0.5,0.3,0.2")
    assert squares / total == pytest.approx(expected, abs=1e-12)


def _fhir_referrals(folder: Path) -> pd.DataFrame:
    """Referral-management tasks of the FHIR examples as referral rows."""
    bundle = json.loads(
        (folder / "data" / "fhir_sdohcc_examples" / "sdohcc_examples_bundle.json").read_text(
            encoding="utf-8"
        )
    )
    resources = [e.get("resource", e) for e in bundle["entry"]]
    tasks = [r for r in resources if r["resourceType"] == "Task"]
    rows = []
    for task in tasks:
        codes = {c.get("code") for c in task.get("code", {}).get("coding", [])}
        if "fulfill" not in codes:
            continue
        parent = task.get("partOf", [{}])[0].get("reference", "").rpartition("/")[2]
        is_done = task["status"] == "completed"
        rows.append(
            {
                "referral_id": task["id"],
                "root_referral_id": parent or None,
                "member_id": task.get("for", {}).get("reference", "patient"),
                "service": "medically_tailored_meals",
                "referred_date": "2020-01-01",
                "referral_status": "closed" if is_done else "pending",
                "closure_reason": "services_received" if is_done else None,
            }
        )
    return pd.DataFrame(rows)


def test_closed_loop_of_the_fhir_examples_counts_root_tasks(folder, reference):
    rows = _fhir_referrals(folder)
    assert len(rows) == reference("fhir_sdohcc_examples", "referral-management tasks")
    closure = referral_closure(rows, as_of="2021-01-01")
    assert closure.denominator[0] == reference("fhir_sdohcc_examples", "root referral tasks")
    assert closure.numerator[0] == reference(
        "fhir_sdohcc_examples", "root referral tasks completed"
    )
    assert closure.rate[0] == reference(
        "fhir_sdohcc_examples", "closed-loop completion, root tasks"
    )


def test_row_order_moves_nothing(folder):
    rows = _fhir_referrals(folder)
    again = referral_closure(rows.iloc[::-1], as_of="2021-01-01")
    assert_frame_equal(referral_closure(rows, as_of="2021-01-01").to_frame(), again.to_frame())
