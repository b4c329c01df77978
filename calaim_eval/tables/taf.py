"""Read the T-MSIS Analytic Files (TAF): annual eligibility, and claims (`taf_claims`).

One row per beneficiary, state and year with a column a month; a month is covered by the days its
column tells. Files are told by their names: `demog_elig_base` or `de_base` is needed,
`demog_elig_mngd_care` or `de_mngd_care` adds the managed care plan.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.schema.values import as_text
from calaim_eval.tables.cms_rif_beneficiary import county_of_fips
from calaim_eval.tables.cms_rif_rows import column_or_missing, keep_columns, rif_date
from calaim_eval.tables.formats import SOURCE, SourceTables, count_rows, require_columns
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.monthly_wide import (
    MonthlyColumn,
    columns_of_months,
    find_months,
    unpivot_months,
    upper_columns,
)
from calaim_eval.tables.sources import SourceFiles, find_by_name, require_folder
from calaim_eval.tables.taf_claims import claim_file_kind, claim_tables, source_name

if TYPE_CHECKING:
    import ibis

KINDS = {
    "base": ("demog_elig_base", "de_base"),
    "mngd_care": ("demog_elig_mngd_care", "de_mngd_care"),
}
MONTHLY = (
    MonthlyColumn("medicaid_days", ("MDCD_ENRLMT_DAYS_{mm}",), is_needed=True),
    MonthlyColumn("chip_days", ("CHIP_ENRLMT_DAYS_{mm}",)),
    MonthlyColumn("dual", ("DUAL_ELGBL_CD_{mm}",)),
    MonthlyColumn("scope", ("RSTRCTD_BNFTS_CD_{mm}",)),
    MonthlyColumn("aid", ("STATE_SPEC_ELGBLTY_GRP_CD_{mm}", "STATE_SPEC_ELGBLTY_GRP_{mm}")),
)
N_SLOTS = 16
"""Managed care plans a member may have in a month."""
PLAN_MONTHLY = tuple(
    MonthlyColumn(f"{name}_{slot:02d}", (f"{column}_{slot:02d}_{{mm}}",))
    for slot in range(1, N_SLOTS + 1)
    for name, column in (("plan", "MC_PLAN_ID"), ("type", "MC_PLAN_TYPE_CD"))
)
FULL_SCOPE = ("1", "7", "A", "B", "D")
LIMITED_SCOPE = ("2", "3", "4", "5", "6", "C", "E", "F", "G")
COMPREHENSIVE = ("01", "1", "04", "4")
"""Plan types that are medical managed care: comprehensive organization, health insuring one."""
RACE_GROUPS = {
    "1": "white",
    "2": "black",
    "3": "asian",
    "4": "aian",
    "5": "nhpi",
    "6": "multiple",
    "7": "hispanic",
}
SEX = {"M": "male", "F": "female", "1": "male", "2": "female"}

STATE_FIPS = dict(
    re.findall(
        r"(\w\w):(\d\d)",
        "AL:01 AK:02 AZ:04 AR:05 CA:06 CO:08 CT:09 DE:10 DC:11 FL:12 GA:13 HI:15 ID:16 IL:17 IN:18 "
        "IA:19 KS:20 KY:21 LA:22 ME:23 MD:24 MA:25 MI:26 MN:27 MS:28 MO:29 MT:30 NE:31 NV:32 NH:33 "
        "NJ:34 NM:35 NY:36 NC:37 ND:38 OH:39 OK:40 OR:41 PA:42 RI:44 SC:45 SD:46 TN:47 TX:48 UT:49 "
        "VT:50 VA:51 WA:53 WV:54 WI:55 WY:56 AS:60 GU:66 MP:69 PR:72 VI:78",
    )
)
"""Numbers of the states and territories (FIPS, INCITS 38) by their letters."""

NO_MONTH = "year without a covered month"
NO_DAY = "no day of enrollment in the month"
CHIP = "CHIP enrollment (kept as another line of business)"
NOT_SCOPE = "covered month whose scope of benefits is not known (read as full)"
NO_BASE = "managed care row without a base row"
_KEY = ("STATE_CD", "MSIS_ID", "RFRNC_YR")


def open_taf(folder: Path, *, backend: ibis.BaseBackend) -> SourceTables:
    """Open a folder with the annual eligibility file and, where they are there, claim files.

    Parameters
    ----------
    folder : Path
        Folder with the files, `.csv`, `.csv.gz` or `.parquet`; files of several years are read
        together.
    backend : ibis.BaseBackend
        Engine that will run the expressions.

    Returns
    -------
    SourceTables
        `eligibility_month` and `person`; `medical_claim` and `pharmacy_claim` where there are
        such files. `member_id` is the state and its identifier.

    Raises
    ------
    TableError
        There is no base file, a file lacks a column the reader needs, or a claim file lacks its
        header or line file.
    """
    require_folder(folder)
    files = find_taf_files(folder)
    opened = {kind: upper_columns(each.open(backend)) for kind, each in files.items()}
    for kind in KINDS.keys() & opened.keys():
        require_columns(opened[kind], f"TAF file `{kind}`", _KEY)
        # Base and plans meet by them, and one file may have numbers where the other has text.
        opened[kind] = opened[kind].mutate(**{name: as_text(opened[kind][name]) for name in _KEY})
    ledger = RowLedger()
    base = _base(opened["base"])
    plans = _plans(opened, base, ledger, backend)
    _count(ledger, base, _months(base, None), backend)
    months = _eligibility_month(_months(base, plans))
    tables = {"eligibility_month": months, "person": _person(base)}
    tables |= claim_tables(opened, ledger, backend)
    for kind, rows in opened.items():
        ledger.check(source_name(kind), SOURCE, int(backend.execute(rows.count())))
    labels = dict.fromkeys(tables, "TAF eligibility file")
    labels |= {name: "TAF claim files" for name in tables if name.endswith("_claim")}
    apart = {name: rows.view() for name, rows in tables.items()}
    return SourceTables(apart, labels, tuple(files.values()), ledger)


def find_taf_files(folder: Path) -> dict[str, SourceFiles]:
    """Files of each kind, text or parquet; others are named in the log."""
    return find_by_name(
        folder,
        _kind_of,
        suffixes=(".parquet", ".csv", ".csv.gz"),
        needed="base",
        lacking="has no TAF eligibility file",
        name_it="Name it after its year, such as `taf_demog_elig_base_2022.parquet`.",
        source_name=source_name,
    )


def _kind_of(name: str) -> str:
    """Kind of a file by its name, empty for none."""
    for kind, words in KINDS.items():
        if any(word in name.lower() for word in words):
            return kind
    return claim_file_kind(name)


def _base(rows: ibis.Table) -> ibis.Table:
    """Base rows with what the reader needs, and whether any month of the year is covered."""
    import ibis

    found = find_months(rows.columns, MONTHLY[:2], file="TAF file `base`")
    days = [as_text(rows[column]) for columns in found.values() for column in columns]
    rows = rows.mutate(
        has_month=ibis.or_(*[(each.try_cast("float64") > 0).fill_null(False) for each in days])
    )
    monthly = [
        name for each in MONTHLY for pattern in each.patterns for name in columns_of_months(pattern)
    ]
    person = ("BIRTH_DT", "DEATH_DT", "SEX_CD", "RACE_ETHNCTY_CD", "BENE_CNTY_CD", "BENE_STATE_CD")
    narrow = keep_columns(rows, (*_KEY, *person, *monthly, "has_month")).view()
    state = as_text(narrow.STATE_CD)
    return narrow.mutate(
        member_id=state + "-" + as_text(narrow.MSIS_ID),
        county=_county(narrow),
        year=as_text(narrow.RFRNC_YR),
    ).view()


def _county(rows: ibis.Table) -> ibis.Value:
    """County of the latest address: a name in California, its five-digit code elsewhere.

    The state is that of the address, else the one that sent the file; missing where it is none.
    """
    import ibis

    county = (ibis.literal("00") + column_or_missing(rows, "BENE_CNTY_CD")).right(3)
    written = ibis.coalesce(column_or_missing(rows, "BENE_STATE_CD"), as_text(rows.STATE_CD))
    letters = ibis.map(list(STATE_FIPS), list(STATE_FIPS.values()))
    digits = written.re_search(r"^\d{1,2}$").ifelse(written.lpad(2, "0"), None)
    state = ibis.coalesce(digits, letters[written.upper()])
    return county_of_fips(state + county)


def _plans(
    opened: dict[str, ibis.Table], base: ibis.Table, ledger: RowLedger, backend: ibis.BaseBackend
) -> ibis.Table | None:
    """The medical plan of each month, from the managed care file."""
    import ibis

    if "mngd_care" not in opened:
        return None
    rows = opened["mngd_care"]
    in_base = base.select(*_KEY, has_base=ibis.literal(value=True)).distinct()
    joined = rows.left_join(in_base, list(_KEY))
    fate = joined.has_base.notnull().ifelse(USED, NO_BASE)
    count_rows(ledger, source_name("mngd_care"), joined, fate, backend)
    long = unpivot_months(
        rows, year="RFRNC_YR", keep=_KEY, monthly=PLAN_MONTHLY, file="TAF file `mngd_care`"
    ).view()
    named = long.mutate(plan=_medical_plan(long)).view()
    return named.group_by([*_KEY, "month"]).agg(plan=named.plan.min())


def _medical_plan(long: ibis.Table) -> ibis.Value:
    """The first plan of the month that is medical managed care; the first plan where none says."""
    import ibis

    slots = [(long[f"plan_{slot:02d}"], long[f"type_{slot:02d}"]) for slot in range(1, N_SLOTS + 1)]
    medical = [kind.isin(COMPREHENSIVE).ifelse(plan, None) for plan, kind in slots]
    untyped = [kind.isnull().ifelse(plan, None) for plan, kind in slots]
    return ibis.coalesce(*medical, *untyped)


def _months(base: ibis.Table, plans: ibis.Table | None) -> ibis.Table:
    """One row per base row, month and line of business."""
    import ibis

    keep = (*_KEY, "member_id", "county")
    long = unpivot_months(
        base, year="RFRNC_YR", keep=keep, monthly=MONTHLY, file="TAF file `base`"
    ).view()
    if plans is not None:
        joined = long.left_join(plans, [*_KEY, "month"])
        long = joined.select(*long.columns, "plan").view()
    else:
        long = long.mutate(plan=ibis.null("string"))
    kinds = (("medicaid", long.medicaid_days), ("other", long.chip_days))
    return ibis.union(
        *[
            long.mutate(payer_type=ibis.literal(payer), days=days.try_cast("float64"))
            for payer, days in kinds
        ]
    ).view()


def _is_covered(months: ibis.Table) -> ibis.Value:
    """Whether a month has a day of enrollment."""
    return (months.days > 0).fill_null(False)


def _count(
    ledger: RowLedger, base: ibis.Table, months: ibis.Table, backend: ibis.BaseBackend
) -> None:
    """Count base rows by whether a month of theirs is covered, and months by what they are."""
    import ibis

    count_rows(ledger, source_name("base"), base, base.has_month.ifelse(USED, NO_MONTH), backend)
    is_medicaid = months.payer_type == "medicaid"
    fate = ibis.cases(
        (_is_covered(months) & is_medicaid, USED), (_is_covered(months), CHIP), else_=NO_DAY
    )
    counted = months.filter(is_medicaid | _is_covered(months))
    count_rows(ledger, source_name("base months"), counted, fate, backend)
    code = months.scope.upper()
    unknown = _is_covered(months) & ~code.isin((*FULL_SCOPE, *LIMITED_SCOPE)).fill_null(False)
    n_unknown = backend.execute(months.filter(unknown).count())
    ledger.note(source_name("base months"), NOT_SCOPE, int(n_unknown))


def _eligibility_month(months: ibis.Table) -> ibis.Table:
    """Covered months."""
    import ibis

    covered = months.filter(_is_covered(months))
    code = covered.scope.upper()
    return covered.select(
        member_id=covered.member_id,
        month=covered.month,
        plan=covered.plan,
        payer_type=covered.payer_type,
        county=covered.county,
        aid_code=covered.aid,
        dual_status_code=covered.dual,
        benefit_scope=ibis.cases(
            (code.isin(FULL_SCOPE), "full"), (code.isin(LIMITED_SCOPE), "limited")
        ),
        covered_days=covered.days,
    )


def _person(base: ibis.Table) -> ibis.Table:
    """One row per member, of the latest year; ties are broken completely."""
    import ibis

    # Ibis keeps one direction per column, so a column is named once.
    others = [base[name] for name in base.columns if name not in ("year", "RFRNC_YR")]
    order = [ibis.desc(base.year, nulls_first=False), *others]
    own = ibis.window(group_by="member_id", order_by=order)
    latest = base.mutate(place=ibis.row_number().over(own))
    latest = latest.filter(latest.place == 0)
    sex = column_or_missing(latest, "SEX_CD").upper()
    race = column_or_missing(latest, "RACE_ETHNCTY_CD")
    return latest.select(
        member_id=latest.member_id,
        birth_date=rif_date(column_or_missing(latest, "BIRTH_DT")),
        death_date=rif_date(column_or_missing(latest, "DEATH_DT")),
        sex=sex.cases(*SEX.items(), else_=sex),
        race_code=race.cases(*RACE_GROUPS.items(), else_=race),
        race_code_system=ibis.literal("analysis_group"),
        county=latest.county,
    )
