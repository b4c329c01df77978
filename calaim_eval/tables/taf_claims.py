"""Claims of the T-MSIS Analytic Files (TAF): a header file and a line file of each kind of claim.

Headers and lines meet by state and claim identifier. Which records are services is read off the
claim type: fee-for-service claims and encounters are; capitation, service tracking and supplemental
payments are not about one service and are set aside. Amounts: what Medicaid paid for the line, or
for the claim (on its first line that is not denied) where it is paid as a whole; for an encounter
that is what the record says, which many states leave at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.schema.tables import TABLES
from calaim_eval.schema.values import as_text
from calaim_eval.tables.cms_rif_rows import (
    column_or_missing,
    keep_columns,
    npi_or_missing,
    rif_date,
)
from calaim_eval.tables.formats import count_rows, require_columns
from calaim_eval.tables.ledger import USED, RowLedger

if TYPE_CHECKING:
    import ibis

KINDS = {
    "inpatient": ("inpatient", "taf_ip"),
    "long_term": ("long_term", "taf_lt"),
    "other_services": ("other_services", "taf_ot"),
    "rx": ("rx", "pharmacy"),
}
"""Words in a file's name that tell the kind of claims."""
HEADER, LINE = "header", "line"
PARTS = (HEADER, LINE)
INPATIENT_KINDS = ("inpatient", "long_term")
SERVICES = ("1", "3", "A", "C", "U", "W")
"""Claim types that are services: fee-for-service (1, A, U) and encounters (3, C, W)."""
ORIGINAL, VOIDS, GROSS = "0", ("1",), ("5", "6")
"""Adjustment codes of an original, a void, and of gross adjustments, of no single claim."""
DENIED_LINES = ("542", "585", "654")
"""Line statuses that CMS takes as denied when it makes these files."""
NO_PROCEDURES = ("02", "2", "07", "7")
"""Systems of procedure codes that are not CPT or HCPCS: ICD-9-CM volume 3, ICD-10-PCS."""
PAID_BY_CLAIM = "1"

NOT_A_SERVICE = "payment record, not a service (capitation, service tracking, supplemental)"
GROSS_ADJUSTMENT = "gross adjustment of no single claim"
REPEATED = "header of a claim that another header is of"
NO_HEADER = "line without a header"
HEADER_ASIDE = "line of a header that is not used"
NO_LINE = "header without a line (read as one line)"

_KEY = ("STATE_CD", "CLM_ID")
_DIAGNOSES = tuple(
    column for column in TABLES["medical_claim"].fields if column.startswith("diagnosis_code_")
)
_N_MODIFIERS = 4
_HEADER_COLUMNS = (
    *("MSIS_ID", "CLM_TYPE_CD", "ADJUST_CD", "BILL_TYPE_CD", "MC_PLAN_ID", "MDCD_PD_DT"),
    *("SRVC_BGN_DT", "SRVC_END_DT", "ADMSN_DT", "ADMSM_DT", "DSCHRG_DT", "RX_FILL_DT", "DRG_CD"),
    *("PTNT_DSCHRG_STUS_CD", "POS_CD", "BLG_PRVDR_NPI", "BLG_PRVDR_TXNMY_CD"),
    *("MDCD_PD_AMT", "PYMT_LVL_IND"),
    *(f"DGNS_CD_{i}" for i in range(1, len(_DIAGNOSES) + 1)),
)
_LINE_COLUMNS = (
    *("LINE_NUM", "REV_CNTR_CD", "LINE_PRCDR_CD", "LINE_PRCDR_CD_SYS", "LINE_MDCD_PD_AMT"),
    *("LINE_SRVC_BGN_DT", "LINE_SRVC_END_DT", "SRVC_PRVDR_NPI", "SRVC_PRVDR_TXNMY_CD"),
    *("NDC", "NDC_QTY", "DAYS_SUPPLY", "CLL_STUS_CD"),
    *(f"LINE_PRCDR_MDFR_CD_{i}" for i in range(1, _N_MODIFIERS + 1)),
)


def claim_file_kind(name: str) -> str:
    """Kind of a claim file by its name, such as ``"inpatient header"``; empty for none.

    Examples
    --------
    >>> claim_file_kind("taf_inpatient_header_2022.csv"), claim_file_kind("tafr22_rx_line_01.csv")
    ('inpatient header', 'rx line')
    """
    low = name.lower()
    part = next((each for each in PARTS if each in low), "")
    kind = next((kind for kind, words in KINDS.items() if any(word in low for word in words)), "")
    return f"{kind} {part}" if kind and part else ""


def claim_tables(
    files: Mapping[str, ibis.Table], ledger: RowLedger, backend: ibis.BaseBackend
) -> dict[str, ibis.Table]:
    """`medical_claim` and `pharmacy_claim`; counts what became of every header and line.

    Parameters
    ----------
    files : Mapping of str to ibis.Table
        Opened files by `claim_file_kind`, column names in upper case.
    ledger : RowLedger
    backend : ibis.BaseBackend

    Raises
    ------
    TableError
        A header file has no line file or the reverse, or a needed column is not there.
    """
    import ibis

    kinds = [kind for kind in KINDS if any(f"{kind} {part}" in files for part in PARTS)]
    joined = {kind: _joined(files, kind, ledger, backend) for kind in kinds}
    tables = {}
    medical = [_medical_claim(rows, kind) for kind, rows in joined.items() if kind != "rx"]
    if medical:
        tables["medical_claim"] = ibis.union(*medical).view() if len(medical) > 1 else medical[0]
    if "rx" in joined:
        tables["pharmacy_claim"] = _pharmacy_claim(joined["rx"])
    return tables


def source_name(file: str) -> str:
    """Name of a kind of files in the ledger."""
    return f"taf {file}"


def _joined(
    files: Mapping[str, ibis.Table], kind: str, ledger: RowLedger, backend: ibis.BaseBackend
) -> ibis.Table:
    """Headers that are services with their lines; a header without a line is one line."""
    headers = _headers(files, kind, ledger, backend)
    lines = _lines(files, kind)
    marks = headers.select(*_KEY, is_used=headers.fate == USED)
    known = marks.group_by(list(_KEY)).agg(is_used=marks.is_used.max())
    met = lines.left_join(known, list(_KEY))
    fate = met.is_used.cases((True, USED), (False, HEADER_ASIDE), else_=NO_HEADER)
    count_rows(ledger, source_name(f"{kind} line"), met, fate, backend)
    used = headers.filter(headers.fate == USED).drop("fate").view()
    joined = used.left_join(lines, list(_KEY))
    joined = joined.drop(*[name for name in joined.columns if name.endswith("_right")]).view()
    n_bare = backend.execute(joined.filter(joined.LINE_NUM.isnull()).count())
    ledger.note(source_name(f"{kind} header"), NO_LINE, int(n_bare))
    return joined


def _headers(
    files: Mapping[str, ibis.Table], kind: str, ledger: RowLedger, backend: ibis.BaseBackend
) -> ibis.Table:
    """Headers with `fate`: one a claim is used."""
    import ibis

    name = f"{kind} header"
    rows = _file(files, name, (*_KEY, "MSIS_ID", "CLM_TYPE_CD", _start_of(kind)))
    narrow = _as_words(keep_columns(rows, (*_KEY, *_HEADER_COLUMNS)))
    code = narrow.CLM_TYPE_CD.upper()
    fate = ibis.cases(
        (~code.isin(SERVICES).fill_null(True), NOT_A_SERVICE),
        (column_or_missing(narrow, "ADJUST_CD").isin(GROSS).fill_null(False), GROSS_ADJUSTMENT),
        else_=USED,
    )
    told = narrow.mutate(fate=fate).view()
    own = ibis.window(group_by=[*_KEY, told.fate], order_by=_latest_first(told))
    is_first = ibis.row_number().over(own) == 0
    marked = told.mutate(fate=((told.fate == USED) & ~is_first).ifelse(REPEATED, told.fate)).view()
    count_rows(ledger, source_name(name), marked, marked.fate, backend)
    return marked


def _latest_first(headers: ibis.Table) -> list[ibis.Value]:
    """Order in which the header that stands comes first among those of one claim.

    A void or replacement before what it is of; of these the one paid last, on one day that of the
    highest code (a replacement before a void); ties are broken completely.
    """
    import ibis

    code = column_or_missing(headers, "ADJUST_CD").fill_null(ORIGINAL)
    paid = rif_date(column_or_missing(headers, "MDCD_PD_DT"))
    # Ibis keeps one direction per column, so a column is named once.
    others = [headers[each] for each in headers.columns if each != "ADJUST_CD"]
    return [code == ORIGINAL, ibis.desc(paid, nulls_first=False), ibis.desc(code), *others]


def _lines(files: Mapping[str, ibis.Table], kind: str) -> ibis.Table:
    """Lines of one kind of claims."""
    rows = _file(files, f"{kind} line", (*_KEY, "LINE_NUM"))
    return _as_words(keep_columns(rows, (*_KEY, *_LINE_COLUMNS)))


def _file(files: Mapping[str, ibis.Table], name: str, columns: tuple[str, ...]) -> ibis.Table:
    """A file that must be there, with the columns it must have."""
    from calaim_eval.errors import TableError

    if name not in files:
        kind, part = name.rsplit(" ", 1)
        other = HEADER if part == LINE else LINE
        raise TableError(
            f"there is a TAF file `{kind} {other}` and no `{name}`.\n"
            f"  Claims are read from both: name it so that it holds `{kind}` and `{part}`, such as "
            f"`taf_{kind}_{part}_2022.parquet`, or take the other away."
        )
    require_columns(files[name], f"TAF file `{name}`", columns)
    return files[name]


def _as_words(rows: ibis.Table) -> ibis.Table:
    """Every column as text without blanks around it."""
    return rows.select(**{name: column_or_missing(rows, name) for name in rows.columns}).view()


def _start_of(kind: str) -> str:
    """Column with the day a claim begins."""
    return "RX_FILL_DT" if kind == "rx" else "SRVC_BGN_DT"


def _medical_claim(rows: ibis.Table, kind: str) -> ibis.Table:
    """Lines of hospital, long-term care or other services."""
    import ibis

    def day(*names: str) -> ibis.Value:
        return ibis.coalesce(*[rif_date(column_or_missing(rows, name)) for name in names])

    is_institutional = _is_institutional(rows, kind)
    system = column_or_missing(rows, "LINE_PRCDR_CD_SYS")
    code = column_or_missing(rows, "LINE_PRCDR_CD")
    facility = npi_or_missing(rows, "BLG_PRVDR_NPI")
    return rows.select(
        **_header_values(rows, kind),
        claim_type=is_institutional.ifelse("institutional", "professional"),
        claim_start_date=day("SRVC_BGN_DT", "ADMSN_DT", "ADMSM_DT"),
        claim_end_date=day("SRVC_END_DT"),
        claim_line_start_date=day("LINE_SRVC_BGN_DT"),
        claim_line_end_date=day("LINE_SRVC_END_DT"),
        admission_date=day("ADMSN_DT", "ADMSM_DT"),
        discharge_date=day("DSCHRG_DT"),
        bill_type_code=column_or_missing(rows, "BILL_TYPE_CD"),
        revenue_center_code=column_or_missing(rows, "REV_CNTR_CD"),
        hcpcs_code=system.isin(NO_PROCEDURES).fill_null(False).ifelse(None, code),
        place_of_service_code=column_or_missing(rows, "POS_CD"),
        drg_code=column_or_missing(rows, "DRG_CD"),
        discharge_disposition_code=column_or_missing(rows, "PTNT_DSCHRG_STUS_CD"),
        facility_npi=is_institutional.ifelse(facility, None),
        rendering_npi=npi_or_missing(rows, "SRVC_PRVDR_NPI"),
        billing_taxonomy_code=column_or_missing(rows, "BLG_PRVDR_TXNMY_CD"),
        rendering_taxonomy_code=column_or_missing(rows, "SRVC_PRVDR_TXNMY_CD"),
        **{
            f"hcpcs_modifier_{i}": column_or_missing(rows, f"LINE_PRCDR_MDFR_CD_{i}")
            for i in range(1, _N_MODIFIERS + 1)
        },
        **{
            column: column_or_missing(rows, f"DGNS_CD_{i}")
            for i, column in enumerate(_DIAGNOSES, start=1)
        },
    ).view()


def _header_values(rows: ibis.Table, kind: str) -> dict[str, ibis.Value]:
    """What medical claims and fills say alike."""
    import ibis

    state = as_text(rows.STATE_CD)
    void = column_or_missing(rows, "ADJUST_CD").isin(VOIDS).fill_null(False)
    return {
        "claim_id": state + f"-{kind}-" + as_text(rows.CLM_ID),
        "claim_line_number": rows.LINE_NUM.fill_null("1"),
        "member_id": state + "-" + as_text(rows.MSIS_ID),
        "plan": column_or_missing(rows, "MC_PLAN_ID"),
        "claim_status": ibis.cases(
            (void, "void"), (_is_denied(rows), "denied"), else_=ibis.null("string")
        ),
        "paid_date": rif_date(column_or_missing(rows, "MDCD_PD_DT")),
        "paid_amount": _paid(rows),
    }


def _is_institutional(rows: ibis.Table, kind: str) -> ibis.Value:
    """Whether a claim is a facility's: of a hospital or nursing file, or with its codes."""
    import ibis

    if kind in INPATIENT_KINDS:
        return ibis.literal(True)
    return column_or_missing(rows, "BILL_TYPE_CD").notnull() | _any_line_has(rows, "REV_CNTR_CD")


def _any_line_has(rows: ibis.Table, name: str) -> ibis.Value:
    """Whether any line of a claim has a value of a column, which the file may lack."""
    import ibis

    if name not in rows.columns:
        return ibis.literal(False)
    return column_or_missing(rows, name).notnull().max().over(ibis.window(group_by=list(_KEY)))


def _is_denied(rows: ibis.Table) -> ibis.Value:
    """Whether a line is denied."""
    return column_or_missing(rows, "CLL_STUS_CD").isin(DENIED_LINES).fill_null(False)


def _paid(rows: ibis.Table) -> ibis.Value:
    """What Medicaid paid for the line; the claim's amount on its first line where paid so.

    The first that is not denied, as amounts of denied lines do not count. Where nothing says how a
    claim was paid, by its lines if any of them has an amount.
    """
    import ibis

    of_line = column_or_missing(rows, "LINE_MDCD_PD_AMT")
    of_claim = column_or_missing(rows, "MDCD_PD_AMT")
    level = column_or_missing(rows, "PYMT_LVL_IND")
    by_line = _any_line_has(rows, "LINE_MDCD_PD_AMT")
    by_claim = level.isin([PAID_BY_CLAIM]).fill_null(~by_line)
    number = rows.LINE_NUM
    by_number = (number.try_cast("int64"), number)
    order = ibis.window(group_by=list(_KEY), order_by=[_is_denied(rows), *by_number])
    is_first = ibis.row_number().over(order) == 0
    return by_claim.ifelse(is_first.ifelse(of_claim, None), of_line)


def _pharmacy_claim(rows: ibis.Table) -> ibis.Table:
    """Fills."""
    return rows.select(
        **_header_values(rows, "rx"),
        dispensing_date=rif_date(column_or_missing(rows, "RX_FILL_DT")),
        ndc_code=column_or_missing(rows, "NDC"),
        quantity=column_or_missing(rows, "NDC_QTY"),
        days_supply=column_or_missing(rows, "DAYS_SUPPLY"),
    ).view()
