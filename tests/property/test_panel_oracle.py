"""The panel against a slow plain-Python reading of its rules, on generated members."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import panel_oracle as oracle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calaim_eval.panel import PanelRules, build_member_months
from calaim_eval.tables import Tables

FIRST, LAST = date(2024, 1, 1), date(2024, 6, 30)
BASE = date(2023, 12, 1)
CLAIMS_END = date(2024, 12, 31)
# Fewer than 30, so that generated stays fall on both sides of it often.
READMISSION_DAYS = 10

# Narrow ranges on purpose: days, facilities and plans must collide to test a rule.
near_days = st.integers(25, 110).map(lambda n: BASE + timedelta(days=n))
any_days = st.integers(0, 240).map(lambda n: BASE + timedelta(days=n))
lengths = st.sampled_from([0, 0, 1, 1, 2, 3, 5, 14, 31, 60])


@st.composite
def spans(draw):
    start = draw(any_days)
    end = None if draw(st.integers(0, 5)) == 0 else start + timedelta(days=draw(lengths) * 3)
    return oracle.Span(
        start,
        end,
        draw(st.sampled_from(["Alpha", "Beta", None])),
        draw(st.sampled_from(["Kern", "Kings", None])),
        draw(st.none() | st.sampled_from([BASE, date(2024, 3, 1), date(2024, 9, 1)])),
        dual=draw(st.integers(0, 9)) == 0,
    )


@st.composite
def stays(draw):
    admit = draw(near_days)
    left = draw(st.sampled_from(["01", "01", "01", "02", "07", "30"]))
    discharge = admit + timedelta(days=draw(st.sampled_from([0, 1, 2, 4, 9])))
    return oracle.Stay(draw(st.sampled_from("AB")), admit, discharge, left)


@st.composite
def ed_claims(draw):
    start = draw(near_days)
    later = draw(st.lists(st.sampled_from([0, 1, 2]), max_size=2))
    days = [start, *(start + timedelta(days=n) for n in later)]
    return oracle.EdClaim(draw(st.sampled_from("AB")), days)


@st.composite
def members(draw):
    return oracle.Member(
        spans=draw(st.lists(spans(), min_size=1, max_size=4)),
        ed_claims=draw(st.lists(ed_claims(), max_size=5)),
        ed_doctor_days=draw(st.lists(near_days, max_size=4)),
        stays=_settle_endings(draw(st.lists(stays(), max_size=6))),
        death=draw(st.none() | st.none() | st.none() | any_days),
    )


def _settle_endings(drawn):
    """Claims of a facility that end on one day leave alike: which of them counts is no rule."""
    left: dict[tuple[str, date], str] = {}
    for stay in drawn:
        stay.left = left.setdefault((stay.facility, stay.discharge), stay.left)
    return drawn


def _frames(people):
    """Raw tables of the generated members."""
    eligibility, persons, claims = [], [], []
    for number, member in enumerate(people):
        who = f"m{number:03d}"
        persons.append((who, date(1980, 1, 1), member.death))
        for span in member.spans:
            dual = "02" if span.dual else None
            eligibility.append(
                (who, span.start, span.end, span.plan, span.county, span.recorded, dual)
            )
        claims += _claims(who, member)
    claims.append(_line("zzz", "end", "professional", CLAIMS_END))
    eligibility.append(("zzz", FIRST, None, None, None, None, None))
    return {
        "eligibility": pd.DataFrame(
            eligibility,
            columns=[
                "member_id",
                "enrollment_start_date",
                "enrollment_end_date",
                "plan",
                "county",
                "recorded_date",
                "dual_status_code",
            ],
        ),
        "person": pd.DataFrame(persons, columns=["member_id", "birth_date", "death_date"]),
        "medical_claim": pd.DataFrame(claims),
    }


def _line(who, claim, form, day, **more):
    return {
        "member_id": who,
        "claim_id": f"{who}-{claim}",
        "claim_line_number": more.pop("number", 1),
        "claim_type": form,
        "claim_start_date": day,
        **more,
    }


def _claims(who, member):
    lines = []
    for n, ed in enumerate(member.ed_claims):
        for k, day in enumerate(ed.days):
            lines.append(
                _line(
                    who,
                    f"e{n}",
                    "institutional",
                    min(ed.days),
                    number=k + 1,
                    claim_line_start_date=day,
                    bill_type_code="131",
                    revenue_center_code="0450",
                    facility_npi=ed.facility,
                )
            )
    for n, day in enumerate(member.ed_doctor_days):
        lines.append(_line(who, f"d{n}", "professional", day, place_of_service_code="23"))
    for n, stay in enumerate(member.stays):
        lines.append(
            _line(
                who,
                f"s{n}",
                "institutional",
                stay.admit,
                claim_end_date=stay.discharge,
                admission_date=stay.admit,
                discharge_date=None if stay.left == "30" else stay.discharge,
                bill_type_code="111",
                revenue_center_code="0120",
                discharge_disposition_code=stay.left,
                facility_npi=stay.facility,
            )
        )
    return lines


def _expected(people):
    rows = {}
    for number, member in enumerate(people):
        covered = oracle.coverage(member, FIRST, LAST)
        eps = oracle.episodes(member.stays)
        admitted = oracle.Counter(oracle.month_of(e.admit) for e in eps)
        nights, back = (
            oracle.inpatient_nights(eps),
            oracle.readmissions(member, eps, READMISSION_DAYS),
        )
        visits = oracle.ed_visits(member)
        for month, cover in covered.items():
            rows[f"m{number:03d}", month] = {
                **cover,
                "ed_visits": visits[month],
                "inpatient_stays": admitted[month],
                "inpatient_days": nights[month],
                "readmissions_30d": back[month],
            }
    return rows


def _compare(people, n_buckets):
    frames = _frames(people)
    panel = build_member_months(
        Tables.from_frames(frames, n_buckets=n_buckets),
        first_month=f"{FIRST:%Y-%m}",
        last_month=f"{LAST:%Y-%m}",
        rules=PanelRules(readmission_days=READMISSION_DAYS),
    )
    frame = panel.to_frame()
    frame = frame[frame["member_id"] != "zzz"]
    columns = ["covered_days", "plan", "county", "ed_visits", "inpatient_stays"]
    columns += ["inpatient_days", "readmissions_30d"]
    built = {}
    for row in frame.itertuples(index=False):
        values = {c: getattr(row, c) for c in columns}
        values = {c: None if pd.isna(v) else v for c, v in values.items()}
        built[row.member_id, f"{row.month:%Y-%m}"] = values
    assert built == _expected(people)
    for name in ("eligibility", "medical_claim"):
        used = panel.ledger.used(name, stage="read")
        assert panel.ledger.total(name, stage="panel") == used


@given(people=st.lists(members(), min_size=20, max_size=25))
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_panel_is_what_the_rules_say(people):
    _compare(people, n_buckets=1)


@pytest.mark.slow
@given(people=st.lists(members(), min_size=20, max_size=40))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_panel_is_what_the_rules_say_at_length(people):
    _compare(people, n_buckets=3)
