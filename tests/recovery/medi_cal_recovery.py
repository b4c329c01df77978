"""What the study's designs recover from raw files of a simulated Medi-Cal.

    python tests/recovery/medi_cal_recovery.py ["from truth"] ["county phase"] [draws] [members]
        [processes]

Each draw is a Medi-Cal of its own: raw files, tables, panel, designs, moments, estimates, held
against the truth written beside the files. "from truth" takes the use of members ever listed from
the truth instead of reading it back from the claims, and leaves out the county comparison, which
needs everybody: half the time. "county phase" makes that comparison only, from files. Prints the
numbers of the first three tables of ``docs/methods/recovery.md``.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from medi_cal_truth import FOLLOW_UP, PER, design_months, listed_months, month_number, true_effects
from tqdm import tqdm

from calaim_eval.design import Design, design_county_phase, design_exposure, design_matched
from calaim_eval.equity import effect_gap
from calaim_eval.errors import CalaimEvalError
from calaim_eval.estimate import (
    aggregate,
    cluster_intervals,
    cluster_jackknife,
    count_effects,
    group_time_att,
    imputation_att,
    pre_post,
    relative_effect,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.panel import MemberMonths, build_member_months
from calaim_eval.results import EffectTable
from calaim_eval.simulate import SimulatedStudy, simulate_medi_cal
from calaim_eval.tables import read_tables

MEMBERS = 10_000
OUTCOMES = ("ed_visits", "outpatient_visits")
GROUPS = ("hispanic", "white", "black")
REFERENCE = "white"
NEEDED = ("eligibility", "medical_claim", "person", "program_service")
WINDOW = {"lookback_months": 6, "follow_up_months": FOLLOW_UP}

LAST_MONTH = "count_effects, never_exposed"
COUNTIES = "county phase"

Route = Literal["from files", "from truth"]
Estimator = Callable[[CellMoments, str], EffectTable]


@dataclass(frozen=True)
class Draw:
    """One simulated Medi-Cal as the study sees it, and its truth."""

    number: int
    panel: MemberMonths
    listed: pd.DataFrame
    true_race: pd.Series


def draw_medi_cal(
    number: int, folder: Path, *, members: int = MEMBERS, path: Route = "from files"
) -> Draw:
    """Simulate one Medi-Cal and build its panel, from the files or from the truth beside them."""
    study = simulate_medi_cal(folder / "simulated", members=members, seed=70_000 + number)
    panel = panel_of_truth(study) if path == "from truth" else panel_of_files(study, folder)
    people = study.truth_frame("member").set_index("member_id")
    listed = listed_months(study.truth_frame("identified_member_month"), OUTCOMES)
    return Draw(number, panel, listed, people["race_ethnicity"].astype(str))


def panel_of_files(study: SimulatedStudy, folder: Path) -> MemberMonths:
    """Raw files to tables to panel; files that the outcomes do not need are not read."""
    for file in study.raw.iterdir():
        if file.stem not in NEEDED:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    tables = read_tables(study.raw, work_dir=folder / "tables", extract_date="2025-06-30")
    return build_member_months(
        tables, first_month="2021-01", last_month="2024-12", measures=list(OUTCOMES)
    )


def panel_of_truth(study: SimulatedStudy) -> MemberMonths:
    """Members ever listed with the use they truly had; the raw files are not read."""
    months = study.truth_frame("identified_member_month")
    months = months[months["is_full_scope"] & ~months["is_dual"]]
    people = study.truth_frame("member")
    who = people[["member_id", "county", "recorded_race_ethnicity"]]
    columns = ["member_id", "month", *OUTCOMES]
    frame = months[columns].assign(covered_days=28).merge(who, on="member_id")
    listed = people[people["eligibility_month"].notna()].assign(service="ecm")
    return MemberMonths.from_frames(
        frame.rename(columns={"recorded_race_ethnicity": "race_ethnicity"}),
        listed.rename(columns={"eligibility_month": "identified_month"})[
            ["member_id", "service", "identified_month", "outreach_month", "service_month"]
        ],
    )


def _group_time(moments: CellMoments, outcome: str, **options: str) -> EffectTable:
    att_gt = group_time_att(moments, outcome=outcome, per=PER, **options)
    return aggregate(att_gt, max_event_time=FOLLOW_UP)


def _relative(moments: CellMoments, outcome: str) -> EffectTable:
    return relative_effect(group_time_att(moments, outcome=outcome), max_event_time=FOLLOW_UP)


def _counts(moments: CellMoments, outcome: str, **options: str) -> EffectTable:
    return count_effects(moments, outcome=outcome, max_event_time=FOLLOW_UP, **options)


def _imputed(moments: CellMoments, outcome: str) -> EffectTable:
    # Members come and go: effects of cohort and cell instead of the member's own.
    return imputation_att(
        moments, outcome=outcome, max_event_time=FOLLOW_UP, per=PER, fixed_effects="cohort"
    )


def _before_after(moments: CellMoments, outcome: str) -> EffectTable:
    table = pre_post(moments, outcome=outcome, months_before=6, months_after=12, per=PER)
    return table.select(table.keys["side"] == "exposed") if "side" in table.keys else table


ESTIMATORS: Mapping[str, tuple[Estimator, str]] = {
    "group_time_att": (_group_time, "by_cohort"),
    "imputation_att": (_imputed, "by_month"),
    "relative_effect": (_relative, "ratio_by_cohort"),
    "count_effects": (_counts, "ratio"),
    LAST_MONTH: (partial(_counts, comparison="never_exposed"), "ratio"),
    "pre_post (not causal)": (_before_after, "by_month"),
}
"""Estimator, and which of the averages of `true_effects` it states."""


def _rows(
    table: EffectTable, truth: Mapping[str, float], **labels: object
) -> Iterator[dict[str, object]]:
    """Estimates beside their truths, one row a group."""
    frame = table.to_frame()
    groups = frame["race_ethnicity"] if "race_ethnicity" in frame else ["all"] * len(frame)
    for group, row in zip(groups, frame.itertuples(), strict=True):
        if group in truth:
            yield {
                **labels,
                "group": group,
                "estimate": row.estimate,
                "std_error": row.std_error,
                "conf_low": row.conf_low,
                "conf_high": row.conf_high,
                "truth": truth[group],
            }


def _moments(design: Design, stratum: str | None = None) -> CellMoments:
    return reduce_panel(design, outcomes=list(OUTCOMES), stratum=stratum, unbalanced="cell_means")


def _expected_moments(
    months: pd.DataFrame, outcome: str, stratum: str | None = None
) -> CellMoments:
    """Moments of a design in which expected use stands in the place of visits."""
    frame = months.assign(g=months["g"].where(months["g"] >= 0), race_ethnicity=months["group"])
    return reduce_panel(
        frame.rename(columns={f"{outcome}|with": outcome}),
        outcomes=[outcome],
        member_id="part",
        month="t",
        cohort="g",
        covariate_cells="x",
        stratum=stratum,
        unbalanced="cell_means",
    )


def first_service_rows(draw: Draw) -> Iterator[dict[str, object]]:
    """Members served against members listed in the same month (or the same quarter)."""
    for cell in ("month", "quarter"):
        design = design_exposure(draw.panel, eligibility_cell=cell, **WINDOW)
        moments, months = _moments(design), design_months(design, draw.listed, None)
        for outcome in OUTCOMES:
            truth = true_effects(months, outcome)
            expected = _expected_moments(months, outcome)
            for name, (estimator, kind) in ESTIMATORS.items():
                if cell == "quarter" and name != "group_time_att":
                    continue
                labels = {"estimator": name, "outcome": outcome}
                for use, cells in {"visits": moments, "expected use": expected}.items():
                    label = f"first service, same {cell}, {use}"
                    table = estimator(cells, outcome)
                    yield from _rows(table, truth[kind], **labels, design=label)


def matched_rows(draw: Draw) -> Iterator[dict[str, object]]:
    """Members served against matches alike in use before."""
    rng = np.random.default_rng(draw.number)
    design = design_matched(draw.panel, rng=rng, exact=(), match_on=["ed_visits"], **WINDOW)
    moments, months = _moments(design), design_months(design, draw.listed, None)
    estimate = partial(_group_time, cluster="matched_group")
    for outcome in OUTCOMES:
        truth = true_effects(months, outcome)["by_cohort"]
        labels = {"design": "matched", "estimator": "group_time_att", "outcome": outcome}
        yield from _rows(estimate(moments, outcome), truth, **labels)


def race_rows(draw: Draw) -> Iterator[dict[str, object]]:
    """Effects and gaps by race as recorded, against the truth of those so recorded."""
    design = design_exposure(draw.panel, **WINDOW)
    race = design.members["race_ethnicity"].astype(str).to_numpy()
    moments = _moments(design, "race_ethnicity")
    months = design_months(design, draw.listed, race)
    for outcome in OUTCOMES:
        truths = true_effects(months, outcome)
        yield from _by_race(moments, outcome, truths, design="by race, visits")


def missing_race_rows(draw: Draw) -> Iterator[dict[str, object]]:
    """Effects and gaps from expected use, against the truth of all members of the group."""
    design = design_exposure(draw.panel, **WINDOW)
    true = draw.true_race.reindex(design.members["member_id"]).to_numpy()
    of_all = design_months(design, draw.listed, true)
    versions = {
        "true": true,
        "as recorded": design.members["race_ethnicity"].astype(str).to_numpy(),
        "a third unknown": much_unknown(true, design, draw),
    }
    outcome = "ed_visits"
    truths = true_effects(of_all, outcome)
    rates = PER * of_all.groupby("group")[f"{outcome}|without"].mean()
    for version, race in versions.items():
        months = of_all.assign(group=race[of_all["part"]])
        label = f"race {version}, expected use"
        moments = _expected_moments(months, outcome, "race_ethnicity")
        yield from _by_race(moments, outcome, truths, design=label)
        reported = PER * months.groupby("group")[f"{outcome}|without"].mean()
        for group in GROUPS:
            yield {
                "design": label,
                "estimator": "use without the program",
                "outcome": outcome,
                "group": group,
                "estimate": reported[group],
                "truth": rates[group],
                "share": (race[true == group] == group).mean(),
            }


def _by_race(
    moments: CellMoments, outcome: str, truths: pd.DataFrame, *, design: str
) -> Iterator[dict[str, object]]:
    """Effects by race and gaps to the reference, beside the truths."""
    for name in ("group_time_att", LAST_MONTH):
        estimator, kind = ESTIMATORS[name]
        truth = truths[kind].reindex(list(GROUPS)).dropna()
        table = estimator(moments, outcome)
        labels = {"design": design, "outcome": outcome}
        yield from _rows(table, truth, **labels, estimator=name)
        gap = effect_gap(table, reference=REFERENCE)
        gaps = (truth - truth[REFERENCE]).drop(REFERENCE)
        yield from _rows(gap, gaps, **labels, estimator=f"gap to {REFERENCE}, {name}")


def much_unknown(race: np.ndarray, design: Design, draw: Draw) -> np.ndarray:
    """True race, unknown for a third: oftener for Hispanic members, oftener the less they use.

    Use is expected use of ED visits without the program. The odds of being unknown triple for
    Hispanic members, and for each standard deviation less of the logarithm of use.
    """
    without = draw.listed.groupby("panel_member_id")["ed_visits|without"].mean()
    use = np.log(without.reindex(design.members["member_id"].astype(str)).to_numpy() + 1e-3)
    score = np.log(3.0) * ((race == "hispanic") - (use - use.mean()) / use.std())
    low, high = -10.0, 10.0
    for _ in range(40):
        middle = (low + high) / 2
        is_low = (1 / (1 + np.exp(-(middle + score)))).mean() < 1 / 3
        low, high = (middle, high) if is_low else (low, middle)
    rng = np.random.default_rng(draw.number)
    is_unknown = rng.random(len(race)) < 1 / (1 + np.exp(-(low + score)))
    return np.where(is_unknown, "unknown", race)


def county_phase_rows(draw: Draw) -> Iterator[dict[str, object]]:
    """Counties with the program from January 2022 against those from July 2022."""
    design = design_county_phase(draw.panel)
    moments = _moments(design)
    months = draw.panel.to_frame(["member_id", "month"])
    months = months.assign(t=month_number(months["month"]))
    start = month_number(pd.Series(["2022-01-01"]))[0]
    exposed = design.members.loc[design.members["cohort"].notna(), "member_id"].astype(str)
    is_in = months["member_id"].astype(str).isin(exposed) & months["t"].between(start, start + 5)
    covered = months[is_in].groupby("t").size()
    listed = draw.listed[draw.listed["panel_member_id"].isin(exposed)]
    for outcome in OUTCOMES:
        more = (listed[f"{outcome}|with"] - listed[f"{outcome}|without"]).groupby(listed["t"])
        truth = {"all": float((PER * more.sum().reindex(covered.index) / covered).mean())}
        labels = {"design": COUNTIES, "outcome": outcome}
        table = _group_time(moments, outcome, cluster="county", comparison="never_exposed")
        yield from _rows(table, truth, **labels, estimator="group_time_att, by county")
        jackknife = cluster_jackknife(
            moments,
            partial(_group_time, outcome=outcome, comparison="never_exposed"),
        )
        few = cluster_intervals(jackknife).iloc[0]
        yield {
            **labels,
            "estimator": "cluster_jackknife, Student's t",
            "group": "all",
            "truth": truth["all"],
            **few[["estimate", "std_error", "conf_low", "conf_high"]].to_dict(),
        }


PARTS: Mapping[str, Callable[[Draw], Iterator[dict[str, object]]]] = {
    "first service": first_service_rows,
    "matched": matched_rows,
    "race": race_rows,
    "missing race": missing_race_rows,
    COUNTIES: county_phase_rows,
}


OF_LISTED = ("first service", "matched", "race", "missing race")
"""The parts that need members ever listed only."""


def one_draw(
    number: int,
    *,
    members: int = MEMBERS,
    parts: tuple[str, ...] = (),
    path: Route = "from files",
) -> pd.DataFrame:
    """Every estimate of one draw beside its truth; a refusal is a row without an estimate."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        draw = draw_medi_cal(number, Path(folder), members=members, path=path)
        rows: list[dict[str, object]] = []
        for name in parts or PARTS:
            try:
                rows += PARTS[name](draw)
            except CalaimEvalError as error:
                rows.append({"design": name, "estimator": f"refused: {type(error).__name__}"})
    return pd.DataFrame(rows).assign(draw=number)


def replicate(
    draws: int,
    *,
    members: int = MEMBERS,
    processes: int = 1,
    parts: tuple[str, ...] = (),
    path: Route = "from files",
    first: int = 0,
) -> pd.DataFrame:
    """Estimates and truths of many draws, one row an estimate."""
    work = partial(one_draw, members=members, parts=parts, path=path)
    numbers = range(first, first + draws)
    if processes == 1:
        return pd.concat([work(n) for n in tqdm(numbers, desc="draws")], ignore_index=True)
    with ProcessPoolExecutor(processes) as pool:
        done = list(tqdm(pool.map(work, numbers), total=draws, desc="draws"))
    return pd.concat(done, ignore_index=True)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Bias, coverage and errors beside the spread, by design, estimator, outcome and group."""
    rows = rows.dropna(subset="estimate").assign(
        error=lambda r: r["estimate"] - r["truth"],
        square=lambda r: r["std_error"] ** 2,
        is_covered=lambda r: r["truth"].between(r["conf_low"], r["conf_high"]),
        share=rows.get("share", np.nan),
    )
    found = rows.groupby(["design", "outcome", "estimator", "group"], sort=False).agg(
        truth=("truth", "mean"),
        bias=("error", "mean"),
        spread=("error", "std"),
        variance=("square", "mean"),
        coverage=("is_covered", "mean"),
        share=("share", "mean"),
        n=("error", "size"),
    )
    found["bias_error"] = found["spread"] / np.sqrt(found["n"])
    found["coverage_error"] = np.sqrt(found["coverage"] * (1 - found["coverage"]) / found["n"])
    found["se_to_spread"] = np.sqrt(found["variance"]) / found["spread"]
    return found.reset_index()


def main(path: Route, parts: tuple[str, ...], draws: int, members: int, processes: int) -> None:
    """Print the table."""
    rows = replicate(draws, members=members, processes=processes, parts=parts, path=path)
    print_table(summary(rows))


def print_table(found: pd.DataFrame) -> None:
    """One row a design, outcome, estimator and group."""
    print(
        "| design, data | outcome | estimator | group | truth | bias (Monte Carlo error) "
        "| coverage | standard error / spread | recorded so | draws |\n" + "|---" * 10 + "|"
    )
    for row in found.itertuples():
        digits = 3 if abs(row.truth) < 2 and "phase" not in row.design else 1
        has_error = np.isfinite(row.se_to_spread) and row.se_to_spread > 0
        print(
            f"| {row.design} | {row.outcome} | `{row.estimator}` | {row.group} "
            f"| {row.truth:.{digits}f} | {row.bias:+.{digits}f} ({row.bias_error:.{digits}f}) "
            f"| {f'{row.coverage:.0%} ({row.coverage_error:.0%})' if has_error else ''} "
            f"| {f'{row.se_to_spread:.2f}' if has_error else ''} "
            f"| {f'{row.share:.0%}' if np.isfinite(row.share) else ''} | {row.n} |"
        )


if __name__ == "__main__":
    route: Route = "from truth" if "from truth" in sys.argv else "from files"
    chosen = tuple(PARTS) if route == "from files" else OF_LISTED
    chosen = (COUNTIES,) if COUNTIES in sys.argv else chosen
    given = [int(value) for value in sys.argv[1:] if value.isdigit()]
    main(route, chosen, *(given + [24, MEMBERS, 2][len(given) :]))
