"""Race of the HUD HMIS FY2026 sample against counts made in R from the same file."""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.schema.recorded_race import BESIDE, NOT_IN_SCHEMA, recorded_categories

pytestmark = pytest.mark.shared
CATEGORIES = {
    "AmIndAKNative": "aian",
    "Asian": "asian",
    "BlackAfAmerican": "black",
    "HispanicLatinao": "hispanic",
    "MidEastNAfrican": "mena",
    "NativeHIPacific": "nhpi",
    "White": "white",
}


@pytest.fixture(scope="module")
def clients(shared) -> pd.DataFrame:
    path = shared / "data" / "hmis_fy26" / "csv" / "Client.csv"
    if not path.is_file():
        pytest.skip("../shared holds no HMIS sample")
    return pd.read_csv(path, usecols=["PersonalID", *CATEGORIES, "RaceNone"])


@pytest.fixture(scope="module")
def found(clients):
    return recorded_categories(clients, schema="hmis_fy2026", member_id="PersonalID")


def test_alone_or_in_combination_of_every_category(shared, found):
    values = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv", dtype=str)
    rows = values[values["dataset"] == "hmis_eva_demo_fy26"].set_index("measure")["value"]
    counts = found.counts("in_combination")
    for column, category in CATEGORIES.items():
        assert counts[category] == int(rows[f"race alone-or-in-combination {column}"])
    assert len(found.members) == int(rows["n clients"])


def test_exclusive_displays_by_brute_force_over_the_rows(clients, found):
    named = [
        {c for column, c in CATEGORIES.items() if getattr(row, column) == 1}
        for row in clients.itertuples()
    ]
    none = clients["RaceNone"].tolist()
    no_answer = ["declined" if code == 9 else "unknown" for code in none]
    alone = [
        next(iter(s)) if len(s) == 1 else "multiple" if s else blank
        for s, blank in zip(named, no_answer, strict=True)
    ]
    first = ["hispanic" if "hispanic" in s else a for s, a in zip(named, alone, strict=True)]
    assert found.groups("alone")["race_ethnicity"].tolist() == alone
    assert found.groups("hispanic_first")["race_ethnicity"].tolist() == first
    assert found.counts("alone").sum() == len(clients)


def test_what_names_no_category_is_counted(clients, found):
    told = found.reasons.set_index(["column", "reason"])["n_members"]
    none = clients["RaceNone"]
    named = clients[list(CATEGORIES)].eq(1).any(axis=1)
    assert told["RaceNone", "Client prefers not to answer (declined)"] == int(none.eq(9).sum())
    assert told["RaceNone", "Data not collected (unknown)"] == int(none.eq(99).sum())
    assert told["RaceNone", NOT_IN_SCHEMA] == int(none.eq(0).sum())
    assert told["", BESIDE] == int((named & none.isin([8, 9, 99])).sum())
