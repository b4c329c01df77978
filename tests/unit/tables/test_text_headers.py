"""Headers as programs write them: other cases in other parts, names left out, breaks in names."""

from __future__ import annotations

import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables import read_tables

SPANS = "member_id,enrollment_start_date,enrollment_end_date\nm1,2022-01-01,2022-12-31\n"
HEADER = "claim_id,claim_line_number,claim_type,member_id,claim_start_date,plan\n"


def claims(tmp_path, parts, **options):
    raw = tmp_path / "raw"
    (raw / "medical_claim").mkdir(parents=True)
    (raw / "eligibility.csv").write_text(SPANS)
    (raw / "person.csv").write_text("member_id,birth_date\nm1,1990-01-01\n")
    for number, text in enumerate(parts):
        (raw / "medical_claim" / f"{number}.csv").write_bytes(
            text.encode() if isinstance(text, str) else text
        )
    frame = read_tables(raw, work_dir=tmp_path / "work", **options).frame("medical_claim")
    return frame.sort_values("claim_id", ignore_index=True)


def test_parts_with_other_cases_orders_delimiters_and_columns_are_one_table(tmp_path):
    parts = [
        HEADER + "c1,1,dental,m1,2022-02-01,A\n",
        HEADER.upper() + "c2,1,dental,m1,2022-02-02,B\n",
        "Plan;MEMBER_ID;claim_start_date;claim_type;claim_line_number;claim_id;extra\r\n"
        "C;m1;2022-02-03;dental;1;c3;x\r\n",
        HEADER.replace(",plan", "") + "c4,1,dental,m1,2022-02-04\n",
    ]
    frame = claims(tmp_path, parts)
    assert frame["claim_id"].tolist() == ["c1", "c2", "c3", "c4"]
    assert frame["plan"].tolist()[:3] == ["A", "B", "C"]
    assert frame["plan"].isna().tolist() == [False, False, False, True]


@pytest.mark.parametrize("tail", [",", ",,", ", ,"])
def test_delimiters_at_the_end_of_each_line_make_columns_without_a_name(tmp_path, tail):
    text = HEADER.replace("\n", f"{tail}\n") + f"c1,1,dental,m1,2022-02-01,A{tail}\n"
    assert claims(tmp_path, [text])["plan"].tolist() == ["A"]


def test_a_name_that_two_columns_have_in_other_cases_is_told(tmp_path):
    text = HEADER.replace("plan", "plan,PLAN") + "c1,1,dental,m1,2022-02-01,A,B\n"
    with pytest.raises(TableError, match="has more than one column `plan`"):
        claims(tmp_path, [text])


@pytest.mark.parametrize("rename", [None, {"medical_claim": {"memberid": "member_id"}}])
def test_a_first_line_that_is_a_row_is_not_shown(tmp_path, rename):
    row = "c1,1,dental,m1,2022-02-01,2022-02-01\n"
    with pytest.raises(TableError, match=r"columns 5 and 6|first line names") as raised:
        claims(tmp_path, [row], rename=rename)
    with pytest.raises(TableError, match="first line names the columns") as of_others:
        claims(tmp_path / "b", [row.replace("2022-02-01\n", "A\n")], rename=rename)
    for message in (str(raised.value), str(of_others.value)):
        assert "m1" not in message
        assert "2022" not in message


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_name_with_a_line_break_can_be_renamed(tmp_path, end):
    header = HEADER.replace("claim_type,member_id", '"claim_type","Member, his' + end + 'number"')
    text = header.replace("number\n", f"number{end}") + f"c1,1,dental,m1,2022-02-01,A{end}"
    text = text.replace(f",plan{chr(10)}", f",plan{end}")
    frame = claims(
        tmp_path, [text], rename={"medical_claim": {f"Member, his{end}number": "member_id"}}
    )
    assert frame["member_id"].tolist() == ["m1"]


def test_numbers_with_a_decimal_comma_are_refused_with_the_way_they_are_read(tmp_path):
    header = HEADER.replace("plan", "paid_amount").replace(",", ";")
    text = header + "c1;1;dental;m1;2022-02-01;12,50\nc2;1;dental;m1;2022-02-01;1.234,56\n"
    with pytest.raises(TableError, match=r"(?s)2 of 2 rows .*have a decimal point") as raised:
        claims(tmp_path, [text])
    assert "12,50" not in str(raised.value)


LINES = "".join(f"c{i},1,dental,m1,2022-02-01,A\n" for i in range(3000))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ((HEADER + LINES + "x,1,dental,m1,2022-02-01,Peña\n").encode("latin-1"), "not UTF-8"),
        ((HEADER + "x,1,dental,m1,2022-02-01,Peña\n").encode("latin-1"), "not UTF-8"),
        (HEADER + "x,1,dental,m1,2022-02-01,Peña,Ruiz\n", "more or fewer cells than the header"),
        (HEADER + "x,1,dental,m1,2022-02-01\n", "more or fewer cells than the header"),
        (HEADER + 'x,1,dental,m1,2022-02-01,"Peña\ny,1,dental,m1,2022-02-01,B\n', "not closed"),
        (HEADER + "x,1,dental,m1,2022-02-01,Peña\r\n", "do not all end alike"),
    ],
)
def test_why_a_file_cannot_be_read_is_told_without_its_values(tmp_path, text, cause):
    with pytest.raises(TableError, match=cause) as raised:
        claims(tmp_path, [text])
    assert "Pe" not in str(raised.value)
