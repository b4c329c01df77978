"""What may not change a panel, and what must add up in it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from random import Random

import pandas as pd
import panel_oracle as oracle
import panel_people as made
import pytest

from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import Tables, read_tables

WINDOW = {"first_month": f"{made.WINDOW[0]:%Y-%m}", "last_month": f"{made.WINDOW[1]:%Y-%m}"}


@pytest.fixture(scope="module")
def tables():
    """Raw tables of members made up by chance."""
    rng = Random(20240229)
    return made.people([rng.getrandbits(32) for _ in range(80)])


@pytest.fixture(scope="module")
def panel(tables):
    return build(Tables.from_frames(made.frames(tables)))


def build(read: Tables):
    return build_member_months(read, **WINDOW)


def content(panel, back: dict[str, str] | None = None) -> tuple:
    """Member months, first contacts, dollars and the ledger, whatever their order."""
    months, contacts = panel.to_frame(), panel.exposure_frame()
    for frame in (months, contacts):
        frame["member_id"] = frame["member_id"].map(lambda who: (back or {}).get(who, who))
        frame["paid_usd"] = frame["paid_usd"].round(2) if "paid_usd" in frame else 0.0
    ledger = panel.ledger.to_frame()
    ledger = ledger[ledger["n_rows"] > 0].groupby(["table", "stage", "reason"])["n_rows"].sum()
    dollars = panel.amounts.groupby(["table", "reason"])["paid_usd"].sum().round(2)
    return (
        months.sort_values(["member_id", "month"]).reset_index(drop=True),
        contacts.sort_values(["member_id", "service"]).reset_index(drop=True),
        dollars.to_dict(),
        ledger.to_dict(),
    )


def assert_same(one: tuple, other: tuple) -> None:
    pd.testing.assert_frame_equal(one[0], other[0])
    pd.testing.assert_frame_equal(one[1], other[1])
    assert one[2] == other[2]
    assert one[3] == other[3]


def shuffled(tables: dict) -> dict:
    rng = Random(3)
    return {name: rng.sample(rows, len(rows)) for name, rows in tables.items()}


def renamed(tables: dict, names: dict[str, str]) -> dict:
    """Tables with other member ids; claim numbers stay."""
    return {
        name: [
            {**row, "member_id": names[row["member_id"]]} if "member_id" in row else row
            for row in rows
        ]
        for name, rows in tables.items()
    }


def members_of(tables: dict) -> list[str]:
    everyone = (row["member_id"] for rows in tables.values() for row in rows if "member_id" in row)
    return sorted(set(everyone))


def in_order(members: list[str]) -> dict[str, str]:
    return {who: f"id{place:06d}" for place, who in enumerate(members)}


def out_of_order(members: list[str]) -> dict[str, str]:
    names = list(in_order(members).values())
    return dict(zip(members, Random(4).sample(names, len(names)), strict=True))


@pytest.mark.parametrize(
    ("names", "n_buckets", "is_shuffled"),
    [
        pytest.param(out_of_order, 5, True, id="new ids in another order, more buckets, shuffled"),
        pytest.param(None, 1, True, id="shuffled", marks=pytest.mark.slow),
        pytest.param(None, 7, False, id="more buckets", marks=pytest.mark.slow),
        pytest.param(in_order, 1, False, id="new ids", marks=pytest.mark.slow),
        pytest.param(out_of_order, 1, False, id="new ids, reordered", marks=pytest.mark.slow),
    ],
)
def test_order_identifiers_and_buckets_do_not_matter(tables, panel, names, n_buckets, is_shuffled):
    told = names(members_of(tables)) if names else {who: who for who in members_of(tables)}
    changed = renamed(tables, told)
    if is_shuffled:
        changed = shuffled(changed)
    other = build(Tables.from_frames(made.frames(changed), n_buckets=n_buckets))
    assert_same(content(panel), content(other, {new: old for old, new in told.items()}))


def test_a_member_who_was_never_covered_adds_counted_rows_only(tables, panel):
    line = {
        "member_id": "never",
        "claim_id": "never",
        "claim_line_number": 1,
        "claim_type": "professional",
        "claim_start_date": date(2024, 2, 5),
        "place_of_service_code": "23",
        "paid_amount": Decimal("12.34"),
    }
    span = {
        "member_id": "never",
        "enrollment_start_date": date(2024, 1, 1),
        "enrollment_end_date": None,
        "payer_type": "commercial",
    }
    more = {**tables, "medical_claim": [*tables["medical_claim"], line]}
    more["eligibility"] = [*tables["eligibility"], span]
    before, after = content(panel), content(build(Tables.from_frames(made.frames(more))))
    pd.testing.assert_frame_equal(before[0], after[0])
    added = {key: n - before[3].get(key, 0) for key, n in after[3].items()}
    assert {key: n for key, n in added.items() if n} == {
        ("eligibility", "read", "used"): 1,
        ("medical_claim", "read", "used"): 1,
        ("eligibility", "panel", "payer type not in the study"): 1,
        ("medical_claim", "panel", "outside coverage"): 1,
        ("ed_visits", "events", "outside coverage"): 1,
        ("ed_visits_treat_and_release", "events", "outside coverage"): 1,
    }
    key = ("medical_claim", "outside coverage")
    assert after[2][key] - before[2].get(key, 0) == pytest.approx(12.34, abs=1e-6)


def test_a_file_in_parts_is_the_file(tables, panel, tmp_path):
    frames = made.frames(tables)
    for name in frames:
        (tmp_path / "raw" / name).mkdir(parents=True)
        for place in range(3):
            part = frames[name].iloc[place::3]
            part.to_csv(tmp_path / "raw" / name / f"part-{place}.csv", index=False)
    other = build(read_tables(tmp_path / "raw", work_dir=tmp_path / "work", n_buckets=2))
    assert_same(content(panel), content(other))


def test_rows_days_and_dollars_are_conserved(tables, panel):
    ledger = panel.ledger
    for name, rows in tables.items():
        assert ledger.total(name, stage="read") == len(rows)
        if name in made.MADE:
            assert ledger.total(name, stage="panel") == ledger.used(name, stage="read")
    frame = panel.to_frame()
    told = oracle.expected(tables, PanelRules(), made.WINDOW)
    for measure in told.events:
        assert frame[measure].sum() == ledger.used(measure, stage="events"), measure
    assert frame["covered_days"].sum() == sum(row["covered_days"] for row in told.months.values())
    assert frame["jail_days"].sum() == sum(row["jail_days"] for row in told.months.values())
    cents = sum((row["paid_usd"] for row in told.months.values()), Decimal(0)) * 100
    assert round(frame["paid_usd"].sum() * 100) == cents
    for name in ("medical_claim", "pharmacy_claim"):
        account = panel.amounts[panel.amounts["table"] == name]["paid_usd"].sum()
        assert round(account * 100) == sum(told.dollars[name]) * 100
