"""From a release folder to pages: the real report, and what can go wrong."""

import re
import shutil
import subprocess
import zipfile
from itertools import pairwise

import pytest

from calaim_eval.errors import DisclosureError, MissingExtraError, OutputError
from calaim_eval.report import ReportError, render_report
from calaim_eval.report import render as render_module
from calaim_eval.report.embedded import engine
from calaim_eval.report.figures.words import effect_words
from calaim_eval.report.numbers import decimals_for
from calaim_eval.report.quarto import render_quarto
from calaim_eval.report.source import find_source

PARAMETERS = """```{python}
#| tags: [parameters]
release_folder = study_id = quarter = made_with = ""
```
"""
STUDY = {"study_id": "ecm_utilization", "quarter": "2024Q4"}


def plain(html: str) -> str:
    html = re.sub(r"<(style|script).*?</\1>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\xa0", " ")


@pytest.fixture(scope="module")
def report(release_folder, tmp_path_factory):
    """The real quarterly report of the made-up quarter, in all formats."""
    out = tmp_path_factory.mktemp("report")
    return render_report(release_folder, out_dir=out, engine="embedded", title="A quarter", **STUDY)


@pytest.fixture(scope="module")
def page(report):
    return report["html"].read_text(encoding="utf-8")


def test_three_files_are_made_and_open(report):
    assert [path.name for path in report.values()] == [
        "ecm_utilization_2024Q4.html",
        "ecm_utilization_2024Q4.pdf",
        "ecm_utilization_2024Q4.docx",
    ]
    assert report["pdf"].read_bytes().startswith(b"%PDF")
    with zipfile.ZipFile(report["docx"]) as archive:
        assert archive.testzip() is None
        assert "word/document.xml" in archive.namelist()
    assert {p.name for p in report["html"].parent.iterdir()} == {p.name for p in report.values()}


def test_the_page_is_complete(page):
    text = plain(page)
    assert "A quarter" in text
    assert "the engine embedded in calaim_eval" in text
    for heading in ("The quarter on one page", "Who delivers", "What was withheld", "Definitions"):
        assert heading in text
    assert "?@" not in text
    # Use of care of the smallest group is withheld, and with it the spread between groups.
    absent = re.findall(r"Not in this release: (.*?)\.", text)
    assert absent == ["how unequal use of care is between groups"]
    assert "nan" not in re.findall(r"[a-z]+", text.lower())
    assert "Traceback" not in text


def test_nothing_is_fetched(page):
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?!data:)[^"]+"', page)
    assert not re.findall(r"@import|url\((?!data:|#)", page)


def test_every_picture_has_words_in_every_format(report, page):
    alts = re.findall(r'<img[^>]*\balt="([^"]*)"', page)
    assert len(alts) == len(re.findall(r"<img", page)) >= 12
    assert all(len(alt) > 60 for alt in alts)
    with zipfile.ZipFile(report["docx"]) as archive:
        word = archive.read("word/document.xml").decode("utf-8")
    described = re.findall(r'<wp:docPr[^>]*descr="([^"]*)"', word)
    assert len(described) == len(alts)
    assert all(len(alt) > 60 for alt in described)


def test_headings_are_in_order(page):
    levels = [int(n) for n in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_no_id_is_used_twice(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_no_withheld_estimate_is_in_any_output(report, page, released, quarter_results):
    with zipfile.ZipFile(report["docx"]) as archive:
        word = archive.read("word/document.xml").decode("utf-8")
    texts = {"html": plain(page), "docx": plain(word)}
    if shutil.which("pdftotext"):
        done = subprocess.run(
            ["pdftotext", "-layout", str(report["pdf"]), "-"], capture_output=True, check=True
        )
        texts["pdf"] = " ".join(done.stdout.decode("utf-8").split()).replace("\xa0", " ")
    checked = 0
    for name in ("effect_by_race", "effect_gap", "effect_event_study", "pre_post"):
        true = quarter_results[name].to_frame().assign(is_suppressed=False)
        hidden = released.tables[name].frame["is_suppressed"]
        for _, row in true[hidden.to_numpy()].iterrows():
            for decimals in range(4):
                words = effect_words(row, decimals=decimals)
                low_to_high = words.split("(")[1].rstrip(")")
                if decimals >= decimals_for([row["estimate"]]):
                    assert not [kind for kind, text in texts.items() if low_to_high in text]
                    checked += 1
    assert checked > 60


def test_withheld_counts_are_marks_in_the_page(page, released):
    frame = released.tables["access_funnel"].frame
    hidden = frame[(frame["race_ethnicity"] == "mena") & frame["is_suppressed"]]
    table = re.search(r'<div id="tbl-access".*?</table>', page, flags=re.S).group(0)
    row = re.search(r"Middle Eastern or North African</th>(.*?)</tr>", table, flags=re.S).group(1)
    cells = [plain(c).strip() for c in re.findall(r"<td[^>]*>.*?</td>", row, flags=re.S)]
    assert cells.count("†") == len(hidden) >= 1


def test_simulated_data_are_marked_in_every_format(quarter_results, tmp_path):
    from calaim_eval.disclosure import release

    part = {"members_by_group": quarter_results["members_by_group"]}
    release(part, quarter="2024Q4", to=tmp_path / "release", provenance={"is_simulated": True})
    made = render_report(
        tmp_path / "release" / "2024Q4", out_dir=tmp_path / "out", engine="embedded", **STUDY
    )
    words = "Simulated data: a demonstration, not findings"
    page = made["html"].read_text(encoding="utf-8")
    assert page.index(words) < page.index("<h2")
    with zipfile.ZipFile(made["docx"]) as archive:
        assert words in plain(archive.read("word/document.xml").decode("utf-8"))
    if shutil.which("pdftotext"):
        done = subprocess.run(
            ["pdftotext", "-layout", str(made["pdf"]), "-"], capture_output=True, check=True
        )
        assert all(words in leaf for leaf in done.stdout.decode("utf-8").split("\f")[:-1])


def test_an_absent_item_is_said_on_the_page(quarter_results, tmp_path):
    from calaim_eval.disclosure import release

    part = {"members_by_group": quarter_results["members_by_group"]}
    release(part, quarter="2024Q4", to=tmp_path / "release")
    made = render_report(
        tmp_path / "release" / "2024Q4",
        out_dir=tmp_path / "out",
        formats=("html",),
        engine="embedded",
        **STUDY,
    )
    text = plain(made["html"].read_text(encoding="utf-8"))
    assert "Not in this release: referrals step by step" in text
    assert "○ Incomplete" in text
    assert "From first outreach" not in text
    assert "matured" not in text
    assert "?@" not in text


@pytest.fixture
def failing(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    path = folder / "page.qmd"
    path.write_text(
        f"{PARAMETERS}\n```{{python}}\n#| label: broken\n1 / 0\n```\n", encoding="utf-8"
    )
    return path


def test_a_failing_cell_leaves_earlier_reports_alone(release_folder, failing, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    earlier = out / "ecm_utilization_2024Q4.html"
    earlier.write_text("earlier", encoding="utf-8")
    with pytest.raises(
        ReportError, match=r"cell `broken` \(page.qmd, line 6\) failed: ZeroDivision"
    ):
        render_report(release_folder, out_dir=out, engine="embedded", source=failing, **STUDY)
    assert earlier.read_text(encoding="utf-8") == "earlier"
    assert [p.name for p in out.iterdir()] == [earlier.name]


def test_a_changed_release_is_refused_before_anything_runs(release_folder, tmp_path):
    copy = tmp_path / "release" / "2024Q4"
    shutil.copytree(release_folder.parent, tmp_path / "release")
    table = copy / "tables" / "members_by_group.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("84", "85", 1), encoding="utf-8")
    with pytest.raises(DisclosureError):
        render_report(copy, out_dir=tmp_path / "out", **STUDY)
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_cannot_be_made(release_folder, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="cannot write reports to"):
        render_report(release_folder, out_dir=blocked / "report", **STUDY)


def test_a_file_that_cannot_be_replaced(tmp_path):
    made = tmp_path / "new.html"
    made.write_text("new", encoding="utf-8")
    target = tmp_path / "out"
    (target / "new.html").mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot write reports"):
        render_module.publish({"html": made}, target)
    assert [p.name for p in target.iterdir()] == ["new.html"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ("odt",)}, "choose one or more of `html`, `pdf`, `docx`"),
        ({"formats": ()}, "choose one or more"),
        ({"engine": "latex"}, "choose `auto`, `quarto` or `embedded`"),
        ({"source": "nowhere.qmd"}, "no report source at `nowhere.qmd`"),
    ],
)
def test_options_that_do_not_exist(release_folder, tmp_path, options, message):
    with pytest.raises(ReportError, match=message):
        render_report(release_folder, out_dir=tmp_path / "out", **STUDY, **options)


def test_a_missing_package_names_the_extra(release_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_has", lambda module: module != "typst")
    with pytest.raises(MissingExtraError, match=r'`typst`.*pip install "calaim-eval\[report\]"'):
        render_report(release_folder, out_dir=tmp_path / "out", engine="embedded", **STUDY)


def test_quarto_asked_for_and_absent(release_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingExtraError, match="the program `quarto` is not on PATH"):
        render_report(release_folder, out_dir=tmp_path / "out", engine="quarto", **STUDY)


def test_quarto_is_called_with_parameters_and_title(tmp_path, monkeypatch):
    calls = []

    def run(command, **options):
        calls.append((command, options))
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(shutil, "which", lambda _: "quarto")
    monkeypatch.setattr(subprocess, "run", run)
    source = tmp_path / "quarterly.qmd"
    source.write_text("Words.", encoding="utf-8")
    made = render_quarto(
        source,
        formats=("html", "pdf"),
        parameters={"quarter": "2024Q4"},
        title="T",
        stem="s_2024Q4",
    )
    ((command, options),) = calls
    assert command[:3] == ["quarto", "render", "s_2024Q4.qmd"]
    assert command[command.index("--to") + 1] == "html,typst"
    assert "title:T" in command
    assert options["env"]["QUARTO_PYTHON"]
    assert (tmp_path / "parameters.json").read_text(encoding="utf-8") == '{"quarter": "2024Q4"}'
    assert made["pdf"].name == "s_2024Q4.pdf"


def test_quarto_that_stops_is_quoted(tmp_path, monkeypatch):
    stopped = subprocess.CompletedProcess([], 1, b"", b"line\nERROR: Validation of YAML failed")
    monkeypatch.setattr(shutil, "which", lambda _: "quarto")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: stopped)
    source = tmp_path / "quarterly.qmd"
    source.write_text("Words.", encoding="utf-8")
    with pytest.raises(ReportError, match="Validation of YAML failed"):
        render_quarto(source, formats=("html",), parameters={}, title="", stem="page")


def test_the_source_is_found_in_package_or_checkout():
    assert find_source().name == "quarterly.qmd"
    assert find_source(find_source().parent) == find_source()
