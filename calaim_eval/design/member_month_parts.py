"""Reading the panel part by part, months as numbers, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.design.age_bands import AGE_BAND, FIRST_AGES, age_band
from calaim_eval.errors import DesignError
from calaim_eval.panel.grouped import GroupedMonths
from calaim_eval.schema.overlapping import OVERLAPPING

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths


def month_numbers(months: pd.Series) -> np.ndarray:
    """Months since January 1970 as floats, NaN where missing; shape of `months`.

    Examples
    --------
    >>> month_numbers(pd.Series(pd.to_datetime(["1970-02-01", None])))
    array([ 1., nan])
    """
    dates = pd.to_datetime(months)
    numbers: np.ndarray = ((dates.dt.year - 1970) * 12 + dates.dt.month - 1).to_numpy(dtype=float)
    return numbers


def month_starts(numbers: np.ndarray) -> pd.Series:
    """First days of the months numbered by `month_numbers`; NaT for NaN."""
    known = ~np.isnan(numbers)
    starts = np.full(len(numbers), np.datetime64("NaT"), dtype="datetime64[M]")
    starts[known] = np.datetime64(0, "M") + numbers[known].astype(int)
    return pd.Series(starts.astype("datetime64[s]"))


def member_month_parts(
    panel: MemberMonths,
    columns: Sequence[str],
    *,
    first: pd.Period | None = None,
    last: pd.Period | None = None,
    member_ids: pd.Index | None = None,
) -> Iterator[pd.DataFrame]:
    """Parts of the member months, one at a time.

    Parameters
    ----------
    columns : sequence of str
        Columns beside `member_id` and the month.
    first, last : pd.Period, optional
        Months to read, both included.
    member_ids : pd.Index, optional
        Members to read; default all.

    Yields
    ------
    pd.DataFrame
        `member_id`, `month_number` (int64, months since January 1970) and `columns`. All months
        of a member are in one part. Groups given beside the files take the place of those in
        them; `age_band` is that of the age in the month.

    Raises
    ------
    DesignError
        A column of groups is in neither.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    limits = [("month", op, m.start_time.date()) for op, m in ((">=", first), ("<=", last)) if m]
    wanted = None if member_ids is None else pa.array(member_ids, type=pa.string())
    for path in _part_files(panel):
        names = list(dict.fromkeys(("member_id", "month", *_in_files(panel, columns))))
        table = pq.read_table(path, columns=names, filters=limits or None)
        if wanted is not None:
            table = table.filter(pc.is_in(table["member_id"].cast(pa.string()), value_set=wanted))
        months = table["month"]
        number = pc.add(
            pc.multiply(pc.subtract(pc.year(months), 1970), 12), pc.subtract(pc.month(months), 1)
        )
        frame = table.drop_columns(["month"]).to_pandas()
        frame["month_number"] = number.to_numpy().astype(np.int64)
        yield _with_groups(frame, panel, columns)


def _in_files(panel: MemberMonths, columns: Sequence[str]) -> list[str]:
    """Columns to read from the files."""
    given = panel.groups if isinstance(panel, GroupedMonths) else {}
    absent = [each for each in columns if each in OVERLAPPING and each not in given]
    if absent:
        raise DesignError(
            f"the panel has no groups `{absent[0]}`.\n  Add them: with_race_ethnicity(panel, "
            "categories, display='in_combination'), with_populations(panel)."
        )
    names = [each for each in columns if each not in given and each != AGE_BAND]
    return [*names, "age_years"] if AGE_BAND in columns and AGE_BAND not in given else names


def _with_groups(frame: pd.DataFrame, panel: MemberMonths, columns: Sequence[str]) -> pd.DataFrame:
    """A part with the groups that its file does not hold."""
    if isinstance(panel, GroupedMonths):
        for name in (each for each in columns if each in panel.groups):
            frame[name] = panel.groups_of(name, frame["member_id"])
    if AGE_BAND in columns and AGE_BAND not in frame:
        own = panel.age_bands if isinstance(panel, GroupedMonths) else ()
        frame[AGE_BAND] = age_band(frame["age_years"], own or FIRST_AGES).to_numpy()
    return frame


def _part_files(panel: MemberMonths) -> list[Path]:
    """Parquet files of the member months, in order."""
    files = sorted((panel.folder / "member_month").glob("part-*.parquet"))
    if not files:
        raise DesignError(
            "the panel folder holds no `member_month/part-*.parquet`. "
            "Build it again with build_member_months(tables, ...)."
        )
    return files
