"""Time of the network measures: 2,000 organizations, 100,000 referrals.

python benchmarks/network_speed.py
"""

from __future__ import annotations

import resource
import time

import numpy as np
import pandas as pd

from calaim_eval.integration import (
    brokerage_roles,
    ei_index,
    main_broker,
    network_centralization,
    network_tables,
    referral_network,
    structural_holes,
    without_coordinator,
)

N_ORGANIZATIONS, N_REFERRALS, N_MEMBERS = 2_000, 100_000, 60_000
TYPES = ("cbo", "clinic", "hospital", "county_agency", "for_profit")
GROUPS = ("hispanic", "white", "black", "asian", "unknown")


def tables() -> dict[str, pd.DataFrame]:
    """Referrals between organizations of very different size."""
    rng = np.random.default_rng(1)
    weight = rng.pareto(1.2, N_ORGANIZATIONS) + 0.3
    ends = rng.choice(N_ORGANIZATIONS, (N_REFERRALS, 2), p=weight / weight.sum())
    ids = np.array([f"O{k:05d}" for k in range(N_ORGANIZATIONS)], dtype=object)
    members = np.array([f"M{k:06d}" for k in range(N_MEMBERS)], dtype=object)
    referral = pd.DataFrame(
        {
            "referral_id": np.arange(N_REFERRALS).astype(str),
            "member_id": rng.choice(members, N_REFERRALS),
            "from_organization_id": ids[ends[:, 0]],
            "to_organization_id": ids[ends[:, 1]],
            "service": "ecm",
            "referred_date": pd.Timestamp("2024-10-01"),
        }
    )
    organization = pd.DataFrame(
        {"organization_id": ids, "organization_type": rng.choice(TYPES, N_ORGANIZATIONS)}
    )
    person = pd.DataFrame({"member_id": members, "race_ethnicity": rng.choice(GROUPS, N_MEMBERS)})
    return {"referral": referral, "organization": organization, "person": person}


def main() -> None:
    """Print seconds of each step and the largest memory."""
    frames = tables()
    network = referral_network(frames["referral"], as_of="2024-12-31")
    print(network)
    group = frames["organization"].set_index("organization_id")["organization_type"]
    broker = main_broker(network)
    steps = {
        "network from referrals": lambda: referral_network(frames["referral"], as_of="2024-12-31"),
        "centralization": lambda: network_centralization(network),
        "structural holes": lambda: structural_holes(network),
        "with and without the coordinator": lambda: without_coordinator(network, broker),
        "brokerage, 199 permutations": lambda: brokerage_roles(network, group, n_permutations=199),
        "E-I index, 999 permutations": lambda: ei_index(network, group),
        "tables that may leave": lambda: network_tables(
            frames["referral"],
            frames["organization"],
            as_of="2024-12-31",
            person=frames["person"],
        ),
    }
    for name, step in steps.items():
        begin = time.perf_counter()
        step()
        print(f"{name:36s}{time.perf_counter() - begin:8.2f} s")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB at most")


if __name__ == "__main__":
    main()
