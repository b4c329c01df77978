"""The panel against a slow plain-Python reading of its rules, on made-up members.

A member is made from a number (`panel_people`), so a case that fails is one number and one set of
rules; it is then cut down row by row to the smallest tables that still fail.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from random import Random
from time import monotonic

import pandas as pd
import panel_oracle as oracle
import panel_people as made
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from calaim_eval.panel import MemberMonths, PanelRules, build_member_months
from calaim_eval.tables import Tables

HOW = ("has_limits", "has_merges", "is_cut")
EVERYONE = ("medicaid", "medicare", "commercial")
# What members are like (`panel_people.people`), the window, and rules to build them by. Days of a
# readmission are fewer than 30, so that generated stays fall on both sides of a limit often.
GROUPS: dict[str, tuple[dict[str, bool], tuple[date, date], list[PanelRules]]] = {
    "as they are": (
        {},
        made.WINDOW,
        [PanelRules(), PanelRules(readmission_days=10, ed_join_days=0, drg_system="apr_drg")],
    ),
    "first day": (
        {"has_limits": True},
        made.WINDOW,
        [
            PanelRules(
                month_rule="first_day",
                plan_rule="latest_recorded",
                exclude_duals=False,
                custody_months="leave_out",
            ),
            PanelRules(
                month_rule="first_day",
                ed_definition="with_urgent_care",
                transfer_rule="dates_and_status",
                readmission_days=10,
                ed_admission="any_facility",
                ed_on_inpatient_claims="count",
            ),
        ],
    ),
    "all days": (
        {"has_merges": True},
        made.WINDOW,
        [
            PanelRules(
                month_rule="all_days",
                stay_evidence="bill_type",
                transfer_days=0,
                readmission_stays="inpatient_or_observation",
            ),
            PanelRules(
                month_rule="all_days",
                readmission_ages=(18, 64),
                paid_claims="medical_and_pharmacy",
                planned_readmissions="count",
            ),
        ],
    ),
    "everyone": (
        {"has_limits": True, "has_merges": True},
        made.WINDOW,
        [
            PanelRules(
                payer_types=EVERYONE,
                benefit_scope="any",
                exclude_duals=False,
                drg_system="ms_drg",
                readmission_pregnancy="leave_out",
            ),
            PanelRules(
                payer_types=("medicaid", "commercial"),
                benefit_scope="any",
                plan_rule="latest_recorded",
                transfer_rule="dates_and_status",
                transfer_days=3,
            ),
        ],
    ),
    "a year before": (
        {"is_cut": True},
        made.LONG_WINDOW,
        [
            PanelRules(
                readmission_enrollment="hedis",
                benefit_scope="any",
                exclude_duals=False,
                max_gap_months=1,
            )
        ],
    ),
}


def months(window: tuple[date, date]) -> dict[str, str]:
    return {"first_month": f"{window[0]:%Y-%m}", "last_month": f"{window[1]:%Y-%m}"}


WINDOW = months(made.WINDOW)
PLAIN = settings(
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
numbers = st.integers(0, 2**32 - 1)


def differences(
    panel: MemberMonths, tables: dict[str, list[dict]], rules: PanelRules
) -> Iterator[tuple]:
    """Where the panel is not what the words say."""
    window = (panel.first_month.start_time.date(), panel.last_month.end_time.date())
    told = oracle.expected(tables, rules, window)
    yield from _month_differences(panel, told)
    counts = _counts(panel)
    read, merged = oracle.as_read(tables)
    for name, rows in read.items():
        found = counts[name, "read"]
        if (sum(found.values()), found["used"]) != (len(tables[name]), len(rows)):
            yield "read", name, found, len(rows)
    if "member_xref" in tables and counts["member_xref", "read"] != merged:
        yield "read", "member_xref", counts["member_xref", "read"], merged
    for name, rows in told.rows.items():
        if not oracle.may_be(counts.get((name, "panel"), {}), rows):
            yield "rows", name, counts.get((name, "panel")), _tally(rows)
    for name, rows in told.events.items():
        if not oracle.may_be(counts.get((name, "events"), {}), rows):
            yield "events", name, counts.get((name, "events")), _tally(rows)
    notices = counts.get(("program_service", "notice"), {})
    dating = {k: n for k, n in notices.items() if k.startswith("dates the exposure only")}
    if not oracle.may_be(dating, told.remarks):
        yield "remarks", "program_service", dating, _tally(told.remarks)
    yield from _dollar_differences(panel, told)
    yield from _exposure_differences(panel, told)
    yield from _population_differences(panel, told)


def _month_differences(panel: MemberMonths, told: oracle.Expected) -> Iterator[tuple]:
    built = {
        (row["member_id"], f"{row['month']:%Y-%m}"): row
        for row in panel.to_frame().to_dict("records")
    }
    for key in sorted(built.keys() ^ told.months.keys()):
        yield "month", key, "built" if key in built else "not built"
    for key in sorted(built.keys() & told.months.keys()):
        for name, expected in told.months[key].items():
            found = None if pd.isna(built[key][name]) else built[key][name]
            if not _is_same(found, expected):
                yield name, key, found, expected


def _is_same(found: object, expected: object) -> bool:
    """Equal; amounts to the cent."""
    if isinstance(expected, oracle.Decimal):
        return found is not None and round(found * 100) == expected * 100
    return found == expected


def _counts(panel: MemberMonths) -> dict[tuple[str, str], dict[str, int]]:
    """The ledger: counts by reason, of a table and stage."""
    frame = panel.ledger.to_frame()
    told: dict[tuple[str, str], dict[str, int]] = {}
    for row in frame[frame["n_rows"] > 0].itertuples():
        told.setdefault((row.table, row.stage), {})[row.reason] = row.n_rows
    return told


def _tally(rows: list[set[str]]) -> dict[str, int]:
    return dict(oracle.Counter(" or ".join(sorted(row)) for row in rows))


def _dollar_differences(panel: MemberMonths, told: oracle.Expected) -> Iterator[tuple]:
    """Dollars of every line, used or not, are somewhere in the account."""
    for name, amounts in told.dollars.items():
        account = panel.amounts[panel.amounts["table"] == name]
        if round(math.fsum(account["paid_usd"]) * 100) != sum(amounts) * 100:
            yield "dollars", name, math.fsum(account["paid_usd"]), sum(amounts)


def _exposure_differences(panel: MemberMonths, told: oracle.Expected) -> Iterator[tuple]:
    built = {
        (row["member_id"], row["service"]): {k: _plain(v) for k, v in row.items()}
        for row in panel.exposure_frame().to_dict("records")
    }
    for key in sorted(built.keys() ^ told.exposure.keys()):
        yield "exposure", key, "built" if key in built else "not built"
    for key in sorted(built.keys() & told.exposure.keys()):
        for name, expected in told.exposure[key].items():
            if built[key][name] != expected:
                yield f"exposure, {name}", key, built[key][name], expected


def _population_differences(panel: MemberMonths, told: oracle.Expected) -> Iterator[tuple]:
    built = {
        (row["member_id"], row["population"]): {k: _plain(v) for k, v in row.items()}
        for row in panel.population_frame().to_dict("records")
    }
    for key in sorted(built.keys() ^ told.populations.keys()):
        yield "population", key, "built" if key in built else "not built"
    for key in sorted(built.keys() & told.populations.keys()):
        for name, expected in told.populations[key].items():
            if built[key][name] != expected:
                yield f"population, {name}", key, built[key][name], expected


def _plain(value: object) -> object:
    """A month as text, missing as None."""
    if pd.isna(value):
        return None
    return f"{value:%Y-%m}" if isinstance(value, pd.Timestamp) else value


def built(
    tables: dict[str, list[dict]], rules: PanelRules, window: tuple[date, date]
) -> MemberMonths:
    read = Tables.from_frames(made.frames(tables), n_buckets=1)
    return build_member_months(read, **months(window), rules=rules)


def smallest(
    tables: dict[str, list[dict]],
    rules: PanelRules,
    window: tuple[date, date],
    seconds: float = 60.0,
) -> dict[str, list[dict]]:
    """Tables that still differ, with as few rows as there is time to find."""
    until = monotonic() + seconds

    def fails(some: dict[str, list[dict]]) -> bool:
        return any(differences(built(some, rules, window), some, rules))

    for name in made.MADE:
        for row in list(tables[name]):
            if row["member_id"] == made.LAST_ONE or monotonic() > until:
                continue
            less = {**tables, name: [each for each in tables[name] if each is not row]}
            if fails(less):
                tables = less
    return tables


def check(
    seeds: list[int],
    rule_sets: list[PanelRules],
    n_buckets: int = 1,
    window: tuple[date, date] = made.WINDOW,
    **how: bool,
) -> int:
    """Compare panels of the same members under several rules; the number of cases.

    `how` is what `panel_people.people` is asked for.
    """
    tables = made.people(seeds, **how)
    read = Tables.from_frames(made.frames(tables), n_buckets=n_buckets)
    for rules in rule_sets:
        panel = build_member_months(read, **months(window), rules=rules)
        found = list(differences(panel, tables, rules))
        if found:
            pytest.fail(_report(found, seeds, rules, window, how), pytrace=False)
    return len(seeds) * len(rule_sets)


def _report(
    found: list[tuple],
    seeds: list[int],
    rules: PanelRules,
    window: tuple[date, date],
    how: dict[str, bool],
) -> str:
    """The first differences, and the smallest member that shows one."""
    told = [f"{len(found)} differences (found, expected), {rules}:", *map(str, found[:8])]
    wrong = {key[0] for _, key, *_ in found if isinstance(key, tuple)}
    for place, seed in enumerate(seeds):
        if f"m{place:04d}" in wrong:
            tables = smallest(made.people([seed], **how), rules, window)
            told.append(
                f"smallest found: panel_people.people([{seed}], **{how}) without what does not "
                "matter"
            )
            panel = built(tables, rules, window)
            told += [str(each) for each in differences(panel, tables, rules)]
            told += [f"{name}: {row}" for name in made.MADE for row in tables[name][:-1]]
            break
    return "\n".join(told)


@pytest.mark.parametrize("group", list(GROUPS))
@given(seeds=st.lists(numbers, min_size=120, max_size=120, unique=True))
@settings(PLAIN, max_examples=1, derandomize=True)
def test_panel_is_what_the_rules_say(group, seeds, record_property):
    how, window, rules = GROUPS[group]
    record_property("member cases", check(seeds, rules, n_buckets=2, window=window, **how))


def any_rules(number: int) -> PanelRules:
    """Rules drawn by chance."""
    one = Random(number).choice
    return PanelRules(
        month_rule=one(("any_day", "first_day", "all_days")),
        payer_types=one((("medicaid",), ("medicaid", "commercial"), EVERYONE)),
        benefit_scope=one(("full", "any")),
        exclude_duals=one((True, False)),
        plan_rule=one(("most_days", "latest_recorded")),
        ed_definition=one(("without_urgent_care", "with_urgent_care")),
        ed_join_days=one((0, 1)),
        ed_admission=one(("same_facility_or_transfer", "any_facility")),
        ed_on_inpatient_claims=one(("part_of_stay", "count")),
        stay_evidence=one(("accommodation_or_drg", "bill_type")),
        transfer_days=one((0, 1, 1, 2, 5)),
        transfer_rule=one(("dates", "dates_and_status")),
        readmission_days=one((5, 10, 30)),
        readmission_ages=one((None, (18, 64), (0, 17))),
        paid_claims=one(("medical", "medical_and_pharmacy")),
        custody_months=one(("keep", "keep", "leave_out")),
        planned_readmissions=one(("leave_out", "count")),
        drg_system=one(("unknown", "ms_drg", "apr_drg")),
        readmission_pregnancy=one(("count", "leave_out")),
        readmission_enrollment=one(("none", "none", "hedis")),
        readmission_stays=one(("inpatient", "inpatient_or_observation")),
        max_gap_months=one((0, 1, 3)),
    )


@pytest.mark.slow
@given(
    seeds=numbers.map(lambda number: Random(number).sample(range(10**9), 1500)),
    rules=st.lists(numbers.map(any_rules), min_size=2, max_size=2),
    n_buckets=st.sampled_from([1, 3]),
    window=st.sampled_from([made.WINDOW, made.LONG_WINDOW]),
    how=st.fixed_dictionaries(dict.fromkeys(HOW, st.booleans())),
)
@settings(PLAIN, max_examples=10)
def test_panel_is_what_the_rules_say_at_length(
    seeds, rules, n_buckets, window, how, record_property
):
    record_property("member cases", check(seeds, rules, n_buckets, window, **how))
