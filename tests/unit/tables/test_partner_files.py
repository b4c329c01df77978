"""Partners' files beside the files of a study, and alone."""

import pandas as pd
import pytest

import calaim_eval as ce
from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import USED

from .hmis_files import basic, write_hmis

SPANS = pd.DataFrame(
    {
        "member_id": ["m1", "m2"],
        "enrollment_start_date": "2022-01-01",
        "enrollment_end_date": "2024-12-31",
    }
)
CLAIMS = pd.DataFrame(
    {
        "claim_id": ["c1"],
        "claim_line_number": 1,
        "claim_type": "professional",
        "member_id": "m1",
        "claim_start_date": "2022-02-02",
    }
)
REFERRALS = pd.DataFrame(
    {
        "ref_no": ["r1"],
        "member_id": "m2",
        "service": "ecm",
        "referred_date": pd.to_datetime(["2023-05-01"]),
    }
)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    SPANS.to_csv(folder / "eligibility.csv", index=False)
    pd.DataFrame({"member_id": ["m1", "m2"], "birth_date": "1990-01-01"}).to_csv(
        folder / "person.csv", index=False
    )
    CLAIMS.to_csv(folder / "medical_claim.csv", index=False)
    REFERRALS.to_parquet(folder / "referral.parquet")
    return folder


@pytest.fixture
def hmis(tmp_path):
    folder = write_hmis(tmp_path / "hmis", basic())
    (folder / "member_link.csv").write_text("source_person_id,member_id\na,m1\n", encoding="utf-8")
    (folder / "service_map.csv").write_text(
        "kind,code,service\nproject,p2,housing_deposits\n", encoding="utf-8"
    )
    return folder


def read(raw, hmis, tmp_path):
    return ce.read_tables(
        raw,
        work_dir=tmp_path / "work",
        rename={"referral": {"ref_no": "referral_id"}},
        partners={"hmis": hmis},
    )


def test_linked_persons_are_kept_and_others_counted(raw, hmis, tmp_path):
    tables = read(raw, hmis, tmp_path)
    assert tables.frame("homeless_person")["member_id"].tolist() == ["m1"]
    assert set(tables.frame("homeless_enrollment")["homeless_enrollment_id"]) == {
        "hmis:I1:1",
        "hmis:I1:2",
    }
    ledger = tables.ledger
    assert ledger.used("homeless_enrollment", stage="read") == 2
    frame = ledger.to_frame().set_index(["table", "reason"])["n_rows"]
    without = "person of the hmis files without a link to a member"
    assert frame["homeless_enrollment", without] == 1
    assert frame["homeless_person", without] == 1
    assert frame["hmis Enrollment", USED] == 3
    # Persons a plan does not know are no fault of its files.
    assert ("homeless_enrollment", "member not in `eligibility`") not in frame.index


def test_rows_of_a_table_that_both_have_come_together(raw, hmis, tmp_path):
    rows = read(raw, hmis, tmp_path).frame("referral").set_index("referral_id")
    assert rows["service"].to_dict() == {"r1": "ecm", "hmis:I1:enrollment:2": "housing_deposits"}
    assert pd.Timestamp(rows.loc["r1", "referred_date"]) == pd.Timestamp("2023-05-01")
    assert pd.Timestamp(rows.loc["hmis:I1:enrollment:2", "referred_date"]) == pd.Timestamp(
        "2023-03-01"
    )


def test_a_changed_file_of_a_partner_is_read_again_and_an_unchanged_one_is_not(raw, hmis, tmp_path):
    first = read(raw, hmis, tmp_path)
    again = read(raw, hmis, tmp_path)
    assert again.manifest["fingerprint"] == first.manifest["fingerprint"]
    (hmis / "member_link.csv").write_text(
        "source_person_id,member_id\na,m1\nb,m2\n", encoding="utf-8"
    )
    assert len(read(raw, hmis, tmp_path).frame("homeless_person")) == 2
    assert "hmis" not in str(sorted(each["file"] for each in first.manifest["files"]))


def test_without_any_link_a_study_has_organizations_only(raw, hmis, tmp_path):
    (hmis / "member_link.csv").unlink()
    tables = read(raw, hmis, tmp_path)
    assert {"organization", "homeless_project"} <= set(tables.names)
    assert not {"homeless_person", "homeless_enrollment", "race_record"} & set(tables.names)
    assert len(tables.frame("referral")) == 1


def test_saved_tables_can_lie_beside_the_files_of_a_study(raw, hmis, tmp_path):
    found = ce.read_partner_files(hmis, source="hmis")
    saved = found.save(tmp_path / "as_tables")
    (saved / "homeless_enrollment.parquet").rename(raw / "homeless_enrollment.parquet")
    tables = ce.read_tables(
        raw,
        work_dir=tmp_path / "work",
        rename={"referral": {"ref_no": "referral_id"}},
    )
    assert len(tables.frame("homeless_enrollment")) == 2


def test_an_unknown_format_or_folder_says_what_there_is(raw, tmp_path):
    with pytest.raises(TableError, match="Allowed: 'hmis'"):
        ce.read_partner_files(raw, source="hmiss")
    with pytest.raises(TableError, match="does not exist"):
        ce.read_tables(raw, work_dir=tmp_path / "work", partners={"hmis": tmp_path / "nowhere"})


def test_an_empty_folder_of_a_partner_says_what_is_not_there(raw, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(TableError, match="holds no HMIS export"):
        read(raw, tmp_path / "empty", tmp_path)


def test_a_table_without_rows_is_named_with_those_there_are(hmis):
    found = ce.read_partner_files(hmis, source="hmis")
    with pytest.raises(TableError, match="no rows of `resource`"):
        found.frame("resource")
    assert "hmis FY2026" in repr(found)
    assert "I1" not in repr(found)
