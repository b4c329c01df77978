"""Read what partners hold by format, alone or beside the files of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from calaim_eval.engine import engine_failures
from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.schema.tables import TABLES
from calaim_eval.schema.values import as_text
from calaim_eval.tables.formats import SOURCE
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.partners.partner_tables import PartnerTables
from calaim_eval.tables.sources import SourceFiles

if TYPE_CHECKING:
    import ibis

UNLINKED_ROWS = "person of the {} files without a link to a member"

Folders: TypeAlias = Mapping[str, "Path | str | Sequence[Path | str]"]

PARTNER_FORMATS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "hmis": (
            "HUD HMIS CSV exports, FY2024 and FY2026",
            "calaim_eval.tables.partners.hmis:read_hmis",
        ),
        "fhir_sdoh": (
            "FHIR R4 and R5 bundles of SDOH Clinical Care: referral tasks",
            "calaim_eval.tables.partners.fhir_sdoh:read_fhir_sdoh",
        ),
        "plan_exchange": (
            "member information files, return transmissions and outreach trackers of plans",
            "calaim_eval.tables.partners.plan_exchange:read_plan_exchange",
        ),
        "hsds": (
            "HSDS datapackages of resource directories, 2.x, 3.0 and 3.1",
            "calaim_eval.tables.partners.hsds:read_hsds",
        ),
        "icarol": (
            "resource exports shaped as iCarol writes them",
            "calaim_eval.tables.partners.icarol:read_icarol",
        ),
        "survey": (
            "exports of a partner survey, as Qualtrics, REDCap or a spreadsheet write them",
            "calaim_eval.tables.partners.survey_export:read_survey_export",
        ),
    }
)
"""Formats of partners' files: what they are, and the function that reads a folder of them."""


def read_partner_files(folder: Path | str, *, source: str) -> PartnerTables:
    r"""Read the files one partner holds as declared tables.

    Use it to look at a partner's files alone; `read_tables(partners=...)` puts them beside the
    files of a study, where only persons linked to a member are kept.

    Parameters
    ----------
    folder : Path or str
        Folder with the files, and the link files that say whom and what their identifiers mean:
        `member_link`, `organization_link`, `service_map`.
    source : str
        Format of the files: a name of `PARTNER_FORMATS`.

    Returns
    -------
    PartnerTables
        Tables, the version that was recognized, and a ledger of every row.

    Raises
    ------
    TableError
        There are no such files, or a file cannot be used as a whole. Single rows never raise: they
        are set aside and counted.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "Client.csv").write_text("PersonalID,HispanicLatinao,White\n7,0,1\n")
    >>> _ = (folder / "Enrollment.csv").write_text(
    ...     "EnrollmentID,PersonalID,ProjectID,EntryDate\n1,7,2,2024-03-01\n")
    >>> read_partner_files(folder, source="hmis").names
    ('homeless_person', 'race_record', 'homeless_enrollment')
    """
    _require_source(source)
    place = Path(folder)
    _require_folder(place, source)
    module, function = PARTNER_FORMATS[source][1].split(":")
    reader: Callable[[Path], PartnerTables] = getattr(import_module(module), function)
    return reader(place)


def partner_sources(partners: Folders) -> list[tuple[str, Path]]:
    """Each format and folder that is named, in the order given.

    Raises
    ------
    TableError
        A format is not known, or a folder is not there.
    """
    found = []
    for source, named in partners.items():
        _require_source(source)
        for each in [named] if isinstance(named, str | Path) else named:
            _require_folder(Path(each), source)
            found.append((source, Path(each)))
    return found


def describe_partners(sources: Sequence[tuple[str, Path]]) -> tuple[SourceFiles, ...]:
    """All files of each folder, for the fingerprint of a reading; their names are not recorded."""
    return tuple(
        SourceFiles(
            f"partner {source}",
            tuple(sorted(path for path in folder.rglob("*") if path.is_file())),
            "",
            is_bulk=True,
        )
        for source, folder in sources
    )


def add_partners(
    tables: Mapping[str, ibis.Table],
    sources: Sequence[tuple[str, Path]],
    scratch: Path,
    backend: ibis.BaseBackend,
    ledger: RowLedger,
) -> tuple[dict[str, ibis.Table], dict[str, str]]:
    """Tables with the rows of partners' files more, and what the added ones come from.

    Parameters
    ----------
    tables : mapping of str to ibis.Table
        Declared tables of the study's own files.
    sources : sequence of (str, Path)
        Formats and folders.
    scratch : Path
        Where the partners' tables are kept until they are checked; what a broken-off reading has
        left there is used.
    backend : ibis.BaseBackend
    ledger : RowLedger
        Takes what became of every row of the partners' files.
    """
    joined = dict(tables)
    labels: dict[str, str] = {}
    for number, (source, folder) in enumerate(sources):
        kept = scratch / f"{number:02d}-{source}"
        if not kept.is_dir():
            read_partner_files(folder, source=source).save(kept)
        counts = pd.read_csv(kept / "ledger.csv")
        ledger.extend(RowLedger.from_records(counts.to_dict("records")))
        for path in sorted(kept.glob("*.parquet")):
            with engine_failures(doing=f"reading the {source} files of a partner"):
                rows = backend.read_parquet(exactly(path))
            name = path.stem
            rows = _linked(rows, name, source, backend, ledger)
            if rows is None:
                continue
            labels.setdefault(name, f"{source} files")
            joined[name] = _both(joined[name], rows, name) if name in joined else rows
    return joined, labels


def _linked(
    rows: ibis.Table, name: str, source: str, backend: ibis.BaseBackend, ledger: RowLedger
) -> ibis.Table | None:
    """Rows of persons who are members; those of others are counted. Nothing where none is left.

    Most persons of a homeless-services system are no members of the plan, which is no fault of the
    files: their rows do not reach the check for members without eligibility.
    """
    if "member_id" not in TABLES[name].fields:
        return rows
    linked = rows.filter(~rows.member_id.startswith(f"{source}:"))
    n_all, n_linked = (int(backend.execute(each.count())) for each in (rows, linked))
    ledger.add(name, UNLINKED_ROWS.format(source), n_all - n_linked, stage=SOURCE)
    ledger.add(name, USED, n_linked, stage=SOURCE)
    return linked if n_linked else None


def _both(one: ibis.Table, other: ibis.Table, name: str) -> ibis.Table:
    """Rows of two tables of one name, all as text."""
    import ibis

    parts = [
        rows.select(
            **{
                column: as_text(rows[column]) if column in rows.columns else ibis.null("string")
                for column in TABLES[name].fields
                if column in one.columns or column in other.columns
            }
        )
        for rows in (one, other)
    ]
    return ibis.union(*parts)


def _require_source(source: str) -> None:
    """Raise unless the format is known."""
    if source not in PARTNER_FORMATS:
        listed = ", ".join(f"'{each}'" for each in PARTNER_FORMATS)
        raise TableError(f"no format of partners' files is named '{source}'.\n  Allowed: {listed}.")


def _require_folder(folder: Path, source: str) -> None:
    """Raise unless the folder is there."""
    if not folder.is_dir():
        raise TableError(
            f"the folder `{folder}` of {source} files does not exist.\n"
            "  Name the folder that holds the partner's files."
        )
