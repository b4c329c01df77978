"""`check` and `run`: exit codes, what stops, what an accepted finding does, what is released."""

from __future__ import annotations

import json
import sys

import pytest
from clean_tables import MEMBERS, clean_frames, put

from calaim_eval import cli
from calaim_eval.disclosure import release
from calaim_eval.errors import CalaimEvalError, QualityError, StudyFileError, TableError
from calaim_eval.pipeline import check_study, release_quarter, require_quality
from calaim_eval.pipeline.check import require_no_stop, stop_on_record
from calaim_eval.pipeline.panel import read_study_tables
from calaim_eval.pipeline.quality_results import band, quality_results
from calaim_eval.report import tables as shown
from calaim_eval.report.numbers import SUPPRESSED_MARK
from calaim_eval.study import init_study, read_study


def write_study(folder, frames, extra: str = "") -> str:
    """A study of frames, 2022, with further lines in its [quality] section."""
    path = init_study(folder)
    for name, frame in frames.items():
        frame.to_csv(folder / "raw" / f"{name}.csv", index=False)
    text = path.read_text(encoding="utf-8")
    text = text.replace('"2021-01"', '"2022-01"').replace('"2024-12"', '"2022-12"')
    text = text.replace("2025-06-30", "2023-06-30")
    path.write_text(text.replace("[quality]\n", f"[quality]\n{extra}\n"), encoding="utf-8")
    return str(path)


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["calaim-eval", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def broken_frames():
    """Two of three claims outside coverage: the study must not run."""
    frames = clean_frames()
    for row in range(len(MEMBERS)):
        put(frames, "eligibility", row, enrollment_end_date="2022-02-28")
    return frames


ACCEPT = '[quality.accepted]\nclaims_outside_coverage = "known, agreed 2024-11-02"\n'


def test_clean_data_leave_with_0(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, "check", write_study(tmp_path, clean_frames())) == 0
    shown = capsys.readouterr().out
    assert "Data quality: Nothing was found that needs attention." in shown
    assert "Next: calaim-eval panel" in shown
    assert (tmp_path / "restricted" / "quality" / "quality.html").is_file()


def test_a_warning_alone_leaves_the_exit_code_as_it_is(monkeypatch, capsys, tmp_path):
    frames = clean_frames()
    put(frames, "person", 0, race_code="unknown")
    assert run(monkeypatch, "check", write_study(tmp_path, frames)) == 0
    content = json.loads((tmp_path / "restricted/quality/quality.json").read_text("utf-8"))
    assert content["verdict"]["level"] == "warn"
    assert "warning race_unknown in person: 1-10 members" in capsys.readouterr().out


def test_rows_set_aside_leave_with_3(monkeypatch, capsys, tmp_path):
    frames = clean_frames()
    put(frames, "medical_claim", 0, claim_end_date="2022-01-09")
    assert run(monkeypatch, "check", write_study(tmp_path, frames)) == cli.FINDINGS_EXIT_CODE
    assert "warning dates_out_of_order in medical_claim: 1-10 rows" in capsys.readouterr().out


def test_a_finding_that_stops_leaves_with_18_and_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    study = write_study(tmp_path, broken_frames())
    assert run(monkeypatch, "check", study, "--exact") == QualityError.exit_code == 18
    shown = capsys.readouterr()
    assert "STOP    claims_outside_coverage in medical_claim: 44 lines" in shown.out
    assert "[quality.accepted]" in shown.err
    assert "quality.html" in shown.err
    assert not any(member in shown.out + shown.err for member in MEMBERS)
    content = json.loads((tmp_path / "restricted/quality/quality.json").read_text("utf-8"))
    assert content["verdict"]["level"] == "stop"
    assert run(monkeypatch, "run", study, "--quarter", "2022Q4") == QualityError.exit_code
    assert "Building the member-month panel" not in capsys.readouterr().err


def test_an_accepted_finding_lets_the_study_run_and_is_released_with_its_reason(tmp_path):
    study = read_study(write_study(tmp_path, broken_frames(), ACCEPT))
    tables = read_study_tables(study)
    require_quality(study, tables)
    report = check_study(study, tables).report
    results = quality_results(report)
    released = release(results, policy="calhhs_ddg_2")
    notes = released.tables["data_quality"].meta["notes"]
    assert any("known, agreed 2024-11-02" in note for note in notes)


def test_a_check_of_the_same_files_is_not_done_again(tmp_path, monkeypatch):
    study = read_study(write_study(tmp_path, broken_frames()))
    tables = read_study_tables(study)
    check_study(study, tables)

    def again(*_: object, **__: object) -> None:
        raise AssertionError("checked again")

    monkeypatch.setattr("calaim_eval.pipeline.check.check_quality", again)
    with pytest.raises(QualityError, match="claims_outside_coverage"):
        require_quality(study, tables)
    path = tmp_path / "study.toml"
    path.write_text(path.read_text("utf-8") + "\n# changed\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="checked again"):
        require_quality(read_study(path), tables)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('[quality.accepted]\nclaim_outside_coverage = "x"\n', "did you mean `claims_outside"),
        ('[quality.accepted]\nclaims_outside_coverage = " "\n', "say why the finding is accepted"),
        ("[quality.warn_above]\nrace_unknown = 1.5\n", "less than or equal to 1"),
        ("drop_shar = 0.3\n", "did you mean `drop_share`?"),
    ],
)
def test_the_study_file_says_what_is_wrong_with_the_section(tmp_path, lines, said):
    path = write_study(tmp_path, {}, lines)
    with pytest.raises(StudyFileError, match=said):
        read_study(path)


def test_the_exit_code_is_its_own():
    from calaim_eval.report import ReportError

    assert issubclass(ReportError, CalaimEvalError)
    codes = {c.exit_code for c in CalaimEvalError.__subclasses__() if c is not QualityError}
    assert QualityError.exit_code not in {*codes, cli.FINDINGS_EXIT_CODE, cli.UNEXPECTED_EXIT_CODE}


def test_counts_are_released_with_support_and_shares_as_bands(tmp_path):
    frames = clean_frames()
    frames["medical_claim"]["diagnosis_code_1"] = None
    put(frames, "person", 0, race_code="unknown")
    study = read_study(write_study(tmp_path, frames))
    results = quality_results(check_study(study).report)
    table = results["data_quality"]
    assert table.keys["finding"].tolist() == ["diagnoses_missing"]
    assert (table.numerator.tolist(), table.n_members.tolist()) == ([52.0], [4.0])
    # Four members: neither the count nor its share may be shown.
    assert table.keys["share"].tolist() == ["share not stated"]
    everything = release(results, policy="calhhs_ddg_2")
    html = shown.quality_table(everything).to_html()
    assert f">{SUPPRESSED_MARK}<" in html
    assert ">52<" not in html
    assert "Race and ethnicity are missing" in shown.quality_notes(everything)
    released = everything.tables["data_quality"]
    assert released.frame["is_suppressed"].tolist() == [True]
    assert released.frame["numerator"].isna().all()
    (note,) = released.meta["notes"]
    assert note == "Race and ethnicity are missing or unknown (person): share not stated; warning."


def test_bands():
    assert [band(x) for x in (0.0, 0.01, 0.0999, 0.25, 0.5, 1.0)] == [
        "under 1%",
        "1% to 5%",
        "5% to 10%",
        "25% to 50%",
        "over 50%",
        "over 50%",
    ]


def stopped_study(folder, extra: str = ""):
    """A study whose check, done, stops it."""
    study = read_study(write_study(folder, broken_frames(), extra))
    check_study(study)
    return study


def test_release_refuses_while_a_finding_stops(monkeypatch, capsys, tmp_path):
    study = stopped_study(tmp_path)
    with pytest.raises(QualityError, match="`claims_outside_coverage`"):
        release_quarter(study, "2022Q4")
    path = str(tmp_path / "study.toml")
    code = run(monkeypatch, "release", path, "--quarter", "2022Q4")
    assert code == QualityError.exit_code
    assert "[quality.accepted]" in capsys.readouterr().err
    assert not (tmp_path / "release").exists() or not any((tmp_path / "release").iterdir())


def test_a_stop_stays_when_the_study_file_changes_until_it_is_checked_again(tmp_path):
    stopped_study(tmp_path)
    path = tmp_path / "study.toml"
    path.write_text(path.read_text("utf-8") + "\n# changed\n", encoding="utf-8")
    changed = read_study(path)
    with pytest.raises(QualityError, match="check again: calaim-eval check"):
        require_no_stop(changed)
    text = path.read_text("utf-8").replace("[quality]\n", f"[quality]\n{ACCEPT}", 1)
    path.write_text(text, encoding="utf-8")
    require_no_stop(read_study(path))


def test_a_stop_of_other_input_files_says_nothing_of_these(tmp_path):
    study = stopped_study(tmp_path)
    mended = clean_frames()
    mended["eligibility"].to_csv(tmp_path / "raw" / "eligibility.csv", index=False)
    read_study_tables(study)
    require_no_stop(study)


def test_a_study_that_was_never_checked_is_not_refused_for_its_quality(tmp_path):
    study = read_study(write_study(tmp_path, broken_frames()))
    assert stop_on_record(study) == ""
    with pytest.raises(TableError, match="results `effects` are not there"):
        release_quarter(study, "2022Q4")


@pytest.mark.parametrize(("extra", "is_said"), [("", True), (ACCEPT, False)])
def test_panel_goes_on_and_says_that_release_will_refuse(
    monkeypatch, capsys, tmp_path, extra, is_said
):
    stopped_study(tmp_path, extra)
    assert run(monkeypatch, "panel", str(tmp_path / "study.toml")) == 0
    shown = capsys.readouterr()
    assert "Next: calaim-eval moments" in shown.out
    assert ("STOP, `release` will refuse these files" in shown.err) == is_said
    assert ("claims_outside_coverage" in shown.err) == is_said


def test_accepted_findings_stand_once_under_their_own_heading(tmp_path):
    """One with a count, one without, one below its limits, and a check of two tables."""
    frames = broken_frames()
    frames["medical_claim"]["diagnosis_code_1"] = None
    put(frames, "person", 0, race_code="unknown")
    frames["medical_claim"]["paid_date"] = None
    frames["pharmacy_claim"]["paid_date"] = None
    put(frames, "medical_claim", 0, paid_amount=0.0)
    reasons = {
        "claims_outside_coverage": "known, agreed 2024-11-02.",
        "diagnoses_missing": "not sent by the clinic",
        "payment_dates_missing": "capitated",
        "amounts_zero": "below the limit, and accepted",
    }
    extra = "[quality.accepted]\n" + "".join(f'{k} = "{v}"\n' for k, v in reasons.items())
    report = check_study(read_study(write_study(tmp_path, frames, extra))).report
    severities = {(f.check.id, f.table): f.severity for f in report.accepted}
    assert severities["amounts_zero", "medical_claim"] == "note"
    results = quality_results(report)
    counted = results["data_quality"].keys
    assert "amounts_zero" not in counted["finding"].tolist()
    assert "diagnoses_missing" in counted["finding"].tolist()
    text = shown.quality_notes(release(results, policy="calhhs_ddg_2"))
    stated, accepted = text.split("Accepted in the study file:")
    assert stated.startswith("Stated without a count:\n\n- ")
    assert "Accepted" not in stated
    assert "Race and ethnicity are missing" in stated
    assert "amounts_zero" not in text
    lines = [line for line in accepted.splitlines() if line]
    ids = [line.removeprefix("- Accepted (").split(")")[0] for line in lines]
    assert sorted(ids) == sorted(set(reasons) - {"amounts_zero"})
    assert len(set(lines)) == len(lines)
    by_id = dict(zip(ids, lines, strict=True))
    assert by_id["diagnoses_missing"] == (
        "- Accepted (diagnoses_missing): The principal diagnosis is missing (medical claim). "
        "Reason: not sent by the clinic."
    )
    assert "(medical claim; pharmacy claim)" in by_id["payment_dates_missing"]
    # Its count is stated elsewhere, and of 52 lines 8 are not outside: no band either.
    assert "medical claim: share not stated" in by_id["claims_outside_coverage"]
    assert by_id["claims_outside_coverage"].endswith("Reason: known, agreed 2024-11-02.")


def test_notes_without_an_accepted_finding_have_no_heading_for_them(tmp_path):
    frames = clean_frames()
    put(frames, "person", 0, race_code="unknown")
    report = check_study(read_study(write_study(tmp_path, frames))).report
    text = shown.quality_notes(release(quality_results(report), policy="calhhs_ddg_2"))
    assert text.startswith("Stated without a count:")
    assert "Accepted" not in text
