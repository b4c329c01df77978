"""What hangs together across tables: a hidden count must not follow from another table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from disclosure_tables import rate_table

from calaim_eval.disclosure import release
from calaim_eval.results import ALL

STEPS = ("referred", "authorized", "accepted", "reached", "started", "closed")


def funnel(counts):
    """Referrals reaching each step, by group and in all."""
    total = np.sum(list(counts.values()), axis=0)
    rows = [
        {"race_ethnicity": group, "step": step, "n": n, "of": numbers[0]}
        for group, numbers in {**counts, ALL: total}.items()
        for step, n in zip(STEPS, numbers, strict=True)
    ]
    frame = pd.DataFrame(rows)
    return rate_table(
        frame[["race_ethnicity", "step"]],
        frame["n"],
        frame["of"],
        kind="proportion",
        names=("root_referrals_reaching_step", "root_referrals"),
        margins=("race_ethnicity",),
        denominator_keys=("race_ethnicity",),
    )


def closure(counts):
    """Referrals closed by services, of the matured ones of services that close."""
    total = np.sum(list(counts.values()), axis=0)
    keys = pd.DataFrame({"race_ethnicity": [*counts, ALL]})
    numbers = np.array([*counts.values(), total])
    return rate_table(
        keys,
        numbers[:, 0],
        numbers[:, 1],
        kind="proportion",
        names=("root_referrals_closed_services_received", "matured_root_referrals"),
        margins=("race_ethnicity",),
    )


def times(counts):
    """Matured referrals by what became of them: begun in time, ended without service, waiting."""
    total = np.sum(list(counts.values()), axis=0)
    rows = [
        {"race_ethnicity": group, "state": state, "n": n, "of": sum(numbers)}
        for group, numbers in {**counts, ALL: total}.items()
        for state, n in zip(
            (ALL, "service_started", "ended_without_service", "waiting"),
            (sum(numbers), *numbers),
            strict=True,
        )
    ]
    frame = pd.DataFrame(rows)
    return rate_table(
        frame[["race_ethnicity", "state"]].assign(days=ALL),
        frame["n"],
        frame["of"],
        kind="proportion",
        names=("matured_root_referrals_any_service",) * 2,
        margins=("race_ethnicity", "state", "days"),
        denominator_keys=("race_ethnicity",),
    )


def shown(released, table, **keys):
    """Numerator and denominator of a row; NaN where hidden."""
    frame = released.tables[table].frame
    row = np.logical_and.reduce([(frame[c] == v).to_numpy() for c, v in keys.items()])
    return frame.loc[row, ["numerator", "denominator"]].to_numpy()[0]


def test_a_referral_closed_in_one_table_does_not_bound_the_hidden_count_of_the_other():
    # aian: 25 started, 20 closed, so 5 are lost between; 20 of 37 closed says "20 or 21 of 38".
    tables = {
        "referral_funnel": funnel(
            {
                "aian": (38, 38, 38, 36, 25, 20),
                "black": (225, 215, 209, 190, 126, 109),
                "white": (551, 540, 519, 497, 297, 262),
            }
        ),
        "referral_closure": closure({"aian": (20, 37), "black": (106, 205), "white": (240, 520)}),
    }
    released = release(tables)
    referred = shown(released, "referral_funnel", race_ethnicity="aian", step="referred")[0]
    started = shown(released, "referral_funnel", race_ethnicity="aian", step="started")[0]
    closed, matured = shown(released, "referral_closure", race_ethnicity="aian")
    # One referral is not matured: one of the two numbers it follows from is hidden.
    assert np.isnan(referred - matured)
    lost_at_most = started - closed
    lost_at_least = lost_at_most - (referred - matured)
    assert not lost_at_most - lost_at_least < 10


def test_services_that_began_late_do_not_follow_from_those_in_time():
    # aian: 60 services began, 57 of them in time: 3 members waited longer.
    tables = {
        "referral_funnel": funnel(
            {
                "aian": (140, 130, 120, 90, 60, 40),
                "black": (225, 215, 200, 180, 126, 100),
                "white": (551, 540, 519, 497, 297, 262),
            }
        ),
        "referral_times": times(
            {"aian": (57, 30, 33), "black": (90, 45, 50), "white": (240, 100, 130)}
        ),
    }
    released = release(tables)
    began = shown(released, "referral_funnel", race_ethnicity="aian", step="started")[0]
    in_time = shown(
        released, "referral_times", race_ethnicity="aian", state="service_started", days=ALL
    )[0]
    assert np.isnan(began - in_time)


def test_events_after_eligibility_do_not_follow_from_those_before_and_all():
    # aian: 16 of 18 events were before eligibility; white 300 of 900.
    groups = pd.DataFrame(
        {"outcome": "ed_visits", "race_ethnicity": ["aian", "black", "white", ALL]}
    )
    before = rate_table(
        groups,
        [16, 150, 300, 466],
        [400, 2000, 5000, 7400],
        names=("events_by_outcome", "member_months_before_eligibility"),
        margins=("race_ethnicity",),
    )
    in_all = rate_table(
        groups,
        [18, 400, 900, 1318],
        [1200, 6000, 15000, 22200],
        names=("events_by_outcome_in_all_covered_months", "member_months"),
        margins=("race_ethnicity",),
    )
    released = release({"baseline_utilization": before, "use_by_race_and_sex": in_all})
    tables = ("baseline_utilization", "use_by_race_and_sex")
    numbers = [shown(released, name, race_ethnicity="aian")[0] for name in tables]
    assert np.isnan(numbers).any()


def test_rows_set_aside_do_not_follow_from_rows_read():
    rows = [
        ("custody", "read", "used", 500),
        ("custody", "panel", "used", 396),
        ("custody", "panel", "outside coverage", 100),
        ("custody", "panel", "month with Medicare (dual)", 4),
    ]
    frame = pd.DataFrame(rows, columns=["table", "stage", "reason", "n"])
    table = rate_table(
        frame[["table", "stage", "reason"]], frame["n"], names=("input_rows", "none")
    )
    hidden = release({"row_ledger": table}).tables["row_ledger"].frame["is_suppressed"]
    assert hidden.iloc[3]
    assert hidden.sum() > 1


def test_persons_without_a_month_do_not_follow_from_the_members_of_the_panel():
    rows = [
        ("person", "read", "used", 1000),
        ("person", "panel", "used", 996),
        ("person", "panel", "no month in the panel", 4),
    ]
    frame = pd.DataFrame(rows, columns=["table", "stage", "reason", "n"])
    groups = pd.DataFrame({"race_ethnicity": ["black", "white", ALL]})
    members = rate_table(
        groups,
        [400, 596, 996],
        [996] * 3,
        kind="proportion",
        names=("members_in_panel", "all_members_in_panel"),
        margins=("race_ethnicity",),
    )
    ledger = rate_table(
        frame[["table", "stage", "reason"]], frame["n"], names=("input_rows", "none")
    )
    released = release({"members_by_group": members, "row_ledger": ledger})
    read = shown(released, "row_ledger", stage="read")[0]
    in_panel = shown(released, "members_by_group", race_ethnicity=ALL)[0]
    assert np.isnan(read - in_panel)


def test_tables_whose_numbers_do_not_hang_together_are_not_tied():
    tables = {
        "referral_funnel": funnel({"white": (50, 48, 46, 44, 42, 40)}),
        "referral_closure": closure({"white": (45, 90)}),
    }
    assert release(tables).certificate["n_suppressed_rows"] >= 0
