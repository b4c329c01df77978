"""The county roll-out of ECM: identified from January to June 2022 and not a month longer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import MIN_BASELINE_MONTHS, check_option, to_month
from calaim_eval.design.design import Design
from calaim_eval.design.index_month import (
    check_no_overlap,
    check_strata,
    group_labels,
    is_outside_age,
)
from calaim_eval.design.ledger import count_words, first_reason, member_ledger
from calaim_eval.design.member_month_parts import member_month_parts, month_numbers, month_starts
from calaim_eval.design.policy_calendar import treatment_breaks
from calaim_eval.errors import DesignError
from calaim_eval.panel.grouped import group_notes
from calaim_eval.results.share_words import share_words
from calaim_eval.schema.codes import load_codes

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths

UncertainCounties = Literal["keep", "set_aside"]
Population = Literal["all", "high_ed_use"]

NOT_COVERED = "not covered in the month before phase 1"
NO_COUNTY = "county of residence missing or not one of the 58"
UNCERTAIN = "county whose phase is uncertain"
AGE = "outside the age limits in the month before phase 1"
NOT_HIGH_USE = "below the high-use threshold in the months before phase 1"
REASONS = (NOT_COVERED, NO_COUNTY, UNCERTAIN, AGE, NOT_HIGH_USE)

MIN_COUNTIES = 2
FEW_COUNTIES = 20
HIGH_USE_VISITS = 5
HIGH_USE_MONTHS = 6


def design_county_phase(
    panel: MemberMonths,
    *,
    first_month: str | None = None,
    last_month: str | None = None,
    population: Population = "all",
    uncertain_counties: UncertainCounties = "keep",
    min_age: int | None = None,
    max_age: int | None = None,
    strata: Sequence[str] = ("race_ethnicity",),
) -> Design:
    """Compare members of phase 1 counties with members of counties where ECM had not started.

    Intention to treat by county: ECM started in 25 counties in January 2022 and in the other 33
    in July 2022. The contrast exists from January to June 2022 only.

    Parameters
    ----------
    panel : MemberMonths
        Must hold months before January 2022.
    first_month : str, optional
        First baseline month; default the first of the panel. At least two before phase 1.
    last_month : str, optional
        Last month analyzed; default and limit June 2022, or the end of the panel if earlier.
    population : {"all", "high_ed_use"}
        Everybody covered in the month before phase 1, or those with five or more ED visits in the
        six months that end then: nearer to those the program meant to reach, so less diluted.
    uncertain_counties : {"keep", "set_aside"}
        Counties that had Whole Person Care but are recorded as phase 2.
    min_age, max_age : int, optional
        Age in completed years in the month before phase 1, both included.
    strata : sequence of str
        Groups to carry along, as recorded in the month before phase 1.

    Returns
    -------
    Design
        Cohort January 2022 for members living in phase 1 counties in December 2021, missing for
        the others; comparison ``"never_exposed"`` (in the window); cluster the county;
        ``members["ecm_phase"]`` is 1 or 2.

    Raises
    ------
    DesignError
        Later months are asked for, the panel lacks a baseline, or a phase has under two counties.

    Notes
    -----
    Phase 1 counties had Whole Person Care or Health Homes, whose members were moved into ECM on
    the first day. The estimate is the effect of that *transition*. The *onset* of ECM in phase 2
    counties is not identified: from July 2022 no county is without ECM, and counties already
    exposed are no comparison [1]_. The two are never pooled.

    References
    ----------
    .. [1] Goodman-Bacon A (2021). Difference-in-differences with variation in treatment timing.
       J Econometrics 225(2):254-277. doi:10.1016/j.jeconom.2021.03.014
    """
    check_option("population", population, get_args(Population))
    check_option("uncertain_counties", uncertain_counties, get_args(UncertainCounties))
    check_no_overlap(strata)
    check_strata(strata)
    counties = _counties()
    start, end = _identified_months(counties)
    months = _window(panel, first_month, last_month, start=start, end=end)

    residence = start - 1
    columns = list(dict.fromkeys(("county", "age_years", *strata)))
    covered = _covered_members(panel, residence, columns, population=population)
    county = covered["county"].astype("string").str.strip()
    phase = county.map(counties["ecm_phase"]).to_numpy(dtype=float, na_value=np.nan)
    is_uncertain = county.map(counties["ecm_phase_caution"]).fillna("").ne("").to_numpy(dtype=bool)
    reason = first_reason(
        [
            (NO_COUNTY, np.isnan(phase)),
            (UNCERTAIN, is_uncertain & (uncertain_counties == "set_aside")),
            (AGE, is_outside_age(covered["age_years"], min_age=min_age, max_age=max_age)),
            (NOT_HIGH_USE, ~covered["is_high_use"].to_numpy(dtype=bool)),
        ],
        len(covered),
    )
    kept = reason == ""
    ledger = member_ledger(reason, phase == 1, REASONS)
    ledger.loc[ledger["reason"] == NOT_COVERED, "n_members"] = panel.n_members - len(covered)

    members = _members(covered[kept], county[kept], phase[kept], start=start, columns=columns)
    n_counties = members.groupby("ecm_phase")["county"].nunique().reindex([1, 2], fill_value=0)
    _check_counties(n_counties)
    return Design(
        panel=panel,
        members=members,
        months=months,
        comparison="never_exposed",
        covariate_cells=(),
        cluster="county",
        ledger=ledger,
        notes=(
            *_identification_notes(n_counties, members, counties, start=start, end=end),
            *_dilution_notes(panel, members, start=start, last=months[-1]),
            *treatment_breaks(start),
            *group_notes(panel, strata),
        ),
        estimand_words=(
            "members living in phase 1 counties after the transition from Whole Person Care or "
            "Health Homes to ECM, minus what they would have had, judged by members living in "
            "counties where ECM had not started (intention to treat by county)"
        ),
        kind="county_phase",
        lookback_months=start.ordinal - months[0].ordinal,
        follow_up_months=months[-1].ordinal - start.ordinal + 1,
    )


def _counties() -> pd.DataFrame:
    """Phase, go-live month and cautions by county name."""
    counties = load_codes("county").set_index("county")
    return counties.assign(
        ecm_phase=counties["ecm_phase"].astype(int),
        go_live=pd.PeriodIndex(counties["ecm_go_live"], freq="M"),
    )


def _identified_months(counties: pd.DataFrame) -> tuple[pd.Period, pd.Period]:
    """First month of phase 1, and last month before phase 2."""
    go_live = counties.groupby("ecm_phase")["go_live"].min()
    return go_live[1], go_live[2] - 1


def _window(
    panel: MemberMonths,
    first_month: str | None,
    last_month: str | None,
    *,
    start: pd.Period,
    end: pd.Period,
) -> pd.PeriodIndex:
    """Months analyzed; DesignError where they are not identified or there is no baseline."""
    first = panel.first_month if first_month is None else to_month(first_month, name="first_month")
    last = min(end, panel.last_month)
    if last_month is not None:
        last = to_month(last_month, name="last_month")
    if last > end:
        raise DesignError(
            f"`last_month` is {last}: the county roll-out identifies effects only from {start} to "
            f"{end}. In {end + 1} ECM started in every remaining county, so a later comparison "
            "would be with counties already exposed.\n"
            f'  Use last_month="{end}" or earlier; for later months use design_exposure(...).'
        )
    if first < panel.first_month or last > panel.last_month or last < start:
        raise DesignError(
            f"the panel holds {panel.first_month} to {panel.last_month}; the county roll-out "
            f"asked for {first} to {last} and needs at least {start}.\n"
            "  Build a panel that spans both."
        )
    baseline = start.ordinal - first.ordinal
    if baseline < MIN_BASELINE_MONTHS:
        raise DesignError(
            f"{max(baseline, 0)} baseline months before {start}; {MIN_BASELINE_MONTHS} are the "
            "least that show whether phase 1 and phase 2 counties moved together before.\n"
            "  Choose an earlier `first_month`, or build a longer panel."
        )
    return pd.period_range(first, last, freq="M")


def _covered_members(
    panel: MemberMonths, residence: pd.Period, columns: list[str], *, population: Population
) -> pd.DataFrame:
    """Members covered in the residence month, with their attributes and whether use was high."""
    if population == "all":
        parts = member_month_parts(panel, columns, first=residence, last=residence)
        return pd.concat([part.assign(is_high_use=True) for part in parts], ignore_index=True)
    first = residence - HIGH_USE_MONTHS + 1
    parts = member_month_parts(panel, [*columns, "ed_visits"], first=first, last=residence)
    return pd.concat([_with_high_use(part, residence) for part in parts], ignore_index=True)


def _with_high_use(part: pd.DataFrame, residence: pd.Period) -> pd.DataFrame:
    """Rows of the residence month, with whether the member reached the high-use threshold."""
    visits = part.groupby("member_id")["ed_visits"].sum()
    rows = part[part["month_number"] == residence.ordinal].drop(columns="ed_visits")
    return rows.assign(
        is_high_use=(visits.reindex(rows["member_id"]) >= HIGH_USE_VISITS).to_numpy()
    )


def _members(
    covered: pd.DataFrame,
    county: pd.Series,
    phase: np.ndarray,
    *,
    start: pd.Period,
    columns: list[str],
) -> pd.DataFrame:
    """The kept members, their cohort by county phase, and their groups."""
    cohort = np.where(phase == 1, float(start.ordinal), np.nan)
    members = pd.DataFrame(
        {
            "member_id": covered["member_id"].astype("str").reset_index(drop=True),
            "cohort": month_starts(cohort),
            "eligibility_month": (start - 1).start_time,
            "county": county.astype("str").reset_index(drop=True),
            "ecm_phase": phase.astype(int),
        }
    )
    for name in columns:
        if name == "age_years":
            members[name] = covered[name].to_numpy()
        elif name != "county":
            members[name] = group_labels(covered[name])
    return members


def _check_counties(n_counties: pd.Series) -> None:
    """Raise DesignError when a phase has too few counties for any inference by county."""
    if n_counties.min() < MIN_COUNTIES:
        raise DesignError(
            f"{n_counties[1]} phase 1 and {n_counties[2]} phase 2 counties have members who meet "
            f"the design; each side needs at least {MIN_COUNTIES}.\n"
            "  Chance differences between counties cannot be told from the effect. Use "
            "design_exposure(...), which compares members."
        )


def _identification_notes(
    n_counties: pd.Series,
    members: pd.DataFrame,
    counties: pd.DataFrame,
    *,
    start: pd.Period,
    end: pd.Period,
) -> list[str]:
    """What the county roll-out can and cannot say."""
    caution = counties.index[counties["ecm_phase_caution"] != ""]
    present = sorted(set(caution) & set(members["county"]))
    notes = [
        f"Identified from {start} to {end} only: from {end + 1} every county offers ECM.",
        f"Phase 1 ({n_counties[1]} counties) measures the transition from Whole Person Care or "
        f"Health Homes; the onset of ECM in phase 2 ({n_counties[2]} counties) is not identified "
        "and is not pooled with it.",
        f"Members are counted in their county of residence in {start - 1}, wherever they moved. "
        "Which counties belong to phase 1 is not confirmed by an official list.",
    ]
    if present:
        notes.append(
            f"Recorded as phase 2 although they had Whole Person Care: {', '.join(present)}. "
            'Repeat with uncertain_counties="set_aside".'
        )
    if n_counties.min() < FEW_COUNTIES:
        notes.append(
            f"{n_counties[1]} and {n_counties[2]} counties are few for intervals that lean on "
            "many clusters: use the wild bootstrap or randomization inference."
        )
    return notes


def _dilution_notes(
    panel: MemberMonths, members: pd.DataFrame, *, start: pd.Period, last: pd.Period
) -> list[str]:
    """How few members of each phase received ECM: the effect is diluted by that share."""
    ecm = panel.exposure_frame("ecm")
    if ecm.empty:
        return ["The panel has no ECM record: how diluted the effect is cannot be said."]
    served = pd.Series(month_numbers(ecm["service_month"]), index=ecm["member_id"])
    month = members["member_id"].map(served).to_numpy(dtype=float)
    is_phase_1 = (members["ecm_phase"] == 1).to_numpy()
    in_window = (month >= start.ordinal) & (month <= last.ordinal)
    n_served = int((in_window & is_phase_1).sum())
    notes = [
        f"By {last}, {share_words(n_served, int(is_phase_1.sum()))} of members in phase 1 "
        "counties had received ECM: the effect on a member of the county is the effect on a "
        "served member diluted by that share. Read the power of the design first."
    ]
    early = int(((month <= last.ordinal) & ~is_phase_1).sum())
    if early:
        notes.append(
            f"Members of phase 2 counties with an ECM service by {last}: {count_words(early)}. "
            "They stay in the comparison and pull the effect toward zero."
        )
    return notes
