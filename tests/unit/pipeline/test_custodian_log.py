"""The page a data custodian signs."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table, two_way

from calaim_eval.disclosure import read_ledger, release
from calaim_eval.errors import DisclosureError, OutputError
from calaim_eval.pipeline.custodian_log import custody_file, page_text, write_custodian_log
from calaim_eval.study import init_study, read_study


@pytest.fixture
def study(tmp_path):
    init_study(tmp_path / "s")
    return read_study(tmp_path / "s")


@pytest.fixture
def released(study):
    _, by_county = two_way([[5, 30, 40], [60, 70, 80], [90, 200, 300]])
    effects = effect_table(pd.DataFrame({"race_ethnicity": ["white", "nhpi"]}), [400, 6])
    return release(
        {"by_county": by_county, "effects": effects},
        to=study.folder / "release",
        quarter="2024Q4",
        provenance={"package_version": "0.1.0", "input_manifest_sha256": "ab" * 32},
        custody=custody_file(study, "2024Q4"),
    )


def n_pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes()))


def test_the_page_is_one_sheet_beside_the_restricted_results(study, released):
    pytest.importorskip("typst")
    made = write_custodian_log(study, "2024Q4")
    assert {name: path.name for name, path in made.items()} == {
        "html": "custodian_log_2024Q4.html",
        "pdf": "custodian_log_2024Q4.pdf",
    }
    assert all(path.parent == study.restricted / "custody" for path in made.values())
    assert n_pages(made["pdf"]) == 1
    html = made["html"].read_text(encoding="utf-8")
    for words in ("Signature", "Data custodian", "Audit.", "Score.", "not to be published"):
        assert words in html


def test_the_page_states_policy_reasons_certificate_score_and_ledger(study, released):
    reasons = {"few members, events or referrals, or few left out": 2, "protects another row": 3}
    text = page_text(released, reasons, content_sha256="c" * 64, seal=(7, "d" * 64))
    certificate = released.certificate
    assert f"hash `{certificate['policy_sha256'][:16]}`; counts of 1 to 10 hidden" in text
    assert "entry 7, hash `dddddddddddddddd`" in text
    assert "hash `cccccccccccccccc`, 2 tables, 18 rows" in text
    assert "inputs `abababababababab`, study file `not given`" in text
    assert "| Few members, events or referrals, or few left out | 2 |" in text
    assert "| Protects another row | 3 |" in text
    assert f"Of {certificate['n_suppressed_cells']:,} hidden counts" in text
    (score,) = released.scores
    assert re.search(rf"\| by_county \|.*\| {score['total']} \|", text)
    assert "counties without a population, as the smallest" in text


def test_reasons_are_counted_once_and_add_up(study, released):
    content = json.loads(custody_file(study, "2024Q4").read_text(encoding="utf-8"))
    rows = pd.DataFrame(content["hidden_rows"])
    assert rows["n_rows"].sum() == released.certificate["n_suppressed_rows"]
    by_table = rows.groupby("table")["n_rows"].sum()
    assert by_table["by_county"] == released.tables["by_county"].n_suppressed
    own = rows[rows["reason"].str.startswith("few members")].set_index("table")["n_rows"]
    assert own.to_dict() == {"by_county": 1, "effects": 1}


def test_reasons_of_the_ledger_and_of_small_groups_are_told_apart(tmp_path):
    keys = pd.DataFrame({"race_ethnicity": ["white", "black", "nhpi", "all"]})
    group = rate_table(
        keys, [300, 80, 4, 384], [384] * 4, kind="proportion", margins=("race_ethnicity",),
        denominator_keys=(), names=("members_in_panel", "all_members_in_panel"),
    )  # fmt: skip
    events = rate_table(
        keys, [900, 300, 60, 1260], n_members=[100, 50, 30, 180], names=("visits", "none"),
        margins=("race_ethnicity",),
    )  # fmt: skip
    alone = rate_table(pd.DataFrame({"service": ["meals"]}), [82], names=("served", "none"))
    before = rate_table(pd.DataFrame({"service": ["meals"]}), [80], names=("served", "none"))
    release({"alone": before}, to=tmp_path / "release", quarter="2024Q3")
    path = tmp_path / "custody.json"
    release(
        {"group": group, "events": events, "alone": alone},
        to=tmp_path / "release", quarter="2024Q4", custody=path,
    )  # fmt: skip
    rows = pd.DataFrame(json.loads(path.read_text())["hidden_rows"])
    found = {(t, r): n for t, r, n in rows.itertuples(index=False)}
    assert found["group", "few members, events or referrals, or few left out"] == 1
    assert found["events", "about a group of few members"] == 1
    assert found["alone", "hidden before, or changed by few since"] == 1
    assert found["events", "protects another row"] >= 1


def test_counts_by_reason_never_lie_beside_the_release(study):
    _, table = two_way([[5, 30], [60, 70]])
    to = study.folder / "release"
    for inside in (to / "custody.json", to / "2024Q4" / "custody.json"):
        with pytest.raises(DisclosureError, match="lies in the folder of releases"):
            release({"t": table}, to=to, quarter="2024Q4", custody=inside)
    assert not to.exists()


def test_no_count_by_reason_is_in_the_release(study, released):
    for path in (study.folder / "release").rglob("*"):
        if path.is_file():
            assert "protects another row" not in path.read_text(encoding="utf-8")


def test_a_changed_release_or_ledger_is_not_signed(study, released):
    ledger = study.folder / "release" / "ledger.jsonl"
    whole = ledger.read_text()
    assert len(read_ledger(ledger)) == 1
    ledger.write_text(whole.replace('"2024Q4"', '"2024Q3"'))
    with pytest.raises(DisclosureError, match="changed after it was written"):
        write_custodian_log(study, "2024Q4")
    ledger.write_text(whole)
    csv = study.release_folder("2024Q4") / "tables" / "by_county.csv"
    csv.write_text(csv.read_text() + " ")
    with pytest.raises(DisclosureError, match="was changed after it was released"):
        write_custodian_log(study, "2024Q4")


def test_without_its_counts_the_page_is_refused(study, released):
    custody_file(study, "2024Q4").unlink()
    with pytest.raises(OutputError, match="Release the quarter again"):
        write_custodian_log(study, "2024Q4")


def test_without_the_report_extra_the_page_is_markdown(study, released, monkeypatch):
    from calaim_eval.errors import MissingExtraError
    from calaim_eval.pipeline import custodian_log

    def missing(_formats):
        raise MissingExtraError("typst")

    monkeypatch.setattr(custodian_log, "require_engine", missing)
    made = write_custodian_log(study, "2024Q4")
    text = made["md"].read_text(encoding="utf-8")
    assert text.startswith("# Disclosure log, 2024Q4")
    assert "{=typst}" not in text
