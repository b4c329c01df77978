"""Read the Tuva input layer: `eligibility`, `medical_claim` and `pharmacy_claim`.

Most columns have the declared names already. `person_id` is the member where it is filled, as the
layer asks, else `member_id`. Race and ethnicity are words and become codes; persons are the rows
of `eligibility`, one each, of the latest span. Claims of several `data_source`s keep apart: their
claim ids carry the source.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.errors import TableError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES
from calaim_eval.schema.values import as_text, read_value
from calaim_eval.tables.formats import SOURCE, SourceTables, count_rows, require_columns
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.sources import find_files, require_folder

if TYPE_CHECKING:
    import ibis

COLUMNS = {
    "eligibility": ("person_id", "member_id", "enrollment_start_date", "enrollment_end_date"),
    "medical_claim": (
        "claim_id",
        "claim_line_number",
        "claim_type",
        "person_id",
        "member_id",
        "claim_start_date",
    ),
    "pharmacy_claim": ("claim_id", "person_id", "member_id", "dispensing_date"),
}
"""Files of the layer this format reads, with the columns needed; the last file is optional."""
PAYER_TYPES = {
    "medicaid": "medicaid",
    "medicare": "medicare",
    "commercial": "commercial",
    "self-insured": "commercial",
}
RACE_CODES = {
    "american indian or alaska native": "1002-5",
    "asian": "2028-9",
    "black or african american": "2054-5",
    "native hawaiian or other pacific islander": "2076-8",
    "white": "2106-3",
    "other race": "2131-1",
    "asked but unknown": "ASKU",
    "unknown": "UNK",
}
ETHNICITY_CODES = {"hispanic or latino": "2135-2", "not hispanic or latino": "2186-5"}
NO_FORM = "claim line of no known form (`claim_type`)"


def open_tuva(folder: Path, *, backend: ibis.BaseBackend) -> SourceTables:
    """Open a folder with tables of the Tuva input layer.

    Parameters
    ----------
    folder : Path
        Folder with `eligibility`, `medical_claim` and, where there is one, `pharmacy_claim`, each
        `.csv`, `.csv.gz` or `.parquet`.
    backend : ibis.BaseBackend
        Engine that will run the expressions.

    Returns
    -------
    SourceTables
        The same tables as declared, and `person`.

    Raises
    ------
    TableError
        A file or one of its needed columns is not there.
    """
    from calaim_eval.tables.monthly_wide import upper_columns

    require_folder(folder)
    files = {name: each for name in COLUMNS if (each := find_files(folder, name)) is not None}
    lacking = [name for name in ("eligibility", "medical_claim") if name not in files]
    if lacking:
        there = ", ".join(f"`{path.name}`" for path in sorted(folder.iterdir())) or "nothing"
        raise TableError(
            f"`{folder}` lacks the Tuva table `{lacking[0]}`; it holds {there}.\n"
            f"  Export the tables of the input layer: {', '.join(f'`{name}`' for name in COLUMNS)}."
        )
    opened = {}
    for name, each in files.items():
        rows = upper_columns(each.open(backend))
        rows = rows.rename(str.lower)
        require_columns(rows, f"Tuva table `{name}`", COLUMNS[name])
        opened[name] = rows.mutate(member=_member(rows)).view()
    ledger = RowLedger()
    tables = {
        "eligibility": _eligibility(opened["eligibility"]),
        "person": _person(opened["eligibility"]),
        "medical_claim": _medical_claim(opened["medical_claim"], ledger, backend),
    }
    if "pharmacy_claim" in opened:
        tables["pharmacy_claim"] = _claims(opened["pharmacy_claim"], "pharmacy_claim", backend)
    labels = {name: f"Tuva {'eligibility' if name == 'person' else name}" for name in tables}
    ledger.check(
        source_name("medical_claim"),
        SOURCE,
        int(backend.execute(opened["medical_claim"].count())),
    )
    apart = {name: rows.view() for name, rows in tables.items()}
    return SourceTables(apart, labels, tuple(files.values()), ledger)


def source_name(name: str) -> str:
    """Name of a table of the layer in the ledger."""
    return f"tuva {name}"


def _member(rows: ibis.Table) -> ibis.Value:
    """The person, or the plan's identifier where there is none."""
    import ibis

    return ibis.coalesce(as_text(rows.person_id), as_text(rows.member_id))


def _declared(rows: ibis.Table, table: str) -> dict[str, ibis.Value]:
    """Columns that have their declared names already."""
    return {
        column: rows[column]
        for column in TABLES[table].fields
        if column in rows.columns and column != "member_id"
    }


def _eligibility(rows: ibis.Table) -> ibis.Table:
    """Spans; the name of the plan, or of the payer where there is none."""
    columns = _declared(rows, "eligibility")
    if "payer" in rows.columns:
        plan = columns.get("plan", rows.payer)
        columns["plan"] = as_text(plan).fill_null(as_text(rows.payer))
    if "payer_type" in columns:
        word = as_text(columns["payer_type"]).lower()
        columns["payer_type"] = word.cases(*PAYER_TYPES.items(), else_=word)
    return rows.select(member_id=rows.member, **columns)


def _person(rows: ibis.Table) -> ibis.Table:
    """One row per member, of the latest span; ties are broken completely."""
    import ibis

    start = read_value(rows.enrollment_start_date, "enrollment_start_date")
    rows = rows.mutate(start=start).view()
    order = [ibis.desc(rows.start, nulls_first=False)]
    order += [rows[column] for column in rows.columns if column != "start"]
    place = ibis.row_number().over(ibis.window(group_by="member", order_by=order))
    latest = rows.mutate(place=place)
    latest = latest.filter((latest.place == 0) & latest.member.notnull())
    columns = {
        name: latest[name] if name in latest.columns else ibis.null("string")
        for name in ("birth_date", "death_date")
    }
    race, ethnicity = (
        as_text(latest[name]).lower() if name in latest.columns else ibis.null("string")
        for name in ("race", "ethnicity")
    )
    system = ibis.literal("cdc_omb")
    return latest.select(
        member_id=latest.member,
        **columns,
        sex=latest.gender if "gender" in latest.columns else ibis.null("string"),
        race_code=race.cases(*RACE_CODES.items(), else_=race),
        race_code_system=system,
        ethnicity_code=ethnicity.cases(*ETHNICITY_CODES.items(), else_=ethnicity),
        ethnicity_code_system=system,
    )


def _medical_claim(rows: ibis.Table, ledger: RowLedger, backend: ibis.BaseBackend) -> ibis.Table:
    """Claim lines; those of no form of medical claim are counted and left out."""
    form = as_text(rows.claim_type).lower()
    is_formless = ~form.isin(FIELDS["claim_type"].values).fill_null(False)
    marked = rows.mutate(fate=is_formless.ifelse(NO_FORM, USED))
    count_rows(ledger, source_name("medical_claim"), marked, marked.fate, backend)
    return _claims(marked.filter(marked.fate == USED), "medical_claim", backend)


def _claims(rows: ibis.Table, table: str, backend: ibis.BaseBackend) -> ibis.Table:
    """Claim lines under declared names, their ids told apart by source where there are several."""
    columns = _declared(rows, table)
    if "data_source" in rows.columns:
        source = as_text(rows.data_source)
        if int(backend.execute(source.nunique())) > 1:
            columns["claim_id"] = source.fill_null("") + ":" + as_text(rows.claim_id)
    return rows.select(member_id=rows.member, **columns)
