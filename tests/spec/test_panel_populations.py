"""Populations of focus: what identifies a member, in which month, on which basis."""

from __future__ import annotations

import pytest

PEOPLE = """
  member | birth
  -------+-----------
  1      | 1980-06-15
  2      | 2010-06-15
  3      | 1980-06-15
  4      | 1980-06-15
  5      | 1980-06-15
"""


def populations(built):
    """`member population` to (basis, first month, evidence)."""
    frame = built.panel.population_frame().sort_values(["member_id", "population"])
    return {
        f"{row.member_id} {row.population}": (
            row.basis,
            f"{row.first_month:%Y-%m}",
            row.evidence if isinstance(row.evidence, str) else "",
        )
        for row in frame.itertuples(index=False)
    }


def test_any_diagnosis_slot_place_of_service_and_bill_identify_in_their_month(spec):
    built = spec(
        person=PEOPLE,
        medical_claim="""
          member | claim | type | hcpcs | place | bill | dx1  | dx2   | dx5   | start      | status
          -------+-------+------+-------+-------+------+------+-------+-------+------------+-------
          1      | 1a    | prof | 99213 | 11    |      | I10  | Z5902 |       | 2024-03-05 |
          1      | 1b    | prof | 99213 | 27    |      | I10  |       |       | 2024-02-05 |
          2      | 2a    | prof | 99213 | 11    |      | I10  |       | Z59.1 | 2024-04-05 |
          3      | 3a    | prof | 99213 | 11    |      | Z590 |       |       | 2024-04-05 | denied
          3      | 3b    | inst |       |       | 0211 | I10  |       |       | 2024-05-05 |
          4      | 4a    | prof | 99213 | 11    |      | Z5   | Z599  | O80   | 2024-06-05 |
          5      | 5a    | prof | 99213 | 11    |      | Z570 |       |       | 2024-06-05 |
        """,
    )
    assert populations(built) == {
        # The place of service came first; both are named.
        "1 1a": ("claims", "2024-02", "homelessness_diagnosis;homelessness_place"),
        # Under 21: families and unaccompanied youth.
        "2 1b": ("claims", "2024-04", "housing_instability_diagnosis"),
        # A denied line is no evidence.
        "3 6": ("claims", "2024-05", "nursing_facility_bill"),
        "4 9": ("claims", "2024-06", "pregnancy_diagnosis"),
    }


def test_two_days_within_twelve_months_for_a_disorder(spec):
    built = spec(
        window=("2023-01", "2024-12"),
        person=PEOPLE,
        medical_claim="""
          member | claim | type | hcpcs | dx1   | dx2   | start
          -------+-------+------+-------+-------+-------+-----------
          1      | 1a    | prof | 99213 | F200  |       | 2023-02-05
          1      | 1b    | prof | 99214 | F319  |       | 2023-02-05
          1      | 1c    | prof | 99213 | I10   | F25.0 | 2024-01-31
          3      | 3a    | prof | 99213 | F200  |       | 2023-02-05
          3      | 3b    | prof | 99213 | F200  |       | 2024-02-01
          4      | 4a    | prof | 99213 | F1020 |       | 2023-02-05
          4      | 4b    | prof | 99213 | F200  |       | 2023-02-06
          5      | 5a    | prof | 99213 | F1720 |       | 2023-02-05
          5      | 5b    | prof | 99213 | F1720 |       | 2023-02-06
          5      | 5c    | prof | H0020 |       |       | 2023-07-06
        """,
    )
    assert populations(built) == {
        # One day twice is one day; February to January is twelve months.
        "1 3": ("claims", "2024-01", "serious_mental_illness_diagnosis"),
        # 3: the second day is in the thirteenth month. 4: two kinds of evidence do not add up.
        # 5: tobacco is none; a treatment service counts at once.
        "5 3": ("claims", "2023-07", "substance_use_service"),
    }


def ed(member, *days):
    return "\n".join(
        f"{member} | {member}{place} | inst | 0450 | 131 | {day} | 1"
        for place, day in enumerate(days)
    )


def test_high_use_by_age_and_window(spec):
    visits = [
        # 5 in 6 months; the sixth month back does not count.
        ed(1, "2024-01-03", "2024-02-03", "2024-03-03", "2024-04-03", "2024-06-03"),
        # Under 21: 3 in 12 months.
        ed(2, "2024-01-03", "2024-06-03", "2024-12-03"),
        # One month too long.
        ed(3, "2024-01-03", "2024-02-03", "2024-03-03", "2024-04-03", "2024-07-03"),
        # 21 in June: three visits are too few from then on.
        ed(4, "2024-04-03", "2024-05-03", "2024-06-15", "2024-07-03"),
    ]
    built = spec(
        person="""
          member | birth
          -------+-----------
          1      | 1980-06-15
          2      | 2010-06-15
          3      | 1980-06-15
          4      | 2003-06-01
          5      |
        """,
        medical_claim="\n".join(
            ["member | claim | type | rev | bill | start | at", *visits, ed(5, *["2024-01-03"])]
        ),
    )
    assert populations(built) == {
        "1 2": ("claims", "2024-06", "ed_use"),
        "2 2": ("claims", "2024-12", "ed_use"),
    }


def test_stays_count_by_admission_also_before_the_window(spec):
    built = spec(
        window=("2024-06", "2024-12"),
        eligibility="""
          member | start      | end
          -------+------------+----
          1      | 2023-01-01 |
        """,
        person=PEOPLE,
        medical_claim="""
          member | claim | type | rev  | bill | start      | end        | at
          -------+-------+------+------+------+------------+------------+---
          1      | a     | inst | 0120 | 111  | 2023-11-20 | 2023-12-02 | 1
          1      | b     | inst | 0120 | 111  | 2024-02-20 | 2024-02-25 | 1
          1      | c     | inst | 0120 | 111  | 2024-05-20 | 2024-05-25 | 1
        """,
    )
    assert populations(built) == {"1 2": ("claims", "2024-05", "inpatient_use")}


def test_custody_and_aid_code(spec):
    built = spec(
        eligibility="""
          member | start      | end        | aid | payer
          -------+------------+------------+-----+-----------
          1      | 2024-01-01 |            | M1  |
          2      | 2024-01-01 | 2024-02-29 | M1  |
          2      | 2024-03-10 |            | 4K  |
          3      | 2024-01-01 |            | 40  |
          4      | 2024-01-01 |            | M1  |
          5      | 2024-01-01 | 2024-02-29 | 40  | commercial
        """,
        person="""
          member | birth
          -------+-----------
          1      | 1980-06-15
          2      | 2010-06-15
          3      | 1980-06-15
          4      | 1980-06-15
          5      | 2010-06-15
        """,
        custody="""
          member | booking    | release
          -------+------------+-----------
          1      | 2023-03-01 | 2023-09-15
          1      | 2024-03-01 | 2024-04-15
          4      | 2024-03-01 |
        """,
    )
    assert populations(built) == {
        "1 4": ("claims", "2023-09", "release_from_custody"),
        # 3 is an adult, 4 was not released, 5 is no member of the study's payers.
        "2 8": ("claims", "2024-03", "foster_care_aid_code"),
    }


def test_program_file_beside_claims(spec):
    built = spec(
        person=PEOPLE,
        medical_claim="""
          member | claim | type | hcpcs | dx1   | start
          -------+-------+------+-------+-------+-----------
          1      | 1a    | prof | 99213 | Z5901 | 2024-05-05
          3      | 3a    | prof | 99213 | Z5901 | 2024-02-05
        """,
        program_service="""
          record | member | service | type          | date       | focus
          -------+--------+---------+---------------+------------+-------
          r1     | 1      | ecm     | identified    | 2024-03-15 | 3; 1a
          r2     | 1      | ecm     | denial        | 2024-01-15 | 1a
          r3     | 3      | ecm     | authorization | 2024-06-15 | 1a
          r4     | 4      | ecm     | service       | 2024-06-15 |
        """,
    )
    assert populations(built) == {
        "1 1a": ("both", "2024-01", "homelessness_diagnosis"),
        "1 3": ("program_file", "2024-03", ""),
        "3 1a": ("both", "2024-02", "homelessness_diagnosis"),
    }
    frame = built.panel.population_frame("1a").set_index("member_id")
    months = frame[["claims_month", "program_month"]].map(lambda month: f"{month:%Y-%m}")
    assert months.to_numpy().tolist() == [["2024-05", "2024-01"], ["2024-02", "2024-06"]]


def test_without_a_birth_date_only_the_program_file_identifies(spec):
    built = spec(
        medical_claim="""
          member | claim | type | hcpcs | dx1   | start
          -------+-------+------+-------+-------+-----------
          1      | 1a    | prof | 99213 | Z5901 | 2024-05-05
          2      | 2a    | prof | 99213 | Z5901 | 2024-05-05
        """,
        program_service="""
          record | member | service | type       | date       | focus
          -------+--------+---------+------------+------------+------
          r1     | 1      | ecm     | identified | 2024-03-15 | 3
        """,
    )
    assert populations(built) == {"1 3": ("program_file", "2024-03", "")}
    assert built.panel.population_frame()["age_group"].isna().all()


@pytest.mark.parametrize("n_buckets", [1, 3])
def test_receiving_a_housing_support_is_no_evidence(spec, n_buckets):
    built = spec(
        n_buckets=n_buckets,
        person=PEOPLE,
        medical_claim="""
          member | claim | type | hcpcs | mod1 | start
          -------+-------+------+-------+------+-----------
          1      | 1a    | prof | H0043 | U6   | 2024-05-05
        """,
    )
    assert populations(built) == {}
