"""Figures somebody has published: kept with unit, source and vintage, and compared with care."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from calaim_eval.errors import EstimationError, TableError, quoted
from calaim_eval.schema.codes import load_codes

COLUMNS = (
    *("id", "period_start", "period_end", "place", "measure", "value", "unit"),
    *("source", "confirmed", "note"),
)
CONFIRMED = ("yes", "partial", "no")
_DATES = ("period_start", "period_end")
_SERVICES = "referral"
"""In the unit of a figure that counts referrals for services, not persons."""


@dataclass(frozen=True, slots=True, eq=False)
class PointComparison:
    """What two published figures of one measure say.

    Attributes
    ----------
    measure, place, unit : str
    quantities : pd.DataFrame
        ``quantity``, ``value``, ``unit``: absolute and percent change, days and calendar months
        between, compound growth a month, ratio.
    says, does_not_say : tuple[str, ...]
        Sentences for a report.
    events_between : pd.DataFrame
        Events of the policy calendar between the two dates: `date`, `event`, `scope`, `confirmed`.
    """

    measure: str
    place: str
    unit: str
    quantities: pd.DataFrame
    says: tuple[str, ...]
    does_not_say: tuple[str, ...]
    events_between: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """The quantities."""
        return self.quantities.copy()


def read_published(path: Path) -> pd.DataFrame:
    """Published figures from a CSV file with the columns `COLUMNS`.

    Every figure has a unit, a source and whether it is ``confirmed`` (``yes``, ``partial``,
    ``no``). Values that are ranges stay text and cannot be compared.

    Raises
    ------
    TableError
        A column is absent; ids repeat; a measure, a unit or a source is missing; `confirmed` holds
        another word; a date is none.
    """
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    absent = [name for name in COLUMNS if name not in frame.columns]
    if absent:
        raise TableError(f"the file of published figures lacks {quoted(absent)}.")
    if frame["id"].duplicated().any():
        raise TableError("ids repeat in the file of published figures. Give each figure its own.")
    for name in ("measure", "unit", "source", "confirmed"):
        empty = int((frame[name].str.strip() == "").sum())
        if empty:
            raise TableError(
                f"`{name}` is empty in {empty} of {len(frame)} published figures. A figure without "
                "it cannot be weighed: add it, or leave the figure out."
            )
    unknown = int((~frame["confirmed"].str.strip().isin(CONFIRMED)).sum())
    if unknown:
        raise TableError(
            f"`confirmed` is none of {quoted(CONFIRMED)} in {unknown} of {len(frame)} published "
            "figures."
        )
    for name in _DATES:
        dates = pd.to_datetime(frame[name].replace("", None), format="%Y-%m-%d", errors="coerce")
        bad = int((dates.isna() & (frame[name] != "")).sum())
        if bad:
            raise TableError(f"`{name}` is no date (YYYY-MM-DD) in {bad} published figures.")
        frame[name] = dates
    return frame


def compare_points(published: pd.DataFrame, first: str, second: str) -> PointComparison:
    r"""Change between two published figures of the same thing, and what it cannot say.

    Two points are described, not modelled: there is no trend before them to compare with, and no
    interval, because nobody says how the figure would vary by chance.

    Parameters
    ----------
    published : pd.DataFrame
        From `read_published`.
    first, second : str
        Ids of the two figures, in time order.

    Returns
    -------
    PointComparison
        Compound growth a month is :math:`(v_2/v_1)^{1/m} - 1` over m calendar months.

    Raises
    ------
    TableError
        An id is absent.
    EstimationError
        The two differ in measure, place or unit, are not in time order, or one is no number
        above 0.
    """
    one, two = _figure(published, first), _figure(published, second)
    for name in ("measure", "place", "unit"):
        if one[name] != two[name]:
            raise EstimationError(
                f"the two figures differ in {name}: they are not two points of one thing. Compare "
                "figures of the same measure, place and unit."
            )
    values = pd.to_numeric(pd.Series([one["value"], two["value"]]), errors="coerce")
    if values.isna().any() or (values <= 0).any():
        raise EstimationError("a figure is no number above 0 (a range, or text): no change of it.")
    start, end = one["period_start"], two["period_start"]
    if pd.isna(start) or pd.isna(end) or start >= end:
        raise EstimationError("the two figures are not in time order, or one has no date.")
    before, after = float(values[0]), float(values[1])
    days, months = (end - start).days, _months(start, end)
    rows = [
        ("absolute change", after - before, one["unit"]),
        ("percent change", 100 * (after / before - 1), "%"),
        ("days between", days, "days"),
        ("calendar months between", months, "months"),
        ("ratio", after / before, "ratio"),
    ]
    if months:
        rows.append(("compound growth a month", (after / before) ** (1 / months) - 1, "ratio - 1"))
    between = _events(start, end)
    return PointComparison(
        measure=one["measure"],
        place=one["place"],
        unit=one["unit"],
        quantities=pd.DataFrame(rows, columns=["quantity", "value", "unit"]),
        says=(
            f"{one['measure']}, {one['place']}: {before:,.12g} on {start:%Y-%m-%d} and "
            f"{after:,.12g} on {end:%Y-%m-%d} ({one['unit']}), "
            f"{100 * (after / before - 1):+.1f} % in {days} days.",
        ),
        does_not_say=_does_not_say(one["unit"], len(between)),
        events_between=between,
    )


def _figure(published: pd.DataFrame, name: str) -> pd.Series:
    """One figure by its id."""
    found = published[published["id"] == name]
    if found.empty:
        raise TableError(f"no published figure has the id `{name}`.")
    return found.iloc[0]


def _months(start: pd.Timestamp, end: pd.Timestamp) -> int:
    """Whole calendar months between two days."""
    return int(12 * (end.year - start.year) + end.month - start.month - (end.day < start.day))


def _events(start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
    """Events of the policy calendar after the first day, up to the second."""
    calendar = load_codes("calaim_timeline")[["date", "event", "scope", "confirmed"]]
    dates = pd.to_datetime(calendar["date"])
    return calendar[(dates > start) & (dates <= end)].reset_index(drop=True)


def _does_not_say(unit: str, n_events: int) -> tuple[str, ...]:
    """What no two points can tell."""
    sentences = [
        "Two points are not an interrupted time series: without earlier points nobody knows "
        "whether the figure was rising already.",
        "There is no comparison place, so what happened everywhere cannot be taken out.",
        "No interval: the source does not say how the figure would vary by chance.",
    ]
    if _SERVICES in unit:
        sentences.append(
            "Its unit is referrals for services: a person may have several, and a referral is not "
            "a service received."
        )
    if n_events:
        sentences.append(
            f"{n_events} {'event' if n_events == 1 else 'events'} of the policy calendar lie "
            "between the two dates."
        )
    return tuple(sentences)
