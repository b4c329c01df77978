"""Cell suppression against published and hand-checked examples."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import two_way

from calaim_eval.disclosure import load_policy, release
from calaim_eval.disclosure.attacker import possible_values
from calaim_eval.disclosure.complementary import protect
from calaim_eval.disclosure.count_table import count_tables
from calaim_eval.disclosure.primary import Target
from calaim_eval.disclosure.system import build_system

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def expected(shared: Path) -> pd.DataFrame:
    table = pd.read_csv(shared / "reference/equity/reference_values.csv")
    return table[table["data_file"] == "sdctable/"]


def row(expected: pd.DataFrame, dataset: str, measure: str) -> pd.Series:
    found = expected[
        expected["dataset"].str.startswith(dataset)
        & expected["measure"].str.contains(measure, regex=False)
    ]
    assert len(found) == 1
    return found.iloc[0]


def system_of(inner: np.ndarray):
    m, n = inner.shape
    names = tuple(f"row {i}" for i in range(m)), tuple(f"column {j}" for j in range(n))
    table, rates = two_way(inner, rows=names[0], columns=names[1])
    return table, build_system(count_tables({"t": rates}))


def attacked(inner: np.ndarray, hidden: list[tuple[int, int]], cell: tuple[int, int]):
    """Range a reader is left with, counted from the numbers shown only."""
    table, system = system_of(inner)
    at = {(i, j): i * table.shape[1] + j for i, j in np.ndindex(*table.shape)}
    value = system.value.copy()
    for each in hidden:
        value[system.rows[at[each]].cells[0]] = np.nan
    low, high = possible_values(system, value, [system.rows[at[cell]].cells[0]])
    return low[0], high[0]


def test_attacker_interval_of_fischetti_and_salazar(expected):
    known = row(expected, "Fischetti", "attacker interval")
    inner = np.array(json.loads(known["options"].split("+")[0]))
    low, high = attacked(inner, [(1, 0), (1, 2), (2, 0), (2, 2)], (1, 2))
    assert inner[1, 2] == known["value"]
    assert (low, high) == (known["ci_low"], known["ci_high"])


def test_optimum_of_fischetti_and_salazar(expected):
    known = row(expected, "Fischetti", "optimal sum")
    inner = np.array([[20, 50, 10], [8, 19, 22], [17, 32, 12]])
    table, system = system_of(inner)
    assert "lower<=17, upper>=30" in known["options"]
    start = np.zeros(len(system.rows), dtype=bool)
    start[1 * 4 + 2] = True
    pattern = protect(
        system,
        [Target(system.rows[1 * 4 + 2].cells[0], width=13, up=8, down=5)],
        hidden_rows=start,
        cost=table.ravel().astype(float),
    )
    secondary = np.argwhere((pattern.hidden_rows & ~start).reshape(4, 4))
    assert pattern.cost == known["value"]
    assert pattern.bound == pytest.approx(known["value"])
    assert [tuple(c) for c in secondary] == [(1, 0), (2, 0), (2, 2)]


def test_optimum_of_sdctable_on_its_own_microdata(expected, shared):
    known = row(expected, "sdcTable", "n secondary")
    people = pd.read_csv(shared / "reference/equity/data/sdctable/microdata1.csv")
    counts = pd.crosstab(people["region"], people["gender"])
    assert counts.loc["A", "female"] == 2
    table, system = system_of(counts.to_numpy())
    female, male = list(counts.columns).index("female"), list(counts.columns).index("male")
    start = np.zeros(len(system.rows), dtype=bool)
    start[female] = True  # region A is the first row
    pattern = protect(
        system,
        [Target(system.rows[female].cells[0], width=1)],
        hidden_rows=start,
        cost=table.ravel().astype(float),
    )
    secondary = {
        tuple(map(int, c)) for c in np.argwhere((pattern.hidden_rows & ~start).reshape(5, 3))
    }
    assert len(secondary) == known["value"]
    assert secondary == {(0, male), (2, male), (2, female)}  # (A,male), (C,male), (C,female)
    assert pattern.cost == 40
    hidden = [(0, female), *secondary]
    assert attacked(counts.to_numpy(), hidden, (0, female)) == (0, 12)


def test_a_table_that_follows_the_guideline_can_still_be_solved(expected):
    known = row(expected, "DDG 4.4.1", "attacker interval")
    inner = np.array(json.loads(known["options"].removeprefix("inner ").split(";")[0]))
    small = [tuple(c) for c in np.argwhere(inner < 11)]
    assert len(small) == 9
    for line in (*inner, *inner.T):  # two hidden cells or more in every line, together 11 or more
        hidden = line[line < 11]
        assert len(hidden) >= 2
        assert hidden.sum() >= 11
    assert attacked(inner, small, (0, 1)) == (known["ci_low"], known["ci_high"]) == (4, 4)
    for cell in small:
        low, high = attacked(inner, [*small, (1, 3)], cell)
        assert low < high


def test_release_of_that_table_leaves_every_small_count_open(expected):
    known = row(expected, "DDG 4.4.1", "attacker interval")
    inner = np.array(json.loads(known["options"].removeprefix("inner ").split(";")[0]))
    table, rates = two_way(inner)
    frame = release({"t": rates}).tables["t"].frame
    hidden = [tuple(c) for c in np.argwhere(frame["is_suppressed"].to_numpy().reshape(5, 5))]
    policy = load_policy("calhhs_ddg_2")
    assert len(hidden) > 9
    for cell in product(range(5), range(5)):
        if 0 < table[cell] < 11:
            low, high = attacked(inner, hidden, cell)
            assert high - low >= policy.min_interval


def test_an_aian_total_is_not_made_of_the_shown_cells(expected):
    """ACRO printed 15 for an AI/AN total of 31, having dropped the suppressed cells from it."""
    known = row(expected, "ACRO", "AI/AN row total")
    inner = np.array([[9, 15, 7], [120, 80, 60], [300, 200, 90]])
    _, rates = two_way(
        inner, rows=("aian", "black", "white"), columns=("Los Angeles", "Kern", "Inyo")
    )
    frame = release({"t": rates}).tables["t"].frame
    total = frame[(frame["race_ethnicity"] == "aian") & (frame["county"] == "all")].iloc[0]
    assert known["value"] == 15
    assert total["numerator"] == 31
    assert not total["is_suppressed"]
