"""A balanced panel of county rates: what synthetic controls need, from cell moments or a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.estimate.period_frame import (
    are_counts,
    finite_numbers,
    frame_periods,
    refuse_repeated,
    require_frame,
)
from calaim_eval.moments import CellMoments
from calaim_eval.moments.cell_index import row_codes
from calaim_eval.moments.periods import (
    MISSING,
    index_frequency,
    index_ordinals,
    label_ordinals,
    month_index,
    period_ordinals,
)


@dataclass(frozen=True, slots=True, eq=False)
class CountyPanel:
    """Rates of S strata in N counties and T months, none missing.

    Attributes
    ----------
    strata : pd.DataFrame
        One row of labels a stratum; S rows, no columns without strata.
    counties : pd.Index
        Shape (N,).
    months : pd.Index
        As in `CellMoments`; shape (T,).
    cohorts : np.ndarray
        First exposed month of each county as an ordinal, `MISSING` = not exposed in the panel;
        shape (N,).
    rate, at_risk, events : np.ndarray
        Outcome per member-month, member-months and events (NaN: not known); shape (S, N, T). Where
        a frame holds rates without member-months, the two counts are 0.
    set_aside : int
        Counties left out for want of member-months in some month.
    n_without_county : float
        Members left out because their county is missing, counted by their fullest month.
    """

    strata: pd.DataFrame
    counties: pd.Index
    months: pd.Index
    cohorts: np.ndarray
    rate: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    set_aside: int
    n_without_county: float = 0.0

    @property
    def axis(self) -> np.ndarray:
        """Ordinals of the months; shape (T,)."""
        return index_ordinals(self.months)

    def take(self, rows: np.ndarray) -> CountyPanel:
        """Some of the counties."""
        return CountyPanel(
            self.strata,
            self.counties[rows],
            self.months,
            self.cohorts[rows],
            self.rate[:, rows],
            self.at_risk[:, rows],
            self.events[:, rows],
            self.set_aside,
            self.n_without_county,
        )

    def support(self, rows: np.ndarray) -> np.ndarray:
        """``n_members, n_events, member_months`` of some counties by stratum; shape (S, 3).

        Members of a county are counted by its fullest month. Events that are not known count as
        one, so that disclosure control hides what rests on them.
        """
        at_risk = self.at_risk[:, rows]
        members = np.floor(at_risk.max(axis=2, initial=0.0) + 0.5).sum(axis=1)
        events = self.events[:, rows].sum(axis=(1, 2))
        events = np.where(np.isnan(events), 1.0, events)
        return np.stack([members, events, at_risk.sum(axis=(1, 2))], axis=1)


def panel_of_moments(moments: CellMoments, outcome: str, county: str) -> CountyPanel:
    """County rates from moments whose strata or clusters are counties."""
    of_outcome = moments.outcome_moments(outcome)
    if moments.different is not None:
        raise EstimationError(
            "these moments are of a matched design, whose rows are parts of members, not the "
            "members of counties.\n  Take county rates from another design, or from all members."
        )
    if county in moments.stratum:
        names = moments.cells[county]
        cell = np.arange(len(moments))
        at_risk = np.asarray(moments.at_risk, dtype=float)
        total = of_outcome.level_total(at_risk)
        events = total if of_outcome.is_count else np.asarray(of_outcome.nonzero, dtype=float)
    elif moments.clusters is not None and moments.clusters.name == county:
        sums = moments.clusters
        names = sums.labels.iloc[sums.cluster].reset_index(drop=True)
        cell = sums.cell
        at_risk = np.asarray(sums.at_risk, dtype=float)
        total = np.asarray(sums.totals[outcome] + of_outcome.shift * at_risk, dtype=float)
        events = total if of_outcome.is_count else np.full_like(total, np.nan)
    else:
        kept = "none" if moments.clusters is None else f"`{moments.clusters.name}`"
        raise EstimationError(
            f"county={county!r} is neither a stratum nor the cluster of these moments (strata "
            f"{list(moments.stratum)}, cluster {kept}). "
            f"Use reduce_panel(..., stratum={county!r}) or reduce_panel(..., cluster={county!r})."
        )
    strata = moments.cells[[c for c in moments.stratum if c != county]].iloc[cell]
    cohort = label_ordinals(moments.cells["cohort"], index_frequency(moments.months))[cell]
    return _balanced(
        strata.reset_index(drop=True), names, cohort, moments.months, total, at_risk, events
    )


def panel_of_frame(
    frame: pd.DataFrame,
    *,
    outcome: str,
    county: str,
    month: str,
    cohort: str,
    member_months: str | None,
    stratum: tuple[str, ...],
) -> CountyPanel:
    """County rates from a frame with one row per county (and stratum) and month."""
    columns = [
        outcome,
        county,
        month,
        cohort,
        *stratum,
        *([member_months] if member_months else []),
    ]
    require_frame(frame, columns, call="synthetic_did")
    ordinals, frequency = frame_periods(frame[month], month)
    axis = np.unique(ordinals)
    value = finite_numbers(frame[outcome], outcome)
    at_risk = np.zeros(len(frame))
    if member_months is not None:
        at_risk = finite_numbers(frame[member_months], member_months)
        if (at_risk <= 0).any():
            raise TableError(
                f"`{member_months}` is 0 or negative in {int((at_risk <= 0).sum()):,} of "
                f"{len(frame):,} rows. Drop county-months without members."
            )
    groups = frame[[*stratum, county]].reset_index(drop=True)
    if groups[county].isna().any():
        raise TableError(
            f"`{county}` is missing in {int(groups[county].isna().sum()):,} of {len(frame):,} "
            "rows. Drop them or name the county."
        )
    row, first = row_codes(groups)
    place = np.searchsorted(axis, ordinals)
    refuse_repeated(row * len(axis) + place, "a county and month", "county (and stratum) and month")
    first_exposed = period_ordinals(frame[cohort], column=cohort, frequency=frequency)
    _refuse_changing(row, first_exposed, cohort)
    shape = (len(first), len(axis))
    table = {name: np.zeros(shape) for name in ("total", "at_risk", "present")}
    table["total"][row, place] = value
    table["at_risk"][row, place] = at_risk
    table["present"][row, place] = 1.0
    groups = groups.iloc[first].reset_index(drop=True)
    return _balanced(
        groups[list(stratum)],
        groups[county],
        first_exposed[first],
        month_index(axis, frequency),
        table["total"],
        table["at_risk"] if member_months else table["present"],
        _events(table["total"], value) if member_months else None,
        is_rate=member_months is None,
    )


def _events(total: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Totals of counts are events; of amounts it is not known how many are not 0."""
    return total if are_counts(value) else np.full_like(total, np.nan)


def _refuse_changing(row: np.ndarray, cohort: np.ndarray, column: str) -> None:
    """Refuse a county whose first exposed month changes from row to row."""
    pairs = np.unique(np.stack([row, cohort], axis=1), axis=0)
    changing = int((np.bincount(pairs[:, 0]) > 1).sum())
    if changing:
        raise TableError(
            f"`{column}` changes within {changing:,} counties. It is the month a county is first "
            "exposed, the same in all its rows, and missing where it never is."
        )


def _balanced(
    strata: pd.DataFrame,
    names: pd.Series,
    cohort: np.ndarray,
    months: pd.Index,
    total: np.ndarray,
    at_risk: np.ndarray,
    events: np.ndarray | None,
    *,
    is_rate: bool = False,
) -> CountyPanel:
    """Rows added up by stratum and county; counties without members in some month set aside."""
    is_named = names.notna().to_numpy()
    n_without_county = float(np.ceil(at_risk[~is_named].sum(axis=0).max(initial=0.0)))
    strata, names = strata[is_named].reset_index(drop=True), names[is_named]
    cohort, total, at_risk = cohort[is_named], total[is_named], at_risk[is_named]
    events = None if events is None else events[is_named]
    stratum, first = (
        row_codes(strata)
        if strata.shape[1]
        else (np.zeros(len(names), dtype=np.int64), np.zeros(1, dtype=np.int64))
    )
    code, counties = pd.factorize(names, sort=True)
    axis = index_ordinals(months)
    cohort = np.where(cohort > axis[-1], MISSING, cohort)
    shape = (len(first), len(counties), len(months))
    sums = {name: np.zeros(shape) for name in ("total", "at_risk", "events")}
    for name, values in (("total", total), ("at_risk", at_risk), ("events", events)):
        if values is not None:
            np.add.at(sums[name], (stratum, code), values)
    has_members = (at_risk > 0).any(axis=1)
    of_county = _county_cohorts(code[has_members], cohort[has_members], len(counties))
    complete = (sums["at_risk"] > 0).all(axis=(0, 2))
    rate = np.divide(
        sums["total"],
        sums["at_risk"],
        out=np.zeros(shape),
        where=sums["at_risk"] > 0,
    )
    panel = CountyPanel(
        strata=strata.iloc[first].reset_index(drop=True),
        counties=pd.Index(counties),
        months=months,
        cohorts=of_county,
        rate=rate,
        at_risk=np.zeros(shape) if is_rate else sums["at_risk"],
        events=sums["events"],
        set_aside=int((~complete).sum()),
        n_without_county=n_without_county,
    )
    return panel.take(np.flatnonzero(complete))


def _county_cohorts(code: np.ndarray, cohort: np.ndarray, n_counties: int) -> np.ndarray:
    """The one cohort of each county, or an error that counts the counties with several."""
    pairs = np.unique(np.stack([code, cohort], axis=1), axis=0)
    mixed = int((np.bincount(pairs[:, 0], minlength=n_counties) > 1).sum())
    if mixed:
        raise DesignError(
            f"{mixed:,} of {n_counties:,} counties hold members of more than one cohort: exposure "
            "does not follow the county, so counties cannot be compared. "
            "Use group_time_att, or a design by county such as design_county_phase."
        )
    found = np.full(n_counties, MISSING)
    found[pairs[:, 0]] = pairs[:, 1]
    return found
