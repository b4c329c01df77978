"""What a later extract changed: totals restated, months added and removed, completeness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.engine import bucket_of, engine_failures, open_engine
from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.panel.member_months import MemberMonths
from calaim_eval.panel.summary import (
    MEMBER_MONTHS,
    PanelSummary,
    check_groups,
    keyed,
    summarize_panel,
)

if TYPE_CHECKING:
    import ibis

Window = Literal["same", "common"]
# Guards the window and changes no row of the panel.
_NO_DIFFERENCE = ("run_out_months",)


@dataclass(frozen=True, eq=False)
class Restatement:
    """A panel of an earlier extract beside one of a later extract, over the same months.

    Attributes
    ----------
    totals : pd.DataFrame
        One row per group and measure: the columns `by`, `measure`, `earlier`, `later`,
        `difference` (later less earlier), `ratio` (later over earlier; missing where the earlier
        total is 0 or unknown), `added` and `removed` (member-months that only the later, or only
        the earlier panel has in the group; missing for other measures and where a panel was given
        as a summary) and `months_since_service` (from the month of service to the end of the
        earlier data; missing where that is unknown).
    by : tuple[str, ...]
        Columns that make the groups.
    n_members_added, n_members_removed : int or None
        Members that only the later, or only the earlier panel has; None for summaries. A member
        whose identifier was merged into another is removed, and added where the other is new.
    months_between : int or None
        Months from the end of the earlier data to the end of the later ones.
    """

    totals: pd.DataFrame
    by: tuple[str, ...]
    n_members_added: int | None
    n_members_removed: int | None
    months_between: int | None

    def to_frame(self) -> pd.DataFrame:
        """The totals."""
        return self.totals.copy()

    def __repr__(self) -> str:
        """Groups and months; never totals."""
        months = self.totals["month"]
        return (
            f"Restatement({months.min():%Y-%m} to {months.max():%Y-%m} by {', '.join(self.by)}; "
            f"{self.months_between} months between the extracts)"
        )


def restate(
    earlier: MemberMonths | PanelSummary,
    later: MemberMonths | PanelSummary,
    *,
    by: Sequence[str] = ("month",),
    window: Window = "same",
) -> Restatement:
    """Compare the panels of two extracts: what the later one changed about the same months.

    Use each quarter before reading a trend: claims and retroactive eligibility that come in late
    make the last months of every extract look better than they were.

    Parameters
    ----------
    earlier, later : MemberMonths or PanelSummary
        Panels built by the same rules. With summaries only totals are compared; with panels also
        which member-months came and went.
    by : sequence of str
        `month`, and any of `plan`, `county`, `aid_code`, `sex`, `race_ethnicity`, `language`.
        A member-month that moved from one plan to another is removed there and added here.
    window : {"same", "common"}
        Both panels must have one window, or the months they share are compared.

    Returns
    -------
    Restatement
        Of measures both panels have. A group that one panel lacks has 0 there.

    Raises
    ------
    TableError
        The rules or definitions differ; the windows differ (or, for ``"common"``, share no month);
        a summary is not by the columns asked for; the later data end before the earlier ones; an
        option is none of those allowed.

    Examples
    --------
    >>> def panel(visits):
    ...     return MemberMonths.from_frames(pd.DataFrame({
    ...         "member_id": "a", "month": ["2024-01-01", "2024-02-01"], "covered_days": 29,
    ...         "ed_visits": visits}))
    >>> told = restate(panel([4, 2]), panel([4, 3])).totals
    >>> told.loc[told["measure"] == "ed_visits", "ratio"].tolist()
    [1.0, 1.5]
    """
    groups = check_groups(by)
    first = earlier if isinstance(earlier, PanelSummary) else summarize_panel(earlier, by=groups)
    second = later if isinstance(later, PanelSummary) else summarize_panel(later, by=groups)
    _require_same_rules(first.rules, second.rules)
    _require_same_definitions(first, second)
    months = _shared_months(first, second, window)
    between = _months_between(first, second)
    totals = _side_by_side(_grouped(first, groups, months), _grouped(second, groups, months))
    added = removed = None
    if isinstance(earlier, MemberMonths) and isinstance(later, MemberMonths):
        changes, added, removed = _came_and_went(earlier, later, groups, months)
        totals = totals.merge(changes, how="left", on=[*groups, "measure"])
        is_count = totals["measure"] == MEMBER_MONTHS
        for column in ("added", "removed"):
            totals[column] = totals[column].where(~is_count, totals[column].fillna(0.0))
    else:
        totals = totals.assign(added=np.nan, removed=np.nan)
    totals["months_since_service"] = _months_since(totals["month"], first.data_end_month)
    return Restatement(totals, groups, added, removed, between)


def _require_same_rules(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> None:
    """Raise unless both panels were built by the same rules."""
    named = [name for name in {**earlier, **later} if name not in _NO_DIFFERENCE]
    different = [name for name in named if earlier.get(name) != later.get(name)]
    if different:
        listed = ", ".join(f"`{name}`" for name in different)
        raise TableError(
            f"the two panels were built by different rules: {listed}.\n"
            "  What a later extract changed shows only under the same rules: build the panel of "
            "the earlier extract again by the rules of the later one."
        )


def _require_same_definitions(earlier: PanelSummary, later: PanelSummary) -> None:
    """Raise when measures or code lists changed between the panels, as far as that is known."""
    marks = {earlier.definitions_sha256, later.definitions_sha256} - {""}
    if len(marks) > 1:
        raise TableError(
            "the two panels were built by different definitions of measures or code lists.\n"
            "  What a later extract changed shows only under the same ones: build the panel of "
            "the earlier extract again."
        )


def _shared_months(earlier: PanelSummary, later: PanelSummary, window: Window) -> pd.PeriodIndex:
    """Months to compare."""
    if window not in get_args(Window):
        raise TableError(f"`window`: {window!r} is not one of 'same', 'common'.")
    spans = [(each.first_month, each.last_month) for each in (earlier, later)]
    first, last = max(spans[0][0], spans[1][0]), min(spans[0][1], spans[1][1])
    if first > last or (window == "same" and spans[0] != spans[1]):
        told = " and ".join(f"{a} to {b}" for a, b in spans)
        step = (
            "Build both over the same months."
            if first > last
            else 'Build both over the same months, or compare those they share: window="common".'
        )
        raise TableError(f"the two panels have different windows: {told}.\n  {step}")
    return pd.period_range(first, last, freq="M")


def _months_between(earlier: PanelSummary, later: PanelSummary) -> int | None:
    """Months from the end of the earlier data to the end of the later ones."""
    if earlier.data_end_month is None or later.data_end_month is None:
        return None
    months = _number(later.data_end_month) - _number(earlier.data_end_month)
    if months < 0:
        raise TableError(
            f"the data of the later panel end in {later.data_end_month}, before those of the "
            f"earlier one ({earlier.data_end_month}).\n  Give the earlier extract first."
        )
    return months


def _grouped(summary: PanelSummary, by: tuple[str, ...], months: pd.PeriodIndex) -> pd.DataFrame:
    """Totals by the columns asked for, of the months compared."""
    lacking = [column for column in by if column not in summary.by]
    if lacking:
        listed = ", ".join(f"`{column}`" for column in summary.by)
        raise TableError(
            f"a summary is by {listed} and cannot be compared by `{lacking[0]}`.\n"
            "  Compare by those columns, or give the panels themselves."
        )
    rows = summary.totals
    rows = rows[rows["month"].between(months[0].start_time, months[-1].start_time)]
    grouped = rows.groupby([*by, "measure"], sort=False)["total"].sum(min_count=1)
    return grouped.reset_index()


def _side_by_side(earlier: pd.DataFrame, later: pd.DataFrame) -> pd.DataFrame:
    """Both totals in a row; a group that one lacks has 0 there."""
    key = [column for column in earlier if column != "total"]
    measures = [each for each in earlier["measure"].unique() if each in set(later["measure"])]
    both = earlier.merge(
        later, how="outer", on=key, suffixes=("_earlier", "_later"), indicator=True
    )
    both = both[both["measure"].isin(measures)]
    told = both[key].copy()
    for name, only in (("earlier", "right_only"), ("later", "left_only")):
        told[name] = both[f"total_{name}"].where(both["_merge"] != only, 0.0)
    told["difference"] = told["later"] - told["earlier"]
    told["ratio"] = told["later"] / told["earlier"].where(told["earlier"] != 0)
    place = told["measure"].map({name: place for place, name in enumerate(measures)})
    groups = [column for column in key if column != "measure"]
    ordered = told.assign(place=place).sort_values(["place", *groups], ignore_index=True)
    return ordered.drop(columns="place")


def _came_and_went(
    earlier: MemberMonths, later: MemberMonths, by: tuple[str, ...], months: pd.PeriodIndex
) -> tuple[pd.DataFrame, int, int]:
    """Member-months only one panel has, by group; members only the later, only the earlier has."""
    counted: list[pd.DataFrame] = []
    n_members = {"added": 0, "removed": 0}
    backend = open_engine()
    try:
        with engine_failures(doing="comparing the member months of two panels"):
            for first, second in _paired_parts(backend, earlier, later):
                old, new = (_keys(backend, parts, by, months) for parts in (first, second))
                for name, rows, others in (("added", new, old), ("removed", old, new)):
                    only = rows.anti_join(others, ["member_id", *by])
                    told = backend.execute(only.group_by(list(by)).agg(n=only.count()))
                    counted.append(told.assign(change=name))
                    people = rows.select("member_id").distinct()
                    gone = people.anti_join(others, "member_id")
                    n_members[name] += int(backend.execute(gone.count()))
    finally:
        backend.disconnect()
    every = pd.concat(counted, ignore_index=True)
    every["month"] = pd.to_datetime(every["month"]).astype("datetime64[s]")
    wide = every.pivot_table(
        index=list(by), columns="change", values="n", aggfunc="sum", fill_value=0, observed=True
    ).reindex(columns=["added", "removed"], fill_value=0)
    changes = wide.astype("float64").rename_axis(columns=None).reset_index()
    return changes.assign(measure=MEMBER_MONTHS), n_members["added"], n_members["removed"]


def _paired_parts(
    backend: ibis.BaseBackend, earlier: MemberMonths, later: MemberMonths
) -> Iterator[tuple[list[Path], list[Path]]]:
    """Parts with the same members, one pair a bucket; everything at once where buckets differ."""
    first, second = (
        sorted((panel.folder / "member_month").glob("part-*.parquet")) for panel in (earlier, later)
    )
    is_alike = len(first) == len(second) and all(
        _is_first_bucket(backend, parts[0], len(parts)) for parts in (first, second)
    )
    if not is_alike:
        yield first, second
        return
    for one, other in zip(first, second, strict=True):
        yield [one], [other]


def _is_first_bucket(backend: ibis.BaseBackend, part: Path, n_buckets: int) -> bool:
    """Whether the engine sorts members into buckets as it did when the panel was built."""
    members = backend.read_parquet(exactly(part)).select("member_id")
    astray = members.filter(bucket_of(members["member_id"], n_buckets=n_buckets) != 0)
    return int(backend.execute(astray.count())) == 0


def _keys(
    backend: ibis.BaseBackend, parts: Sequence[Path], by: tuple[str, ...], months: pd.PeriodIndex
) -> ibis.Table:
    """Member and group of the member months compared."""
    rows = backend.read_parquet([exactly(part) for part in parts])
    inside = rows.filter(
        rows["month"].between(months[0].start_time.date(), months[-1].start_time.date())
    )
    return inside.select("member_id", **keyed(inside, by))


def completeness_factors(*restatements: Restatement) -> pd.DataFrame:
    r"""How complete a month of service is, by the months that passed since it.

    The chain-ladder of actuaries: totals of months of the same age, as one extract and the next
    have them, give the share by which that age still grows; the product of these over all later
    ages is what is still to come.

    Parameters
    ----------
    *restatements : Restatement
        One or more, whose extracts lie the same number of months apart. Several steady the
        factors: each adds one month of service to every age.

    Returns
    -------
    pd.DataFrame
        One row per measure and age, from youngest to oldest: `measure`, `months_since_service`
        (of the earlier extract), `n_service_months`, `earlier`, `later` (sums), `link_ratio`
        (later over earlier) and `completeness`: the share (0-1, or above 1 where later extracts
        take away) of the final total that is there at that age. Missing where a link of the chain
        is.

    Raises
    ------
    TableError
        Nothing was given, the ends of the data are not known, or the steps differ.

    Notes
    -----
    With steps of :math:`d` months and :math:`f_k` the link ratio at age :math:`k`, completeness at
    age :math:`k` is :math:`1 / (f_k f_{k+d} f_{k+2d} \cdots)` up to the oldest age seen, which is
    taken to be complete one step later [1]_.

    References
    ----------
    .. [1] Mack T (1993). Distribution-free calculation of the standard error of chain ladder
       reserve estimates. ASTIN Bulletin 23(2):213-225. doi:10.2143/AST.23.2.2005092
    """
    step = _common_step(restatements)
    rows = pd.concat([each.totals for each in restatements], ignore_index=True)
    known = rows[rows["earlier"].notna() & rows["later"].notna()]
    names = known["measure"].unique()
    by_age = known.groupby(["measure", "months_since_service"], sort=True).agg(
        n_service_months=("month", "nunique"),
        earlier=("earlier", "sum"),
        later=("later", "sum"),
    )
    by_age["link_ratio"] = by_age["later"] / by_age["earlier"].where(by_age["earlier"] != 0)
    told = by_age.reset_index().astype({"months_since_service": "int64"})
    chained = [_chained(told[told["measure"] == name], step) for name in names]
    return pd.concat(chained, ignore_index=True)


def _common_step(restatements: Sequence[Restatement]) -> int:
    """Months between the extracts, the same in all."""
    steps = {each.months_between for each in restatements}
    if len(steps) != 1 or not next(iter(steps)):
        told = ", ".join(sorted(str(step) for step in steps)) or "none given"
        raise TableError(
            f"months between the extracts: {told}; completeness needs one number, 1 or more.\n"
            "  Compare extracts of later and later dates, the same time apart, whose panels say "
            "when their data end."
        )
    return int(next(iter(steps)) or 0)


def _chained(rows: pd.DataFrame, step: int) -> pd.DataFrame:
    """Ages of one measure with the product of their links to the oldest."""
    links = dict(zip(rows["months_since_service"], rows["link_ratio"], strict=True))
    oldest = max(links)
    complete: dict[int, float] = {}
    for age in sorted(links, reverse=True):
        onward = complete.get(age + step, np.nan if age + step <= oldest else 1.0)
        complete[age] = onward / links[age] if links[age] else np.nan
    return rows.assign(completeness=rows["months_since_service"].map(complete))


def _months_since(months: pd.Series, end: pd.Period | None) -> pd.Series:
    """Months from each month to the end of the data."""
    if end is None:
        return pd.Series(np.nan, index=months.index)
    return (_number(end) - (months.dt.year * 12 + months.dt.month)).astype("float64")


def _number(month: pd.Period) -> int:
    """Month number, consecutive across years."""
    return int(month.year * 12 + month.month)
