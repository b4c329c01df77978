"""Outcomes from feeds outside the claims, and where each feed reaches."""

from __future__ import annotations

ENROLLED = """
  member | start      | end        | county
  --------+------------+------------+---------
  1      | 2024-01-01 |            | Alameda
  2      | 2024-01-01 | 2024-03-31 | Fresno
  2      | 2024-04-01 |            | Alameda
  3      | 2024-01-01 | 2024-02-29 | Alameda
  4      | 2024-01-01 |            |
"""
POLICE = """
  member | date       | type          | county
  --------+------------+---------------+---------
  1      | 2024-03-05 | arrest        |
  1      | 2024-03-05 | arrest        | Alameda
  1      | 2024-03-05 | citation      |
  1      | 2024-03-06 | arrest        |
  1      | 2024-03-07 |               |
  1      | 2024-03-07 | other         |
  2      | 2024-03-05 | hold_5150     |
  2      | 2023-03-05 | arrest        |
  3      | 2024-03-05 | welfare_check |
"""
CALLS = """
  member | date       | transported | county
  --------+------------+-------------+---------
  1      | 2024-03-05 | True        |
  1      | 2024-03-05 | True        | Alameda
  1      | 2024-03-06 | False       |
  2      | 2024-03-05 |             |
  2      | 2024-05-05 | True        |
  3      | 2024-03-05 | True        |
"""


def test_police_contacts_are_one_per_day_and_type(spec):
    built = spec(eligibility=ENROLLED, police_contact=POLICE)
    assert built.values("police_contacts") == {1: {"2024-03": 4}, 2: {"2024-03": 1}}
    assert built.values("arrests") == {1: {"2024-03": 2}}
    assert built.values("involuntary_holds") == {2: {"2024-03": 1}}
    assert built.reasons("police_contact") == {
        "used": 5,
        "repeats another row of the day": 2,
        "outside the window": 1,
        "outside coverage": 1,
    }


def test_police_contacts_of_each_type_are_told_apart(spec):
    built = spec(
        police_contact="""
          member | date       | type
          -------+------------+--------------
          1      | 2024-03-05 | citation
          1      | 2024-03-05 | citation
          1      | 2024-03-05 | welfare check
          1      | 2024-03-06 | Welfare-Check
          2      | 2024-04-05 | arrest
          2      | 2024-04-05 | hold_5150
          2      | 2024-04-05 | other
        """
    )
    assert built.values("citations") == {1: {"2024-03": 1}}
    assert built.values("welfare_checks") == {1: {"2024-03": 2}}
    assert built.values("arrests") == {2: {"2024-04": 1}}
    assert built.values("involuntary_holds") == {2: {"2024-04": 1}}
    assert built.values("police_contacts") == {1: {"2024-03": 3}, 2: {"2024-04": 3}}


def test_transports_are_one_a_day(spec):
    built = spec(eligibility=ENROLLED, ems_call=CALLS)
    assert built.values("ems_transports") == {1: {"2024-03": 1}, 2: {"2024-05": 1}}
    assert built.reasons("ems_call") == {
        "used": 2,
        "no transport, or not known": 2,
        "repeats another row of the day": 1,
        "outside coverage": 1,
    }


def test_bookings_are_one_a_day_in_their_month(spec):
    built = spec(
        eligibility=ENROLLED,
        custody="""
          member | booking    | release
          --------+------------+------------
          1      | 2024-01-30 | 2024-02-03
          1      | 2024-01-30 | 2024-01-30
          1      | 2024-02-01 | 2024-02-02
          2      | 2023-12-30 | 2024-01-02
        """,
    )
    assert built.values("bookings") == {1: {"2024-01": 1, "2024-02": 1}}
    assert built.values("jail_days")[2] == {"2024-01": 2}


def test_a_feed_is_missing_where_it_does_not_reach(spec):
    built = spec(
        window=("2024-01", "2024-06"),
        eligibility=ENROLLED,
        ems_call=CALLS,
        police_contact=POLICE,
        feed_coverage="""
          feed     | county  | start      | end
          ----------+---------+------------+------------
          ems_call | Alameda | 2024-01-15 | 2024-03-10
          ems_call | Alameda | 2024-03-11 | 2024-05-31
        """,
    )
    frame = built.panel.to_frame(["member_id", "month", "ems_transports", "police_contacts"])
    known = frame[frame["ems_transports"].notna()]
    told = {m: [f"{t:%m}" for t in rows["month"]] for m, rows in known.groupby("member_id")}
    # January begins and June ends outside the days covered; Fresno is not covered, nor a member
    # of no county.
    assert told == {
        "1": ["02", "03", "04", "05"],
        "2": ["04", "05"],
        "3": ["02"],
    }
    assert built.values("ems_transports") == {1: {"2024-03": 1}, 2: {"2024-05": 1}}
    assert frame["police_contacts"].notna().all()
    assert built.panel.notes[-1] == (
        "`police_contact`: taken to cover the whole study area and window, since no "
        "`feed_coverage` says where and when the feed reaches."
    )


def test_what_covers_every_county_goes_on_where_that_of_a_county_ends(spec):
    built = spec(
        window=("2024-01", "2024-06"),
        eligibility=ENROLLED,
        ems_call=CALLS,
        feed_coverage="""
          feed     | county  | start      | end
          ----------+---------+------------+------------
          ems_call | Alameda |            | 2024-02-09
          ems_call |         | 2024-02-10 | 2024-05-31
        """,
    )
    frame = built.panel.to_frame(["member_id", "month", "ems_transports"])
    known = frame[frame["ems_transports"].notna()]
    told = {m: [f"{t:%m}" for t in rows["month"]] for m, rows in known.groupby("member_id")}
    # Outside Alameda, and without a county, the first whole month is March.
    assert told == {
        "1": ["01", "02", "03", "04", "05"],
        "2": ["03", "04", "05"],
        "3": ["01", "02"],
        "4": ["03", "04", "05"],
    }


def test_an_event_outside_the_feed_is_counted_not_joined(spec):
    built = spec(
        window=("2024-01", "2024-06"),
        eligibility=ENROLLED,
        ems_call=CALLS,
        feed_coverage="""
          feed     | county | start      | end
          ----------+--------+------------+-----
          ems_call |        | 2024-05-01 |
        """,
    )
    assert built.values("ems_transports") == {2: {"2024-05": 1}}
    assert built.reasons("ems_transports", "events") == {
        "used": 1,
        "outside what the feed covers": 1,
        "outside coverage": 1,
    }
    assert built.reasons("ems_call") == {
        "used": 1,
        "outside what the feed covers": 2,
        "outside coverage": 1,
        "no transport, or not known": 2,
    }
