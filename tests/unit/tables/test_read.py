import json
import shutil

import pandas as pd
import pytest

from calaim_eval.errors import OutputError, TableError
from calaim_eval.tables import open_tables, passes, read_tables
from calaim_eval.tables import read as reading

MEMBERS = [f"m{i}" for i in range(30)]
SPANS = pd.DataFrame(
    {
        "member_id": MEMBERS,
        "enrollment_start_date": "2022-01-01",
        "enrollment_end_date": "2022-12-31",
    }
)
PERSONS = pd.DataFrame({"member_id": MEMBERS, "birth_date": "1990-01-01"})
CLAIMS = pd.DataFrame(
    {
        "claim_id": [f"c{i}" for i in range(60)],
        "claim_line_number": 1,
        "claim_type": "professional",
        "member_id": MEMBERS * 2,
        "claim_start_date": "2022-02-02",
        "paid_amount": 10.0,
    }
)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    SPANS.to_csv(folder / "eligibility.csv", index=False)
    PERSONS.to_parquet(folder / "person.parquet")
    CLAIMS.to_csv(folder / "medical_claim.csv.gz", index=False)
    return folder


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


def content(tables):
    return {name: tables.frame(name) for name in tables.names}


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        order = list(one[name].columns)
        pd.testing.assert_frame_equal(
            one[name].sort_values(order, ignore_index=True),
            other[name].sort_values(order, ignore_index=True),
        )


def test_every_kind_of_file_gives_the_same_tables(raw, work, tmp_path):
    first = content(read_tables(raw, work_dir=work))
    other = tmp_path / "other"
    (other / "medical_claim").mkdir(parents=True)
    SPANS.to_parquet(other / "eligibility.parquet")
    PERSONS.to_csv(other / "person.csv", index=False, sep="|")
    CLAIMS.iloc[:10].to_parquet(other / "medical_claim" / "part-0.parquet")
    CLAIMS.iloc[10:].to_parquet(other / "medical_claim" / "part-1.parquet")
    same(first, content(read_tables(other, work_dir=tmp_path / "w2", n_buckets=4)))


def test_a_quote_that_first_occurs_late_and_line_breaks_are_read(raw, work):
    plans = ["plain"] * 29 + ['a "quoted", plan\nwith a break']
    SPANS.assign(plan=plans).to_csv(raw / "eligibility.csv", index=False)
    assert set(read_tables(raw, work_dir=work).frame("eligibility")["plan"]) == set(plans)


def test_manifest_tells_files_options_and_ledger(raw, work):
    tables = read_tables(raw, work_dir=work, n_buckets=2, extract_date="2023-06-30")
    manifest = json.loads((work / "manifest.json").read_text(encoding="utf-8"))
    assert {each["file"] for each in manifest["files"]} == {
        "eligibility.csv",
        "person.parquet",
        "medical_claim.csv.gz",
    }
    assert all(len(each["sha256"]) == 64 for each in manifest["files"])
    assert manifest["options"]["extract_date"] == "2023-06-30"
    assert manifest["ledger"] == tables.ledger.to_frame().to_dict("records")
    assert sorted(path.name for path in work.iterdir() if path.name != ".lock") == [
        "eligibility",
        "manifest.json",
        "medical_claim",
        "person",
    ]


def test_unchanged_input_is_not_read_again(raw, work, monkeypatch):
    first = read_tables(raw, work_dir=work)
    monkeypatch.setattr(reading, "stage_all", None)
    again = read_tables(raw, work_dir=work)
    same(content(first), content(again))
    pd.testing.assert_frame_equal(first.ledger.to_frame(), again.ledger.to_frame())
    same(content(first), content(open_tables(work)))


def test_changed_input_or_options_are_read_again(raw, work):
    read_tables(raw, work_dir=work)
    SPANS.iloc[:20].to_csv(raw / "eligibility.csv", index=False)
    assert len(read_tables(raw, work_dir=work).frame("eligibility")) == 20
    assert read_tables(raw, work_dir=work, n_buckets=3).n_buckets == 3


def test_touched_but_unchanged_files_are_not_read_again(raw, work, monkeypatch):
    read_tables(raw, work_dir=work)
    (raw / "eligibility.csv").touch()
    monkeypatch.setattr(reading, "stage_all", None)
    read_tables(raw, work_dir=work)


def test_a_table_that_is_gone_leaves_no_parts(raw, work):
    pd.DataFrame(
        {"member_id": ["m1"], "booking_date": ["2022-03-01"], "release_date": [None]}
    ).to_csv(raw / "custody.csv", index=False)
    assert read_tables(raw, work_dir=work).has("custody")
    (raw / "custody.csv").unlink()
    assert not read_tables(raw, work_dir=work).has("custody")
    assert not (work / "custody").exists()


def test_a_killed_reading_goes_on_where_it_stopped(raw, work, monkeypatch):
    settle = passes.settle_bucket
    done = []

    def settle_some(staged, **options):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(1)
        return settle(staged, **options)

    monkeypatch.setattr(passes, "settle_bucket", settle_some)
    with pytest.raises(KeyboardInterrupt):
        read_tables(raw, work_dir=work, n_buckets=5)
    assert not (work / "manifest.json").exists()
    resumed = []
    monkeypatch.setattr(
        passes, "settle_bucket", lambda staged, **o: (resumed.append(1), settle(staged, **o))[1]
    )
    monkeypatch.setattr(passes, "_stage_one", None)
    tables = read_tables(raw, work_dir=work, n_buckets=5)
    assert len(resumed) == 6 - 3  # one step for tables without members, five buckets
    assert len(tables.frame("medical_claim")) == 60
    assert not (work / ".reading").exists()


def test_a_reading_killed_while_it_is_put_in_place_is_finished_by_the_next(raw, work, monkeypatch):
    first = content(read_tables(raw, work_dir=work, n_buckets=2))
    write_json = reading.write_json

    def killed(content, path):
        raise KeyboardInterrupt

    SPANS.iloc[:20].to_csv(raw / "eligibility.csv", index=False)
    monkeypatch.setattr(reading, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        read_tables(raw, work_dir=work, n_buckets=2)
    monkeypatch.setattr(reading, "write_json", write_json)
    again = content(read_tables(raw, work_dir=work, n_buckets=2))
    assert len(again["eligibility"]) == 20
    assert len(first["eligibility"]) == 30
    assert len(again["medical_claim"]) == 40


def test_a_failed_reading_leaves_the_earlier_one(raw, work):
    first = content(read_tables(raw, work_dir=work))
    SPANS.assign(enrollment_start_date="soon").to_csv(raw / "eligibility.csv", index=False)
    with pytest.raises(TableError, match=r"not read as date in 30 of 30 .*eligibility.csv"):
        read_tables(raw, work_dir=work)
    same(first, content(open_tables(work)))


def test_rename(raw, work):
    SPANS.rename(columns={"member_id": "CIN"}).to_csv(raw / "eligibility.csv", index=False)
    with pytest.raises(TableError, match=r"lacks column `member_id` \(file eligibility.csv\)"):
        read_tables(raw, work_dir=work)
    tables = read_tables(raw, work_dir=work, rename={"eligibility": {"CIN": "member_id"}})
    assert set(tables.frame("eligibility")["member_id"]) == set(MEMBERS)
    with pytest.raises(TableError, match=r"rename: no table is named `enrollment`.*\n.*`person`"):
        read_tables(raw, work_dir=work, rename={"enrollment": {"a": "b"}})


def test_extract_date_sets_later_rows_aside(raw, work):
    dates = ["2022-02-02"] * 50 + ["2023-02-02"] * 10
    CLAIMS.assign(claim_start_date=dates).to_csv(raw / "medical_claim.csv.gz", index=False)
    tables = read_tables(raw, work_dir=work, extract_date="2022-06-30")
    counts = tables.ledger.to_frame().set_index(["table", "reason"])["n_rows"].to_dict()
    late = "`claim_start_date` is before 1900 or after the extract date"
    assert counts["medical_claim", late] == 10
    assert counts["medical_claim", "used"] == 50
    assert len(read_tables(raw, work_dir=work).frame("medical_claim")) == 60


def test_values_a_row_can_do_without_are_read_as_missing_and_noted(raw, work):
    claims = CLAIMS.assign(
        paid_amount=["x"] * 2 + ["1"] * 58, paid_date=["2022-03-03"] * 57 + ["1022-01-01"] * 3
    )
    claims.to_csv(raw / "medical_claim.csv.gz", index=False)
    tables = read_tables(raw, work_dir=work)
    notes = tables.ledger.to_frame().query("stage == 'notice'")
    assert notes[["reason", "n_rows"]].values.tolist() == [
        ["`paid_date` is an impossible date (read as missing)", 3],
        ["`paid_amount` cannot be read as a number (read as missing)", 2],
    ]
    frame = tables.frame("medical_claim")
    assert len(frame) == 60
    assert frame[["paid_date", "paid_amount"]].isna().sum().tolist() == [3, 2]


def test_damaged_parquet_names_the_file(raw, work):
    path = raw / "person.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TableError, match=r"`person.parquet` is not a whole parquet file"):
        read_tables(raw, work_dir=work)


def test_damage_inside_a_parquet_file_names_the_table(raw, work):
    path = raw / "person.parquet"
    whole = bytearray(path.read_bytes())
    whole[4:200] = b"\x00" * 196
    path.write_bytes(bytes(whole))
    with pytest.raises(TableError, match=r"file person.parquet\): the file cannot be read"):
        read_tables(raw, work_dir=work)


def test_cut_short_gzip_names_the_file(raw, work):
    path = raw / "medical_claim.csv.gz"
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(TableError, match=r"medical_claim.csv.gz.* cannot be read"):
        read_tables(raw, work_dir=work)


def test_a_line_with_too_many_cells_is_named_and_not_shown(raw, work):
    path = raw / "eligibility.csv"
    path.write_text(path.read_text(encoding="utf-8") + "SECRET,1,2,3,4\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"file eligibility.csv\): .* at line 32") as caught:
        read_tables(raw, work_dir=work)
    assert "SECRET" not in str(caught.value)


def test_text_without_header_or_with_a_name_twice(raw, work):
    (raw / "eligibility.csv").write_text("", encoding="utf-8")
    with pytest.raises(TableError, match=r"`eligibility.csv` has no header"):
        read_tables(raw, work_dir=work)
    (raw / "eligibility.csv").write_text("member_id,member_id\n1,1\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"more than one column `member_id`"):
        read_tables(raw, work_dir=work)


def test_text_that_is_not_utf_8(raw, work):
    (raw / "eligibility.csv").write_bytes("member_id,plan\u00e9\n".encode("latin-1"))
    with pytest.raises(TableError, match=r"`eligibility.csv` cannot be read \(UnicodeDecodeError"):
        read_tables(raw, work_dir=work)


def test_header_with_a_byte_order_mark_and_windows_line_ends(raw, work):
    text = SPANS.to_csv(index=False, lineterminator="\r\n")
    (raw / "eligibility.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert set(read_tables(raw, work_dir=work).frame("eligibility")["member_id"]) == set(MEMBERS)


def test_text_parts_may_have_different_columns(raw, work):
    (raw / "medical_claim.csv.gz").unlink()
    (raw / "medical_claim").mkdir()
    CLAIMS.iloc[:40].to_csv(raw / "medical_claim" / "a.csv", index=False)
    reordered = CLAIMS.iloc[40:].drop(columns="paid_amount")[CLAIMS.columns[-2::-1]]
    reordered.to_csv(raw / "medical_claim" / "b.csv", index=False)
    frame = read_tables(raw, work_dir=work).frame("medical_claim")
    assert set(frame["claim_id"]) == set(CLAIMS["claim_id"])
    assert frame["paid_amount"].isna().sum() == 20


def test_missing_table_lists_what_is_there(raw, work):
    (raw / "medical_claim.csv.gz").rename(raw / "claims.csv.gz")
    with pytest.raises(TableError, match=r"lacks the table `medical_claim`; it holds `cl"):
        read_tables(raw, work_dir=work)
    with pytest.raises(TableError, match=r"input folder .* does not exist"):
        read_tables(raw / "nowhere", work_dir=work)


def test_the_same_table_twice(raw, work):
    SPANS.to_parquet(raw / "eligibility.parquet")
    with pytest.raises(TableError, match="table `eligibility` is there more than once"):
        read_tables(raw, work_dir=work)


def test_none_of_the_rows_can_be_used(raw, work):
    SPANS.assign(enrollment_end_date="2021-01-01").to_csv(raw / "eligibility.csv", index=False)
    with pytest.raises(TableError, match=r"none of its 30 rows can be used; in 30, `enr"):
        read_tables(raw, work_dir=work)


def test_absent_optional_tables_are_logged(raw, work, caplog):
    read_tables(raw, work_dir=work)
    assert "optional tables not given: `pharmacy_claim`" in caplog.text
    assert "m1" not in caplog.text


def test_work_folder_that_cannot_be_written(raw, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot"):
        read_tables(raw, work_dir=tmp_path / "file" / "work")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "omop"}, "Allowed: 'calaim', 'synthea'"),
        ({"n_buckets": 0}, "`n_buckets` is 0"),
    ],
)
def test_options_that_cannot_be_meant(raw, work, options, message):
    with pytest.raises(TableError, match=message):
        read_tables(raw, work_dir=work, **options)


def test_no_finished_reading(raw, work):
    with pytest.raises(TableError, match="holds no finished reading"):
        open_tables(work)
    tables = read_tables(raw, work_dir=work)
    shutil.rmtree(tables.folder / "person")
    with pytest.raises(TableError, match="holds no finished reading"):
        open_tables(work)
