"""Whatever partners' files hold: every row is accounted for, and their order does not matter."""

import csv
import random
import tempfile
from pathlib import Path

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.partners.hmis import read_hmis
from calaim_eval.tables.partners.loop_status import FINAL, fold_statements
from calaim_eval.tables.partners.referral_parents import root_ids

UPDATED = {"DateUpdated": "2024-01-01", "DateDeleted": ""}
IDS = st.sampled_from(["1", "2", "3", ""])
DAYS = st.sampled_from(["2023-01-05", "2023-03-09", "03/20/2023", "20230401", "never", ""])
DELETED = st.sampled_from(["", "", "", "2024-01-01"])


def rows(**columns):
    """Lists of rows; `DateUpdated` numbers them, so that none ties with another."""
    return st.lists(st.fixed_dictionaries(columns), min_size=0, max_size=6)


EXPORTS = st.fixed_dictionaries(
    {
        "Client": rows(PersonalID=IDS, DOB=DAYS, White=st.sampled_from(["0", "1", "99", ""])),
        "Project": rows(ProjectID=IDS, OrganizationID=IDS),
        "Enrollment": rows(
            EnrollmentID=IDS, PersonalID=IDS, ProjectID=IDS, EntryDate=DAYS, DateDeleted=DELETED
        ),
        "Exit": rows(EnrollmentID=IDS, ExitDate=DAYS, Destination=IDS),
        "Event": rows(
            EventID=IDS,
            EnrollmentID=IDS,
            EventDate=DAYS,
            Event=st.sampled_from(["2", "13", ""]),
            ReferralResult=st.sampled_from(["1", "2", "3", ""]),
            ResultDate=DAYS,
        ),
    }
)
NEEDED = {
    "Client": ["PersonalID", "HispanicLatinao", "DOB", "White"],
    "Project": ["ProjectID", "OrganizationID"],
    "Enrollment": ["EnrollmentID", "PersonalID", "ProjectID", "EntryDate", "DateDeleted"],
    "Exit": ["EnrollmentID", "ExitDate", "Destination"],
    "Event": ["EventID", "EnrollmentID", "EventDate", "Event", "ReferralResult", "ResultDate"],
}


def numbered(export):
    """Rows with a day of change of their own."""
    return {
        name: [
            {**row, "DateUpdated": f"2024-02-{number + 1:02d}"} for number, row in enumerate(rows)
        ]
        for name, rows in export.items()
    }


def read(export, order):
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in export.items():
            shuffled = list(rows)
            order.shuffle(shuffled)
            with (Path(folder) / f"{name}.csv").open("w", encoding="utf-8", newline="") as out:
                writer = csv.DictWriter(out, [*NEEDED[name], "DateUpdated"], restval="0")
                writer.writeheader()
                writer.writerows(shuffled)
        return read_hmis(Path(folder))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(export=EXPORTS, seed=st.integers(0, 1000))
def test_every_row_ends_in_a_table_or_a_reason_whatever_the_order(export, seed):
    export = numbered(export)
    one, other = read(export, random.Random(seed)), read(export, random.Random(seed + 1))
    for name, given_rows in export.items():
        assert one.ledger.total(f"hmis {name}", stage="source") == len(given_rows)
    assert sorted(map(str, one.ledger.to_records())) == sorted(map(str, other.ledger.to_records()))
    assert one.names == other.names
    for name in one.names:
        first, second = (
            each.frame(name).astype(str).sort_values(list(each.frame(name).columns))
            for each in (one, other)
        )
        pd.testing.assert_frame_equal(first.reset_index(drop=True), second.reset_index(drop=True))
        key = list(TABLES[name].key)
        assert not one.frame(name).duplicated(key).any()
        needed = one.frame(name)[list(TABLES[name].not_null)]
        assert needed.notna().all().all()


STATEMENTS = st.lists(
    st.tuples(
        st.sampled_from(["m1", "m2"]),
        st.integers(1, 20),
        st.sampled_from(["pending", "accepted", "declined", "closed"]),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(statements=STATEMENTS, seed=st.integers(0, 1000))
def test_statements_make_the_same_referrals_in_any_order(statements, seed):
    def frame(order):
        return pd.DataFrame(
            {
                "plan": "A",
                "member_id": [each[0] for each in order],
                "organization_id": None,
                "service": "ecm",
                "day": [pd.Timestamp(2025, 1, each[1]) for each in order],
                "status": [each[2] for each in order],
                "reason": "other",
                "produced": [pd.Timestamp(2025, each[3] + 1, 1) for each in order],
            }
        )

    found, remarks = fold_statements(frame(statements))
    shuffled = list(statements)
    random.Random(seed).shuffle(shuffled)
    again, remarks_again = fold_statements(frame(shuffled))
    pd.testing.assert_frame_equal(found, again)
    assert remarks == remarks_again
    # One referral can end once; a member with statements has at least one.
    assert set(found["member_id"]) == {each[0] for each in statements}
    assert found["referral_id"].is_unique
    is_final = found["referral_status"].isin(FINAL)
    assert found.loc[~is_final, "closed_date"].isna().all()
    assert not (found["closed_date"] < found["referred_date"]).any()
    ended = sum(each[2] in FINAL for each in set(statements))
    assert is_final.sum() <= ended


@given(parents=st.lists(st.integers(-1, 7), min_size=1, max_size=8))
def test_roots_are_those_found_by_walking(parents):
    """Against a walk of each chain, one step at a time."""
    ids = pd.Series([str(number) for number in range(len(parents))])
    of = pd.Series([None if each < 0 else str(each) for each in parents], dtype=object)
    walked = []
    for number in range(len(parents)):
        at, steps = str(number), 0
        while at in set(ids) and of[int(at)] is not None and steps <= len(parents):
            at, steps = of[int(at)], steps + 1
        walked.append(None if steps > len(parents) else at)
    assert root_ids(ids, of).tolist() == walked
