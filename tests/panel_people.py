"""Members made up from a number, so that the panel's rules collide: few days, places and plans."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pandas as pd
from panel_people_lists import feed_coverage, lists
from panel_people_merges import BASE, LAST_ONE, RECORDED, with_merges

from calaim_eval.schema.tables import TABLES

Row = dict[str, Any]
WINDOW = (date(2024, 1, 1), date(2024, 6, 30))
CLAIMS_END = date(2025, 3, 31)
# Eighteen months, so that a year before a month can be looked back on.
LONG_WINDOW = (date(2023, 1, 1), date(2024, 6, 30))
MADE = (
    "eligibility",
    "person",
    "medical_claim",
    "pharmacy_claim",
    "program_service",
    "custody",
    "police_contact",
    "ems_call",
    "claim_procedure",
)
LEFT = ("01", "01", "02", "02", "02", "05", "65", "07", "20", "41", "30", "30", "30", None)
STAY_DIAGNOSES = (None, "J449", "I10", "E1010", "E1165", "Z5111", "Z5112", "O80", "P071")
DRGS = (None, None, "470", "945", "860", "8601", "001", "0946")
OUTPATIENT_BILLS = ("131", "131", "0131", "141", "851", "711", None)
ED_CODES = ("0450", "0450", "0459", "0456", "0981", "0300")
SUPPORTS = (("T2033", "U6"), ("H0043", "U6"), ("S5165", "U6"), ("S5165", "U5"), ("H0040", "U1"))


def people(
    numbers: list[int], *, has_limits: bool = False, has_merges: bool = False, is_cut: bool = False
) -> dict[str, list[Row]]:
    """Raw tables of one member a number, and of one whose claims say when the data end.

    With `has_limits` the feeds do not reach everywhere; with `has_merges` some rows come under
    former identifiers; with `is_cut` the claims end while stays can still be followed.
    """
    tables: dict[str, list[Row]] = {name: [] for name in MADE}
    for place, number in enumerate(numbers):
        _Maker(Random(number), f"m{place:04d}", tables).make()
    _last_one(tables, date(2024, 3, 20) if is_cut else CLAIMS_END)
    if is_cut:
        lines = tables["medical_claim"]
        lines[:] = [line for line in lines if line["claim_start_date"] <= date(2024, 3, 20)]
    tables |= lists()
    if has_limits:
        tables["feed_coverage"] = feed_coverage()
    return with_merges(tables, Random(sum(numbers))) if has_merges else tables


def _last_one(tables: dict[str, list[Row]], claims_end: date) -> None:
    """A member with one row in most tables, long after everyone else."""
    line = {
        "claim_id": "end",
        "claim_line_number": 1,
        "claim_type": "professional",
        "claim_start_date": claims_end,
        "paid_amount": Decimal("1.00"),
    }
    fill = {"claim_id": "end", "claim_line_number": 1, "dispensing_date": CLAIMS_END}
    fill["paid_amount"] = Decimal("1.00")
    record = {"record_id": "end", "program": "ecm", "service": "ecm"}
    record |= {"record_type": "identified", "record_date": CLAIMS_END}
    rows = {
        "eligibility": {"enrollment_start_date": WINDOW[0], "enrollment_end_date": None},
        "person": {"birth_date": date(1980, 1, 1)},
        "medical_claim": line,
        "pharmacy_claim": fill,
        "program_service": record,
        "custody": {"booking_date": CLAIMS_END, "release_date": CLAIMS_END},
    }
    for name, row in rows.items():
        tables[name].append({"member_id": LAST_ONE, **row})


def frames(tables: dict[str, list[Row]]) -> dict[str, pd.DataFrame]:
    """The rows as frames with every declared column, but for tables without rows."""
    told = {}
    for name, rows in tables.items():
        if not rows:
            continue
        columns = list(TABLES[name].fields)
        values = [[_raw(row.get(column)) for column in columns] for row in rows]
        told[name] = pd.DataFrame(values, columns=columns, dtype=object)
    return told


def _raw(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


class _Maker:
    """Makes the rows of one member by chance."""

    def __init__(self, rng: Random, who: str, tables: dict[str, list[Row]]) -> None:
        self.rng, self.who, self.tables = rng, who, tables
        self.n_claims = 0
        self.death = date.max
        self.last_stay: tuple[date, str | None] | None = None
        self.left: dict[date, str | None] = {}
        # Whether the person's county goes before that of another span is a test of its own
        # (`test_panel_oracle_words`): here it only fills what is empty.
        self.counties: tuple[str | None, ...] = ("Kern", "Kings", None)

    def make(self) -> None:
        self._person()
        # Now and then nobody: known from claims only, or from `person` as well.
        for _ in range(self._one(0, *[1, 2, 3, 4] * 6)):
            self._span()
        for make, most in (
            (self._ed_claim, 4),
            (self._ed_doctor, 3),
            (self._stay, 5),
            (self._office, 4),
            (self._ambulance, 2),
            (self._program_line, 3),
            (self._observation, 2),
            (self._other_visit, 3),
            (self._nursing, 2),
        ):
            for _ in range(self.rng.randint(0, most)):
                self._with_versions(make())
        for _ in range(self.rng.randint(0, 2)):
            self._fill()
        for _ in range(self.rng.randint(0, 4)):
            self._record()
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            self._custody()
        for _ in range(self.rng.randint(0, 4)):
            self._police()
            self._call()

    # --- who and when ---

    def _one(self, *values: Any) -> Any:
        return self.rng.choice(values)

    def _near(self) -> date:
        return BASE + timedelta(days=self.rng.randint(25, 100))

    def _any_day(self) -> date:
        return BASE + timedelta(days=self.rng.randint(0, 240))

    def _person(self) -> None:
        if self.rng.random() < 0.08:
            return
        adult = date(1980, 5, 17)
        turning = date(2024, self.rng.randint(1, 3), self.rng.randint(1, 28))
        birth = self._one(
            adult, adult, turning.replace(year=2006), turning.replace(year=1959), None
        )
        if self.rng.random() < 0.12:
            birth = self._any_day()
        death = self._any_day() if self.rng.random() < 0.15 else None
        if birth and self.rng.random() < 0.04:
            # Which of the two is right nobody knows: the death is read as missing.
            death = birth - timedelta(days=self._one(1, 400))
        self.death = death or date.max
        county = self._one("Fresno", None)
        if county:
            self.counties = self._one(("Kern", "Kings"), (None,))
        self.tables["person"].append(
            {
                "member_id": self.who,
                "birth_date": birth,
                "death_date": death,
                "sex": self._one("female", "male", None),
                "county": county,
            }
        )

    def _span(self) -> None:
        start = self._any_day()
        end = start + timedelta(days=self._one(0, 2, 5, 14, 30, 45, 90, 180))
        if self.rng.random() < 0.4:
            start = BASE + timedelta(days=self.rng.randint(0, 31))
        if self.rng.random() < 0.25:
            # Long before: a year can be looked back on.
            start = date(2022, 11, 20) + timedelta(days=self.rng.randint(0, 90))
            end = max(end, start + timedelta(days=self._one(200, 400, 500, 600)))
        if self.rng.random() < 0.5:
            start = start.replace(day=1)
            end = end.replace(day=1) + timedelta(days=self._one(-1, 30))
        payer = self._one(*[None] * 9, *["medicaid"] * 9, "medicare", "commercial")
        scope = self._one(*[None] * 4, *["full"] * 4, "limited")
        # A code on a span that does not count is a test of its own (`test_panel_oracle_words`).
        is_plain = payer in (None, "medicaid") and scope != "limited"
        self.tables["eligibility"].append(
            {
                "member_id": self.who,
                "enrollment_start_date": start,
                "enrollment_end_date": None if self.rng.random() < 0.3 else max(start, end),
                "plan": self._one("Alpha", "Beta", None),
                "county": self._one(*self.counties),
                "aid_code": self._one("M1", "M3", "4H", None),
                "payer_type": payer,
                "benefit_scope": scope,
                "dual_status_code": self._one(*[None] * 9, *["00"] * 6, "02") if is_plain else None,
                "recorded_date": self._one(None, BASE, *RECORDED),
            }
        )

    # --- claims ---

    def _claim(self, form: str, day: date, **more: Any) -> Row:
        self.n_claims += 1
        return {
            "claim_id": f"{self.who}-{self.n_claims}",
            "claim_line_number": 1,
            "member_id": self.who,
            "claim_type": form,
            "claim_start_date": day,
            "paid_amount": self._amount(),
            "paid_date": day + timedelta(days=20),
            **more,
        }

    def _amount(self) -> Decimal | None:
        cents = self._one(None, 0, 1, 33, 1010, 99_999, 12_345_678, self.rng.randint(1, 10**7))
        return None if cents is None else Decimal(cents) / 100

    def _line(self, first: Row, **more: Any) -> Row:
        number = self.rng.randint(2, 10**6)
        return {**first, "claim_line_number": number, "paid_amount": self._amount(), **more}

    def _place(self) -> str | None:
        return self._one("A", "A", "A", "B", "B", "B", "C", None)

    def _ed_claim(self) -> list[Row]:
        first = self._claim(
            "institutional",
            self._near(),
            bill_type_code=self._one(*OUTPATIENT_BILLS),
            revenue_center_code=self._one(*ED_CODES),
            hcpcs_code=self._one(None, None, "99284", "G0382", "12001"),
            facility_npi=self._place(),
            rendering_npi=self._one("X", None),
            discharge_disposition_code=self._one(None, "01", "01", "02"),
            diagnosis_code_1=self._one(None, "J449", "I10", "S0990", "R07"),
        )
        lines = [first]
        for _ in range(self._one(0, 0, 1, 2)):
            later = first["claim_start_date"] + timedelta(days=self._one(0, 1, 2, 3))
            if all(later != line.get("claim_line_start_date") for line in lines):
                code = self._one(first["diagnosis_code_1"], "J449", None)
                more = {"claim_line_start_date": later, "diagnosis_code_1": code}
                lines.append(self._line(first, **more))
        return lines

    def _ed_doctor(self) -> list[Row]:
        place, code = self._one(("23", "12001"), ("23", None), ("11", "99285"), ("22", "99281"))
        return [
            self._claim(
                "professional",
                self._near(),
                place_of_service_code=place,
                hcpcs_code=code,
                rendering_npi=self._one("X", "Y"),
                diagnosis_code_1=self._one(None, "J449", "I10", "R07"),
            )
        ]

    def _stay(self) -> list[Row]:
        admit, place = self._near(), self._place()
        if self.last_stay and self.rng.random() < 0.5:
            # Again on the last day of the stay before, or soon after: interim bills, transfers.
            admit, before = self.last_stay[0], self.last_stay[1]
            admit += timedelta(days=self._one(0, 0, 1, 1, 2))
            place = self._one(before, before, place, "B" if before == "A" else "A")
        end = admit + timedelta(days=self._one(0, 1, 2, 4, 9, 33))
        left = self._one(*LEFT)
        left = self.left.setdefault(end, left)
        self.last_stay = (end, place)
        first = self._claim(
            "institutional",
            admit,
            claim_end_date=end,
            admission_date=self._one(admit, None),
            discharge_date=None if left == "30" else self._one(end, None),
            bill_type_code="0112" if left == "30" else self._one("111", "111", "0111", "121"),
            revenue_center_code=self._one("0120", "0120", "0203", "0300", "0190", "0450"),
            drg_code=self._one(*DRGS),
            discharge_disposition_code=self._one("30", "30", None) if left == "30" else left,
            facility_npi=place,
            diagnosis_code_1=self._one(*STAY_DIAGNOSES),
            billing_taxonomy_code=self._one(None, None, "282N00000X", "283Q00000X", "273R00000X"),
        )
        if self.rng.random() < 0.3:
            done = {"member_id": self.who, "claim_id": first["claim_id"]}
            done["procedure_code"] = self._one("02YA0Z0", "0SRC0J9", "0SRC0J9", "0DTJ4ZZ")
            if self.rng.random() < 0.1:
                done["claim_id"] = "nobody"
            self.tables["claim_procedure"].append(done)
        more = {"revenue_center_code": self._one("0120", "0450", "0250")}
        return [first, *(self._line(first, **more) for _ in range(self._one(0, 0, 1)))]

    def _nursing(self) -> list[Row]:
        day = self._near()
        end = day + timedelta(days=self._one(0, 1, 5, 20, 40))
        first = self._claim(
            "institutional",
            day,
            claim_end_date=end,
            bill_type_code=self._one("211", "0213", "221", "181", "281", "131"),
            revenue_center_code=self._one("0022", "0191", "0194", "0120", "0300"),
            discharge_disposition_code=self._one(None, "30", "01", "02", "20"),
            facility_npi=self._place(),
        )
        lines = [first]
        if self.rng.random() < 0.5:
            from_day = day + timedelta(days=self.rng.randint(0, (end - day).days))
            to_day = from_day + timedelta(days=self.rng.randint(0, (end - from_day).days))
            own = {"claim_line_start_date": from_day, "claim_line_end_date": to_day}
            own = self._one(own, own, own, {})
            code = self._one("0183", "0185", "0192")
            lines.append(self._line(first, revenue_center_code=code, **own))
        return lines

    def _office(self) -> list[Row]:
        day = self._one(date(2024, 2, 5), date(2024, 2, 6), self._near())
        if self.rng.random() < 0.4:
            first = self._claim(
                "institutional",
                day,
                bill_type_code=self._one("131", "711", "731", "771", "851"),
                revenue_center_code=self._one("0510", "0521", "0300"),
                hcpcs_code=self._one(None, "T1015", "99213"),
                facility_npi=self._one("F", "G"),
                rendering_npi=self._one("X", "Y"),
            )
        else:
            first = self._claim(
                "professional",
                day,
                place_of_service_code=self._one("11", "11", "21", "22", "23", "50", "72", None),
                hcpcs_code=self._one("99213", "99213", "99203", "99201", "T1015"),
                facility_npi=self._one("F", "G"),
                rendering_npi=self._one("X", "Y"),
                rendering_taxonomy_code=self._one(None, "207Q00000X", "207RC0000X"),
                diagnosis_code_1=self._one(None, "F329", "F1020", "F172", "F209", "J449"),
            )
        other = self._one("99214", "T1015", "80053")
        return [first, *(self._line(first, hcpcs_code=other) for _ in range(self._one(0, 0, 1)))]

    def _ambulance(self) -> list[Row]:
        code = self._one("A0427", "A0429", "A0433", "A0430", "A0425", "A0428", "A0426", "A0998")
        form = self._one("professional", "professional", "institutional")
        more = {"hcpcs_code": code, "hcpcs_modifier_1": self._one(None, "RH", "HR", "GT")}
        return [self._claim(form, self._one(date(2024, 2, 5), self._near()), **more)]

    def _observation(self) -> list[Row]:
        form = self._one("institutional", "institutional", "professional")
        day = self._near()
        is_facility = form == "institutional"
        end = day + timedelta(days=self._one(0, 0, 1, 2))
        # Which status counts of claims that end on one day is not said: they have the same.
        left = self.left.setdefault(end, None) if is_facility else None
        return [
            self._claim(
                form,
                day,
                claim_end_date=end,
                discharge_disposition_code=left,
                bill_type_code=self._one("131", "131", "111") if is_facility else None,
                revenue_center_code=self._one("0762", "0760", "0300") if is_facility else None,
                hcpcs_code=self._one("G0378", "99220", "99235", None),
                # Whether professionals of two places have one stay is not said.
                facility_npi=self._place() if is_facility else "A",
                rendering_npi=self._one("X", None),
            )
        ]

    def _other_visit(self) -> list[Row]:
        """Preventive care, and mental health and substance use care."""
        form = self._one("professional", "professional", "institutional")
        return [
            self._claim(
                form,
                self._one(date(2024, 2, 5), date(2024, 2, 6), self._near()),
                bill_type_code=self._one("771", "131") if form == "institutional" else None,
                hcpcs_code=self._one("99385", "G0438", "90834", "H0031", "H0020", "99408", "99213"),
                diagnosis_code_1=self._one(None, "F329", "F1020", "F172", "F209", "Z5901"),
                diagnosis_code_2=self._one(None, "Z590", "Z5981", "F312", "I10"),
                place_of_service_code=self._one("11", "04", "02", "50", None),
                rendering_npi=self._one("X", "Y", None),
                facility_npi=self._one("F", None),
                hcpcs_modifier_2=self._one(None, None, "95"),
            )
        ]

    def _program_line(self) -> list[Row]:
        code, modifier = self._one(
            ("G9008", "U1"), ("G9012", "U2"), ("G9012", "U8"), ("G9008", "U8"), *SUPPORTS
        )
        slot = self.rng.randint(1, 5)
        day = self._one(date(2024, 2, 5), date(2024, 2, 6), self._any_day())
        more = {f"hcpcs_modifier_{slot}": modifier, f"hcpcs_modifier_{slot % 5 + 1}": "GQ"}
        return [self._claim("professional", day, hcpcs_code=code, **more)]

    def _with_versions(self, lines: list[Row]) -> None:
        """Add a claim and, now and then, what was sent of it later."""
        self.tables["medical_claim"] += lines
        if self.rng.random() < 0.04:
            for line in lines:
                line["claim_status"] = "denied"
        sent = [lines]
        for later in range(self._one(*[0] * 12, 1, 1, 2, 3)):
            version = self._version(self.rng.choice(sent), lines[0]["paid_date"], later + 1)
            self.tables["medical_claim"] += version
            if version[0]["claim_status"] in ("replacement", None):
                sent.append(version)

    def _version(self, of: list[Row], first_paid: date, later: int) -> list[Row]:
        """A void, a replacement or a denied replacement of a claim, sent later than all before."""
        what = self._one("void", "replacement", "replacement", "denied", "digit")
        self.n_claims += 1
        told = []
        for line in of:
            row = {**line, "claim_id": f"{self.who}-{self.n_claims}"}
            row["original_claim_id"] = self._one(
                *[line["claim_id"]] * 9, f"{line['claim_id']}-nobody"
            )
            row["paid_date"] = first_paid + timedelta(days=30 * later)
            row["paid_amount"] = self._amount()
            row["claim_status"] = what if what != "digit" else "replacement"
            code = line.get("bill_type_code")
            if what == "digit" and code and line["claim_type"] == "institutional":
                row["claim_status"] = None
                row["bill_type_code"] = code[:-1] + "7"
            told.append(row)
        for row in told:
            row["original_claim_id"] = told[0]["original_claim_id"]
        return told

    def _fill(self) -> None:
        day = self._one(date(2024, 2, 5), self._any_day())
        self.n_claims += 1
        fill = {
            "claim_id": f"{self.who}-{self.n_claims}",
            "claim_line_number": 1,
            "member_id": self.who,
            "dispensing_date": day,
            "ndc_code": self._one("00002322730", "00093310905", None),
            "days_supply": self._one(30, 90, None),
            "paid_amount": self._amount(),
            "paid_date": day,
        }
        self.tables["pharmacy_claim"].append(fill)
        if self.rng.random() < 0.2:
            void = {"claim_id": f"{fill['claim_id']}v", "original_claim_id": fill["claim_id"]}
            self.tables["pharmacy_claim"].append({**fill, **void, "claim_status": "void"})

    # --- programs and custody ---

    def _record(self) -> None:
        program, service = self._one(
            ("ecm", "ecm"),
            ("ecm", "ecm"),
            ("community_support", "recuperative_care"),
            ("community_support", "medically_tailored_meals"),
        )
        if self.rng.random() < 0.05:
            program, service = "ecm", "medically_tailored_meals"
        kinds = ("identified", "outreach", "authorization", "denial", "service", "service")
        kind = self._one(*kinds)
        # Whether an authorization tells the population of focus is not said.
        is_told = program == "ecm" and kind not in ("authorization", "denial")
        self.tables["program_service"].append(
            {
                "record_id": f"{self.who}-{len(self.tables['program_service'])}",
                "member_id": self.who,
                "program": program,
                "service": service,
                "record_type": kind,
                "record_date": self._one(date(2024, 2, 5), date(2024, 2, 6), self._any_day()),
                "population_of_focus": self._one(None, "1a", "2", "3", "1a; 9")
                if is_told
                else None,
            }
        )

    def _custody(self) -> None:
        booking = self._any_day()
        release = booking + timedelta(days=self._one(0, 1, 3, 10, 40))
        is_held = self.rng.random() < 0.15 and booking <= self.death
        self.tables["custody"].append(
            {
                "member_id": self.who,
                "booking_date": booking,
                "release_date": None if is_held else release,
            }
        )

    # --- feeds ---

    def _police(self) -> None:
        kinds = (None, "other", "arrest", "arrest", "citation", "welfare_check", "hold_5150")
        day = self._one(date(2024, 2, 5), date(2024, 2, 5), date(2024, 2, 6), self._any_day())
        row = {"member_id": self.who, "contact_date": day, "contact_type": self._one(*kinds)}
        self.tables["police_contact"].append({**row, "county": self._one("Kern", None)})

    def _call(self) -> None:
        day = self._one(date(2024, 2, 5), date(2024, 2, 6), self._any_day())
        row = {
            "member_id": self.who,
            "call_date": day,
            "is_transported": self._one(True, False, None),
        }
        self.tables["ems_call"].append({**row, "county": self._one("Kern", None)})
