"""How long partners' files take: six months of return transmissions, written here and read.

Run it with the number of referrals and organizations, such as
``python benchmarks/partner_speed.py 100000 2000``.
"""

from __future__ import annotations

import csv
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import calaim_eval as ce

HEADS = (
    "MCP Name",
    "Member Client Index Number (CIN)",
    "ECM Provider Name",
    "ECM Provider National Provider Identifier (NPI)",
    "ECM Enrollment Start Date",
    "Date of Most Recent Encounter with Member",
    "Member Information Return Transmission File Production Date",
    "Referral Status",
    "Date of Referral Status Update",
    "Reason for Referral Loop Closure",
)
COURSE = ("Pending", "Pending", "Accepted", "Accepted", "Accepted", "Referral Loop Closed")


def statements(month: int, n_referrals: int, n_organizations: int) -> Iterator[list[str]]:
    """Rows of one month: each referral takes the same course."""
    status = COURSE[month]
    reason = "Services received" if status.endswith("Closed") else ""
    for number in range(n_referrals):
        organization = number % n_organizations
        yield [
            f"Plan {number % 20}",
            f"9{number:07d}A",
            f"Organization {organization}",
            f"{1_000_000_000 + organization}",
            "2025-02-01",
            f"2025-{month + 1:02d}-15",
            f"2025-{month + 1:02d}-28",
            status,
            f"2025-{COURSE.index(status) + 1:02d}-{1 + number % 28:02d}",
            reason,
        ]


def main() -> None:
    """Write, read, and print processor seconds and memory."""
    n_referrals, n_organizations = (int(each) for each in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        for month in range(len(COURSE)):
            path = Path(folder) / f"{month}.csv"
            with path.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(HEADS)
                writer.writerows(statements(month, n_referrals, n_organizations))
        began = time.process_time()
        found = ce.read_partner_files(folder, source="plan_exchange")
        seconds = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{found}: {seconds:.1f} processor seconds, {memory:.2f} GB at most")


if __name__ == "__main__":
    main()
