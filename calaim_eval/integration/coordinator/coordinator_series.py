"""A coordinator's months before and after: description, segmented series, controlled series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import CalaimEvalError, EstimationError, TableError, quoted
from calaim_eval.estimate import interrupted_time_series
from calaim_eval.integration.inputs import as_day, local_days
from calaim_eval.results import EffectTable

MONTHS_EACH_SIDE = 8
"""With fewer months before or after, a slope is not told from chance."""
FEWEST_PLACES = 4
"""With fewer comparison places the rank of one says nothing at any level in use."""
_TERM = "average_effect"
Stage = Literal["description", "segmented", "controlled"]


@dataclass(frozen=True, slots=True, eq=False)
class CoordinatorEvidence:
    """What a series says about a coordinator, as far as its months allow.

    Attributes
    ----------
    stage : {"description", "segmented", "controlled"}
        How far the data go.
    rates : pd.DataFrame
        ``window`` (``"before"``, ``"after"``), ``n_months``, ``count``, ``at_risk``, ``rate``.
    effects : EffectTable | None
        Rate ratios of the segmented or controlled series; None where there is only a description.
    placebo : pd.DataFrame | None
        The same model with each comparison place as though it had the coordinator: ``place``,
        ``average_effect``; the real one first.
    placebo_p_value : float
        Share of places (the real one included) with an effect at least as far from 1; NaN without.
    says, does_not_say : tuple[str, ...]
    """

    stage: Stage
    rates: pd.DataFrame
    effects: EffectTable | None
    placebo: pd.DataFrame | None
    placebo_p_value: float
    says: tuple[str, ...]
    does_not_say: tuple[str, ...]

    def __repr__(self) -> str:
        """How far the data go, without a count."""
        before, after = self.rates["n_months"]
        return f"<CoordinatorEvidence {self.stage}: {before} months before, {after} after>"


def coordinator_evidence(
    series: pd.DataFrame,
    *,
    place: object,
    start: object,
    count: str,
    at_risk: str,
    places: str = "county",
    month: str = "month",
    months_each_side: int = MONTHS_EACH_SIDE,
) -> CoordinatorEvidence:
    """Monthly counts of one place before and after a coordinator began, and of others.

    With fewer than `months_each_side` months before or after: the two rates, no effect. With
    enough: a segmented quasi-Poisson series. With four or more comparison places that have the
    same months: a controlled series against their sum, and each of them in the coordinator's
    stead, which is the honest test of one place.

    Errors are the model's own: in two years of months they cover nearly what they say, those robust
    to autocorrelation far less (`docs/methods/recovery.md`).

    Parameters
    ----------
    series : pd.DataFrame
        One row per place and month: counts (referrals, enrollments) and persons or member-months
        at risk. Months are monthly dates (those with a time zone count by its calendar), Periods or
        whole numbers.
    place : value of the column `places`
        The one with the coordinator.
    start : month
        First month with the coordinator; a day stands for its month.
    count, at_risk, places, month : str
        Columns.
    months_each_side : int
        At least 3.

    Returns
    -------
    CoordinatorEvidence
        Ratios above 1: more than the earlier line (and the other places) would have had.

    Raises
    ------
    TableError
        Columns are absent, or a place has a month twice.
    EstimationError
        The place is not there, or has no month before or none after.

    References
    ----------
    Bernal JL et al. (2018). The use of controls in interrupted time series studies. Int J
    Epidemiol 47(6):2082-2093. doi:10.1093/ije/dyy135; Abadie A et al. (2010).
    doi:10.1198/jasa.2009.ap08746.
    """
    rows = _rows(series, [places, month, count, at_risk])
    if pd.api.types.is_datetime64_any_dtype(rows[month].dtype):
        first = str(start) if isinstance(start, pd.Period) else start
        start = as_day(first, name="start").replace(day=1)  # type: ignore[arg-type]
    elif isinstance(start, pd.Timestamp):
        start = as_day(start, name="start")
    rows = rows.rename(columns={places: "place", month: "month", count: "count", at_risk: "risk"})
    mine = rows[rows["place"] == place]
    if mine.empty:
        raise EstimationError(f"`{places}` has no rows of the place with the coordinator.")
    rates = _rates(mine, start)
    n_before, n_after = rates["n_months"]
    if not n_before or not n_after:
        raise EstimationError(
            f"{n_before} months before and {n_after} after the start: nothing to compare."
        )
    if min(n_before, n_after) < months_each_side:
        return _description(rates, months_each_side)
    others = _complete_places(rows, mine, place)
    if len(others) < FEWEST_PLACES:
        return _segmented(mine, rates, start, months_each_side, len(others))
    return _controlled(rows, place, others, rates, start, months_each_side)


def _rows(series: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The columns used, complete and once for each place and month."""
    absent = [name for name in columns if name not in series.columns]
    if absent:
        raise TableError(f"the series lacks {quoted(absent)}; it has {quoted(series.columns)}.")
    rows = series[columns]
    month = columns[1]
    if pd.api.types.is_datetime64_any_dtype(rows[month].dtype):
        rows = rows.assign(**{month: local_days(rows[month])})
    repeated = int(rows.duplicated(columns[:2]).sum())
    if repeated:
        raise TableError(
            f"{repeated} rows repeat a place and month. Add up what belongs together first."
        )
    missing = int(rows.isna().any(axis=1).sum())
    if missing:
        raise TableError(
            f"{missing} of {len(rows)} rows of the series miss a value. Write 0 where nothing "
            "happened, and leave months out that nobody recorded."
        )
    return rows


def _rates(mine: pd.DataFrame, start: object) -> pd.DataFrame:
    """Counts over time at risk before the start and from it on."""
    is_after = _is_after(mine["month"], start)
    rows = []
    for window, part in (("before", mine[~is_after]), ("after", mine[is_after])):
        risk = part["risk"].sum()
        rate = part["count"].sum() / risk if risk else float("nan")
        rows.append((window, len(part), part["count"].sum(), risk, rate))
    return pd.DataFrame(rows, columns=["window", "n_months", "count", "at_risk", "rate"])


def _is_after(months: pd.Series, start: object) -> pd.Series:
    """Months from the start on."""
    if isinstance(months.dtype, pd.PeriodDtype):
        return months >= pd.Period(start, freq=months.dtype.freq)  # type: ignore[no-any-return]
    if pd.api.types.is_numeric_dtype(months.dtype):
        return months >= start  # type: ignore[no-any-return]
    return pd.to_datetime(months) >= pd.Timestamp(str(start))  # type: ignore[no-any-return]


def _complete_places(rows: pd.DataFrame, mine: pd.DataFrame, place: object) -> list[object]:
    """Other places with every month of the one with the coordinator."""
    months = set(mine["month"])
    others = rows[rows["place"] != place].groupby("place", observed=True)["month"]
    return [name for name, theirs in others if months <= set(theirs)]


def _description(rates: pd.DataFrame, needed: int) -> CoordinatorEvidence:
    """Two rates and why there is no more."""
    n_before, n_after = rates["n_months"]
    return CoordinatorEvidence(
        stage="description",
        rates=rates,
        effects=None,
        placebo=None,
        placebo_p_value=float("nan"),
        says=(f"{n_before} months before and {n_after} after the start are described.",),
        does_not_say=(
            f"No effect is estimated: {needed} months before and after are needed to tell a slope "
            "from chance.",
        ),
    )


def _segmented(
    mine: pd.DataFrame, rates: pd.DataFrame, start: object, least: int, n_others: int
) -> CoordinatorEvidence:
    """The place against its own earlier line."""
    effects = interrupted_time_series(
        mine,
        outcome="count",
        member_months="risk",
        break_month=start,
        model="quasi_poisson",
        std_error="model",
        min_months=least,
    )
    return CoordinatorEvidence(
        stage="segmented",
        rates=rates,
        effects=effects,
        placebo=None,
        placebo_p_value=float("nan"),
        says=("The months after the start are set against the line of those before.",),
        does_not_say=(
            f"{n_others} other places have the same months; {FEWEST_PLACES} are needed to take out "
            "what happened everywhere and to see how often such a change comes by chance.",
        ),
    )


def _controlled(
    rows: pd.DataFrame,
    place: object,
    others: list[object],
    rates: pd.DataFrame,
    start: object,
    least: int,
) -> CoordinatorEvidence:
    """The place against the sum of the others, and each of the others in its stead."""
    months = rows.loc[rows["place"] == place, "month"]
    rows = rows[rows["place"].isin([place, *others]) & rows["month"].isin(months)]
    effects = _against_rest(rows, place, [*others], start, least)
    found, failed = [(place, _difference(effects))], 0
    for other in others:
        rest = [each for each in others if each != other]
        try:
            found.append((other, _difference(_against_rest(rows, other, rest, start, least))))
        except CalaimEvalError:
            failed += 1
    placebo = pd.DataFrame(found, columns=["place", _TERM])
    distance = np.abs(np.log(placebo[_TERM].to_numpy()))
    p_value = float((distance >= distance[0] - 1e-12).mean())
    lost = (f"{failed} other places had no series of their own that could be fitted.",)
    return CoordinatorEvidence(
        stage="controlled",
        rates=rates,
        effects=effects,
        placebo=placebo,
        placebo_p_value=p_value,
        says=(
            f"The place is set against {len(others)} others; of all {len(placebo)} in its stead "
            f"{round(p_value * len(placebo))} (it included) change at least as much.",
        ),
        does_not_say=(
            "Whatever else began in this place in those months is in the same number.",
            *(lost if failed else ()),
        ),
    )


def _against_rest(
    rows: pd.DataFrame, place: object, others: list[object], start: object, least: int
) -> EffectTable:
    """Controlled series of one place and the sum of others."""
    role = pd.Series(np.where(rows["place"] == place, "place", "others"), index=rows.index)
    used = rows["place"].isin([place, *others])
    both = rows[used].assign(role=role[used]).groupby(["role", "month"], as_index=False)
    return interrupted_time_series(
        both[["count", "risk"]].sum(),
        outcome="count",
        member_months="risk",
        stratum="role",
        comparison={"role": "others"},
        break_month=start,
        model="quasi_poisson",
        std_error="model",
        min_months=least,
    )


def _difference(effects: EffectTable) -> float:
    """Average ratio of ratios after the start."""
    keys = effects.keys
    row = (keys["series"] == "difference") & (keys["term"] == _TERM)
    return float(effects.estimate[row.to_numpy()][0])
