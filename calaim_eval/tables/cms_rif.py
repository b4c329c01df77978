"""Read Medicare research files (RIF): beneficiary years, claims and drug events of CMS.

Text files with one row per beneficiary and year, or per claim line with the header repeated on it,
as the Beneficiary FHIR Data server loads them; the column names of the Master Beneficiary Summary
File are known as well. A file is of the kind whose word its name holds (`KINDS`), so
`carrier.csv`, `carrier_2015.txt` and `sample-a-carrier.txt` are all carrier claims. What each
column becomes is in `cms_rif_beneficiary` and `cms_rif_claims`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.tables.formats import SOURCE, SourceTables
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.sources import SourceFiles, find_by_name, require_folder

if TYPE_CHECKING:
    import ibis

KINDS = {
    "beneficiary_history": ("beneficiary_history",),
    "beneficiary": ("beneficiary", "mbsf"),
    "inpatient": ("inpatient",),
    "outpatient": ("outpatient",),
    "snf": ("snf",),
    "hha": ("hha",),
    "hospice": ("hospice",),
    "carrier": ("carrier",),
    "dme": ("dme",),
    "pde": ("pde",),
}
"""Kinds of files, and the words in a file's name that tell them; the first kind that fits."""
_SUFFIXES = (".csv", ".txt", ".csv.gz", ".txt.gz")


def open_cms_rif(folder: Path, *, backend: ibis.BaseBackend) -> SourceTables:
    """Open a folder of Medicare research files.

    Parameters
    ----------
    folder : Path
        Folder with the files, each `.csv` or `.txt`, packed with gzip or not, with any of the
        delimiters of `text_files.DELIMITERS`.
    backend : ibis.BaseBackend
        Engine that will run the expressions.

    Returns
    -------
    SourceTables
        `eligibility_month` and `person`; `medical_claim` and `pharmacy_claim` where there are
        such files.

    Raises
    ------
    TableError
        No beneficiary file is there, or a file lacks a column the reader needs.
    """
    from calaim_eval.tables.cms_rif_beneficiary import beneficiary_tables
    from calaim_eval.tables.cms_rif_claims import claim_tables
    from calaim_eval.tables.monthly_wide import upper_columns

    require_folder(folder)
    files = find_rif_files(folder)
    opened = {kind: upper_columns(each.open(backend)) for kind, each in files.items()}
    ledger = RowLedger()
    tables = beneficiary_tables(opened, ledger, backend)
    tables |= claim_tables(opened, ledger, backend)
    for kind, rows in opened.items():
        ledger.check(source_name(kind), SOURCE, int(backend.execute(rows.count())))
    labels = dict.fromkeys(tables, "Medicare research files")
    apart = {name: rows.view() for name, rows in tables.items()}
    return SourceTables(apart, labels, tuple(files.values()), ledger)


def find_rif_files(folder: Path) -> dict[str, SourceFiles]:
    """Files of each kind; files of no kind are named in the log.

    Raises
    ------
    TableError
        No beneficiary file is there.
    """
    return find_by_name(
        folder,
        kind_of,
        suffixes=_SUFFIXES,
        needed="beneficiary",
        lacking="has no Medicare beneficiary file",
        name_it="Name the files of each year `beneficiary_<year>.csv`; the names of claim files "
        f"hold one of {', '.join(f'`{kind}`' for kind in list(KINDS)[2:])}.",
        source_name=source_name,
    )


def kind_of(name: str) -> str:
    """Kind of a file by its name, empty for none.

    Examples
    --------
    >>> kind_of("beneficiary_2015.csv"), kind_of("sample-a-carrier.txt"), kind_of("summary.csv")
    ('beneficiary', 'carrier', '')
    """
    for kind, words in KINDS.items():
        for word in words:
            if re.search(rf"(?<![a-z]){word}(?![a-z])", name.lower()):
                return kind
    return ""


def source_name(kind: str) -> str:
    """Name of a kind of files in the ledger."""
    return f"cms_rif {kind}"
