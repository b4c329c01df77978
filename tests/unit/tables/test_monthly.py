"""Monthly coverage: months become spans, and every row of months is accounted for."""

import calendar
import random
from collections import defaultdict
from datetime import date, timedelta

import pandas as pd
import pytest

from calaim_eval.engine import write_parquet
from calaim_eval.errors import TableError
from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import Tables, monthly, read_tables


def months(*rows, **columns):
    """Rows of `eligibility_month` from (member, month, plan, covered days)."""
    frame = pd.DataFrame(rows, columns=["member_id", "month", "plan", "covered_days"])
    return frame.assign(**columns)


def spans_of(frame, **others):
    """(member, plan, first day, last day) of the spans that months become."""
    spans = Tables.from_frames({"eligibility_month": frame, **others}).frame("eligibility")
    days = ["enrollment_start_date", "enrollment_end_date"]
    rows = spans[["member_id", "plan", *days]].astype(str).to_numpy().tolist()
    return sorted(tuple(row) for row in rows)


def counts(tables, table="eligibility_month", stage="read"):
    frame = tables.ledger.to_frame()
    rows = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(rows["reason"], rows["n_rows"], strict=True))


def panel_of(frame, rules=None, **others):
    tables = Tables.from_frames({"eligibility_month": frame, **others})
    panel = build_member_months(
        tables, first_month="2022-01", last_month="2022-12", rules=rules or PanelRules()
    )
    columns = ["member_id", "month", "plan", "covered_days", "is_retroactive"]
    frame = panel.to_frame(columns)
    frame["month"] = frame["month"].astype(str).str[:7]
    return frame.set_index(["member_id", "month"]).sort_index()


def test_months_in_a_row_are_one_span_and_a_gap_parts_them():
    frame = months(
        ("a", "2021-12", "x", None),
        ("a", "2022-01", "x", None),
        ("a", "2022-02", "x", None),
        ("a", "2022-04", "x", None),
    )
    assert spans_of(frame) == [
        ("a", "x", "2021-12-01", "2022-02-28"),
        ("a", "x", "2022-04-01", "2022-04-30"),
    ]


def test_months_may_be_written_as_a_day_or_as_digits():
    frame = months(
        ("a", "2022-01-01", "x", None), ("a", "202202", "x", None), ("a", "03/15/2022", "x", None)
    )
    assert spans_of(frame) == [("a", "x", "2022-01-01", "2022-03-31")]


def test_another_attribute_starts_another_span():
    values = {
        "county": ["Kern", "Kern", "Napa"],
        "aid_code": ["M1", "M1", "10"],
        "dual_status_code": ["00", "00", "02"],
        "benefit_scope": ["full", "full", "limited"],
        "recorded_date": ["2022-01-03", "2022-01-03", "2022-06-01"],
    }
    frames = [
        months(*[(column, f"2022-0{i}", "x", None) for i in (1, 2, 3)]).assign(**{column: given})
        for column, given in values.items()
    ]
    assert spans_of(pd.concat(frames)) == sorted(
        (column, "x", *days)
        for column in values
        for days in (("2022-01-01", "2022-02-28"), ("2022-03-01", "2022-03-31"))
    )


PARTS_OF_A_MONTH = {
    "begins in the month: its last days": (
        [("2022-01", 5), ("2022-02", None)],
        [("2022-01-27", "2022-02-28")],
    ),
    "ends in the month: its first days": (
        [("2022-01", None), ("2022-02", 5)],
        [("2022-01-01", "2022-02-05")],
    ),
    "both, one after the other": (
        [("2022-01", 5), ("2022-02", 5)],
        [("2022-01-27", "2022-02-05")],
    ),
    "a month on its own: its first days": ([("2022-01", 5)], [("2022-01-01", "2022-01-05")]),
    "between two covered months: its first days": (
        [("2022-01", None), ("2022-02", 5), ("2022-03", None)],
        [("2022-01-01", "2022-02-05"), ("2022-03-01", "2022-03-31")],
    ),
    "all days in so many words, and more than there are": (
        [("2024-02", 29), ("2024-03", 40)],
        [("2024-02-01", "2024-03-31")],
    ),
}


def test_part_of_a_month():
    frame = months(
        *[
            (name, month, "x", days)
            for name, (given, _) in PARTS_OF_A_MONTH.items()
            for month, days in given
        ]
    )
    expected = {name: spans for name, (_, spans) in PARTS_OF_A_MONTH.items()}
    found = {name: [] for name in expected}
    for name, _, start, end in spans_of(frame):
        found[name].append((start, end))
    assert found == expected


def test_a_plan_change_within_a_month_gives_each_plan_its_days():
    frame = months(
        ("a", "2022-01", "x", None),
        ("a", "2022-02", "x", 10),
        ("a", "2022-02", "y", 18),
        ("a", "2022-03", "y", None),
    )
    assert spans_of(frame) == [
        ("a", "x", "2022-01-01", "2022-02-10"),
        ("a", "y", "2022-02-11", "2022-03-31"),
    ]


def test_two_plans_in_one_month_reach_the_tie_break_of_the_panel():
    frame = months(
        ("a", "2022-01", "y", None),
        ("a", "2022-01", "x", None),
        ("b", "2022-01", "x", 9),
        ("b", "2022-01", "y", 20),
    )
    panel = panel_of(frame)
    # Equal days: the first plan in alphabetical order; else the one with most days.
    assert panel["plan"].to_dict() == {("a", "2022-01"): "x", ("b", "2022-01"): "y"}
    assert panel.loc[("a", "2022-01"), "covered_days"] == 31


def test_recorded_date_makes_a_month_retroactive():
    frame = months(*[("a", f"2022-0{i}", "x", None) for i in (1, 2, 3)]).assign(
        recorded_date=["2021-12-20", "2022-03-01", "2022-03-01"]
    )
    panel = panel_of(frame)["is_retroactive"]
    assert panel.to_dict() == {("a", f"2022-0{i}"): i == 2 for i in (1, 2, 3)}


def test_every_row_of_months_is_used_or_counted(tmp_path):
    frame = months(
        ("a", "2022-01", "x", None),
        ("a", "2022-01", "x", None),  # a copy
        ("a", "2022-02", "x", 10),
        ("a", "2022-02", "x", 12),  # the longer of the two
        ("a", "2022-03", "x", 0),  # not covered
        ("a", "2022-04", "x", 31),  # a day too many
        ("a", "soon", "x", None),
        ("a", None, "x", None),
        (None, "2022-04", "x", None),
        ("b", "2022-04", "x", -1),
        ("b", "2022-05", "x", None),
    )
    folder = tmp_path / "raw"
    folder.mkdir()
    frame.to_csv(folder / "eligibility_month.csv", index=False)
    write_others(folder)
    tables = read_tables(folder, work_dir=tmp_path / "w", n_buckets=3)
    assert counts(tables) == {
        "`month` cannot be read as a date": 1,
        "`month` is missing": 1,
        "`member_id` is missing": 1,
        "`covered_days` is below 0": 1,
        "month without a covered day": 1,
        "exact duplicate": 1,
        "repeats a month with other `covered_days`; the longest is kept": 1,
        "used": 4,
    }
    assert counts(tables, stage="notice") == {
        "`covered_days` is above the days of the month (read as the whole month)": 1
    }
    assert counts(tables, "eligibility") == {"used": 3}
    assert "eligibility_month" not in tables.names


def write_others(folder):
    pd.DataFrame({"member_id": ["a"], "birth_date": ["1990-01-01"]}).to_csv(
        folder / "person.csv", index=False
    )
    claim = {"claim_id": ["c"], "claim_line_number": [1], "claim_type": ["professional"]}
    pd.DataFrame({**claim, "member_id": ["a"], "claim_start_date": ["2022-01-05"]}).to_csv(
        folder / "medical_claim.csv", index=False
    )


def test_one_of_the_two_tables_is_needed(tmp_path):
    write_others(tmp_path)
    with pytest.raises(
        TableError, match=r"lacks the table `eligibility` \(or `eligibility_month`\); it holds"
    ):
        read_tables(tmp_path, work_dir=tmp_path / "w")


def test_months_and_spans_together_and_columns_renamed(tmp_path):
    write_others(tmp_path)
    months(("a", "2022-01", "x", None), ("b", "2022-01", "x", None)).rename(
        columns={"month": "elig_month"}
    ).to_parquet(tmp_path / "eligibility_month.parquet")
    spans = {"member_id": ["a"], "enrollment_start_date": ["03/01/2022"], "plan": ["z"]}
    pd.DataFrame({**spans, "enrollment_end_date": ["9999-12-31"]}).to_csv(
        tmp_path / "eligibility.csv", index=False
    )
    rename = {"eligibility_month": {"elig_month": "month"}}
    tables = read_tables(tmp_path, work_dir=tmp_path / "w", rename=rename)
    spans = tables.frame("eligibility").sort_values(["member_id", "enrollment_start_date"])
    assert spans["plan"].tolist() == ["x", "z", "x"]
    assert spans["enrollment_end_date"].isna().tolist() == [False, True, False]
    assert counts(tables, "eligibility") == {"used": 3}
    # The same again: the earlier reading is found.
    again = read_tables(tmp_path, work_dir=tmp_path / "w", rename=rename)
    assert counts(again) == counts(tables) == {"used": 2}


def test_a_reading_that_was_killed_goes_on(tmp_path, monkeypatch):
    write_others(tmp_path)
    months(*[(f"m{i}", f"2022-{1 + i % 9:02d}", "x", None) for i in range(40)]).to_csv(
        tmp_path / "eligibility_month.csv", index=False
    )
    clean = read_tables(tmp_path, work_dir=tmp_path / "clean", n_buckets=4)
    written = []

    def fail_at_third(rows, path, *, backend):
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt
        write_parquet(rows, path, backend=backend)

    monkeypatch.setattr(monthly, "write_parquet", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        read_tables(tmp_path, work_dir=tmp_path / "w", n_buckets=4)
    monkeypatch.undo()
    again = read_tables(tmp_path, work_dir=tmp_path / "w", n_buckets=4)
    pd.testing.assert_frame_equal(again.frame("eligibility"), clean.frame("eligibility"))
    assert counts(again) == {"used": 40}


def test_a_column_that_is_no_month_is_refused(tmp_path):
    write_others(tmp_path)
    months(*[("a", f"spring {i}", "x", None) for i in range(4)]).to_csv(
        tmp_path / "eligibility_month.csv", index=False
    )
    with pytest.raises(TableError, match="`month` is not read as month in 4 of 4 rows") as caught:
        read_tables(tmp_path, work_dir=tmp_path / "w")
    assert "spring" not in str(caught.value)


def days_of(row):
    """Covered days of one month row by the rules, without looking at how they are programmed."""
    first = row["first"]
    n_days = calendar.monthrange(first.year, first.month)[1]
    n_covered = n_days if row["covered_days"] is None else min(row["covered_days"], n_days)
    is_start = row["next"] and not row["before"]
    skipped = n_days - n_covered if n_covered < n_days and is_start else 0
    return [first + timedelta(days=skipped + i) for i in range(n_covered)]


@pytest.mark.parametrize("n_buckets", [1, 3])
def test_days_covered_are_those_of_the_months(n_buckets):
    rng = random.Random(20)
    firsts = [date(2021 + i // 12, i % 12 + 1, 1) for i in range(24)]
    rows = {}
    for member in "abcdefgh":
        for first in firsts:
            for plan in rng.sample(["x", "y", None], rng.choice([0, 1, 1, 2])):
                rows[member, plan, first] = {
                    "member_id": member,
                    "first": first,
                    "plan": plan,
                    "county": rng.choice(["Kern", "Napa"]),
                    "covered_days": rng.choice([None, None, None, 0, 1, 15, 28, 31]),
                }
    covered = {key for key, row in rows.items() if row["covered_days"] != 0}

    def has(key, step):
        index = firsts.index(key[2]) + step
        return 0 <= index < len(firsts) and (*key[:2], firsts[index]) in covered

    expected = defaultdict(set)
    for key in covered:
        row = rows[key] | {"before": has(key, -1), "next": has(key, 1)}
        expected[key[0], key[1] or "", row["county"]].update(days_of(row))
    frame = pd.DataFrame(rows.values())
    frame["month"] = frame["first"].astype(str)
    tables = Tables.from_frames(
        {"eligibility_month": frame.drop(columns="first")}, n_buckets=n_buckets
    )
    found, n_spans_expected = defaultdict(set), []
    for span in tables.frame("eligibility").fillna({"plan": ""}).itertuples():
        days = pd.date_range(span.enrollment_start_date, span.enrollment_end_date)
        of_group = found[span.member_id, span.plan, span.county]
        assert not of_group & set(days.date), "spans of one group never overlap"
        of_group.update(days.date)
    assert found == expected
    # No two spans of a group touch: what could be one span is one.
    for days in found.values():
        n_runs = sum(day - timedelta(days=1) not in days for day in days)
        n_spans_expected.append(n_runs)
    assert len(tables.frame("eligibility")) == sum(n_spans_expected)
