"""Data quality of a study: the restricted page, what stops a run, what the report carries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calaim_eval.engine import atomic_file, write_json
from calaim_eval.errors import QualityError
from calaim_eval.pipeline.kept import keep, made_from
from calaim_eval.pipeline.panel import panel_rules, read_study_tables
from calaim_eval.pipeline.quality_results import quality_results
from calaim_eval.quality import QualityReport, QualityRules, check_quality
from calaim_eval.study import Study
from calaim_eval.tables import RowLedger, Tables
from calaim_eval.version import __version__

PAGE, CONTENT = "quality.html", "quality.json"


@dataclass(frozen=True)
class Checked:
    """What `calaim-eval check` found.

    Attributes
    ----------
    report : QualityReport
    ledger : RowLedger
        What became of every input row.
    folder : Path
        Where `quality.html` and `quality.json` are; restricted.
    """

    report: QualityReport
    ledger: RowLedger
    folder: Path

    @property
    def n_set_aside(self) -> int:
        """Rows that cannot be used; exact duplicates and remarks on kept rows are not counted."""
        frame = self.ledger.to_frame()
        is_read = frame["stage"] == "read"
        is_fine = frame["reason"].isin(["used", "exact duplicate"])
        return int(frame.loc[is_read & ~is_fine, "n_rows"].sum())


def check_study(study: Study, tables: Tables | None = None, *, exact: bool = False) -> Checked:
    """Look at the study's tables; write the restricted page and keep what the report carries.

    Parameters
    ----------
    study : Study
    tables : Tables, optional
        The study's tables where they are read already.
    exact : bool
        Show counts of 1 to 10 people as they are on the page.

    Raises
    ------
    TableError
        If a table cannot be used at all.
    OutputError
        If the restricted folder cannot be written.
    """
    from calaim_eval.quality.json_file import quality_content
    from calaim_eval.quality.page import quality_page

    tables = tables or read_study_tables(study)
    file = study.file
    report = check_quality(
        tables,
        first_month=file.window.first_month,
        last_month=file.window.last_month,
        extract_date=file.window.extract_date,
        run_out_months=file.window.run_out_months,
        panel_rules=panel_rules(study),
        rules=quality_rules(study),
        memory_limit_gb=file.computing.memory_limit_gb,
        temp_folder=study.restricted / ".spill",
    )
    folder = study.restricted / "quality"
    origin = _origin(study)
    with atomic_file(folder / PAGE) as temporary:
        page = quality_page(report, title=file.title, made_from=origin, exact=exact)
        temporary.write_text(page, encoding="utf-8")
    keep(study, "quality", quality_results(report), {})
    # Last: its presence says that the rest is there.
    write_json(quality_content(report, made_from=origin, exact=exact), folder / CONTENT)
    return Checked(report, tables.ledger, folder)


def require_quality(study: Study, tables: Tables) -> None:
    """Raise when findings stop the study; data that were checked already are not checked again.

    Raises
    ------
    QualityError
        Naming the findings, the page and how to accept them.
    """
    earlier = _last_check(study)
    if earlier is not None and _is_current(study, earlier):
        stops = earlier.stops
    else:
        stops = [finding.check.id for finding in check_study(study, tables).report.stops]
    if stops:
        raise QualityError(stop_message(study, stops))


def require_no_stop(study: Study) -> None:
    """Raise when a finding on record stops the study; data that were never checked pass.

    Raises
    ------
    QualityError
        Naming the findings, the page and how to go on.
    """
    told = stop_on_record(study)
    if told:
        raise QualityError(told)


def stop_on_record(study: Study) -> str:
    """What the last check of these input files says that stops the study; "" where nothing does.

    A check by an older study file or version counts until the files are checked again, but for
    findings that the study file accepts by now.
    """
    held = _last_check(study)
    if held is None:
        return ""
    if _is_current(study, held):
        return stop_message(study, held.stops) if held.stops else ""
    left = [name for name in held.stops if name not in study.file.quality.accepted]
    if held.made_from.get("input files") != made_from(study)["input files"] or not left:
        return ""
    listed = ", ".join(f"`{name}`" for name in dict.fromkeys(left))
    return (
        f"findings on data quality stopped the study when these files were last checked: {listed}."
        f"\n  {study.path.name} or calaim_eval changed since; check again: "
        f"calaim-eval check {study.path}"
    )


def stop_message(study: Study, stops: list[str]) -> str:
    """Which findings stop the study, where to read about them, how to go on."""
    names = list(dict.fromkeys(stops))
    listed = ", ".join(f"`{name}`" for name in names)
    return (
        f"{len(names)} finding{'s' if len(names) > 1 else ''} on data quality stop the study: "
        f"{listed}.\n  Read {study.restricted / 'quality' / PAGE} and have the data mended; or, "
        f"if they are known and right, accept them in {study.path.name} with a reason:\n"
        f'  [quality.accepted]\n  {names[0]} = "why it is right, agreed with whom and when"'
    )


def quality_rules(study: Study) -> QualityRules:
    """Limits and accepted findings of the study file."""
    asked = study.file.quality
    return QualityRules(
        warn_above=asked.warn_above,
        stop_above=asked.stop_above,
        accepted=asked.accepted,
        drop_share=asked.drop_share,
        surge_share=asked.surge_share,
        min_expected_lines=asked.min_expected_lines,
        complete_share=asked.complete_share,
        max_stay_days=asked.max_stay_days,
        max_ed_days=asked.max_ed_days,
    )


def _origin(study: Study) -> dict[str, str]:
    """What the page was made from."""
    return {"study": study.file.study_id, **made_from(study)}


@dataclass(frozen=True)
class _LastCheck:
    """What the last check of the study was made from, and its findings that stop."""

    made_from: dict[str, str]
    package_version: str
    stops: list[str]


def _last_check(study: Study) -> _LastCheck | None:
    """The last check that is on record; None without one that can be read."""
    path = study.restricted / "quality" / CONTENT
    if not path.is_file():
        return None
    try:
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return _LastCheck(
            made_from=dict(held["made_from"]),
            package_version=str(held["package_version"]),
            stops=[str(each) for each in held["verdict"]["stops"]],
        )
    except (json.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _is_current(study: Study, held: _LastCheck) -> bool:
    """Whether a check was made of this study file and these inputs by this version."""
    return held.made_from == _origin(study) and held.package_version == __version__
