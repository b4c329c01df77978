from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration import (
    referral_closure,
    referral_funnel,
    referral_step_conversion,
)
from calaim_eval.tables import RowLedger

from .frames import ORGANIZATION, one_row, table

REFERRAL = table("""
    referral_id | member_id | service | to_organization_id | referred | authorized | accepted | reached | started | closed | status | reason
    ------------+-----------+---------+----+------------+------------+------------+------------+------------+------------+----------+------------------
    r1 | m1 | ecm              | o1 | 2024-01-01 | 2024-01-02 | 2024-01-03 | 2024-01-04 | 2024-01-05 | 2024-02-01 | closed   | services_received
    r2 | m1 | ecm              | o1 | 2024-01-01 |            |            |            | 2024-01-20 |            | accepted |
    r3 | m2 | ecm              | o5 | 2024-01-01 |            |            |            |            | 2024-03-01 | closed   | services_received
    r4 | m2 | housing_deposits | o5 | 2024-01-01 | 2024-01-09 |            |            |            | 2024-02-09 | closed   | unable_to_reach
    r5 | m3 | housing_deposits | o9 | 2024-01-01 |            |            |            |            |            | accepted |
    r6 | m4 | ecm              |    | 2024-01-01 |            |            |            |            |            | pending  |
    r7 | m5 | ecm              | o1 | 2024-11-01 |            |            |            |            |            | pending  |
    r8 | m5 | sobering_centers | o1 | 2024-01-01 |            |            |            |            |            | pending  |
""").rename(  # noqa: E501
    columns={
        "referred": "referred_date",
        "authorized": "authorized_date",
        "accepted": "accepted_date",
        "reached": "reached_date",
        "started": "service_started_date",
        "closed": "closed_date",
        "status": "referral_status",
        "reason": "closure_reason",
    }
)

PERSON = pd.DataFrame(
    {
        "member_id": ["m1", "m2", "m3", "m5", "m9"],
        "race_ethnicity": ["black", "white", "nhpi", "declined", "aian"],
    }
)
AS_OF = "2024-12-31"


def _steps(table_) -> list[int]:
    return table_.numerator.astype(int).tolist()


def test_a_step_counts_when_it_or_a_later_one_happened():
    funnel = referral_funnel(REFERRAL, as_of=AS_OF)
    assert funnel.keys["step"].tolist() == [
        "referred",
        "authorized",
        "accepted",
        "reached",
        "started",
        "closed",
    ]
    # authorized: r1, r4 by date, r2, r3, r5 by a later step; accepted: r1, r2, r3, r5;
    # reached and started: r1, r2, r3; closed by services: r1, r3.
    assert _steps(funnel) == [8, 5, 4, 3, 3, 2]
    assert set(funnel.denominator) == {8}


def test_members_behind_each_step_are_distinct():
    funnel = referral_funnel(REFERRAL, as_of=AS_OF)
    assert funnel.n_members.tolist() == [5, 3, 3, 2, 2, 2]


def test_groups_add_to_the_margin_and_unknown_and_empty_groups_are_rows():
    funnel = referral_funnel(REFERRAL, as_of=AS_OF, by="race_ethnicity", person=PERSON)
    frame = funnel.to_frame()
    groups = list(dict.fromkeys(frame["race_ethnicity"]))
    assert groups == ["all", "aian", "black", "nhpi", "white", "declined", "unknown"]
    assert funnel.margins == ("race_ethnicity",)
    parts = frame[frame["race_ethnicity"] != "all"].groupby("step")[["numerator", "denominator"]]
    whole = frame[frame["race_ethnicity"] == "all"].set_index("step")[["numerator", "denominator"]]
    pd.testing.assert_frame_equal(parts.sum().sort_index(), whole.sort_index())
    assert one_row(frame, race_ethnicity="unknown", step="referred")["numerator"] == 1
    assert np.isnan(one_row(frame, race_ethnicity="aian", step="closed")["rate"])
    assert one_row(frame, race_ethnicity="white", step="closed")["numerator"] == 1


@pytest.mark.parametrize(
    ("by", "group", "n"),
    [
        ("service", "housing_deposits", 2),
        ("organization_type", "cbo", 4),
        ("organization_type", "unknown", 2),
        ("leadership", "white_led", 2),
    ],
)
def test_other_groups(by, group, n):
    frame = referral_funnel(REFERRAL, as_of=AS_OF, by=by, organization=ORGANIZATION).to_frame()
    assert one_row(frame, step="referred", **{by: group})["numerator"] == n


def test_conversion_divides_by_the_step_before():
    conversion = referral_step_conversion(REFERRAL, as_of=AS_OF)
    assert conversion.keys["step"].tolist()[0] == "authorized"
    assert _steps(conversion) == [5, 4, 3, 3, 2]
    assert conversion.denominator.tolist() == [8, 5, 4, 3, 3]


def test_closure_is_over_matured_referrals_that_must_close():
    ledger = RowLedger()
    closure = referral_closure(REFERRAL, as_of=AS_OF, ledger=ledger)
    assert (closure.numerator[0], closure.denominator[0]) == (2, 6)  # without r7 (young), r8
    assert closure.keys["population"].tolist() == ["all"]
    ledger.check("referral", "referral_closure", len(REFERRAL))
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["younger than 90 days"] == 1
    assert counts["service exempt from closing the loop"] == 1


def test_a_referral_exactly_so_old_has_matured():
    rows = REFERRAL.iloc[[5]]
    assert referral_closure(rows, as_of="2024-03-31", maturation_days=90).denominator[0] == 1
    with pytest.raises(EstimationError, match=r"none of 1 root referrals .* none has matured"):
        referral_closure(rows, as_of="2024-03-30", maturation_days=90)


def test_closure_by_service_and_race():
    by_service = referral_closure(REFERRAL, as_of=AS_OF, by="service").to_frame()
    assert one_row(by_service, service="ecm")["numerator"] == 2
    assert one_row(by_service, service="housing_deposits")["denominator"] == 2
    by_race = referral_closure(REFERRAL, as_of=AS_OF, by="race_ethnicity", person=PERSON)
    assert one_row(by_race.to_frame(), race_ethnicity="black")["rate"] == 0.5


def test_closure_of_the_day_looked_at():
    assert referral_closure(REFERRAL, as_of="2024-02-15", maturation_days=30).numerator[0] == 1


def test_members_with_many_referrals_widen_the_interval():
    many = pd.concat(
        [
            REFERRAL.iloc[[i]].assign(referral_id=f"{i}-{k}", member_id=f"m{i}")
            for i in (0, 2, 3, 4)
            for k in range(10)
        ]
    )
    spread = many.assign(member_id=[f"x{i}" for i in range(len(many))])
    clustered = referral_closure(many, as_of=AS_OF)
    single = referral_closure(spread, as_of=AS_OF)
    assert clustered.rate[0] == single.rate[0] == 0.5
    width = [t.conf_high[0] - t.conf_low[0] for t in (clustered, single)]
    assert width[0] > 2 * width[1]


def test_wrong_options():
    with pytest.raises(EstimationError, match="needs the table `person`"):
        referral_funnel(REFERRAL, as_of=AS_OF, by="race_ethnicity")
    with pytest.raises(EstimationError, match="cannot group referrals"):
        referral_funnel(REFERRAL, as_of=AS_OF, by="shoe_size")
    with pytest.raises(EstimationError, match="`maturation_days` is negative"):
        referral_closure(REFERRAL, as_of=AS_OF, maturation_days=-1)
    with pytest.raises(EstimationError, match="`as_of` is not a day"):
        referral_funnel(REFERRAL, as_of="never")


def test_wrong_person_tables():
    with pytest.raises(TableError, match="derives `race_ethnicity`"):
        referral_funnel(REFERRAL, as_of=AS_OF, by="race_ethnicity", person=PERSON[["member_id"]])
    with pytest.raises(TableError, match="1 of 5 members have a group"):
        referral_funnel(
            REFERRAL, as_of=AS_OF, by="race_ethnicity", person=PERSON.replace("nhpi", "islander")
        )
    twice = pd.concat([PERSON, PERSON.iloc[:1].assign(race_ethnicity="white")])
    with pytest.raises(TableError, match="1 members are listed with more than one"):
        referral_funnel(REFERRAL, as_of=AS_OF, by="race_ethnicity", person=twice)


def test_no_message_holds_an_id_or_a_date():
    with pytest.raises(EstimationError) as caught:
        referral_closure(REFERRAL.iloc[[6]], as_of="2024-11-05")
    assert "m5" not in str(caught.value)
    assert "2024-11" not in str(caught.value)


def test_the_frame_is_not_changed():
    before = REFERRAL.copy()
    referral_funnel(REFERRAL, as_of=AS_OF, by="race_ethnicity", person=PERSON)
    pd.testing.assert_frame_equal(REFERRAL, before)
