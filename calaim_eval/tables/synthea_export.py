"""Synthea's own CSV export, as declared tables.

A charge is a claim line. The payments that follow it within its claim, up to the next charge, pay
for it: those by electronic check come from the payer and are `paid_amount` (a reversal counts
against them), the others come from the member. Transfers only move what is owed. Charges for
medications are the fills of `medications`, which is the pharmacy table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.tables.formats import count_rows, require_columns
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.synthea import source_name
from calaim_eval.tables.synthea_codes import PLAN_PAYMENT_METHOD
from calaim_eval.tables.synthea_columns import (
    claim_columns,
    encounter_class,
    last_covered_day,
    payer_columns,
    person_columns,
)

if TYPE_CHECKING:
    import ibis

MEDICATION = "medication, told by `medications`"
MEMBER_PAYMENT = "payment by the member"
TRANSFER = "transfer of what is owed (nets to nothing)"
NO_CHARGE = "payment without a charge before it"
NO_ENCOUNTER = "encounter is not in the export"
NO_CLASS = "encounter class without a coding"
NO_LINE = "encounter without a charge"
UNKNOWN_TYPE = "transaction of another type"
NOT_NEEDED = "not needed (told by other files)"
_COLUMNS = {
    "patients": "Id BIRTHDATE DEATHDATE RACE ETHNICITY GENDER COUNTY",
    "payers": "Id NAME",
    "payer_transitions": "PATIENT PAYER",
    "encounters": "Id START STOP PATIENT ORGANIZATION PROVIDER ENCOUNTERCLASS",
    "claims": "Id APPOINTMENTID",
    "claims_transactions": (
        "CLAIMID CHARGEID PATIENTID TYPE AMOUNT METHOD PROCEDURECODE PAYMENTS APPOINTMENTID"
    ),
    "medications": "START PATIENT PAYER ENCOUNTER CODE PAYER_COVERAGE DISPENSES",
    "organizations": "Id NAME",
}


def export_tables(
    files: Mapping[str, ibis.Table], backend: ibis.BaseBackend
) -> tuple[dict[str, ibis.Table], RowLedger]:
    """Declared tables and what became of every row of the files."""
    for file, columns in _COLUMNS.items():
        require_columns(files[file], f"Synthea file `{file}`", tuple(columns.split()))
    transactions = _transactions(files)
    lines = _charges(transactions)
    ledger = _ledger(files, transactions, backend)
    tables = {
        "eligibility": _eligibility(files["payer_transitions"], files["payers"]),
        "person": _person(files["patients"]),
        "medical_claim": _medical_claim(lines),
        "pharmacy_claim": _pharmacy_claim(files["medications"], files["payers"]),
        "organization": _organization(files["organizations"]),
    }
    return tables, ledger


def _eligibility(spans: ibis.Table, payers: ibis.Table) -> ibis.Table:
    """Spans with the name of their payer."""
    starts = [name for name in ("START_YEAR", "START_DATE") if name in spans.columns]
    require_columns(spans, "Synthea file `payer_transitions`", (*(starts or ["START_DATE"]),))
    start_column = starts[0]
    end_column = start_column.replace("START", "END")
    require_columns(spans, "Synthea file `payer_transitions`", (end_column,))
    named = spans.left_join(payers.select(PAYER="Id", NAME="NAME"), "PAYER")
    start = named[start_column]
    is_year = start.re_search(r"^\d{4}$")
    return named.select(
        member_id=named.PATIENT,
        enrollment_start_date=is_year.ifelse(start + "-01-01", start),
        enrollment_end_date=last_covered_day(start, named[end_column]),
        **payer_columns(named.NAME),
    )


def _person(patients: ibis.Table) -> ibis.Table:
    """Persons; the export records no language."""
    return patients.select(
        member_id=patients.Id,
        birth_date=patients.BIRTHDATE,
        death_date=patients.DEATHDATE,
        sex=patients.GENDER,
        **person_columns(patients.RACE, patients.ETHNICITY),
        county=patients.COUNTY,
    )


def _transactions(files: Mapping[str, ibis.Table]) -> ibis.Table:
    """Transactions with their encounter, whether they are for a medication, and their charge."""
    import ibis

    rows = files["claims_transactions"]
    encounters = files["encounters"]
    visits = encounters.select(
        APPOINTMENTID="Id",
        visit_class=encounters.ENCOUNTERCLASS,
        visit_start=encounters.START,
        visit_end=encounters.STOP,
        facility=encounters.ORGANIZATION,
        provider=encounters.PROVIDER,
    )
    fills = files["medications"]
    fills = fills.select(
        APPOINTMENTID="ENCOUNTER", PROCEDURECODE="CODE", is_medication=ibis.literal(value=True)
    ).distinct()
    rows = rows.mutate(position=rows.CHARGEID.try_cast("int64"))
    rows = rows.left_join(visits, "APPOINTMENTID").drop("APPOINTMENTID_right")
    rows = rows.left_join(fills, ["APPOINTMENTID", "PROCEDURECODE"])
    before = ibis.window(group_by=rows.CLAIMID, order_by=rows.position, preceding=None, following=0)
    charge = (rows.TYPE == "CHARGE").ifelse(rows.position, None)
    return rows.mutate(
        charge_position=charge.max().over(before),
        paid=rows.PAYMENTS.try_cast("float64"),
        is_plan_payment=(rows.TYPE == "PAYMENT") & (rows.METHOD == PLAN_PAYMENT_METHOD),
    ).view()


def _charges(transactions: ibis.Table) -> ibis.Table:
    """Charges that are claim lines, each with what the plan paid for it."""
    import ibis

    paid = transactions.filter(transactions.is_plan_payment)
    paid = paid.group_by(["CLAIMID", "charge_position"]).agg(plan_paid=paid.paid.sum())
    charges = transactions.filter(
        (transactions.TYPE == "CHARGE")
        & transactions.is_medication.isnull()
        & encounter_class(transactions.visit_class).notnull()
    )
    charges = charges.left_join(paid, ["CLAIMID", "charge_position"])
    order = ibis.window(group_by=charges.CLAIMID, order_by=charges.position)
    return charges.mutate(line=ibis.row_number().over(order) + 1).view()


def _medical_claim(lines: ibis.Table) -> ibis.Table:
    """Claim lines; Synthea ids of organization and provider stand in the NPI columns."""
    return lines.select(
        claim_id=lines.CLAIMID,
        claim_line_number=lines.line,
        member_id=lines.PATIENTID,
        facility_npi=lines.facility,
        rendering_npi=lines.provider,
        paid_amount=lines.plan_paid.fill_null(0.0),
        **claim_columns(
            encounter_class(lines.visit_class),
            is_first_line=lines.line == 1,
            start=lines.visit_start,
            end=lines.visit_end,
        ),
    )


def _pharmacy_claim(medications: ibis.Table, payers: ibis.Table) -> ibis.Table:
    """One row a prescription: the export tells the number of fills and not their days.

    The drug code is RxNorm and no NDC, so `ndc_code` is missing; it stays in the claim id.
    """
    named = medications.left_join(payers.select(PAYER="Id", NAME="NAME"), "PAYER")
    return named.select(
        claim_id=named.ENCOUNTER + "-" + named.CODE + "-" + named.START,
        member_id=named.PATIENT,
        plan=named.NAME,
        dispensing_date=named.START,
        quantity=named.DISPENSES,
        paid_amount=named.PAYER_COVERAGE,
    )


def _organization(organizations: ibis.Table) -> ibis.Table:
    """Organizations; the export does not say of which type they are."""
    import ibis

    return organizations.select(
        organization_id=organizations.Id,
        organization_name=organizations.NAME,
        organization_type=ibis.literal("unknown"),
        npi=organizations.Id,
    )


def _ledger(
    files: Mapping[str, ibis.Table], transactions: ibis.Table, backend: ibis.BaseBackend
) -> RowLedger:
    """What became of every row of every file."""
    import ibis

    ledger = RowLedger()
    fate = _transaction_fate(transactions)
    count_rows(ledger, source_name("claims_transactions"), transactions, fate, backend)
    marked = transactions.mutate(fate=fate, is_charge=transactions.TYPE == "CHARGE")
    charges = marked.filter(marked.is_charge)
    for file, key, missing in (
        ("encounters", "APPOINTMENTID", NO_LINE),
        ("claims", "CLAIMID", "claim without a charge"),
    ):
        best = charges.group_by(charges[key].name("Id")).agg(
            fate=(charges.fate == USED).any().ifelse(USED, charges.fate.min())
        )
        joined = files[file].left_join(best, "Id")
        count_rows(ledger, source_name(file), joined, joined.fate.fill_null(missing), backend)
    for file in ("patients", "payers", "payer_transitions", "medications", "organizations"):
        count_rows(ledger, source_name(file), files[file], ibis.literal(USED), backend)
    for file in ("procedures", "providers"):
        if file in files:
            count_rows(ledger, source_name(file), files[file], ibis.literal(NOT_NEEDED), backend)
    return ledger


def _transaction_fate(rows: ibis.Table) -> ibis.Value:
    """What becomes of a transaction."""
    import ibis

    is_payment = rows.TYPE == "PAYMENT"
    return ibis.cases(
        (rows.TYPE.isin(["TRANSFERIN", "TRANSFEROUT"]), TRANSFER),
        (~rows.TYPE.isin(["CHARGE", "PAYMENT"]), UNKNOWN_TYPE),
        (rows.is_medication.notnull(), MEDICATION),
        (rows.visit_class.isnull(), NO_ENCOUNTER),
        (encounter_class(rows.visit_class).isnull(), NO_CLASS),
        (is_payment & rows.charge_position.isnull(), NO_CHARGE),
        (is_payment & ~rows.is_plan_payment, MEMBER_PAYMENT),
        else_=USED,
    )
