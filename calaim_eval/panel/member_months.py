"""`MemberMonths`: the member-month panel on disk, with its rules and the ledger of every row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.engine import write_json
from calaim_eval.errors import TableError
from calaim_eval.panel.columns import (
    BASE_COLUMNS,
    EXPOSURE_COLUMNS,
    POPULATION_COLUMNS,
    UNCLASSIFIED_KEY,
)
from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.panel.rules import PanelRules
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables.ledger import RowLedger

ALL_MEASURES = (*MEASURES, *EXPOSURES)
MANIFEST = "manifest.json"
FORMAT_VERSION = 4
PANEL_TABLES = ("member_month", "member_exposure", "member_population")
"""Tables of a panel; each has a part for every bucket."""


@dataclass(frozen=True)
class MemberMonths:
    """Covered months of members with their monthly measures, as parquet parts.

    Attributes
    ----------
    folder : Path
        ``folder/member_month/part-0000.parquet`` and on: the columns of the table `member_month`,
        sorted by `member_id` and `month`. ``folder/member_exposure/part-0000.parquet`` and on: one
        row per member and service with any record (see `exposure_frame`).
        ``folder/member_population/part-0000.parquet`` and on: one row per member and population of
        focus (see `population_frame`).
    n_buckets : int
        Parts of each; a member is in the same part of all.
    first_month, last_month : pd.Period
        Window, both months included.
    rules : PanelRules
        Rules the panel was built by.
    ledger : RowLedger
        Every input row, from reading to the panel. Stage ``"panel"`` adds up to the rows read;
        stage ``"events"`` says what became of every visit, stay and service built from them.
    n_members, n_member_months : int
    feeds : frozenset[str]
        Optional input tables that were present.
    n_unclassified : int
        Final claim lines with a program's procedure code and no modifier that tells which
        service it was.
    amounts : pd.DataFrame
        `table`, `reason`, `paid_usd`: every dollar of the claims that were read, used or not; rows
        that the reading set aside are counted in the ledger, without their dollars.
    unobserved_months : mapping of str to tuple of str
        Measures that cannot be known in some months ("2024-12"); their values there are missing.
    measures : tuple[str, ...]
        Columns of the panel that are measures, in order.
    definitions_sha256 : str
        Hash of what the measures mean and of the code lists behind them; "" where nobody knows.
    notes : tuple[str, ...]
        What a reader of the panel must know.
    unclassified : pd.DataFrame
        The lines of `n_unclassified` by `hcpcs_code`, `modifiers` (all of the line, sorted, joined
        by ``";"``; ``""`` without any) and `reason`, with `n_lines`; most lines first. Holds no
        member.
    """

    folder: Path
    n_buckets: int
    first_month: pd.Period
    last_month: pd.Period
    rules: PanelRules
    ledger: RowLedger
    n_members: int
    n_member_months: int
    feeds: frozenset[str]
    n_unclassified: int = 0
    amounts: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame({"table": [], "reason": [], "paid_usd": []})
    )
    unobserved_months: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measures: tuple[str, ...] = ALL_MEASURES
    definitions_sha256: str = ""
    notes: tuple[str, ...] = ()
    unclassified: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=[*UNCLASSIFIED_KEY, "n_lines"])
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the member months."""
        return (*BASE_COLUMNS, *self.measures)

    @property
    def months(self) -> pd.PeriodIndex:
        """Months of the window."""
        return pd.period_range(self.first_month, self.last_month, freq="M")

    def observed_months(self, measure: str) -> pd.PeriodIndex:
        """Months of the window in which a measure is known.

        Parameters
        ----------
        measure : str
            Column of the panel, such as ``"readmissions_30d"``: unknown where the claims end
            before every discharge has been followed for 30 days.

        Raises
        ------
        TableError
            The panel has no such column.
        """
        _require_columns([measure], self.columns, "member_month")
        hidden = pd.PeriodIndex(self.unobserved_months.get(measure, ()), freq="M")
        return self.months.difference(hidden)

    def to_frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read the member months into memory.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns to read; all by default.

        Returns
        -------
        pd.DataFrame
            One row per member and covered month, sorted by member within a part; `month` is the
            first day as `datetime64`, flags are `boolean`, counts `int64`, or `float64` where some
            are missing.
        """
        wanted = list(self.columns if columns is None else columns)
        _require_columns(wanted, self.columns, "member_month")
        return _read(self.folder / "member_month", wanted)

    def exposure_frame(self, service: str | None = None) -> pd.DataFrame:
        """First identification, outreach and service of each member.

        Parameters
        ----------
        service : str, optional
            ``"ecm"``, a Community Support, or ``"any_community_support"``; all by default.

        Returns
        -------
        pd.DataFrame
            `member_id`, `service`, `identified_month`, `outreach_month`, `service_month` (first
            ever, inside the window or not; `NaT` where there was none), `last_service_month`,
            `n_service_months` (months with any service), `authorized_month` (first) and
            `n_authorizations` (one per support and day; authorized is not received),
            `organization_type` of the organization that gave the first service (missing where
            unknown) and `population_of_focus` (codes joined by ``";"``, sorted). One row per member
            and service with any record; members without a row were never identified, reached,
            authorized or served.

        Raises
        ------
        TableError
            No Community Support has that name.
        """
        from calaim_eval.schema.codes import load_codes

        frame = _read(self.folder / "member_exposure", list(EXPOSURE_COLUMNS))
        if service is None:
            return frame
        known = ("ecm", "any_community_support", *load_codes("community_support")["service"])
        if service not in known:
            listed = ", ".join(f"`{each}`" for each in known)
            raise TableError(f"no service is named `{service}`.\n  Services: {listed}.")
        return frame[frame["service"] == service].reset_index(drop=True)

    def population_frame(self, population: str | None = None) -> pd.DataFrame:
        """Populations of focus of each member, and how they are known.

        Parameters
        ----------
        population : str, optional
            A code of the list `population_of_focus`, such as ``"1a"``; all by default.

        Returns
        -------
        pd.DataFrame
            `member_id`, `population`, `age_group` in `first_month` (missing without a birth date),
            `basis` (``"claims"``: claims, coverage or custody feed; ``"program_file"``;
            ``"both"``), `evidence` (names of the code list `population_evidence` joined by ``";"``;
            missing for the program file alone), `first_month` identified, and apart
            `claims_month` and `program_month` (`NaT` where there was none). One row per member and
            population. Populations overlap: their members are never added up
            (`members_by_population`).

        Raises
        ------
        TableError
            No population has that code.
        """
        from calaim_eval.schema.codes import load_codes

        frame = _read(self.folder / "member_population", list(POPULATION_COLUMNS))
        if population is None:
            return frame
        known = tuple(dict.fromkeys(load_codes("population_of_focus")["code"]))
        if population not in known:
            listed = ", ".join(f"`{each}`" for each in known)
            raise TableError(
                f"no population of focus has the code `{population}`.\n  Codes: {listed}."
            )
        return frame[frame["population"] == population].reset_index(drop=True)

    @classmethod
    def open(cls, folder: str | Path) -> MemberMonths:
        """Open a panel that `build_member_months` wrote.

        Raises
        ------
        TableError
            The folder holds no finished panel, or parts of it are gone.
        """
        path = Path(folder) / MANIFEST
        if not path.is_file():
            raise TableError(
                f"`{path.parent}` holds no finished panel (no {MANIFEST}).\n"
                "  Run build_member_months(..., out_dir=that folder) again: it resumes where it "
                "stopped."
            )
        held = json.loads(path.read_text(encoding="utf-8"))
        panel = _from_manifest(path.parent, held)
        _require_parts(panel)
        return panel

    @classmethod
    def from_frames(
        cls,
        member_month: pd.DataFrame,
        member_exposure: pd.DataFrame | None = None,
        member_population: pd.DataFrame | None = None,
        *,
        folder: str | Path | None = None,
        rules: PanelRules | None = None,
        feeds: Sequence[str] = ("program_service",),
    ) -> MemberMonths:
        """Panel from frames that were built elsewhere.

        Parameters
        ----------
        member_month : pd.DataFrame
            At least `member_id`, `month` and `covered_days`; other columns of the table
            `member_month` are missing where absent. Not changed.
        member_exposure : pd.DataFrame, optional
            Columns as `exposure_frame` returns; those absent are missing.
        member_population : pd.DataFrame, optional
            Columns as `population_frame` returns; those absent are missing.
        folder : path, optional
            Where to write; a temporary folder by default.
        rules : PanelRules, optional
            Rules the months were built by.
        feeds : sequence of str
            Optional input tables behind the frames.

        Raises
        ------
        TableError
            A column is absent or no column of the table, or a member's month repeats.

        Examples
        --------
        >>> months = pd.DataFrame({"member_id": ["a", "a"], "covered_days": [31, 28],
        ...                        "month": ["2022-01-01", "2022-02-01"], "ed_visits": [1, 0]})
        >>> MemberMonths.from_frames(months).n_member_months
        2
        """
        from calaim_eval.panel.from_frames import write_frames

        return write_frames(
            member_month,
            member_exposure,
            member_population,
            folder=folder,
            rules=rules or PanelRules(),
            feeds=feeds,
        )

    def save_manifest(self, extra: Mapping[str, Any]) -> None:
        """Write ``manifest.json``; the panel counts as finished from then on."""
        held = {
            "format_version": FORMAT_VERSION,
            "n_buckets": self.n_buckets,
            "first_month": str(self.first_month),
            "last_month": str(self.last_month),
            "rules": self.rules.to_dict(),
            "n_members": self.n_members,
            "n_member_months": self.n_member_months,
            "n_unclassified": self.n_unclassified,
            "feeds": sorted(self.feeds),
            "measures": list(self.measures),
            "definitions_sha256": self.definitions_sha256,
            "notes": list(self.notes),
            "unobserved_months": {k: list(v) for k, v in self.unobserved_months.items()},
            "ledger": self.ledger.to_frame().to_dict("records"),
            "amounts": self.amounts.to_dict("records"),
            "unclassified": self.unclassified.to_dict("records"),
            **extra,
        }
        write_json(held, self.folder / MANIFEST)

    def __repr__(self) -> str:
        """Counts, window and rules; never rows."""
        payers = ", ".join(self.rules.payer_types)
        lines = [
            f"MemberMonths({self.n_members:,} members, {self.n_member_months:,} member-months, "
            f"{self.first_month} to {self.last_month})",
            f"  rules: {self.rules.month_rule} coverage, payers {payers}, "
            f"duals {'left out' if self.rules.exclude_duals else 'kept'}",
            f"  optional tables: {', '.join(sorted(self.feeds)) or 'none'}",
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def _from_manifest(folder: Path, held: Mapping[str, Any]) -> MemberMonths:
    """The panel a manifest describes."""
    if held.get("format_version") != FORMAT_VERSION:
        raise TableError(
            f"`{folder}` holds a panel of format {held.get('format_version')}; this version reads "
            f"format {FORMAT_VERSION}.\n  Build the panel again."
        )
    return MemberMonths(
        folder=folder,
        n_buckets=held["n_buckets"],
        first_month=pd.Period(held["first_month"], "M"),
        last_month=pd.Period(held["last_month"], "M"),
        rules=PanelRules.from_dict(held["rules"]),
        ledger=RowLedger.from_frame(
            pd.DataFrame(held["ledger"], columns=["table", "stage", "reason", "n_rows"])
        ),
        n_members=held["n_members"],
        n_member_months=held["n_member_months"],
        feeds=frozenset(held["feeds"]),
        n_unclassified=held["n_unclassified"],
        amounts=pd.DataFrame(held["amounts"], columns=["table", "reason", "paid_usd"]),
        unobserved_months={k: tuple(v) for k, v in held["unobserved_months"].items()},
        measures=tuple(held["measures"]),
        definitions_sha256=held.get("definitions_sha256", ""),
        notes=tuple(held["notes"]),
        unclassified=pd.DataFrame(held["unclassified"], columns=[*UNCLASSIFIED_KEY, "n_lines"]),
    )


def _require_parts(panel: MemberMonths) -> None:
    """Raise unless every part of every table is there."""
    for table in PANEL_TABLES:
        absent = [
            part
            for part in range(panel.n_buckets)
            if not (panel.folder / table / f"part-{part:04d}.parquet").is_file()
        ]
        if absent:
            raise TableError(
                f"`{panel.folder}`: {len(absent)} of {panel.n_buckets} parts of `{table}` are gone."
                "\n  Run build_member_months(..., out_dir=that folder) again: it writes only those."
            )


def _require_columns(wanted: Sequence[str], known: Sequence[str], table: str) -> None:
    """Raise unless every column is one of the table's."""
    unknown = [column for column in wanted if column not in known]
    if unknown:
        listed = ", ".join(f"`{each}`" for each in known)
        raise TableError(f"table `{table}` has no column `{unknown[0]}`.\n  Its columns: {listed}.")


def _read(folder: Path, columns: list[str]) -> pd.DataFrame:
    """All parts of one table of the panel."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = sorted(folder.glob("part-*.parquet"))
    tables = [pq.read_table(part, columns=columns) for part in parts]
    table = pa.concat_tables(tables, promote_options="default")
    frame = table.to_pandas(
        date_as_object=False, types_mapper={pa.bool_(): pd.BooleanDtype()}.get, ignore_metadata=True
    )
    months = [column for column in frame if _is_month(column)]
    return frame.astype(dict.fromkeys(months, "datetime64[s]"))


def _is_month(column: str) -> bool:
    """Whether a column holds first days of months."""
    declared = FIELDS.get(column)
    return column.endswith("_month") or (declared is not None and declared.dtype == "month")
