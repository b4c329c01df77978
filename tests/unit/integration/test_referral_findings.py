from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.integration import referral_findings

from .frames import ORGANIZATION

CLEAN = {
    "referral_id": "r1",
    "root_referral_id": None,
    "member_id": "m1",
    "service": "ecm",
    "from_organization_id": "Anthem",
    "to_organization_id": "o1",
    "plan": "Anthem",
    "referred_date": "2024-01-01",
    "authorized_date": "2024-01-02",
    "accepted_date": "2024-01-03",
    "reached_date": "2024-01-04",
    "service_started_date": "2024-01-05",
    "closed_date": "2024-02-01",
    "referral_status": "closed",
    "closure_reason": "services_received",
}
PERSON = pd.DataFrame({"member_id": ["m1"]})


def _found(*changes: dict[str, object]) -> dict[str, int]:
    rows = pd.DataFrame([{**CLEAN, **change} for change in changes])
    table = referral_findings(rows, as_of="2024-12-31", organization=ORGANIZATION, person=PERSON)
    counts = zip(table.keys["finding"], table.numerator, strict=True)
    return {finding: int(n) for finding, n in counts if n}


def test_a_clean_record_has_no_finding():
    assert _found({}) == {}


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"closed_date": "2023-12-31"}, "closed before it was opened"),
        ({"authorized_date": "2023-12-01"}, "a step before the referral"),
        ({"accepted_date": "2024-01-09"}, "steps out of order"),
        ({"authorized_date": None, "accepted_date": "2024-01-06"}, "steps out of order"),
        ({"closed_date": "2025-01-01"}, "a date after the day looked at"),
        ({"referral_status": None}, "status missing"),
        ({"referral_status": "lost"}, "status not in the code list"),
        ({"closure_reason": "aliens"}, "closure reason not in the code list"),
        ({"closed_date": None}, "closed without a closing date"),
        ({"referral_status": "accepted"}, "closing date but status not closed"),
        ({"closure_reason": None}, "closed without a reason"),
        ({"service_started_date": None}, "services received without a start date"),
        ({"closure_reason": "died"}, "service started but closed for another reason"),
        ({"service": "car_wash"}, "service not in the code list"),
        ({"to_organization_id": None}, "receiving organization missing"),
        (
            {"to_organization_id": "o99"},
            "receiving organization not in the organization table",
        ),
        (
            {"from_organization_id": "someone"},
            "referring organization neither in the organization table nor a plan",
        ),
        ({"member_id": "m2"}, "member not in the member table"),
        ({"root_referral_id": "r0"}, "root referral is not in the table"),
    ],
)
def test_each_finding_is_counted(change, finding):
    assert finding in _found(change)


def test_chains():
    found = _found(
        {"referral_id": "a"},
        {"referral_id": "b", "root_referral_id": "a"},
        {"referral_id": "c", "root_referral_id": "b"},
        {"referral_id": "d", "root_referral_id": "e"},
        {"referral_id": "e", "root_referral_id": "d"},
    )
    assert found == {
        "names a forwarded referral as its root": 1,
        "root referrals point at each other in a circle": 2,
    }


def test_organizations_and_members_are_looked_up_only_when_given():
    table = referral_findings(pd.DataFrame([CLEAN]), as_of="2024-12-31")
    assert not table.keys["finding"].str.contains("organization|member").any()
    assert table.margins == ()
