"""Totals of a panel by month, without members: small enough to keep from quarter to quarter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from calaim_eval.engine import engine_failures, open_engine, write_json
from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.panel.member_months import MANIFEST, MemberMonths

if TYPE_CHECKING:
    import ibis

MEMBER_MONTHS = "member_months"
GROUPS = ("month", "plan", "county", "aid_code", "sex", "race_ethnicity", "language")
_FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class PanelSummary:
    """What a panel adds up to.

    Attributes
    ----------
    totals : pd.DataFrame
        One row per group and measure: the columns `by`, `measure` and `total`. `measure` is
        ``"member_months"`` (covered months) or a measure of the panel; `total` is missing where
        the measure cannot be known. A missing plan, county or code is ``""``. Holds counts of
        groups of any size: keep it restricted.
    by : tuple[str, ...]
        Columns that make the groups; `month` (first day) is one of them.
    first_month, last_month : pd.Period
        Window of the panel.
    rules : mapping of str to object
        Rules of the panel, as `PanelRules.to_dict` gives them.
    data_end_month : pd.Period or None
        Month the panel's data end in; None where nobody knows.
    definitions_sha256 : str
        Hash of what the panel's measures mean; "" where nobody knows.
    """

    totals: pd.DataFrame
    by: tuple[str, ...]
    first_month: pd.Period
    last_month: pd.Period
    rules: Mapping[str, Any]
    data_end_month: pd.Period | None
    definitions_sha256: str = ""

    def save(self, path: str | Path) -> None:
        """Write it as a JSON file."""
        rows = self.totals.assign(month=self.totals["month"].dt.strftime("%Y-%m"))
        held = {
            "format_version": _FORMAT_VERSION,
            "by": list(self.by),
            "first_month": str(self.first_month),
            "last_month": str(self.last_month),
            "rules": dict(self.rules),
            "definitions_sha256": self.definitions_sha256,
            "data_end_month": None if self.data_end_month is None else str(self.data_end_month),
            "totals": json.loads(rows.to_json(orient="split", index=False, double_precision=15)),
        }
        write_json(held, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> PanelSummary:
        """Read what `save` wrote.

        Raises
        ------
        TableError
            The file is not a summary this version reads.
        """
        held = _read_summary(Path(path))
        totals = pd.DataFrame(held["totals"]["data"], columns=held["totals"]["columns"])
        totals["month"] = pd.to_datetime(totals["month"], format="%Y-%m").astype("datetime64[s]")
        totals["total"] = totals["total"].astype("float64")
        end = held["data_end_month"]
        return cls(
            totals=totals,
            by=tuple(held["by"]),
            first_month=pd.Period(held["first_month"], "M"),
            last_month=pd.Period(held["last_month"], "M"),
            rules=_plain(held["rules"]),
            data_end_month=None if end is None else pd.Period(end, "M"),
            definitions_sha256=held.get("definitions_sha256", ""),
        )

    def __repr__(self) -> str:
        """Window and groups; never totals."""
        return (
            f"PanelSummary({self.first_month} to {self.last_month} by {', '.join(self.by)}; "
            f"data to {self.data_end_month or 'unknown'})"
        )


def summarize_panel(
    panel: MemberMonths,
    *,
    by: Sequence[str] = ("month",),
    data_end_month: str | pd.Period | None = None,
) -> PanelSummary:
    """Add a panel up by month, and by plan, county or another attribute where wanted.

    Parameters
    ----------
    panel : MemberMonths
    by : sequence of str
        `month`, and any of `plan`, `county`, `aid_code`, `sex`, `race_ethnicity`, `language`.
    data_end_month : str or pd.Period, optional
        Month the data end in; what the panel's manifest says by default.

    Returns
    -------
    PanelSummary

    Raises
    ------
    TableError
        `by` lacks `month` or names a column that makes no groups.

    Examples
    --------
    >>> months = pd.DataFrame({"member_id": ["a", "b"], "month": "2024-01-01",
    ...                        "covered_days": 31, "ed_visits": [2, 1]})
    >>> told = summarize_panel(MemberMonths.from_frames(months)).totals.set_index("measure")
    >>> told.loc[["member_months", "ed_visits"], "total"].tolist()
    [2.0, 3.0]
    """
    groups = check_groups(by)
    end = data_end_month or _data_end_month(panel)
    backend = open_engine()
    try:
        with engine_failures(doing="adding up the panel"):
            rows = backend.read_parquet(f"{exactly(panel.folder)}/member_month/part-*.parquet")
            totals = _totals(rows, groups, panel, backend)
    finally:
        backend.disconnect()
    return PanelSummary(
        totals=totals,
        by=groups,
        first_month=panel.first_month,
        last_month=panel.last_month,
        rules=_plain(panel.rules.to_dict()),
        data_end_month=None if end is None else pd.Period(end, "M"),
        definitions_sha256=panel.definitions_sha256,
    )


def check_groups(by: str | Sequence[str]) -> tuple[str, ...]:
    """Columns that make groups, in their order.

    Raises
    ------
    TableError
        `month` is not among them, or one of them makes no groups.
    """
    by = (by,) if isinstance(by, str) else tuple(by)
    unknown = [column for column in by if column not in GROUPS]
    if "month" not in by or unknown:
        problem = f"`{unknown[0]}` is none of them" if unknown else "`month` is not among them"
        listed = ", ".join(f"`{column}`" for column in GROUPS)
        raise TableError(f"`by`: {problem}.\n  Give `month` and any of {listed}.")
    return tuple(dict.fromkeys(by))


def keyed(rows: ibis.Table, by: Sequence[str]) -> dict[str, Any]:
    """Group columns of member months; a missing value is a group of its own, ``""``."""
    return {each: rows[each] if each == "month" else rows[each].fill_null("") for each in by}


def _totals(
    rows: ibis.Table, by: tuple[str, ...], panel: MemberMonths, backend: ibis.BaseBackend
) -> pd.DataFrame:
    """Sums of every group, one row per measure."""
    measures = [measure for measure in panel.measures if measure in rows.columns]
    sums = {measure: rows[measure].sum().cast("float64") for measure in measures}
    counted = rows.group_by(**keyed(rows, by)).agg(
        **{MEMBER_MONTHS: rows.count().cast("float64")}, **sums
    )
    wide = backend.execute(counted)
    wide["month"] = pd.to_datetime(wide["month"]).astype("datetime64[s]")
    long = wide.melt(id_vars=list(by), var_name="measure", value_name="total")
    order = pd.Categorical(long["measure"], categories=[MEMBER_MONTHS, *measures], ordered=True)
    return (
        long.assign(place=order.codes)
        .sort_values(["place", *by], ignore_index=True)
        .drop(columns="place")
        .astype({"measure": "str", "total": "float64"})
    )


def _data_end_month(panel: MemberMonths) -> str | None:
    """Month the data of a panel end in, as its manifest says."""
    path = panel.folder / MANIFEST
    if not path.is_file():
        return None
    end: str | None = (
        json.loads(path.read_text(encoding="utf-8")).get("data", {}).get("data_end_month")
    )
    return end


def _read_summary(path: Path) -> dict[str, Any]:
    """Content of a summary; raise where it is none."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        held = None
    if not isinstance(held, dict) or held.get("format_version") != _FORMAT_VERSION:
        raise TableError(
            f"`{path.name}` is not a panel summary this version reads.\n"
            "  Build the panel of that quarter again to write it anew, or remove the file."
        )
    return held


def _plain(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Rules as a JSON file gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(rules)))
    return plain
