"""A quarter of a study: results, their release, the report."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from calaim_eval.disclosure import Released, change_layout, release
from calaim_eval.panel import MemberMonths
from calaim_eval.pipeline.access import measure_access
from calaim_eval.pipeline.check import require_no_stop, require_quality
from calaim_eval.pipeline.county_phase import check_county_phase
from calaim_eval.pipeline.custodian_log import custody_file, write_custodian_log
from calaim_eval.pipeline.designs import MAIN_ANCHOR, build_moments
from calaim_eval.pipeline.effect_by_level import effects_by_level
from calaim_eval.pipeline.effects import estimate_effects, require_other_plans
from calaim_eval.pipeline.equity import measure_disparity
from calaim_eval.pipeline.kept import keep, kept, made_from
from calaim_eval.pipeline.matched import match_members
from calaim_eval.pipeline.measures import measure_integration, measure_use
from calaim_eval.pipeline.outside_feeds import measure_outside_feeds
from calaim_eval.pipeline.panel import build_panel, read_study_tables
from calaim_eval.pipeline.partners import measure_partners
from calaim_eval.pipeline.power import say_power
from calaim_eval.pipeline.sensitivity import sensitivity_of_effects
from calaim_eval.pipeline.statewide_series import measure_statewide_series
from calaim_eval.pipeline.success import measure_success
from calaim_eval.report import render_report
from calaim_eval.results import Result
from calaim_eval.schema import codes_sha256
from calaim_eval.study import Study
from calaim_eval.tables import Tables
from calaim_eval.tables.formats import FORMATS
from calaim_eval.version import __version__

T = TypeVar("T")


class Step(Protocol):
    """Runs one named step and returns its value; the command line shows progress with it."""

    def __call__(self, description: str, work: Callable[[], T], /) -> T:
        """Run `work`."""
        ...


def release_quarter(
    study: Study,
    quarter: str,
    *,
    without: Sequence[tuple[str, str]] = (),
    leave_out: Sequence[str] = (),
) -> Released:
    """Pass every result of the quarter through disclosure control.

    Parameters
    ----------
    study : Study
    quarter : str
    without : sequence of (table, column)
        Columns that a table is released without, so that fewer rows are hidden.
    leave_out : sequence of str
        Tables that are not released.

    Raises
    ------
    TableError
        If results are not there, or were made with another study file or other inputs.
    QualityError
        If a finding on the quality of these files stops the study; nothing is written then. Files
        that were never checked are released, and the release says so.
    DisclosureError
        If something cannot be released safely; nothing is written then.
    """
    study.check_quarter(quarter)
    require_no_stop(study)
    results, left_out = kept(study, quarter)
    results = change_layout(results, without=without, leave_out=leave_out)
    left_out |= dict.fromkeys(leave_out, "left out when released")
    layout = {"without": [f"{table}:{column}" for table, column in without]} if without else {}
    return release(
        results,
        policy=study.disclosure_policy,
        to=study.folder / "release",
        quarter=quarter,
        ledger=study.folder / "release" / "ledger.jsonl",
        provenance=provenance(study) | {"left_out": left_out} | layout,
        residents=study.residents,
        custody=custody_file(study, quarter),
    )


def render_quarter(study: Study, quarter: str) -> dict[str, Path]:
    """Render the report of a quarter from its release only."""
    study.check_quarter(quarter)
    return render_report(
        study.release_folder(quarter),
        out_dir=study.report_folder(quarter),
        formats=study.file.report.formats,
        study_id=study.file.study_id,
        title=study.file.title,
        quarter=quarter,
        engine=study.file.report.engine,
    )


def estimate_quarterless(
    study: Study,
    panel: MemberMonths,
    *,
    step: Step,
    tables: Tables | None = None,
    pooled_with: Sequence[Path] = (),
) -> list[str]:
    """Use of care and effects, which do not depend on the quarter, kept in restricted/results."""
    use = step("Counting use of care and access", lambda: measure_use(study, panel))
    disparity, not_compared = step("Comparing groups", lambda: measure_disparity(study, panel, use))
    access, unknown = step("Timing access", lambda: measure_access(study, panel, tables))
    keep(study, "use", {**use, **disparity, **access}, not_compared | unknown)
    paths, refused = step("Reducing the panel to cell moments", lambda: build_moments(study, panel))
    if not pooled_with:
        say_power(study, paths)
    require_other_plans(paths.get(MAIN_ANCHOR, ()), pooled_with)
    effects, left_out = step(
        "Estimating effects", lambda: estimate_effects(study, paths, pooled_with=pooled_with)
    )
    tested, untested = step(
        "Testing the effects",
        lambda: sensitivity_of_effects(study, paths, panel, pooled_with=pooled_with),
    )
    checks, unchecked = step(
        "Checking the county phase",
        lambda: check_county_phase(study, {} if pooled_with else paths),
    )
    matched, unmatched = step(
        "Matching members alike before",
        lambda: match_members(study, panel, pooled_with=pooled_with),
    )
    series, no_series = step(
        "Fitting the statewide series",
        lambda: ({}, {}) if pooled_with else measure_statewide_series(study, panel),
    )
    by_level, no_level = step(
        "Comparing counties by integration",
        lambda: effects_by_level(study, panel, tables, pooled_with=pooled_with),
    )
    effects |= by_level
    keep(
        study,
        "effects",
        effects | tested | checks | matched | series,
        refused | left_out | untested | unchecked | unmatched | no_series | no_level,
    )
    return [*use, *disparity, *access, *effects, *tested, *checks, *matched, *series]


def measure_quarter(study: Study, tables: Tables, quarter: str) -> list[str]:
    """CBO-integration measures of a quarter, kept in restricted/results."""
    measures = measure_integration(study, tables, quarter)
    success, left_out = measure_success(study, tables, quarter)
    partners = measure_partners(study, tables, quarter, program_service=measures.program_service)
    outside, unfed = measure_outside_feeds(
        study, tables, quarter, program_service=measures.program_service
    )
    results: dict[str, Result] = {**measures, **success, **partners, **outside}
    keep(
        study,
        f"integration-{quarter}",
        results,
        measures.skipped | left_out | partners.skipped | unfed,
    )
    return list(results)


def run_study(study: Study, quarter: str, *, step: Step) -> dict[str, Path]:
    """All of it: raw files to the rendered report of a quarter.

    Parameters
    ----------
    study : Study
    quarter : str
        e.g. ``"2024Q4"``.
    step : callable
        Called with a description and the work; runs the work and returns its value. The
        command line shows progress with it.
    """
    study.check_quarter(quarter)
    tables = step("Reading and checking the raw files", lambda: read_study_tables(study))
    step("Checking data quality", lambda: require_quality(study, tables))
    panel = step("Building the member-month panel", lambda: build_panel(study, tables))
    estimate_quarterless(study, panel, step=step, tables=tables)
    step("Measuring CBO integration", lambda: measure_quarter(study, tables, quarter))
    step("Disclosure control", lambda: release_quarter(study, quarter))
    step("Writing the log to sign", lambda: write_custodian_log(study, quarter))
    return step("Rendering the report", lambda: render_quarter(study, quarter))


def provenance(study: Study) -> dict[str, str | bool]:
    """What a release was made from: hashes of study file, inputs, code lists and code; versions."""
    hashes = made_from(study)
    return {
        "study_id": study.file.study_id,
        "title": study.file.title,
        "question": study.file.question,
        "is_simulated": _is_simulated(study),
        "study_file_sha256": hashes["study file"],
        "input_manifest_sha256": hashes["input files"],
        "code_lists_sha256": codes_sha256(),
        "code_sha256": _code_sha256(),
        "extract_date": str(study.file.window.extract_date),
        "first_month": str(study.file.months[0]),
        "last_month": str(study.file.months[-1]),
        "reference": study.file.equity.reference,
        "package_version": __version__,
        "python_version": platform.python_version(),
    }


def _is_simulated(study: Study) -> bool:
    """Some formats are always simulated; `calaim-eval simulate` leaves its truth beside."""
    has_truth = (study.folder / "truth" / "simulation.json").exists()
    return has_truth or FORMATS[study.file.input.format].is_simulated


def _code_sha256() -> str:
    """Hash of the package's code, whatever the line endings of the machine."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode("utf-8"))
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()
