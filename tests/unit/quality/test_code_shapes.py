"""Codes that can be right pass, codes that cannot do not."""

from __future__ import annotations

import random

import ibis
import pytest

from calaim_eval.engine import open_engine
from calaim_eval.quality.code_validity import CODES_OF, is_right

# Real codes: CPT, HCPCS, UB-04, ICD-10-CM, place of service, patient status, NPI of CMS's example.
GOOD = {
    "procedure_codes_invalid": "99213 G9008 T1015 0001A 0071T 1036F 0202U M0201 Z7500 D0120 H0014",
    "modifiers_invalid": "25 U1 GT 8P Q5",
    "diagnosis_codes_invalid": "E119 I10 S93401A M5450 Z5901 U071 C7A00 Z3A40 O9A111 T3695XA",
    "revenue_codes_invalid": "0001 0022 0120 0450 0456 0521 0981 1001 2101 3101",
    "bill_types_invalid": "111 0131 771 0777 851 11X 0328",
    "places_of_service_invalid": "02 04 10 11 15 21 23 27 34 41 55 66 71 81 99",
    "discharge_status_invalid": "01 02 06 07 20 30 43 50 62 65 70 81 95",
    "drug_codes_invalid": "00093505698 63323026965",
    "npis_invalid": "1234567893 1245319599 1003000126",
}
BAD = {
    "procedure_codes_invalid": "9921 992133 ABCDE 99A13 G908 G90088 12.34",
    "modifiers_invalid": "U 123 U- .5",
    "diagnosis_codes_invalid": "25000 V270 E11.9 E1 I1000000 ASTHMA 1E119",
    "revenue_codes_invalid": "0002 0050 450 4500 0A50 1100 2200",
    "bill_types_invalid": "11 011 901 0901 1111 101 0011",
    "places_of_service_invalid": "00 28 30 35 43 48 59 63 67 70 80 98 1 ER",
    "discharge_status_invalid": "00 08 10 22 31 44 52 60 67 71 80 96",
    "drug_codes_invalid": "0093505698 000935056988 00000000000 0009350569A",
    "npis_invalid": "1234567890 123456789 12345678933 9100001802 0234567893 A234567893",
}
# V270 has the shape of an ICD-10-CM code too: it cannot be told apart, and passes.
BAD["diagnosis_codes_invalid"] = BAD["diagnosis_codes_invalid"].replace(" V270", "")


def judge(check: str, codes: list[str]) -> list[bool]:
    rows = ibis.memtable({"place": list(range(len(codes))), "code": codes})
    told = rows.select("place", is_right=is_right(check, rows["code"])).order_by("place")
    return [bool(value) for value in open_engine().execute(told)["is_right"]]


@pytest.mark.parametrize("check", GOOD)
def test_right_codes_pass_and_wrong_ones_do_not(check):
    good, bad = GOOD[check].split(), BAD[check].split()
    told = judge(check, good + bad)
    assert [code for code, ok in zip(good, told[: len(good)], strict=True) if not ok] == []
    assert [code for code, ok in zip(bad, told[len(good) :], strict=True) if ok] == []


def test_every_code_check_is_tried():
    assert set(GOOD) == set(BAD) == {check for checks in CODES_OF.values() for check in checks}


def test_npi_check_digit_agrees_with_the_long_way():
    rng = random.Random(7)
    codes = [str(rng.choice("12")) + "".join(rng.choices("0123456789", k=9)) for _ in range(500)]

    def checks(npi: str) -> bool:
        digits = [int(d) for d in "80840" + npi][::-1]
        return (
            sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0
        )

    assert judge("npis_invalid", codes) == [checks(code) for code in codes]
    assert 20 < sum(map(checks, codes)) < 80
