"""Coverage tables of the Integrated Data Repository as spans, persons and merged identifiers.

`eligibility` has two lines of business, told by `payer_type`:

- ``medicare``: the spans of `BENE_MDCR_STUS`, cut where the dual status (`BENE_CMBND_DUAL_MDCR`)
  or the health plan (`BENE_MAPD_ENRLMT`, Part C) changes within them.
- ``medicaid``: the Medicaid eligibility that `BENE_CMBND_DUAL_MDCR` tells, full for full duals and
  limited for those whose Medicare costs alone are paid; and the months in which the state pays the
  Medicare premium (`BENE_TP`), limited because nothing says what else is covered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.schema.dual_status import FULL_DUAL, NOT_DUAL, PARTIAL_DUAL
from calaim_eval.tables.cms_idr import source_name
from calaim_eval.tables.cms_rif_beneficiary import RACE_GROUPS, SEX
from calaim_eval.tables.formats import count_rows
from calaim_eval.tables.ledger import USED, RowLedger

if TYPE_CHECKING:
    import ibis

OBSOLETE = "obsolete version of a row"
NO_BEGIN = "begin that is missing or stands for an unknown day"
NO_END = "end that cannot be read or stands for an unknown day"
NO_STATUS = "Medicare status that says nothing"
NO_MEDICAID = "dual status without Medicaid coverage, or not known"
NO_BUYIN = "third party without a buy-in code"
DRUG_PLAN = "drug plan alone (Part D)"
NOT_CONFIRMED = "cross-reference that is not confirmed (BENE_KILL_CRED_CD is not 2)"
NOT_NEEDED = "not needed (no declared table)"
OUTSIDE = "outside every span of Medicare"

END_OF_TIME = "9999-12-31"
UNKNOWN_BEFORE = "1800-01-01"
PART_B_DRUG_STATUS = "40"  # immunosuppressant drugs alone
STATUSES = ("10", "11", "20", "21", "31", PART_B_DRUG_STATUS)
PART_C_PROGRAMS = ("1", "3")
CONFIRMED = "2"

_OPEN_ENDS = (END_OF_TIME, "", "~")
_SPAN = ("BENE_SK", "begin", "end")
_PIECE = (*_SPAN, "scope", "from_day")


def coverage_tables(
    files: Mapping[str, ibis.Table], ledger: RowLedger, backend: ibis.BaseBackend
) -> dict[str, ibis.Table]:
    """Declared tables; counts what became of every row of every file."""
    import ibis

    status = _status_spans(files["MDCR_STUS"])
    dual, buyin, plan = (
        _spans(files[name], *columns) if name in files else None
        for name, columns in (
            ("CMBND_DUAL_MDCR", ("BENE_MDCD_ELGBLTY_BGN_DT", "BENE_MDCD_ELGBLTY_END_DT")),
            ("TP", ("BENE_RNG_BGN_DT", "BENE_RNG_END_DT")),
            ("MAPD_ENRLMT", ("BENE_ENRLMT_BGN_DT", "BENE_ENRLMT_END_DT")),
        )
    )
    dual = None if dual is None else _dual_spans(dual)
    buyin = None if buyin is None else _buyin_spans(buyin)
    plan = None if plan is None else _plan_spans(plan, status)
    marked = {"MDCR_STUS": status, "CMBND_DUAL_MDCR": dual, "TP": buyin, "MAPD_ENRLMT": plan}
    for name, rows in marked.items():
        if rows is not None:
            count_rows(ledger, source_name(name), rows, rows.fate, backend)
    parts = [_medicare(status, dual, plan)]
    parts += [_medicaid(rows) for rows in (dual, buyin) if rows is not None]
    tables = {"eligibility": ibis.union(*parts) if len(parts) > 1 else parts[0]}
    if "XREF" in files:
        tables["member_xref"] = _member_xref(files["XREF"], ledger, backend)
    if "HSTRY" in files:
        tables["person"] = _person(files["HSTRY"], ledger, backend)
    for name in files.keys() - {*marked, "XREF", "HSTRY"}:
        count_rows(ledger, source_name(name), files[name], ibis.literal(NOT_NEEDED), backend)
    return tables


def is_in_force(rows: ibis.Table) -> ibis.Value:
    """Whether a row is the version in force, by the flag and the obsolete day where it has them."""
    import ibis

    tests = [ibis.literal(value=True)]
    if "IDR_LTST_TRANS_FLG" in rows.columns:
        tests.append(rows.IDR_LTST_TRANS_FLG.upper() == "Y")
    if "IDR_TRANS_OBSLT_TS" in rows.columns:
        tests.append(rows.IDR_TRANS_OBSLT_TS.left(10) == END_OF_TIME)
    return ibis.and_(*tests).fill_null(False)


def _day(text: ibis.Value) -> ibis.Value:
    """Day of a date or time; missing where it stands for an unknown day."""
    import ibis

    day = text.left(10).try_cast("date")
    return (day < ibis.date(UNKNOWN_BEFORE)).ifelse(None, day)


def _spans(rows: ibis.Table, begin: str, end: str) -> ibis.Table:
    """Rows with `begin` and `end` as days, an open end as the end of time, and their `fate`."""
    import ibis

    text = rows[end].strip()
    is_open = text.fill_null("").left(10).isin(_OPEN_ENDS)
    dated = rows.mutate(begin=_day(rows[begin]), end=_day(text), has_end=~is_open)
    fate = ibis.cases(
        (~is_in_force(dated), OBSOLETE),
        (dated.begin.isnull(), NO_BEGIN),
        (dated.end.isnull() & dated.has_end, NO_END),
        else_=USED,
    )
    whole = dated.mutate(fate=fate, end=dated.end.fill_null(ibis.date(END_OF_TIME)))
    return whole.drop("has_end")


def _refuse(rows: ibis.Table, condition: ibis.Value, reason: str) -> ibis.Table:
    """Rows of which those that were used and meet a condition are not used, for a reason."""
    return rows.mutate(fate=((rows.fate == USED) & condition).ifelse(reason, rows.fate)).view()


def _status_spans(rows: ibis.Table) -> ibis.Table:
    """Medicare status; limited where it pays for drugs after a transplant alone."""
    spans = _spans(rows, "MDCR_STUS_BGN_DT", "MDCR_STUS_END_DT")
    code = spans.BENE_MDCR_STUS_CD.strip()
    spans = spans.mutate(scope=(code == PART_B_DRUG_STATUS).ifelse("limited", "full"))
    return _refuse(spans, ~code.isin(STATUSES).fill_null(False), NO_STATUS)


def _dual_spans(spans: ibis.Table) -> ibis.Table:
    """Dual status; only those with Medicaid coverage are Medicaid spans."""
    import ibis

    code = spans.BENE_DUAL_STUS_CD.strip().upper()
    spans = spans.mutate(
        dual_code=code.isin((*FULL_DUAL, *PARTIAL_DUAL, *NOT_DUAL)).ifelse(code, None),
        scope=ibis.cases((code.isin(FULL_DUAL), "full"), (code.isin(PARTIAL_DUAL), "limited")),
    )
    return _refuse(spans, spans.scope.isnull(), NO_MEDICAID)


def _buyin_spans(spans: ibis.Table) -> ibis.Table:
    """Months in which the state pays a Medicare premium."""
    import ibis

    code = spans.BENE_BUYIN_CD.strip().nullif("").nullif("~")
    spans = spans.mutate(dual_code=ibis.null("string"), scope=ibis.literal("limited"))
    return _refuse(spans, code.isnull(), NO_BUYIN)


def _plan_spans(spans: ibis.Table, status: ibis.Table) -> ibis.Table:
    """Health plans of Part C that cover a day of Medicare."""
    import ibis

    program = spans.BENE_ENRLMT_PGM_TYPE_CD.strip()
    plan = spans.BENE_CNTRCT_NUM.strip() + "-" + spans.BENE_PBP_NUM.strip()
    named = _refuse(
        spans.mutate(plan=plan), ~program.isin(PART_C_PROGRAMS).fill_null(False), DRUG_PLAN
    )
    covered = status.filter(status.fate == USED)
    covered = covered.select(holder="BENE_SK", from_day="begin", to_day="end")
    days = named.select(*_SPAN).distinct().view()
    within = days.semi_join(
        covered,
        [
            covered.holder == days.BENE_SK,
            days.begin <= covered.to_day,
            days.end >= covered.from_day,
        ],
    )
    joined = named.left_join(within.mutate(is_within=ibis.literal(value=True)), _SPAN)
    joined = joined.select(*named.columns, "is_within").view()
    return _refuse(joined, joined.is_within.isnull(), OUTSIDE)


def _medicare(status: ibis.Table, dual: ibis.Table | None, plan: ibis.Table | None) -> ibis.Table:
    """Spans of Medicare, cut where dual status or plan changes."""
    import ibis

    known = []
    duals = plans = None
    if dual is not None:
        stands = dual.fate.isin([USED, NO_MEDICAID]) & dual.dual_code.notnull()
        is_full = dual.dual_code.isin(FULL_DUAL)
        duals = dual.mutate(is_full=is_full).filter(stands)
        duals = duals.select(*_SPAN, "dual_code", "is_full")
        known.append(duals.select(*_SPAN))
    if plan is not None:
        plans = plan.filter(plan.fate == USED).select(*_SPAN, "plan")
        known.append(plans.select(*_SPAN))
    pieces = _cut(status.filter(status.fate == USED).select(*_SPAN, "scope"), known)
    pieces = _attach(pieces, duals, "dual_code", ("is_full", "begin", "dual_code"))
    pieces = _attach(pieces, plans, "plan", ("begin", "plan"))
    return pieces.select(
        member_id=pieces.BENE_SK,
        enrollment_start_date=pieces.from_day,
        enrollment_end_date=pieces.to_day,
        payer_type=ibis.literal("medicare"),
        plan=pieces.plan,
        dual_status_code=pieces.dual_code,
        benefit_scope=pieces.scope,
    )


def _cut(spans: ibis.Table, others: list[ibis.Table]) -> ibis.Table:
    """Spans cut where another span of the member begins or has ended; `from_day` to `to_day`."""
    import ibis

    whole = spans.distinct().view()
    starts = whole.mutate(from_day=whole.begin)
    if others:
        every = ibis.union(*others) if len(others) > 1 else others[0]
        ended = every.filter(every.end < ibis.date(END_OF_TIME))
        after = (ended.end + ibis.interval(days=1)).cast("date")
        points = ibis.union(
            every.select(holder="BENE_SK", from_day="begin"),
            ended.select(holder="BENE_SK", from_day=after),
        ).distinct()
        inside = whole.join(
            points,
            [
                points.holder == whole.BENE_SK,
                points.from_day > whole.begin,
                points.from_day <= whole.end,
            ],
        )
        starts = ibis.union(starts, inside.select(*starts.columns))
    own = ibis.window(group_by=list(whole.columns), order_by="from_day")
    last = (starts.from_day.lead().over(own) - ibis.interval(days=1)).cast("date")
    return starts.mutate(to_day=ibis.coalesce(last, starts.end)).view()


def _attach(
    pieces: ibis.Table, others: ibis.Table | None, value: str, latest: tuple[str, ...]
) -> ibis.Table:
    """Pieces with the value of the span they lie in; of several the one that comes last."""
    import ibis

    if others is None:
        return pieces.mutate(**{value: ibis.null("string")})
    renamed = others.rename({f"{column}__other": column for column in others.columns})
    joined = pieces.join(
        renamed,
        [
            renamed["BENE_SK__other"] == pieces.BENE_SK,
            pieces.from_day >= renamed["begin__other"],
            pieces.from_day <= renamed["end__other"],
        ],
    )
    order = [ibis.desc(joined[f"{column}__other"]) for column in latest]
    place = ibis.row_number().over(ibis.window(group_by=list(_PIECE), order_by=order))
    ranked = joined.mutate(place=place)
    best = ranked.filter(ranked.place == 0)
    best = best.select(*_PIECE, **{value: best[f"{value}__other"]})
    attached = pieces.left_join(best, list(_PIECE))
    return attached.select(*pieces.columns, value).view()


def _medicaid(spans: ibis.Table) -> ibis.Table:
    """Spans of Medicaid: those that were used."""
    import ibis

    used = spans.filter(spans.fate == USED)
    return used.select(
        member_id=used.BENE_SK,
        enrollment_start_date=used.begin,
        enrollment_end_date=used.end,
        payer_type=ibis.literal("medicaid"),
        plan=ibis.null("string"),
        dual_status_code=used.dual_code,
        benefit_scope=used.scope,
    )


def _member_xref(rows: ibis.Table, ledger: RowLedger, backend: ibis.BaseBackend) -> ibis.Table:
    """Merged identifiers: `BENE_XREF_SK` was merged into `BENE_SK`."""
    import ibis

    is_confirmed = (rows.BENE_KILL_CRED_CD.strip() == CONFIRMED).fill_null(False)
    fate = ibis.cases((~is_in_force(rows), OBSOLETE), (~is_confirmed, NOT_CONFIRMED), else_=USED)
    count_rows(ledger, source_name("XREF"), rows, fate, backend)
    merged = rows.filter(fate == USED)
    has_date = "SRC_REC_CRTE_TS" in rows.columns
    return merged.select(
        member_id=merged.BENE_XREF_SK,
        current_member_id=merged.BENE_SK,
        merged_date=merged.SRC_REC_CRTE_TS if has_date else ibis.null("string"),
    )


def _person(rows: ibis.Table, ledger: RowLedger, backend: ibis.BaseBackend) -> ibis.Table:
    """Persons: the versions of the history that are in force."""
    import ibis

    fate = is_in_force(rows).ifelse(USED, OBSOLETE)
    count_rows(ledger, source_name("HSTRY"), rows, fate, backend)
    persons = rows.filter(fate == USED)
    sex, race = persons.BENE_SEX_CD.strip(), persons.BENE_RACE_CD.strip()
    return persons.select(
        member_id=persons.BENE_SK,
        birth_date=_day(persons.BENE_BRTH_DT),
        death_date=_death(persons.BENE_DEATH_DT),
        sex=sex.cases(*SEX.items(), else_=sex.nullif("~")),
        race_code=race.cases(*RACE_GROUPS.items(), else_=race.nullif("~")),
        race_code_system=ibis.literal("analysis_group"),
    )


def _death(text: ibis.Value) -> ibis.Value:
    """Day of death; the end of time stands for alive."""
    import ibis

    return _day(text).nullif(ibis.date(END_OF_TIME))
