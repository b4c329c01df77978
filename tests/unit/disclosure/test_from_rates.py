"""A gap and the reference's rate are a rate: gaps go where the rates they are made of go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import rate_table

from calaim_eval.disclosure import Released, release
from calaim_eval.equity import (
    access_funnel_gap,
    das_gupta,
    disparity_measures,
    intersect_groups,
    kitagawa,
    missing_race_bounds,
    rate_gap,
)
from calaim_eval.results import (
    ALL,
    EffectTable,
    RateTable,
    load_results,
    save_results,
    stack,
    stack_rates,
)
from calaim_eval.results.estimand import RATES_OF, crossed_columns, rates_of

RACES = ["white", "hispanic", "asian", "nhpi"]
# Nhpi members have 4 visits; asian members' 30 are hidden only because the total is shown.
VISITS = [300.0, 200.0, 30.0, 4.0]
MONTHS = [3000.0, 1600.0, 400.0, 60.0]


def by_race(
    numerator: list[float],
    denominator: list[float],
    *,
    name: str = "ed_visits",
    races: list[str] = RACES,
    kind: str = "rate",
    **keys: object,
) -> RateTable:
    """Rates by race with their "all" row, as `rate_by_group` makes them."""
    table = rate_table(
        pd.DataFrame({**keys, "race_ethnicity": [*races, ALL]}),
        [*numerator, sum(numerator)],
        [*denominator, sum(denominator)],
        kind=kind,
        names=(name, "member_months" if kind == "rate" else "members"),
        margins=("race_ethnicity",),
    )
    if kind == "proportion":
        return table
    error = np.sqrt(table.numerator) / table.denominator
    return replace(
        table,
        conf_low=table.rate - 1.96 * error,
        conf_high=table.rate + 1.96 * error,
        method=replace(table.method, options={"interval": "byar"}),
    )


def hidden(released: Released, name: str, column: str = "race_ethnicity") -> set[str]:
    """Groups with a hidden row."""
    frame = released.tables[name].frame
    return set(frame.loc[frame["is_suppressed"], column].astype(str))


def test_the_gap_of_a_group_hidden_to_protect_another_is_hidden():
    rates = by_race(VISITS, MONTHS)
    gap = rate_gap(rates, reference="white")
    assert (gap.support["n_events"].to_numpy() >= 11).tolist() == [True, True, False]
    released = release({"rates": rates, "gap": gap})
    assert hidden(released, "rates") == {"asian", "nhpi"}
    assert hidden(released, "gap") == {"asian", "nhpi"}
    frame = released.tables["gap"].frame
    numbers = frame[["estimate", "std_error", "conf_low", "conf_high", "p_value"]]
    assert numbers[frame["is_suppressed"]].isna().all(axis=None)
    assert numbers[~frame["is_suppressed"]].notna().all(axis=None)


@pytest.mark.parametrize("scale", ["difference", "ratio"])
def test_gaps_of_shown_groups_stay(scale):
    rates = by_race([300, 200, 30, 14], MONTHS)
    released = release({"rates": rates, "gap": rate_gap(rates, reference="white", scale=scale)})
    assert hidden(released, "rates") == set()
    assert hidden(released, "gap") == set()


def test_every_gap_goes_with_the_rate_of_the_reference():
    """White members' rate would follow from any shown gap and that group's rate."""
    rates = by_race([30, 200, 300, 4], [400, 1600, 3000, 60])
    released = release({"rates": rates, "gap": rate_gap(rates, reference="white")})
    assert hidden(released, "rates") == {"white", "nhpi"}
    assert hidden(released, "gap") == {"hispanic", "asian", "nhpi"}


def test_a_gap_in_something_else_stays():
    visits, stays = by_race(VISITS, MONTHS), by_race([90, 80, 70, 60], MONTHS, name="stays")
    gap = rate_gap(stays, reference="white")
    released = release({"visits": visits, "stays": stays, "gap": gap})
    assert hidden(released, "visits") == {"asian", "nhpi"}
    assert hidden(released, "gap") == set()


def test_a_gap_that_does_not_say_in_what_goes_with_any_rate():
    stays = by_race([90, 80, 70, 60], MONTHS, name="stays")
    gap = rate_gap(stays, reference="white")
    unsaid = replace(gap, method=replace(gap.method, options={}))
    released = release({"visits": by_race(VISITS, MONTHS), "stays": stays, "gap": unsaid})
    assert hidden(released, "gap") == {"asian", "nhpi"}
    causal = replace(unsaid, estimand=replace(gap.estimand, is_causal=True))
    assert hidden(release({"visits": by_race(VISITS, MONTHS), "gap": causal}), "gap") == set()


def test_the_rate_of_other_months_is_not_told_apart():
    """`ed_visits_before_eligibility` is a rate of the same outcome and group."""
    before = by_race([300, 200, 40, 30], MONTHS, name="ed_visits_before_eligibility")
    released = release(
        {"rates": by_race(VISITS, MONTHS), "gap": rate_gap(before, reference="white")}
    )
    assert hidden(released, "gap") == {"asian", "nhpi"}


def test_rates_stacked_under_one_name_are_told_apart_by_their_own():
    """Rates before eligibility are not the rates of last year, though both are of visits."""
    visits = by_race(VISITS, MONTHS, name="ed_visits_before_eligibility")
    stays = by_race([90, 80, 70, 60], MONTHS, name="stays_before_eligibility")
    rates = stack_rates([visits, stays], key="outcome", labels=["ed_visits", "stays"])
    large = [300.0, 200, 40, 30]
    gaps = {
        name: rate_gap(by_race(large, MONTHS, name=name), reference="white")
        for name in ("ed_visits_before_eligibility", "ed_visits_last_year", "ed_visits", "stays")
    }
    released = release({"rates": rates, **gaps})
    gone = {name for name in gaps if hidden(released, name)}
    assert gone == {"ed_visits_before_eligibility", "ed_visits"}


def quarters(counts: dict[str, list[float]]) -> RateTable:
    """Rates by quarter and race; each quarter has an "all" row, the year has none."""
    parts = [by_race(n, MONTHS, quarter=quarter) for quarter, n in counts.items()]
    first = parts[0]
    joined = {
        name: np.concatenate([getattr(p, name) for p in parts])
        for name in ("numerator", "denominator", "conf_low", "conf_high", "n_members")
    }
    return replace(first, keys=pd.concat([p.keys for p in parts], ignore_index=True), **joined)


def test_a_quarter_hides_its_own_gaps():
    rates = quarters({"2024Q1": VISITS, "2024Q2": [300, 200, 30, 14]})
    released = release({"rates": rates, "gap": rate_gap(rates, reference="white")})
    frame = released.tables["gap"].frame
    gone = frame.loc[frame["is_suppressed"], ["quarter", "race_ethnicity"]]
    assert set(gone.itertuples(index=False, name=None)) == {
        ("2024Q1", "asian"),
        ("2024Q1", "nhpi"),
    }


def test_the_gap_of_the_year_goes_with_a_hidden_quarter():
    """The year's rate and the other quarters give the hidden quarter."""
    rates = quarters({"2024Q1": VISITS, "2024Q2": [300, 200, 30, 14]})
    year = by_race([600, 400, 60, 18], [2 * m for m in MONTHS], name="ed_visits")
    gap = rate_gap(year, reference="white")
    assert hidden(release({"rates": rates, "gap": gap}), "gap") == {"asian", "nhpi"}


def test_a_county_hidden_within_a_shown_group_hides_nothing_of_the_group():
    rows = [(r, c) for c in ("kern", "yolo", ALL) for r in (*RACES, ALL)]
    kern, yolo = np.array([100.0, 90, 80, 4]), np.array([200.0, 110, 90, 60])
    counts = np.concatenate([[*n, n.sum()] for n in (kern, yolo, kern + yolo)])
    keys = pd.DataFrame(rows, columns=["race_ethnicity", "county"])
    rates = rate_table(
        keys,
        counts,
        counts * 10,
        kind="rate",
        names=("ed_visits", "member_months"),
        margins=("race_ethnicity", "county"),
    )
    whole = by_race(list(kern + yolo), list((kern + yolo) * 10))
    released = release({"rates": rates, "gap": rate_gap(whole, reference="white")})
    frame = released.tables["rates"].frame
    assert frame.loc[frame["county"] != ALL, "is_suppressed"].any()
    assert not frame.loc[frame["county"] == ALL, "is_suppressed"].any()
    assert hidden(released, "gap") == set()
    within = rates.select((keys != ALL).all(axis=1))
    parts = kitagawa(within, within="county", reference="white")
    released = release({"rates": rates, "parts": parts})
    finer = released.tables["rates"].frame
    gone = set(finer.loc[finer["is_suppressed"], "race_ethnicity"])
    assert "nhpi" in gone
    assert hidden(released, "parts") == (
        gone - {"white"} if "white" not in gone else set(RACES[1:])
    )


def test_all_parts_of_a_decomposition_go_with_the_rate():
    rates = by_race(VISITS, MONTHS)
    ages = [("young", 0.4), ("old", 0.6)]
    counts = pd.DataFrame(
        [
            {"race_ethnicity": r, "age": age, "ed_visits": n * share, "member_months": m / 2}
            for r, n, m in zip(RACES, [300, 200, 30, 40], MONTHS, strict=True)
            for age, share in ages
        ]
    )
    parts = kitagawa(
        counts, within="age", reference="white", kind="rate", numerator="ed_visits", per=1000
    )
    factors = pd.DataFrame(
        {"race_ethnicity": RACES, "share": [0.1, 0.2, 0.3, 0.2], "each": [2.0, 3.0, 2.5, 2.0]}
    )
    split = das_gupta(factors, factors=["share", "each"], reference="white", unit="visits")
    for table in (parts, split):  # counts in a frame do not say how many members they are of
        table.support[["n_members", "n_events"]] = 100.0
    released = release({"rates": rates, "parts": parts, "split": split})
    for name in ("parts", "split"):
        frame = released.tables[name].frame
        by_group = frame.groupby("race_ethnicity")["is_suppressed"]
        assert by_group.min().to_dict() == by_group.max().to_dict()
        assert by_group.min().to_dict() == {"hispanic": False, "asian": True, "nhpi": True}


def test_stages_of_a_funnel_go_whole():
    reached = {"white": [400, 300, 200], "black": [200, 90, 60], "asian": [150, 80, 76]}
    stages = ["identified", "served", "cbo_served"]
    total = np.sum(list(reached.values()), axis=0).tolist()
    rows = [
        (r, s, n, counts[0])
        for r, counts in {**reached, ALL: total}.items()
        for s, n in zip(stages, counts, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["race_ethnicity", "stage", "n", "of"])
    funnel = rate_table(
        frame[["race_ethnicity", "stage"]],
        frame["n"],
        frame["of"],
        kind="proportion",
        names=("members_reaching_stage_of_ecm", "members_identified_for_ecm"),
        margins=("race_ethnicity",),
        denominator_keys=("race_ethnicity",),
    )
    gaps = access_funnel_gap(funnel, reference="white")
    released = release({"funnel": funnel, "gaps": gaps})
    gone = hidden(released, "funnel")
    assert "asian" in gone
    assert len(gone) > 1
    expected = {"black", "asian"} if "white" in gone else gone - {ALL}
    assert hidden(released, "gaps") == expected


def test_a_stage_that_is_not_in_the_parts_hides_none(tmp_path):
    reached = {"white": [400, 300, 200], "black": [200, 120, 60], "asian": [150, 80, 4]}
    total = np.sum(list(reached.values()), axis=0).tolist()
    stages = ["identified", "outreached", "served"]
    rows = [
        (r, s, n, counts[0])
        for r, counts in {**reached, ALL: total}.items()
        for s, n in zip(
            [*stages, "cbo_served"], [*counts[:2], counts[1] - 20, counts[2]], strict=True
        )
    ]
    rows = [(r, s, n if (r, s) != (ALL, "served") else total[1] - 60, of) for r, s, n, of in rows]
    frame = pd.DataFrame(rows, columns=["race_ethnicity", "stage", "n", "of"])
    funnel = rate_table(
        frame[["race_ethnicity", "stage"]],
        frame["n"],
        frame["of"],
        kind="proportion",
        names=("members_reaching_stage_of_ecm", "members_identified_for_ecm"),
        margins=("race_ethnicity",),
        denominator_keys=("race_ethnicity",),
    )
    tables = {
        "short": access_funnel_gap(funnel, reference="white", stages=stages),
        "long": access_funnel_gap(funnel, reference="white"),
    }
    save_results(tables, tmp_path)
    kept = {n: t for n, t in load_results(tmp_path).items() if isinstance(t, EffectTable)}
    assert kept.keys() == tables.keys()
    released = release({"funnel": funnel, **kept})
    shown = released.tables["funnel"].frame
    assert set(shown.loc[shown["is_suppressed"], "stage"]) == {"cbo_served"}
    assert hidden(released, "short") == set()
    assert "asian" in hidden(released, "long")


@pytest.mark.parametrize("weights", ["population", "equal"])
@pytest.mark.parametrize("reference", ["white", "mean", "best"])
def test_measures_over_all_groups_go_with_the_rate_of_any(reference, weights):
    # A small count is not in the measures' own support: its row of the table was merged away.
    rates = by_race(VISITS, MONTHS)
    large = by_race([300, 200, 30, 14], MONTHS)
    found = disparity_measures(
        large, reference=reference, favourable=False, weights=weights, draws=200
    ).tables()
    tables = {f"disparity_{i}": t for i, t in enumerate(_each(found))}
    released = release({"rates": rates, **tables})
    for name, table in tables.items():
        frame = released.tables[name].frame
        is_over_all = (frame["race_ethnicity"] == ALL) | (frame["reference"] != "white")
        assert frame.loc[is_over_all, "is_suppressed"].all()
        own = frame[~is_over_all]
        hides = own["race_ethnicity"].isin(["asian", "nhpi"])
        assert own["is_suppressed"].tolist() == hides.tolist()
        assert len(table) == len(frame)
    shown = release({"rates": large, **tables})
    assert not any(shown.tables[name].n_suppressed for name in tables)


def _each(found: object) -> list[EffectTable]:
    return list(found.values()) if isinstance(found, dict) else list(found)  # type: ignore[call-overload]


def test_bounds_over_missing_race_go_with_the_recorded_rate():
    races = [*RACES, "unknown"]
    served = by_race(
        [300, 200, 30, 4, 40],
        [600, 500, 90, 60, 100],
        name="served",
        races=races,
        kind="proportion",
    )
    large = by_race(
        [300, 200, 30, 40, 40],
        [600, 500, 90, 100, 100],
        name="served",
        races=races,
        kind="proportion",
    )
    bounds = {
        "gaps": missing_race_bounds(large, missing="unknown", reference="white"),
        "levels": missing_race_bounds(large, missing="unknown"),
    }
    released = release({"served": served, **bounds})
    gone = hidden(released, "served")
    assert len(gone) == 2
    assert hidden(released, "levels") == gone - {"unknown"}
    assert not release({"served": large, **bounds}).tables["levels"].n_suppressed


def test_stacked_gaps_say_what_all_of_them_are_in():
    visits, stays = by_race(VISITS, MONTHS), by_race([90, 80, 70, 60], MONTHS, name="stays")
    gaps = stack(
        [rate_gap(stays, reference="white"), rate_gap(visits, reference="white")],
        key="outcome",
        labels=["stays", "ed_visits"],
    )
    assert rates_of(gaps.method) == ("stays", "ed_visits")
    released = release({"visits": visits, "stays": stays, "gaps": gaps})
    frame = released.tables["gaps"].frame
    gone = frame.loc[frame["is_suppressed"], ["outcome", "race_ethnicity"]]
    assert set(gone.itertuples(index=False, name=None)) == {
        ("ed_visits", "asian"),
        ("ed_visits", "nhpi"),
    }
    unsaid = replace(gaps, method=replace(gaps.method, options={}))
    assert RATES_OF not in stack([gaps, unsaid], key="n", labels=[1, 2]).method.options


def test_what_a_gap_is_in_is_kept_on_disk(tmp_path):
    gap = rate_gap(by_race(VISITS, MONTHS), reference="white")
    save_results({"gap": gap}, tmp_path)
    assert rates_of(load_results(tmp_path)["gap"].method) == ("ed_visits",)


def test_a_gap_released_after_the_rates_is_hidden_too(tmp_path):
    rates = by_race(VISITS, MONTHS)
    gap = rate_gap(rates, reference="white")
    release({"rates": rates}, to=tmp_path, quarter="2024Q3")
    again = release({"gap": gap}, to=tmp_path, quarter="2024Q3")
    assert hidden(again, "gap") == {"asian", "nhpi"}


def by_race_and_sex() -> RateTable:
    """Few visits of nhpi men; no sums are declared, so nothing else is hidden for them."""
    groups = [(race, sex) for race in ("white", "black", "nhpi") for sex in ("f", "m")]
    visits, months = (
        np.array([300.0, 200, 80, 90, 40, 4]),
        np.array([3000.0, 2000, 600, 700, 300, 60]),
    )
    table = rate_table(
        pd.DataFrame(groups, columns=["race_ethnicity", "sex"]),
        visits.tolist(),
        months.tolist(),
        kind="rate",
        names=("ed_visits", "member_months"),
        margins=(),
    )
    width = 1.96 * np.sqrt(visits) / months
    return replace(
        table,
        conf_low=table.rate - width,
        conf_high=table.rate + width,
        method=replace(table.method, options={"interval": "byar"}),
    )


def compared_by_group(rates: RateTable, reference: str) -> EffectTable:
    """Gaps whose own support is large: they can only be hidden for the rates."""
    crossed = intersect_groups(rates, ["race_ethnicity", "sex"], name="race_by_sex")
    gap = rate_gap(crossed, reference=reference, stratum="race_by_sex")
    return replace(gap, support=gap.support.assign(n_members=100, n_events=100))


def test_groups_under_a_crossed_name_go_with_the_rate_by_both_columns(tmp_path):
    rates = by_race_and_sex()
    assert hidden(release({"rates": rates}), "rates", "sex") == {"m"}
    gap = compared_by_group(rates, "white & f")
    save_results({"gap": gap}, tmp_path)
    for table in (gap, load_results(tmp_path)["gap"]):
        assert hidden(release({"rates": rates, "gap": table}), "gap", "race_by_sex") == {"nhpi & m"}


def test_a_crossed_reference_takes_every_gap_with_it():
    rates = by_race_and_sex()
    released = release({"rates": rates, "gap": compared_by_group(rates, "nhpi & m")})
    assert released.tables["gap"].frame["is_suppressed"].all()


def test_a_table_crossed_itself_goes_like_the_one_by_both_columns():
    rates = by_race_and_sex()
    gap = rate_gap(rates, reference="white")
    plain = replace(gap, support=gap.support.assign(n_members=100, n_events=100))
    crossed = intersect_groups(plain, ["race_ethnicity", "sex"], name="race_by_sex")
    released = release({"rates": rates, "plain": plain, "crossed": crossed})
    gone = released.tables["plain"].frame
    gone = gone.loc[gone["is_suppressed"], ["race_ethnicity", "sex"]].agg(" & ".join, axis=1)
    assert set(gone) == {"nhpi & m"}
    assert hidden(released, "crossed", "race_by_sex") == {"nhpi & m"}


def test_crossed_columns_survive_a_second_crossing_and_a_stack():
    gap = compared_by_group(by_race_and_sex(), "white & f")
    again = intersect_groups(
        gap.select(np.ones(len(gap), dtype=bool)), ["race_by_sex", "reference"], name="pair"
    )
    assert crossed_columns(again.method) == {"pair": ("race_ethnicity", "sex", "reference")}
    plain = replace(gap, method=replace(gap.method, options={}))
    both = stack([plain, gap], key="version", labels=["a", "b"])
    assert crossed_columns(both.method) == {"race_by_sex": ("race_ethnicity", "sex")}
