"""Beneficiary years of Medicare research files: persons and covered months.

A month is covered when its entitlement indicator says so: Part A, Part B or both, with the premium
paid by the state or not. With both parts the benefits are full, with one they are limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.schema.codes import load_codes
from calaim_eval.schema.dual_status import NOT_KNOWN_DUAL
from calaim_eval.schema.values import as_text
from calaim_eval.tables.cms_rif import source_name
from calaim_eval.tables.cms_rif_rows import (
    WITHDRAWN,
    column_or_missing,
    keep_columns,
    rif_date,
    row_fate,
)
from calaim_eval.tables.formats import count_rows, require_columns
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.monthly_wide import (
    MonthlyColumn,
    columns_of_months,
    find_months,
    unpivot_months,
)

if TYPE_CHECKING:
    import ibis

MONTHLY = (
    MonthlyColumn(
        "entitlement",
        ("MDCR_ENTLMT_BUYIN_IND_{mm}", "MDCR_ENTLMT_BUYIN_{m}_IND"),
        is_needed=True,
    ),
    MonthlyColumn("dual", ("DUAL_STUS_CD_{mm}", "META_DUAL_ELGBL_STUS_{mon}_CD")),
    MonthlyColumn("contract", ("PTC_CNTRCT_ID_{mm}", "PTC_CNTRCT_{mon}_ID")),
    MonthlyColumn("plan_number", ("PTC_PBP_ID_{mm}", "PTC_PBP_{mon}_ID")),
    MonthlyColumn("county_code", ("STATE_CNTY_FIPS_CD_{mm}", "FIPS_STATE_CNTY_{mon}_CD")),
)
SCOPE_OF_ENTITLEMENT = {
    "1": "limited",  # Part A
    "2": "limited",  # Part B
    "3": "full",
    "A": "limited",  # Part A, premium paid by the state
    "B": "limited",  # Part B, premium paid by the state
    "C": "full",  # Parts A and B, premium paid by the state
}
NOT_ENTITLED = "0"
NO_CONTRACT = ("N", "0", "*", "X")
SEX = {"1": "male", "2": "female", "0": "unknown"}
RACE_GROUPS = {
    "0": "unknown",
    "1": "white",
    "2": "black",
    "3": "other",
    "4": "asian_pi_unsplit",
    "5": "hispanic",
    "6": "aian",
}
"""Race codes of Medicare and their analysis groups; Asian and Pacific Islander are one code."""

MONTHS_NAME = "beneficiary months"
NO_MONTH = "beneficiary year without a covered month"
NOT_COVERED = "not entitled to Medicare in the month"
NO_ENTRY = "no entry for the month"
OTHER_CODE = "entitlement indicator without a known meaning"
TOLD_ELSEWHERE = "history of a beneficiary told by a beneficiary year"
ONE_OF_SEVERAL = "history of a beneficiary, a later entry is used"
_YEAR = ("RFRNC_YR", "BENE_ENROLLMT_REF_YR")
_PERSON_COLUMNS = (
    "DML_IND",
    "BENE_BIRTH_DT",
    "BENE_DEATH_DT",
    "DEATH_DT",
    "BENE_SEX_IDENT_CD",
    "SEX_IDENT_CD",
    "BENE_RACE_CD",
)


def beneficiary_tables(
    files: Mapping[str, ibis.Table], ledger: RowLedger, backend: ibis.BaseBackend
) -> dict[str, ibis.Table]:
    """`eligibility_month` and `person`; counts what became of every beneficiary row and month.

    Raises
    ------
    TableError
        A needed column is not there.
    """
    rows = files["beneficiary"]
    year = next((name for name in _YEAR if name in rows.columns), _YEAR[0])
    require_columns(rows, "Medicare file `beneficiary`", ("BENE_ID", year))
    monthly = [name for each in MONTHLY for name in _names_of(each)]
    rows = keep_columns(rows, ("BENE_ID", year, *_PERSON_COLUMNS, *monthly))
    marked = rows.mutate(fate=row_fate(rows, ("BENE_ID", year)), has_month=_has_month(rows)).view()
    fate = ((marked.fate == USED) & ~marked.has_month).ifelse(NO_MONTH, marked.fate)
    count_rows(ledger, source_name("beneficiary"), marked, fate, backend)
    standing = marked.filter(marked.fate == USED)
    months = unpivot_months(
        standing,
        year=year,
        keep=("BENE_ID",),
        monthly=MONTHLY,
        file="Medicare file `beneficiary`",
    ).view()
    count_rows(ledger, source_name(MONTHS_NAME), months, _month_fate(months), backend)
    return {
        "eligibility_month": _eligibility_month(months),
        "person": _persons(standing, year, files.get("beneficiary_history"), ledger, backend),
    }


def _names_of(quantity: MonthlyColumn) -> list[str]:
    """All columns a quantity may be in."""
    return [name for pattern in quantity.patterns for name in columns_of_months(pattern)]


def _has_month(rows: ibis.Table) -> ibis.Value:
    """Whether any month of a year is covered."""
    import ibis

    found = find_months(rows.columns, MONTHLY[:1], file="Medicare file `beneficiary`")
    covered = [_is_covered(as_text(rows[column])) for column in found["entitlement"]]
    return ibis.or_(*covered)


def _month_fate(months: ibis.Table) -> ibis.Value:
    """What becomes of a month."""
    import ibis

    code = months.entitlement.upper()
    return ibis.cases(
        (code.isnull(), NO_ENTRY),
        (code.isin(list(SCOPE_OF_ENTITLEMENT)), USED),
        (code == NOT_ENTITLED, NOT_COVERED),
        else_=OTHER_CODE,
    )


def _is_covered(entitlement: ibis.Value) -> ibis.Value:
    """Whether the member has Medicare in a month."""
    return entitlement.upper().isin(list(SCOPE_OF_ENTITLEMENT)).fill_null(False)


def _eligibility_month(months: ibis.Table) -> ibis.Table:
    """Covered months with plan, dual status, scope and county."""
    import ibis

    covered = months.filter(_is_covered(months.entitlement))
    code = covered.entitlement.upper()
    has_plan = covered.contract.notnull() & covered.contract.upper().notin(NO_CONTRACT)
    number = ibis.coalesce(ibis.literal("-") + covered.plan_number.lpad(3, "0"), "")
    dual = covered.dual.upper()
    return covered.select(
        member_id=covered.BENE_ID,
        month=covered.month,
        plan=has_plan.ifelse(covered.contract + number, None),
        payer_type=ibis.literal("medicare"),
        county=county_of_fips(covered.county_code),
        dual_status_code=dual.isin(NOT_KNOWN_DUAL).ifelse(None, dual),
        benefit_scope=code.cases(*SCOPE_OF_ENTITLEMENT.items()),
    )


def county_of_fips(code: ibis.Value) -> ibis.Value:
    """Name of a California county by its five-digit code; a code of another state stays.

    A map and not a list of cases: each case would repeat the whole expression of the code.
    """
    import ibis

    counties = load_codes("county")
    names = ibis.map(list(counties["fips"]), list(counties["county"]))
    digits = (ibis.literal("0000") + code).right(5)
    return ibis.coalesce(names[digits], digits)


def _persons(
    standing: ibis.Table,
    year: str,
    history: ibis.Table | None,
    ledger: RowLedger,
    backend: ibis.BaseBackend,
) -> ibis.Table:
    """One row per beneficiary: of the latest year, or of the history where there is no year."""
    import ibis

    dated = standing.mutate(place=_place(standing, latest=year, within=("BENE_ID",)))
    of_years = _person_columns(dated.filter(dated.place == 0))
    if history is None:
        return of_years
    require_columns(history, "Medicare file `beneficiary_history`", ("BENE_ID",))
    known = of_years.select(BENE_ID="member_id", is_told=ibis.literal(value=True))
    told = history.left_join(known, "BENE_ID").drop("BENE_ID_right").view()
    is_deleted = (column_or_missing(told, "DML_IND").upper() == "DELETE").fill_null(False)
    fate = ibis.cases((is_deleted, WITHDRAWN), (told.is_told.notnull(), TOLD_ELSEWHERE), else_=USED)
    begin = rif_date(column_or_missing(told, "EFCTV_BGN_DT"))
    fated = told.mutate(fate=fate, begin=begin).view()
    place = _place(fated, latest="begin", within=("BENE_ID", "fate"))
    marked = fated.mutate(place=place).view()
    is_earlier = (marked.fate == USED) & (marked.place > 0)
    fate = is_earlier.ifelse(ONE_OF_SEVERAL, marked.fate)
    count_rows(ledger, source_name("beneficiary_history"), marked, fate, backend)
    others = marked.filter((marked.fate == USED) & (marked.place == 0))
    return ibis.union(of_years, _person_columns(others))


def _person_columns(rows: ibis.Table) -> ibis.Table:
    """What a beneficiary row says about the person."""
    import ibis

    sex = column_or_missing(rows, "BENE_SEX_IDENT_CD", "SEX_IDENT_CD")
    race = column_or_missing(rows, "BENE_RACE_CD")
    return rows.select(
        member_id=rows.BENE_ID,
        birth_date=rif_date(column_or_missing(rows, "BENE_BIRTH_DT")),
        death_date=rif_date(column_or_missing(rows, "BENE_DEATH_DT", "DEATH_DT")),
        sex=sex.cases(*SEX.items(), else_=sex),
        race_code=race.cases(*RACE_GROUPS.items(), else_=race),
        race_code_system=ibis.literal("analysis_group"),
    )


def _place(rows: ibis.Table, *, latest: str, within: tuple[str, ...]) -> ibis.Value:
    """Place of a row among those of its group, the latest first; ties are broken completely."""
    import ibis

    # Ibis keeps one direction per column, so a column is named once.
    others = [rows[column] for column in rows.columns if column != latest]
    order = [ibis.desc(rows[latest], nulls_first=False), *others]
    return ibis.row_number().over(ibis.window(group_by=list(within), order_by=order))
