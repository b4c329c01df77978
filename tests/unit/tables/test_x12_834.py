"""834 files: segments by hand, spans against a day-by-day oracle, and third-party samples."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.errors import MissingExtraError, TableError
from calaim_eval.tables import read_tables, x12_834
from calaim_eval.tables.x12_834_spans import FullFile, Statement, spans_of

pytest.importorskip("pyx12", reason="pyx12 is not installed: calaim-eval[x12]")

CLAIMS = (
    "claim_id,claim_line_number,claim_type,member_id,claim_start_date\n"
    "c1,1,professional,A1,2024-02-03\n"
)


def interchange(made, members, *, action="2", plan="PLAN ONE", effective=""):
    """An 834 with one transaction; `members` are segments without their terminator."""
    body = [
        "ST*834*0001*005010X220A1",
        f"BGN*00*1*{made}*0900****{action}",
        *([f"DTP*007*D8*{effective}"] if effective else []),
        "N1*P5*DHCS*FI*1",
        f"N1*IN*{plan}*FI*2",
        *members,
    ]
    segments = [
        f"ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *{made[2:]}*0900*^"
        "*00501*000000001*0*T*:",
        f"GS*BE*S*R*{made}*0900*1*X*005010X220A1",
        *body,
        f"SE*{len(body) + 1}*0001",
        "GE*1*1",
        "IEA*1*000000001",
    ]
    return "~\n".join(segments) + "~\n"


def member(number, action="021", *, ins="", more=(), coverage=()):
    return [f"INS*Y*18*{action}*XN*A*{ins}", f"REF*0F*{number}", *more, *coverage]


def covered(action="021", begin="", end="", line="HLT"):
    return [
        f"HD*{action}**{line}",
        *([f"DTP*348*D8*{begin}"] if begin else []),
        *([f"DTP*349*D8*{end}"] if end else []),
    ]


@pytest.fixture
def read(tmp_path):
    def read(*contents, **options):
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for number, content in enumerate(contents):
            (folder / f"file{number}.txt").write_text(content, encoding="utf-8")
        (folder / "medical_claim.csv").write_text(CLAIMS, encoding="utf-8")
        return read_tables(folder, work_dir=tmp_path / "work", source="x12_834", **options)

    return read


def spans(tables):
    frame = tables.frame("eligibility").sort_values(["member_id", "enrollment_start_date"])
    ends = frame["enrollment_end_date"].dt.strftime("%Y-%m-%d").fillna("open")
    starts = frame["enrollment_start_date"].dt.strftime("%Y-%m-%d")
    return list(zip(frame["member_id"], starts, ends, strict=True))


def fates(tables, loop):
    frame = tables.ledger.to_frame()
    frame = frame[(frame["stage"] == "source") & frame["table"].str.contains(loop)]
    return dict(zip(frame["reason"], frame["n_rows"], strict=True))


def test_every_element_of_a_member(read):
    more = [
        "REF*1L*GROUP",
        "DTP*356*D8*20200101",
        "NM1*74*1*GARCIA*MARIA",
        "N3*1 MAIN ST",
        "N4*OAKLAND*CA*94601**CY*01",
        "DMG*D8*19801231*F**H^C:RET:2106-3",
        "LUI*LE*ENG**6",
        "LUI*LE*SPA**7",
        "NM1*70*1*WRONG*NAME",
        "DMG*D8*19111111*M**B",
        "NM1*31*1",
        "N4*RENO*NV*89501",
    ]
    segments = member(
        "A1",
        ins="C***F*N*D8*20240809",
        more=more,
        coverage=covered("021", "20240101", "20240630"),
    )
    tables = read(interchange("20240105", segments))
    person = tables.frame("person").iloc[0]
    assert person["member_id"] == "A1"
    assert person["birth_date"] == pd.Timestamp("1980-12-31")
    assert person["death_date"] == pd.Timestamp("2024-08-09")
    assert person["sex"] == "female"
    assert person["race_code"] == "H;C"
    assert person["race_code_system"] == "x12_834_dmg05_1109"
    assert person["race_ethnicity"] == "hispanic"
    assert person["language"] == "SPA"
    assert person["county"] == "Alameda"
    span = tables.frame("eligibility").iloc[0]
    assert spans(tables) == [("A1", "2024-01-01", "2024-06-30")]
    assert span["plan"] == "PLAN ONE"
    assert span["dual_status_code"] == "DUAL"
    assert span["county"] == "Alameda"
    assert span["recorded_date"] == pd.Timestamp("2024-01-05")


@pytest.mark.parametrize(
    ("race", "code", "system"),
    [
        ("B", "B", "x12_834_dmg05_1109"),
        (":RET:2054-5", "2054-5", "cdc_omb"),
        (":RET:2106-3^:RET:1002-5", "2106-3;1002-5", "cdc_omb"),
        ("7", "7", "x12_834_dmg05_1109"),
    ],
)
def test_race_by_either_list(read, race, code, system):
    segments = member(
        "A1", more=["NM1*IL*1", f"DMG*D8*19800101*M**{race}"], coverage=covered(begin="20240101")
    )
    person = read(interchange("20240101", segments)).frame("person").iloc[0]
    assert (person["race_code"], person["race_code_system"]) == (code, system)


def test_files_are_applied_by_date_whatever_their_names(read):
    tables = read(
        interchange("20240315", member("A1", "024", coverage=covered("024", end="20240331"))),
        interchange("20240101", member("A1", coverage=covered("021", begin="20240101"))),
        interchange("20240601", member("A1", "025", coverage=covered("025", begin="20240601"))),
    )
    assert spans(tables) == [("A1", "2024-01-01", "2024-03-31"), ("A1", "2024-06-01", "open")]


def test_a_termination_alone_has_its_dates_at_the_member(read):
    segments = member(
        "A1", "024", more=["DTP*356*D8*20210101", "DTP*357*D8*20260331"], coverage=covered("024")
    )
    assert spans(read(interchange("20260401", segments))) == [("A1", "2021-01-01", "2026-03-31")]


def test_a_termination_of_the_member_without_a_coverage_loop(read):
    tables = read(
        interchange("20240101", member("A1", coverage=covered(begin="20240101", line=""))),
        interchange("20240501", member("A1", "024", more=["DTP*357*D8*20240430"])),
    )
    assert spans(tables) == [("A1", "2024-01-01", "2024-04-30")]
    assert fates(tables, "INS") == {"used": 2}
    assert fates(tables, "HD") == {"used": 1}


def test_the_end_of_a_member_holds_for_every_line_of_the_plan_alone(read):
    both = [*covered(begin="20240101"), *covered(begin="20240201", line="PDG")]
    tables = read(
        interchange("20240101", member("A1", coverage=both), plan="ONE"),
        interchange("20240101", member("A1", coverage=covered(begin="20240101")), plan="TWO"),
        interchange("20240501", member("A1", "024", more=["DTP*357*D8*20240430"]), plan="ONE"),
    )
    assert sorted(spans(tables)) == [
        ("A1", "2024-01-01", "2024-04-30"),
        ("A1", "2024-01-01", "open"),
        ("A1", "2024-02-01", "2024-04-30"),
    ]
    assert fates(tables, "HD") == {"used": 3}


def test_the_end_of_a_member_no_file_has_covered_stands_for_itself(read):
    days = ["DTP*356*D8*20240101", "DTP*357*D8*20240430"]
    tables = read(interchange("20240501", member("A1", "024", more=days)))
    assert spans(tables) == [("A1", "2024-01-01", "2024-04-30")]


@pytest.mark.parametrize(
    "later", [[], [member("A1", coverage=covered(begin="20250101", line="LTC"))]]
)
def test_the_end_of_a_member_begins_nothing_where_a_line_is_stated(read, later):
    days = ["DTP*356*D8*20220101", "DTP*357*D8*20230630"]
    tables = read(
        interchange("20220101", member("A1", coverage=covered(begin="20220101"))),
        interchange("20220401", member("A1", coverage=covered("024", end="20220331"))),
        interchange("20230101", member("A1", coverage=covered(begin="20230101"))),
        interchange("20230701", member("A1", "024", more=days)),
        *(interchange("20250101", segments) for segments in later),
    )
    assert spans(tables) == [
        ("A1", "2022-01-01", "2022-03-31"),
        ("A1", "2023-01-01", "2023-06-30"),
        *[("A1", "2025-01-01", "open") for _ in later],
    ]


def test_the_end_of_a_member_stands_for_itself_where_lines_are_only_stated_later(read):
    days = ["DTP*356*D8*20220101", "DTP*357*D8*20230630"]
    tables = read(
        interchange("20250101", member("A1", coverage=covered(begin="20250101"))),
        interchange("20230701", member("A1", "024", more=days)),
    )
    assert spans(tables) == [("A1", "2022-01-01", "2023-06-30"), ("A1", "2025-01-01", "open")]


@pytest.mark.parametrize("days", [["357*D8*20240431"], ["356*D8*20241301", "357*D8*20240430"]])
def test_the_end_of_a_member_on_no_date_is_counted(read, days):
    tables = read(
        interchange("20240101", member("A1", coverage=covered(begin="20240101"))),
        interchange("20240501", member("A1", "024", more=[f"DTP*{each}" for each in days])),
    )
    assert spans(tables) == [("A1", "2024-01-01", "open")]
    assert fates(tables, "INS") == {
        "used": 1,
        "no coverage loop (HD) and an end (DTP*356, 357) that is no date; the person is kept": 1,
    }
    assert fates(tables, "HD") == {"used": 1}


def test_a_full_file_ends_members_it_does_not_have(read):
    both = [
        *member("A1", coverage=covered(begin="20230101")),
        *member("B2", coverage=covered(begin="20230101")),
    ]
    tables = read(
        interchange("20230101", both),
        interchange(
            "20240325",
            member("A1", "030", coverage=covered("030", begin="20230101")),
            action="4",
            effective="20240401",
        ),
    )
    assert spans(tables) == [("A1", "2023-01-01", "open"), ("B2", "2023-01-01", "2024-03-31")]
    assert set(tables.frame("eligibility")["recorded_date"]) == {pd.Timestamp("2023-01-01")}


@pytest.mark.parametrize(
    ("unclear", "reason"),
    [
        (covered("030"), "no begin date (DTP*348)"),
        (covered("030", "20241331"), "a date that is none"),
        (covered("030", "20240101", "20240631"), "a date that is none"),
        (covered("025", "20241331"), "a date that is none"),
    ],
)
def test_a_full_file_does_not_end_a_member_whose_days_it_does_not_tell(read, unclear, reason):
    full = {"action": "4", "plan": "PLAN ONE"}
    both = [
        *member("A1", coverage=covered("030", "20240101")),
        *member("B2", coverage=covered("030", "20240101")),
        *member("C3", coverage=covered("030", "20240101")),
    ]
    several = [*covered("030", "20240101", "20240131"), *unclear]
    here = [
        *member("A1", coverage=unclear),
        *member("C3", coverage=several),
        *member("D4", coverage=unclear),
    ]
    tables = read(
        interchange("20240101", both, effective="20240101", **full),
        interchange("20240601", here, effective="20240601", **full),
    )
    assert spans(tables) == [
        ("A1", "2024-01-01", "open"),
        ("B2", "2024-01-01", "2024-05-31"),
        ("C3", "2024-01-01", "2024-01-31"),
        ("C3", "2024-02-01", "open"),
    ]
    assert fates(tables, "HD") == {"used": 4, reason: 3}


@pytest.mark.parametrize("action", ["030", "001", "021"])
@pytest.mark.parametrize("kind", ["4", ""])
def test_a_full_file_does_not_end_a_member_it_has_without_a_coverage_loop(read, action, kind):
    lines = [*covered("030", "20240101"), *covered("030", "20240101", line="HMO")]
    before = [*member("A1", coverage=lines), *member("B2", coverage=lines[:2])]
    here = [
        *member("A1", action),
        *member("C3", "030", coverage=lines[:2]),
        *member("D4", action),
    ]
    tables = read(
        interchange("20240101", before, action="4"),
        interchange("20240601", here, action=kind, effective="20240601"),
    )
    assert spans(tables) == [
        ("A1", "2024-01-01", "open"),
        ("B2", "2024-01-01", "2024-05-31"),
        ("C3", "2024-01-01", "open"),
    ]
    assert fates(tables, "INS") == {"used": 3, "no coverage loop (HD); the person is kept": 2}
    assert fates(tables, "HD") == {"used": 4}


@pytest.mark.parametrize("action", ["024", "002"])
def test_a_full_file_ends_a_member_it_takes_away_without_a_coverage_loop(read, action):
    tables = read(
        interchange("20240101", member("A1", coverage=covered(begin="20240101"))),
        interchange("20240601", member("A1", action), action="4", effective="20240601"),
    )
    assert spans(tables) == [("A1", "2024-01-01", "2024-05-31")]


@pytest.mark.parametrize(
    "ending", [covered("024"), covered("024", end="20240631"), covered("002", "20241331")]
)
def test_a_full_file_ends_a_member_it_ends_on_no_date(read, ending):
    full = {"action": "4", "effective": "20240601"}
    tables = read(
        interchange("20240101", member("A1", coverage=covered(begin="20240101"))),
        interchange("20240601", member("A1", coverage=ending), **full),
    )
    assert spans(tables) == [("A1", "2024-01-01", "2024-05-31")]


def test_days_not_told_in_a_file_of_changes_say_nothing(read):
    tables = read(
        interchange("20240101", member("A1", coverage=covered(begin="20240101"))),
        interchange("20240601", member("A1", coverage=covered("025", "20241331"))),
    )
    assert spans(tables) == [("A1", "2024-01-01", "open")]


def test_monthly_full_files_add_up_to_a_history(read):
    def month(made, begin, end, *numbers):
        each = [member(n, "030", coverage=covered("030", begin, end)) for n in numbers]
        segments = [segment for own in each for segment in own]
        return interchange(made, segments, action="4", effective=begin)

    tables = read(
        month("20240101", "20240101", "20240131", "A1", "B2"),
        month("20240201", "20240201", "20240229", "A1"),
        month("20240301", "20240301", "20240331", "A1", "B2"),
    )
    assert spans(tables) == [
        ("A1", "2024-01-01", "2024-01-31"),
        ("A1", "2024-02-01", "2024-02-29"),
        ("A1", "2024-03-01", "2024-03-31"),
        ("B2", "2024-01-01", "2024-01-31"),
        ("B2", "2024-03-01", "2024-03-31"),
    ]


def in_parts(made, members, *, effective, action="4"):
    """One interchange with a transaction set a member."""
    whole = interchange(made, [], action=action, effective=effective)
    head, rest = whole.split("ST*834*0001*", 1)
    header, trailer = rest.split("SE*", 1)
    sets = []
    for number, segments in enumerate(members, start=1):
        body = f"ST*834*{number:04d}*" + header + "".join(f"{each}~\n" for each in segments)
        sets.append(f"{body}SE*{body.count('~') + 1}*{number:04d}~\n")
    closing = trailer.split("~\n", 1)[1].replace("GE*1*", f"GE*{len(members)}*")
    return head + "".join(sets) + closing


@pytest.mark.parametrize("action", ["4", ""])
@pytest.mark.parametrize("is_one_file", [True, False])
def test_a_full_file_in_several_parts_is_one(read, is_one_file, action):
    before = interchange(
        "20230101",
        [s for n in ("A1", "B2", "C3") for s in member(n, coverage=covered(begin="20230101"))],
    )
    audits = [member(n, "030", coverage=covered("030", begin="20230101")) for n in ("A1", "B2")]
    if is_one_file:
        parts = [in_parts("20240325", audits, effective="20240401", action=action)]
    else:
        parts = [
            interchange("20240325", each, action=action, effective="20240401") for each in audits
        ]
    tables = read(before, *parts)
    assert spans(tables) == [
        ("A1", "2023-01-01", "open"),
        ("B2", "2023-01-01", "open"),
        ("C3", "2023-01-01", "2024-03-31"),
    ]


@pytest.mark.parametrize(
    ("made", "effective"), [("20240326", "20240401"), ("20240325", "20240501")]
)
def test_full_files_of_another_time_or_day_are_others(read, made, effective):
    audits = [member(n, "030", coverage=covered("030", begin="20230101")) for n in ("A1", "B2")]
    tables = read(
        interchange("20240325", audits[0], action="4", effective="20240401"),
        interchange(made, audits[1], action="4", effective=effective),
    )
    last = pd.Timestamp(effective) - pd.Timedelta(days=1)
    assert spans(tables) == [
        ("A1", "2023-01-01", f"{last:%Y-%m-%d}"),
        ("B2", "2023-01-01", "open"),
    ]


def test_parts_that_do_not_say_are_full_only_when_all_are_audits(read):
    before = [s for n in ("A1", "B2") for s in member(n, coverage=covered(begin="20230101"))]
    parts = [
        member("A1", "030", coverage=covered("030", begin="20230101")),
        member("C3", "021", coverage=covered("021", begin="20240401")),
    ]
    tables = read(
        interchange("20230101", before),
        in_parts("20240325", parts, effective="20240401", action=""),
    )
    assert spans(tables) == [
        ("A1", "2023-01-01", "open"),
        ("B2", "2023-01-01", "open"),
        ("C3", "2024-04-01", "open"),
    ]


def test_full_files_of_one_plan_say_nothing_about_another(read):
    tables = read(
        interchange("20240101", member("A1", coverage=covered(begin="20240101")), plan="ONE"),
        interchange(
            "20240201",
            member("B2", "030", coverage=covered("030", begin="20240201")),
            action="RX",
            plan="TWO",
        ),
    )
    assert spans(tables) == [("A1", "2024-01-01", "open"), ("B2", "2024-02-01", "open")]


@pytest.mark.parametrize(
    ("action", "kinds", "end_of_absent"),
    [
        ("", ["030", "030"], "2024-01-31"),
        ("", ["030", "021"], "open"),
        ("2", ["030", "030"], "open"),
    ],
)
def test_audits_make_a_full_file_only_where_it_does_not_say(read, action, kinds, end_of_absent):
    begin = covered(begin="20240101")
    first = [*member("A1", coverage=begin), *member("B2", coverage=begin)]
    later = [
        segment
        for number, kind in zip(["B2", "C3"], kinds, strict=True)
        for segment in member(number, kind, coverage=covered(kind, begin="20240101"))
    ]
    tables = read(interchange("20240101", first), interchange("20240201", later, action=action))
    assert spans(tables) == [
        ("A1", "2024-01-01", end_of_absent),
        ("B2", "2024-01-01", "open"),
        ("C3", "2024-01-01", "open"),
    ]


def test_every_loop_is_accounted_for(read):
    segments = [
        *member(
            "A1", coverage=[*covered(begin="20240101"), *covered(begin="20240101", line="DEN")]
        ),
        *member("B2"),
        *["INS*Y*18*021*XN*A", "REF*1L*GROUP", *covered(begin="20240101")],
        *member("C3", coverage=covered("021")),
        *member("D4", "024", coverage=covered("024")),
        *member("E5", coverage=covered(begin="20241399")),
    ]
    tables = read(interchange("20240101", segments))
    assert fates(tables, "INS") == {
        "used": 4,
        "no coverage loop (HD); the person is kept": 1,
        "no member number (REF*0F)": 1,
    }
    assert fates(tables, "HD") == {
        "used": 1,
        "dental or vision coverage": 1,
        "no member number (REF*0F)": 1,
        "no begin date (DTP*348)": 1,
        "termination without a date (DTP*349 or 357)": 1,
        "a date that is none": 1,
    }
    assert sorted(tables.frame("person")["member_id"]) == ["A1", "B2", "C3", "D4", "E5"]


def test_the_latest_value_of_each_column_of_a_person_counts(read):
    def demographics(dmg):
        return member("A1", more=["NM1*IL*1", dmg], coverage=covered(begin="20240101"))

    tables = read(
        interchange("20240301", demographics("DMG*D8**U")),
        interchange("20240101", demographics("DMG*D8*19700101*F**B")),
    )
    person = tables.frame("person").iloc[0]
    assert person["birth_date"] == pd.Timestamp("1970-01-01")
    assert (person["sex"], person["race_code"]) == ("unknown", "B")


def test_packed_files_and_claims_beside_them(read, tmp_path):
    (tmp_path / "raw").mkdir()
    content = interchange("20240101", member("A1", coverage=covered(begin="20240101")))
    with gzip.open(tmp_path / "raw" / "enrollment.834.gz", "wt", encoding="utf-8") as stream:
        stream.write(content)
    tables = read()
    assert spans(tables) == [("A1", "2024-01-01", "open")]
    assert len(tables.frame("medical_claim")) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: text.index("SE*")], "ends before its last segment"),
        (lambda text: text.replace("SE*", "SE*9"), "holds other numbers of segments"),
        (lambda text: text[:60], "cannot be read"),
    ],
)
def test_a_file_cut_short_is_refused_without_its_name(read, change, message):
    content = interchange("20240101", member("A1", coverage=covered(begin="20240101")))
    with pytest.raises(TableError, match=f"834 file 1 of 1 {message}") as raised:
        read(change(content))
    assert "file0" not in str(raised.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("DTP*007*D8*20240401", "DTP*007*D8*20240431"),
        lambda text: text.replace("BGN*00*1*20240325*", "BGN*00*1*20241325*"),
        lambda text: text.replace("BGN*00*1*20240325*", "BGN*00*1**"),
        lambda text: text.replace("BGN*00*1*20240325*", "BGN*00*1*00010101*"),
    ],
)
def test_a_header_with_a_day_that_is_none_is_refused(read, change):
    segments = member("A1", "030", coverage=covered("030", begin="20240101"))
    content = change(interchange("20240325", segments, action="4", effective="20240401"))
    with pytest.raises(TableError, match=r"(?s)that is no date.*ask the sender") as raised:
        read(content)
    assert not any(day in str(raised.value) for day in ("20240431", "20241325", "file0"))


def test_the_first_day_there_is_means_no_date(read):
    segments = member("A1", coverage=covered(begin="00010101"))
    tables = read(
        interchange("20240101", [*segments, *member("B2", coverage=covered(begin="20240101"))])
    )
    assert fates(tables, "HD") == {"used": 1, "a date that is none": 1}


def zipped(content, *names):
    """Bytes of an archive with a file of each name."""
    with io.BytesIO() as held:
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, content)
        return held.getvalue()


def locked(content):
    """Bytes of an archive whose one file says that it is encrypted."""
    packed = bytearray(zipped(content, "a.834"))
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    packed[packed.index(b"PK\x03\x04") + 6] |= 1
    return bytes(packed)


def flipped(packed, place):
    """Packed bytes with the block type at a place made one that is none."""
    return packed[:place] + bytes([packed[place] | 0b110]) + packed[place + 1 :]


DAMAGED = {
    "a.834.gz": lambda text: flipped(gzip.compress(text, mtime=0), 10),
    "b.834.gz": lambda text: b"no gzip file",
    "c.834.xz": lambda text: b"no xz file",
    "d.834.zip": locked,
    "e.834.zip": lambda text: zipped(text, "a.834")[:80],
    "f.834.zip": lambda text: zipped(text, "a.834", "b.834"),
    "g.834.bz2": lambda text: b"no bzip2 file",
    "h.834.zst": lambda text: b"no zstd file",
    "i.tar.gz": lambda text: gzip.compress(text),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_cannot_be_opened_is_not_passed_over(read, tmp_path, name):
    content = interchange("20240101", member("A1", coverage=covered(begin="20240101")))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).write_bytes(DAMAGED[name](content.encode()))
    with pytest.raises(TableError, match=r"(?s)file [12] of 2 by name.*unpack it") as raised:
        read(content)
    assert ".834" not in str(raised.value)


def test_damage_within_a_packed_file_is_told(read, tmp_path):
    content = interchange("20240101", member("A1", coverage=covered(begin="20240101"))).encode()
    half = gzip.compress(content[200:], mtime=0)
    (tmp_path / "raw").mkdir()
    for later in (flipped(half, 10), half[:-12], b"no gzip file"):
        path = tmp_path / "raw" / "a.834.gz"
        path.write_bytes(gzip.compress(content[:200], mtime=0) + later)
        with pytest.raises(TableError, match=r"(?s)834 file 1 of 1 cannot .*fetch it again"):
            read()


def test_more_closing_segments_than_opening_ones(read):
    content = interchange("20240101", member("A1", coverage=covered(begin="20240101")))
    with pytest.raises(TableError, match="834 file 1 of 1 cannot be read"):
        read(content.replace("GE*1*1~", "GE*1*1~GE*1*1~GE*1*1~"))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.834.bz2", bz2.compress),
        ("a.834.xz", lzma.compress),
        ("a.834.zip", lambda text: zipped(text, "a.834")),
    ],
)
def test_other_packings_are_read(read, tmp_path, name, pack):
    content = interchange("20240101", member("A1", coverage=covered(begin="20240101")))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).write_bytes(pack(content.encode()))
    assert spans(read()) == [("A1", "2024-01-01", "open")]


def test_what_is_missing_in_the_folder(tmp_path, read):
    with pytest.raises(TableError, match="holds no 834 file"):
        read()
    (tmp_path / "raw" / "a.txt").write_text(interchange("20240101", member("A1")))
    (tmp_path / "raw" / "medical_claim.csv").unlink()
    with pytest.raises(TableError, match="lacks the table `medical_claim`: an 834 has no claims"):
        read_tables(tmp_path / "raw", work_dir=tmp_path / "work", source="x12_834")


def test_without_the_extra_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyx12", None)
    with pytest.raises(MissingExtraError, match=r'pip install "calaim-eval\[x12\]"'):
        x12_834._require_pyx12()


# --- statements to spans, against a day-by-day oracle --------------------------------------------

FIRST = date(2024, 1, 1)
N_DAYS = 24
DAYS = range(N_DAYS)


def day(number):
    return FIRST + timedelta(days=number)


@st.composite
def histories(draw):
    """Statements and full files over some days; an open end is None."""
    n_files = draw(st.integers(1, 5))
    full = {
        rank: draw(st.integers(2, N_DAYS - 4)) for rank in range(n_files) if draw(st.booleans())
    }
    statements = []
    for rank in range(n_files):
        for _ in range(draw(st.integers(0, 2))):
            begin = draw(st.integers(0, N_DAYS - 2))
            end = draw(st.none() | st.integers(begin, N_DAYS - 2))
            action = draw(st.sampled_from(["021", "001", "024", "025", "030", "002"]))
            if action == "024":
                end = draw(st.integers(0, N_DAYS - 2))
                begin = draw(st.none() | st.just(begin))
            if action == "002":
                begin = draw(st.none() | st.just(begin))
            statements.append((rank, action, begin, end))
    return statements, full


def days_covered(statements, full):
    """Days covered, by the rules in words and day by day."""
    covered_days = set()
    for rank in sorted({*full, *(each[0] for each in statements)}):
        own = [each for each in statements if each[0] == rank]
        if rank not in full:
            for _, action, begin, end in own:
                covered_days = applied(covered_days, action, begin, end)
            continue
        for _, action, begin, end in own:
            if action == "002" or (action == "024" and (begin is None or begin > end)):
                covered_days = applied(covered_days, action, begin, end)
        told = [(b, N_DAYS if e is None else e) for _, a, b, e in own if a != "002"]
        told = [(b, e) for b, e in told if b is not None and b <= e]
        first = min((b for b, _ in told), default=full[rank])
        # A member with nothing but cancellations is there, and keeps its days until the first.
        if told or all(action == "002" for _, action, _, _ in own):
            covered_days = {d for d in covered_days if d < first}
        for b, e in told:
            covered_days |= set(range(b, e + 1))
    return {d for d in covered_days if d < N_DAYS}


def applied(covered_days, action, begin, end):
    """Days covered after one statement of a file of changes; day `N_DAYS` stands for later."""
    last = N_DAYS if end is None else end
    if action == "002":
        first = -1 if begin is None else begin
        return {d for d in covered_days if not first <= d <= last}
    if action == "024":
        if begin is not None and begin <= last and begin not in covered_days:
            covered_days = applied(covered_days, "021", begin, end)
        return {d for d in covered_days if d <= last}
    beyond = set()
    if last in covered_days:
        following = last + 1
        while following in covered_days:
            beyond.add(following)
            following += 1
    return (covered_days - beyond) | set(range(begin, last + 1))


@given(histories())
@settings(max_examples=200, deadline=None)
def test_spans_cover_the_days_the_rules_say(history):
    statements, full = history
    own = [
        Statement(rank, action, None if b is None else day(b), None if e is None else day(e))
        for rank, action, b, e in statements
    ]
    found = spans_of(own, [FullFile(rank, day(at)) for rank, at in full.items()])
    listed = [d for d in DAYS for span in found if span.begin <= day(d) <= span.end]
    assert len(listed) == len(set(listed))
    assert set(listed) == days_covered(statements, full)


def test_a_deletion_takes_back_the_days_from_its_first_to_its_last():
    added = Statement(0, "021", day(0), day(20))
    taken = Statement(1, "002", day(5), day(9))
    assert [(s.begin, s.end) for s in spans_of([added, taken], [])] == [
        (day(0), day(4)),
        (day(10), day(20)),
    ]


@pytest.mark.parametrize(("last", "expected"), [(3, 3), (12, 12)])
def test_a_cancellation_in_a_full_file_ends_coverage_on_its_day(last, expected):
    added = Statement(0, "021", day(0), None)
    ended = Statement(1, "024", None, day(last))
    found = spans_of([added, ended], [FullFile(1, day(8))])
    assert [(s.begin, s.end) for s in found] == [(day(0), day(expected))]


def test_a_change_beside_a_cancellation_in_a_full_file_is_not_newly_recorded():
    added = Statement(0, "021", day(0), None, recorded=day(1))
    ended = Statement(1, "024", None, day(7), recorded=day(9))
    audit = Statement(1, "030", day(8), None, recorded=day(9))
    found = spans_of([added, ended, audit], [FullFile(1, day(8))])
    assert {s.recorded for s in found} == {day(1)}
    assert [(s.begin, s.end) for s in found] == [(day(0), day(7)), (day(8), date.max)]


def test_days_covered_already_keep_the_day_they_were_recorded():
    first = Statement(0, "021", day(5), day(9), recorded=day(1))
    wider = Statement(1, "001", day(0), day(12), recorded=day(20))
    found = [(s.begin, s.end, s.recorded) for s in spans_of([first, wider], [])]
    assert found == [
        (day(0), day(4), day(20)),
        (day(5), day(9), day(1)),
        (day(10), day(12), day(20)),
    ]


# --- third-party samples -------------------------------------------------------------------------


@pytest.mark.shared
def test_third_party_samples(shared, tmp_path):
    samples = shared / "reference" / "integration" / "data" / "x12_pyx12_samples"
    if not samples.is_dir():
        pytest.skip("../shared has no 834 samples")
    folder = tmp_path / "raw"
    folder.mkdir()
    counts = {"INS": 0, "HD": 0}
    for path in samples.glob("*834*.txt"):
        text = path.read_text(encoding="utf-8")
        (folder / path.name).write_text(text, encoding="utf-8")
        for segment in text.split("~"):
            for kind in counts:
                counts[kind] += segment.strip().startswith(f"{kind}*")
    (folder / "medical_claim.csv").write_text(CLAIMS.replace("A1", "M000001"), encoding="utf-8")
    tables = read_tables(folder, work_dir=tmp_path / "work", source="x12_834")
    assert sum(fates(tables, "INS").values()) == counts["INS"] == len(tables.frame("person"))
    assert sum(fates(tables, "HD").values()) == counts["HD"] == len(tables.frame("eligibility"))
    # Read off the files by eye: one open addition, one audit, two terminations, one of a family.
    assert spans(tables) == [
        ("00389999", "2015-03-01", "open"),
        ("M000001", "2026-04-01", "open"),
        ("M000002", "2026-04-01", "open"),
        ("M000010", "2021-01-01", "2026-03-31"),
        ("M000011", "2021-06-01", "2026-03-31"),
    ]
