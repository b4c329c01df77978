"""One pass over checked tables: every finding, completeness by plan and month, and run-out."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.engine import MEMORY_LIMIT_GB, run_recipe, track
from calaim_eval.panel import PanelRules
from calaim_eval.panel.calendar import number_of, window_months
from calaim_eval.quality.completeness import (
    ABSENT,
    DROP,
    GAP,
    SURGE,
    TOO_SMALL,
    judge_completeness,
)
from calaim_eval.quality.counts import Counts, add_up, as_counts
from calaim_eval.quality.crowded_names import without_crowded_names
from calaim_eval.quality.findings import NOT_RECORDED, Finding, build_findings
from calaim_eval.quality.reading import ledger_counts
from calaim_eval.quality.rules import QualityRules
from calaim_eval.quality.run_out import RunOut, extract_month_of, run_out
from calaim_eval.tables import RowLedger, Tables

_FLAGS = {GAP: "encounter_gaps", DROP: "encounter_drops", SURGE: "encounter_surges"}


@dataclass(frozen=True, eq=False)
class QualityReport:
    """What is wrong with the data, how much, and where. Counts only; holds no member.

    Attributes
    ----------
    findings : tuple[Finding, ...]
        Worst first; accepted ones last.
    completeness : pd.DataFrame
        See `completeness.judge_completeness`.
    run_out : mapping of str to RunOut
        By claim table; without those that have no payment date.
    looked_at : mapping of str to int
        Units each check looked at; a check that is not in it had nothing to look at.
    ledger : RowLedger
        Of the reading.
    months : tuple[str, str]
        First and last month looked at.
    analysed_until : str
        Last month the study analyses.
    extract_date : date
    rules : QualityRules
    """

    findings: tuple[Finding, ...]
    completeness: pd.DataFrame
    run_out: Mapping[str, RunOut]
    looked_at: Mapping[str, int]
    ledger: RowLedger
    months: tuple[str, str]
    analysed_until: str
    extract_date: date
    rules: QualityRules

    @property
    def stops(self) -> tuple[Finding, ...]:
        """Findings the study must not run on with."""
        return tuple(finding for finding in self.findings if finding.stops)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings somebody should look at, and that do not stop the study."""
        return tuple(f for f in self.findings if f.warns and not f.stops)

    @property
    def accepted(self) -> tuple[Finding, ...]:
        """Findings the study file accepts."""
        return tuple(finding for finding in self.findings if finding.accepted is not None)

    def __repr__(self) -> str:
        """Number of findings by severity."""
        return (
            f"QualityReport({len(self.stops)} stop, {len(self.warnings)} warn, "
            f"{len(self.accepted)} accepted; {len(self.looked_at)} checks)"
        )


def check_quality(
    tables: Tables,
    *,
    first_month: str | pd.Period,
    last_month: str | pd.Period,
    extract_date: date,
    run_out_months: int = 0,
    panel_rules: PanelRules | None = None,
    rules: QualityRules | None = None,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
    temp_folder: Path | None = None,
) -> QualityReport:
    """Look at checked tables for what makes a study of them wrong.

    One member bucket at a time, so memory does not grow with the number of members.

    Parameters
    ----------
    tables : Tables
        What `read_tables` returns.
    first_month, last_month : str or pd.Period
        Window of the study, run-out included.
    extract_date : date
        Day the files were drawn.
    run_out_months : int
        Last months of the window that the study does not analyse.
    panel_rules : PanelRules, optional
        What a covered month is.
    rules : QualityRules, optional
        Limits and accepted findings.
    memory_limit_gb : float
        Memory the engine may hold, in GB.
    temp_folder : Path, optional
        Where the engine may put member rows while it works; a restricted folder.

    Returns
    -------
    QualityReport

    Raises
    ------
    TableError
        The window is no window, or a table cannot be read.

    Examples
    --------
    >>> from calaim_eval.tables import Tables
    >>> spans = pd.DataFrame({"member_id": ["a"], "enrollment_start_date": ["2022-01-01"],
    ...                       "enrollment_end_date": ["2022-06-30"]})
    >>> check_quality(Tables.from_frames({"eligibility": spans}), first_month="2022-01",
    ...               last_month="2022-06", extract_date=date(2022, 12, 31))
    QualityReport(0 stop, 2 warn, 0 accepted; 4 checks)
    """
    rules = rules or QualityRules()
    months = window_months(first_month, last_month)
    counts = without_crowded_names(
        _count_all(tables, months, panel_rules or PanelRules(), rules, memory_limit_gb, temp_folder)
    )
    extract_month = extract_month_of(pd.Timestamp(extract_date))
    numbers = (number_of(months[0]), number_of(months[-1]))
    analysed = numbers[1] - run_out_months
    developed = _run_outs(counts["payments"], extract_month, numbers, rules)
    judged = judge_completeness(
        counts["lines"],
        counts["member_months"],
        rules=rules,
        arriving=_arriving(counts["lines"], developed, rules),
    )
    every = pd.concat(
        [
            counts["counts"],
            ledger_counts(tables.ledger),
            _completeness_counts(judged),
            *_run_out_counts(developed, numbers[0], analysed, rules),
        ],
        ignore_index=True,
    )
    return QualityReport(
        findings=build_findings(every, counts["members"], rules),
        completeness=judged,
        run_out=developed,
        looked_at=every.groupby("check")["of"].sum().astype(int).to_dict(),
        ledger=tables.ledger,
        months=(str(months[0]), str(months[-1])),
        analysed_until=str(months[-1] - run_out_months),
        extract_date=extract_date,
        rules=rules,
    )


def _count_all(
    tables: Tables,
    months: pd.PeriodIndex,
    panel_rules: PanelRules,
    rules: QualityRules,
    memory_limit_gb: float,
    temp_folder: Path | None,
) -> Counts:
    """Counts of every bucket, added up."""
    from calaim_eval.panel.bucket import run_on_buckets, source_name
    from calaim_eval.quality.bucket_recipe import (
        TABLES_OF_MEMBERS,
        bucket_questions,
        organization_questions,
    )

    names = tuple(name for name in TABLES_OF_MEMBERS if tables.has(name))
    questions = bucket_questions(
        names,
        window=(months[0], months[-1]),
        panel_rules=panel_rules,
        max_stay_days=rules.max_stay_days,
        max_ed_days=rules.max_ed_days,
    )
    total: Counts = {}
    with tempfile.TemporaryDirectory(prefix="calaim_quality_", dir=_made(temp_folder)) as spill:
        where: dict[str, Any] = {
            "memory_limit_gb": memory_limit_gb,
            "temp_folder": spill,
            "doing": "checking the data quality",
        }
        answers = run_on_buckets(questions.recipe, tables, names=names, **where)
        for answer in track(answers, description="data quality", total=tables.n_buckets):
            total = add_up([total, questions.read(answer)])
        if tables.has("organization"):
            asked = organization_questions(months, panel_rules)
            sources = {source_name("organization"): tables.parts("organization")}
            answer = run_recipe(asked.recipe, sources=sources, **where)
            total = add_up([total, asked.read(answer)])
    return total


def _made(folder: Path | None) -> Path | None:
    """The folder, made if it is not there."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run_outs(
    payments: pd.DataFrame, extract_month: int, numbers: tuple[int, int], rules: QualityRules
) -> dict[str, RunOut]:
    """Completeness of each claim table that has payment dates."""
    found = {
        str(table): run_out(
            rows,
            table=str(table),
            extract_month=extract_month,
            first_month=numbers[0],
            last_month=numbers[1],
            min_expected_lines=rules.min_expected_lines,
        )
        for table, rows in payments.groupby("table")
    }
    return {table: each for table, each in found.items() if each is not None}


def _arriving(
    lines: pd.DataFrame, developed: Mapping[str, RunOut], rules: QualityRules
) -> set[tuple[str, int]]:
    """Kinds of claims and months that are not complete yet."""
    return {
        (str(feed), int(month))
        for feed in lines["feed"].unique()
        if (table := "pharmacy_claim" if feed == "pharmacy" else "medical_claim") in developed
        for month in _incomplete(developed[table], rules)["month"]
    }


def _incomplete(developed: RunOut, rules: QualityRules) -> pd.DataFrame:
    """Months of which a smaller share than asked for has arrived."""
    months = developed.months
    return months[months["complete"] < rules.complete_share]


def _completeness_counts(judged: pd.DataFrame) -> pd.DataFrame:
    """Flagged plan-months among those judged, and plans without a kind of claim."""
    if judged.empty:
        return pd.DataFrame()
    named = judged.assign(plan=judged["plan"].replace("", NOT_RECORDED))
    pieces = []
    by_month = named[named["reference"].notna() & (named["flag"] != TOO_SMALL)]
    for flag, check in _FLAGS.items():
        rows = by_month[["feed", "plan", "month"]].assign(
            n=(by_month["flag"] == flag).astype(int), of=1
        )
        pieces += [
            as_counts(mine.drop(columns="feed"), check=check, table=_table_of(str(feed))).assign(
                feed=str(feed)
            )
            for feed, mine in rows.groupby("feed")
        ]
    plans = named.groupby(["feed", "plan"])["flag"].agg(lambda flags: (flags == ABSENT).any())
    large = named.groupby(["feed", "plan"])["flag"].agg(lambda flags: (flags != TOO_SMALL).any())
    whole = pd.DataFrame({"n": plans.astype(int), "of": large.astype(int)}).reset_index()
    pieces += [
        as_counts(
            mine.drop(columns="feed"), check="encounters_absent", table=_table_of(str(feed))
        ).assign(feed=str(feed))
        for feed, mine in whole.groupby("feed")
    ]
    return pd.concat(pieces, ignore_index=True)


def _table_of(feed: str) -> str:
    """Claim table of a kind of claim."""
    return "pharmacy_claim" if feed == "pharmacy" else "medical_claim"


def _run_out_counts(
    developed: Mapping[str, RunOut], first: int, analysed: int, rules: QualityRules
) -> list[pd.DataFrame]:
    """Months the study analyses that are not complete, and payments that end before the extract."""
    pieces = []
    for table, each in developed.items():
        months = each.months[each.months["month"] <= analysed]
        is_open = months["complete"] < rules.complete_share
        rows = pd.DataFrame({"month": months["month"], "n": is_open.astype(int), "of": 1})
        pieces.append(as_counts(rows, check="months_incomplete", table=table))
        due = each.as_of + each.payments_end_early
        early = pd.DataFrame({"n": [each.payments_end_early], "of": [due - first + 1]})
        pieces.append(as_counts(early, check="payments_end_early", table=table))
    return pieces
