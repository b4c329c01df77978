"""An attacker who shares no code with the package never pins down a protected count.

Three methods, none of them the package's linear programmes: residual network flows for two-way
tables (Gusfield 1988, doi:10.1137/0217034), exact rational elimination, and enumeration of every
whole-number world for small linked tables.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import networkx as nx
import numpy as np
import pandas as pd
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from calaim_eval.disclosure import release
from calaim_eval.results import ALL, Method, RateTable

RACES = ["aian", "black", "white", "unknown"]
COUNTIES = ["Alpine", "Fresno", "Kern", "Yolo"]
FEW = range(1, 11)
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
counts = st.one_of(st.integers(0, 14), st.integers(0, 14), st.integers(15, 400))


def rates(keys, numerator, denominator=None, *, kind="count", names=("n", "d"), **options):
    k = len(keys)
    nan = np.full(k, np.nan)
    return RateTable(
        measure="made up",
        keys=pd.DataFrame(keys),
        numerator=np.asarray(numerator, dtype=float),
        denominator=nan if denominator is None else np.asarray(denominator, dtype=float),
        conf_low=nan,
        conf_high=nan,
        n_members=np.asarray(numerator, dtype=float),
        numerator_name=names[0],
        denominator_name=names[1],
        unit="members",
        kind=kind,
        method=Method("count"),
        **options,
    )


def with_margins(inner):
    wide = np.hstack([inner, inner.sum(axis=1, keepdims=True)])
    return np.vstack([wide, wide.sum(axis=0, keepdims=True)])


def two_way(inner):
    m, n = inner.shape
    keys = [
        {"race_ethnicity": r, "county": c} for r in [*RACES[:m], ALL] for c in [*COUNTIES[:n], ALL]
    ]
    table = with_margins(inner)
    return table, rates(keys, table.ravel(), margins=("race_ethnicity", "county"))


def flow_range(table, hidden, i, j):
    """Range of a cell of a table with margins, by largest flows in the residual network."""
    m, n = table.shape[0] - 1, table.shape[1] - 1
    # Cell (i, j) runs from row i to column j; a row total enters its row, a column total leaves
    # its column, the grand total closes the circuit.
    ends = {}
    for a, b in product(range(m + 1), range(n + 1)):
        start = f"r{a}" if a < m else "source"
        stop = f"c{b}" if b < n else "sink"
        if a < m and b == n:
            start, stop = "source", f"r{a}"
        elif a == m and b < n:
            start, stop = f"c{b}", "sink"
        elif a == m and b == n:
            start, stop = "sink", "source"
        ends[a, b] = (start, stop)

    def room(source, target):
        graph = nx.DiGraph()
        graph.add_nodes_from([source, target])
        for cell, (start, stop) in ends.items():
            if cell == (i, j) or not hidden[cell]:
                continue
            graph.add_edge(start, stop)  # no capacity: without bound
            graph.add_edge(stop, start, capacity=int(table[cell]))
        try:
            return nx.maximum_flow_value(graph, source, target)
        except nx.NetworkXUnbounded:
            return np.inf

    start, stop = ends[i, j]
    return max(table[i, j] - room(start, stop), 0), table[i, j] + room(stop, start)


@SETTINGS
@given(st.data(), st.integers(2, 4), st.integers(2, 4))
def test_no_small_count_of_a_two_way_table_can_be_narrowed_down(data, m, n):
    inner = np.array(data.draw(st.lists(counts, min_size=m * n, max_size=m * n))).reshape(m, n)
    table, result = two_way(inner)
    frame = release({"t": result}).tables["t"].frame
    hidden = frame["is_suppressed"].to_numpy().reshape(table.shape).copy()
    assert frame.loc[frame["is_suppressed"], "numerator"].isna().all()
    for i, j in product(range(m + 1), range(n + 1)):
        if table[i, j] in FEW:
            assert hidden[i, j]
            low, high = flow_range(table, hidden, i, j)
            assert high - low >= 10


def pinned(equations, unknowns):
    """Unknowns that the equations determine, by rational elimination."""
    order = {u: k for k, u in enumerate(unknowns)}
    rows = []
    for terms, right in equations:
        row = [Fraction(0)] * (len(order) + 1)
        for unknown, weight in terms:
            row[order[unknown]] += weight
        row[-1] = Fraction(right)
        rows.append(row)
    pivots, at = [], 0
    for column in range(len(order)):
        pick = next((r for r in range(at, len(rows)) if rows[r][column]), None)
        if pick is None:
            continue
        rows[at], rows[pick] = rows[pick], rows[at]
        rows[at] = [x / rows[at][column] for x in rows[at]]
        for r in range(len(rows)):
            if r != at and rows[r][column]:
                factor = rows[r][column]
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[at], strict=True)]
        pivots.append(column)
        at += 1
    free = [c for c in range(len(order)) if c not in pivots]
    solved = {
        unknowns[c]: rows[k][-1] for k, c in enumerate(pivots) if not any(rows[k][f] for f in free)
    }
    return solved, rows[:at], pivots, free


STAGES = ["identified", "served", "cbo_served"]


def funnel(reached):
    """Funnel by race with its margin; `reached` has a row per race and a column per stage."""
    table = np.vstack([reached, reached.sum(axis=0)])
    races = [*RACES[: len(reached)], ALL]
    keys = [{"race_ethnicity": r, "stage": s} for r in races for s in STAGES]
    return rates(
        keys,
        table.ravel(),
        np.repeat(table[:, 0], len(STAGES)),
        kind="proportion",
        names=("reaching", "identified"),
        margins=("race_ethnicity",),
    )


def members(total, groups):
    keys = [{"race_ethnicity": r} for r in [*RACES[: len(groups)], ALL]]
    return rates(
        keys,
        [*groups, total],
        [total] * len(keys),
        kind="proportion",
        names=("members", "members"),
        margins=("race_ethnicity",),
    )


def read_funnel(frame, races):
    """Numbers and equations that a reader of the released funnel has."""
    shown = {}
    for row in frame[~frame["is_suppressed"]].itertuples():
        shown[row.race_ethnicity, row.stage] = row.numerator
        shown[row.race_ethnicity, "identified"] = row.denominator
    names = [(r, s) for r in [ALL, *races] for s in STAGES]  # totals are solved for first
    unknowns = [name for name in names if name not in shown]
    equations = []
    for stage in STAGES:
        terms = [((r, stage), 1) for r in races] + [((ALL, stage), -1)]
        right = -sum(w * shown[name] for name, w in terms if name in shown)
        equations.append(([(n, w) for n, w in terms if n not in shown], int(right)))
    return shown, unknowns, [e for e in equations if e[0]]


def worlds(shown, unknowns, equations, races, ceiling=60):
    """Every whole-number funnel that fits, hidden counts up to the ceiling; one array a name."""
    _, rows, pivots, free = pinned(equations, unknowns)
    grid = np.array(list(product(range(ceiling + 1), repeat=len(free))), dtype=int)
    values = {unknowns[f]: grid[:, k] for k, f in enumerate(free)}
    for row, pivot in zip(rows, pivots, strict=True):
        values[unknowns[pivot]] = int(row[-1]) - sum(
            int(row[f]) * grid[:, k] for k, f in enumerate(free)
        ) * np.ones(len(grid), dtype=int)
    fits = np.ones(len(grid), dtype=bool)
    value = {name: np.full(len(grid), v) for name, v in shown.items()} | values
    for race in [*races, ALL]:
        first, second, third = (value[race, s] for s in STAGES)
        fits &= (third >= 0) & (third <= second) & (second <= first)
    return {name: v[fits] for name, v in value.items()}


@SETTINGS
@given(st.data(), st.integers(2, 3))
def test_no_small_count_of_a_funnel_can_be_narrowed_down(data, n_races):
    reached = np.array(
        [
            sorted(data.draw(st.lists(st.integers(0, 45), min_size=3, max_size=3)), reverse=True)
            for _ in range(n_races)
        ]
    )
    races = RACES[:n_races]
    frame = release({"access": funnel(reached)}).tables["access"].frame
    shown, unknowns, equations = read_funnel(frame, races)
    truth = {
        (r, s): n
        for r, row in zip([*races, ALL], np.vstack([reached, reached.sum(axis=0)]), strict=True)
        for s, n in zip(STAGES, row, strict=True)
    }
    assert all(truth[name] == n for name, n in shown.items())
    solved, _, _, free = pinned(equations, unknowns)
    for name in solved:
        assert truth[name] not in FEW
    assume(len(free) <= 3)
    value = worlds(shown, unknowns, equations, races)
    for race in [*races, ALL]:
        steps = [value[race, s] for s in STAGES]
        true = [truth[race, s] for s in STAGES]
        sensitive = [(v, t) for v, t in zip(steps, true, strict=True)]
        sensitive += [
            (steps[0] - steps[1], true[0] - true[1]),
            (steps[0] - steps[2], true[0] - true[2]),
            (steps[1] - steps[2], true[1] - true[2]),
        ]
        for values, t in sensitive:
            if t in FEW:
                assert values.max() - values.min() >= 10


@SETTINGS
@given(st.lists(counts, min_size=3, max_size=4), st.integers(0, 2))
def test_two_tables_of_one_quantity_are_one_table_to_the_attacker(groups, shift):
    """Members by race in one table, by race and county in another: no sum may give a cell away."""
    inner = np.array([[g // 2, g - g // 2 + shift] for g in groups])
    table, by_county = two_way(inner)
    total = int(table[-1, -1])
    by_county = rates(
        by_county.keys.to_dict("records"),
        table.ravel(),
        margins=("race_ethnicity", "county"),
        names=("members", "none"),
    )
    released = release({"by_county": by_county, "by_race": members(total, list(table[:-1, -1]))})
    wide = released.tables["by_county"].frame
    hidden = wide["is_suppressed"].to_numpy().reshape(table.shape).copy()
    narrow = released.tables["by_race"].frame
    shown = ~narrow["is_suppressed"].to_numpy()
    hidden[:, -1] &= ~shown  # a total shown in the other table is shown
    for i, j in product(range(table.shape[0]), range(table.shape[1])):
        if table[i, j] in FEW:
            low, high = flow_range(table, hidden, i, j)
            assert high - low >= 10


@SETTINGS
@given(st.lists(st.integers(0, 400), min_size=2, max_size=4))
def test_a_second_release_of_the_quarter_shows_nothing_the_first_hid(tmp_path_factory, groups):
    folder = tmp_path_factory.mktemp("release")
    first = release({"m": members(sum(groups), groups)}, to=folder, quarter="2024Q4")
    inner = np.array([[g // 2, g - g // 2] for g in groups])
    table, _ = two_way(inner)
    keys = two_way(inner)[1].keys.to_dict("records")
    wide = rates(
        keys, table.ravel(), margins=("race_ethnicity", "county"), names=("members", "none")
    )
    second = release({"w": wide}, to=folder, quarter="2024Q4")
    before = first.tables["m"].frame.set_index("race_ethnicity")["is_suppressed"]
    frame = second.tables["w"].frame
    hidden = frame["is_suppressed"].to_numpy().reshape(table.shape).copy()
    totals = frame[frame["county"] == ALL].set_index("race_ethnicity")["is_suppressed"]
    assert totals[before[before].index].all()
    hidden[:, -1] &= before.to_numpy()
    for i, j in product(range(table.shape[0]), range(table.shape[1])):
        if table[i, j] in FEW:
            low, high = flow_range(table, hidden, i, j)
            assert high - low >= 10
