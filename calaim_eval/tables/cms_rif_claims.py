"""Claims and drug events of Medicare research files: one row a line, the header on every line.

Amounts: `paid_amount` is what Medicare paid. Carrier, equipment and outpatient lines have a payment
of their own. Inpatient, skilled nursing, home health and hospice claims are paid as a whole
(prospective payment): the claim's payment goes to its first line and the other lines have none, so
that it counts once. For a drug event it is what the plan paid, covered and not covered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.cms_rif import source_name
from calaim_eval.tables.cms_rif_rows import (
    column_or_missing,
    keep_columns,
    npi_or_missing,
    rif_date,
    row_fate,
)
from calaim_eval.tables.formats import count_rows, require_columns
from calaim_eval.tables.ledger import USED, RowLedger

if TYPE_CHECKING:
    import ibis


@dataclass(frozen=True, slots=True)
class ClaimFile:
    """How a kind of claim file is read.

    Attributes
    ----------
    claim_type : str
        ``"institutional"`` or ``"professional"``.
    line_number : str
        Column with the number of the line.
    line_paid : str
        Column with what Medicare paid for the line; empty where the claim is paid as a whole.
    """

    claim_type: str
    line_number: str
    line_paid: str = ""


CLAIM_FILES = {
    "inpatient": ClaimFile("institutional", "CLM_LINE_NUM"),
    "outpatient": ClaimFile("institutional", "CLM_LINE_NUM", "REV_CNTR_PMT_AMT_AMT"),
    "snf": ClaimFile("institutional", "CLM_LINE_NUM"),
    "hha": ClaimFile("institutional", "CLM_LINE_NUM"),
    "hospice": ClaimFile("institutional", "CLM_LINE_NUM"),
    "carrier": ClaimFile("professional", "LINE_NUM", "LINE_NCH_PMT_AMT"),
    "dme": ClaimFile("professional", "LINE_NUM", "LINE_NCH_PMT_AMT"),
}
UNEQUAL = "line of a claim whose lines' payments do not add up to the claim's (lines are used)"

# Carrier claim entry code 3: full credit. Disposition 3 and 63: cancel accepted.
CANCEL_ENTRY, CANCEL_DISPOSITION = ("3",), ("3", "03", "63")
REPLACEMENT_ENTRY = ("5",)
# Intermediary action 2: cancel by credit adjustment; 4: cancel only.
CANCEL_ACTION = ("2", "4")
DENIED_CLAIM = ("0", "D", "P")
DENIED_LINE = ("B", "C", "D", "I", "L", "M", "N", "O", "P")
PAYMENT_CENT = 0.005
_DIAGNOSES = tuple(
    column for column in TABLES["medical_claim"].fields if column.startswith("diagnosis_code_")
)
_MODIFIERS = ("1ST", "2ND", "3RD", "4TH", "5TH")
_COLUMNS = [
    "DML_IND",
    "FINAL_ACTION",
    "CLM_THRU_DT",
    "CLM_ADMSN_DT",
    "NCH_BENE_DSCHRG_DT",
    "CLM_DRG_CD",
    "PTNT_DSCHRG_STUS_CD",
    "ORG_NPI_NUM",
    "PRVDR_NUM",
    "FI_CLM_PROC_DT",
    "NCH_WKLY_PROC_DT",
    "CLM_FAC_TYPE_CD",
    "CLM_SRVC_CLSFCTN_TYPE_CD",
    "CLM_FREQ_CD",
    "PRNCPAL_DGNS_CD",
    "CLM_DISP_CD",
    "CARR_CLM_ENTRY_CD",
    "FI_CLM_ACTN_CD",
    "CARR_CLM_PMT_DNL_CD",
    "LINE_PRCSG_IND_CD",
    "PRF_PHYSN_NPI",
    "RNDRNG_PHYSN_NPI",
    "PRVDR_NPI",
    "LINE_1ST_EXPNS_DT",
    "LINE_LAST_EXPNS_DT",
    "REV_CNTR_DT",
    "REV_CNTR",
    "HCPCS_CD",
    "LINE_PLACE_OF_SRVC_CD",
]
_COLUMNS += [f"ICD_DGNS_CD{i}" for i in range(1, len(_DIAGNOSES) + 1)]
_COLUMNS += [f"HCPCS_{name}_MDFR_CD" for name in _MODIFIERS]


def claim_tables(
    files: Mapping[str, ibis.Table], ledger: RowLedger, backend: ibis.BaseBackend
) -> dict[str, ibis.Table]:
    """`medical_claim` and `pharmacy_claim`; counts what became of every row of every file.

    Raises
    ------
    TableError
        A needed column is not there.
    """
    import ibis

    tables = {}
    claims = [
        _medical_claim(files[kind], kind, layout, ledger, backend)
        for kind, layout in CLAIM_FILES.items()
        if kind in files
    ]
    if claims:
        lines = ibis.union(*claims).view() if len(claims) > 1 else claims[0].view()
        dates = [column for column in lines.columns if column.endswith("_date")]
        tables["medical_claim"] = lines.mutate(**{day: rif_date(lines[day]) for day in dates})
    if "pde" in files:
        tables["pharmacy_claim"] = _pharmacy_claim(files["pde"], ledger, backend)
    return tables


def _medical_claim(
    rows: ibis.Table, kind: str, layout: ClaimFile, ledger: RowLedger, backend: ibis.BaseBackend
) -> ibis.Table:
    """Lines of one kind of claim file."""
    needed = ("BENE_ID", "CLM_ID", "CLM_FROM_DT", "CLM_PMT_AMT", layout.line_number)
    lacking = (layout.line_paid,) if layout.line_paid else ()
    require_columns(rows, f"Medicare file `{kind}`", (*needed, *lacking))
    narrow = keep_columns(rows, (*_COLUMNS, *needed, *lacking))
    marked = narrow.mutate(fate=row_fate(narrow, ("CLM_ID",))).view()
    count_rows(ledger, source_name(kind), marked, marked.fate, backend)
    lines = marked.filter(marked.fate == USED).view()
    if layout.line_paid:
        _note_unequal(lines, kind, layout, ledger, backend)
    return lines.select(
        claim_id=lines.CLM_ID,
        claim_line_number=lines[layout.line_number],
        member_id=lines.BENE_ID,
        paid_amount=_paid(lines, layout),
        **_header(lines, layout),
        **_line(lines),
    )


def _header(lines: ibis.Table, layout: ClaimFile) -> dict[str, ibis.Value]:
    """What the header says, the same on every line of a claim."""
    import ibis

    has_paid_date = [
        name for name in ("FI_CLM_PROC_DT", "NCH_WKLY_PROC_DT") if name in lines.columns
    ]
    paid_dates = [column_or_missing(lines, name) for name in has_paid_date]
    is_institutional = layout.claim_type == "institutional"
    facility = npi_or_missing(lines, "ORG_NPI_NUM", "PRVDR_NUM")
    return {
        "claim_type": ibis.literal(layout.claim_type),
        "claim_start_date": column_or_missing(lines, "CLM_FROM_DT"),
        "claim_end_date": column_or_missing(lines, "CLM_THRU_DT"),
        "admission_date": column_or_missing(lines, "CLM_ADMSN_DT"),
        "discharge_date": column_or_missing(lines, "NCH_BENE_DSCHRG_DT"),
        "bill_type_code": _bill_type(lines),
        "drg_code": column_or_missing(lines, "CLM_DRG_CD"),
        "discharge_disposition_code": column_or_missing(lines, "PTNT_DSCHRG_STUS_CD"),
        "facility_npi": facility if is_institutional else ibis.null("string"),
        "claim_status": _status(lines),
        "paid_date": ibis.coalesce(*paid_dates) if paid_dates else ibis.null("string"),
        **_diagnoses(lines),
    }


def _line(lines: ibis.Table) -> dict[str, ibis.Value]:
    """What the line itself says."""
    performing = ("PRF_PHYSN_NPI", "RNDRNG_PHYSN_NPI", "PRVDR_NPI")
    start = column_or_missing(lines, "LINE_1ST_EXPNS_DT", "REV_CNTR_DT")
    end = column_or_missing(lines, "LINE_LAST_EXPNS_DT", "REV_CNTR_DT")
    return {
        "claim_line_start_date": start,
        "claim_line_end_date": end,
        "revenue_center_code": column_or_missing(lines, "REV_CNTR"),
        "hcpcs_code": column_or_missing(lines, "HCPCS_CD"),
        **{
            f"hcpcs_modifier_{i}": column_or_missing(lines, f"HCPCS_{name}_MDFR_CD")
            for i, name in enumerate(_MODIFIERS, start=1)
        },
        "place_of_service_code": column_or_missing(lines, "LINE_PLACE_OF_SRVC_CD"),
        "rendering_npi": npi_or_missing(lines, *performing),
    }


def _bill_type(lines: ibis.Table) -> ibis.Value:
    """Type of bill: facility, classification, frequency; missing where one of the first two is."""
    parts = ("CLM_FAC_TYPE_CD", "CLM_SRVC_CLSFCTN_TYPE_CD")
    facility, service = [column_or_missing(lines, name) for name in parts]
    return facility + service + column_or_missing(lines, "CLM_FREQ_CD").fill_null("")


def _diagnoses(lines: ibis.Table) -> dict[str, ibis.Value]:
    """The principal diagnosis first, then the others in their order, as many as are declared."""
    listed = [column_or_missing(lines, f"ICD_DGNS_CD{i}") for i in range(1, len(_DIAGNOSES) + 1)]
    principal = column_or_missing(lines, "PRNCPAL_DGNS_CD")
    is_listed_first = (principal.fill_null("") == "") | (principal == listed[0]).fill_null(False)
    is_listed_first = is_listed_first | listed[0].isnull()
    codes = {_DIAGNOSES[0]: principal.fill_null(listed[0])}
    for i, column in enumerate(_DIAGNOSES[1:], start=1):
        codes[column] = is_listed_first.ifelse(listed[i], listed[i - 1])
    return codes


def _status(lines: ibis.Table) -> ibis.Value:
    """Standing of the claim or line; missing is original."""
    import ibis

    def has(column: str, codes: tuple[str, ...]) -> ibis.Value:
        return column_or_missing(lines, column).upper().isin(codes).fill_null(False)

    is_cancel = has("CLM_DISP_CD", CANCEL_DISPOSITION) | has("CARR_CLM_ENTRY_CD", CANCEL_ENTRY)
    return ibis.cases(
        (is_cancel | has("FI_CLM_ACTN_CD", CANCEL_ACTION), "void"),
        (
            has("CARR_CLM_PMT_DNL_CD", DENIED_CLAIM) | has("LINE_PRCSG_IND_CD", DENIED_LINE),
            "denied",
        ),
        (has("CARR_CLM_ENTRY_CD", REPLACEMENT_ENTRY), "replacement"),
        else_=ibis.null("string"),
    )


def _paid(lines: ibis.Table, layout: ClaimFile) -> ibis.Value:
    """What Medicare paid for the line; the claim's payment on its first line."""
    import ibis

    if layout.line_paid:
        return lines[layout.line_paid]
    order = [lines[layout.line_number].try_cast("int64"), lines[layout.line_number]]
    place = ibis.row_number().over(ibis.window(group_by=lines.CLM_ID, order_by=order))
    return (place == 0).ifelse(lines.CLM_PMT_AMT, None)


def _note_unequal(
    lines: ibis.Table, kind: str, layout: ClaimFile, ledger: RowLedger, backend: ibis.BaseBackend
) -> None:
    """Note lines of claims whose lines do not add up to the payment of the claim."""
    claims = lines.group_by("CLM_ID").agg(
        n_lines=lines.count(),
        of_lines=lines[layout.line_paid].try_cast("float64").sum(),
        of_claim=lines.CLM_PMT_AMT.try_cast("float64").max(),
    )
    unequal = claims.filter((claims.of_lines - claims.of_claim).abs() > PAYMENT_CENT)
    n_lines = backend.execute(unequal.agg(n=unequal.n_lines.sum().fill_null(0))).iloc[0, 0]
    ledger.note(source_name(kind), UNEQUAL, int(n_lines))


def _pharmacy_claim(rows: ibis.Table, ledger: RowLedger, backend: ibis.BaseBackend) -> ibis.Table:
    """Drug events; a deletion record is a void."""
    import ibis

    needed = ("PDE_ID", "BENE_ID", "SRVC_DT", "CVRD_D_PLAN_PD_AMT", "NCVRD_PLAN_PD_AMT")
    require_columns(rows, "Medicare file `pde`", needed)
    marked = rows.mutate(fate=row_fate(rows, ("PDE_ID",))).view()
    count_rows(ledger, source_name("pde"), marked, marked.fate, backend)
    fills = marked.filter(marked.fate == USED)
    covered, other = [fills[name].try_cast("float64") for name in needed[-2:]]
    contract = column_or_missing(fills, "PLAN_CNTRCT_REC_ID")
    number = ibis.literal("-") + column_or_missing(fills, "PLAN_PBP_REC_NUM").lpad(3, "0")
    action = column_or_missing(fills, "ADJSTMT_DLTN_CD").upper()
    return fills.select(
        claim_id=fills.PDE_ID,
        claim_line_number=ibis.literal(1),
        member_id=fills.BENE_ID,
        plan=contract + ibis.coalesce(number, ""),
        dispensing_date=rif_date(column_or_missing(fills, "SRVC_DT")),
        ndc_code=column_or_missing(fills, "PROD_SRVC_ID"),
        quantity=column_or_missing(fills, "QTY_DSPNSD_NUM"),
        days_supply=column_or_missing(fills, "DAYS_SUPLY_NUM"),
        claim_status=(action == "D").fill_null(False).ifelse("void", ibis.null("string")),
        paid_date=rif_date(column_or_missing(fills, "PD_DT")),
        paid_amount=ibis.coalesce(covered + other, covered, other),
    )
