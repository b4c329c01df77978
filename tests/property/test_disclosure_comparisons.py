"""Who knows the size of every group and all that is shown never gets a hidden rate by arithmetic.

Rational elimination over the groups' counts, sharing no code with the package: shown counts, the
total, gaps and ratios to a group, differences to the mean of all.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from calaim_eval.disclosure import release
from calaim_eval.equity import disparity_measures, rate_gap
from calaim_eval.results import ALL, Method, RateTable

RACES = ["aian", "asian", "black", "hispanic", "white"]
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
counts = st.one_of(st.integers(1, 14), st.integers(11, 60), st.integers(60, 900))


def rates_by_race(events: list[int], sizes: list[int]) -> RateTable:
    """Events over the member-months of each race, and of all."""
    numerator = np.array([*events, sum(events)], dtype=float)
    denominator = np.array([*sizes, sum(sizes)], dtype=float)
    error = np.sqrt(numerator) / denominator
    return RateTable(
        measure="Visits",
        keys=pd.DataFrame({"race_ethnicity": [*RACES[: len(events)], ALL]}),
        numerator=numerator,
        denominator=denominator,
        conf_low=numerator / denominator - 2 * error,
        conf_high=numerator / denominator + 2 * error,
        n_members=numerator,
        numerator_name="ed_visits",
        denominator_name="member_months",
        unit="visits per member-month",
        kind="rate",
        method=Method("Rate", {"interval": "byar"}),
        margins=("race_ethnicity",),
    )


def pinned(equations: list[tuple[list[Fraction], Fraction]], n: int) -> set[int]:
    """Unknowns with one value in every solution."""
    rows = [[*left, right] for left, right in equations]
    at, pivots = 0, []
    for column in range(n):
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
    free = [c for c in range(n) if c not in pivots]
    return {c for k, c in enumerate(pivots) if not any(rows[k][f] for f in free)}


def shown_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[~frame["is_suppressed"] & frame["estimate"].notna()]


@SETTINGS
@given(st.data(), st.integers(3, 5))
def test_no_hidden_rate_follows_from_rates_gaps_and_sizes(data, n):
    events = data.draw(st.lists(counts, min_size=n, max_size=n))
    sizes = [4 * e + data.draw(st.integers(1, 900)) for e in events]
    races = RACES[:n]
    reference = data.draw(st.sampled_from(races))
    table = rates_by_race(events, sizes)
    to_mean = disparity_measures(
        table,
        reference="mean",
        favourable=False,
        weights="equal",
        measures=["rate_difference", "between_group_variance"],
        draws=200,
    ).differences
    released = release(
        {
            "rates": table,
            "gap": rate_gap(table, reference=reference),
            "ratio": rate_gap(table, reference=reference, scale="ratio"),
            "to_mean": to_mean,
        }
    )
    rates = released.tables["rates"].frame
    gone = set(rates.loc[rates["is_suppressed"], "race_ethnicity"])
    assume(gone)
    at = {race: i for i, race in enumerate(races)}
    base = at[reference]

    def unit(i: int, weight: Fraction) -> list[Fraction]:
        return [weight if j == i else Fraction(0) for j in range(n)]

    per = [Fraction(1, size) for size in sizes]  # one event, in the group's rate
    rate = [e * p for e, p in zip(events, per, strict=True)]
    equations = [
        (unit(at[race], Fraction(1)), Fraction(events[at[race]]))
        for race in races
        if race not in gone
    ]
    if ALL not in gone:
        equations.append(([Fraction(1)] * n, Fraction(sum(events))))
    for race in shown_rows(released.tables["gap"].frame)["race_ethnicity"]:
        i = at[race]
        left = [a - b for a, b in zip(unit(i, per[i]), unit(base, per[base]), strict=True)]
        equations.append((left, rate[i] - rate[base]))
    for race in shown_rows(released.tables["ratio"].frame)["race_ethnicity"]:
        i = at[race]
        other = unit(base, per[base] * rate[i] / rate[base])
        left = [a - b for a, b in zip(unit(i, per[i]), other, strict=True)]
        equations.append((left, Fraction(0)))
    mean = sum(rate) / n
    over = shown_rows(released.tables["to_mean"].frame)
    for race in over.loc[over["measure"] == "rate_difference", "race_ethnicity"]:
        i = at[race]
        left = [a - p / n for a, p in zip(unit(i, per[i]), per, strict=True)]
        equations.append((left, rate[i] - mean))
    solved = pinned(equations, n)
    assert not {races[i] for i in solved} & gone
    # A sum of squares is one more equation, for which elimination has no place.
    if gone - {ALL}:
        assert over.empty
