"""How long exact disclosure control takes: linked tables of race by county, and a quarterly report.

`python benchmarks/disclosure_scale.py` runs both cases of the table in `README.md` here;
``--members 5000 200000`` other sizes. Everything is simulated on the spot.
"""

from __future__ import annotations

import argparse
import os
import time
from itertools import product

import numpy as np
import pandas as pd

from calaim_eval.disclosure import release
from calaim_eval.results import ALL, Method, RateTable

RACES = {
    "aian": 0.008, "asian": 0.12, "black": 0.08, "hispanic": 0.48, "mena": 0.01,
    "multiple": 0.04, "nhpi": 0.006, "unknown": 0.03, "white": 0.226,
}  # fmt: skip
AGES = {"0-17": 0.35, "18-44": 0.35, "45-64": 0.2, "65+": 0.1}
PLANS = {"commercial": 0.35, "county_organized": 0.2, "local": 0.45}
SEXES = {"female": 0.53, "male": 0.47}
LANGUAGES = {"english": 0.6, "other": 0.1, "spanish": 0.3}
N_COUNTIES = 58
SERVICES = ("asthma_remediation", "housing_navigation", "meals", "recuperative_care", "sobering")
PAIRS = (
    ("race_ethnicity", "county"),
    ("race_ethnicity", "age_group"),
    ("county", "age_group"),
    ("race_ethnicity", "plan"),
    ("county", "plan"),
)


def members(n: int, *, seed: int) -> pd.DataFrame:
    """Members served, spread over counties as unevenly as Californians are."""
    rng = np.random.default_rng(seed)
    counties = rng.pareto(1.1, N_COUNTIES) + 0.05
    groups = {
        "race_ethnicity": RACES,
        "county": {f"county {i:02d}": share for i, share in enumerate(counties)},
        "age_group": AGES,
        "plan": PLANS,
        "sex": SEXES,
        "language": LANGUAGES,
    }
    return pd.DataFrame(
        {
            column: rng.choice(
                list(shares), n, p=np.array([*shares.values()]) / sum(shares.values())
            )
            for column, shares in groups.items()
        }
    )


def counted(people: pd.DataFrame, by: tuple[str, ...], *, name: str) -> RateTable:
    """Members by some groups, with every margin."""
    rows: dict[tuple[str, ...], int] = {}
    for kept in product([True, False], repeat=len(by)):
        columns = [c for c, is_kept in zip(by, kept, strict=True) if is_kept]
        sizes = people.groupby(columns).size() if columns else {(): len(people)}
        for values, n in sizes.items():
            given = iter(values if isinstance(values, tuple) else (values,))
            rows[tuple(next(given) if is_kept else ALL for is_kept in kept)] = int(n)
    levels = [[*sorted(people[c].unique()), ALL] for c in by]
    keys = pd.DataFrame(list(product(*levels)), columns=list(by))
    n = np.array([rows.get(tuple(key), 0) for key in keys.to_numpy()], dtype=float)
    nan = np.full(len(n), np.nan)
    return RateTable(
        measure=name,
        keys=keys,
        numerator=n,
        denominator=nan,
        conf_low=nan,
        conf_high=nan,
        n_members=n,
        numerator_name=name,
        denominator_name="none",
        unit="members",
        kind="count",
        method=Method("count"),
        margins=by,
    )


def linked_margins(n: int) -> dict[str, RateTable]:
    """Nine races by 58 counties, both by age: three tables that share every margin."""
    people = members(n, seed=7)
    return {"_by_".join(by): counted(people, by, name="members_served") for by in PAIRS[:3]}


def three_way(n: int) -> dict[str, RateTable]:
    """Nine races by 58 counties by three plan types in one table with all its margins."""
    by = ("race_ethnicity", "county", "plan")
    return {"three_way": counted(members(n, seed=7), by, name="members_served")}


def quarterly_report(n: int) -> dict[str, RateTable]:
    """Twenty tables: five pairs of groups, of members served and of three supports each."""
    people = members(n, seed=11)
    rng = np.random.default_rng(12)
    support = rng.choice(SERVICES, n, p=[0.1, 0.4, 0.3, 0.15, 0.05])
    quantities = {"members_served": people} | {
        f"members_with_{service}": people[support == service] for service in SERVICES[1:4]
    }
    return {
        f"{name}_{number}": counted(some, by, name=name)
        for name, some in quantities.items()
        for number, by in enumerate(PAIRS)
    }


CASES = {
    "three linked tables": linked_margins,
    "one three-way table": three_way,
    "20 tables of a quarter": quarterly_report,
}


def measure(case: str, n: int) -> str:
    """One row of the table."""
    tables = CASES[case](n)
    clock, cpu = time.monotonic(), time.process_time()
    certificate = release(tables).certificate
    wall, used = time.monotonic() - clock, time.process_time() - cpu
    load = os.getloadavg()[0]
    return (
        f"| {case} | {n:,} | {certificate['n_rows']:,} | {certificate['n_suppressed_rows']:,} "
        f"| {wall:.1f} | {used:.1f} | {certificate['search_gap']:.0%} "
        f"| {certificate['narrowest_range']:g} | {load:.1f} |"
    )


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--members", type=int, nargs="+", default=[20_000, 200_000])
    options.add_argument("--case", choices=list(CASES), nargs="+", default=list(CASES))
    given = options.parse_args()
    print("| case | members | rows | hidden | wall s | CPU s | gap | narrowest range | load |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in given.case:
        for n in given.members:
            print(measure(case, n), flush=True)


if __name__ == "__main__":
    main()
