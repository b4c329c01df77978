"""Read Medicare coverage history as the CMS Integrated Data Repository (IDR) keeps it.

One file a table of the repository, told by the end of its name (`FILES`): `BENE_MDCR_STUS` is
needed, the others add to it. Rows are bitemporal: only the version in force counts, the one marked
latest whose obsolete day is the end of time. 9999-12-31 stands for no end; 1000-01-01 and earlier
days stand for a day nobody knows. `~` stands for no value.

What becomes of the rows is in `cms_idr_coverage`; the repository has claims too, which this format
does not read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.tables.formats import SOURCE, SourceTables, require_columns
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.sources import SourceFiles, find_by_name, require_folder

if TYPE_CHECKING:
    import ibis

FILES = {
    "MDCR_STUS": ("BENE_SK", "BENE_MDCR_STUS_CD", "MDCR_STUS_BGN_DT", "MDCR_STUS_END_DT"),
    "CMBND_DUAL_MDCR": (
        "BENE_SK",
        "BENE_DUAL_STUS_CD",
        "BENE_MDCD_ELGBLTY_BGN_DT",
        "BENE_MDCD_ELGBLTY_END_DT",
    ),
    "TP": ("BENE_SK", "BENE_BUYIN_CD", "BENE_RNG_BGN_DT", "BENE_RNG_END_DT"),
    "MAPD_ENRLMT": (
        "BENE_SK",
        "BENE_CNTRCT_NUM",
        "BENE_PBP_NUM",
        "BENE_ENRLMT_PGM_TYPE_CD",
        "BENE_ENRLMT_BGN_DT",
        "BENE_ENRLMT_END_DT",
    ),
    "XREF": ("BENE_SK", "BENE_XREF_SK", "BENE_KILL_CRED_CD"),
    "HSTRY": ("BENE_SK", "BENE_BRTH_DT", "BENE_DEATH_DT", "BENE_SEX_CD", "BENE_RACE_CD"),
    "MDCR_ENTLMT": (),
    "MDCR_ENTLMT_RSN": (),
    "MAPD_ENRLMT_RX": (),
    "LIS": (),
}
"""Tables by the end of their name after `BENE_`, with the columns needed; none is not needed."""
_SUFFIXES = (".csv", ".csv.gz")


def open_cms_idr(folder: Path, *, backend: ibis.BaseBackend) -> SourceTables:
    """Open a folder of coverage tables of the repository.

    Parameters
    ----------
    folder : Path
        Folder with files named after their tables, such as `V2_MDCR_BENE_MDCR_STUS.csv` or
        `SYNTHETIC_BENE_TP.csv.gz`.
    backend : ibis.BaseBackend
        Engine that will run the expressions.

    Returns
    -------
    SourceTables
        `eligibility`; `member_xref` where there is a cross-reference, `person` where there is the
        history of beneficiaries.

    Raises
    ------
    TableError
        `BENE_MDCR_STUS` is not there, or a file lacks a column the reader needs.
    """
    from calaim_eval.tables.cms_idr_coverage import coverage_tables
    from calaim_eval.tables.monthly_wide import upper_columns

    require_folder(folder)
    files = find_idr_files(folder)
    opened = {name: upper_columns(each.open(backend)) for name, each in files.items()}
    for name, rows in opened.items():
        require_columns(rows, f"IDR file `BENE_{name}`", FILES[name])
    ledger = RowLedger()
    tables = coverage_tables(opened, ledger, backend)
    for name, rows in opened.items():
        ledger.check(source_name(name), SOURCE, int(backend.execute(rows.count())))
    labels = dict.fromkeys(tables, "IDR coverage files")
    apart = {name: rows.view() for name, rows in tables.items()}
    return SourceTables(apart, labels, tuple(files.values()), ledger)


def find_idr_files(folder: Path) -> dict[str, SourceFiles]:
    """Files of each table; files of no known table are named in the log.

    Raises
    ------
    TableError
        `BENE_MDCR_STUS` is not there.
    """
    return find_by_name(
        folder,
        table_of,
        suffixes=_SUFFIXES,
        needed="MDCR_STUS",
        lacking="lacks the IDR table `BENE_MDCR_STUS`",
        name_it="Name each file after its table, such as `BENE_MDCR_STUS.csv`.",
        source_name=source_name,
    )


def table_of(file: str) -> str:
    """Table of a file by its name, empty for none.

    Examples
    --------
    >>> table_of("SYNTHETIC_BENE_MDCR_ENTLMT_RSN.csv"), table_of("contracts.csv")
    ('MDCR_ENTLMT_RSN', '')
    """
    found = re.match(r"(?:.*_)?BENE_([A-Z_]+)\.", file.upper())
    return found.group(1) if found and found.group(1) in FILES else ""


def source_name(name: str) -> str:
    """Name of a table's files in the ledger."""
    return f"cms_idr BENE_{name}"
